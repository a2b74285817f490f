//! Access tokens of our own (RFC 9068): written and read in one place, so that the two agree.
//!
//! Such a token stands for a principal of another issuer. It names that issuer's alias, the subject
//! and the mapped attributes with their types, and proves exactly this principal again; policies,
//! epochs and locks are asked about it as about the first proof.
//!
//! INVARIANT: a token outlives neither fifteen minutes nor the proof that it was exchanged for, and an
//! exchange neither lengthens nor widens: end, scope and actors come from what was shown.
//!
//! INVARIANT: to epochs it is as old as the first proof behind it. Who was logged out does not get
//! back in with a token that was made of an older one.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json, json};

use super::algorithm::Algorithm;
use super::claims;
use super::compact::Compact;
use super::delegation::{actors_of, written};
use super::json::{Object, Value};
use super::jwk::KeySet;
use super::refusal::{Claim, Refusal};
use super::rules::{IssuerRules, Issuers};
use super::verify::check_header;
use crate::clock::Timestamp;
use crate::id::IssuerAlias;
use crate::principal::{
    Actor, Attribute, Attributes, Binding, Identity, Principal, Proof, Session, Subject,
};
use crate::scope::Scope;

/// The longest life of an access token.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The member that holds the principal.
const PRINCIPAL: &str = "symbolon";
/// Longest `sub`: an alias, a slash, and the subject.
const MAX_SUBJECT_BYTES: usize = 2048;

/// What is to be signed for a principal.
#[derive(Clone, Debug)]
pub struct Grant {
    /// `jti`, which nobody can guess.
    pub id: String,
    /// When it is signed.
    pub issued_at: Timestamp,
    /// How long it shall last; less if the principal's proof ends before.
    pub ttl: Duration,
    /// What it is good for; no more than the proof is.
    pub scope: Scope,
    /// Who acts, the latest first.
    pub actors: Vec<Actor>,
}

/// The claims of a token, and when it ends.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// As they are signed.
    pub claims: Json,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// The rules for our own tokens: one issuer, which is the audience too, one type, one algorithm.
#[must_use]
pub fn own_rules(alias: IssuerAlias, origin: &str, longest_token: usize) -> IssuerRules {
    IssuerRules {
        algorithms: vec![Algorithm::EdDsa],
        types: vec![String::from("at+jwt")],
        untyped: false,
        max_token_bytes: longest_token,
        max_lifetime: LONGEST,
        leeway: Duration::ZERO,
        max_subject_bytes: MAX_SUBJECT_BYTES,
        ..IssuerRules::new(alias, origin, vec![origin.to_owned()])
    }
}

/// The claims for `principal`; `None` if its proof has ended or holds less than `grant` asks for, or its
/// name does not fit into a `sub`.
#[must_use]
pub fn draw(origin: &str, principal: &Principal, grant: &Grant) -> Option<Drawn> {
    let (identity, proof) = (principal.identity(), principal.proof());
    let ttl = grant.ttl.min(LONGEST);
    let issued_at = grant.issued_at.seconds();
    let expires_at = Timestamp::from_seconds(
        grant.issued_at.plus(ttl).seconds().min(proof.expires_at.seconds()),
    );
    let fits = grant.scope.is_within(proof.scope().unwrap_or(Scope::EVERYTHING));
    let is_short = identity.to_string().len() <= MAX_SUBJECT_BYTES;
    if !fits || !is_short || expires_at.seconds() <= issued_at {
        return None;
    }
    let first = proof.issued_at.map_or(issued_at, |at| at.seconds().min(issued_at));
    let family = match &proof.session {
        Some(session) => session.family,
        None => family(&grant.id),
    };
    let mut claims = json!({
        "iss": origin,
        "aud": origin,
        "sub": identity.to_string(),
        "client_id": identity.to_string(),
        "iat": issued_at,
        "exp": expires_at.seconds(),
        "auth_time": first,
        "jti": grant.id,
        "scope": grant.scope.to_string(),
        PRINCIPAL: {
            "issuer": identity.issuer.as_str(),
            "subject": identity.subject,
            "attributes": attributes(&principal.subject().attributes),
            "family": URL_SAFE_NO_PAD.encode(family),
        },
    });
    if let (Some(act), Some(claims)) = (written(&grant.actors), claims.as_object_mut()) {
        claims.insert(String::from("act"), act);
    }
    Some(Drawn { claims, expires_at })
}

fn family(id: &str) -> [u8; 32] {
    let mut family = [0; 32];
    let digest = digest(&SHA256, format!("family {id}").as_bytes());
    family.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    family
}

fn attributes(of: &Attributes) -> Map<String, Json> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::String(text) => json!(text),
        Attribute::Long(number) => json!(number),
        Attribute::Bool(truth) => json!(truth),
        Attribute::Strings(texts) => json!(texts),
    };
    of.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect()
}

/// Verifies an access token of our own, by `rules` (see [`own_rules`]) and the keys of ours. The
/// issuer that it speaks for must be among `issuers`.
///
/// Whether its family was withdrawn, and whether its principal was locked out since, is for the caller
/// to ask, each time.
///
/// # Errors
/// The [`Refusal`] of the first check that fails.
pub fn verify_own(
    token: &Compact<'_>,
    rules: &IssuerRules,
    keys: &KeySet,
    issuers: &Issuers,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let algorithm = check_header(token, rules)?;
    keys.select(token.key_id(), algorithm)?.check(token.jws(), algorithm)?;
    let validity = claims::check(token.claims(), rules, now)?;
    let claims = token.claims();
    let subject = subject(claims, rules, issuers)?;
    let first = date(claims, "auth_time").ok_or(OWN)?;
    let session = Session {
        id: text(claims, "jti").ok_or(Refusal::MalformedClaim(Claim::TokenId))?.to_owned(),
        issued_at: validity.issued_at,
        family: member(claims).and_then(own_family).ok_or(OWN)?,
        scope: text(claims, "scope").and_then(Scope::parse).ok_or(OWN)?,
        actors: actors_of(claims)?,
    };
    let proof = Proof {
        issued_at: Some(first.min(validity.issued_at)),
        expires_at: validity.expires_at,
        binding: Binding::None,
        digest: token.digest(),
        session: Some(Arc::new(session)),
    };
    Ok(Principal::proven(subject, proof))
}

/// What leases hang on that were asked for with this token: its own digest, or the family of an access
/// token of ours. For who has the token and wants its leases ended; nothing is verified.
#[must_use]
pub fn leases_of(token: &Compact<'_>) -> [u8; 32] {
    let is_ours = token.jws().header.media_type.as_deref() == Some("at+jwt");
    let family = member(token.claims()).filter(|_| is_ours).and_then(own_family);
    family.unwrap_or_else(|| token.digest())
}

/// A claim that only we write is not what we write.
const OWN: Refusal = Refusal::MalformedClaim(Claim::Principal);

fn subject(claims: &Object, rules: &IssuerRules, issuers: &Issuers) -> Result<Subject, Refusal> {
    let named = claims::subject(claims, rules)?;
    let member = member(claims).ok_or(OWN)?;
    let issuer = text(member, "issuer").and_then(|alias| IssuerAlias::parse(alias).ok());
    let issuer = issuer.ok_or(OWN)?;
    let known = issuers.iter().find(|rules| rules.alias == issuer);
    let profile = known.ok_or(Refusal::UnknownIssuer)?.form.record();
    let identity = Identity { issuer, subject: text(member, "subject").ok_or(OWN)?.to_owned() };
    let attributes = member.get("attributes").and_then(read_attributes).ok_or(OWN)?;
    if identity.to_string() == named {
        Ok(Subject { identity, profile, attributes })
    } else {
        Err(OWN)
    }
}

fn read_attributes(value: &Value) -> Option<Attributes> {
    let read = |(name, value): (&str, &Value)| {
        let attribute = match value {
            Value::String(text) => Attribute::String(text.clone()),
            Value::Number(number) => Attribute::Long(number.as_long()?),
            Value::Bool(truth) => Attribute::Bool(*truth),
            Value::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                Attribute::Strings(texts.collect::<Option<_>>()?)
            }
            Value::Null | Value::Object(_) => return None,
        };
        Some((name.to_owned(), attribute))
    };
    value.as_object()?.members().map(read).collect()
}

fn own_family(member: &Object) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text(member, "family")?).ok()?.try_into().ok()
}

fn member(claims: &Object) -> Option<&Object> {
    claims.get(PRINCIPAL)?.as_object()
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn date(claims: &Object, name: &str) -> Option<Timestamp> {
    match claims.get(name)? {
        Value::Number(number) => number.as_date().map(Timestamp::from_millis),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}
