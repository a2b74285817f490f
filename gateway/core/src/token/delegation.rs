//! Who acts for whom (RFC 8693 §4.1 and §4.4).
//!
//! `act` is history: it is carried on, bounded, and shown, and changes no decision but by what
//! operators write about it. `may_act` binds: a subject that names who may act for it is believed.
//!
//! INVARIANT: the chain of an exchange is never shorter than that of the token that was shown: what
//! was delegated does not become the subject's own by another exchange.

use serde_json::{Value as Json, json};

use super::compact::{Compact, is_printable};
use super::json::{Object, Value};
use super::refusal::{Claim, Refusal};
use crate::principal::{Actor, Principal};

/// Most actors in a chain.
pub const MAX_ACTORS: usize = 4;
/// Longest issuer or subject of an actor, in bytes.
const MAX_NAME_BYTES: usize = 2048;

/// A token that was verified, together with what it proved.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    token: &'a Compact<'a>,
    principal: &'a Principal,
}

impl<'a> Shown<'a> {
    /// `token` and the principal that was proven by it.
    ///
    /// # Errors
    /// [`Refusal::Signature`] if that principal was proven by another token.
    pub fn new(token: &'a Compact<'a>, principal: &'a Principal) -> Result<Self, Refusal> {
        let is_it = token.digest() == principal.proof().digest;
        if is_it { Ok(Self { token, principal }) } else { Err(Refusal::Signature) }
    }

    fn as_actor(self) -> Result<Actor, Refusal> {
        let identity = self.principal.identity();
        // As the token has it: one of our own has the alias of the issuer in its subject.
        let subject = match self.principal.proof().session {
            Some(_) => identity.to_string(),
            None => identity.subject.clone(),
        };
        Ok(Actor { issuer: Some(self.token.issuer()?.to_owned()), subject })
    }
}

/// Who acts in what is exchanged for `subject`, the latest first; a subject that is no token has no
/// history, and names nobody who may act for it.
///
/// # Errors
/// [`Refusal::Actor`] if the subject names who may act for it and the actor is somebody else;
/// [`Refusal::TooManyActors`]; [`Refusal::MalformedClaim`].
pub fn delegate(
    subject: Option<Shown<'_>>,
    actor: Option<Shown<'_>>,
) -> Result<Vec<Actor>, Refusal> {
    let claims = subject.map(|subject| subject.token.claims());
    let mut actors = claims.map(actors_of).transpose()?.unwrap_or_default();
    if let Some(actor) = actor {
        claims.map_or(Ok(()), |claims| may_act(claims, actor))?;
        actors.insert(0, actor.as_actor()?);
    }
    if actors.len() > MAX_ACTORS { Err(Refusal::TooManyActors) } else { Ok(actors) }
}

/// Every member of `may_act` must be the actor's claim of the same name.
fn may_act(subject: &Object, actor: Shown<'_>) -> Result<(), Refusal> {
    let Some(named) = subject.get("may_act") else { return Ok(()) };
    let named = named.as_object().ok_or(Refusal::MalformedClaim(Claim::MayAct))?;
    let claims = actor.token.claims();
    let fits = named.members().all(|(name, value)| claims.get(name) == Some(value));
    // Nobody is named by an empty object.
    let names_somebody = named.members().next().is_some();
    if fits && names_somebody { Ok(()) } else { Err(Refusal::Actor) }
}

/// The actors in the claim `act`, the latest first.
pub(super) fn actors_of(claims: &Object) -> Result<Vec<Actor>, Refusal> {
    const MALFORMED: Refusal = Refusal::MalformedClaim(Claim::Act);
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        if actors.len() == MAX_ACTORS {
            return Err(Refusal::TooManyActors);
        }
        let act = act.as_object().ok_or(MALFORMED)?;
        let subject = act.get("sub").and_then(name).ok_or(MALFORMED)?;
        let issuer = act.get("iss").map(|issuer| name(issuer).ok_or(MALFORMED)).transpose()?;
        actors.push(Actor { issuer, subject });
        next = act.get("act");
    }
    Ok(actors)
}

fn name(value: &Value) -> Option<String> {
    let fits = |text: &&str| (1..=MAX_NAME_BYTES).contains(&text.len()) && is_printable(text);
    value.as_str().filter(fits).map(str::to_owned)
}

/// The claim `act` for these actors.
#[must_use]
pub fn written(actors: &[Actor]) -> Option<Json> {
    actors.iter().rev().fold(None, |prior, actor| {
        let mut act = json!({ "sub": actor.subject });
        if let Some(members) = act.as_object_mut() {
            members.extend(actor.issuer.iter().map(|issuer| (String::from("iss"), json!(issuer))));
            members.extend(prior.map(|prior| (String::from("act"), prior)));
        }
        Some(act)
    })
}
