//! An issuer of certificates as an assessment sees it: authorities made here, and certificates of
//! workloads that are not yet signed, so that everything about them can still be made wrong.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use symbolon_core::token::{Form, IssuerRules};
use symbolon_oracle::Vouching;
use time::OffsetDateTime;

use super::AssessError;
use super::random::Random;
use super::sample::seconds;
use crate::listen::ClientCertificates;

const DAY: i64 = 86_400;

/// Somebody who signs certificates.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) der: Vec<u8>,
}

/// An issuer whose certificates can be made.
#[derive(Debug)]
pub(super) struct Voucher {
    pub(super) rules: Arc<IssuerRules>,
    pub(super) own: Authority,
    /// Of the same name, with another key.
    stranger: Authority,
    /// A workload that is no authority, and signs all the same.
    mere: Authority,
    /// Below `own`.
    intermediate: Authority,
    key: KeyPair,
    pub(super) terms: Vouching,
}

/// The names of a workload.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) uri: String,
    pub(super) dns: String,
    pub(super) common: String,
}

/// Who signs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Own,
    Intermediate,
    Stranger,
    Mere,
    Itself,
}

/// A certificate in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) params: CertificateParams,
    pub(super) by: By,
    /// A bit of the signature that is turned over.
    pub(super) flip: Option<usize>,
    /// How many bytes are missing at its end.
    pub(super) cut: usize,
}

impl Voucher {
    /// New authorities for an issuer at `now` (seconds).
    pub(super) fn new(rules: &IssuerRules, now: i64) -> Result<Self, AssessError> {
        let failed = |_: rcgen::Error| AssessError::Key;
        let own = Authority::root(now).map_err(failed)?;
        let mere = Authority::below(&own, leaf(now).map_err(failed)?).map_err(failed)?;
        let below = authority("assessed below", now).map_err(failed)?;
        let terms = Vouching {
            domain: (rules.form == Form::Spiffe).then(|| rules.issuer.clone()),
            by_dns: rules.subject_claim.as_str() == "/dns",
            owners: rules
                .owners
                .iter()
                .map(|own| (own.claim.as_str().to_owned(), own.allowed.clone()))
                .collect(),
            leeway: seconds(rules.leeway),
            authorities: vec![own.der.clone()],
        };
        Ok(Self {
            rules: Arc::new(rules.clone()),
            stranger: Authority::root(now).map_err(failed)?,
            mere,
            intermediate: Authority::below(&own, below).map_err(failed)?,
            own,
            key: KeyPair::generate().map_err(failed)?,
            terms,
        })
    }

    pub(super) fn is_svid(&self) -> bool {
        self.rules.form == Form::Spiffe
    }

    /// The names of a workload that its owners would have.
    pub(super) fn name(&self, random: &mut Random) -> Name {
        let id = random.hex();
        let owned = |claim: &str, random: &mut Random| {
            let owner = self.rules.owners.iter().find(|owner| owner.claim.as_str() == claim);
            owner.and_then(|owner| random.pick(&owner.allowed).cloned())
        };
        let uri = match self.is_svid() {
            true => format!("{}/ns/billing/{id}", self.rules.issuer),
            false => format!("https://{id}.fleet.example/"),
        };
        Name {
            uri: owned("/uri", random).unwrap_or(uri),
            dns: owned("/dns", random).unwrap_or_else(|| format!("{id}.fleet.example")),
            common: owned("/common_name", random).unwrap_or_else(|| format!("host {id}")),
        }
    }

    /// A good certificate.
    pub(super) fn draft(
        &self,
        name: &Name,
        now: i64,
        random: &mut Random,
    ) -> Result<Draft, AssessError> {
        let mut params = leaf(now).map_err(|_| AssessError::Key)?;
        params.subject_alt_names = vec![uri(&name.uri)?, dns(&name.dns)?];
        params.distinguished_name.push(DnType::CommonName, name.common.as_str());
        let by = if random.below(4) == 0 { By::Intermediate } else { By::Own };
        Ok(Draft { params, by, flip: None, cut: 0 })
    }

    /// The chain of a draft.
    pub(super) fn sign(&self, draft: &Draft) -> Result<ClientCertificates, AssessError> {
        let (params, key) = (&draft.params, &self.key);
        let (signed, rest) = match draft.by {
            By::Own => (params.signed_by(key, &self.own.issuer), None),
            By::Stranger => (params.signed_by(key, &self.stranger.issuer), None),
            By::Itself => (params.self_signed(key), None),
            By::Mere => (params.signed_by(key, &self.mere.issuer), Some(&self.mere.der)),
            By::Intermediate => {
                (params.signed_by(key, &self.intermediate.issuer), Some(&self.intermediate.der))
            }
        };
        let mut der = signed.map_err(|_| AssessError::Key)?.der().to_vec();
        if let Some(place) = draft.flip {
            // Within the second number of the signature, which is what ends a certificate.
            let at = der.len().saturating_sub(1 + place % 16);
            der.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (place % 8));
        }
        der.truncate(der.len().saturating_sub(draft.cut));
        let chain: Vec<_> =
            [Some(&der), rest].into_iter().flatten().map(|der| der.as_slice().into()).collect();
        ClientCertificates::of(Some(&chain as &[CertificateDer<'_>])).ok_or(AssessError::Key)
    }
}

impl Authority {
    fn root(now: i64) -> Result<Self, rcgen::Error> {
        let (params, key) = (authority("assessed", now)?, KeyPair::generate()?);
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Self { issuer: Issuer::new(params, key), der })
    }

    fn below(above: &Self, params: CertificateParams) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let der = params.signed_by(&key, &above.issuer)?.der().to_vec();
        Ok(Self { issuer: Issuer::new(params, key), der })
    }
}

fn authority(name: &str, now: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date(now - DAY), date(now + 400 * DAY));
    Ok(params)
}

/// A workload's certificate, without names.
fn leaf(now: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date(now - 60), date(now + 3600));
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

/// A date; far off, where there is none.
pub(super) fn date(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn uri(text: &str) -> Result<SanType, AssessError> {
    text.try_into().map(SanType::URI).map_err(|_| AssessError::Key)
}

pub(super) fn dns(text: &str) -> Result<SanType, AssessError> {
    text.try_into().map(SanType::DnsName).map_err(|_| AssessError::Key)
}
