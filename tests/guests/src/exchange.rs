//! Tokens that no honest party gives, by the first scope asked for.

use symbolon_plugin::{Error, ExchangeRequest, Token, clock};

use crate::compute;

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
    "trap",
];

pub(crate) fn behave(request: &ExchangeRequest) -> Result<Token, Error> {
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
        "trap" => compute::trap(),
        _ => return Err(Error::absent()),
    }
    Ok(token)
}
