//! Targets as callers see them: what an assertion in a caller's favour says.
//!
//! INVARIANT: the audience comes from the configuration, the subject and the attributes from a
//! [`Principal`], the source identity from the request's id. Nothing that a caller wrote gets into an
//! assertion.
//!
//! INVARIANT: two callers never share a subject: one that is too long is hashed as a whole or refused,
//! and no alias of an issuer can be mistaken for a hash or for the gateway.
//!
//! An assertion reaches a caller of no target but those whose operator says so.
//!
//! A token that a caller gets is not kept and not handed to another: each ask is an exchange of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_core::clock::Timestamp;
use symbolon_core::error::Kind;
use symbolon_core::id::{RequestId, TargetName};
use symbolon_core::principal::{Attribute, Principal};
use symbolon_core::secret::Secret;
use symbolon_host::Seat;
use symbolon_host::answer::ExchangeRequest;

use crate::keyring::{
    AssertionLifetime, Keyring, MoreClaims, SignError, Statement, TargetAudience,
};

/// Longest value of a session tag (AWS).
const MAX_TAG_BYTES: usize = 256;

/// Whom assertions of a target name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The gateway, whoever asks.
    Gateway,
    /// The caller.
    Caller {
        /// Longest subject, in bytes.
        longest: usize,
        /// Whether a longer one is hashed; refused otherwise.
        hashed: bool,
    },
}

/// What assertions say beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// Session tags and source identity of AWS.
    Aws,
}

/// What the operator says of a target for callers.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// Its name.
    pub name: TargetName,
    /// The audience of assertions to it.
    pub audience: TargetAudience,
    /// Whom assertions name.
    pub named: Named,
    /// Attributes of the caller that go to the target.
    pub attributes: Vec<String>,
    /// What assertions say beside.
    pub beside: Beside,
    /// The scopes that its tokens may have.
    pub scopes: Vec<String>,
    /// Whether a caller may have the assertion itself.
    pub is_delivered: bool,
    /// How long a token lasts at most.
    pub ttl: Duration,
    /// Most live tokens.
    pub max_leases: Option<u64>,
}

/// Why no assertion can be made for a caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The target has no such scope.
    #[error("the target does not have a scope that was asked for")]
    Scope,
    /// The caller's subject is too long for the target.
    #[error("the caller's subject is too long for the target")]
    Subject,
    /// The target's cloud does not take the value of an attribute.
    #[error("the value of an attribute is not one that the target takes")]
    Attribute,
    /// The assertion could not be signed.
    #[error("the assertion could not be signed")]
    Sign(#[from] SignError),
}

impl CallerError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Scope | Self::Subject | Self::Attribute => Kind::Denied,
            Self::Sign(error) => error.kind(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Subject => "subject_too_long",
            Self::Attribute => "attribute_value",
            Self::Sign(error) => error.code(),
        }
    }
}

/// A target that callers may be given tokens of.
#[derive(Debug)]
pub struct CallerTarget {
    settings: CallerSettings,
    seat: Seat,
    keyring: Arc<Keyring>,
}

/// Every configured target: ready, or why it is not.
pub type CallerTargets = BTreeMap<TargetName, Result<Arc<CallerTarget>, String>>;

impl CallerTarget {
    /// A target with the place of the component that exchanges for it.
    #[must_use]
    pub fn new(settings: CallerSettings, seat: Seat, keyring: Arc<Keyring>) -> Self {
        Self { settings, seat, keyring }
    }

    /// What the operator says of it.
    #[must_use]
    pub fn settings(&self) -> &CallerSettings {
        &self.settings
    }

    /// Where the component is that exchanges.
    #[must_use]
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The scopes for who asks for `wanted`: those, or all that there are for who asks for none.
    ///
    /// # Errors
    /// [`CallerError::Scope`] if the target does not have one of them.
    pub fn scopes(&self, wanted: &[String]) -> Result<Vec<String>, CallerError> {
        let has = |scope: &String| self.settings.scopes.contains(scope);
        match wanted {
            [] => Ok(self.settings.scopes.clone()),
            wanted if wanted.iter().all(has) => Ok(wanted.to_vec()),
            _ => Err(CallerError::Scope),
        }
    }

    /// What the component is asked for `principal`, with an assertion that is signed now.
    ///
    /// # Errors
    /// [`CallerError`]; nothing was signed.
    pub fn request(
        &self,
        principal: &Principal,
        (scopes, ttl): (Vec<String>, Duration),
        request: RequestId,
        now: Timestamp,
    ) -> Result<ExchangeRequest, CallerError> {
        let attributes = self.attributes(principal);
        let lifetime = AssertionLifetime::SHORTEST;
        let assertion = self.assertion(principal, (&attributes, lifetime), request, now)?;
        Ok(ExchangeRequest { assertion, scopes, ttl, attributes, metadata: Vec::new() })
    }

    /// The assertion itself, for a caller whose library makes the exchange. It says what the component
    /// would be shown, and lasts for `lifetime`.
    ///
    /// # Errors
    /// [`CallerError`]; nothing was signed.
    pub fn delivered(
        &self,
        principal: &Principal,
        lifetime: AssertionLifetime,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Secret, CallerError> {
        let attributes = self.attributes(principal);
        self.assertion(principal, (&attributes, lifetime), request, now)
    }

    fn assertion(
        &self,
        principal: &Principal,
        (attributes, lifetime): (&[(String, String)], AssertionLifetime),
        request: RequestId,
        now: Timestamp,
    ) -> Result<Secret, CallerError> {
        let statement = Statement {
            subject: &self.subject(principal)?,
            audience: &self.settings.audience,
            lifetime,
            more: self.more(attributes, request)?,
        };
        Ok(self.keyring.assertion_signer().sign(&statement, now)?)
    }

    fn subject(&self, principal: &Principal) -> Result<String, CallerError> {
        let (longest, hashed) = match self.settings.named {
            Named::Gateway => return Ok(format!("gateway:{}", self.settings.name)),
            Named::Caller { longest, hashed } => (longest, hashed),
        };
        caller_subject(&principal.identity().to_string(), longest, hashed)
    }

    /// Those of the selected attributes that the caller has. A set of texts has no one text: the
    /// configuration refuses to select it.
    fn attributes(&self, principal: &Principal) -> Vec<(String, String)> {
        let of = &principal.subject().attributes;
        let text = |name: &String| match of.get(name)? {
            Attribute::String(text) => Some((name.clone(), text.clone())),
            Attribute::Long(number) => Some((name.clone(), number.to_string())),
            Attribute::Bool(truth) => Some((name.clone(), truth.to_string())),
            Attribute::Strings(_) => None,
        };
        self.settings.attributes.iter().filter_map(text).collect()
    }

    fn more(
        &self,
        attributes: &[(String, String)],
        request: RequestId,
    ) -> Result<MoreClaims, CallerError> {
        match self.settings.beside {
            Beside::Nothing => Ok(MoreClaims::None),
            Beside::Aws if attributes.iter().all(|(_, value)| is_tag(value)) => {
                let (tags, source_identity) = (attributes.to_vec(), request.to_string());
                Ok(MoreClaims::Aws { tags, source_identity })
            }
            Beside::Aws => Err(CallerError::Attribute),
        }
    }
}

/// The `sub` that stands for a caller: its identity, or what becomes of one that is longer than
/// `longest` bytes.
///
/// # Errors
/// [`CallerError::Subject`] if it is too long, and not to be hashed.
pub fn caller_subject(identity: &str, longest: usize, hashed: bool) -> Result<String, CallerError> {
    if identity.len() <= longest {
        return Ok(identity.to_owned());
    }
    if !hashed {
        return Err(CallerError::Subject);
    }
    let digest = digest(&SHA256, identity.as_bytes());
    Ok(format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest)))
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>, of ASCII alone.
fn is_tag(value: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&b);
    value.len() <= MAX_TAG_BYTES && value.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_no_character_that_aws_would_refuse() {
        for good in ["", "payments", "repo:acme/pay=1 +-@._"] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["a\"b", "a,b", "ä", "a\\b", &"x".repeat(257)] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
