//! Tokens of targets, from the workload's side: token exchange (RFC 8693).

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use symbolon_core::id::TargetName;
use symbolon_core::secret::Secret;
use url::form_urlencoded::Serializer;

use crate::answer::{Text, shape};
use crate::error::ClientError;
use crate::gateway::Gateway;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A type of token (RFC 8693 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TokenType {
    /// An access token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:access_token")]
    Access,
    /// A JWT: the gateway's assertion to the target, from targets that deliver it.
    #[serde(rename = "urn:ietf:params:oauth:token-type:jwt")]
    Jwt,
    /// Temporary keys of AWS.
    #[serde(rename = "urn:symbolon:token-type:aws-credentials")]
    Aws,
}

impl TokenType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::Aws => "urn:symbolon:token-type:aws-credentials",
        }
    }
}

/// A token of a target. Members that a newer gateway adds are passed over.
#[derive(Debug)]
pub struct TokenAnswer {
    /// The token; of AWS the JSON text that `credential_process` takes.
    pub token: Secret,
    /// As what it was issued.
    pub issued: TokenType,
    /// `Bearer`, or `N_A` for what is not sent that way.
    pub token_type: String,
    /// How long it lasts, from the answer on.
    pub lasts: Duration,
    /// The header that carries it, where that is not `Authorization`.
    pub header: Option<String>,
    /// Its lease.
    pub lease: Option<String>,
}

/// Temporary keys of AWS.
#[derive(Debug)]
pub struct AwsKeys {
    /// The id of the key.
    pub access_key_id: Secret,
    /// The key.
    pub secret_access_key: Secret,
    /// The token that goes with it.
    pub session_token: Secret,
    /// When they end, RFC 3339.
    pub expiration: String,
}

#[derive(Deserialize)]
struct Raw {
    access_token: Text,
    issued_token_type: TokenType,
    token_type: String,
    expires_in: u64,
    header: Option<String>,
    lease_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawKeys {
    access_key_id: Text,
    secret_access_key: Text,
    session_token: Text,
    expiration: String,
}

impl TokenAnswer {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(body).map_err(|error| shape(&error))?;
        Ok(Self {
            token: raw.access_token.0,
            issued: raw.issued_token_type,
            token_type: raw.token_type,
            lasts: Duration::from_secs(raw.expires_in),
            header: raw.header,
            lease: raw.lease_id,
        })
    }

    /// The keys of AWS that the token is.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn aws(&self) -> Result<AwsKeys, String> {
        if self.issued != TokenType::Aws {
            return Err("it is no set of keys of AWS".to_owned());
        }
        let raw: RawKeys =
            serde_json::from_slice(self.token.expose()).map_err(|error| shape(&error))?;
        Ok(AwsKeys {
            access_key_id: raw.access_key_id.0,
            secret_access_key: raw.secret_access_key.0,
            session_token: raw.session_token.0,
            expiration: raw.expiration,
        })
    }
}

impl Gateway {
    /// Exchanges the platform token for a token of a target: of the type that is `wanted`, or of the
    /// type that the target gives. Cancelling it closes the connection; a token that was issued all
    /// the same ends with its time.
    ///
    /// # Errors
    /// [`ClientError`] says what happened, where, and what to look at next.
    pub async fn exchange_token(
        &self,
        token: &Secret,
        target: &TargetName,
        wanted: Option<TokenType>,
    ) -> Result<TokenAnswer, ClientError> {
        let shown = token
            .expose_str()
            .ok_or(ClientError::Url { url: self.below(""), reason: "the token is no text" })?;
        let body = form(shown, target, wanted);
        let answer = self.post_form(&self.below("/oauth2/token"), body).await?;
        TokenAnswer::parse(&answer).map_err(|reason| self.not_understood(reason))
    }
}

fn form(shown: &str, target: &TargetName, wanted: Option<TokenType>) -> Bytes {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", GRANT);
    form.append_pair("subject_token_type", TokenType::Jwt.as_str());
    form.append_pair("subject_token", shown);
    form.append_pair("audience", target.as_str());
    if let Some(wanted) = wanted {
        form.append_pair("requested_token_type", wanted.as_str());
    }
    Bytes::from(form.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// What is made of a body, and what was asked.
    async fn asked(body: &str) -> (Result<TokenAnswer, ClientError>, String) {
        let exchange = async |gateway: Gateway, token| {
            let target = "aws-deploy".parse().unwrap();
            gateway.exchange_token(&token, &target, Some(TokenType::Aws)).await
        };
        testing::asked(body, exchange).await
    }

    #[tokio::test]
    async fn a_token_is_shown_in_the_form_and_nowhere_else() {
        let keys = r#"{\"Version\":1,\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s/+\",\"SessionToken\":\"t\",\"Expiration\":\"2026-11-24T00:10:00.000Z\"}"#;
        let body = format!(
            r#"{{"access_token":"{keys}","issued_token_type":"urn:symbolon:token-type:aws-credentials","token_type":"N_A","expires_in":900,"lease_id":"01J","revocable":false}}"#
        );
        let (answer, request) = asked(&body).await;
        let answer = answer.unwrap();
        let keys = answer.aws().unwrap();
        assert_eq!(answer.lasts, Duration::from_mins(15));
        assert_eq!(keys.secret_access_key.expose(), b"s/+");
        assert_eq!(keys.expiration, "2026-11-24T00:10:00.000Z");
        assert!(request.starts_with("POST /below/oauth2/token HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("&subject_token=a.b%2Bc&audience=aws-deploy&"), "{request}");
        assert!(!request.to_lowercase().contains("authorization:"), "{request}");
    }

    #[tokio::test]
    async fn what_is_not_understood_is_not_quoted() {
        for body in [
            r#"{"access_token":"hunter2","issued_token_type":"hunter2","token_type":"N_A","expires_in":1}"#,
            r#"{"access_token":["hunter2"]}"#,
        ] {
            let (answer, _) = asked(body).await;
            let error = answer.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let body = r#"{"access_token":"hunter2","issued_token_type":"urn:symbolon:token-type:aws-credentials","token_type":"N_A","expires_in":1}"#;
        let error = asked(body).await.0.unwrap().aws().unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
