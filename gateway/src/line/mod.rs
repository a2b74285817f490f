//! The line.

pub mod ask;
pub mod limits;
