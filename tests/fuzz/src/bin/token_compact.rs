//! Fuzz target: the token parser, and the verifier behind it. The key is that of RFC 7515 §A.3, whose
//! private half is public; no input has a signature of it with a lifetime that is accepted.

use std::process::ExitCode;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{Algorithm, Compact, IssuerRules, KeySet, MAX_TOKEN_BYTES, verify};
use symbolon_fuzz::{Target, drive};

const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1"}]}"#;
const SEEDS: [&str; 2] = [
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    // {"alg":"ES256","kid":"k1","typ":"JWT"} over {"iss":"a","sub":"b","aud":"fuzz","iat":…,"exp":…}.
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJhIiwic3ViIjoiYiIsImF1ZCI6ImZ1enoiLCJpYXQiOjE3OTM1MjAwMDAsImV4cCI6MTc5MzUyMDMwMH0.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
];
const WORDS: &[&str] = &[
    ".",
    "..",
    "=",
    "eyJhbGciOiJub25lIn0.",
    "eyJhbGciOiJIUzI1NiJ9.",
    "eyJhbGciOiJFUzI1NiIsImNyaXQiOltdfQ.",
    "eyJhbGciOiJFUzI1NiIsImp3ayI6e319.",
    "e30.",
    "AAAA",
    "-_",
    "+/",
];

fn main() -> ExitCode {
    let seeds = SEEDS.map(|text| text.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "token_compact", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(token) = Compact::parse(text, MAX_TOKEN_BYTES) else { return false };
    let Ok(alias) = IssuerAlias::parse("fuzz") else { return false };
    let Ok(keys) = KeySet::parse(KEYS, &Algorithm::ALL, 0) else { return false };
    let rules =
        IssuerRules::new(alias, token.issuer().unwrap_or_default(), vec!["fuzz".to_owned()]);
    let verdict = verify(&token, &rules, &keys, Timestamp::from_seconds(1_793_520_100));
    assert!(verdict.is_err(), "nobody signed this: {text}");
    // Parsed: worth to be changed further.
    true
}
