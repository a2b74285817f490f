//! What is shown in an attempt, and what those say of it who are asked.
//!
//! STS and clusters are voices in this process here: they say of each proof what the attempt wants
//! them to say, and refuse every other. So the gateway's own questions and readings are assessed, and
//! nobody is reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;
use symbolon_oracle::Said;

use crate::line::authenticate::{Answers, Proof};
use crate::listen::ClientCertificates;

/// A proof, ready to be shown.
#[derive(Clone)]
pub(super) enum Evidence {
    /// A token, and what its cluster says of it where it is asked.
    Token(String, Option<Said>),
    /// A signed request, its authorization, and what STS says to it.
    Signed { text: String, authorization: String, said: Said },
    /// The certificates of a connection.
    Certificate(ClientCertificates),
}

impl Evidence {
    pub(super) const fn proof(&self) -> Proof<'_> {
        match self {
            Self::Token(text, _) => Proof::Bearer(text.as_str()),
            Self::Signed { text, .. } => Proof::Signed(text.as_str()),
            Self::Certificate(shown) => Proof::Certificate(shown),
        }
    }

    /// By what the voices know it, and what they say.
    fn word(&self) -> Option<(&str, &Said)> {
        match self {
            Self::Token(text, said) => said.as_ref().map(|said| (text.as_str(), said)),
            Self::Signed { authorization, said, .. } => Some((authorization, said)),
            Self::Certificate(_) => None,
        }
    }

    /// The name in reports.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Token(..) => "token",
            Self::Signed { .. } => "signed_request",
            Self::Certificate(_) => "certificate",
        }
    }
}

/// STS and clusters, as long as an assessment lasts.
#[derive(Debug, Default)]
pub(super) struct Voices(Mutex<HashMap<String, Said>>);

/// A proof of which the voices know.
pub(super) struct Announced<'a> {
    voices: &'a Voices,
    known: Option<&'a str>,
}

impl Voices {
    /// Tells them what to say of a proof, until the answer is dropped.
    pub(super) fn announce<'a>(&'a self, evidence: &'a Evidence) -> Announced<'a> {
        let word = evidence.word();
        if let Some((known, said)) = word {
            self.all(|all| all.insert(known.to_owned(), said.clone()));
        }
        Announced { voices: self, known: word.map(|(known, _)| known) }
    }

    fn all<T>(&self, work: impl FnOnce(&mut HashMap<String, Said>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.known {
            self.voices.all(|all| all.remove(known));
        }
    }
}

/// A voice that was told nothing of a proof refuses it.
impl Answers for Voices {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let body = serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
        let token = body.pointer("/spec/token").and_then(Value::as_str);
        let authorization = request.headers().get(header::AUTHORIZATION);
        let known = token.or(authorization.and_then(|value| value.to_str().ok()));
        let said = known.and_then(|known| self.all(|all| all.get(known).cloned()));
        said.map_or_else(|| response(&refusal()), |said| response(&said))
    }
}

fn refusal() -> Said {
    Said { status: 403, media_type: "application/json", body: "{}".to_owned() }
}

fn response(said: &Said) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(said.body.clone()));
    *response.status_mut() = StatusCode::from_u16(said.status).unwrap_or(StatusCode::FORBIDDEN);
    let kind = HeaderValue::from_static(said.media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The voices as those who are asked.
pub(super) fn answers(voices: &Arc<Voices>) -> Arc<dyn Answers> {
    voices.clone()
}
