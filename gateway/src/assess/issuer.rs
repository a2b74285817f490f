//! An issuer as an assessment sees it: its block, a key in place of its own, and the block again in
//! the words of the oracle.

use std::sync::Arc;

use symbolon_core::token::{Algorithm, AttributeType, EntraVersion, Form, IssuerRules};
use symbolon_oracle::{AttributeKind, Mapped, Platform, Terms};

use super::AssessError;
use super::cast::has_keys;
use super::sample::seconds;
use super::signer::Signer;
use crate::config;

/// An issuer whose tokens can be made.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) rules: Arc<IssuerRules>,
    pub(super) signer: Signer,
    /// A key of the same kind that is not the issuer's.
    pub(super) stranger: Signer,
    pub(super) terms: Terms,
    /// Whether its cluster is asked about its tokens.
    pub(super) reviewed: bool,
    /// Whether its keys are looked at.
    pub(super) keyed: bool,
}

impl Issuer {
    pub(super) fn new(block: &config::Issuer) -> Result<Self, AssessError> {
        let rules = &block.rules;
        let usage = if rules.form == Form::Spiffe { "jwt-svid" } else { "sig" };
        let signer = Signer::new(&rules.algorithms, usage).map_err(|_| AssessError::Key)?;
        let stranger = Signer::new(&[signer.algorithm], usage).map_err(|_| AssessError::Key)?;
        let terms = terms(rules, &signer);
        let (reviewed, keyed) = (block.review.is_some(), has_keys(&block.keys));
        Ok(Self { rules: Arc::new(rules.clone()), signer, stranger, terms, reviewed, keyed })
    }
}

fn terms(rules: &IssuerRules, signer: &Signer) -> Terms {
    let owners = rules.owners.iter();
    let attributes = rules.attributes.rules().map(|rule| Mapped {
        claim: rule.claim.as_str().to_owned(),
        required: rule.required,
        kind: match rule.kind {
            AttributeType::String => AttributeKind::Text,
            AttributeType::Long => AttributeKind::Integer,
            AttributeType::Bool => AttributeKind::Truth,
            AttributeType::Strings => AttributeKind::Texts,
        },
    });
    Terms {
        issuer: rules.issuer.clone(),
        platform: platform(rules),
        audiences: rules.audiences.clone(),
        single_audience: rules.single_audience,
        algorithms: rules
            .algorithms
            .iter()
            .copied()
            .map(Algorithm::as_str)
            .map(str::to_owned)
            .collect(),
        types: rules.types.clone(),
        untyped: rules.untyped,
        max_lifetime: seconds(rules.max_lifetime),
        max_age: rules.max_age.map(seconds),
        leeway: seconds(rules.leeway),
        clients: rules.clients.clone(),
        owners: owners.map(|own| (own.claim.as_str().to_owned(), own.allowed.clone())).collect(),
        attributes: attributes.collect(),
        keys: vec![signer.jwk.clone()],
    }
}

fn platform(rules: &IssuerRules) -> Platform {
    match rules.form {
        Form::Oidc | Form::AwsSigned | Form::Certificate => Platform::Plain,
        Form::AwsToken => Platform::Aws,
        Form::Entra(version) => Platform::Entra {
            version: match version {
                EntraVersion::V1 => "1.0",
                EntraVersion::V2 => "2.0",
            },
            tenant: rules.issuer.split('/').nth(3).unwrap_or_default().to_owned(),
        },
        Form::Google => Platform::Google,
        Form::Kubernetes(_) => Platform::Cluster {
            bindings: rules.bindings.iter().map(|binding| binding.as_str()).collect(),
        },
        Form::Github => Platform::Github,
        Form::Gitlab => Platform::Gitlab,
        Form::Spiffe => Platform::Spiffe,
    }
}
