//! Fuzz target: the key set parser.

use std::process::ExitCode;

use symbolon_core::token::{Algorithm, KeySet};
use symbolon_fuzz::{Target, drive};

const EC: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1","use":"sig","alg":"ES256"}]}"#;
const OKP: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k2","key_ops":["verify"]}]}"#;
const RSA: &str = r#"{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29","x5c":["AAAA"]}]}"#;
const WORDS: &[&str] = &[
    "\"kty\":",
    "\"oct\"",
    "\"EC\"",
    "\"P-384\"",
    "\"P-521\"",
    "\"k\":\"AAAA\"",
    "\"d\":\"AQ\"",
    "\"use\":\"enc\"",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"kid\":",
    "\"e\":\"AQ\"",
    "{}",
    ",",
    "\"keys\":[",
    "]}",
    "null",
];

fn main() -> ExitCode {
    let seeds = [EC, OKP, RSA].map(|text| text.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "jwks_parse", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    KeySet::parse(input, &Algorithm::ALL, 0).is_ok()
}
