//! Fuzz target: strict JSON and the claim rules, on one input from standard input.

use std::io::Read as _;

use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{IssuerRules, hypothetical};

fn main() {
    let mut input = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut input).is_err() {
        return;
    }
    let Ok(alias) = IssuerAlias::parse("fuzz") else { return };
    let rules = IssuerRules::new(alias, "https://fuzz.example", vec!["fuzz".to_owned()]);
    let _verdict = hypothetical(&input, &rules);
}
