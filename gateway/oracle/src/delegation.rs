//! Whether somebody must not act for somebody (RFC 8693 §4.1 and §4.4), and whether the cluster of a
//! token does not vouch for it (`TokenReview` of `authentication.k8s.io/v1`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::json::{at, object};
use crate::signed::Said;

/// Most actors that are carried on (`tokens.md`).
const ACTORS: usize = 4;

type Claims = Map<String, Value>;

/// Why `actor` must not act for whom `subject` is about, both of them good tokens, if that is certain.
#[must_use]
pub fn must_deny_actor(subject: &str, actor: &str) -> Option<&'static str> {
    let (Some(subject), Some(actor)) = (claims(subject), claims(actor)) else {
        return Some("encoding");
    };
    let named = subject.get("may_act").is_some_and(|named| !may_act(named, &actor));
    if named { Some("may_act") } else { chain(&subject) }
}

fn may_act(named: &Value, actor: &Claims) -> bool {
    let fits = |named: &Claims| named.iter().all(|(name, value)| actor.get(name) == Some(value));
    named.as_object().is_some_and(|named| !named.is_empty() && fits(named))
}

/// The chain, with one more in front of it.
fn chain(subject: &Claims) -> Option<&'static str> {
    let (mut actors, mut next) = (1, subject.get("act"));
    while let Some(act) = next {
        let is_named = act.get("sub").and_then(Value::as_str).is_some_and(|sub| !sub.is_empty());
        if !is_named {
            return Some("act");
        }
        (actors, next) = (actors + 1, act.get("act"));
    }
    (actors > ACTORS).then_some("actors")
}

/// Why a token must be refused if its cluster answers so, if that is certain; the token itself may be
/// good.
#[must_use]
pub fn must_deny_reviewed(token: &str, audiences: &[String], said: &Said) -> Option<&'static str> {
    let Some(claims) = claims(token) else { return Some("encoding") };
    let answer = object(said.body.as_bytes()).filter(|_| [200, 201].contains(&said.status));
    let Some(answer) = answer else { return Some("no answer") };
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let is_review = text("kind") == Some("TokenReview")
        && text("apiVersion") == Some("authentication.k8s.io/v1");
    let named = at(&answer, "/status/audiences").and_then(Value::as_array);
    let is_ours = |name: &Value| audiences.iter().any(|own| name == own);
    let checks = [
        ("another answer", !is_review),
        ("not authenticated", at(&answer, "/status/authenticated") != Some(&Value::Bool(true))),
        ("audience", !named.is_some_and(|all| all.iter().any(is_ours))),
        ("somebody else", !is_about(&answer, &claims)),
    ];
    checks.iter().find(|(_, refuses)| *refuses).map(|(reason, _)| *reason)
}

/// Whether the answer is about the service account, and the pod, of the token.
fn is_about(answer: &Claims, claims: &Claims) -> bool {
    let same = |said: &str, claimed: &str| at(answer, said) == at(claims, claimed);
    let pod = |name: &str| {
        let said =
            at(answer, &format!("/status/user/extra/authentication.kubernetes.io~1pod-{name}"));
        let said = said.and_then(Value::as_array).and_then(|all| all.first());
        said == at(claims, &format!("/kubernetes.io/pod/{name}"))
    };
    same("/status/user/username", "/sub")
        && same("/status/user/uid", "/kubernetes.io/serviceaccount/uid")
        && pod("name")
        && pod("uid")
}

fn claims(token: &str) -> Option<Claims> {
    object(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?)
}
