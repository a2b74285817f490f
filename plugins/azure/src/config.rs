//! The configuration: of a target, whose tokens the gateway obtains, or of a backend, whose vault it
//! reads.
//!
//! INVARIANT: where to log in and below which name vaults are comes from the table of clouds in this
//! file, so that a token for vaults is shown to a vault of that cloud and to nobody else.

use serde::Deserialize;
use symbolon_plugin::Error;

/// A target or a backend of this plugin.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Which of Microsoft's clouds: decides where to log in, and below which name vaults are.
    #[serde(default)]
    pub(crate) cloud: Cloud,
    /// For a target: the tenant, by id or domain.
    pub(crate) tenant: Option<String>,
    /// For a target: the application or user-assigned identity whose federated credential names the
    /// gateway.
    pub(crate) client_id: Option<String>,
    /// For a target: what tokens are for; the scope is this and `/.default`. Key Vault if none.
    pub(crate) resource: Option<String>,
    /// For a backend: where the vault is, `https://<name>.vault.azure.net`.
    #[cfg_attr(test, schemars(extend("format" = "uri")))]
    pub(crate) vault: Option<String>,
    /// How a certificate that is kept as PKCS#12 is given: as its parts in PEM (the default), or as
    /// the file it is.
    pub(crate) certificates: Option<Certificates>,
    /// Whether to ask, for a secret that is not there, if it is one that was deleted and can be
    /// recovered.
    #[serde(default)]
    pub(crate) tell_deleted: bool,
}

/// Microsoft's clouds, which do not know each other's identities.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
pub(crate) enum Cloud {
    #[default]
    Public,
    UsGovernment,
    China,
}

/// How a certificate in PKCS#12 is given.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Certificates {
    /// As `certificate`, `chain` and `private_key`, in PEM.
    Pem,
    /// As the file that it is.
    Pkcs12,
}

impl Cloud {
    /// The host of logins.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
        }
    }

    /// What the host of a vault ends in.
    pub(crate) fn vaults(self) -> &'static str {
        match self {
            Self::Public => "vault.azure.net",
            Self::UsGovernment => "vault.usgovcloudapi.net",
            Self::China => "vault.azure.cn",
        }
    }
}

impl Config {
    /// Checks what becomes part of a URL or a request, and that nothing is said in vain.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        let of_target =
            self.tenant.is_some() || self.client_id.is_some() || self.resource.is_some();
        let of_backend = self.certificates.is_some() || self.tell_deleted;
        match (&self.vault, of_target) {
            (Some(_), false) => self.vault().map(|_| ()),
            (None, true) if of_backend => {
                Err(Error::unsound("`certificates` and `tell_deleted` are for a backend"))
            }
            (None, true) => {
                self.tenant()?;
                self.client_id()?;
                self.scope().map(|_| ())
            }
            (_, _) => Err(Error::unsound(
                "either `tenant` and `client_id` (a target) or `vault` (a backend) is needed",
            )),
        }
    }

    /// The one tenant: not a name that stands for all of them.
    pub(crate) fn tenant(&self) -> Result<&str, Error> {
        let own = |tenant: &&str| {
            (1..=253).contains(&tenant.len())
                && tenant.split('.').all(is_label)
                && !matches!(*tenant, "common" | "organizations" | "consumers")
        };
        let tenant = self.tenant.as_deref().filter(own);
        tenant.ok_or_else(|| Error::unsound("`tenant` is not the id or domain of one tenant"))
    }

    pub(crate) fn client_id(&self) -> Result<&str, Error> {
        let id = self.client_id.as_deref().filter(|id| is_guid(id));
        id.ok_or_else(|| Error::unsound("`client_id` is not the id of an application"))
    }

    /// One resource, with everything that was consented to.
    pub(crate) fn scope(&self) -> Result<String, Error> {
        let plain = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        match &self.resource {
            None => Ok(format!("https://{}/.default", self.cloud.vaults())),
            Some(resource)
                if (1..=256).contains(&resource.len())
                    && resource.bytes().all(plain)
                    && !resource.ends_with("/.default") =>
            {
                Ok(format!("{resource}/.default"))
            }
            Some(_) => Err(Error::unsound(
                "`resource` is not a resource such as `https://vault.azure.net`",
            )),
        }
    }

    /// The URL of the vault, without a slash at its end.
    pub(crate) fn vault(&self) -> Result<&str, Error> {
        let url = self.vault.as_deref().unwrap_or_default();
        let url = url.strip_suffix('/').unwrap_or(url);
        let host = url.strip_prefix("https://").unwrap_or_default();
        let name = host.strip_suffix(self.cloud.vaults()).and_then(|name| name.strip_suffix('.'));
        let sound = name.is_some_and(|name| (3..=24).contains(&name.len()) && is_label(name));
        sound.then_some(url).ok_or_else(|| {
            Error::unsound(format!(
                "`vault` is not the URL of a vault of this cloud, `https://<name>.{}`",
                self.cloud.vaults()
            ))
        })
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_guid(text: &str) -> bool {
    let hex = |group: &str| group.bytes().all(|b| b.is_ascii_hexdigit());
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.into_iter().all(hex)
}
