//! Generations of backends.
