//! Every test that needs more than one module.

mod e2e;
mod line;
