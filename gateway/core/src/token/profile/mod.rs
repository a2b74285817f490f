//! What the tokens of each platform are like: one profile a platform, with the defaults that are
//! right there and the checks that its tokens need beyond the common ones.
//!
//! A profile is chosen by the operator, its [`Form`] follows from the issuer's name: the tokens of
//! an EKS cluster come under the profile `aws` and have the form of Kubernetes. Facts and traps are
//! those of `wire-formats.md` §1.
//!
//! INVARIANT: rules with a profile are never looser than the profile. What would be looser is a fault
//! of the configuration ([`RulesError::Looser`]), never a token accepted.

mod aws;
mod azure;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod spiffe;

use std::time::Duration;

use super::algorithm::Algorithm;
use super::json::{Object, Value};
use super::mapping::{AttributeName, AttributeRule, AttributeType, ClaimMapping, Pointer};
use super::refusal::{Claim, Refusal};
use super::rules::{IssuerRules, RulesError};
use crate::principal::Attributes;

pub use self::azure::Version as EntraVersion;
pub use self::kubernetes::{Binding as ObjectBinding, Host as ClusterHost};
pub use self::spiffe::SpiffeId;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A platform, as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Any OpenID Connect issuer.
    Oidc,
    /// Amazon: tokens of `sts:GetWebIdentityToken`, and of EKS clusters.
    Aws,
    /// Amazon: signed `sts:GetCallerIdentity` requests.
    AwsSigned,
    /// Microsoft Entra: managed identities and applications; AKS clusters.
    Azure,
    /// Google: service accounts on virtual machines and elsewhere; GKE clusters.
    Gcp,
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    Gitlab,
    /// Service accounts of any Kubernetes cluster.
    Kubernetes,
    /// SPIFFE: JWT-SVIDs and X.509-SVIDs of one trust domain.
    Spiffe,
    /// Client certificates of one's own authority.
    X509,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 10] = [
        Self::Oidc,
        Self::Aws,
        Self::AwsSigned,
        Self::Azure,
        Self::Gcp,
        Self::GithubActions,
        Self::Gitlab,
        Self::Kubernetes,
        Self::Spiffe,
        Self::X509,
    ];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Aws => "aws",
            Self::AwsSigned => "aws-signed",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::GithubActions => "github-actions",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::X509 => "x509",
        }
    }

    /// The form of what an issuer of this name shows.
    ///
    /// # Errors
    /// [`RulesError::Name`] if the profile has no issuer of this name.
    pub fn form(self, issuer: &str) -> Result<Form, RulesError> {
        let found = match self {
            Self::Oidc => Some(Form::Oidc),
            Self::Aws => aws::form(issuer),
            Self::AwsSigned => Some(Form::AwsSigned),
            Self::Azure => azure::form(issuer),
            Self::Gcp => gcp::form(issuer),
            Self::GithubActions => github::form(issuer),
            Self::Gitlab => issuer.starts_with("https://").then_some(Form::Gitlab),
            Self::Kubernetes => Some(Form::Kubernetes(ClusterHost::Other)),
            Self::Spiffe => spiffe::form(issuer),
            Self::X509 => Some(Form::Certificate),
        };
        found.ok_or(RulesError::Name(self.issuers()))
    }

    /// What the issuers of the profile are called.
    const fn issuers(self) -> &'static str {
        match self {
            Self::Oidc | Self::AwsSigned | Self::Kubernetes | Self::X509 => "any name",
            Self::Aws => {
                "`https://<uuid>.tokens.sts.global.api.aws`, or `https://oidc.eks.<region>.amazonaws.com/id/<id>`"
            }
            Self::Azure => {
                "`https://sts.windows.net/<tenant>/`, `https://login.microsoftonline.com/<tenant>/v2.0` with the tenant's id (a block for each tenant), or `https://<region>.oic.prod-aks.azure.com/<tenant>/<id>/`"
            }
            Self::Gcp => {
                "`https://accounts.google.com`, or `https://container.googleapis.com/v1/projects/<project>/locations/<location>/clusters/<cluster>`"
            }
            Self::GithubActions => {
                "`https://token.actions.githubusercontent.com`, with `/<enterprise>` or of one's own host"
            }
            Self::Gitlab => "`https://gitlab.com`, or the URL of one's own instance",
            Self::Spiffe => "`spiffe://<trust domain>`",
        }
    }
}

/// What a proof of an issuer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A token with the common claims.
    Oidc,
    /// A token of `sts:GetWebIdentityToken`.
    AwsToken,
    /// A signed `sts:GetCallerIdentity` request.
    AwsSigned,
    /// A token of Microsoft Entra.
    Entra(EntraVersion),
    /// A token of a job of GitHub Actions.
    Github,
    /// A token of a job of GitLab CI.
    Gitlab,
    /// A token of a Google service account.
    Google,
    /// A token of a Kubernetes service account.
    Kubernetes(ClusterHost),
    /// A SPIFFE verifiable identity document.
    Spiffe,
    /// A client certificate.
    Certificate,
}

/// Where keys are that need no word of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// Where the discovery document says.
    Discovery,
    /// At this URL.
    Url(String),
}

/// What is right for a form.
#[derive(Debug)]
pub(super) struct Terms {
    /// Name of the record of attributes in policies.
    pub(super) record: &'static str,
    pub(super) algorithms: &'static [Algorithm],
    pub(super) types: &'static [&'static str],
    pub(super) untyped: bool,
    /// Whether the platform has tokens for several audiences that an operator can decide to take.
    pub(super) several_audiences: bool,
    pub(super) lifetime: Duration,
    /// Most that `lifetime` can be set to.
    pub(super) longest: Duration,
    pub(super) max_subject_bytes: usize,
    /// Claims that can be the subject, the default first. Empty: any.
    pub(super) subjects: &'static [&'static str],
    /// Claims of which one must be among the owners, if there are any here.
    pub(super) owners: &'static [&'static str],
    /// Audiences for which a token is a credential elsewhere.
    pub(super) foreign: &'static [&'static str],
    pub(super) attributes: &'static [Mapped],
    /// Attributes that are made of more than one claim, or of a part of one.
    pub(super) derived: &'static [(&'static str, AttributeType)],
}

/// A claim that a profile maps: name of the attribute, pointer, type, whether it must be there.
pub(super) type Mapped = (&'static str, &'static str, AttributeType, bool);

/// RSA only: what every cloud signs with.
const RS256: &[Algorithm] = &[Algorithm::Rs256];

/// What forms have in common.
const COMMON: Terms = Terms {
    record: "oidc",
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &["jwt"],
    untyped: true,
    several_audiences: false,
    lifetime: HOUR,
    longest: Duration::from_secs(48 * 3600),
    max_subject_bytes: 255,
    subjects: &["/sub"],
    owners: &[],
    foreign: &[],
    attributes: &[],
    derived: &[],
};

static OIDC: Terms = Terms { several_audiences: true, subjects: &[], ..COMMON };

static CERTIFICATE: Terms = Terms {
    record: "x509",
    max_subject_bytes: 2048,
    attributes: &[
        ("common_name", "/common_name", AttributeType::String, false),
        ("serial", "/serial", AttributeType::String, true),
        ("dns_names", "/dns_names", AttributeType::Strings, true),
        ("uris", "/uris", AttributeType::Strings, true),
    ],
    subjects: &["/uri", "/dns"],
    ..COMMON
};

impl Form {
    /// The name of the record that holds the attributes in policies.
    #[must_use]
    pub fn record(self) -> &'static str {
        self.terms().record
    }

    /// Whether proofs of this form are compact tokens.
    #[must_use]
    pub const fn is_token(self) -> bool {
        match self {
            Self::AwsSigned | Self::Certificate => false,
            Self::Oidc
            | Self::AwsToken
            | Self::Entra(_)
            | Self::Github
            | Self::Gitlab
            | Self::Google
            | Self::Kubernetes(_)
            | Self::Spiffe => true,
        }
    }

    /// Whether proofs of this form can be client certificates.
    #[must_use]
    pub fn is_certificate(self) -> bool {
        matches!(self, Self::Certificate | Self::Spiffe)
    }

    pub(super) fn terms(self) -> &'static Terms {
        match self {
            Self::Oidc => &OIDC,
            Self::AwsToken => &aws::TOKEN,
            Self::AwsSigned => &aws::SIGNED,
            Self::Entra(version) => version.terms(),
            Self::Github => &github::TERMS,
            Self::Gitlab => &gitlab::TERMS,
            Self::Google => &gcp::TERMS,
            Self::Kubernetes(host) => host.terms(),
            Self::Spiffe => &spiffe::TERMS,
            Self::Certificate => &CERTIFICATE,
        }
    }

    /// Where the keys of the issuer are, if that is known.
    #[must_use]
    pub fn keys(self, issuer: &str) -> Option<KeyPlace> {
        let below = |path: &str| Some(KeyPlace::Url(format!("{issuer}{path}")));
        match self {
            Self::AwsToken => below("/.well-known/jwks.json"),
            Self::Entra(version) => Some(azure::keys(version, issuer)),
            Self::Google => {
                Some(KeyPlace::Url("https://www.googleapis.com/oauth2/v3/certs".to_owned()))
            }
            Self::Kubernetes(ClusterHost::Gke) => below("/jwks"),
            Self::Kubernetes(ClusterHost::Eks | ClusterHost::Aks) | Self::Github | Self::Gitlab => {
                Some(KeyPlace::Discovery)
            }
            Self::Oidc
            | Self::AwsSigned
            | Self::Kubernetes(ClusterHost::Other)
            | Self::Spiffe
            | Self::Certificate => None,
        }
    }

    /// What the platform's tokens must be like beyond the common rules.
    pub(super) fn check(self, claims: &Object, rules: &IssuerRules) -> Result<(), Refusal> {
        match self {
            Self::AwsToken => aws::check(claims),
            Self::Entra(version) => azure::check(claims, version, &rules.issuer),
            Self::Google => gcp::check(claims),
            Self::Kubernetes(_) => kubernetes::check(claims, &rules.bindings),
            Self::Oidc
            | Self::AwsSigned
            | Self::Github
            | Self::Gitlab
            | Self::Spiffe
            | Self::Certificate => Ok(()),
        }
    }

    /// The stable form of the subject, where the platform's own names things that can be recycled.
    pub(super) fn subject(self, subject: String, claims: &Object) -> Result<String, Refusal> {
        match self {
            Self::Github => github::subject(&subject, claims),
            Self::Gitlab => gitlab::subject(&subject, claims),
            Self::Oidc
            | Self::AwsToken
            | Self::AwsSigned
            | Self::Entra(_)
            | Self::Google
            | Self::Kubernetes(_)
            | Self::Spiffe
            | Self::Certificate => Ok(subject),
        }
    }

    /// The attributes that are not a claim as it is.
    pub(super) fn derive(
        self,
        claims: &Object,
        attributes: &mut Attributes,
    ) -> Result<(), Refusal> {
        match self {
            Self::Entra(_) => azure::derive(claims, attributes)?,
            Self::Spiffe => spiffe::derive(claims, attributes),
            Self::Oidc
            | Self::AwsToken
            | Self::AwsSigned
            | Self::Github
            | Self::Gitlab
            | Self::Google
            | Self::Kubernetes(_)
            | Self::Certificate => {}
        }
        Ok(())
    }

    /// The claims that the profile maps by itself.
    pub(super) fn mapping(self) -> ClaimMapping {
        let rule = |(name, claim, kind, required): &Mapped| {
            let (name, claim) = (AttributeName::parse(name).ok()?, Pointer::parse(claim).ok()?);
            Some(AttributeRule { name, claim, kind: *kind, required: *required })
        };
        let rules = self.terms().attributes.iter().filter_map(rule).collect();
        ClaimMapping::new(rules).unwrap_or_default()
    }
}

/// A claim at the top that must be a text.
fn text<'a>(claims: &'a Object, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// `sub`, which the caller's own check needs as text.
fn sub(claims: &Object) -> Result<&str, Refusal> {
    text(claims, "sub").ok_or(Refusal::MalformedClaim(Claim::Subject))
}

/// The host of an `https` URL that has nothing but a host and a path.
fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (!host.is_empty() && host.bytes().all(is_host)).then_some((host, path))
}

/// 8-4-4-4-12 hexadecimal digits in lower case.
fn is_uuid(text: &str) -> bool {
    let widths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let fits = |width: &usize| parts.next().is_some_and(|part| is_hex(part, *width));
    widths.iter().all(fits) && parts.next().is_none()
}

fn is_hex(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_region(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests;
