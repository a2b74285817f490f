//! Why a token would be accepted, or would not: every check by name, against the keys, locks and
//! epochs in force.
//!
//! The very checks that a request goes through, and not a copy of them: which one refuses is what the
//! refusal says. Nothing is remembered and nothing is used up.

use symbolon_core::token::{Check, Compact, IssuerRules, MAX_TOKEN_BYTES, Outline, Refusal};

use super::{Authenticator, Unproven, Verified};

/// What became of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It refused: the audit code, and why.
    Refused(&'static str, String),
    /// One before it refused.
    NotReached,
    /// It is not made here: why.
    NotMade(&'static str),
}

/// One check and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What became of it.
    pub verdict: Verdict,
}

/// Everything that can be said of a token without showing it.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The alias of its issuer, if one is registered.
    pub issuer: Option<String>,
    /// Whom it proves, if it is accepted.
    pub principal: Option<String>,
    /// The attributes that it gives, if it is accepted.
    pub attributes: Vec<String>,
    /// What it says of itself, if it can be read.
    pub outline: Option<Outline>,
    /// Every check, in order.
    pub steps: Vec<Step>,
}

/// Checks that are not of the token alone, by name.
const KEYS: &str = "keys";
const BARRIERS: &str = "locks and epochs";
const ONCE: &str = "first use";

/// The names of all checks, in order: the keys are needed after the issuer is known.
fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for check in Check::ALL {
        names.push(check.name());
        if check == Check::Issuer {
            names.push(KEYS);
        }
    }
    names.extend([BARRIERS, ONCE]);
    names
}

impl Authenticator {
    /// Examines a token.
    ///
    /// Cancel-safe.
    pub async fn examine(&self, token: &str) -> Examination {
        let parsed = Compact::parse(token, MAX_TOKEN_BYTES);
        let issuer = parsed.as_ref().ok().and_then(|token| self.issuers.select(token).ok());
        let alias = issuer.map(|rules| rules.alias.to_string());
        let outline = parsed.as_ref().ok().map(Compact::outline);
        let verified = match &parsed {
            Ok(compact) => Box::pin(self.establish((token, compact), None)).await,
            Err(refusal) => Err(refusal.clone().into()),
        };
        let (principal, attributes) = match &verified {
            Ok(verified) => {
                let names = verified.principal.subject().attributes.keys().cloned();
                (Some(verified.principal.identity().to_string()), names.collect())
            }
            Err(_) => (None, Vec::new()),
        };
        let unmade = self.unmade(issuer.map(|rules| &**rules));
        let steps = self.steps(verified, &unmade);
        Examination { issuer: alias, principal, attributes, outline, steps }
    }

    /// The checks that an issuer's tokens do not go through.
    fn unmade(&self, rules: Option<&IssuerRules>) -> Vec<(&'static str, &'static str)> {
        let reviewer = rules.and_then(|rules| self.online.reviewers.get(&rules.alias));
        let keys = rules.and_then(|rules| self.keys.get(&rules.alias)?.current());
        if reviewer.is_none() {
            return vec![(Check::Review.name(), "the issuer's block has no `review`")];
        }
        if keys.is_some_and(|keys| !keys.is_empty()) {
            return Vec::new();
        }
        let asked = "the cluster is asked instead";
        [KEYS, Check::Key.name(), Check::Signature.name()].map(|name| (name, asked)).to_vec()
    }

    fn steps(
        &self,
        verified: Result<Verified, Unproven>,
        unmade: &[(&'static str, &'static str)],
    ) -> Vec<Step> {
        let (failed, refusal, last) = match verified {
            Err(unproven) => {
                let why = Verdict::Refused(unproven.code(), reason(&unproven));
                (Some(place(&unproven)), Some(why), Verdict::NotReached)
            }
            Ok(verified) => match self.admits(&verified.principal) {
                Err(barred) => {
                    let why = Verdict::Refused(barred.code(), barred.to_string());
                    (Some(BARRIERS), Some(why), Verdict::NotReached)
                }
                Ok(()) if verified.one_shot => {
                    (None, None, Verdict::NotMade("asking would use the token up"))
                }
                Ok(()) => {
                    (None, None, Verdict::NotMade("the issuer's tokens are good more than once"))
                }
            },
        };
        let mut reached = true;
        let reason_of =
            |name| unmade.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason);
        let step = |name| {
            let verdict = match &refusal {
                Some(why) if failed == Some(name) => {
                    reached = false;
                    why.clone()
                }
                Some(_) | None if name == ONCE => last.clone(),
                Some(_) | None if reached && reason_of(name).is_some() => {
                    reason_of(name).map_or(Verdict::Passed, Verdict::NotMade)
                }
                Some(_) | None if reached => Verdict::Passed,
                Some(_) | None => Verdict::NotReached,
            };
            Step { name, verdict }
        };
        names().into_iter().map(step).collect()
    }
}

/// The check that refused.
fn place(unproven: &Unproven) -> &'static str {
    match unproven {
        Unproven::Token(refusal) => refusal.check().name(),
        Unproven::NoKeys => KEYS,
        Unproven::Crowded => Check::Signature.name(),
        Unproven::Online(_) => Check::Review.name(),
        Unproven::Signed(_) | Unproven::Certificate(_) | Unproven::Replay(_) => ONCE,
    }
}

fn reason(unproven: &Unproven) -> String {
    match unproven {
        Unproven::Token(refusal) => refusal.to_string() + hint(refusal),
        Unproven::Online(error) => error.to_string(),
        Unproven::NoKeys
        | Unproven::Crowded
        | Unproven::Signed(_)
        | Unproven::Certificate(_)
        | Unproven::Replay(_) => unproven.to_string(),
    }
}

/// What to look at next, where it is not the message itself.
fn hint(refusal: &Refusal) -> &'static str {
    match refusal.check() {
        Check::Issuer => "; `iss` is compared byte for byte, a last `/` counts",
        Check::Key => {
            "; a key that is newer than the last fetch is fetched at once, at most every 30 s"
        }
        Check::Signature => "; is it the token of another cluster or instance of the same name?",
        Check::Audience => {
            "; have it issued for one of the issuer's `audiences`, and for nobody else"
        }
        Check::Owner => "; compare the issuer's `owners` with the claims",
        Check::Text
        | Check::Header
        | Check::Payload
        | Check::Algorithm
        | Check::Type
        | Check::Dates
        | Check::TokenId
        | Check::Binding
        | Check::Client
        | Check::Attributes
        | Check::Subject
        | Check::Review => "",
    }
}
