//! The component host: a WebAssembly component in, bounded and re-checked calls out.
//!
//! A plugin gets what is linked and nothing else. It runs in a fresh instance per call, reaches the
//! network only through [`egress`], and what it answers is checked in [`facade`] before anyone
//! believes it.

pub mod bindings;
pub mod catalog;
pub mod egress;
pub mod engine;
pub mod facade;
pub mod manifest;
