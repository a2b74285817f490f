//! The claims that every token must have, read after its signature is verified.
//!
//! All arithmetic is checked or in 128 bits: an overflow would turn a date of the far future into
//! one of the past, or the reverse.

use std::time::Duration;

use super::compact::is_printable;
use super::json::{Object, Value};
use super::mapping::WrongShape;
use super::refusal::{Claim, Refusal};
use super::rules::{IssuerRules, Owner};
use crate::clock::Timestamp;

/// The dates of a token that is valid now.
#[derive(Debug)]
pub(super) struct Validity {
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Checks dates, audience and binding. (`iss` was compared before the signature was.)
pub(super) fn check(
    claims: &Object,
    rules: &IssuerRules,
    now: Timestamp,
) -> Result<Validity, Refusal> {
    let validity = check_dates(claims, rules, now)?;
    check_audience(claims, rules)?;
    check_token_id(claims)?;
    // What binds a token to a key is worth nothing where nobody asks for the key.
    if claims.has("cnf") {
        return Err(Refusal::Bound);
    }
    Ok(validity)
}

fn check_dates(claims: &Object, rules: &IssuerRules, now: Timestamp) -> Result<Validity, Refusal> {
    let expires_at = required_date(claims, "exp", Claim::ExpiresAt)?;
    let issued_at = required_date(claims, "iat", Claim::IssuedAt)?;
    let not_before = date(claims, "nbf", Claim::NotBefore)?;
    let (now, leeway) = (i128::from(now.millis()), millis(rules.leeway));
    let (begin, end) = (i128::from(issued_at), i128::from(expires_at));
    for (holds, refusal) in [
        (end > now - leeway, Refusal::Expired),
        (not_before.is_none_or(|from| i128::from(from) <= now + leeway), Refusal::NotYetValid),
        (begin <= now + leeway, Refusal::IssuedInFuture),
        (end > begin, Refusal::Backwards),
        (end - begin <= millis(rules.max_lifetime), Refusal::Lifetime),
        (rules.max_age.is_none_or(|age| now - begin <= millis(age) + leeway), Refusal::TooOld),
    ] {
        if !holds {
            return Err(refusal);
        }
    }
    Ok(Validity {
        issued_at: Timestamp::from_millis(issued_at),
        expires_at: Timestamp::from_millis(expires_at),
    })
}

fn millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX / 4)
}

fn required_date(claims: &Object, name: &str, claim: Claim) -> Result<i64, Refusal> {
    date(claims, name, claim)?.ok_or(Refusal::MissingClaim(claim))
}

fn date(claims: &Object, name: &str, claim: Claim) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            number.as_date().map(Some).ok_or(Refusal::MalformedClaim(claim))
        }
        Some(_) => Err(Refusal::MalformedClaim(claim)),
    }
}

fn check_audience(claims: &Object, rules: &IssuerRules) -> Result<(), Refusal> {
    const MALFORMED: Refusal = Refusal::MalformedClaim(Claim::Audience);
    let audience = claims.get("aud").ok_or(Refusal::MissingClaim(Claim::Audience))?;
    let named = match audience {
        Value::String(_) => std::slice::from_ref(audience),
        Value::Array(named) => named.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(MALFORMED);
        }
    };
    let mut ours = false;
    for (index, name) in named.iter().enumerate() {
        let is_audience = |text: &&str| !text.is_empty() && is_printable(text);
        let text = name.as_str().filter(is_audience).ok_or(MALFORMED)?;
        if named.iter().take(index).any(|earlier| earlier == name) {
            return Err(MALFORMED);
        }
        ours |= rules.audiences.iter().any(|audience| audience == text);
    }
    match named.len() {
        0 => Err(MALFORMED),
        _ if !ours => Err(Refusal::Audience),
        2.. if rules.single_audience => Err(Refusal::SeveralAudiences),
        _ => Ok(()),
    }
}

fn check_token_id(claims: &Object) -> Result<(), Refusal> {
    match claims.get("jti") {
        None => Ok(()),
        Some(Value::String(id)) if is_printable(id) => Ok(()),
        Some(_) => Err(Refusal::MalformedClaim(Claim::TokenId)),
    }
}

/// The subject: what the issuer's `subject_claim` points at. `sub` must be in order besides.
pub(super) fn subject(claims: &Object, rules: &IssuerRules) -> Result<String, Refusal> {
    let plain = claims.get("sub").ok_or(Refusal::MissingClaim(Claim::Subject))?;
    let fits =
        |text: &&str| (1..=rules.max_subject_bytes).contains(&text.len()) && is_printable(text);
    if plain.as_str().filter(fits).is_none() {
        return Err(Refusal::MalformedClaim(Claim::Subject));
    }
    let claim =
        if rules.subject_claim.as_str() == "/sub" { Claim::Subject } else { Claim::SubjectClaim };
    let malformed = Refusal::MalformedClaim(claim);
    match rules.subject_claim.find(claims) {
        Err(WrongShape) => Err(malformed),
        Ok(None) => Err(Refusal::MissingClaim(claim)),
        Ok(Some(subject)) => subject.as_str().filter(fits).map(str::to_owned).ok_or(malformed),
    }
}

/// Checks to whom the token was issued, where the rules say to whom it may be.
pub(super) fn check_client(claims: &Object, rules: &IssuerRules) -> Result<(), Refusal> {
    if rules.clients.is_empty() {
        return Ok(());
    }
    let mut named = ["azp", "client_id", "appid"].iter().filter_map(|name| claims.get(name));
    let is_ours = |client: &Value| match client.as_str() {
        Some(client) => rules.clients.iter().any(|known| known == client),
        None => false,
    };
    match named.next() {
        None => Err(Refusal::MissingClaim(Claim::Client)),
        Some(first) if is_ours(first) && named.all(is_ours) => Ok(()),
        Some(_) => Err(Refusal::Client),
    }
}

/// Checks that the token is of an owner named in the issuer's configuration.
pub(super) fn check_owners(claims: &Object, rules: &IssuerRules) -> Result<(), Refusal> {
    let holds = |owner: &Owner| match owner.claim.find(claims) {
        Ok(Some(Value::String(id))) => owner.allowed.contains(id),
        Ok(Some(Value::Number(id))) => match id.as_integer_text() {
            Some(id) => owner.allowed.iter().any(|allowed| allowed == id),
            None => false,
        },
        Ok(_) | Err(WrongShape) => false,
    };
    if rules.owners.iter().all(holds) { Ok(()) } else { Err(Refusal::Owner) }
}
