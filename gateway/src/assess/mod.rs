//! How sure it is that this configuration lets nobody in whom it must not: attempts that must be
//! denied, made from the configuration, sent through the line's own stations and counted.
//!
//! Keys of issuers are replaced by keys made here, so that the assessment can sign what an issuer
//! would; everything else (rules, policies) is the configuration's. Nothing is fetched, no listener
//! opens, no backend, cluster or STS is asked, and the store is a temporary one.
//!
//! INVARIANT: an attempt counts only if [`symbolon_oracle`], which shares no code with the line, says
//! that it must be denied. What it means and what not is in `docs/assess.md`.

mod bound;
mod cast;
mod cloud;
mod draft;
mod evidence;
mod forge;
mod issuer;
mod kind;
mod mutate;
mod random;
mod report;
mod run;
mod sample;
mod signer;
mod stage;
mod voucher;
mod wish;

use std::num::NonZeroUsize;
use std::sync::Arc;

use symbolon_core::clock::Clock;
use tokio::task::JoinSet;

pub use bound::upper_bound;
pub use forge::{Forged, Forger};
pub use kind::Kind;
pub use report::{Finding, Report, Row};

use self::run::Assessment;
use crate::app::StartError;
use crate::config::Config;

/// How much is attempted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many attempts that must be denied.
    pub attempts: u64,
    /// What all choices follow from. Keys and signatures are new each time.
    pub seed: u64,
}

/// An assessment was not made.
#[derive(Debug, thiserror::Error)]
pub enum AssessError {
    /// The configuration is not usable.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no room for a temporary store.
    #[error("a temporary directory cannot be made")]
    Directory(#[source] std::io::Error),
    /// Keys cannot be made, or nothing be signed.
    #[error("a key for the assessment cannot be made or used")]
    Key,
    /// There is nobody whose proofs could be made.
    #[error("no issuer of the configuration can be assessed")]
    Nobody,
    /// A part of it did not end.
    #[error("the assessment was interrupted")]
    Interrupted,
}

/// Assesses a configuration. Runs for minutes on all cores if so many attempts are asked for.
///
/// # Errors
/// [`AssessError`]; what was let through is no error but in the [`Report`].
pub async fn assess(
    config: &Config,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<Report, AssessError> {
    Box::pin(assess_against(config, config, clock, settings)).await
}

/// Assesses the stations of `enforced` by what `stated` says. They differ only where the assessment
/// itself is tested: one that finds nothing then is worth nothing.
///
/// # Errors
/// As [`assess`].
pub async fn assess_against(
    stated: &Config,
    enforced: &Config,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<Report, AssessError> {
    let assessment = Arc::new(Box::pin(Assessment::prepare(stated, enforced, clock)).await?);
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = u64::try_from(workers).unwrap_or(1);
    let mut parts = JoinSet::new();
    for worker in 0..workers {
        let attempts = settings.attempts / workers
            + u64::from(worker < settings.attempts.checked_rem(workers).unwrap_or(0));
        let (assessment, seed) = (assessment.clone(), settings.seed);
        parts.spawn(async move { Box::pin(assessment.run(attempts, (seed, worker))).await });
    }
    let mut report = Report::default();
    while let Some(part) = parts.join_next().await {
        report.add(part.map_err(|_| AssessError::Interrupted)??);
    }
    Ok(report)
}
