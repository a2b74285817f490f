//! Whether the certificates of a connection must be refused (RFC 5280; X.509-SVID §2 and §5).
//!
//! They are read by another library than the gateway's, and the path is looked for naively: an
//! authority signs the leaf, or signs what signs the leaf. Longer chains are none that anything is
//! said of.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use yasna::tags::TAG_UTCTIME;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag, parse_der};

/// The block of an issuer that vouches for certificates, in plain values. Its authorities have keys
/// for ECDSA with P-256 and SHA-256.
#[derive(Clone, Debug)]
pub struct Vouching {
    /// The trust domain, as `spiffe://…`; an operator's own authority has none.
    pub domain: Option<String>,
    /// Whether the subject is the DNS name, and not the URI.
    pub by_dns: bool,
    /// `owners`: pointer and allowed values.
    pub owners: Vec<(String, Vec<String>)>,
    /// `leeway` in seconds.
    pub leeway: i64,
    /// The certificates of its authorities, DER.
    pub authorities: Vec<Vec<u8>>,
}

/// Why the chain, leaf first, must be refused at `now` (seconds), if that is certain.
#[must_use]
pub fn must_deny_certificate(
    chain: &[Vec<u8>],
    issuers: &[Vouching],
    now: i64,
) -> Option<&'static str> {
    let read: Option<Vec<_>> = chain.iter().map(|der| Certificate::read(der)).collect();
    let Some(read) = read else { return Some("unreadable") };
    let Some((leaf, others)) = read.split_first() else { return Some("nothing") };
    if others.len() > 1 {
        return None;
    }
    let Some(id) = leaf.id() else { return Some("id") };
    let possible = issuers.iter().filter(|issuer| issuer.may_vouch(id));
    let verdicts: Vec<_> = possible.map(|issuer| issuer.refuses(leaf, others, now)).collect();
    let vouching = verdicts.iter().filter(|verdict| verdict.is_none()).count();
    match vouching {
        0 => Some(verdicts.first().copied().flatten().unwrap_or("issuer")),
        1 => None,
        _ => Some("two issuers"),
    }
}

impl Vouching {
    fn may_vouch(&self, id: Option<&str>) -> bool {
        match (&self.domain, id) {
            (Some(domain), Some(id)) => id.starts_with(&format!("{domain}/")),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn refuses(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        now: i64,
    ) -> Option<&'static str> {
        let is_svid = self.domain.is_some();
        let checks = [
            ("authority", leaf.authority),
            ("key usage", !leaf.usage.map_or(!is_svid, signs_only)),
            (
                "extended key usage",
                leaf.purposes.as_ref().is_some_and(|of| !is_client(of, is_svid)),
            ),
            ("dates", leaf.begin > now.saturating_add(self.leeway) || leaf.end <= now),
            ("path", !self.leads_to(leaf, others, now)),
            ("name", !is_svid && self.name_of(leaf).is_none()),
            ("owner", !self.owners.iter().all(|owner| owns(owner, leaf))),
        ];
        checks.iter().find(|(_, refuses)| *refuses).map(|(reason, _)| *reason)
    }

    fn leads_to(&self, leaf: &Certificate, others: &[Certificate], now: i64) -> bool {
        let all: Vec<_> =
            self.authorities.iter().filter_map(|der| Certificate::read(der)).collect();
        let is_ours = |signed: &Certificate| all.iter().any(|authority| authority.signed(signed));
        let between = |other: &Certificate| {
            let is_valid = other.authority && other.begin <= now && now < other.end;
            is_valid && other.signed(leaf) && is_ours(other)
        };
        is_ours(leaf) || others.iter().any(between)
    }

    fn name_of<'a>(&self, leaf: &'a Certificate) -> Option<&'a str> {
        only(if self.by_dns { &leaf.dns } else { &leaf.uris })
    }
}

fn only(names: &[String]) -> Option<&str> {
    match names {
        [name] => Some(name),
        _ => None,
    }
}

fn owns((claim, allowed): &(String, Vec<String>), leaf: &Certificate) -> bool {
    let name = match claim.as_str() {
        "/dns" => only(&leaf.dns),
        "/uri" | "/sub" => only(&leaf.uris),
        "/common_name" => leaf.common_name.as_deref(),
        // Nothing is certain of the others.
        _ => return true,
    };
    name.is_some_and(|name| allowed.iter().any(|own| own == name))
}

/// RFC 5280 §4.2.1.3: critical, `digitalSignature`, and neither `keyCertSign` nor `cRLSign`.
const fn signs_only((critical, bits): (bool, u8)) -> bool {
    critical && bits & 0x80 != 0 && bits & 0x06 == 0
}

/// RFC 5280 §4.2.1.12; X.509-SVID §4.4 wants both.
fn is_client(purposes: &[Vec<u64>], is_svid: bool) -> bool {
    let has = |last: u64| purposes.iter().any(|id| *id == [1, 3, 6, 1, 5, 5, 7, 3, last]);
    has(2) && (has(1) || !is_svid)
}

/// What a certificate says.
#[derive(Debug, Default)]
struct Certificate {
    message: Vec<u8>,
    signature: Vec<u8>,
    key: Vec<u8>,
    begin: i64,
    end: i64,
    authority: bool,
    /// Whether it is critical, and its first eight bits.
    usage: Option<(bool, u8)>,
    purposes: Option<Vec<Vec<u64>>>,
    uris: Vec<String>,
    dns: Vec<String>,
    common_name: Option<String>,
}

impl Certificate {
    fn read(der: &[u8]) -> Option<Self> {
        let parts = parse_der(der, |reader| {
            reader.read_sequence(|parts| {
                let message = parts.next().read_der()?;
                parts.next().read_der()?;
                Ok((message, parts.next().read_bitvec_bytes()?.0))
            })
        });
        let (message, signature) = parts.ok()?;
        let mut read = Self { signature, ..Self::default() };
        parse_der(&message, |reader| reader.read_sequence(|parts| read.body(parts))).ok()?;
        read.message = message;
        Some(read)
    }

    /// `TBSCertificate` of RFC 5280 §4.1, version 3.
    fn body(&mut self, parts: &mut BERReaderSeq<'_, '_>) -> ASN1Result<()> {
        parts.next().read_tagged(Tag::context(0), |reader| reader.read_u8())?;
        for _ in ["serial number", "algorithm", "issuer"] {
            parts.next().read_der()?;
        }
        (self.begin, self.end) = parts
            .next()
            .read_sequence(|dates| Ok((seconds(dates.next())?, seconds(dates.next())?)))?;
        self.subject(parts.next())?;
        self.key = parts.next().read_sequence(|key| {
            key.next().read_der()?;
            Ok(key.next().read_bitvec_bytes()?.0)
        })?;
        let extensions = |reader: BERReader<'_, '_>| {
            reader.read_tagged(Tag::context(3), |reader| {
                reader.read_sequence_of(|extension| self.extension(extension))
            })
        };
        parts.read_optional(extensions).map(drop)
    }

    fn subject(&mut self, reader: BERReader<'_, '_>) -> ASN1Result<()> {
        reader.read_sequence_of(|names| {
            names.read_set_of(|name| {
                name.read_sequence(|parts| {
                    let id = parts.next().read_oid()?;
                    let value = parts.next().read_tagged_der()?;
                    if id.components().as_slice() == [2, 5, 4, 3] && self.common_name.is_none() {
                        self.common_name = String::from_utf8(value.value().to_vec()).ok();
                    }
                    Ok(())
                })
            })
        })
    }

    fn extension(&mut self, reader: BERReader<'_, '_>) -> ASN1Result<()> {
        let (id, critical, body) = reader.read_sequence(|parts| {
            let id = parts.next().read_oid()?;
            let critical = parts.read_default(false, |reader| reader.read_bool())?;
            Ok((id.into_components(), critical, parts.next().read_bytes()?))
        })?;
        match id.as_slice() {
            [2, 5, 29, 15] => {
                let (bits, _) = parse_der(&body, |reader| reader.read_bitvec_bytes())?;
                self.usage = Some((critical, bits.first().copied().unwrap_or(0)));
            }
            [2, 5, 29, 17] => self.names(&body)?,
            [2, 5, 29, 19] => self.authority = parse_der(&body, constraints)?,
            [2, 5, 29, 37] => {
                let purposes = parse_der(&body, |ids| ids.collect_sequence_of(|id| id.read_oid()))?;
                self.purposes = Some(purposes.into_iter().map(|id| id.into_components()).collect());
            }
            _ => {}
        }
        Ok(())
    }

    /// `dNSName` is [2] and `uniformResourceIdentifier` [6] (RFC 5280 §4.2.1.6).
    fn names(&mut self, body: &[u8]) -> ASN1Result<()> {
        let names =
            parse_der(body, |names| names.collect_sequence_of(|name| name.read_tagged_der()))?;
        for name in names {
            let text = String::from_utf8_lossy(name.value()).into_owned();
            if name.tag() == Tag::context(2) {
                self.dns.push(text);
            } else if name.tag() == Tag::context(6) {
                self.uris.push(text);
            }
        }
        Ok(())
    }

    /// The SPIFFE ID, or that there is none; nothing at all if it is not what one must be.
    fn id(&self) -> Option<Option<&str>> {
        if !self.uris.iter().any(|uri| uri.to_lowercase().starts_with("spiffe:")) {
            return Some(None);
        }
        let id = only(&self.uris)?;
        let (domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        let is_step = |step: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !["", ".", ".."].contains(&step) && step.chars().all(fits)
        };
        let fits =
            !domain.is_empty() && domain.chars().all(is_name) && path.split('/').all(is_step);
        fits.then_some(Some(id))
    }

    fn signed(&self, other: &Self) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.key);
        key.verify(&other.message, &other.signature).is_ok()
    }
}

/// `cA` of the basic constraints.
fn constraints(reader: BERReader<'_, '_>) -> ASN1Result<bool> {
    reader.read_sequence(|parts| {
        let is_authority = parts.read_default(false, |reader| reader.read_bool())?;
        parts.read_optional(|reader| reader.read_u64())?;
        Ok(is_authority)
    })
}

fn seconds(reader: BERReader<'_, '_>) -> ASN1Result<i64> {
    let is_short = reader.lookahead_tag()? == TAG_UTCTIME;
    Ok(match is_short {
        true => reader.read_utctime()?.datetime().unix_timestamp(),
        false => reader.read_generalized_time()?.datetime().unix_timestamp(),
    })
}
