//! A component that misbehaves in every way it knows, through the whole line.
//!
//! Each way has a row that says what stops it. The component itself names its ways, so that one
//! without a row is a failure here, and a row without one too.

mod bindings;
mod bombs;
mod calls;
mod canary;
pub(crate) mod compile;
mod components;
mod documented;
pub(crate) mod egress;
mod http2;
mod reads;
mod scene;
mod settings;
mod tables;
mod text;
mod trial;
pub(crate) mod upstream;
mod vault;
