//! Tokens that must be denied, one after the other.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon_oracle::{Terms, must_deny};

use super::draft::Draft;
use super::issuer::Issuer;
use super::mutate::{Mutation, Scene, catalogue};
use super::random::Random;
use super::sample::{fresh, workload};
use super::{AssessError, Kind};
use crate::config::Config;

/// Makes tokens in the name of the issuers of a configuration, with keys of its own.
pub struct Forger {
    pub(super) issuers: Vec<Issuer>,
    /// The same issuers, for the oracle.
    terms: Vec<Terms>,
    catalogue: Vec<&'static Mutation>,
}

/// A token that must be denied.
#[derive(Clone, Debug)]
pub struct Forged {
    /// What is wrong with it.
    pub kind: Kind,
    /// The mutation's name.
    pub name: &'static str,
    /// The alias of the issuer in whose name it is.
    pub issuer: String,
    /// The audit codes of which one must be the reason.
    pub expected: Vec<&'static str>,
    /// The token.
    pub token: String,
}

impl Forger {
    /// A forger with new keys.
    ///
    /// # Errors
    /// [`AssessError::Key`], and [`AssessError::Nobody`] where no issuer has tokens.
    pub fn new(config: &Config) -> Result<Self, AssessError> {
        let forger = Self::of(config)?;
        if forger.issuers.is_empty() { Err(AssessError::Nobody) } else { Ok(forger) }
    }

    /// The same, also where no issuer has tokens.
    pub(super) fn of(config: &Config) -> Result<Self, AssessError> {
        let blocks = config.issuers.values().filter(|block| block.rules.form.is_token());
        let issuers = blocks.map(Issuer::new).collect::<Result<Vec<_>, _>>()?;
        let terms = issuers.iter().map(|issuer| issuer.terms.clone()).collect();
        Ok(Self { issuers, terms, catalogue: catalogue() })
    }

    /// The key set of each issuer, by its alias.
    #[must_use]
    pub fn key_sets(&self) -> BTreeMap<String, Value> {
        let set = |issuer: &Issuer| json!({ "keys": [issuer.signer.jwk] });
        self.issuers.iter().map(|issuer| (issuer.rules.alias.to_string(), set(issuer))).collect()
    }

    /// So many tokens that must be denied at `now` (seconds), by the oracle's word.
    ///
    /// # Errors
    /// [`AssessError::Key`].
    pub fn forged(&self, count: usize, seed: u64, now: i64) -> Result<Vec<Forged>, AssessError> {
        let mut random = Random::new(seed, 0);
        let mut all = Vec::new();
        while all.len() < count {
            let forged = self.forge(now, &mut random)?;
            all.extend(forged.filter(|forged| self.must_deny(&forged.token, now).is_some()));
        }
        Ok(all)
    }

    /// A good token with one thing made wrong; none if what was drawn does not go together.
    pub(super) fn forge(
        &self,
        now: i64,
        random: &mut Random,
    ) -> Result<Option<Forged>, AssessError> {
        let (Some(issuer), Some(mutation)) =
            (random.pick(&self.issuers), random.pick(&self.catalogue))
        else {
            return Ok(None);
        };
        let mut draft = good(issuer, now, random);
        let scene = Scene { issuer, issuers: &self.issuers, now };
        if !mutation.spoil(&mut draft, &scene, random) {
            return Ok(None);
        }
        Ok(Some(Forged {
            kind: mutation.kind,
            name: mutation.name,
            issuer: issuer.rules.alias.to_string(),
            expected: Self::expected(mutation, issuer),
            token: signed(issuer, draft)?,
        }))
    }

    /// Where there are no keys it is the cluster that refuses what somebody else signed.
    fn expected(mutation: &Mutation, issuer: &Issuer) -> Vec<&'static str> {
        let of_keys = ["key_unknown", "key_mismatch", "signature"];
        let by_cluster =
            !issuer.keyed && of_keys.iter().any(|code| mutation.expected.contains(code));
        mutation.expected.iter().copied().chain(by_cluster.then_some("online_status")).collect()
    }

    /// What the oracle says.
    pub(super) fn must_deny(&self, token: &str, now: i64) -> Option<&'static str> {
        must_deny(token, &self.terms, now)
    }
}

impl std::fmt::Debug for Forger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forger").field("issuers", &self.issuers.len()).finish_non_exhaustive()
    }
}

/// A good token of somebody.
pub(super) fn good(issuer: &Issuer, now: i64, random: &mut Random) -> Draft {
    let claims = workload(&issuer.rules, random);
    Draft::of(issuer, fresh(&issuer.rules, &claims, now, random))
}

/// The text of a draft.
pub(super) fn signed(issuer: &Issuer, draft: Draft) -> Result<String, AssessError> {
    draft.text_of(&issuer.signer, &issuer.stranger).map_err(|_| AssessError::Key)
}
