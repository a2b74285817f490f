//! Epochs and locks.
