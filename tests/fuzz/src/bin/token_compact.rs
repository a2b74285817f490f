//! Fuzz target: the token parser, and the verifier behind it, on one input from standard input.

use std::io::Read as _;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{Algorithm, Compact, IssuerRules, KeySet, MAX_TOKEN_BYTES, verify};

const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1"}]}"#;

fn main() {
    let mut input = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut input).is_err() {
        return;
    }
    let Ok(text) = std::str::from_utf8(&input) else { return };
    let Ok(token) = Compact::parse(text, MAX_TOKEN_BYTES) else { return };
    let Ok(alias) = IssuerAlias::parse("fuzz") else { return };
    let Ok(keys) = KeySet::parse(KEYS, &Algorithm::ALL, 0) else { return };
    let rules =
        IssuerRules::new(alias, token.issuer().unwrap_or_default(), vec!["fuzz".to_owned()]);
    let _verdict = verify(&token, &rules, &keys, Timestamp::from_seconds(1_793_520_100));
}
