//! Every test that needs more than one module.

mod e2e;
mod attacks;
mod coverage;
mod line;
