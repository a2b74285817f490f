//! What one issuer's tokens must be like, and which issuers there are.
//!
//! An issuer shared by strangers (everybody's CI jobs have the same `iss`) is only usable together
//! with the ids of its owners, here in the issuer's own block: checked before there is a principal,
//! so that no policy can forget it.
//!
//! INVARIANT: an issuer is found by the exact bytes of its `iss`. No case folding, no trimmed
//! slash, no normalisation, no prefix.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::compact::{Compact, MAX_TOKEN_BYTES, is_printable, media_type};
use super::mapping::{ClaimMapping, Pointer};
use super::refusal::Refusal;
use crate::id::IssuerAlias;

const MAX_LEEWAY: Duration = Duration::from_secs(60);
const MAX_ISSUER_BYTES: usize = 2048;
const MAX_SUBJECT_BYTES: usize = 2048;
const DEFAULT_TOKEN_BYTES: usize = 16 * 1024;

/// Issuers whose tokens strangers can get.
const SHARED: [&str; 12] = [
    "https://accounts.google.com",
    "accounts.google.com",
    "https://agent.buildkite.com",
    "https://api.pulumi.com/oidc",
    "https://app.terraform.io",
    "https://gitlab.com",
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "https://login.microsoftonline.com/common/v2.0",
    "https://login.microsoftonline.com/consumers/v2.0",
    "https://login.microsoftonline.com/organizations/v2.0",
    "https://oidc.vercel.com",
    "https://token.actions.githubusercontent.com",
];

/// Which rules beyond the common ones a token follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Any OpenID Connect issuer.
    Oidc,
}

impl Profile {
    /// The name in the configuration, and of the record of attributes in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
        }
    }
}

/// A claim that says whose a token is, and the values that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The claim, such as `/repository_owner_id`.
    pub claim: Pointer,
    /// The values, compared byte for byte; an integer claim by its digits.
    pub allowed: Vec<String>,
}

/// What a token of one issuer must be like.
#[derive(Clone, Debug)]
pub struct IssuerRules {
    /// The issuer's name in the gateway.
    pub alias: IssuerAlias,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The profile.
    pub profile: Profile,
    /// The gateway's names for itself towards this issuer; one of them must be in `aud`.
    pub audiences: Vec<String>,
    /// Whether `aud` may name nobody else (on by default: every audience of a token can replay it).
    pub single_audience: bool,
    /// Allowed algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Allowed values of `typ`, in lower case and without `application/`.
    pub types: Vec<String>,
    /// Whether a token may have no `typ`.
    pub untyped: bool,
    /// Longest token.
    pub max_token_bytes: usize,
    /// Most that `exp - iat` may be.
    pub max_lifetime: Duration,
    /// Most that `iat` may be ago; without it, `max_lifetime` bounds that too.
    pub max_age: Option<Duration>,
    /// How far the issuer's clock may be off.
    pub leeway: Duration,
    /// Longest subject.
    pub max_subject_bytes: usize,
    /// Whether a token is good once. Enforced by the replay set, not here.
    pub one_shot: bool,
    /// If not empty: every `azp`, `client_id` and `appid` must be one of these, and one be there.
    pub clients: Vec<String>,
    /// All of these must hold.
    pub owners: Vec<Owner>,
    /// The claim that becomes the subject.
    pub subject_claim: Pointer,
    /// The claims that become attributes.
    pub attributes: ClaimMapping,
}

impl IssuerRules {
    /// The default rules: ES256 and RS256, one audience, `typ` absent or `JWT`, at most an hour,
    /// 30 seconds of leeway.
    #[must_use]
    pub fn new(alias: IssuerAlias, issuer: &str, audiences: Vec<String>) -> Self {
        Self {
            alias,
            issuer: issuer.to_owned(),
            profile: Profile::Oidc,
            audiences,
            single_audience: true,
            algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
            types: vec!["jwt".to_owned()],
            untyped: true,
            max_token_bytes: DEFAULT_TOKEN_BYTES,
            max_lifetime: Duration::from_secs(3600),
            max_age: None,
            leeway: Duration::from_secs(30),
            max_subject_bytes: 255,
            one_shot: false,
            clients: Vec::new(),
            owners: Vec::new(),
            subject_claim: Pointer::to_claim("sub"),
            attributes: ClaimMapping::default(),
        }
    }

    /// Whether the rules can be used at all, and are no looser than any issuer's may be.
    ///
    /// # Errors
    /// The first [`RulesError`].
    pub fn check(&self) -> Result<(), RulesError> {
        let is_text =
            |text: &str| (1..=MAX_ISSUER_BYTES).contains(&text.len()) && is_printable(text);
        let is_type = |name: &String| is_text(name) && media_type(name) == *name;
        let is_shared = SHARED.contains(&self.issuer.as_str());
        for (holds, error) in [
            (is_text(&self.issuer), RulesError::Issuer),
            (!self.audiences.is_empty(), RulesError::Audience),
            (self.audiences.iter().all(|audience| is_text(audience)), RulesError::Audience),
            (!self.algorithms.is_empty(), RulesError::Algorithm),
            (self.untyped || !self.types.is_empty(), RulesError::Type),
            (self.types.iter().all(is_type), RulesError::Type),
            ((1..=MAX_TOKEN_BYTES).contains(&self.max_token_bytes), RulesError::TokenBytes),
            (!self.max_lifetime.is_zero(), RulesError::Lifetime),
            (self.leeway <= MAX_LEEWAY, RulesError::Leeway),
            ((1..=MAX_SUBJECT_BYTES).contains(&self.max_subject_bytes), RulesError::SubjectBytes),
            (self.owners.iter().all(|owner| !owner.allowed.is_empty()), RulesError::Owner),
            (!is_shared || !self.owners.is_empty(), RulesError::SharedWithoutOwners),
        ] {
            if !holds {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Why the rules of an issuer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No usable `iss`.
    #[error("the issuer must be 1 to 2048 bytes without control characters")]
    Issuer,
    /// No usable audience.
    #[error("at least one audience is needed, each 1 to 2048 bytes without control characters")]
    Audience,
    /// No algorithm.
    #[error("at least one algorithm is needed")]
    Algorithm,
    /// No usable type.
    #[error(
        "token types are written in lower case without `application/`, and at least one is needed where tokens without `typ` are refused"
    )]
    Type,
    /// The size limit is out of range.
    #[error("the longest token must be 1 to 20000 bytes")]
    TokenBytes,
    /// No lifetime.
    #[error("the longest lifetime must not be zero")]
    Lifetime,
    /// Too much leeway.
    #[error("the leeway must not be over 60 seconds")]
    Leeway,
    /// The subject limit is out of range.
    #[error("the longest subject must be 1 to 2048 bytes")]
    SubjectBytes,
    /// An owner without values.
    #[error("an owner's claim needs at least one allowed value")]
    Owner,
    /// Everybody can get tokens of this issuer.
    #[error("strangers can get tokens of this issuer: `owners` must name the ids that are yours")]
    SharedWithoutOwners,
    /// Two issuers of one `iss`.
    #[error("another issuer has the same `iss`")]
    SameIssuer,
    /// Two issuers of one alias.
    #[error("another issuer has the same alias")]
    SameAlias,
}

/// The registered issuers.
#[derive(Clone, Debug, Default)]
pub struct Issuers(HashMap<String, Arc<IssuerRules>>);

impl Issuers {
    /// Registers issuers.
    ///
    /// # Errors
    /// The alias of the first issuer whose rules cannot be used, and why.
    pub fn new(
        rules: impl IntoIterator<Item = Arc<IssuerRules>>,
    ) -> Result<Self, (IssuerAlias, RulesError)> {
        let mut issuers = Self::default();
        for rules in rules {
            issuers.add(&rules).map_err(|error| (rules.alias.clone(), error))?;
        }
        Ok(issuers)
    }

    fn add(&mut self, rules: &Arc<IssuerRules>) -> Result<(), RulesError> {
        rules.check()?;
        if self.iter().any(|known| known.alias == rules.alias) {
            return Err(RulesError::SameAlias);
        }
        match self.0.insert(rules.issuer.clone(), Arc::clone(rules)) {
            Some(_) => Err(RulesError::SameIssuer),
            None => Ok(()),
        }
    }

    /// The rules for a token, by its unproven `iss`.
    ///
    /// # Errors
    /// [`Refusal::UnknownIssuer`], or that of [`Compact::issuer`].
    pub fn select(&self, token: &Compact<'_>) -> Result<&Arc<IssuerRules>, Refusal> {
        self.0.get(token.issuer()?).ok_or(Refusal::UnknownIssuer)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<IssuerRules>> {
        self.0.values()
    }
}
