//! Fuzz target: bundles of SPIFFE trust domains, and ids.

use std::process::ExitCode;

use symbolon_core::token::{Algorithm, KeySet, SpiffeId};
use symbolon_fuzz::{Target, drive};

const BUNDLE: &str = r#"{"spiffe_sequence":12,"spiffe_refresh_hint":300,"keys":[{"kty":"EC","use":"jwt-svid","kid":"C6vs25welZOx6WksNYfbMfiw9l96pMnD","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},{"kty":"EC","use":"x509-svid","crv":"P-256","x":"","y":"","x5c":["MIIB"]}]}"#;
const ID: &str = "spiffe://acme.example/ns/billing/sa/api";
const WORDS: &[&str] = &[
    "\"use\":\"wit-svid\"",
    "\"use\":\"sig\"",
    "\"spiffe_sequence\":-1",
    "\"spiffe_sequence\":18446744073709551616",
    "\"keys\":[]",
    "spiffe://",
    "/../",
    "//",
    "%61",
    ":443",
    "null",
];

fn main() -> ExitCode {
    let seeds = [BUNDLE, ID].map(|text| text.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "spiffe_bundle", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let text = std::str::from_utf8(input).unwrap_or_default();
    KeySet::bundle(input, &Algorithm::ALL, 0).is_ok() || SpiffeId::parse(text).is_some()
}
