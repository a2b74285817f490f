//! The configuration: one of three services, in one region.

use std::collections::BTreeMap;

use serde::Deserialize;
use symbolon_plugin::Error;

use crate::arn::Role;
use crate::{policy, region};

/// A backend or target of this plugin.
#[derive(Deserialize)]
#[serde(tag = "service")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Config {
    /// The token service: a target.
    #[serde(rename = "sts")]
    Sts(Sts),
    /// Secrets Manager.
    #[serde(rename = "secretsmanager")]
    SecretsManager(Secrets),
    /// SSM Parameter Store.
    #[serde(rename = "ssm")]
    Ssm(Parameters),
}

/// The token service, asked for sessions of one role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Sts {
    /// The region, such as `eu-central-1`.
    #[cfg_attr(test, schemars(regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[1-9]$")))]
    region: String,
    /// Another address of the service: a VPC endpoint, a FIPS endpoint, a partition of its own.
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+/?$")))]
    endpoint: Option<String>,
    /// The role whose session is asked for.
    #[cfg_attr(test, schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$")))]
    pub(crate) role_arn: String,
    /// The longest session, in seconds.
    #[serde(default = "an_hour")]
    #[cfg_attr(test, schemars(range(min = 900, max = 43_200)))]
    pub(crate) duration: u64,
    /// The name of the session; `{request}` stands for the id of the request.
    #[serde(default = "session_name")]
    #[cfg_attr(test, schemars(length(min = 2)))]
    session_name: String,
    /// A session policy: JSON, as text.
    #[cfg_attr(test, schemars(length(max = 2048)))]
    pub(crate) policy: Option<String>,
    /// Managed policies as session policies.
    #[serde(default)]
    #[cfg_attr(test, schemars(length(max = 10)))]
    pub(crate) policy_arns: Vec<String>,
    /// Asks with another target's session (AssumeRole) instead of an assertion.
    pub(crate) chain: Option<Chain>,
}

/// What is asked besides, when one role's session asks for another's.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Chain {
    /// What the role's trust policy expects.
    #[cfg_attr(test, schemars(length(min = 2, max = 1224)))]
    pub(crate) external_id: Option<String>,
    /// The source identity, if the chain has none yet.
    #[cfg_attr(test, schemars(length(min = 2, max = 64)))]
    pub(crate) source_identity: Option<String>,
    /// Session tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// Keys of tags that later sessions of the chain keep.
    #[serde(default)]
    #[cfg_attr(test, schemars(length(max = 50)))]
    pub(crate) transitive_tags: Vec<String>,
}

/// Secrets Manager.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Secrets {
    /// The region, such as `eu-central-1`.
    #[cfg_attr(test, schemars(regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[1-9]$")))]
    pub(crate) region: String,
    /// Another address of the service: a VPC endpoint, a FIPS endpoint, a partition of its own.
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+/?$")))]
    endpoint: Option<String>,
    /// What a path is: the name of a secret, or its ARN.
    #[serde(default)]
    pub(crate) by: By,
    /// What stands before a path to make a name.
    #[serde(default)]
    pub(crate) prefix: String,
    /// Whether a value is a JSON object whose members are the fields of the secret.
    #[serde(default)]
    pub(crate) json: bool,
}

/// What the path of a request is. Not both: a secret under two paths would pass by a policy that
/// forbids one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
pub(crate) enum By {
    /// The secret's name.
    #[default]
    Name,
    /// Its whole ARN, which works across accounts.
    Arn,
}

/// SSM Parameter Store.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Parameters {
    /// The region, such as `eu-central-1`.
    #[cfg_attr(test, schemars(regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[1-9]$")))]
    region: String,
    /// Another address of the service: a VPC endpoint, a FIPS endpoint, a partition of its own.
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+/?$")))]
    endpoint: Option<String>,
    /// What stands before a path to make a name.
    #[serde(default = "slash")]
    pub(crate) prefix: String,
    /// The types that a parameter may have.
    #[serde(default = "encrypted")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) types: Vec<Kind>,
    /// Whether a value is a JSON object whose members are the fields of the secret.
    #[serde(default)]
    pub(crate) json: bool,
}

/// The types of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
pub(crate) enum Kind {
    /// Encrypted.
    SecureString,
    /// In the clear.
    String,
    /// In the clear, with commas.
    StringList,
}

fn an_hour() -> u64 {
    3600
}

fn session_name() -> String {
    "symbolon-{request}".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

fn encrypted() -> Vec<Kind> {
    vec![Kind::SecureString]
}

impl Config {
    /// Checks what becomes part of a URL or a parameter.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        match self {
            Self::Sts(sts) => sts.sound(),
            Self::SecretsManager(secrets) => {
                secrets.url()?;
                match secrets.by {
                    By::Arn if !secrets.prefix.is_empty() => {
                        Err(faulty("`prefix` has no use with `by = \"arn\"`"))
                    }
                    By::Arn | By::Name => prefix_sound(&secrets.prefix, b"/_+=.@-"),
                }
            }
            Self::Ssm(parameters) => {
                parameters.url()?;
                if parameters.types.is_empty() {
                    return Err(faulty("`types` is empty"));
                }
                prefix_sound(&parameters.prefix, b"/_.-")
            }
        }
    }
}

fn prefix_sound(prefix: &str, marks: &[u8]) -> Result<(), Error> {
    match prefix.len() <= 512 && is_made_of(prefix, marks) {
        true => Ok(()),
        false => Err(faulty("`prefix` is not the beginning of a name")),
    }
}

impl Sts {
    pub(crate) fn url(&self) -> Result<String, Error> {
        region::url("sts", &self.region, self.endpoint.as_deref())
    }

    /// The role, in the partition of the region.
    pub(crate) fn role(&self) -> Result<Role<'_>, Error> {
        let partition = region::partition(&self.region)?;
        Role::parse(&self.role_arn)
            .filter(|role| role.partition == partition.name)
            .ok_or_else(|| faulty("`role_arn` is not the ARN of a role in the region's partition"))
    }

    /// The name of the session for a request, by which the cloud's log and ours are joined.
    pub(crate) fn session_name(&self, request_id: &str) -> Result<String, Error> {
        let name = self.session_name.replace("{request}", request_id);
        match (2..=64).contains(&name.len()) && is_made_of(&name, NAME_MARKS) {
            true => Ok(name),
            false => {
                Err(faulty("`session_name` does not make 2 to 64 of A-Z, a-z, 0-9 and `_+=,.@-`"))
            }
        }
    }

    fn sound(&self) -> Result<(), Error> {
        self.url()?;
        self.role()?;
        // As long as an id of a request is.
        self.session_name(&"0".repeat(26))?;
        let longest = if self.chain.is_some() { 3600 } else { 43_200 };
        if !(900..=longest).contains(&self.duration) {
            return Err(faulty(format!("`duration` is not 900 to {longest} seconds")));
        }
        policy::sound(self.policy.as_deref(), &self.policy_arns)?;
        self.chain.as_ref().map_or(Ok(()), Chain::sound)
    }
}

/// What names of sessions and source identities are made of, besides letters and digits.
const NAME_MARKS: &[u8] = b"_+=,.@-";

impl Chain {
    fn sound(&self) -> Result<(), Error> {
        let fits = |text: &Option<String>, longest: usize, marks: &[u8]| {
            text.as_ref().is_none_or(|t| (2..=longest).contains(&t.len()) && is_made_of(t, marks))
        };
        if !fits(&self.external_id, 1224, b"_+=,.@:/-") {
            return Err(faulty(
                "`chain.external_id` is not 2 to 1224 of A-Z, a-z, 0-9 and `_+=,.@:/-`",
            ));
        }
        if !fits(&self.source_identity, 64, NAME_MARKS) {
            return Err(faulty(
                "`chain.source_identity` is not 2 to 64 of A-Z, a-z, 0-9 and `_+=,.@-`",
            ));
        }
        let keys = self.transitive_tags.iter().map(|key| (key.as_str(), ""));
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        match self.transitive_tags.len() <= MOST_TAGS
            && tags_fit(tags)
            && keys.clone().all(tag_fits)
        {
            true => Ok(()),
            false => Err(faulty("a tag of `chain` is not one that AWS takes")),
        }
    }
}

/// The most session tags of one request.
const MOST_TAGS: usize = 50;

/// Whether these can be the tags of one request. Keys that differ by case alone are one to AWS.
pub(crate) fn tags_fit<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut keys = std::collections::BTreeSet::new();
    for tag in tags {
        if !tag_fits(tag) || !keys.insert(tag.0.to_lowercase()) {
            return false;
        }
    }
    keys.len() <= MOST_TAGS
}

fn tag_fits((key, value): (&str, &str)) -> bool {
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    (1..=128).contains(&key.chars().count())
        && value.chars().count() <= 256
        && plain(key)
        && plain(value)
        && !key.to_ascii_lowercase().starts_with("aws:")
}

impl Secrets {
    pub(crate) fn url(&self) -> Result<String, Error> {
        region::url("secretsmanager", &self.region, self.endpoint.as_deref())
    }
}

impl Parameters {
    pub(crate) fn url(&self) -> Result<String, Error> {
        region::url("ssm", &self.region, self.endpoint.as_deref())
    }
}

/// Letters, digits and these marks.
pub(crate) fn is_made_of(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

pub(crate) fn faulty(message: impl Into<String>) -> Error {
    Error::invalid_config("config_unsound", message)
}
