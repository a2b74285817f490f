//! A component that misbehaves in every way it knows, through the whole line.
//!
//! Each way has a row that says what stops it. The component itself names its ways, so that one
//! without a row is a failure here, and a row without one too.

mod bindings;
mod calls;
mod compile;
mod components;
pub(crate) mod egress;
mod reads;
mod scene;
mod settings;
pub(crate) mod upstream;
mod vault;
