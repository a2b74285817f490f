//! Fuzz target: strict JSON and the claim rules.

use std::process::ExitCode;

use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{IssuerRules, hypothetical};
use symbolon_fuzz::{Target, drive};

const SEEDS: [&str; 2] = [
    r#"{"iss":"https://fuzz.example","sub":"a","aud":"fuzz","iat":1793520000,"nbf":1793520000,"exp":1793520300,"jti":"j"}"#,
    r#"{"iss":"https://fuzz.example","sub":"system:serviceaccount:a:b","aud":["x","fuzz"],"iat":1793520000.5,"exp":1793520300,"n":{"a":[1,true,null,"\u00e4"]}}"#,
];
const WORDS: &[&str] = &[
    "\"sub\":",
    "\"aud\":",
    "\"exp\":",
    "\"iat\":",
    "\"nbf\":",
    "\"iss\":",
    "null",
    "true",
    "[]",
    "{}",
    ",",
    ":",
    "\"\\ud800\"",
    "1793520000",
    "-0",
    "1E400",
    " ",
];

fn main() -> ExitCode {
    let seeds = SEEDS.map(|text| text.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "token_claims", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let Ok(alias) = IssuerAlias::parse("fuzz") else { return false };
    let rules = IssuerRules::new(alias, "https://fuzz.example", vec!["fuzz".to_owned()]);
    hypothetical(input, &rules).is_ok()
}
