//! Fuzz target: the key set parser, on one input from standard input.

use std::io::Read as _;

use symbolon_core::token::{Algorithm, KeySet};

fn main() {
    let mut input = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut input).is_err() {
        return;
    }
    let _verdict = KeySet::parse(&input, &Algorithm::ALL, 0);
}
