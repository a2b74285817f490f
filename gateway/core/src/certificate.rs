//! Verification of client certificates: from the chain of a TLS handshake to the [`Principal`] it
//! proves. The handshake has shown possession of the key; whose key it is, is found out here.
//!
//! Two kinds: X.509-SVIDs of a SPIFFE trust domain (X509-SVID specification §4 and §5), and
//! certificates of an operator's own authority. The chain is built by `rustls-webpki` (RFC 5280 §6)
//! against the authorities of one issuer and no others; the leaf is read besides, since a path says
//! nothing of who stands at its end.
//!
//! INVARIANT: a certificate with a SPIFFE ID is verified with the authorities of its trust domain, or
//! not at all: no other issuer vouches for it.
//!
//! What is not here: revocation lists. Certificates are short, or an operator locks the principal; an
//! epoch refuses what was issued (`notBefore`) at or before it.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Error};

use crate::clock::Timestamp;
use crate::error::Kind;
use crate::principal::{Binding, Principal, Proof};
use crate::token::json::{Object, Value};
use crate::token::{Form, IssuerRules, Issuers, KeySet, Refusal, SpiffeId, is_printable, sha256};

/// Most certificates of a chain, the leaf included.
pub const MAX_CHAIN: usize = 8;
/// Most bytes of a chain.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;
/// Most names of a certificate.
const MAX_NAMES: usize = 64;

/// Why a certificate proves nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// No certificate, too many, or too large.
    #[error("the chain is empty or too large")]
    Size,
    /// The leaf cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
    /// No issuer vouches for such certificates.
    #[error("no registered issuer has an authority for the certificate")]
    UnknownIssuer,
    /// More than one URI in a certificate with a SPIFFE ID.
    #[error("the certificate has a SPIFFE ID and another URI")]
    SeveralIds,
    /// A URI of SPIFFE's scheme that is no workload's id.
    #[error("the SPIFFE ID is malformed, or names a trust domain and no workload")]
    Id,
    /// The certificate of an authority.
    #[error("the certificate is an authority's")]
    Authority,
    /// The key usage is missing or another.
    #[error("the key usage is not that of an end entity's signature")]
    KeyUsage,
    /// The extended key usage is another.
    #[error("the extended key usage is not that of a client")]
    ExtendedKeyUsage,
    /// The certificate is not valid yet.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate has expired.
    #[error("the certificate has expired")]
    Expired,
    /// No path to an authority of the issuer.
    #[error("the certificate does not lead to an authority of its issuer")]
    Path,
    /// The rules of the issuer refuse what the certificate says.
    #[error(transparent)]
    Rules(#[from] Refusal),
}

impl CertificateRefusal {
    /// The reason in the audit record and in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Size => "certificate_size",
            Self::Malformed => "certificate_malformed",
            Self::UnknownIssuer => "certificate_issuer_unknown",
            Self::SeveralIds => "certificate_ids",
            Self::Id => "certificate_id",
            Self::Authority => "certificate_authority",
            Self::KeyUsage => "certificate_key_usage",
            Self::ExtendedKeyUsage => "certificate_extended_key_usage",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Expired => "certificate_expired",
            Self::Path => "certificate_path",
            Self::Rules(refusal) => refusal.code(),
        }
    }

    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Size | Self::Malformed => Kind::Malformed,
            Self::UnknownIssuer
            | Self::SeveralIds
            | Self::Id
            | Self::Authority
            | Self::KeyUsage
            | Self::ExtendedKeyUsage
            | Self::NotYetValid
            | Self::Expired
            | Self::Path => Kind::Unauthenticated,
            Self::Rules(refusal) => refusal.kind(),
        }
    }
}

impl From<X509Error> for CertificateRefusal {
    fn from(_: X509Error) -> Self {
        Self::Malformed
    }
}

/// A chain that was read, of which nothing is proven.
#[derive(Debug)]
pub struct Chain<'a> {
    certificates: &'a [CertificateDer<'a>],
    leaf: Leaf,
}

/// What the leaf says.
#[derive(Debug)]
struct Leaf {
    not_before: Timestamp,
    not_after: Timestamp,
    is_authority: bool,
    /// Critical, with `digitalSignature`, and without the right to sign certificates or lists.
    has_signing_usage: bool,
    has_key_usage: bool,
    /// For clients; for servers.
    extended: Option<(bool, bool)>,
    common_name: Option<String>,
    serial: String,
    dns_names: Vec<String>,
    uris: Vec<String>,
}

impl<'a> Chain<'a> {
    /// Reads the chain of a handshake, the leaf first.
    ///
    /// # Errors
    /// [`CertificateRefusal::Size`] or [`CertificateRefusal::Malformed`].
    pub fn parse(certificates: &'a [CertificateDer<'a>]) -> Result<Self, CertificateRefusal> {
        let bytes: usize = certificates.iter().map(|certificate| certificate.len()).sum();
        let first = certificates.first().ok_or(CertificateRefusal::Size)?;
        if certificates.len() > MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            return Err(CertificateRefusal::Size);
        }
        Ok(Self { certificates, leaf: Leaf::parse(first)? })
    }

    /// The issuers whose authorities may vouch for the chain, by its unproven names: the trust domain
    /// of a SPIFFE ID and nobody else, or all that have authorities of their own.
    ///
    /// # Errors
    /// [`CertificateRefusal`] if there can be none.
    pub fn candidates<'i>(
        &self,
        issuers: &'i Issuers,
    ) -> Result<Vec<&'i IssuerRules>, CertificateRefusal> {
        if let Some(id) = self.leaf.spiffe_id()? {
            let domain = issuers.of_domain(id.issuer());
            return domain.map(|rules| vec![&**rules]).ok_or(CertificateRefusal::UnknownIssuer);
        }
        let own = issuers.iter().filter(|rules| rules.form == Form::Certificate);
        let own: Vec<_> = own.map(|rules| &**rules).collect();
        if own.is_empty() { Err(CertificateRefusal::UnknownIssuer) } else { Ok(own) }
    }

    /// Verifies the chain against the authorities of one issuer.
    ///
    /// # Errors
    /// [`CertificateRefusal`] of the first check that fails.
    pub fn verify(
        &self,
        rules: &IssuerRules,
        authorities: &KeySet,
        now: Timestamp,
    ) -> Result<Principal, CertificateRefusal> {
        self.leaf.check(rules, now)?;
        self.check_path(authorities, now)?;
        let subject = crate::token::subject(&self.leaf.claims(rules)?, rules)?;
        let first = self.certificates.first().ok_or(CertificateRefusal::Size)?;
        let proof = Proof {
            issued_at: Some(self.leaf.not_before),
            expires_at: self.leaf.not_after,
            binding: Binding::Mtls,
            digest: sha256(first),
            session: None,
        };
        Ok(Principal::proven(subject, proof))
    }

    fn check_path(&self, authorities: &KeySet, now: Timestamp) -> Result<(), CertificateRefusal> {
        let ders: Vec<_> = authorities
            .authorities()
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let anchors: Vec<TrustAnchor<'_>> =
            ders.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
        let (leaf, intermediates) =
            self.certificates.split_first().ok_or(CertificateRefusal::Size)?;
        let leaf =
            webpki::EndEntityCert::try_from(leaf).map_err(|_| CertificateRefusal::Malformed)?;
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, webpki::KeyUsage::client_auth());
        leaf.verify_for_usage(algorithms, &anchors, intermediates, time, usage, None, None)
            .map(drop)
            .map_err(|_| CertificateRefusal::Path)
    }
}

impl Leaf {
    fn parse(der: &[u8]) -> Result<Self, CertificateRefusal> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateRefusal::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateRefusal::Malformed);
        }
        let usage = certificate.key_usage()?;
        let signs = usage.as_ref().is_some_and(|usage| {
            let bits = usage.value;
            let certifies = bits.key_cert_sign() || bits.crl_sign();
            usage.critical && bits.digital_signature() && !certifies
        });
        let extended = certificate.extended_key_usage()?;
        let (dns_names, uris) = names(&certificate)?;
        let validity = certificate.validity();
        let mut common_names = certificate.subject().iter_common_name();
        let common_name = common_names.next().and_then(|name| name.as_str().ok());
        Ok(Self {
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
            is_authority: certificate.basic_constraints()?.is_some_and(|found| found.value.ca),
            has_signing_usage: signs,
            has_key_usage: usage.is_some(),
            extended: extended.map(|usage| (usage.value.client_auth, usage.value.server_auth)),
            common_name: common_name.filter(|name| is_printable(name)).map(str::to_owned),
            serial: certificate.raw_serial_as_string(),
            dns_names,
            uris,
        })
    }

    /// The one SPIFFE ID, if the certificate is an X.509-SVID.
    fn spiffe_id(&self) -> Result<Option<SpiffeId<'_>>, CertificateRefusal> {
        let is_spiffe = |uri: &String| {
            uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
        };
        if !self.uris.iter().any(is_spiffe) {
            return Ok(None);
        }
        let [only] = self.uris.as_slice() else { return Err(CertificateRefusal::SeveralIds) };
        SpiffeId::parse(only).map(Some).ok_or(CertificateRefusal::Id)
    }

    /// What the leaf must be whoever signed it.
    fn check(&self, rules: &IssuerRules, now: Timestamp) -> Result<(), CertificateRefusal> {
        let is_svid = rules.form == Form::Spiffe;
        let signs = self.has_signing_usage || (!is_svid && !self.has_key_usage);
        let is_client = |(client, server): (bool, bool)| client && (server || !is_svid);
        for (holds, refusal) in [
            (!self.is_authority, CertificateRefusal::Authority),
            (signs, CertificateRefusal::KeyUsage),
            (self.extended.is_none_or(is_client), CertificateRefusal::ExtendedKeyUsage),
            (self.not_before <= now.plus(rules.leeway), CertificateRefusal::NotYetValid),
            (self.not_after > now, CertificateRefusal::Expired),
        ] {
            if !holds {
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// What the certificate says, as claims for the rules of its issuer. `sub` is the one name of the
    /// kind that the rules make the subject; two of a kind are no name at all.
    fn claims(&self, rules: &IssuerRules) -> Result<Object, CertificateRefusal> {
        if let Some(id) = self.spiffe_id()? {
            if rules.form != Form::Spiffe || id.issuer() != rules.issuer {
                return Err(CertificateRefusal::UnknownIssuer);
            }
            let only = self.uris.first().cloned().unwrap_or_default();
            return Ok(Object::of(vec![("sub", Value::String(only))]));
        }
        let only = |names: &[String]| match names {
            [only] => Some(Value::String(only.clone())),
            _ => None,
        };
        let (uri, dns) = (only(&self.uris), only(&self.dns_names));
        let is_dns = rules.subject_claim.as_str() == "/dns";
        let subject = if is_dns { dns.clone() } else { uri.clone() };
        let common_name = self.common_name.clone().map(Value::String);
        let list = |names: &[String]| {
            Some(Value::Array(names.iter().cloned().map(Value::String).collect()))
        };
        let claims = [
            ("sub", subject),
            ("uri", uri),
            ("dns", dns),
            ("common_name", common_name),
            ("serial", Some(Value::String(self.serial.clone()))),
            ("dns_names", list(&self.dns_names)),
            ("uris", list(&self.uris)),
        ];
        let there = claims.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Ok(Object::of(there.collect()))
    }
}

/// The names of the subject alternative name: of hosts, and URIs.
fn names(
    certificate: &X509Certificate<'_>,
) -> Result<(Vec<String>, Vec<String>), CertificateRefusal> {
    let (mut dns_names, mut uris) = (Vec::new(), Vec::new());
    let Some(found) = certificate.subject_alternative_name()? else {
        return Ok((dns_names, uris));
    };
    if found.value.general_names.len() > MAX_NAMES {
        return Err(CertificateRefusal::Size);
    }
    for name in &found.value.general_names {
        let (text, list) = if let GeneralName::URI(uri) = name {
            (uri, &mut uris)
        } else if let GeneralName::DNSName(name) = name {
            (name, &mut dns_names)
        } else if let GeneralName::Invalid(..) = name {
            return Err(CertificateRefusal::Malformed);
        } else {
            continue;
        };
        if text.is_empty() || !text.is_ascii() || !is_printable(text) {
            return Err(CertificateRefusal::Malformed);
        }
        list.push((*text).to_owned());
    }
    Ok((dns_names, uris))
}
