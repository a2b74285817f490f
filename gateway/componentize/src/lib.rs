//! From Rust sources to a component that carries its manifest.
//!
//! One way to do it, for two who do it: the project's build tool, which builds the plugins that come
//! with the gateway, and `symbolon plugin build`, by which a vendor builds one. It finds a compiler
//! ([`Compiler`]), makes a component of what that compiled ([`encode`]) or gives one of another
//! language its manifest ([`with_manifest`]), and nothing else: no WebAssembly engine is needed for
//! it, so that it is quick to build on a machine that has nothing yet.

mod compiler;
mod component;
pub mod debian;
mod error;
pub mod program;
pub mod project;

pub use compiler::{Compiler, Search, TARGET};
pub use component::{Component, encode, name, with_manifest};
pub use error::Error;
