//! Whether the parts of a configuration agree with each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use symbolon_core::id::{BackendName, IssuerAlias, RoleName, TargetName};
use symbolon_core::token::{AttributeType, Form, Issuers};

use super::backends::{AssertionSubject, CredentialSource, Credentials};
use super::cursor::Document;
use super::fault::Problem;
use super::issuers::{Issuer, Keys};
use super::server::Tls;
use super::url::Endpoint;
use super::{Config, SecretRef, spelling};

/// Records what does not agree.
pub(super) fn check(config: &Config, document: &Document<'_>) {
    issuers_are_distinct(config, document);
    our_issuers_are_two(config, document);
    issuers_are_not_ourselves(config, document);
    discovery_needs_a_url(config, document);
    targets_exist(config, document);
    aliases_lead_to_backends(config, document);
    targets_end(config, document);
    callers_are_behind(config, document);
    names_are_told_apart(config, document);
    attributes_are_mapped(config, document);
    listeners_are_distinct(config, document);
    certificates_need_tls(config, document);
}

/// Without TLS there is no certificate to be shown.
fn certificates_need_tls(config: &Config, document: &Document<'_>) {
    for (alias, issuer) in &config.issuers {
        if issuer.rules.form == Form::Certificate && config.server.tls.is_none() {
            let problem = Problem::new("needs `server.tls`: clients show certificates in TLS");
            document.fault(&format!("issuers.{alias}.profile"), problem);
        }
    }
}

fn issuers_are_distinct(config: &Config, document: &Document<'_>) {
    let rules = config.issuers.values().map(|issuer| Arc::new(issuer.rules.clone()));
    let Err((alias, error)) = Issuers::new(rules) else { return };
    let name = config.issuers.get(&alias).map(|issuer| issuer.rules.issuer.as_str());
    let same = |(other, issuer): &(&IssuerAlias, &Issuer)| {
        **other != alias && Some(issuer.rules.issuer.as_str()) == name
    };
    let problem = match config.issuers.iter().find(same) {
        Some((first, _)) => Problem::new(format!("is registered already, as `{first}`")).with_help(
            "one token must never belong to two issuers: merge the two blocks, or give clusters of one name audiences of their own",
        ),
        None => Problem::new(error.to_string()),
    };
    document.fault(&format!("issuers.{alias}.issuer"), problem);
}

/// Two issuers with two key sets: under one name, one set would stand for both.
fn our_issuers_are_two(config: &Config, document: &Document<'_>) {
    if config.assertions.origin.url() == config.server.public_origin.url() {
        let problem = Problem::new("is `server.public_origin`, the issuer of access tokens")
            .with_help("add a path, such as `/assertions`, or use a host of its own");
        document.fault("issuer.origin", problem);
    }
}

/// An assertion goes to clouds. If it were accepted here as well, whoever received one could come
/// back with it as the gateway itself.
fn issuers_are_not_ourselves(config: &Config, document: &Document<'_>) {
    let ours = [config.assertions.origin.as_str(), config.server.public_origin.as_str()];
    for (alias, issuer) in &config.issuers {
        if ours.contains(&issuer.rules.issuer.trim_end_matches('/')) {
            let problem = Problem::new("is the gateway itself").with_help(
                "its own access tokens are accepted without being registered, its assertions never",
            );
            document.fault(&format!("issuers.{alias}.issuer"), problem);
        }
    }
}

fn discovery_needs_a_url(config: &Config, document: &Document<'_>) {
    for (alias, issuer) in &config.issuers {
        let Keys::Discovery = issuer.keys else { continue };
        if let Err(problem) = Endpoint::parse(&issuer.rules.issuer) {
            let message =
                format!("needs the issuer to be a URL, which it is not: {}", problem.message);
            document.fault(&format!("issuers.{alias}.keys.discovery"), Problem::new(message));
        }
    }
}

fn targets_exist(config: &Config, document: &Document<'_>) {
    for (key, target) in references(config) {
        if config.targets.contains_key(target) {
            continue;
        }
        let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
        let help = match spelling::nearest(target.as_str(), &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add a table `[targets.{target}]`"),
        };
        document
            .fault(&key, Problem::new(format!("there is no target `{target}`")).with_help(help));
    }
}

/// An alias that began like a backend would stand before its secrets.
fn aliases_lead_to_backends(config: &Config, document: &Document<'_>) {
    for (name, alias) in &config.aliases {
        let key = format!("aliases.{name}");
        let first = name.segments().next().unwrap_or_default();
        if config.backends.keys().any(|backend| backend.as_str() == first) {
            let problem = Problem::new(format!("begins with the name of the backend `{first}`"))
                .with_help(
                    "an alias says nothing of where a secret is; begin it with another word",
                );
            document.fault(&key, problem);
        }
        if !config.backends.contains_key(&alias.backend) {
            let known: Vec<&str> = config.backends.keys().map(BackendName::as_str).collect();
            let help = match spelling::nearest(alias.backend.as_str(), &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a table `[backends.{}]`", alias.backend),
            };
            let problem = Problem::new(format!("there is no backend `{}`", alias.backend));
            document.fault(&format!("{key}.backend"), problem.with_help(help));
        }
    }
}

/// A target whose credential comes, by however many steps, from itself could never be used.
fn targets_end(config: &Config, document: &Document<'_>) {
    let mut reported = BTreeSet::new();
    for start in config.targets.keys() {
        let mut trail = vec![start];
        while let Some(next) = trail.last().and_then(|last| credential_of(config, last)) {
            if next == start && reported.is_disjoint(&trail.iter().copied().collect()) {
                reported.extend(trail.iter().copied());
                trail.push(next);
                let circle = trail.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" → ");
                let problem = Problem::new(format!("goes in a circle: {circle}"));
                document.fault(&format!("targets.{start}.credentials.target"), problem);
                break;
            }
            if trail.contains(&next) {
                break;
            }
            trail.push(next);
        }
    }
}

/// What a backend issues is ended by the gateway itself, and what the gateway keeps for all callers is
/// obtained by it: there is no caller then, in whose name a credential could be had.
fn callers_are_behind(config: &Config, document: &Document<'_>) {
    let fault = |holder: String, name: &TargetName, why: &str, help: &str| {
        let message = format!("the target `{name}` has subject = \"caller\", and {why}");
        let key = format!("{holder}.credentials.target");
        document.fault(&key, Problem::new(message).with_help(help));
    };
    for (name, backend) in config.backends.iter().filter(|(_, backend)| !backend.roles.is_empty()) {
        if let Some(target) = target_of_callers(config, backend.credentials.as_ref()) {
            let why = "the gateway ends what roles issue when no caller is there";
            let help = "have roles in a backend of their own, with a target of the gateway's name";
            fault(format!("backends.{name}"), target, why, help);
        }
    }
    for (name, holder) in &config.targets {
        if holder.subject == AssertionSubject::Caller {
            continue;
        }
        if let Some(target) = target_of_callers(config, holder.credentials.as_ref()) {
            let why = "this one is the gateway's: no caller is behind its exchanges";
            fault(format!("targets.{name}"), target, why, "give both the same `subject`");
        }
    }
}

/// A target's token stands in the ledger, in metrics and in the audit log where a backend's
/// credential does.
fn names_are_told_apart(config: &Config, document: &Document<'_>) {
    for target in config.targets.keys().filter(|name| config.backends.contains_key(name.as_str())) {
        let problem = Problem::new("is the name of a backend too")
            .with_help("leases are found by this name: give the target another");
        document.fault(&format!("targets.{target}"), problem);
    }
    for (name, backend) in &config.backends {
        if backend.roles.contains_key(RoleName::EXCHANGE) {
            let problem = Problem::new("stands for tokens of targets: give the role another name");
            document.fault(&format!("backends.{name}.roles.{}", RoleName::EXCHANGE), problem);
        }
    }
}

/// What no issuer maps would never be there. A set of texts has no one text for a cloud.
fn attributes_are_mapped(config: &Config, document: &Document<'_>) {
    for (name, target) in &config.targets {
        let key = format!("targets.{name}.attributes");
        for attribute in &target.exchange.attributes {
            let types = config.issuers.values().flat_map(|issuer| issuer.rules.attribute_types());
            let kinds: Vec<_> = types
                .filter(|(name, _)| *name == attribute.as_str())
                .map(|(_, kind)| kind)
                .collect();
            if kinds.is_empty() {
                let problem = Problem::new(format!("no issuer maps an attribute `{attribute}`"));
                document.fault(&key, problem);
            } else if kinds.contains(&AttributeType::Strings) {
                let problem = Problem::new(format!("`{attribute}` is a list, not one value"));
                document.fault(&key, problem);
            }
        }
    }
}

fn credential_of<'c>(config: &'c Config, target: &TargetName) -> Option<&'c TargetName> {
    target_in(config.targets.get(target)?.credentials.as_ref()?)
}

/// The target of these credentials, if its assertions name the caller.
fn target_of_callers<'c>(
    config: &'c Config,
    credentials: Option<&'c Credentials>,
) -> Option<&'c TargetName> {
    let name = target_in(credentials?)?;
    let target = config.targets.get(name)?;
    (target.subject == AssertionSubject::Caller).then_some(name)
}

fn target_in(credentials: &Credentials) -> Option<&TargetName> {
    match &credentials.source {
        CredentialSource::Target { name, .. } => Some(name),
        CredentialSource::Bearer(_)
        | CredentialSource::Header { .. }
        | CredentialSource::Basic { .. }
        | CredentialSource::SigV4(_)
        | CredentialSource::Jwt(_) => None,
    }
}

fn listeners_are_distinct(config: &Config, document: &Document<'_>) {
    let discovery = config.server.discovery.iter().flat_map(|discovery| &discovery.listen);
    for (index, address) in discovery.enumerate() {
        if config.server.listen.contains(address) {
            let problem = Problem::new(format!("`{address}` is taken by `server.listen`"));
            document.fault(&format!("server.discovery.listen[{index}]"), problem);
        }
    }
}

fn references(config: &Config) -> impl Iterator<Item = (String, &TargetName)> {
    holders(config).filter_map(|(holder, credentials)| {
        Some((format!("{holder}.credentials.target"), target_in(credentials)?))
    })
}

fn holders(config: &Config) -> impl Iterator<Item = (String, &Credentials)> {
    let backends = config
        .backends
        .iter()
        .map(|(name, backend)| (format!("backends.{name}"), &backend.credentials));
    let targets = config
        .targets
        .iter()
        .map(|(name, target)| (format!("targets.{name}"), &target.credentials));
    backends.chain(targets).filter_map(|(key, held)| Some((key, held.as_ref()?)))
}

/// Every secret that the configuration refers to, with its key.
pub(super) fn secrets(config: &Config) -> Vec<(String, &SecretRef)> {
    let mut secrets = vec![("seal.key".to_owned(), &config.seal.key)];
    let server = &config.server;
    secrets.extend(server.tls.iter().map(|tls| ("server.tls.key".to_owned(), &tls.key)));
    let discovery = server.discovery.iter().filter_map(|discovery| discovery.tls.as_ref());
    secrets.extend(discovery.map(|tls| ("server.discovery.tls.key".to_owned(), &tls.key)));
    for (holder, credentials) in holders(config) {
        secrets.extend(secrets_in(&format!("{holder}.credentials"), &credentials.source));
    }
    for (key, tls) in client_certificates(config) {
        secrets.push((key, &tls.key));
    }
    secrets.extend(config.issuers.iter().filter_map(|(alias, issuer)| {
        let review = issuer.review.as_ref()?;
        Some((format!("issuers.{alias}.review.credential"), &review.credential))
    }));
    secrets.extend(config.backends.iter().filter_map(|(name, backend)| {
        let database = backend.database.as_ref()?;
        Some((format!("backends.{name}.database.password"), &database.password))
    }));
    secrets
}

fn client_certificates(config: &Config) -> impl Iterator<Item = (String, &Tls)> {
    let backends = config.backends.iter().map(|(name, b)| (format!("backends.{name}"), &b.egress));
    let targets = config.targets.iter().map(|(name, t)| (format!("targets.{name}"), &t.egress));
    backends.chain(targets).flat_map(|(holder, egress)| {
        egress.iter().enumerate().filter_map(move |(index, grant)| {
            let tls = grant.client_certificate.as_ref()?;
            Some((format!("{holder}.egress[{index}].client_certificate.key"), tls))
        })
    })
}

fn secrets_in<'c>(key: &str, source: &'c CredentialSource) -> Vec<(String, &'c SecretRef)> {
    let at = |part: &str| format!("{key}.{part}");
    match source {
        CredentialSource::Target { .. } => Vec::new(),
        CredentialSource::Jwt(jwt) => vec![(at("jwt.key"), &jwt.key)],
        CredentialSource::Bearer(secret) => vec![(at("bearer"), secret)],
        CredentialSource::Header { value, .. } => vec![(at("header.value"), value)],
        CredentialSource::Basic { password, .. } => vec![(at("basic.password"), password)],
        CredentialSource::SigV4(keys) => {
            let token = keys.session_token.iter();
            [
                (at("sigv4.access_key_id"), &keys.access_key_id),
                (at("sigv4.secret_access_key"), &keys.secret_access_key),
            ]
            .into_iter()
            .chain(token.map(|token| (at("sigv4.session_token"), token)))
            .collect()
        }
    }
}
