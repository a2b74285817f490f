//! Benches: `cargo xtask bench`. One JSON object a line.

fn main() {}
