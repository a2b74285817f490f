//! The one door to a [`Principal`] for tokens.

use super::algorithm::Algorithm;
use super::claims;
use super::compact::{CLAIMS, Compact};
use super::json::{self, Object};
use super::jwk::KeySet;
use super::profile::Form;
use super::refusal::Refusal;
use super::rules::IssuerRules;
use crate::clock::Timestamp;
use crate::principal::{Binding, Identity, Principal, Proof, Subject};

/// Verifies a token of the issuer whose rules and keys are given.
///
/// Whether the token was seen before ([`IssuerRules::one_shot`]) and whether its principal was
/// locked out since (`iat` against the epoch) is for the caller to ask, each time.
///
/// # Errors
/// The [`Refusal`] of the first check that fails, in the order of the module's description.
pub fn verify(
    token: &Compact<'_>,
    rules: &IssuerRules,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let algorithm = check_header(token, rules)?;
    keys.select(token.key_id(), algorithm)?.check(token.jws(), algorithm)?;
    let validity = claims::check(token.claims(), rules, now)?;
    let subject = subject(token.claims(), rules)?;
    let proof = Proof {
        issued_at: Some(validity.issued_at),
        expires_at: validity.expires_at,
        binding: Binding::None,
        digest: token.digest(),
        session: None,
    };
    Ok(Principal::proven(subject, proof))
}

/// The subject that a token with these claims (a JSON object) would prove, if everything about it
/// were in order: what `symbolon policy explain` decides about.
///
/// Signature, dates and audience are not looked at; owners, client, subject and attributes are.
///
/// # Errors
/// The [`Refusal`] of the first of those checks that fails.
pub fn hypothetical(claims: &[u8], rules: &IssuerRules) -> Result<Subject, Refusal> {
    let claims = json::object(claims, CLAIMS).map_err(Refusal::PayloadJson)?;
    subject(&claims, rules)
}

pub(super) fn check_header(token: &Compact<'_>, rules: &IssuerRules) -> Result<Algorithm, Refusal> {
    if !rules.is_of(token)? {
        return Err(Refusal::WrongIssuer);
    }
    if token.jws().bytes > rules.max_token_bytes {
        return Err(Refusal::TooLong);
    }
    let header = &token.jws().header;
    // JWT-SVID §2: other header members than these three must not be there.
    if rules.form == Form::Spiffe && !header.is_bare {
        return Err(Refusal::UnknownHeader);
    }
    let algorithm = Algorithm::parse(&header.algorithm);
    let allowed = algorithm.filter(|algorithm| rules.algorithms.contains(algorithm));
    let type_fits = match &header.media_type {
        Some(name) => rules.types.contains(name),
        None => rules.untyped,
    };
    match allowed {
        Some(_) if !type_fits => Err(Refusal::Type),
        Some(algorithm) => Ok(algorithm),
        None => Err(Refusal::Algorithm),
    }
}

pub(crate) fn subject(claims: &Object, rules: &IssuerRules) -> Result<Subject, Refusal> {
    claims::check_client(claims, rules)?;
    claims::check_owners(claims, rules)?;
    let mut attributes = rules.attributes.apply(claims)?;
    rules.form.derive(claims, &mut attributes)?;
    rules.form.check(claims, rules)?;
    let subject = rules.form.subject(claims::subject(claims, rules)?, claims)?;
    Ok(Subject {
        identity: Identity { issuer: rules.alias.clone(), subject },
        profile: rules.form.record(),
        attributes,
    })
}
