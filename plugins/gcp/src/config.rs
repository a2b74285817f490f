//! The configuration: of a target, whose tokens the gateway obtains, or of a backend, whose secrets
//! it reads.
//!
//! INVARIANT: hosts are a table of this file; from the configuration comes nothing but a region, whose
//! letters are checked.

use serde::Deserialize;
use symbolon_plugin::Error;

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A target or a backend of this plugin.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// For a target: the provider of the workload identity pool that believes the gateway,
    /// `projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>`.
    pub(crate) provider: Option<String>,
    /// What tokens of the target are good for at most; that of the whole platform if none.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) scopes: Option<Vec<String>>,
    /// The service account that the federated identity acts as; none: the federated token itself.
    pub(crate) service_account: Option<String>,
    /// Service accounts on the way to it, in order.
    #[serde(default)]
    pub(crate) delegates: Vec<String>,
    /// An ID token of the service account instead of an access token.
    pub(crate) id_token: Option<IdToken>,
    /// For a backend: the project, by id or number, whose secrets are read.
    pub(crate) project: Option<String>,
    /// For regional secrets: the region, such as `europe-west3`.
    pub(crate) location: Option<String>,
}

/// An ID token of a service account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct IdToken {
    /// Whom it is for.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) audience: String,
    /// Whether it names the account's address.
    #[serde(default)]
    pub(crate) include_email: bool,
}

impl Config {
    /// Checks what becomes part of a URL or a request, and that nothing is said in vain.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        match (&self.provider, &self.project) {
            (Some(_), None) => self.sound_target(),
            (None, Some(_)) => self.sound_backend(),
            (_, _) => Err(Error::unsound(
                "one of `provider` (a target) and `project` (a backend) is needed",
            )),
        }
    }

    fn sound_target(&self) -> Result<(), Error> {
        self.provider()?;
        let scopes = self.scopes.as_deref();
        let accounts = self.service_account.iter().chain(&self.delegates);
        for (holds, otherwise) in [
            (self.location.is_none(), "`location` is for a backend"),
            (
                scopes.is_none_or(|scopes| {
                    !scopes.is_empty() && scopes.iter().all(|scope| is_scope(scope))
                }),
                "`scopes` are scopes such as `https://www.googleapis.com/auth/cloud-platform`",
            ),
            (
                accounts.clone().all(|account| is_account(account)),
                "a service account is written `name@project.iam.gserviceaccount.com`",
            ),
            (
                self.service_account.is_some()
                    || self.delegates.is_empty() && self.id_token.is_none(),
                "`delegates` and `id_token` need a `service_account`",
            ),
            (
                self.id_token.as_ref().is_none_or(|token| is_audience(&token.audience)),
                "`id_token.audience` is empty or has characters that no audience has",
            ),
            (
                self.id_token.is_none() || scopes.is_none(),
                "an ID token has no scopes: leave `scopes` out",
            ),
        ] {
            if !holds {
                return Err(Error::unsound(otherwise));
            }
        }
        Ok(())
    }

    fn sound_backend(&self) -> Result<(), Error> {
        let for_targets = self.scopes.is_some()
            || self.service_account.is_some()
            || !self.delegates.is_empty()
            || self.id_token.is_some();
        if for_targets {
            return Err(Error::unsound(
                "`scopes`, `service_account`, `delegates` and `id_token` are for a target",
            ));
        }
        self.secrets().map(|_| ())
    }

    /// The resource name of the provider.
    pub(crate) fn provider(&self) -> Result<&str, Error> {
        self.provider.as_deref().filter(|provider| is_provider(provider)).ok_or_else(|| {
            Error::unsound(
                "`provider` is not `projects/<number>/locations/global/workloadIdentityPools/<pool>/\
                 providers/<provider>`",
            )
        })
    }

    /// What tokens are good for at most.
    pub(crate) fn scopes(&self) -> Vec<&str> {
        match &self.scopes {
            Some(scopes) => scopes.iter().map(String::as_str).collect(),
            None => vec![CLOUD_PLATFORM],
        }
    }

    /// The URL of the project's secrets.
    pub(crate) fn secrets(&self) -> Result<String, Error> {
        let project = self.project.as_deref().filter(|project| is_project(project));
        let project =
            project.ok_or_else(|| Error::unsound("`project` is not the id of a project"))?;
        match self.location.as_deref() {
            None => {
                Ok(format!("https://secretmanager.googleapis.com/v1/projects/{project}/secrets"))
            }
            Some(region) if is_region(region) => Ok(format!(
                "https://secretmanager.{region}.rep.googleapis.com/v1/projects/{project}/locations/\
                 {region}/secrets"
            )),
            Some(_) => Err(Error::unsound("`location` is not a region such as `europe-west3`")),
        }
    }
}

/// With the project's number: Google takes no id there.
fn is_provider(text: &str) -> bool {
    let id = |id: &str| (4..=32).contains(&id.len()) && is_label(id) && !id.starts_with("gcp-");
    let segments: Vec<&str> = text.split('/').collect();
    let [
        "projects",
        number,
        "locations",
        "global",
        "workloadIdentityPools",
        pool,
        "providers",
        provider,
    ] = *segments
    else {
        return false;
    };
    is_number(number) && id(pool) && id(provider)
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// An id, one below a domain (`example.com:shop`), or a number.
fn is_project(text: &str) -> bool {
    let (domain, id) = text.split_once(':').unwrap_or(("x", text));
    (1..=63).contains(&id.len())
        && is_label(id)
        && !domain.is_empty()
        && domain.split('.').all(is_label)
}

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && is_label(text)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_account(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    !name.is_empty()
        && is_label(name)
        && domain.ends_with(".gserviceaccount.com")
        && domain.split('.').all(|label| !label.is_empty() && is_label(label))
        && text.len() <= 253
}

/// RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
}

fn is_audience(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
