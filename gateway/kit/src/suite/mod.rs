//! The suites: what a plugin says about itself, whether the script is enough, and its cases.

mod cases;
mod coverage;
mod describing;
mod schema;

pub(crate) use cases::Cases;
pub(crate) use coverage::cover;
pub(crate) use describing::describe;
