//! Targets as operators see them: what their clouds have to know to believe the gateway's assertions.
//!
//! INVARIANT: of what a plugin is told, only the keys of [`PUBLIC`] are shown: names of things in a
//! cloud. What else is there may be secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::App;
use crate::config::{self, Config};

/// The keys of a plugin's configuration that are shown, if they are texts.
const PUBLIC: [&str; 9] = [
    "client_id",
    "cloud",
    "provider",
    "region",
    "resource",
    "role_arn",
    "service",
    "service_account",
    "tenant",
];

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetView {
    /// Its name.
    pub target: String,
    /// The component that exchanges.
    pub plugin: String,
    /// `ready` or `degraded`; none without a running gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it is degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The gateway's own origin.
    pub gateway: String,
    /// `iss` of its assertions.
    pub issuer: String,
    /// `aud` of its assertions.
    pub audience: String,
    /// Whom its assertions name.
    pub subject: Subject,
    /// Whether assertions say tags and source identity of AWS beside.
    pub aws_claims: bool,
    /// Attributes of the caller that go to the target.
    pub attributes: Vec<String>,
    /// Whether callers may have the assertion.
    pub delivers_assertion: bool,
    /// How long its tokens last at most, in seconds.
    pub ttl_seconds: u64,
    /// Whether it asks with another target's credential, and no assertion.
    pub is_chained: bool,
    /// What its plugin is told, of what is public.
    pub config: BTreeMap<String, String>,
}

/// `sub` of a target's assertions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Always this one.
    Gateway(String),
    /// The caller's.
    Caller {
        /// The longest, in bytes.
        longest: usize,
        /// Whether a longer one is hashed; refused otherwise.
        hashed: bool,
    },
}

/// The targets of a configuration, by name.
#[must_use]
pub fn described(config: &Config) -> Vec<TargetView> {
    let targets = config.targets.iter();
    targets.map(|(name, target)| view(config, name.as_str(), target)).collect()
}

fn view(config: &Config, name: &str, target: &config::Target) -> TargetView {
    let exchange = &target.exchange;
    let told = target.settings.as_json();
    let public = PUBLIC.iter().filter_map(|key| {
        let text = told.get(key)?.as_str()?;
        Some(((*key).to_owned(), text.to_owned()))
    });
    TargetView {
        target: name.to_owned(),
        plugin: target.plugin.name.to_string(),
        state: None,
        reason: None,
        gateway: config.server.public_origin.as_str().to_owned(),
        issuer: config.assertions.origin.as_str().to_owned(),
        audience: target.audience.clone(),
        subject: match target.subject {
            config::AssertionSubject::Gateway => Subject::Gateway(format!("gateway:{name}")),
            config::AssertionSubject::Caller => Subject::Caller {
                longest: exchange.max_subject,
                hashed: exchange.long_subject == config::LongSubject::Hash,
            },
        },
        aws_claims: exchange.claims == config::Claims::Aws,
        attributes: exchange.attributes.iter().map(ToString::to_string).collect(),
        delivers_assertion: exchange.assertion == config::Assertion::Deliver,
        ttl_seconds: target.ttl.as_secs(),
        is_chained: told.get("chain").is_some(),
        config: public.collect(),
    }
}

impl App {
    /// The targets in force.
    pub(super) fn target_list(&self) -> Value {
        let world = self.line.world.load();
        let mut targets = described(&self.config());
        for view in &mut targets {
            let made = world.targets.iter().find(|(name, _)| name.as_str() == view.target);
            let reason = match made.map(|(_, made)| made) {
                Some(Ok(target)) => target.seat().generation().err().map(|error| error.to_string()),
                Some(Err(reason)) => Some(reason.clone()),
                None => Some("it is not in force yet".to_owned()),
            };
            view.state = Some(if reason.is_none() { "ready" } else { "degraded" }.to_owned());
            view.reason = reason;
        }
        json!({ "targets": targets })
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gateway(subject) => f.write_str(subject),
            Self::Caller { longest, hashed: true } => {
                write!(f, "the caller (hashed beyond {longest} bytes)")
            }
            Self::Caller { longest, hashed: false } => {
                write!(f, "the caller (up to {longest} bytes)")
            }
        }
    }
}
