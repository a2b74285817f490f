//! Fuzzes the loading of policies and the decision: `policy_load [ROUNDS] [SEED]` mutates known
//! texts, `policy_load FILE…` replays files. Whatever the text: no panic, every fault has a message,
//! and what loads decides the same twice.

use std::collections::BTreeMap;

use symbolon_core::ask::Ask;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, IssuerAlias};
use symbolon_core::path::SecretPath;
use symbolon_core::policy::{
    AttributeType, BackendTerms, Bundle, Circumstances, IssuerTerms, Source, Vocabulary,
};
use symbolon_core::principal::{Attribute, Binding, Identity, Subject};

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

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| match arguments.get(at) {
        Some(text) => text.parse().ok(),
        None => Some(otherwise),
    };
    if let (Some(rounds), Some(seed)) = (number(0, 20_000), number(1, 1)) {
        let mut random = Random(seed.max(1));
        let loaded = (0..rounds).filter(|_| run(&mutate(&mut random))).count();
        eprintln!("{rounds} texts, {loaded} loaded");
    } else {
        for file in &arguments {
            let text = std::fs::read(file).unwrap_or_default();
            eprintln!("{file}: loaded {}", run(&String::from_utf8_lossy(&text)));
        }
    }
}

/// Whether the text loaded.
fn run(text: &str) -> bool {
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

/// xorshift64: repeatable, and good enough to choose mutations.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.0 % bound).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }
}

fn mutate(random: &mut Random) -> String {
    let copies = 1 + random.below(2);
    let mut text = random.pick(SEEDS).repeat(copies);
    for _ in 0..random.below(4) {
        let at = boundary(&text, random.below(text.len() + 1));
        match random.below(4) {
            0 => text.insert_str(at, random.pick(PIECES)),
            1 => text.truncate(at),
            2 => text.insert_str(at, random.pick(SEEDS)),
            _ => {
                let end = boundary(&text, at + random.below(12)).max(at);
                text.replace_range(at..end, random.pick(PIECES));
            }
        }
    }
    text
}

/// The nearest character boundary at or below.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
