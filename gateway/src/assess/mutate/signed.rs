//! What can be wrong with a signed request, and with what STS says to it.

use serde_json::{Value, json};
use symbolon_core::signed::{PARTITIONS, SERVER_ID, hosts_of};

use super::Kind;
use crate::assess::cloud::{Cloud, Draft};
use crate::assess::random::Random;

const FAR: i64 = 400 * 86_400;
const AHEAD: i64 = 3600;

/// One way to make a good request wrong.
pub(in crate::assess) struct Mutation {
    pub(in crate::assess) kind: Kind,
    pub(in crate::assess) name: &'static str,
    /// The audit codes of which one must be the reason.
    pub(in crate::assess) expected: &'static [&'static str],
    make: fn(&mut Draft, &Scene<'_>, &mut Random) -> Option<()>,
}

/// Around a draft.
pub(in crate::assess) struct Scene<'a> {
    pub(in crate::assess) cloud: &'a Cloud,
    /// The partitions that are registered.
    pub(in crate::assess) partitions: Vec<&'static str>,
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

pub(in crate::assess) const ALL: &[Mutation] = &[
    Mutation {
        kind: Kind::Text,
        name: "a request with a member too many",
        expected: &["signed_malformed"],
        make: |draft, _, random| {
            draft.more.insert(random.hex(), Value::Null);
            Some(())
        },
    },
    Mutation {
        kind: Kind::Text,
        name: "a request that asks something else",
        expected: &["signed_method", "signed_body"],
        make: question,
    },
    Mutation {
        kind: Kind::Audience,
        name: "a request to another host",
        expected: &["signed_host"],
        make: host,
    },
    Mutation {
        kind: Kind::Audience,
        name: "a request whose host and host header differ",
        expected: &["signed_host"],
        make: |draft, _, random| draft.head("Host", format!("{}.example", random.hex())),
    },
    Mutation {
        kind: Kind::Audience,
        name: "a request for another server",
        expected: &["signed_audience"],
        make: server,
    },
    Mutation {
        kind: Kind::Audience,
        name: "a request signed for another region, day or service",
        expected: &["signed_scope"],
        make: scope,
    },
    Mutation {
        kind: Kind::Issuer,
        name: "a request of a partition that nobody registered",
        expected: &["signed_issuer_unknown"],
        make: partition,
    },
    Mutation {
        kind: Kind::Header,
        name: "a header that a request must not have",
        expected: &["signed_header"],
        make: header,
    },
    Mutation {
        kind: Kind::Signature,
        name: "a header that is not signed",
        expected: &["signed_unsigned"],
        make: unsigned,
    },
    Mutation {
        kind: Kind::Signature,
        name: "an authorization that is none",
        expected: &["signed_authorization"],
        make: authorization,
    },
    Mutation {
        kind: Kind::Signature,
        name: "a signature that STS refuses",
        expected: &["signed_rejected"],
        make: |draft, _, _| {
            draft.said.status = 403;
            Some(())
        },
    },
    Mutation {
        kind: Kind::Dates,
        name: "a stale request",
        expected: &["signed_too_old"],
        make: |draft, scene, random| {
            draft.date(scene.now - scene.cloud.terms.window - random.seconds(FAR))
        },
    },
    Mutation {
        kind: Kind::Dates,
        name: "a request from the future",
        expected: &["signed_future"],
        make: |draft, scene, random| draft.date(scene.now + AHEAD + random.seconds(FAR)),
    },
    Mutation {
        kind: Kind::Dates,
        name: "a date that is none",
        expected: &["signed_date", "signed_scope"],
        make: |draft, _, random| {
            let date = draft.headers.get("X-Amz-Date")?.clone();
            let none = [date.replace('T', " "), date.replace('Z', ""), format!("{date}Z")];
            draft.head("X-Amz-Date", random.pick(&none)?.clone())
        },
    },
    Mutation {
        kind: Kind::Owner,
        name: "a caller of another account",
        expected: &["owner"],
        make: account,
    },
    Mutation {
        kind: Kind::Answer,
        name: "an answer of STS that is no answer",
        expected: &["signed_answer"],
        make: no_answer,
    },
    Mutation {
        kind: Kind::Answer,
        name: "an answer of STS that contradicts itself",
        expected: &["signed_disagreement", "signed_caller"],
        make: contradiction,
    },
    Mutation {
        kind: Kind::Answer,
        name: "an account's root, or nobody",
        expected: &["signed_caller", "signed_disagreement"],
        make: nobody,
    },
];

fn question(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    let bodies = [
        "Action=AssumeRole&Version=2011-06-15".to_owned(),
        format!("{}&Action=AssumeRole", draft.body),
        format!("{}&", draft.body),
        draft.body.replace("2011-06-15", "2011-06-16"),
        String::new(),
    ];
    match random.below(bodies.len() + 1) {
        0 => draft.method = "GET",
        _ => draft.body = random.pick(&bodies)?.clone(),
    }
    Some(())
}

fn host(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    let own = draft.headers.get("Host")?.clone();
    let hosts = [
        format!("{own}.evil.example"),
        format!("{}.example", random.hex()),
        "sts.evil.amazonaws.com".to_owned(),
        own.to_uppercase(),
        own.replacen("sts", "iam", 1),
    ];
    let other = random.pick(&hosts)?.clone();
    draft.url = match random.below(3) {
        // What is no host's name alone is no endpoint either.
        0 => format!("https://user@{own}/"),
        1 => format!("https://{own}:8443/"),
        _ => format!("https://{other}/"),
    };
    if random.below(2) == 0 { draft.head("Host", other) } else { Some(()) }
}

fn server(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let own = draft.headers.get(SERVER_ID)?.clone();
    let mut servers = vec![
        format!("{}.example", random.hex()),
        format!("{own}."),
        format!("{own}.evil.example"),
        format!("x{own}"),
        own.to_uppercase(),
    ];
    servers.retain(|other| !scene.cloud.terms.servers.contains(other));
    draft.head(SERVER_ID, random.pick(&servers)?.clone())
}

fn scope(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    match random.below(3) {
        0 => draft.region = format!("{}x", draft.region),
        1 => draft.day = "20200101".to_owned(),
        _ => draft.service = "iam",
    }
    Some(())
}

fn partition(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let others = PARTITIONS.iter().filter(|of| !scene.partitions.contains(of));
    let hosts: Vec<_> = others.flat_map(|of| hosts_of(of)).collect();
    let host = random.pick(&hosts)?;
    draft.url = format!("https://{host}/");
    draft.region = host.split('.').nth(1)?.to_owned();
    draft.head("Host", *host)
}

fn header(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    let mut add = |name: &str, value: &str| {
        draft.headers.insert(name.to_owned(), value.to_owned());
        draft.signed.insert(name.to_lowercase());
    };
    match random.below(4) {
        0 => add("X-Forwarded-Host", "sts.amazonaws.com"),
        1 => add("Content-Length", "1"),
        2 => add("User-Agent", "two  spaces"),
        // The same header twice, for whoever tells names apart by case.
        _ => add("HOST", "sts.amazonaws.com"),
    }
    Some(())
}

fn unsigned(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    match random.below(5) {
        0 => drop(draft.headers.insert("X-Amz-Security-Token".to_owned(), random.hex())),
        // Signed, and not there.
        1 => drop(draft.signed.insert("x-amz-security-token".to_owned())),
        2 => drop(draft.signed.remove("host")),
        3 => drop(draft.signed.remove("x-amz-date")),
        _ => drop(draft.signed.remove(SERVER_ID)),
    }
    Some(())
}

fn authorization(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    let good = draft.authorized();
    let none = [
        good.replacen("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", 1),
        good.replacen("Signature=", "Signature=x", 1),
        good.replacen("SignedHeaders=", "signedheaders=", 1),
        format!("{good}, Signature={}", draft.signature),
        good.chars().take(good.len() - 1).collect(),
        "Bearer x".to_owned(),
    ];
    draft.authorization = Some(random.pick(&none)?.clone());
    Some(())
}

const ACCOUNT: &str = "/GetCallerIdentityResponse/GetCallerIdentityResult/Account";
const ARN: &str = "/GetCallerIdentityResponse/GetCallerIdentityResult/Arn";
const USER: &str = "/GetCallerIdentityResponse/GetCallerIdentityResult/UserId";
const RESULT: &str = "/GetCallerIdentityResponse/GetCallerIdentityResult";

/// Changes a text of the answer.
fn say(draft: &mut Draft, place: &str, change: impl FnOnce(&str) -> String) -> Option<()> {
    let mut answer = draft.saying();
    let value = answer.pointer_mut(place)?;
    *value = Value::from(change(value.as_str()?));
    draft.says(&answer);
    Some(())
}

fn account(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let owners = &scene.cloud.terms.owners;
    let (_, allowed) = owners.iter().find(|(claim, _)| claim == "/account")?;
    let other = random.digits();
    if allowed.contains(&other) {
        return None;
    }
    let own = draft.saying().pointer(ACCOUNT)?.as_str()?.to_owned();
    say(draft, ACCOUNT, |_| other.clone())?;
    say(draft, ARN, |arn| arn.replacen(&own, &other, 1))
}

fn no_answer(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> Option<()> {
    let mut answer = draft.saying();
    match random.below(5) {
        0 => {
            draft.said.media_type = "text/html";
            return Some(());
        }
        1 => drop(answer.pointer_mut(RESULT)?.as_object_mut()?.remove("Arn")),
        2 => drop(answer.pointer_mut(RESULT)?.as_object_mut()?.insert("More".into(), json!("x"))),
        3 => *answer.pointer_mut(ACCOUNT)? = json!(123_456_789_012_i64),
        _ => answer = json!({ "AssumeRoleResponse": answer.get("GetCallerIdentityResponse")? }),
    }
    draft.says(&answer);
    Some(())
}

fn contradiction(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let own = format!("arn:{}:", scene.cloud.partition);
    match random.below(4) {
        0 => say(draft, ARN, |arn| arn.replacen(&own, "arn:aws-iso:", 1)),
        1 => say(draft, ACCOUNT, |_| random.digits()),
        2 => say(draft, USER, |id| format!("{id}x")),
        _ => say(draft, USER, |id| id.replacen("AROA", "AIDA", 1)),
    }
}

fn nobody(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> Option<()> {
    let account = draft.saying().pointer(ACCOUNT)?.as_str()?.to_owned();
    let of = scene.cloud.partition;
    let arns = [
        format!("arn:{of}:iam::{account}:root"),
        format!("arn:{of}:sts::{account}:assumed-role/x"),
        format!("arn:{of}:ec2::{account}:instance/i-1"),
        "nobody".to_owned(),
    ];
    let arn = random.pick(&arns)?.clone();
    say(draft, ARN, |_| arn)
}
