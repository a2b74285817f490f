//! Answers of OAuth token endpoints (RFC 6749 §5).
//!
//! INVARIANT: of a refusal only `error` is read, a word of the standard; `error_description` echoes
//! what was sent.

use serde::Deserialize;

use crate::http::Response;
use crate::{Error, Seconds, Timestamp, Token};

/// A token endpoint's answer is small.
pub const LIMIT: usize = 64 * 1024;

/// What a token may have: Google allows 12,288 bytes, and headers hold little more.
const LONGEST_TOKEN: usize = 16 * 1024;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// The bearer token of a successful answer. It ends when the server says, and is used no later than
/// `ttl` from now.
pub fn token(answer: &Response, ttl: Seconds, now: Timestamp) -> Result<Token, Error> {
    let granted: Granted = answer.json()?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") || granted.expires_in == 0 {
        return Err(Error::malformed_answer("the token is no bearer token that lasts"));
    }
    bearer(granted.access_token, now.saturating_add(granted.expires_in), (ttl, now))
}

/// A bearer token that ends at `ends_at`, and is used no later than `ttl` from now. One that could not stand
/// in a header, or has ended, is refused.
pub fn bearer(
    token: String,
    ends_at: Timestamp,
    (ttl, now): (Seconds, Timestamp),
) -> Result<Token, Error> {
    let fits = (1..=LONGEST_TOKEN).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits || ends_at <= now {
        return Err(Error::malformed_answer("the answer has no token that can be used"));
    }
    Ok(Token::bearer(token, ends_at.min(now.saturating_add(ttl))).outliving(ends_at))
}

/// `error` of a refusal (RFC 6749 §5.2), if the body is one. To be compared with known words.
#[must_use]
pub fn refusal(answer: &Response) -> Option<String> {
    answer.json::<Refused>().ok().map(|refused| refused.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Response {
        Response { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_token_is_used_no_longer_than_asked_and_says_how_long_it_lasts() {
        for (lasts, ttl, ends, really) in
            [(3599, 600, 1600, Some("4599")), (60, 600, 1060, None), (600, 600, 1600, None)]
        {
            let body = format!(
                r#"{{"access_token":"ya29.x","token_type":"Bearer","expires_in":{lasts},"scope":"s"}}"#
            );
            let token = token(&answer(&body), ttl, 1000).expect("a token");
            assert_eq!((token.kind.as_str(), token.expires_at), ("bearer", ends));
            assert_eq!(token.fields, [("token".to_owned(), b"ya29.x".to_vec())]);
            let said = token.metadata.iter().find(|(name, _)| name == "ends-at");
            assert_eq!(said.map(|(_, value)| value.as_str()), really, "{lasts}");
        }
    }

    #[test]
    fn what_is_no_usable_token_is_refused() {
        let long = "a".repeat(16 * 1024 + 1);
        for body in [
            "",
            "[]",
            r#"{"access_token":"x","token_type":"bearer"}"#,
            r#"{"access_token":"x","token_type":"bearer","expires_in":0}"#,
            r#"{"access_token":"x","token_type":"bearer","expires_in":-1}"#,
            r#"{"access_token":"x","token_type":"mac","expires_in":60}"#,
            r#"{"access_token":"","token_type":"bearer","expires_in":60}"#,
            r#"{"access_token":"a\r\nb","token_type":"bearer","expires_in":60}"#,
            r#"{"access_token":"x","access_token":"y","token_type":"bearer","expires_in":60}"#,
            &format!(r#"{{"access_token":"{long}","token_type":"bearer","expires_in":60}}"#),
        ] {
            let error = token(&answer(body), 60, 1000).expect_err("refused");
            assert_eq!(error.code, "malformed_answer");
        }
    }

    #[test]
    fn of_a_refusal_only_the_word_is_read() {
        let body = r#"{"error":"invalid_grant","error_description":"the subject bob"}"#;
        assert_eq!(refusal(&answer(body)).as_deref(), Some("invalid_grant"));
        for body in ["", "<html>", r#"{"error":{"code":403}}"#, "{}"] {
            assert_eq!(refusal(&answer(body)), None, "{body}");
        }
    }
}
