//! Every test that needs more than one module.

mod archive;
mod attacks;
mod conformance;
mod coverage;
mod crash;
mod e2e;
mod faults;
mod hostile;
mod line;
mod soak;
mod vendors;
