//! What our keys sign: assertions towards clouds, and access tokens of our own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use symbolon_core::clock::Timestamp;
use symbolon_core::error::Kind;
use symbolon_core::secret::Secret;

use super::key::SigningKey;

/// Longest subject of an assertion, in bytes. Clouds take less (AWS 64, Google 127); a Target hashes
/// or refuses before it gets here.
const MAX_SUBJECT_BYTES: usize = 1024;

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// An assertion that lives too short or too long.
    #[error("an assertion lives 60 to 300 seconds")]
    Lifetime,
    /// An audience that is none.
    #[error("the audience of a target is 1 to 1024 printable ASCII characters")]
    Audience,
    /// A subject that no cloud takes.
    #[error("the subject of an assertion is empty or too long")]
    Subject,
    /// Claims without a JSON form, or a failure of the cryptographic library.
    #[error("the token could not be signed")]
    Signature,
}

impl SignError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Lifetime | Self::Audience | Self::Subject | Self::Signature => Kind::Internal,
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lifetime => "sign_lifetime",
            Self::Audience => "sign_audience",
            Self::Subject => "sign_subject",
            Self::Signature => "sign_signature",
        }
    }
}

/// The audience of a Target. Configuration makes it; nothing in a request can.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetAudience(String);

impl TargetAudience {
    /// The `audience` of a target or of a backend's login, as configured. Not to be called with
    /// anything that came with a request.
    ///
    /// # Errors
    /// [`SignError::Audience`] if it is empty, too long or not printable ASCII.
    pub fn from_configuration(text: &str) -> Result<Self, SignError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = (1..=1024).contains(&text.len()) && printable;
        if fits { Ok(Self(text.to_owned())) } else { Err(SignError::Audience) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long an assertion lives: it is used at once, so a minute to five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssertionLifetime(Duration);

impl AssertionLifetime {
    /// The shortest there is.
    pub const SHORTEST: Self = Self(Duration::from_mins(1));

    /// The longest of an assertion that a caller gets. Libraries of clouds keep what they read from a
    /// file for up to ten minutes.
    const LONGEST_DELIVERED: Duration = Duration::from_mins(15);

    /// Of an assertion that a caller gets: `lifetime`, or a quarter of an hour if that is less.
    #[must_use]
    pub fn delivered(lifetime: Duration) -> Self {
        Self(lifetime.min(Self::LONGEST_DELIVERED))
    }

    /// How long that is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Takes 60 to 300 seconds.
    ///
    /// # Errors
    /// [`SignError::Lifetime`] outside of that.
    pub fn new(lifetime: Duration) -> Result<Self, SignError> {
        let allowed = Duration::from_mins(1)..=Duration::from_mins(5);
        if allowed.contains(&lifetime) { Ok(Self(lifetime)) } else { Err(SignError::Lifetime) }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// What an assertion says.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// `sub`.
    pub subject: &'a str,
    /// `aud`.
    pub audience: &'a TargetAudience,
    /// From `iat` to `exp`.
    pub lifetime: AssertionLifetime,
    /// What the target's cloud reads beside.
    pub more: MoreClaims,
}

/// Claims that are made for one kind of cloud. There is no way to add any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MoreClaims {
    /// None.
    #[default]
    None,
    /// Session tags and source identity, as AWS STS reads them.
    Aws {
        /// Tags of the session, which role chaining keeps.
        tags: Vec<(String, String)>,
        /// What CloudTrail shows: 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`.
        source_identity: String,
    },
}

/// Exactly these: a single audience, integer times.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(rename = "https://aws.amazon.com/tags", skip_serializing_if = "Option::is_none")]
    tags: Option<AwsTags<'a>>,
    #[serde(
        rename = "https://aws.amazon.com/source_identity",
        skip_serializing_if = "Option::is_none"
    )]
    source_identity: Option<&'a str>,
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>
#[derive(Serialize)]
struct AwsTags<'a> {
    principal_tags: BTreeMap<&'a str, [&'a str; 1]>,
    transitive_tag_keys: Vec<&'a str>,
}

impl MoreClaims {
    fn aws(&self) -> (Option<AwsTags<'_>>, Option<&str>) {
        match self {
            Self::None => (None, None),
            Self::Aws { tags, source_identity } => {
                let principal_tags: BTreeMap<_, _> =
                    tags.iter().map(|(name, value)| (name.as_str(), [value.as_str()])).collect();
                let transitive_tag_keys = principal_tags.keys().copied().collect();
                let tags = AwsTags { principal_tags, transitive_tag_keys };
                (Some(tags), Some(source_identity))
            }
        }
    }
}

/// Signs assertions with the key that is active now. Short-lived: take a new one for each use.
pub struct AssertionSigner {
    key: Arc<SigningKey>,
    issuer: String,
}

impl AssertionSigner {
    pub(super) fn new(key: Arc<SigningKey>, issuer: String) -> Self {
        Self { key, issuer }
    }

    /// A signed assertion: whoever holds it is `subject` for `audience`, so it is a [`Secret`]. Takes
    /// about a millisecond of computation.
    ///
    /// # Errors
    /// [`SignError`] if the subject does not fit, or the cryptographic library fails.
    pub fn sign(&self, statement: &Statement<'_>, now: Timestamp) -> Result<Secret, SignError> {
        let Statement { subject, audience, lifetime, more } = statement;
        let (tags, source_identity) = more.aws();
        if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES {
            return Err(SignError::Subject);
        }
        let claims = Assertion {
            iss: &self.issuer,
            sub: subject,
            aud: audience.as_str(),
            iat: now.seconds(),
            exp: now.plus(lifetime.0).seconds(),
            jti: &random_id()?,
            tags,
            source_identity,
        };
        sign(&self.key, "JWT", &claims)
    }
}

/// Signs access tokens with the key that is active now.
pub struct AccessSigner {
    key: Arc<SigningKey>,
}

impl AccessSigner {
    pub(super) fn new(key: Arc<SigningKey>) -> Self {
        Self { key }
    }

    /// A signed access token (`typ` `at+jwt`, RFC 9068) with these claims.
    ///
    /// # Errors
    /// [`SignError::Signature`] if the claims have no JSON form, or the cryptographic library fails.
    pub fn sign(&self, claims: &impl Serialize) -> Result<Secret, SignError> {
        sign(&self.key, "at+jwt", claims)
    }
}

fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<Secret, SignError> {
    let header = encode(&Header { alg: key.algorithm(), kid: key.kid(), typ })?;
    let mut token = format!("{header}.{}", encode(claims)?);
    let signature = key.sign(token.as_bytes()).ok_or(SignError::Signature)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Secret::from(token))
}

fn encode(part: &impl Serialize) -> Result<String, SignError> {
    let json = serde_json::to_vec(part).map_err(|_| SignError::Signature)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// 128 random bits, as `jti`.
///
/// # Errors
/// [`SignError::Signature`] if the cryptographic library has none.
pub fn random_id() -> Result<String, SignError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SignError::Signature)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
