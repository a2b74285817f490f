//! Tokens that no honest party gives, by the first scope asked for.

use symbolon_plugin::{Error, ExchangeRequest, Selector, Token, clock};

use crate::config::Config;
use crate::{compute, network};

/// Every behaviour.
pub(crate) const BEHAVIOURS: &[&str] = &[
    "ok",
    "too-long",
    "expired",
    "kind-unknown",
    "kind-host",
    "kind-forged",
    "token-forged",
    "no-fields",
    "huge-handle",
    "huge-token",
    "echo-assertion",
    "hand-on-assertion",
    "reversed-assertion",
    "attributes",
    "with-handle",
    "aws-undeclared",
    "fetch",
    "trap",
];

pub(crate) fn behave(config: &Config, request: &ExchangeRequest) -> Result<Token, Error> {
    let ends = clock::now() + request.ttl;
    let mut token = Token::bearer("fine", ends);
    match request.scopes.first().map_or("ok", String::as_str) {
        "ok" => {}
        "too-long" => token.expires_at = ends + 86_400,
        "expired" => token.expires_at = 1,
        "kind-unknown" => token.kind = "signature".to_owned(),
        "kind-host" => token.kind = "header:host".to_owned(),
        "kind-forged" => token.kind = "header:x\r\nforged".to_owned(),
        "token-forged" => token = Token::bearer("a\r\nforged: yes", ends),
        "no-fields" => token.fields = Vec::new(),
        "huge-handle" => token.handle = vec![0; 1024 * 1024],
        "huge-token" => token = Token::bearer(vec![b'x'; 2 * 1024 * 1024], ends),
        "echo-assertion" => return Err(Error::internal("leaky", request.assertion.clone())),
        "hand-on-assertion" => token = Token::bearer(request.assertion.clone(), ends),
        "reversed-assertion" => {
            token = Token::bearer(request.assertion.chars().rev().collect::<String>(), ends);
        }
        "attributes" => {
            let pairs = request.attributes.iter().map(|(name, value)| format!("{name}={value}"));
            token =
                Token::bearer(format!("attributes:{}", pairs.collect::<Vec<_>>().join(";")), ends);
        }
        "with-handle" => token.handle = b"found-by-this".to_vec(),
        "aws-undeclared" => token = aws(ends),
        "fetch" => {
            network::fetch(config, &Selector { path: "fetch".to_owned(), version: None })?;
        }
        "trap" => compute::trap(),
        _ => return Err(Error::absent()),
    }
    Ok(token)
}

/// Keys of AWS, of which the manifest says nothing.
fn aws(ends: u64) -> Token {
    let field = |name: &str| (name.to_owned(), b"key".to_vec());
    let mut token = Token::bearer("", ends);
    token.kind = "aws".to_owned();
    token.fields = ["access_key_id", "secret_access_key", "session_token"].map(field).to_vec();
    token
}
