//! What goes wrong between a client and the gateway.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be used.
    #[error("`{url}` is not a usable gateway URL: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificate authorities cannot be used.
    #[error("certificate authorities from {origin} cannot be used: {reason}")]
    Roots {
        /// File or "the system".
        origin: String,
        /// What is wrong with them.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot connect to {place}")]
    Connect {
        /// Host and port, or the socket.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The gateway could not prove who it is.
    #[error("TLS with {place} failed")]
    Tls {
        /// Host and port.
        place: String,
        /// What failed.
        source: std::io::Error,
    },
    /// The exchange broke off.
    #[error("the exchange with {place} broke off")]
    Exchange {
        /// Host and port, or the socket.
        place: String,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("no answer from {place} within {} seconds", .limit.as_secs())]
    Timeout {
        /// Host and port, or the socket.
        place: String,
        /// The limit.
        limit: Duration,
    },
    /// The gateway said no.
    #[error("the gateway refused: {0}")]
    Refused(Problem),
    /// The answer is not what the interface promises.
    #[error("the answer from {place} cannot be understood: {reason}")]
    Answer {
        /// Host and port, or the socket.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The admin socket is not there.
    #[error("there is no admin socket at {}", .0.display())]
    NoSocket(PathBuf),
}

impl ClientError {
    /// What to look at next, where that can be said.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Url { .. } => Some("give the public origin, as in https://gateway.example.com"),
            Self::Roots { .. } => Some("give a PEM file of authorities with --ca"),
            Self::Connect { .. } => {
                Some("check the address, and that the gateway runs (`symbolon status`)")
            }
            Self::Tls { .. } => {
                Some("if the gateway's certificate is from a private authority, name it with --ca")
            }
            Self::Timeout { .. } | Self::Exchange { .. } => {
                Some("try again; the gateway's log says more")
            }
            Self::Refused(problem) => problem.help(),
            Self::Answer { .. } => Some("is this a Symbolon gateway, and of a fitting version?"),
            Self::NoSocket(_) => Some(
                "is the gateway running? name its socket with --socket or its file with --config",
            ),
        }
    }
}

/// A refusal, as RFC 9457 writes it; at the token endpoint as RFC 6749 §5.2 does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The gateway's stable code.
    #[serde(alias = "error")]
    pub code: String,
    /// One sentence.
    #[serde(alias = "error_description")]
    pub title: String,
    /// More, where the gateway says more.
    pub detail: Option<String>,
    /// The id of the request: under this the audit log has it.
    pub request_id: Option<String>,
}

impl Problem {
    /// From an answer that is not a success. Whatever stands in it, there is a status.
    #[must_use]
    pub fn of(status: u16, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or_default();
        problem.status = status;
        if problem.title.is_empty() {
            "no explanation came with it".clone_into(&mut problem.title);
        }
        problem
    }

    fn help(&self) -> Option<&'static str> {
        match self.status {
            400 if self.code == "invalid_target" => Some(
                "no policy permits this, or no target has this name; an operator sees why with \
                 `symbolon target ls`, `symbolon policy explain` and in the audit log",
            ),
            400 if self.code == "unsupported_token_type" => Some(
                "the target gives tokens of another kind; `symbolon target ls` shows an operator which",
            ),
            401 => Some(
                "the token was not accepted: is its issuer registered, is it for this gateway's audience, \
                 has it ended?",
            ),
            403 => Some(
                "no policy permits this, or nothing is there; an operator sees why with \
                 `symbolon policy explain` and in the audit log",
            ),
            404 => Some("is this URL the gateway's public origin?"),
            429 => Some("wait a moment and try again"),
            502 => Some("the backend refuses the gateway: an operator has to look"),
            503 => Some("try again shortly"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.title, self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        f.write_str(")")?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_what_the_gateway_said() {
        let body = br#"{"type":"about:blank","title":"not permitted, or nothing is there","status":403,"code":"denied","request_id":"01J"}"#;
        let problem = Problem::of(403, body);
        assert_eq!(
            problem.to_string(),
            "not permitted, or nothing is there (403 denied), request 01J"
        );
        assert!(problem.help().is_some());
    }

    #[test]
    fn a_refusal_of_the_token_endpoint_is_one_too() {
        let body = br#"{"error":"invalid_target","error_description":"there is none for you"}"#;
        let problem = Problem::of(400, body);
        assert_eq!(problem.to_string(), "there is none for you (400 invalid_target)");
        assert!(problem.help().is_some_and(|help| help.contains("target ls")));
    }

    #[test]
    fn a_refusal_that_is_not_json_is_still_a_refusal() {
        assert_eq!(Problem::of(502, b"<html>").to_string(), "no explanation came with it (502)");
    }
}
