//! What the tests of this module share: a small world, and short ways to ask in it.

mod administer;
mod decide;
mod explain;
mod load;
mod measure;
mod property;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::ask::{Action, Ask, Resource};
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, RoleName, TargetName};
use crate::path::SecretPath;
use crate::principal::{Attribute, Binding, Identity, Principal, Proof, Subject};

fn issuer(profile: &'static str, attributes: &[(&str, AttributeType)]) -> IssuerTerms {
    let attributes = attributes.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    IssuerTerms { profile, attributes }
}

/// Issuers `k8s` and `other` (profile `oidc`) and `hub` (profile `github`); backends `kv` and `db`
/// with roles `app` and `slow`; target `aws`.
pub(super) fn world() -> Vocabulary {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let oidc = [
        ("env", AttributeType::String),
        ("level", AttributeType::Long),
        ("trusted", AttributeType::Bool),
        ("groups", AttributeType::Strings),
    ];
    let name = |text| IssuerAlias::parse(text).unwrap();
    let roles = BTreeMap::from([
        (RoleName::parse("app").unwrap(), Some(minutes(20))),
        (RoleName::parse("slow").unwrap(), Some(minutes(600))),
    ]);
    Vocabulary {
        issuers: BTreeMap::from([
            (name("k8s"), issuer("oidc", &oidc)),
            (name("other"), issuer("oidc", &oidc[..1])),
            (name("hub"), issuer("github", &[("ref", AttributeType::String)])),
        ]),
        backends: BTreeMap::from([
            (BackendName::parse("kv").unwrap(), BackendTerms::default()),
            (BackendName::parse("db").unwrap(), BackendTerms { ttl_max: None, roles }),
        ]),
        targets: BTreeMap::from([(TargetName::parse("aws").unwrap(), Some(minutes(10)))]),
        service_uid: Some(1000),
        ..Vocabulary::default()
    }
}

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

fn try_load(text: &str) -> Result<Bundle, Vec<Fault>> {
    Bundle::load(&[source("p.cedar", text)], &world())
}

#[track_caller]
fn load(text: &str) -> Bundle {
    try_load(text).unwrap_or_else(|faults| panic!("{}", shown(&faults)))
}

fn shown(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn subject(issuer: &str, subject: &str, attributes: &[(&str, Attribute)]) -> Subject {
    let profile = if issuer == "hub" { "github" } else { "oidc" };
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let identity =
        Identity { issuer: IssuerAlias::parse(issuer).unwrap(), subject: subject.to_owned() };
    Subject { identity, profile, attributes }
}

fn proven(subject: Subject, binding: Binding) -> Arc<Principal> {
    let proof = Proof {
        issued_at: Some(NOW),
        expires_at: NOW.plus(Duration::from_secs(600)),
        binding,
        digest: [0; 32],
        session: None,
    };
    Arc::new(Principal::proven(subject, proof))
}

fn env(value: &str) -> (&'static str, Attribute) {
    ("env", Attribute::String(value.to_owned()))
}

const NOW: Timestamp = Timestamp::from_seconds(1_793_520_000);
const HERE: Circumstances = Circumstances { now: NOW, source_address: None };

/// `read kv/a/b`, `list kv/a/`, `list kv/`, `issue db:app`, `exchange aws`.
fn ask(text: &str) -> Ask {
    let (verb, what) = text.split_once(' ').unwrap();
    let action = Action::ALL.into_iter().find(|action| action.as_str() == verb).unwrap();
    let backend = |text: &str| BackendName::parse(text).unwrap();
    let resource = if let Some((name, role)) = what.split_once(':') {
        Resource::Role { backend: backend(name), role: RoleName::parse(role).unwrap() }
    } else if let Some((name, path)) = what.split_once('/') {
        match path.strip_suffix('/') {
            Some(folder) => Resource::Folder {
                backend: backend(name),
                folder: Some(SecretPath::parse(folder).unwrap()),
            },
            None if path.is_empty() => Resource::Folder { backend: backend(name), folder: None },
            None => {
                Resource::Secret { backend: backend(name), path: SecretPath::parse(path).unwrap() }
            }
        }
    } else if what == "gateway" {
        Resource::Gateway
    } else {
        Resource::Target(TargetName::parse(what).unwrap())
    };
    Ask::of(action, resource)
}

fn decide(bundle: &Bundle, who: &Subject, what: &str) -> Result<Permit, Denial> {
    bundle.decide(proven(who.clone(), Binding::None), Arc::new(ask(what)), &HERE)
}

/// `permitted` or the code of the denial.
fn answer(bundle: &Bundle, who: &Subject, what: &str) -> &'static str {
    decide(bundle, who, what).map_or_else(|denial| denial.code(), |_| "permitted")
}

fn ids(policies: &[Arc<str>]) -> Vec<&str> {
    policies.iter().map(|id| &**id).collect()
}
