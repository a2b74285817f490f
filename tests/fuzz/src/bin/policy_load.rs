//! Fuzz target: the loading of policies, and the decision. Whatever the text: every fault has a
//! message, and what loads decides the same twice.

use std::collections::BTreeMap;
use std::process::ExitCode;

use symbolon_core::ask::Ask;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, IssuerAlias};
use symbolon_core::path::SecretPath;
use symbolon_core::policy::{
    AttributeType, BackendTerms, Bundle, Circumstances, IssuerTerms, Source, Vocabulary,
};
use symbolon_core::principal::{Attribute, Binding, Identity, Subject};
use symbolon_fuzz::{Target, drive};

const SEEDS: &[&str] = &[
    "@id(\"a\") @ttl_max(\"15m\") permit (principal == Workload::\"k8s/web\", action in [Action::\"read\", Action::\"list\"], resource in Folder::\"kv/prod\");\n",
    "forbid (principal, action == Action::\"read\", resource in Folder::\"kv/prod\") unless { context.binding == \"dpop\" }; // end\n",
    "permit (principal in Issuer::\"k8s\", action, resource is Secret in Backend::\"kv\") when { principal has oidc.env && principal.oidc.env like \"pr*d\" };\n",
    "permit (principal == ?principal, action, resource) when { if principal has oidc then true else [1, \"x\\u{1F600}\\\"\"].contains(1) };\n",
    "permit (principal, action == Action::\"issue\", resource) when { context has requested_ttl && context.requested_ttl * 9223372036854775807 > 0 && context.time < datetime(\"2030-01-01\") };\n",
];
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "//",
    "\n",
    "::",
    "principal",
    "resource in ",
    "Folder::\"kv/\"",
    "(",
    ")",
    "@id(\"\")",
    "@ttl_max(\"9h\")",
    "\u{202e}",
    "\0",
    "has",
    "!",
    "};",
    "{",
    "forbid",
    "ä",
    "policy0",
    "context",
    "Admin::\"uid:0\"",
    "[",
    "]",
    "-9223372036854775808",
];

fn main() -> ExitCode {
    let seeds = SEEDS.iter().map(|text| text.as_bytes().to_vec()).collect();
    drive(&Target { name: "policy_load", seeds, words: PIECES, check })
}

/// Whether the text loaded.
fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let sources = [Source { file: String::from("fuzz"), text: text.to_owned() }];
    match Bundle::load(&sources, &vocabulary()) {
        Ok(bundle) => {
            decide_twice(&bundle, text);
            true
        }
        Err(faults) => {
            let silent = faults.is_empty() || faults.iter().any(|fault| fault.message.is_empty());
            assert!(!silent, "a refusal without words");
            false
        }
    }
}

fn decide_twice(bundle: &Bundle, text: &str) {
    let (Ok(issuer), Ok(backend), Ok(path)) =
        (IssuerAlias::parse("k8s"), BackendName::parse("kv"), SecretPath::parse("prod/a"))
    else {
        return;
    };
    // The text is its own hostile subject and attribute.
    let attributes = BTreeMap::from([(String::from("env"), Attribute::String(text.to_owned()))]);
    let identity = Identity { issuer, subject: text.to_owned() };
    let subject = Subject { identity, profile: "oidc", attributes };
    let ask = Ask::read(backend, path, None);
    let here = Circumstances { now: Timestamp::from_seconds(1_793_520_000), source_address: None };
    let explain = || bundle.explain(&subject, Binding::None, &ask, &here);
    assert_eq!(explain(), explain(), "two answers to one question");
}

fn vocabulary() -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    let attributes = BTreeMap::from([(String::from("env"), AttributeType::String)]);
    if let Ok(alias) = IssuerAlias::parse("k8s") {
        vocabulary.issuers.insert(alias, IssuerTerms { profile: "oidc", attributes });
    }
    if let Ok(name) = BackendName::parse("kv") {
        vocabulary.backends.insert(name, BackendTerms::default());
    }
    vocabulary
}
