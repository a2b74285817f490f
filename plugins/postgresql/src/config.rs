//! The configuration: of the backend, and of a role.
//!
//! INVARIANT: a role that is sound can be issued, renewed and revoked without anything more being
//! asked of the operator; what is wrong with one is said when it is loaded.

use serde::{Deserialize, Deserializer, Serialize};
use symbolon_plugin::sql::is_identifier;
use symbolon_plugin::sql::template::{Placeholder, Template};
use symbolon_plugin::{Error, role};

/// What the host keeps of a lease for its revocation.
const HANDLE_BYTES: usize = 4096;

/// Groups of the server's own whose members can become anybody: they run programs or replace files
/// as the server.
const ALMIGHTY: [&str; 3] =
    ["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"];

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// What tells this gateway's users from those of another gateway on the same server.
    #[serde(default = "symbolon")]
    #[cfg_attr(test, schemars(regex(pattern = "^[a-z0-9-]{1,63}$")))]
    pub(crate) mark: String,
}

fn symbolon() -> String {
    "symbolon".to_owned()
}

impl Config {
    /// Checks the mark, which goes into a comment of each user.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound = (1..=63).contains(&self.mark.len()) && self.mark.bytes().all(plain);
        let fault = || Error::invalid_config("config_unsound", "`mark` is 1 to 63 of `a-z 0-9 -`");
        sound.then_some(()).ok_or_else(fault)
    }
}

/// What users of a role are, in the operator's words.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Role {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) member_of: Vec<String>,
    pub(crate) connection_limit: Option<u32>,
    pub(crate) set_role: Option<bool>,
    pub(crate) creation: Vec<Template>,
    pub(crate) renewal: Vec<Template>,
    reassign_to: Option<String>,
    databases: Vec<String>,
    revocation: Vec<Template>,
}

/// What a revocation needs besides the name. A copy goes with the lease, since the operator may have
/// removed the role by then.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Leftovers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reassign_to: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) databases: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revocation: Vec<Template>,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a name or a list of names")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

impl Role {
    /// The group that a user acts as from its login on, so that what it makes belongs to the group.
    pub(crate) fn acts_as(&self) -> Option<&str> {
        let group = self.member_of.first().filter(|_| self.set_role.unwrap_or(true));
        group.map(String::as_str)
    }

    pub(crate) fn leftovers(&self) -> Leftovers {
        Leftovers {
            reassign_to: self.reassign_to.clone(),
            databases: self.databases.clone(),
            revocation: self.revocation.clone(),
        }
    }

    /// Checks what the types cannot say.
    pub(crate) fn sound(&self, name: &str) -> Result<(), Error> {
        let fault = self.fault_of_names().or_else(|| self.fault_of_statements());
        fault.map_or(Ok(()), |why| Err(role::unsound(name, why)))
    }

    fn fault_of_names(&self) -> Option<&'static str> {
        let names = self.member_of.iter().chain(&self.reassign_to).chain(&self.databases);
        if names.into_iter().any(|name| !is_identifier(name)) {
            return Some("a name has 1 to 63 bytes and no control characters");
        }
        if self.member_of.iter().any(|group| ALMIGHTY.contains(&group.as_str())) {
            return Some("`member_of` names a group whose members can become superuser");
        }
        let limit = self.connection_limit.is_none_or(|limit| (1..=100_000).contains(&limit));
        (!limit).then_some("`connection_limit` is 1 to 100000")
    }

    fn fault_of_statements(&self) -> Option<&'static str> {
        let has = |templates: &[Template], what| templates.iter().any(|one| one.has(what));
        let (name, verifier, expiration) =
            (Placeholder::Name, Placeholder::PasswordVerifier, Placeholder::Expiration);
        let replaced = !self.member_of.is_empty()
            || self.connection_limit.is_some()
            || self.set_role.is_some();
        let whole = [name, verifier, expiration].iter().all(|what| has(&self.creation, *what));
        match self.creation.is_empty() {
            true if self.member_of.is_empty() => {
                return Some("`member_of` or `creation` is needed");
            }
            false if replaced => {
                return Some(
                    "`creation` stands instead of `member_of`, `connection_limit` and `set_role`",
                );
            }
            false if !whole => {
                return Some(
                    "`creation` must use {{name}}, {{password_verifier}} and {{expiration}}",
                );
            }
            true | false => {}
        }
        let renews = has(&self.renewal, name) && has(&self.renewal, expiration);
        if !self.renewal.is_empty() && !renews {
            return Some("`renewal` must use {{name}} and {{expiration}}");
        }
        if has(&self.renewal, verifier) || has(&self.revocation, verifier) {
            return Some("only `creation` has a {{password_verifier}}");
        }
        if has(&self.revocation, expiration) {
            return Some("`revocation` has no {{expiration}}");
        }
        let bulky = self.leftovers().handle().len() > HANDLE_BYTES;
        bulky.then_some("`databases` and `revocation` are longer than 4 KiB together")
    }
}

impl Leftovers {
    /// What goes with the lease.
    pub(crate) fn handle(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// By what the role says now, and where it says nothing any more, by what it said then: a
    /// database that was listed then may still hold something.
    pub(crate) fn of(role: &str, text: &str, handle: &[u8]) -> Self {
        let then: Self = serde_json::from_slice(handle).unwrap_or_default();
        let Ok(now) = role::parse::<Role>(role, text) else { return then };
        let now = now.leftovers();
        let mut databases = now.databases;
        databases.extend(then.databases);
        databases.sort();
        databases.dedup();
        let revocation = if now.revocation.is_empty() { then.revocation } else { now.revocation };
        Self { reassign_to: now.reassign_to.or(then.reassign_to), databases, revocation }
    }

    /// Whether there is anything to do with what a user left.
    pub(crate) fn is_wanted(&self) -> bool {
        self.reassign_to.is_some() || !self.revocation.is_empty()
    }
}
