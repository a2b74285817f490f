//! Whose identities are believed: from the blocks of the issuers to their rules, their keys, and those
//! who are asked online.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use symbolon_core::id::IssuerAlias;
use symbolon_core::token::Issuers;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::backends::trust;
use super::foundation::Foundation;
use super::world::{Kept, KeptKeys};
use crate::config::{self, Config};
use crate::line::authenticate::{KeySettings, KeySource, Keys, Online, Reviewer, Sts, Way};

/// The issuers, with the keys of those whose block did not change taken from `before`.
pub(super) fn issuers(
    config: &Config,
    foundation: &Foundation,
    before: &KeptKeys,
) -> Result<(Issuers, KeptKeys), StartError> {
    let mut kept = KeptKeys::new();
    for (alias, issuer) in &config.issuers {
        let block = identity(issuer);
        let same = before.get(alias).filter(|kept| kept.block == block).cloned();
        let entry = match same {
            Some(entry) => entry,
            None => Kept {
                keys: Arc::new(keys(alias, issuer, foundation)?),
                block,
                stop: CancellationToken::new(),
            },
        };
        kept.insert(alias.clone(), entry);
    }
    let rules = kept.values().map(|entry| entry.keys.rules().clone());
    let issuers = Issuers::new(rules).map_err(|(alias, error)| issuer_error(&alias, &error))?;
    Ok((issuers, kept))
}

/// What an issuer's keys depend on: its block, and what is in the files that it names.
fn identity(issuer: &config::Issuer) -> String {
    let content = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes))
    };
    let keys = match &issuer.keys {
        config::Keys::File(path) | config::Keys::Authorities(path) => content(path),
        config::Keys::Discovery
        | config::Keys::Url(_)
        | config::Keys::Inline(_)
        | config::Keys::Nothing => String::new(),
    };
    let ca = issuer.reach.ca.as_deref().map(content);
    format!("{issuer:?} {keys} {ca:?}")
}

fn issuer_error(alias: &IssuerAlias, error: &dyn std::fmt::Display) -> StartError {
    StartError::Issuer { alias: alias.clone(), reason: error.to_string() }
}

fn keys(
    alias: &IssuerAlias,
    issuer: &config::Issuer,
    foundation: &Foundation,
) -> Result<Keys, StartError> {
    let failed = |reason: String| StartError::Issuer { alias: alias.clone(), reason };
    let settings = KeySettings {
        source: source(issuer).map_err(failed)?,
        way: way(alias, issuer, foundation)?,
        refresh: issuer.refresh,
        max_stale: issuer.max_stale,
    };
    let (clock, metrics) = (foundation.clock.clone(), foundation.metrics());
    Keys::new(Arc::new(issuer.rules.clone()), settings, clock, metrics)
        .map_err(|error| issuer_error(alias, &format!("{error}: {}", cause(&error))))
}

/// How an issuer, and whoever vouches for it, is reached.
fn way(
    alias: &IssuerAlias,
    issuer: &config::Issuer,
    foundation: &Foundation,
) -> Result<Way, StartError> {
    let failed = |reason: String| StartError::Issuer { alias: alias.clone(), reason };
    Ok(Way {
        network: foundation.network.clone(),
        trust: issuer.reach.ca.as_deref().map(trust).transpose().map_err(failed)?,
        addresses: issuer.reach.addresses.clone(),
        resolve: issuer.reach.resolve.clone(),
    })
}

/// Those who are asked about proofs.
pub(super) fn online(config: &Config, foundation: &Foundation) -> Result<Online, StartError> {
    let mut online = Online::default();
    for (alias, issuer) in &config.issuers {
        let clock = || foundation.clock.clone();
        if let Some(partition) = &issuer.partition {
            let sts = Sts::new(partition, &way(alias, issuer, foundation)?, clock());
            let sts = sts.map_err(|error| issuer_error(alias, &error))?;
            online.sts.insert(alias.clone(), sts);
        }
        if let Some(review) = &issuer.review {
            let way = way(alias, issuer, foundation)?;
            let (url, credential) = (review.url.as_str(), review.credential.clone());
            let reviewer = Reviewer::new(url, credential, &way, clock());
            let reviewer = reviewer.map_err(|error| issuer_error(alias, &error))?;
            online.reviewers.insert(alias.clone(), reviewer);
        }
    }
    Ok(online)
}

/// Whether anybody's certificate can prove anything, so that clients are asked for theirs.
pub(super) fn wants_certificates(config: &Config) -> bool {
    config.issuers.values().any(|issuer| issuer.rules.form.is_certificate())
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

fn source(issuer: &config::Issuer) -> Result<KeySource, String> {
    Ok(match &issuer.keys {
        config::Keys::Discovery => KeySource::Discovery { issuer: issuer.rules.issuer.clone() },
        config::Keys::Url(url) => {
            KeySource::Url(url.as_str().parse().map_err(|_| "`keys.url` is not a URL".to_owned())?)
        }
        config::Keys::Inline(set) => KeySource::Inline(set.to_string().into_bytes()),
        config::Keys::File(path) => KeySource::Inline(
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        ),
        config::Keys::Authorities(path) => KeySource::Authorities(authorities(path)?),
        config::Keys::Nothing => KeySource::Authorities(Vec::new()),
    })
}

/// The certificates of a PEM file.
fn authorities(path: &std::path::Path) -> Result<Vec<Vec<u8>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let ders: Vec<_> = certificates.iter().map(|der| der.to_vec()).collect();
    match ders.is_empty() {
        true => Err(format!("{}: has no certificate", path.display())),
        false => Ok(ders),
    }
}
