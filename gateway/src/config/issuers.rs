//! `[issuers.*]`: whose identities are believed, and how far.

use std::path::PathBuf;
use std::time::Duration;

use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{
    Algorithm, AttributeName, AttributeRule, AttributeType, ClaimMapping, Form, IssuerRules,
    KeyPlace, MAX_TOKEN_BYTES, ObjectBinding, Owner, Pointer, Profile, RulesError, signed_name,
};

use super::cursor::{Block, Value};
use super::egress::Reach;
use super::fault::Problem;
use super::secret::SecretRef;
use super::url::Endpoint;
use super::{parse, spelling};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// One registered issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens must be like.
    pub rules: IssuerRules,
    /// Where its keys come from.
    pub keys: Keys,
    /// How its keys are fetched.
    pub reach: Reach,
    /// How often its keys are fetched again.
    pub refresh: Duration,
    /// How long the last good keys are used while fetching fails.
    pub max_stale: Duration,
    /// The partition of AWS, for signed requests.
    pub partition: Option<&'static str>,
    /// Where the cluster is asked about its tokens.
    pub review: Option<Review>,
}

/// A cluster that is asked about its tokens.
#[derive(Clone, Debug)]
pub struct Review {
    /// Its API server.
    pub url: Endpoint,
    /// The token with which the gateway asks.
    pub credential: SecretRef,
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
    /// Certificate authorities in a PEM file, read at start and on reload.
    Authorities(PathBuf),
    /// Not needed: who vouches is asked.
    Nothing,
}

impl Issuer {
    /// Reads one issuer; `audience` is the default audience.
    pub(super) fn read(block: &mut Block<'_>, audience: Option<&str>) -> Option<Self> {
        let keys = block.child("keys", Keys::read);
        let authorities = block.optional("authorities", parse::path);
        let review = block.child("review", Review::read);
        let reach = Reach::read(block);
        let refresh = block.or("refresh", 10 * MINUTE, parse::duration(MINUTE, 24 * HOUR));
        let max_stale = block.or("max_stale", 24 * HOUR, parse::duration(MINUTE, 168 * HOUR));
        let partition = block.or("partition", "aws", parse::one_of(PARTITION_NAMES));
        let rules = rules(block, audience, partition)?;
        let form = rules.form;
        let is_reviewed = review.is_some() || block.has("review");
        if is_reviewed && !matches!(form, Form::Kubernetes(_)) {
            block.fault_at("review", Problem::new("is for service accounts of Kubernetes"));
        }
        if block.has("partition") && form != Form::AwsSigned {
            block.fault_at("partition", Problem::new("is for the profile `aws-signed`"));
        }
        let keys = match keys {
            _ if !form.is_token() => Keys::of_no_token(block, form, authorities),
            Some(keys) => Some(keys),
            None if block.has("keys") => None,
            None if is_reviewed => Some(Keys::Nothing),
            None => Keys::of(&rules, block),
        };
        let partition = (form == Form::AwsSigned).then_some(partition);
        Some(Self { rules, keys: keys?, reach, refresh, max_stale, partition, review })
    }
}

impl Review {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let url = block.required("url", parse::endpoint);
        let credential = block.required("credential", parse::secret);
        Some(Self { url: url?, credential: credential? })
    }
}

/// The names of the partitions of AWS.
const PARTITION_NAMES: &[(&str, &str)] =
    &[("aws", "aws"), ("aws-cn", "aws-cn"), ("aws-us-gov", "aws-us-gov")];

/// The names of the profiles.
const PROFILES: &[(&str, Profile)] = &[
    (Profile::Oidc.name(), Profile::Oidc),
    (Profile::Aws.name(), Profile::Aws),
    (Profile::AwsSigned.name(), Profile::AwsSigned),
    (Profile::Azure.name(), Profile::Azure),
    (Profile::Gcp.name(), Profile::Gcp),
    (Profile::GithubActions.name(), Profile::GithubActions),
    (Profile::Gitlab.name(), Profile::Gitlab),
    (Profile::Kubernetes.name(), Profile::Kubernetes),
    (Profile::Spiffe.name(), Profile::Spiffe),
    (Profile::X509.name(), Profile::X509),
];

/// The issuer's name: what its tokens say, or one that no token says where there are none.
fn named(block: &mut Block<'_>, profile: Profile, partition: &str) -> Option<String> {
    let own = match profile {
        Profile::AwsSigned => signed_name(partition),
        Profile::X509 => format!("x509:{}", block.name()),
        Profile::Oidc
        | Profile::Aws
        | Profile::Azure
        | Profile::Gcp
        | Profile::GithubActions
        | Profile::Gitlab
        | Profile::Kubernetes
        | Profile::Spiffe => return block.required("issuer", issuer_name),
    };
    if block.optional("issuer", issuer_name).is_some() {
        block.fault_at("issuer", Problem::new("is not used: what is shown names no issuer"));
    }
    Some(own)
}

/// The rules before anything but their profile is read. Where the profile has no such issuer, the
/// fault is recorded and those of any issuer stand in, so that the other keys are read for theirs.
fn begin(
    block: &Block<'_>,
    profile: Profile,
    (alias, issuer): (IssuerAlias, &str),
    audiences: Vec<String>,
) -> IssuerRules {
    match IssuerRules::of(profile, alias.clone(), issuer, audiences.clone()) {
        Ok(rules) => rules,
        Err(error) => {
            if block.has("issuer") {
                block.fault_at("issuer", Problem::new(error.to_string()));
            }
            IssuerRules::new(alias, issuer, audiences)
        }
    }
}

fn rules(block: &mut Block<'_>, audience: Option<&str>, partition: &str) -> Option<IssuerRules> {
    let profile = block.or("profile", Profile::Oidc, parse::one_of(PROFILES));
    let issuer = named(block, profile, partition);
    let audiences = listed(block, "audiences", parse::text);
    let audiences = audiences.or_else(|| audience.map(|one| vec![one.to_owned()]));
    let alias = IssuerAlias::parse(block.name());
    if alias.as_ref().is_ok_and(|alias| *alias == IssuerAlias::of_gateway()) {
        let problem = Problem::new("is the name under which the gateway itself holds leases")
            .with_help("choose another name");
        block.fault(problem);
    }
    // Without a usable name there are still rules to read, for their faults.
    let placeholder = || IssuerAlias::parse("unnamed");
    let of = (alias.clone().or_else(|_| placeholder()).ok()?, issuer.clone().unwrap_or_default());
    let mut rules = begin(block, profile, (of.0, &of.1), audiences.clone().unwrap_or_default());
    if let Some(algorithms) = listed(block, "algorithms", algorithm) {
        rules.algorithms = algorithms;
    }
    let types = block.list("types", media_type);
    rules.untyped = block.or("untyped", types.is_none() && rules.untyped, parse::boolean);
    rules.types = types.unwrap_or(rules.types);
    let lifetime = || parse::duration(SECOND, 48 * HOUR);
    rules.max_lifetime = block.or("max_lifetime", rules.max_lifetime, lifetime());
    rules.max_age = block.optional("max_age", lifetime());
    rules.leeway = block.or("leeway", rules.leeway, parse::duration(Duration::ZERO, MINUTE));
    let longest = block.optional("max_token_bytes", parse::size(1 << 10, MAX_TOKEN_BYTES as u64));
    let longest = longest.and_then(|longest| usize::try_from(longest).ok());
    rules.max_token_bytes = longest.unwrap_or(rules.max_token_bytes);
    rules.one_shot = block.or("one_shot", rules.one_shot, parse::boolean);
    rules.single_audience = block.or("single_audience", rules.single_audience, parse::boolean);
    rules.subject_claim = block.or("subject", rules.subject_claim, pointer);
    rules.clients = block.list("clients", parse::text).unwrap_or_default();
    rules.owners = block.blocks("owners", owner);
    rules.bindings = block.list("bindings", binding).unwrap_or(rules.bindings);
    rules.attributes = attributes(block, &rules)?;
    let complete = issuer.is_some() && audiences.is_some() && alias.is_ok();
    (complete && checked(block, &rules)).then_some(rules)
}

/// Core has the last word on whether rules can be used; here it is only told where.
fn checked(block: &Block<'_>, rules: &IssuerRules) -> bool {
    let Err(error) = rules.check() else { return true };
    let key = match error {
        RulesError::Issuer
        | RulesError::SameIssuer
        | RulesError::SameAlias
        | RulesError::Name(_)
        | RulesError::Tenantless => "issuer",
        RulesError::Audience | RulesError::ForeignAudience => "audiences",
        RulesError::Algorithm => "algorithms",
        RulesError::Type | RulesError::BoundType => "types",
        RulesError::Bindings => "bindings",
        RulesError::Looser(key) => key,
        RulesError::TokenBytes => "max_token_bytes",
        RulesError::Lifetime => "max_lifetime",
        RulesError::Leeway => "leeway",
        RulesError::SubjectBytes => "subject",
        RulesError::Owner | RulesError::SharedWithoutOwners(_) | RulesError::OwnerClaim(_) => {
            "owners"
        }
    };
    block.fault_at(key, Problem::new(error.to_string()));
    false
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

fn algorithm(value: &Value<'_>) -> Result<Algorithm, Problem> {
    let text = value.text()?;
    Algorithm::parse(text).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::as_str);
        Problem::new(format!("expected one of {}", spelling::list(&known)))
            .with_help("only asymmetric signatures: whoever can verify must not be able to sign")
    })
}

/// As RFC 7515 §4.1.9 compares `typ`: without `application/` and without regard to case.
fn media_type(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?.to_ascii_lowercase();
    Ok(text.strip_prefix("application/").unwrap_or(&text).to_owned())
}

fn pointer(value: &Value<'_>) -> Result<Pointer, Problem> {
    Pointer::parse(value.text()?).map_err(|error| Problem::new(error.to_string()))
}

impl Keys {
    /// What verifies proofs that are no tokens.
    fn of_no_token(
        block: &mut Block<'_>,
        form: Form,
        authorities: Option<PathBuf>,
    ) -> Option<Self> {
        if block.has("keys") {
            block.fault_at("keys", Problem::new("are not used by this profile"));
        }
        match (form, authorities) {
            (Form::Certificate, Some(path)) => Some(Self::Authorities(path)),
            (Form::Certificate, None) => {
                block.missing("authorities");
                None
            }
            (_, _) => Some(Self::Nothing),
        }
    }

    /// Where the keys of a profile's issuer are, if the profile knows.
    fn of(rules: &IssuerRules, block: &mut Block<'_>) -> Option<Self> {
        match rules.form.keys(&rules.issuer) {
            Some(KeyPlace::Discovery) => Some(Self::Discovery),
            Some(KeyPlace::Url(url)) => Endpoint::parse(&url).ok().map(Self::Url),
            None => {
                block.fault(Problem::new("has no `keys`").with_help(match rules.form {
                    Form::Spiffe => {
                        "name the bundle: `keys = { url = \"https://…\" }`, or a `file`"
                    }
                    Form::Oidc
                    | Form::AwsToken
                    | Form::AwsSigned
                    | Form::Entra(_)
                    | Form::Github
                    | Form::Gitlab
                    | Form::Google
                    | Form::Kubernetes(_)
                    | Form::Certificate => {
                        "add `keys = { discovery = true }`, or name a `url` or `file`"
                    }
                }));
                None
            }
        }
    }

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

fn owner(block: &mut Block<'_>) -> Option<Owner> {
    let claim = block.required("claim", pointer);
    let allowed = listed(block, "values", parse::text);
    if allowed.is_none() && !block.has("values") {
        block.missing("values");
    }
    Some(Owner { claim: claim?, allowed: allowed? })
}

fn binding(value: &Value<'_>) -> Result<ObjectBinding, Problem> {
    const BINDINGS: &[(&str, ObjectBinding)] = &[
        (ObjectBinding::Pod.as_str(), ObjectBinding::Pod),
        (ObjectBinding::Node.as_str(), ObjectBinding::Node),
        (ObjectBinding::Secret.as_str(), ObjectBinding::Secret),
        (ObjectBinding::Nothing.as_str(), ObjectBinding::Nothing),
    ];
    parse::one_of(BINDINGS)(value)
}

fn attributes(block: &mut Block<'_>, rules: &IssuerRules) -> Option<ClaimMapping> {
    let name =
        |text: &str| AttributeName::parse(text).map_err(|error| Problem::new(error.to_string()));
    let own = block.entries("attributes", name, attribute);
    let with_name = |(name, rule)| AttributeRule { name, ..rule };
    match rules.attributes.clone().with(own.into_iter().map(with_name).collect()) {
        Ok(mapping) => Some(mapping),
        Err(error) => {
            block.fault_at("attributes", Problem::new(error.to_string()));
            None
        }
    }
}

fn attribute(block: &mut Block<'_>) -> Option<AttributeRule> {
    const KINDS: &[(&str, AttributeType)] = &[
        (AttributeType::String.as_str(), AttributeType::String),
        (AttributeType::Long.as_str(), AttributeType::Long),
        (AttributeType::Bool.as_str(), AttributeType::Bool),
        (AttributeType::Strings.as_str(), AttributeType::Strings),
    ];
    let claim = block.required("claim", pointer);
    let kind = block.or("type", AttributeType::String, parse::one_of(KINDS));
    let required = block.or("required", false, parse::boolean);
    let name = AttributeName::parse(block.name()).ok();
    Some(AttributeRule { name: name?, claim: claim?, kind, required })
}
