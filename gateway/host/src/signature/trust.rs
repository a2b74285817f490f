//! Whose signatures count, how many are needed, and what may be unsigned.

use std::collections::{BTreeMap, BTreeSet};

use symbolon_core::id::{KeyName, PluginName};

use super::file::{Claim, Signatures};
use super::key::PublicKey;
use crate::admit::AdmitError;
use crate::manifest::Digest;

/// Why what the operator says of keys makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// One key under two names: it would count twice.
    #[error("is the same public key as `{0}`: one key counts once, so it has one name")]
    SameKey(KeyName),
    /// A demand for a key that there is not.
    #[error("there is no key `{0}`: add `[plugins.keys.{0}]`")]
    NoKey(KeyName),
    /// A minimum that nobody or anybody meets.
    #[error("`minimum` is from 1 to the number of `keys`, which is {0}")]
    Minimum(usize),
    /// Several keys, and nothing says how many of them are needed.
    #[error(
        "several keys are configured: say in `[plugins.signatures]` whether `all_of` them sign, or `any_of`"
    )]
    Undecided,
}

/// A key, and for which plugins it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The plugins that it may sign; any if `None`.
    pub plugins: Option<BTreeSet<PluginName>>,
}

/// A number of keys out of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyOf {
    /// How many of them at least.
    pub minimum: usize,
    /// The keys.
    pub keys: BTreeSet<KeyName>,
}

/// Which keys must have signed. Where both parts are there, both must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Each of these.
    pub all_of: BTreeSet<KeyName>,
    /// So many of these.
    pub any_of: Option<AnyOf>,
}

impl Policy {
    fn is_empty(&self) -> bool {
        self.all_of.is_empty() && self.any_of.is_none()
    }

    fn names(&self) -> impl Iterator<Item = &KeyName> {
        self.all_of.iter().chain(self.any_of.iter().flat_map(|any| &any.keys))
    }

    fn holds(&self, signed_by: &BTreeSet<KeyName>) -> bool {
        let any = self.any_of.as_ref().is_none_or(|any| {
            any.minimum > 0 && any.keys.intersection(signed_by).count() >= any.minimum
        });
        !self.is_empty() && any && self.all_of.is_subset(signed_by)
    }

    fn text(&self) -> String {
        let all = self.all_of.iter().map(|key| format!("`{key}`"));
        let any = self.any_of.iter().map(|any| {
            let keys: Vec<_> = any.keys.iter().map(|key| format!("`{key}`")).collect();
            format!("{} of {}", any.minimum, keys.join(", "))
        });
        let parts: Vec<_> = all.chain(any).collect();
        if parts.is_empty() {
            "a key, of which none is configured,".to_owned()
        } else {
            parts.join(" and ")
        }
    }
}

/// What the operator trusts. By default nothing: no key counts, and nothing may be unsigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    keys: BTreeMap<KeyName, TrustedKey>,
    policy: Policy,
    unsigned: BTreeSet<PluginName>,
}

/// Who vouches for a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endorsement {
    /// These keys have signed it, and they are enough.
    Signed(BTreeSet<KeyName>),
    /// Nobody; the operator lets it be unsigned.
    Unsigned,
}

impl Endorsement {
    /// The keys that have signed it.
    pub fn keys(&self) -> impl Iterator<Item = &KeyName> {
        match self {
            Self::Signed(keys) => Some(keys),
            Self::Unsigned => None,
        }
        .into_iter()
        .flatten()
    }
}

/// What is known of a component before anything of it is parsed.
pub(super) enum Verdict {
    /// It is signed as needed.
    Signed(Claim, BTreeSet<KeyName>),
    /// It is not signed as needed, and this claim is of one that may be unsigned.
    Waived(Claim),
    /// There is no signature file.
    Bare,
}

impl Trust {
    /// Lets these plugins be unsigned.
    #[must_use]
    pub fn with_unsigned(self, names: impl IntoIterator<Item = PluginName>) -> Self {
        Self { unsigned: names.into_iter().collect(), ..self }
    }

    /// Lets these keys count, as `policy` demands. Where there is one key and no policy, that key
    /// must have signed; several keys need a policy.
    ///
    /// # Errors
    /// [`TrustError`] if keys or policy make no sense, with the key that it is about.
    pub fn with_keys(
        self,
        keys: BTreeMap<KeyName, TrustedKey>,
        policy: Policy,
    ) -> Result<Self, (Option<KeyName>, TrustError)> {
        for (name, trusted) in &keys {
            let same = |(other, earlier): &(&KeyName, &TrustedKey)| {
                *other < name && earlier.key == trusted.key
            };
            if let Some((other, _)) = keys.iter().find(same) {
                return Err((Some(name.clone()), TrustError::SameKey(other.clone())));
            }
        }
        if let Some(unknown) = policy.names().find(|name| !keys.contains_key(*name)) {
            return Err((None, TrustError::NoKey(unknown.clone())));
        }
        if let Some(any) = &policy.any_of
            && !(1..=any.keys.len()).contains(&any.minimum)
        {
            return Err((None, TrustError::Minimum(any.keys.len())));
        }
        if policy.is_empty() && keys.len() > 1 {
            return Err((None, TrustError::Undecided));
        }
        let policy = match policy.is_empty() {
            true => Policy { all_of: keys.keys().cloned().collect(), any_of: None },
            false => policy,
        };
        Ok(Self { keys, policy, ..self })
    }

    /// Whether `name` may be unsigned.
    #[must_use]
    pub fn may_be_unsigned(&self, name: &PluginName) -> bool {
        self.unsigned.contains(name)
    }

    /// What the signature file says of the component with this digest.
    pub(super) fn judge(
        &self,
        digest: Digest,
        signatures: Option<&[u8]>,
    ) -> Result<Verdict, AdmitError> {
        let Some(file) = signatures else { return Ok(Verdict::Bare) };
        let file =
            Signatures::parse(file).map_err(|error| AdmitError::Signatures(error.to_string()))?;
        if file.claim().digest != digest {
            return Err(AdmitError::SignedElse);
        }
        let signed_by = self.signers(&file)?;
        let claim = file.claim().clone();
        if self.policy.holds(&signed_by) {
            Ok(Verdict::Signed(claim, signed_by))
        } else if self.may_be_unsigned(&claim.name) {
            Ok(Verdict::Waived(claim))
        } else {
            let (signed_by, wanted) = (signed_by.into_iter().collect(), self.policy.text());
            Err(AdmitError::NotEndorsed { name: claim.name, signed_by, wanted })
        }
    }

    /// Who vouches for the component with this digest, by its signature file.
    #[must_use]
    pub fn endorsement(&self, digest: Digest, signatures: Option<&[u8]>) -> Endorsement {
        match self.judge(digest, signatures) {
            Ok(Verdict::Signed(_, keys)) => Endorsement::Signed(keys),
            Ok(Verdict::Waived(_) | Verdict::Bare) | Err(_) => Endorsement::Unsigned,
        }
    }

    /// Takes out of `file` what is said to be by a key that is known, and is not.
    pub(super) fn strike_wrong(&self, file: &mut Signatures) {
        let message = file.claim().message();
        for trusted in self.keys.values() {
            if file.holds(&trusted.key, &message) == Some(false) {
                file.strike(trusted.key.id());
            }
        }
    }

    /// The keys that signed and count for the name that is claimed. One that is named and did not
    /// sign is an attempt to deceive, whatever else is in the file.
    fn signers(&self, file: &Signatures) -> Result<BTreeSet<KeyName>, AdmitError> {
        let message = file.claim().message();
        let mut signers = BTreeSet::new();
        for (name, trusted) in &self.keys {
            match file.holds(&trusted.key, &message) {
                None => {}
                Some(false) => return Err(AdmitError::SignatureWrong(name.clone())),
                Some(true) => {
                    let may = trusted.plugins.as_ref();
                    if may.is_none_or(|plugins| plugins.contains(&file.claim().name)) {
                        signers.insert(name.clone());
                    }
                }
            }
        }
        Ok(signers)
    }
}
