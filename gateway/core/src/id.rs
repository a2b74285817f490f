//! Identifiers, each a type of its own, so that a backend's name never stands where an issuer's
//! should.
//!
//! Names that operators choose share one grammar: it is safe in a URL path segment, a Cedar entity
//! id, a file name and a metric label without any escaping.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a [name](BackendName).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use 1 to 63 of a-z, 0-9 and `-`, beginning with a letter and not ending with `-`"
)]
pub struct NameError(String);

fn check_name(text: &str) -> Result<(), NameError> {
    let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    let characters_fit =
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = text.len() <= 63 && begins_well && characters_fit && !text.ends_with('-');
    if fits { Ok(()) } else { Err(NameError(text.chars().take(80).collect())) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`NameError`] if `text` is not 1 to 63 of `a-z`, `0-9` and `-` beginning with a
            /// letter and not ending with `-`.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check_name(text).map(|()| Self(text.to_owned()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// The alias of a registered issuer.
    IssuerAlias;
    /// The name of a configured backend.
    BackendName;
    /// The name of a configured token-exchange target.
    TargetName;
    /// The name of a plugin, as its manifest states it.
    PluginName;
    /// The name of a role of a backend that issues credentials.
    RoleName;
    /// The name that the operator gives to a key with which plugins are signed.
    KeyName;
}

impl RoleName {
    /// As what a lease of a target's token stands in the ledger, in the place of a role. No role of a
    /// backend can be configured under this name.
    pub const EXCHANGE: &'static str = "token-exchange";

    /// The role of that name.
    #[must_use]
    pub fn exchange() -> Self {
        Self(Self::EXCHANGE.to_owned())
    }

    /// Whether it stands for a target's token.
    #[must_use]
    pub fn is_exchange(&self) -> bool {
        self.0 == Self::EXCHANGE
    }
}

/// A target stands in the ledger, and before the component host, where a backend stands. The two
/// share a grammar, and the configuration refuses to give one name to both.
impl From<TargetName> for BackendName {
    fn from(target: TargetName) -> Self {
        Self(target.0)
    }
}

/// The way back.
impl From<BackendName> for TargetName {
    fn from(backend: BackendName) -> Self {
        Self(backend.0)
    }
}

impl IssuerAlias {
    /// The gateway's own, for what belongs to nobody who asks. No issuer can be configured with it.
    #[must_use]
    pub fn of_gateway() -> Self {
        Self("symbolon".to_owned())
    }
}

macro_rules! ulids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(ulid::Ulid);

        impl $name {
            /// Makes an id from the time and 80 bits of randomness (the rest is ignored).
            #[must_use]
            pub fn new(now: crate::clock::Timestamp, random: u128) -> Self {
                let millis = u64::try_from(now.millis()).unwrap_or(0);
                Self(ulid::Ulid::from_parts(millis, random))
            }

            /// Parses the 26-character form.
            ///
            /// # Errors
            /// [`IdError`] if `text` is not a ULID.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                ulid::Ulid::from_string(text).map(Self).map_err(|_| IdError(()))
            }

            /// The 16 bytes of the id, big-endian, in order of time.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id whose bytes these are.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(ulid::Ulid::from_bytes(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                f.write_str(self.0.array_to_str(&mut text))
            }
        }
    )*};
}

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 26 characters of Crockford's base 32 are expected")]
pub struct IdError(());

ulids! {
    /// One request: in the answer, the audit log and, where a cloud lets us, its own log.
    RequestId;
    /// One lease, from its reservation on.
    LeaseId;
    /// One order to end many leases.
    OrderId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "kv", "prod-db-2", &"a".repeat(63)] {
            assert!(BackendName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "2a", "A", "a_b", "a/b", "a b", "ä", &"a".repeat(64)] {
            assert!(BackendName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = RequestId::new(crate::clock::Timestamp::from_seconds(1_793_520_000), 42);
        assert_eq!(RequestId::parse(&id.to_string()), Ok(id));
    }
}
