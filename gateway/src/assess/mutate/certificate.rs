//! What can be wrong with a certificate.

use rcgen::{
    BasicConstraints, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyUsagePurpose as Usage, SanType,
};

use super::Kind;
use crate::assess::random::Random;
use crate::assess::voucher::{By, Draft, Name, Voucher, date, dns, uri};

const AHEAD: i64 = 3600;
const FAR: i64 = 300 * 86_400;

/// One way to make a good certificate wrong.
pub(in crate::assess) struct Mutation {
    pub(in crate::assess) kind: Kind,
    pub(in crate::assess) name: &'static str,
    /// The audit codes of which one must be the reason.
    pub(in crate::assess) expected: &'static [&'static str],
    make: fn(&mut Draft, &Scene<'_>, &mut Random) -> Option<()>,
}

/// Around a draft.
pub(in crate::assess) struct Scene<'a> {
    pub(in crate::assess) voucher: &'a Voucher,
    /// The trust domains that are registered.
    pub(in crate::assess) domains: Vec<&'a str>,
    pub(in crate::assess) workload: &'a Name,
    /// Seconds.
    pub(in crate::assess) now: i64,
}

impl Mutation {
    /// Makes the draft wrong; `false` if that is not possible for this issuer.
    pub(in crate::assess) fn spoil(
        &self,
        draft: &mut Draft,
        scene: &Scene<'_>,
        random: &mut Random,
    ) -> bool {
        (self.make)(draft, scene, random).is_some()
    }
}

const PATH: &[&str] = &["certificate_path"];

pub(in crate::assess) const ALL: &[Mutation] = &[
    Mutation {
        kind: Kind::Key,
        name: "a certificate of another authority of the name",
        expected: PATH,
        make: |draft, _, _| signed(draft, By::Stranger),
    },
    Mutation {
        kind: Kind::Key,
        name: "a certificate that nobody but itself signed",
        expected: PATH,
        make: |draft, _, _| signed(draft, By::Itself),
    },
    Mutation {
        kind: Kind::Key,
        name: "a certificate that another workload signed",
        expected: PATH,
        make: |draft, _, _| signed(draft, By::Mere),
    },
    Mutation {
        kind: Kind::Signature,
        name: "a certificate with a bit of the signature turned over",
        expected: PATH,
        make: |draft, _, random| {
            draft.flip = Some(random.below(128));
            Some(())
        },
    },
    Mutation {
        kind: Kind::Text,
        name: "a certificate that is cut off",
        expected: &["certificate_malformed"],
        make: |draft, _, random| {
            draft.cut = 1 + random.below(64);
            Some(())
        },
    },
    Mutation {
        kind: Kind::Dates,
        name: "a certificate that has expired",
        expected: &["certificate_expired"],
        make: |draft, scene, random| {
            let end = scene.now + 1 - random.seconds(FAR);
            (draft.params.not_before, draft.params.not_after) = (date(end - AHEAD), date(end));
            Some(())
        },
    },
    Mutation {
        kind: Kind::Dates,
        name: "a certificate that is not valid yet",
        expected: &["certificate_not_yet_valid"],
        make: |draft, scene, random| {
            let begin = scene.now + AHEAD + random.seconds(FAR);
            (draft.params.not_before, draft.params.not_after) = (date(begin), date(begin + AHEAD));
            Some(())
        },
    },
    Mutation {
        kind: Kind::Issuer,
        name: "a SPIFFE ID of another trust domain",
        expected: &["certificate_issuer_unknown", "certificate_path"],
        make: foreign_domain,
    },
    Mutation {
        kind: Kind::Claims,
        name: "a SPIFFE ID that is none",
        expected: &["certificate_id"],
        make: no_id,
    },
    Mutation {
        kind: Kind::Claims,
        name: "a SPIFFE ID beside another URI",
        expected: &["certificate_ids"],
        make: |draft, scene, random| {
            if !scene.voucher.is_svid() {
                return None;
            }
            let other = format!("{}/ns/billing/{}", scene.voucher.rules.issuer, random.hex());
            draft.params.subject_alt_names.push(uri(&other).ok()?);
            Some(())
        },
    },
    Mutation {
        kind: Kind::Claims,
        name: "a certificate with no name of the kind, or two",
        expected: &["claim_missing", "owner"],
        make: no_name,
    },
    Mutation {
        kind: Kind::Owner,
        name: "a certificate of another owner",
        expected: &["owner"],
        make: owner,
    },
    Mutation {
        kind: Kind::Usage,
        name: "a certificate of an authority",
        expected: &["certificate_authority"],
        make: |draft, _, _| {
            draft.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Some(())
        },
    },
    Mutation {
        kind: Kind::Usage,
        name: "a key that is for something else",
        expected: &["certificate_key_usage"],
        make: usage,
    },
    Mutation {
        kind: Kind::Usage,
        name: "a certificate that is not for clients",
        expected: &["certificate_extended_key_usage"],
        make: purpose,
    },
];

fn signed(draft: &mut Draft, by: By) -> Option<()> {
    draft.by = by;
    Some(())
}

fn foreign_domain(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let own = &scene.voucher.rules.issuer;
    let mut domains = vec![format!("spiffe://{}.example", random.hex())];
    domains.extend(scene.domains.iter().map(|domain| (*domain).to_owned()));
    if scene.voucher.is_svid() {
        domains.extend([format!("{own}.evil"), format!("{own}x"), own.replacen("//", "//x", 1)]);
    }
    domains.retain(|domain| !scene.voucher.is_svid() || domain != own);
    let domain = random.pick(&domains)?;
    draft.params.subject_alt_names = vec![uri(&format!("{domain}/ns/billing/sa")).ok()?];
    Some(())
}

fn no_id(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let own = scene.voucher.terms.domain.as_ref()?;
    let none = [
        own.clone(),
        format!("{own}/"),
        format!("{own}/ns//sa"),
        format!("{own}/ns/../sa"),
        format!("{own}/ns/sa/"),
        format!("{own}/ns/sa?x=1"),
        format!("{own}/ns/%73a"),
        own.replacen("spiffe", "SPIFFE", 1) + "/ns/sa",
        own.replacen("//", "//user@", 1) + "/ns/sa",
    ];
    draft.params.subject_alt_names = vec![uri(random.pick(&none)?).ok()?];
    Some(())
}

/// Where the subject is a DNS name or a URI of one's own authority.
fn no_name(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    if scene.voucher.is_svid() {
        return None;
    }
    let by_dns = scene.voucher.terms.by_dns;
    let names = &mut draft.params.subject_alt_names;
    let second = match by_dns {
        true => dns(&format!("{}.fleet.example", random.hex())),
        false => uri(&format!("https://{}.fleet.example/", random.hex())),
    };
    if random.below(2) == 0 {
        names.push(second.ok()?);
        return Some(());
    }
    names.retain(|name| matches!(name, SanType::DnsName(_)) != by_dns);
    let address = "api@fleet.example".try_into().ok()?;
    names.push(SanType::Rfc822Name(address));
    Some(())
}

fn owner(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let owner = random.pick(&scene.voucher.rules.owners)?;
    let Name { uri: address, dns: host, common } = scene.workload;
    let (mut address, mut host, mut common) = (address.clone(), host.clone(), common.clone());
    let name = match owner.claim.as_str() {
        "/uri" => &mut address,
        "/dns" => &mut host,
        "/common_name" => &mut common,
        _ => return None,
    };
    *name = match random.below(2) {
        0 => format!("{name}x"),
        _ => format!("x{name}"),
    };
    let params = &mut draft.params;
    params.subject_alt_names = vec![uri(&address).ok()?, dns(&host).ok()?];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    Some(())
}

fn usage(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let mut wrong = vec![
        vec![Usage::KeyEncipherment],
        vec![Usage::DigitalSignature, Usage::KeyCertSign],
        vec![Usage::DigitalSignature, Usage::CrlSign],
    ];
    if scene.voucher.is_svid() {
        wrong.push(Vec::new());
    }
    draft.params.key_usages = random.pick(&wrong)?.clone();
    Some(())
}

fn purpose(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let mut wrong =
        vec![vec![Purpose::ServerAuth], vec![Purpose::CodeSigning], vec![Purpose::TimeStamping]];
    if scene.voucher.is_svid() {
        wrong.push(vec![Purpose::ClientAuth]);
    }
    draft.params.extended_key_usages = random.pick(&wrong)?.clone();
    Some(())
}
