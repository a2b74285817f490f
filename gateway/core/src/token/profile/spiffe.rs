//! SPIFFE identities (`wire-formats.md` §1.7; SPIFFE-ID, JWT-SVID and X509-SVID specifications).
//!
//! The issuer of the configuration is the trust domain, as `spiffe://acme.example`. A JWT-SVID has no
//! `iss` that says anything: it is of the trust domain of its `sub`, and verified with that domain's
//! keys and no others.

use std::time::Duration;

use super::{COMMON, Form, Terms, text};
use crate::principal::{Attribute, Attributes};
use crate::token::algorithm::Algorithm;
use crate::token::json::Object;
use crate::token::mapping::AttributeType::String as Text;

const SCHEME: &str = "spiffe://";
const MAX_ID_BYTES: usize = 2048;
const MAX_DOMAIN_BYTES: usize = 255;

pub(super) static TERMS: Terms = Terms {
    record: "spiffe",
    algorithms: &[
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ],
    types: &["jwt", "jose"],
    several_audiences: true,
    longest: Duration::from_secs(24 * 3600),
    max_subject_bytes: MAX_ID_BYTES,
    derived: &[("trust_domain", Text), ("path", Text)],
    ..COMMON
};

/// A SPIFFE ID of a workload, in its one form: lower-case trust domain, a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiffeId<'a> {
    text: &'a str,
    domain: &'a str,
}

impl<'a> SpiffeId<'a> {
    /// Parses an id. The root of a trust domain (no path) is nobody's identity.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= MAX_ID_BYTES)?;
        let (domain, path) = rest.split_once('/')?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_segment =
            |segment: &str| !["", ".", ".."].contains(&segment) && segment.bytes().all(is_plain);
        let fits = is_domain(domain) && path.split('/').all(is_segment);
        fits.then_some(Self { text, domain })
    }

    /// The trust domain, without scheme.
    #[must_use]
    pub const fn domain(&self) -> &'a str {
        self.domain
    }

    /// The path, with its first `/`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.text.get(SCHEME.len() + self.domain.len()..).unwrap_or_default()
    }

    /// The issuer's name of the trust domain: the id without its path.
    #[must_use]
    pub fn issuer(&self) -> &'a str {
        self.text.get(..SCHEME.len() + self.domain.len()).unwrap_or_default()
    }
}

fn is_domain(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=MAX_DOMAIN_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}

pub(super) fn form(issuer: &str) -> Option<Form> {
    issuer.strip_prefix(SCHEME).filter(|domain| is_domain(domain)).map(|_| Form::Spiffe)
}

pub(super) fn derive(claims: &Object, attributes: &mut Attributes) {
    if let Some(id) = text(claims, "sub").and_then(SpiffeId::parse) {
        attributes.extend(parts(&id));
    }
}

/// The attributes of an id.
fn parts(id: &SpiffeId<'_>) -> [(String, Attribute); 2] {
    [("trust_domain", id.domain()), ("path", id.path())]
        .map(|(name, part)| (name.to_owned(), Attribute::String(part.to_owned())))
}
