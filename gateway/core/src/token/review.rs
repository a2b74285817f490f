//! Tokens of a Kubernetes cluster that the cluster itself is asked about (`TokenReview` of
//! `authentication.k8s.io/v1`; `wire-formats.md` §1.4.4).
//!
//! Keys cannot show that a pod or a service account is gone; the cluster can. What it answers replaces
//! the signature and nothing else: every other check is made here as always, before it is asked, and
//! what it says must agree with what the token says.
//!
//! INVARIANT: an answer counts only for an audience of ours. A server that knows nothing of audiences
//! leaves them out, and has then checked that the token is for *itself*.

use super::claims;
use super::compact::Compact;
use super::json::{self, Limits, Object, Value};
use super::refusal::Refusal;
use super::rules::IssuerRules;
use super::verify::{check_header, subject};
use crate::clock::Timestamp;
use crate::principal::{Binding, Principal, Proof, Subject};

/// The server sends the whole token back.
const LIMITS: Limits = Limits { depth: 10, top: 16, members: 64, items: 256, string: 32 * 1024 };
/// Where the cluster says to what a token is bound.
const EXTRA: [(&str, &str, &str); 4] = [
    ("authentication.kubernetes.io/pod-name", "pod", "name"),
    ("authentication.kubernetes.io/pod-uid", "pod", "uid"),
    ("authentication.kubernetes.io/node-name", "node", "name"),
    ("authentication.kubernetes.io/node-uid", "node", "uid"),
];

/// What a cluster answered about a token.
#[derive(Debug)]
pub struct Review {
    status: Object,
}

impl Review {
    /// Reads the answer of status 201 (or 200).
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let document = json::object(body, LIMITS).ok()?;
        let text = |name| document.get(name).and_then(Value::as_str);
        let is_review = text("kind") == Some("TokenReview")
            && text("apiVersion") == Some("authentication.k8s.io/v1");
        let status = document.get("status")?.as_object()?;
        is_review.then(|| Self { status: status.clone() })
    }

    /// Whether the cluster vouches for the token, for one of `audiences`.
    fn vouches(&self, audiences: &[String]) -> Result<(), Refusal> {
        if self.status.get("authenticated") != Some(&Value::Bool(true)) {
            return Err(Refusal::NotVouched);
        }
        let named = self.status.get("audiences").and_then(Value::as_array).unwrap_or_default();
        let is_ours = |name: &Value| {
            name.as_str().is_some_and(|name| audiences.iter().any(|ours| ours == name))
        };
        if named.iter().any(is_ours) { Ok(()) } else { Err(Refusal::NotVouchedForUs) }
    }

    /// Whether it is about whom the token says it is.
    fn agrees(&self, claims: &Object) -> Result<(), Refusal> {
        let user = self.status.get("user").and_then(Value::as_object);
        let of_user = |name| user.and_then(|user| user.get(name));
        let cluster = claims.get("kubernetes.io").and_then(Value::as_object);
        let part = |object: &str, name: &str| {
            cluster.and_then(|claims| claims.get(object)?.as_object()?.get(name))
        };
        let extra = of_user("extra").and_then(Value::as_object);
        let bound = EXTRA.iter().all(|(key, object, name)| {
            let said = extra.and_then(|extra| extra.get(key)?.as_array()?.first());
            // Older servers do not say the node.
            said == part(object, name) || (said.is_none() && *object == "node")
        });
        let is_same = of_user("username") == claims.get("sub")
            && of_user("uid") == part("serviceaccount", "uid");
        if is_same && bound { Ok(()) } else { Err(Refusal::Disagreement) }
    }
}

/// Everything that can be said of a token without its signature: what is made sure of before the
/// cluster is asked.
///
/// # Errors
/// The [`Refusal`] of the first check that fails.
pub fn presentable(
    token: &Compact<'_>,
    rules: &IssuerRules,
    now: Timestamp,
) -> Result<(), Refusal> {
    read(token, rules, now).map(drop)
}

/// The principal of a token for which its cluster vouches.
///
/// # Errors
/// The [`Refusal`] of the first check that fails.
pub fn reviewed(
    token: &Compact<'_>,
    rules: &IssuerRules,
    review: &Review,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let (subject, proof) = read(token, rules, now)?;
    review.vouches(&rules.audiences)?;
    review.agrees(token.claims())?;
    Ok(Principal::proven(subject, proof))
}

fn read(
    token: &Compact<'_>,
    rules: &IssuerRules,
    now: Timestamp,
) -> Result<(Subject, Proof), Refusal> {
    check_header(token, rules)?;
    let validity = claims::check(token.claims(), rules, now)?;
    let proof = Proof {
        issued_at: Some(validity.issued_at),
        expires_at: validity.expires_at,
        binding: Binding::None,
        digest: token.digest(),
        session: None,
    };
    Ok((subject(token.claims(), rules)?, proof))
}
