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
use super::mapping::{AttributeType, ClaimMapping, Pointer};
use super::profile::{Form, ObjectBinding, Profile, Terms};
use super::refusal::{Claim, Refusal};
use crate::id::IssuerAlias;

const MAX_LEEWAY: Duration = Duration::from_secs(60);
const MAX_ISSUER_BYTES: usize = 2048;
const MAX_SUBJECT_BYTES: usize = 2048;
const DEFAULT_TOKEN_BYTES: usize = 16 * 1024;

/// Issuers whose tokens strangers can get, and the claims that say whose a token is: one of them must
/// be among the owners. Where none is named, any will do.
const SHARED: [(&str, &[&str]); 9] = [
    (
        "https://accounts.google.com",
        &[
            "/sub",
            "/email",
            "/google/compute_engine/project_id",
            "/google/compute_engine/project_number",
        ],
    ),
    ("accounts.google.com", &["/sub", "/email"]),
    ("https://agent.buildkite.com", &["/organization_id", "/organization_slug"]),
    ("https://api.pulumi.com/oidc", &[]),
    ("https://app.terraform.io", &["/terraform_organization_id", "/terraform_workspace_id"]),
    ("https://gitlab.com", &["/namespace_id", "/project_id"]),
    (
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        &["/oid", "/sub"],
    ),
    ("https://oidc.vercel.com", &["/owner_id", "/project_id"]),
    (
        "https://token.actions.githubusercontent.com",
        &["/repository_owner_id", "/repository_id", "/enterprise_id"],
    ),
];

/// Names under which tenants of Entra share an endpoint. Their discovery document names a template,
/// so that no token has them for its issuer.
const TENANTLESS: [&str; 3] = ["common", "consumers", "organizations"];

/// Types of tokens that are worth nothing without a second proof: never accepted as bearer tokens.
const BOUND_TYPES: [&str; 3] = ["wit+jwt", "wpt+jwt", "dpop+jwt"];

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
    /// What its proofs look like.
    pub form: Form,
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
    /// To what a token of a Kubernetes cluster may be bound.
    pub bindings: Vec<ObjectBinding>,
}

impl IssuerRules {
    /// The rules of a profile.
    ///
    /// # Errors
    /// [`RulesError::Name`] if the profile has no issuer of this name.
    pub fn of(
        profile: Profile,
        alias: IssuerAlias,
        issuer: &str,
        audiences: Vec<String>,
    ) -> Result<Self, RulesError> {
        let form = profile.form(issuer)?;
        let rules = Self::new(alias, issuer, audiences);
        if form == Form::Oidc {
            return Ok(rules);
        }
        let terms = form.terms();
        let subject = terms.subjects.first().and_then(|subject| Pointer::parse(subject).ok());
        Ok(Self {
            form,
            algorithms: terms.algorithms.to_vec(),
            types: terms.types.iter().map(|name| (*name).to_owned()).collect(),
            untyped: terms.untyped,
            max_lifetime: terms.lifetime,
            max_subject_bytes: terms.max_subject_bytes,
            subject_claim: subject.unwrap_or(rules.subject_claim),
            attributes: form.mapping(),
            ..rules
        })
    }

    /// The default rules: ES256 and RS256, one audience, `typ` absent or `JWT`, at most an hour,
    /// 30 seconds of leeway.
    #[must_use]
    pub fn new(alias: IssuerAlias, issuer: &str, audiences: Vec<String>) -> Self {
        Self {
            alias,
            issuer: issuer.to_owned(),
            form: Form::Oidc,
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
            bindings: vec![ObjectBinding::Pod],
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
        let is_tenantless = TENANTLESS.iter().any(|name| {
            self.issuer.strip_prefix("https://login.microsoftonline.com/")
                == Some(&format!("{name}/v2.0"))
                || self.issuer == format!("https://sts.windows.net/{name}/")
        });
        let terms = self.form.terms();
        let is_bound = |name: &String| BOUND_TYPES.contains(&name.as_str());
        let is_foreign = |audience: &String| terms.foreign.contains(&audience.as_str());
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
            (!is_tenantless, RulesError::Tenantless),
            (!self.types.iter().any(is_bound), RulesError::BoundType),
            (!self.audiences.iter().any(is_foreign), RulesError::ForeignAudience),
            (!self.bindings.is_empty(), RulesError::Bindings),
        ] {
            if !holds {
                return Err(error);
            }
        }
        self.check_owned()?;
        self.check_bounds(terms)
    }

    /// Issuers that sign for strangers too need an owner, and of the claims that say whose it is.
    fn check_owned(&self) -> Result<(), RulesError> {
        let shared = SHARED.iter().find(|(issuer, _)| *issuer == self.issuer);
        let needed = self.form.terms().owners;
        let claims = match shared {
            Some((_, claims)) if needed.is_empty() => claims,
            Some(_) | None if !needed.is_empty() => &needed,
            Some(_) | None => return Ok(()),
        };
        let names = |owner: &Owner| claims.contains(&owner.claim.as_str());
        match (self.owners.is_empty(), claims.is_empty() || self.owners.iter().any(names)) {
            (true, _) => Err(RulesError::SharedWithoutOwners(claims)),
            (false, false) => Err(RulesError::OwnerClaim(claims)),
            (false, true) => Ok(()),
        }
    }

    /// What a profile says is a bound: it can be narrowed and never be widened.
    fn check_bounds(&self, terms: &Terms) -> Result<(), RulesError> {
        if self.form == Form::Oidc {
            return Ok(());
        }
        let is_type = |name: &String| terms.types.contains(&name.as_str());
        let has_subject = terms.subjects.contains(&self.subject_claim.as_str());
        for (holds, key) in [
            (self.algorithms.iter().all(|known| terms.algorithms.contains(known)), "algorithms"),
            (self.types.iter().all(is_type), "types"),
            (terms.untyped || !self.untyped, "untyped"),
            (terms.several_audiences || self.single_audience, "single_audience"),
            (self.max_lifetime <= terms.longest, "max_lifetime"),
            (has_subject, "subject"),
        ] {
            if !holds {
                return Err(RulesError::Looser(key));
            }
        }
        Ok(())
    }

    /// The attributes that policies see, with their types.
    pub fn attribute_types(&self) -> impl Iterator<Item = (&str, AttributeType)> {
        let mapped = self.attributes.rules().map(|rule| (rule.name.as_str(), rule.kind));
        mapped.chain(self.form.terms().derived.iter().copied())
    }

    /// Whether the unproven `iss` (or, of a SPIFFE document, the trust domain) is this issuer's.
    pub(super) fn is_of(&self, token: &Compact<'_>) -> Result<bool, Refusal> {
        match self.form {
            Form::Spiffe => Ok(token.trust_domain() == Some(self.issuer.as_str())),
            Form::Oidc
            | Form::AwsToken
            | Form::AwsSigned
            | Form::Entra(_)
            | Form::Github
            | Form::Gitlab
            | Form::Google
            | Form::Kubernetes(_)
            | Form::Certificate => Ok(token.issuer()? == self.issuer),
        }
    }

    /// Whether another issuer of the same `iss` can be told from this one by the audience.
    fn is_told_from(&self, other: &Self) -> bool {
        let is_cluster =
            |rules: &Self| matches!(rules.form, Form::Kubernetes(_)) && rules.single_audience;
        let shares = self.audiences.iter().any(|audience| other.audiences.contains(audience));
        is_cluster(self) && is_cluster(other) && !shares
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
    #[error("strangers can get tokens of this issuer: `owners` must name the ids that are yours{}", one_of(.0))]
    SharedWithoutOwners(&'static [&'static str]),
    /// The owners are none of those that say whose a token is.
    #[error("strangers can get tokens of this issuer: `owners` must have {}", words(.0))]
    OwnerClaim(&'static [&'static str]),
    /// The profile has no such issuer.
    #[error("the profile's issuers are {0}")]
    Name(&'static str),
    /// An endpoint that the tenants of Entra share.
    #[error(
        "the tenants of Entra share this endpoint, and no token has it for its issuer: one block for each tenant, with its id"
    )]
    Tenantless,
    /// A type of token that is worth nothing without a second proof.
    #[error("tokens of this type are bound to a key and never bearer tokens")]
    BoundType,
    /// An audience that makes the token a credential somewhere else.
    #[error(
        "a token for this audience is a credential somewhere else: have one issued for the gateway"
    )]
    ForeignAudience,
    /// Nothing that a token may be bound to.
    #[error("at least one kind of binding is needed")]
    Bindings,
    /// Looser than the profile.
    #[error("is looser than the profile allows")]
    Looser(&'static str),
    /// Two issuers of one `iss`.
    #[error("another issuer has the same `iss`; clusters of one name need audiences of their own")]
    SameIssuer,
    /// Two issuers of one alias.
    #[error("another issuer has the same alias")]
    SameAlias,
}

/// `: one of …`, if any claims are known.
fn one_of(claims: &[&str]) -> String {
    if claims.is_empty() { String::new() } else { format!(": {}", words(claims)) }
}

fn words(claims: &[&str]) -> String {
    let named: Vec<_> = claims.iter().map(|claim| format!("`{claim}`")).collect();
    format!("one of {}", named.join(", "))
}

/// The name under which the issuer for signed requests of a partition is registered.
#[must_use]
pub fn signed_name(partition: &str) -> String {
    format!("aws-signed:{partition}")
}

/// The registered issuers.
#[derive(Clone, Debug, Default)]
pub struct Issuers(Vec<Arc<IssuerRules>>, HashMap<String, Vec<usize>>);

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
        if self.named(&rules.issuer).any(|known| !known.is_told_from(rules)) {
            return Err(RulesError::SameIssuer);
        }
        self.1.entry(rules.issuer.clone()).or_default().push(self.0.len());
        self.0.push(Arc::clone(rules));
        Ok(())
    }

    /// The rules for a token, by its unproven `iss`; of clusters that share a name, by its audience
    /// besides; of a SPIFFE document, by the trust domain of its `sub`.
    ///
    /// # Errors
    /// [`Refusal::UnknownIssuer`], or that of [`Compact::issuer`].
    pub fn select(&self, token: &Compact<'_>) -> Result<&Arc<IssuerRules>, Refusal> {
        let domain = token.trust_domain().and_then(|domain| self.only(domain, |_| true));
        let is_token = |rules: &IssuerRules| rules.form.is_token();
        match token.issuer() {
            Ok(name) => {
                let several = self.named(name).count() > 1;
                let fits = |rules: &IssuerRules| {
                    is_token(rules) && (!several || token.has_audience(&rules.audiences))
                };
                let named = self.only(name, fits).filter(|rules| rules.form != Form::Spiffe);
                named.or(domain).ok_or(Refusal::UnknownIssuer)
            }
            Err(Refusal::MissingClaim(Claim::Issuer)) => {
                domain.ok_or(Refusal::MissingClaim(Claim::Issuer))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The rules for signed requests of a partition of AWS.
    #[must_use]
    pub fn of_partition(&self, partition: &str) -> Option<&Arc<IssuerRules>> {
        self.only(&signed_name(partition), |rules| rules.form == Form::AwsSigned)
    }

    /// The rules for documents of a SPIFFE trust domain, by its issuer's name.
    pub(crate) fn of_domain(&self, domain: &str) -> Option<&Arc<IssuerRules>> {
        self.only(domain, |rules| rules.form == Form::Spiffe)
    }

    /// The only issuer of this name that fits.
    fn only(&self, name: &str, fits: impl Fn(&IssuerRules) -> bool) -> Option<&Arc<IssuerRules>> {
        let mut found = self.named(name).filter(|rules| fits(rules));
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<IssuerRules>> {
        let places = self.1.get(name).into_iter().flatten();
        places.filter_map(|place| self.0.get(*place))
    }

    /// All of them, as they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<IssuerRules>> {
        self.0.iter()
    }
}
