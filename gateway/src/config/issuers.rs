//! `[issuers.*]`: whose identities are believed, and how far.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::cursor::{Block, Value};
use super::egress::Reach;
use super::fault::Problem;
use super::parse;
use super::url::Endpoint;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Names of the profiles there are.
pub(super) const PROFILES: &[(&str, &str)] = &[("oidc", "oidc")];

/// Names of the signature algorithms there are; all of them asymmetric.
pub(super) const ALGORITHMS: &[(&str, &str)] = &[
    ("RS256", "RS256"),
    ("RS384", "RS384"),
    ("RS512", "RS512"),
    ("PS256", "PS256"),
    ("PS384", "PS384"),
    ("PS512", "PS512"),
    ("ES256", "ES256"),
    ("ES384", "ES384"),
    ("EdDSA", "EdDSA"),
];

/// One registered issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// How its tokens are read.
    pub profile: &'static str,
    /// Audiences that its tokens may be for.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub keys: Keys,
    /// How its keys are fetched.
    pub reach: Reach,
    /// Algorithms that it may sign with.
    pub algorithms: Vec<&'static str>,
    /// Values of the header `typ` that are accepted; empty for what the profile says.
    pub types: Vec<String>,
    /// Longest time between `iat` and `exp`.
    pub max_lifetime: Duration,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Longest token.
    pub max_token_bytes: u64,
    /// Whether each token may be used once only.
    pub one_shot: bool,
    /// Whether a token for several audiences is refused.
    pub single_audience: bool,
    /// JSON pointer to the subject.
    pub subject: String,
    /// How often its keys are fetched again.
    pub refresh: Duration,
    /// How long the last good keys are used while fetching fails.
    pub max_stale: Duration,
    /// Claims that prove the token to be of one's own part of a shared issuer: all must match.
    pub owners: Vec<Owner>,
    /// Claims that policies see, by attribute name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// From the issuer's discovery document.
    Discovery,
    /// From a JWKS URL.
    Url(Endpoint),
    /// From the configuration.
    Inline(serde_json::Value),
    /// From a file, read at start and on reload.
    File(PathBuf),
}

/// One claim that must have one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// JSON pointer to the claim.
    pub claim: String,
    /// Its accepted values.
    pub values: Vec<String>,
}

/// One claim that policies see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// JSON pointer to the claim.
    pub claim: String,
    /// Its type.
    pub kind: AttributeKind,
    /// Whether a token without it is refused.
    pub required: bool,
}

/// The type of a mapped claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// Text.
    String,
    /// A 64-bit integer.
    Long,
    /// A truth value.
    Bool,
    /// A set of texts.
    Strings,
}

impl Issuer {
    /// Reads one issuer; `audience` is the default audience.
    pub(super) fn read(block: &mut Block<'_>, audience: Option<&str>) -> Option<Self> {
        let issuer = block.required("issuer", issuer_name);
        let profile = block.or("profile", "oidc", parse::one_of(PROFILES));
        let audiences = listed(block, "audiences", parse::text);
        let keys = block.section("keys", Keys::read);
        let reach = Reach::read(block);
        let algorithms = listed(block, "algorithms", parse::one_of(ALGORITHMS));
        let types = listed(block, "types", parse::text);
        let max_lifetime = block.or("max_lifetime", HOUR, parse::duration(SECOND, 48 * HOUR));
        let leeway = block.or("leeway", 30 * SECOND, parse::duration(Duration::ZERO, MINUTE));
        let max_token_bytes = block.or("max_token_bytes", 16 << 10, parse::size(1 << 10, 32 << 10));
        let one_shot = block.or("one_shot", false, parse::boolean);
        let single_audience = block.or("single_audience", true, parse::boolean);
        let subject = block.or("subject", "/sub".to_owned(), parse::pointer);
        let refresh = block.or("refresh", 10 * MINUTE, parse::duration(MINUTE, 24 * HOUR));
        let max_stale = block.or("max_stale", 24 * HOUR, parse::duration(MINUTE, 168 * HOUR));
        let owners = block.blocks("owners", Owner::read);
        let attributes = block.entries("attributes", attribute_name, Attribute::read);
        Some(Self {
            issuer: issuer?,
            profile,
            audiences: audiences.or_else(|| audience.map(|one| vec![one.to_owned()]))?,
            keys: keys?,
            reach,
            algorithms: algorithms.unwrap_or_else(|| vec!["ES256", "RS256"]),
            types: types.unwrap_or_default(),
            max_lifetime,
            leeway,
            max_token_bytes,
            one_shot,
            single_audience,
            subject,
            refresh,
            max_stale,
            owners,
            attributes,
        })
    }
}

/// A list that says nothing when empty, so that it must not be.
fn listed<T>(
    block: &mut Block<'_>,
    key: &'static str,
    parse: impl Fn(&Value<'_>) -> Result<T, Problem>,
) -> Option<Vec<T>> {
    let list = block.list(key, parse);
    if list.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::new("is empty").with_help("leave the key out for its default");
        block.fault_at(key, problem);
    }
    list
}

fn issuer_name(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    if text.len() > 512 {
        return Err(Problem::new("is longer than 512 bytes"));
    }
    match text.contains(char::is_whitespace) {
        true => Err(Problem::new("contains white space")),
        false => Ok(text),
    }
}

/// Cedar identifiers that need no quotes.
fn attribute_name(text: &str) -> Result<String, Problem> {
    let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.len() <= 63;
    if begins_well && fits {
        return Ok(text.to_owned());
    }
    Err(Problem::new("is not an attribute name")
        .with_help("use letters, digits and `_`, beginning with a letter; policies write `principal.<profile>.<name>`"))
}

impl Keys {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        block.exactly_one(&["discovery", "url", "inline", "file"]);
        let discovery = block.optional("discovery", parse::yes).map(|()| Self::Discovery);
        let url = block.optional("url", parse::endpoint).map(Self::Url);
        let inline = block.optional("inline", key_set).map(Self::Inline);
        let file = block.optional("file", parse::path).map(Self::File);
        discovery.or(url).or(inline).or(file)
    }
}

fn key_set(value: &Value<'_>) -> Result<serde_json::Value, Problem> {
    let set = parse::json(value)?;
    let has_keys =
        set.get("keys").and_then(serde_json::Value::as_array).is_some_and(|k| !k.is_empty());
    match has_keys {
        true => Ok(set),
        false => Err(Problem::new("is not a key set")
            .with_help("write `inline = { keys = [{ kty = \"EC\", … }] }`")),
    }
}

impl Owner {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let claim = block.required("claim", parse::pointer);
        let values = listed(block, "values", parse::text);
        if values.is_none() && !block.has("values") {
            block.missing("values");
        }
        Some(Self { claim: claim?, values: values? })
    }
}

impl Attribute {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        const KINDS: &[(&str, AttributeKind)] = &[
            ("string", AttributeKind::String),
            ("long", AttributeKind::Long),
            ("bool", AttributeKind::Bool),
            ("strings", AttributeKind::Strings),
        ];
        let claim = block.required("claim", parse::pointer);
        let kind = block.or("type", AttributeKind::String, parse::one_of(KINDS));
        let required = block.or("required", false, parse::boolean);
        Some(Self { claim: claim?, kind, required })
    }
}
