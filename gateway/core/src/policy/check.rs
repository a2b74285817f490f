//! What Cedar's validator does not check: names of things, annotations, and rules that are legal
//! but probably not meant.

use std::collections::BTreeSet;
use std::time::Duration;

use cedar_policy::EntityUid;
use serde_json::Value;

use super::bundle::Rule;
use super::claims::{opens_without_claim, tested_paths};
use super::fault::{Fault, nearest};
use super::names::Kind;
use super::question::quoted;
use super::vocabulary::Vocabulary;
use crate::path::SecretPath;

/// Faults of one policy, beyond its types.
pub(super) fn check(rule: &Rule, vocabulary: &Vocabulary) -> Vec<Fault> {
    let mut faults = references(rule, vocabulary);
    faults.extend(misspelt_annotations(rule));
    match rule.policy.to_json() {
        Ok(json) => {
            faults.extend(unknown_claims(rule, &json, vocabulary));
            faults.extend(claim_warning(rule, &json));
        }
        Err(error) => faults.push(rule.fault(error.to_string(), None)),
    }
    faults
}

/// Attributes that no issuer maps, which a `has` would take for absent for ever.
fn unknown_claims(rule: &Rule, json: &Value, vocabulary: &Vocabulary) -> Vec<Fault> {
    let known = known_paths(vocabulary);
    let mut paths: Vec<String> = tested_paths(json).iter().map(|path| path.join(".")).collect();
    paths.sort();
    paths.dedup();
    paths
        .iter()
        .filter_map(|path| {
            let unknown = Unknown::name("mapped claim", path, known.iter().map(String::as_str))?;
            let last = path.rsplit('.').next().unwrap_or_default();
            let at = rule.map.find_entity(rule.start, last);
            Some(rule.map.fault(at, unknown.message, Some(unknown.help)))
        })
        .collect()
}

/// Every path below `principal` in the schema.
fn known_paths(vocabulary: &Vocabulary) -> BTreeSet<String> {
    let mut known = BTreeSet::from([String::from("issuer"), String::from("subject")]);
    for terms in vocabulary.issuers.values() {
        known.insert(terms.profile.to_owned());
        known.extend(terms.attributes.keys().map(|name| format!("{}.{name}", terms.profile)));
    }
    known
}

fn claim_warning(rule: &Rule, json: &Value) -> Option<Fault> {
    opens_without_claim(&rule.policy, json).then(|| {
        let help = "say what must hold instead: `permit … when { … has c && … }` or \
                    `forbid … unless { … has c && … }`";
        rule.fault(
            format!(
                "policy `{}` grants more when a claim is missing than when it is there",
                rule.id
            ),
            Some(help.to_owned()),
        )
        .into_warning()
    })
}

/// An annotation that was meant as a limit and is none must not pass in silence.
fn misspelt_annotations(rule: &Rule) -> Vec<Fault> {
    let misspelt = |key: &str| key.contains("ttl") || nearest(key, ["ttl_max", "id"]).is_some();
    rule.policy
        .annotations()
        .filter(|(key, _)| !["ttl_max", "id"].contains(key) && misspelt(key))
        .map(|(key, _)| {
            let meant = nearest(key, ["ttl_max", "id"]).unwrap_or("ttl_max");
            let message = format!("annotation `@{key}` has no meaning here");
            rule.fault(message, Some(format!("did you mean `@{meant}`?"))).into_warning()
        })
        .collect()
}

/// Parses `@ttl_max`.
pub(super) fn parse_ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(String::from("`@ttl_max` must be longer than zero")),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(format!("`@ttl_max` is not a duration: {error}")),
    }
}

/// Whether a text can be a policy's id: what audit lines and metrics take without escapes.
pub(super) fn is_policy_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

fn references(rule: &Rule, vocabulary: &Vocabulary) -> Vec<Fault> {
    let mut uids = rule.policy.entity_literals();
    uids.sort();
    uids.dedup();
    uids.iter()
        .filter_map(|uid| {
            let kind = Kind::of(uid.type_name())?;
            let unknown = find_unknown(kind, uid.id().unescaped(), vocabulary)?;
            Some(unknown.into_fault(rule, uid))
        })
        .collect()
}

/// Why an id names nothing.
#[derive(Debug)]
struct Unknown {
    message: String,
    help: String,
}

impl Unknown {
    /// `what` is not among `known`.
    fn name<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Option<Self> {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return None;
        }
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("no {what} is configured"),
            None => format!("configured: {}", listed(&known)),
        };
        Some(Self { message: format!("there is no {what} {}", quoted(name)), help })
    }

    fn form(message: &str, help: &str) -> Self {
        Self { message: message.to_owned(), help: help.to_owned() }
    }

    fn into_fault(self, rule: &Rule, uid: &EntityUid) -> Fault {
        let at = rule.map.find_entity(rule.start, &uid.to_string());
        rule.map.fault(at, self.message, Some(self.help))
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(10).map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let rest = names.len().saturating_sub(shown.len());
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn find_unknown(kind: Kind, id: &str, vocabulary: &Vocabulary) -> Option<Unknown> {
    match kind {
        Kind::Workload => match id.split_once('/') {
            Some((issuer, subject)) if !subject.is_empty() => unknown_issuer(issuer, vocabulary),
            Some(_) | None => Some(Unknown::form(
                "a workload's id is its issuer and its subject",
                "write `Workload::\"<issuer alias>/<subject>\"`",
            )),
        },
        Kind::Issuer => unknown_issuer(id, vocabulary),
        Kind::Admin => bad_admin(id),
        Kind::Backend => unknown_backend(id, vocabulary),
        Kind::Folder | Kind::Secret => unknown_path(id, vocabulary),
        Kind::Role => unknown_role(id, vocabulary),
        Kind::Target => {
            Unknown::name("target", id, vocabulary.targets.keys().map(|name| name.as_str()))
        }
        Kind::Gateway => (id != "gateway")
            .then(|| Unknown::form("there is one gateway", "write `Gateway::\"gateway\"`")),
    }
}

fn unknown_issuer(alias: &str, vocabulary: &Vocabulary) -> Option<Unknown> {
    Unknown::name("issuer", alias, vocabulary.issuers.keys().map(|name| name.as_str()))
}

fn unknown_backend(name: &str, vocabulary: &Vocabulary) -> Option<Unknown> {
    Unknown::name("backend", name, vocabulary.backends.keys().map(|name| name.as_str()))
}

fn unknown_path(id: &str, vocabulary: &Vocabulary) -> Option<Unknown> {
    let Some((backend, path)) = id.split_once('/') else {
        return Some(unknown_backend(id, vocabulary).unwrap_or_else(|| {
            Unknown::form(
                "a folder's or secret's id is its backend and its path",
                "for all of a backend, write `resource in Backend::\"…\"`",
            )
        }));
    };
    unknown_backend(backend, vocabulary).or_else(|| {
        let error = SecretPath::parse(path).err()?;
        Some(Unknown {
            message: format!("{} can be no path: {error}", quoted(path)),
            help: String::from("write it as in a request, without a `/` at either end"),
        })
    })
}

fn unknown_role(id: &str, vocabulary: &Vocabulary) -> Option<Unknown> {
    let Some((backend, role)) = id.split_once('/') else {
        return Some(Unknown::form(
            "a role's id is its backend and its name",
            "write `Role::\"<backend>/<role>\"`",
        ));
    };
    unknown_backend(backend, vocabulary).or_else(|| {
        let terms = vocabulary.backends.get(backend)?;
        Unknown::name("role", role, terms.roles.keys().map(|name| name.as_str()))
    })
}

fn bad_admin(id: &str) -> Option<Unknown> {
    let uid = id.strip_prefix("uid:").and_then(|number| number.parse::<u32>().ok());
    // The canonical form alone: `uid:00` would never match.
    let canonical = uid.is_some_and(|uid| format!("uid:{uid}") == id);
    (!canonical).then(|| {
        Unknown::form(
            "an administrator's id is the number of a user",
            "write `Admin::\"uid:<number>\"`; over the network, name a `Workload`",
        )
    })
}
