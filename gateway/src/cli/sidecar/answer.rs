//! Tokens in the shapes that the clouds' own libraries read.

use serde::Serialize;
use symbolon_client::{AwsKeys, TokenAnswer, TokenType};
use symbolon_core::clock::Timestamp;
use symbolon_core::secret::Secret;
use zeroize::Zeroizing;

/// What stands around the secrets of an answer, at most.
const FRAME_BYTES: usize = 1024;

/// As the containers of ECS and EKS get them
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
}

/// RFC 6749 §5.1, with the moment at which it ends.
#[derive(Serialize)]
struct Token<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
}

/// What Google's libraries take of a URL or a program as the subject token of an exchange
/// (<https://google.aip.dev/auth/4117>).
#[derive(Serialize)]
struct Subject<'a> {
    version: u8,
    success: bool,
    token_type: &'static str,
    id_token: &'a str,
    expiration_time: i64,
}

/// The token of a target, which lasts until `ends_at`.
///
/// # Errors
/// What is wrong with it, without quoting it.
pub(in crate::cli) fn credential(
    answer: &TokenAnswer,
    (left, ends_at): (u64, Timestamp),
) -> Result<Zeroizing<Vec<u8>>, String> {
    match answer.issued {
        TokenType::Aws => container(&answer.aws()?),
        TokenType::Access | TokenType::Jwt => written(
            &Token {
                access_token: text(&answer.token)?,
                token_type: &answer.token_type,
                expires_in: left,
                expires_at: ends_at.to_string(),
                header: answer.header.as_deref(),
            },
            answer.token.len(),
        ),
    }
}

fn container(keys: &AwsKeys) -> Result<Zeroizing<Vec<u8>>, String> {
    let view = Container {
        access_key_id: text(&keys.access_key_id)?,
        secret_access_key: text(&keys.secret_access_key)?,
        token: text(&keys.session_token)?,
        expiration: &keys.expiration,
    };
    let secrets = [&keys.access_key_id, &keys.secret_access_key, &keys.session_token];
    written(&view, secrets.iter().map(|secret| secret.len()).sum())
}

/// The gateway's assertion, as a subject token.
///
/// # Errors
/// What is wrong with it, without quoting it.
pub(in crate::cli) fn subject(
    answer: &TokenAnswer,
    ends_at: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, String> {
    if answer.issued != TokenType::Jwt {
        return Err("it is no assertion".to_owned());
    }
    let view = Subject {
        version: 1,
        success: true,
        token_type: "urn:ietf:params:oauth:token-type:jwt",
        id_token: text(&answer.token)?,
        expiration_time: ends_at.seconds(),
    };
    written(&view, answer.token.len())
}

fn text(secret: &Secret) -> Result<&str, String> {
    secret.expose_str().ok_or_else(|| "it is no text".to_owned())
}

/// Into one allocation that is wiped: what a growing vector leaves behind is not.
fn written(view: &impl Serialize, secrets: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let size = secrets.saturating_mul(2).saturating_add(FRAME_BYTES);
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    serde_json::to_writer(&mut *body, view).map_err(|_| "it has no JSON form".to_owned())?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn answer(issued: TokenType, token: &str) -> TokenAnswer {
        TokenAnswer {
            token: Secret::from(token.to_owned()),
            issued,
            token_type: "Bearer".to_owned(),
            lasts: Duration::from_mins(5),
            header: None,
            lease: None,
        }
    }

    fn read(body: Result<Zeroizing<Vec<u8>>, String>) -> Value {
        serde_json::from_slice(&body.unwrap()).unwrap()
    }

    const ENDS: Timestamp = Timestamp::from_seconds(1_793_520_000);

    #[test]
    fn keys_of_aws_are_those_of_a_container() {
        let keys = r#"{"Version":1,"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2026-11-01T10:15:00.000Z"}"#;
        let shown = read(credential(&answer(TokenType::Aws, keys), (300, ENDS)));
        let expected = json!({ "AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t",
            "Expiration": "2026-11-01T10:15:00.000Z" });
        assert_eq!(shown, expected);
        let error = credential(&answer(TokenType::Aws, "hunter2"), (300, ENDS)).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_token_says_how_long_it_lasts_and_an_assertion_is_no_token() {
        let shown = read(credential(&answer(TokenType::Access, "ya29"), (299, ENDS)));
        assert_eq!((&shown["access_token"], &shown["expires_in"]), (&json!("ya29"), &json!(299)));
        let shown = read(subject(&answer(TokenType::Jwt, "a.b.c"), ENDS));
        assert_eq!(
            (&shown["id_token"], &shown["expiration_time"]),
            (&json!("a.b.c"), &json!(1_793_520_000))
        );
        assert!(subject(&answer(TokenType::Access, "ya29"), ENDS).is_err());
    }
}
