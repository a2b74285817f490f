//! The Cedar schema, generated from the configuration.
//!
//! Strict validation against it is what makes a misspelt claim a message at load and not a rule
//! that never matches. Attributes stand in one optional record per profile
//! (`principal.github.…`), since two profiles may use one claim name for different types; issuers
//! that share a profile share its record, and must agree on types.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::fault::Fault;
use super::names::{Kind, Lane};
use super::vocabulary::{AttributeType, Vocabulary};
use crate::ask::Action;

/// The attributes of one profile, each with the issuer that first named it.
type Record<'a> = BTreeMap<&'a str, (AttributeType, &'a str)>;

/// The schema as text, or everything that stands in its way.
pub(super) fn generate(vocabulary: &Vocabulary) -> Result<String, Vec<Fault>> {
    let (profiles, mut faults) = merge(vocabulary);
    faults.extend(profiles.keys().filter_map(|profile| check_profile(profile)));
    if faults.is_empty() { Ok(write(&profiles)) } else { Err(faults) }
}

fn merge(vocabulary: &Vocabulary) -> (BTreeMap<&'static str, Record<'_>>, Vec<Fault>) {
    let mut profiles = BTreeMap::<_, Record<'_>>::new();
    let mut faults = Vec::new();
    for (alias, terms) in &vocabulary.issuers {
        let record = profiles.entry(terms.profile).or_default();
        for (name, kind) in &terms.attributes {
            let (first_kind, first_issuer) = *record.entry(name).or_insert((*kind, alias.as_str()));
            if first_kind != *kind {
                faults.push(conflict(name, (first_issuer, first_kind), (alias.as_str(), *kind)));
            }
            faults.extend(check_attribute(alias.as_str(), name));
        }
    }
    (profiles, faults)
}

fn conflict(name: &str, first: (&str, AttributeType), second: (&str, AttributeType)) -> Fault {
    Fault::of_configuration(
        format!(
            "attribute `{name}` is a {} of issuer `{}` and a {} of issuer `{}`, which share a profile",
            first.1.as_str(),
            first.0,
            second.1.as_str(),
            second.0,
        ),
        "map the claim to the same type in both issuers, or to another name in one of them",
    )
}

fn check_attribute(issuer: &str, name: &str) -> Option<Fault> {
    (!is_identifier(name)).then(|| {
        Fault::of_configuration(
            format!("attribute `{}` of issuer `{issuer}` is not a name", name.escape_debug()),
            "use 1 to 63 of a-z, A-Z, 0-9 and `_`, beginning with a letter",
        )
    })
}

fn check_profile(profile: &str) -> Option<Fault> {
    (!is_identifier(profile) || ["issuer", "subject"].contains(&profile)).then(|| {
        Fault::of_configuration(
            format!("profile `{}` cannot be the name of a record", profile.escape_debug()),
            "this is a defect of the gateway: report it",
        )
    })
}

/// What can be written after a dot in a policy, and needs no escape between quotes.
fn is_identifier(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn write(profiles: &BTreeMap<&'static str, Record<'_>>) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        // Writing into a string cannot fail.
        let _ = write!(text, "entity {}", kind.as_str());
        if !kind.containers().is_empty() {
            let _ = write!(text, " in [{}]", join(kind.containers()));
        }
        match kind {
            Kind::Workload => write_workload(&mut text, profiles),
            Kind::Folder => text.push_str(" = { path: String }"),
            Kind::Secret => text.push_str(" = { path: String, name: String }"),
            Kind::Issuer
            | Kind::Admin
            | Kind::Backend
            | Kind::Role
            | Kind::Target
            | Kind::Gateway => {}
        }
        text.push_str(";\n");
    }
    for action in Action::ALL {
        write_action(&mut text, action);
    }
    text
}

fn write_workload(text: &mut String, profiles: &BTreeMap<&'static str, Record<'_>>) {
    text.push_str(" = {\n    issuer: String,\n    subject: String,\n");
    for (profile, record) in profiles {
        let _ = writeln!(text, "    {profile}?: {{");
        for (name, (kind, _)) in record {
            let _ = writeln!(text, "        \"{name}\"?: {},", kind.as_str());
        }
        text.push_str("    },\n");
    }
    text.push('}');
}

fn write_action(text: &mut String, action: Action) {
    let lanes = || Lane::ALL.into_iter().filter(move |lane| lane.action == action);
    let resources: Vec<Kind> = lanes().map(|lane| lane.resource).collect();
    let principals = lanes().next().map_or(&[][..], Lane::principals);
    let context = match action {
        Action::Administer => "{ operation: String, time: datetime }",
        Action::Read
        | Action::Issue
        | Action::Exchange
        | Action::Renew
        | Action::Revoke
        | Action::List => {
            "{ time: datetime, source_address?: ipaddr, binding: String, requested_ttl?: Long }"
        }
    };
    let _ = writeln!(
        text,
        "action \"{action}\" appliesTo {{\n    principal: [{}],\n    resource: [{}],\n    context: {context}\n}};",
        join(principals),
        join(&resources),
    );
}

fn join(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}
