//! Everybody in whose name attempts are made, whatever they show.

use symbolon_oracle::{
    must_deny_actor, must_deny_certificate, must_deny_reviewed, must_deny_signed,
};

use super::cloud::{Caller, Cloud};
use super::draft::Draft;
use super::evidence::Evidence;
use super::forge::{Forger, signed};
use super::mutate::review;
use super::random::Random;
use super::sample::{Claims, fresh, workload};
use super::voucher::{Name, Voucher};
use super::{AssessError, Kind};
use crate::config::{Config, Keys};

/// All issuers of a configuration, with keys of the assessment.
pub(super) struct Cast {
    pub(super) forger: Forger,
    pub(super) vouchers: Vec<Voucher>,
    pub(super) clouds: Vec<Cloud>,
}

/// One issuer, by its place among those of its form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Token(usize),
    Certificate(usize),
    Signed(usize),
}

/// Somebody whose proofs can be made again and again.
#[derive(Clone, Debug)]
pub(super) enum Workload {
    Token(usize, Claims),
    Certificate(usize, Name),
    Signed(usize, Caller),
}

/// A proof that must be refused, ready to be shown.
pub(super) struct Wrong {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) issuer: String,
    /// The audit codes of which one must be the reason.
    pub(super) expected: Vec<&'static str>,
    pub(super) evidence: Evidence,
}

impl Cast {
    /// Makes keys and authorities for the issuers of `config`, at `now` (seconds).
    pub(super) fn of(config: &Config, now: i64) -> Result<Self, AssessError> {
        let (mut vouchers, mut clouds) = (Vec::new(), Vec::new());
        for block in config.issuers.values() {
            if block.rules.form.is_certificate() {
                vouchers.push(Voucher::new(&block.rules, now)?);
            }
            clouds.extend(block.partition.map(|partition| Cloud::new(&block.rules, partition)));
        }
        let cast = Self { forger: Forger::of(config)?, vouchers, clouds };
        if cast.sources().is_empty() { Err(AssessError::Nobody) } else { Ok(cast) }
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        let tokens = (0..self.forger.issuers.len()).map(Source::Token);
        let certificates = (0..self.vouchers.len()).map(Source::Certificate);
        let signed = (0..self.clouds.len()).map(Source::Signed);
        tokens.chain(certificates).chain(signed).collect()
    }

    pub(super) fn alias(&self, source: Source) -> String {
        let rules = match source {
            Source::Token(place) => self.forger.issuers.get(place).map(|issuer| &issuer.rules),
            Source::Certificate(place) => self.vouchers.get(place).map(|issuer| &issuer.rules),
            Source::Signed(place) => self.clouds.get(place).map(|issuer| &issuer.rules),
        };
        rules.map(|rules| rules.alias.to_string()).unwrap_or_default()
    }

    /// Somebody of an issuer.
    pub(super) fn workload(&self, source: Source, random: &mut Random) -> Option<Workload> {
        Some(match source {
            Source::Token(place) => {
                Workload::Token(place, workload(&self.forger.issuers.get(place)?.rules, random))
            }
            Source::Certificate(place) => {
                Workload::Certificate(place, self.vouchers.get(place)?.name(random))
            }
            Source::Signed(place) => {
                Workload::Signed(place, self.clouds.get(place)?.caller(random))
            }
        })
    }

    /// A good proof of somebody.
    pub(super) fn good(
        &self,
        workload: &Workload,
        now: i64,
        random: &mut Random,
    ) -> Result<Evidence, AssessError> {
        let missing = AssessError::Nobody;
        match workload {
            Workload::Token(place, claims) => self.token((*place, claims), now, random, |_| {}),
            Workload::Certificate(place, name) => {
                let voucher = self.vouchers.get(*place).ok_or(missing)?;
                voucher.sign(&voucher.draft(name, now, random)?).map(Evidence::Certificate)
            }
            Workload::Signed(place, caller) => {
                let cloud = self.clouds.get(*place).ok_or(missing)?;
                Ok(cloud.draft(caller, now, random).evidence())
            }
        }
    }

    /// A token of somebody with claims that are `change`d, and its cluster's word where it is asked.
    pub(super) fn token(
        &self,
        (place, claims): (usize, &Claims),
        now: i64,
        random: &mut Random,
        change: impl FnOnce(&mut Claims),
    ) -> Result<Evidence, AssessError> {
        let issuer = self.forger.issuers.get(place).ok_or(AssessError::Nobody)?;
        let mut claims = fresh(&issuer.rules, claims, now, random);
        change(&mut claims);
        let word = issuer.reviewed.then(|| review::Draft::of(&claims).said());
        Ok(Evidence::Token(signed(issuer, Draft::of(issuer, claims))?, word))
    }

    /// A token with one thing made wrong, without the oracle's word.
    pub(super) fn wrong_token(
        &self,
        now: i64,
        random: &mut Random,
    ) -> Result<Option<Wrong>, AssessError> {
        let forged = self.forger.forge(now, random)?;
        Ok(forged.map(|forged| Wrong {
            kind: forged.kind,
            name: forged.name,
            issuer: forged.issuer,
            expected: forged.expected,
            evidence: Evidence::Token(forged.token, None),
        }))
    }

    /// A good token of which its cluster says something else.
    pub(super) fn wrong_review(
        &self,
        now: i64,
        random: &mut Random,
    ) -> Result<Option<Wrong>, AssessError> {
        let issuers = self.forger.issuers.iter().filter(|issuer| issuer.reviewed);
        let issuers: Vec<_> = issuers.collect();
        let (Some(issuer), Some(mutation)) = (random.pick(&issuers), random.pick(review::ALL))
        else {
            return Ok(None);
        };
        let claims = fresh(&issuer.rules, &workload(&issuer.rules, random), now, random);
        let mut answer = review::Draft::of(&claims);
        if !mutation.spoil(&mut answer, random) {
            return Ok(None);
        }
        let token = signed(issuer, Draft::of(issuer, claims))?;
        Ok(Some(Wrong {
            kind: mutation.kind,
            name: mutation.name,
            issuer: issuer.rules.alias.to_string(),
            expected: mutation.expected.to_vec(),
            evidence: Evidence::Token(token, Some(answer.said())),
        }))
    }

    /// A certificate with one thing made wrong.
    pub(super) fn wrong_certificate(
        &self,
        now: i64,
        random: &mut Random,
    ) -> Result<Option<Wrong>, AssessError> {
        use super::mutate::certificate::{ALL, Scene};
        let (Some(voucher), Some(mutation)) = (random.pick(&self.vouchers), random.pick(ALL))
        else {
            return Ok(None);
        };
        let workload = voucher.name(random);
        let mut draft = voucher.draft(&workload, now, random)?;
        let domains = self.vouchers.iter().filter_map(|other| other.terms.domain.as_deref());
        let scene = Scene { voucher, domains: domains.collect(), workload: &workload, now };
        if !mutation.spoil(&mut draft, &scene, random) {
            return Ok(None);
        }
        // Of several authorities of one's own, the last says why.
        let own = self.vouchers.iter().filter(|other| !other.is_svid()).count();
        let path = (own > 1 && !voucher.is_svid()).then_some("certificate_path");
        Ok(Some(Wrong {
            kind: mutation.kind,
            name: mutation.name,
            issuer: voucher.rules.alias.to_string(),
            expected: mutation.expected.iter().copied().chain(path).collect(),
            evidence: Evidence::Certificate(voucher.sign(&draft)?),
        }))
    }

    /// A signed request with one thing made wrong, or to which STS says something else.
    pub(super) fn wrong_request(&self, now: i64, random: &mut Random) -> Option<Wrong> {
        use super::mutate::signed::{ALL, Scene};
        let (cloud, mutation) = (random.pick(&self.clouds)?, random.pick(ALL)?);
        let mut draft = cloud.draft(&cloud.caller(random), now, random);
        let partitions = self.clouds.iter().map(|cloud| cloud.partition).collect();
        let scene = Scene { cloud, partitions, now };
        mutation.spoil(&mut draft, &scene, random).then(|| Wrong {
            kind: mutation.kind,
            name: mutation.name,
            issuer: cloud.rules.alias.to_string(),
            expected: mutation.expected.to_vec(),
            evidence: draft.evidence(),
        })
    }

    /// What the oracle says.
    pub(super) fn must_deny(&self, evidence: &Evidence, now: i64) -> Option<&'static str> {
        match evidence {
            Evidence::Token(token, said) => self.forger.must_deny(token, now).or_else(|| {
                let audiences = self.reviewed_audiences();
                said.as_ref().and_then(|said| must_deny_reviewed(token, &audiences, said))
            }),
            Evidence::Signed { text, said, .. } => {
                let all: Vec<_> = self.clouds.iter().map(|cloud| cloud.terms.clone()).collect();
                must_deny_signed(text, &all, said, now)
            }
            Evidence::Certificate(shown) => {
                let chain: Vec<_> = shown.chain().iter().map(|der| der.to_vec()).collect();
                let all: Vec<_> = self.vouchers.iter().map(|one| one.terms.clone()).collect();
                must_deny_certificate(&chain, &all, now)
            }
        }
    }

    fn reviewed_audiences(&self) -> Vec<String> {
        let issuers = self.forger.issuers.iter().filter(|issuer| issuer.reviewed);
        issuers.flat_map(|issuer| issuer.rules.audiences.clone()).collect()
    }

    /// What the oracle says of somebody who wants to act for somebody.
    pub(super) fn must_not_act(subject: &Evidence, actor: &Evidence) -> Option<&'static str> {
        match (subject, actor) {
            (Evidence::Token(subject, _), Evidence::Token(actor, _)) => {
                must_deny_actor(subject, actor)
            }
            (
                Evidence::Token(..) | Evidence::Signed { .. } | Evidence::Certificate(_),
                Evidence::Token(..) | Evidence::Signed { .. } | Evidence::Certificate(_),
            ) => None,
        }
    }
}

/// Whether an issuer's keys are looked at, or its word is all there is.
pub(super) const fn has_keys(keys: &Keys) -> bool {
    match keys {
        Keys::Discovery | Keys::Url(_) | Keys::Inline(_) | Keys::File(_) => true,
        Keys::Authorities(_) | Keys::Nothing => false,
    }
}
