//! The keys of one issuer: fetched off the request path, kept for a bounded time.
//!
//! INVARIANT: no request waits longer than [`PATIENCE`] for keys, and nothing that a request carries
//! can make us ask the issuer more often than once in [`FORCED_EVERY`]. A fetch that fails leaves
//! the last good set in force until `max_stale` has passed since it was fetched; after that the
//! issuer's tokens are refused, and no other issuer notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use symbolon_core::clock::Clock;
use symbolon_core::token::{Form, IssuerRules, KeySet, KeySetError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::fetch::{FetchError, Fetched, KeySource, Way, fetch};
use crate::telemetry::Metrics;

/// How long a request may wait for a fetch that it caused.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an unknown key may cause a fetch.
const FORCED_EVERY: Duration = Duration::from_secs(30);
/// Bounds on what an issuer may say of its set's life.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// First and longest pause after a failure.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What the operator says of an issuer's keys.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// Where they come from.
    pub source: KeySource,
    /// How they are reached.
    pub way: Way,
    /// How often they are fetched where the issuer does not say.
    pub refresh: Duration,
    /// How long a set is kept that cannot be fetched anew.
    pub max_stale: Duration,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Keys {
    rules: Arc<IssuerRules>,
    settings: KeySettings,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    held: ArcSwapOption<Held>,
    wanted: Notify,
    /// Elapsed milliseconds before which no forced fetch happens.
    forced_again_at: AtomicU64,
    /// Whether a forced fetch was asked for and has not ended.
    forced: AtomicBool,
    /// Counts fetches that ended, well or not.
    attempts: watch::Sender<u64>,
}

#[derive(Debug)]
struct Held {
    set: Arc<KeySet>,
    /// SHA-256 of the text of the set.
    digest: [u8; 32],
    fetched: Duration,
    host: Option<String>,
}

/// The state of an issuer's keys, for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// There is a set, this old.
    Held(Duration),
    /// There is none, or it is older than it may be.
    Missing,
}

impl Keys {
    /// Keys that have not been fetched yet; inline ones are there at once.
    ///
    /// # Errors
    /// [`FetchError::Keys`] if inline keys are refused.
    pub fn new(
        rules: Arc<IssuerRules>,
        settings: KeySettings,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, FetchError> {
        let (inline, authorities) = match &settings.source {
            KeySource::Inline(body) => (Some(body.clone()), None),
            KeySource::Authorities(ders) => (None, Some(ders.clone())),
            KeySource::Discovery { .. } | KeySource::Url(_) => (None, None),
        };
        let keys = Self {
            rules,
            settings,
            clock,
            metrics,
            held: ArcSwapOption::empty(),
            wanted: Notify::new(),
            forced_again_at: AtomicU64::new(0),
            forced: AtomicBool::new(false),
            attempts: watch::Sender::new(0),
        };
        if let Some(ders) = authorities {
            let (set, fetched) = (KeySet::of_authorities(ders, 1), keys.clock.elapsed());
            let held = Held { set: Arc::new(set), digest: [0; 32], fetched, host: None };
            keys.held.store(Some(Arc::new(held)));
        }
        if let Some(body) = inline {
            keys.take(Fetched { body: body.into(), max_age: None, host: None })?;
        }
        Ok(keys)
    }

    /// The issuer these keys are for.
    #[must_use]
    pub fn rules(&self) -> &Arc<IssuerRules> {
        &self.rules
    }

    /// The set in force, if there is one that is not too old.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        (self.is_inline() || self.age(held) <= self.settings.max_stale).then(|| held.set.clone())
    }

    /// How fresh the set is.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        match (self.current(), self.held.load().as_ref()) {
            (Some(_), Some(held)) => Freshness::Held(self.age(held)),
            _ => Freshness::Missing,
        }
    }

    /// The set in force, waiting a moment for the first fetch if there has been none yet.
    pub async fn first(&self) -> Option<Arc<KeySet>> {
        if let Some(set) = self.current() {
            return Some(set);
        }
        let mut attempts = self.attempts.subscribe();
        let never_tried = *attempts.borrow_and_update() == 0;
        if never_tried {
            next(attempts).await;
        }
        self.current()
    }

    /// Asks for a fetch because a token names a key that is not in the set of generation `tried`, and
    /// waits for it. Answers a newer set, if one came of it. At most one fetch in a while, whoever
    /// asks and however often; who comes while it is under way waits for the same one, so that all
    /// callers of an issuer that rotates are served and not only the first.
    pub async fn after_unknown_key(&self, tried: u64) -> Option<Arc<KeySet>> {
        if self.is_inline() {
            return None;
        }
        // Before the question whether a fetch is under way, or its end could be missed.
        let attempts = self.attempts.subscribe();
        let newer = || self.current().filter(|set| set.generation() != tried);
        if let Some(set) = newer() {
            return Some(set);
        }
        if self.may_force() {
            self.forced.store(true, Ordering::Release);
            self.wanted.notify_one();
        }
        if self.forced.load(Ordering::Acquire) {
            next(attempts).await;
        }
        newer()
    }

    /// Fetches, again and again, until `stop`. One task per issuer runs this.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        if self.is_inline() {
            return;
        }
        let mut failures = 0;
        loop {
            let pause = match Box::pin(fetch(&self.settings.source, &self.settings.way)).await {
                Ok(fetched) => self.receive(fetched),
                Err(error) => Err(error),
            };
            let pause = self.conclude(pause, &mut failures);
            self.forced.store(false, Ordering::Release);
            self.attempts.send_modify(|count| *count += 1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    fn conclude(&self, fetched: Result<Duration, FetchError>, failures: &mut u32) -> Duration {
        let issuer = self.rules.alias.as_str();
        match fetched {
            Ok(pause) => {
                *failures = 0;
                self.metrics.fetched_keys(issuer, "ok");
                pause
            }
            Err(error) => {
                *failures = failures.saturating_add(1);
                self.metrics.fetched_keys(issuer, error.code());
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(issuer, %error, ?cause, "the issuer's keys could not be fetched");
                RETRY.saturating_mul(1 << (*failures - 1).min(5)).min(LONGEST_RETRY)
            }
        }
    }

    fn receive(&self, fetched: Fetched) -> Result<Duration, FetchError> {
        let pause = fetched.max_age.unwrap_or(self.settings.refresh).clamp(SHORTEST, LONGEST);
        self.take(fetched)?;
        let held = self.held.load();
        let hint = held.as_ref().and_then(|held| held.set.refresh_hint());
        let pause = hint.map_or(pause, |hint| hint.clamp(SHORTEST, LONGEST));
        Ok(pause.min(self.settings.refresh.max(SHORTEST)))
    }

    /// Puts a fetched set in force. A key set that moved to another host is not taken: the first
    /// host is what the operator saw and accepted.
    fn take(&self, fetched: Fetched) -> Result<(), FetchError> {
        let before = self.held.load();
        let moved = before.as_ref().is_some_and(|held| held.host != fetched.host);
        if moved {
            return Err(FetchError::Moved);
        }
        let digest = sha256(&fetched.body);
        // The same keys keep their generation, so that verified tokens stay remembered.
        let set = match before.as_ref().filter(|held| held.digest == digest) {
            Some(held) => held.set.clone(),
            None => {
                let generation = before.as_ref().map_or(1, |held| held.set.generation() + 1);
                let set = self.read(&fetched.body, generation)?;
                // A bundle that is older than the one in force was replayed on the way here.
                let known = before.as_ref().and_then(|held| held.set.sequence());
                if known.is_some() && set.sequence() < known {
                    return Err(FetchError::Older);
                }
                Arc::new(set)
            }
        };
        let held = Held { set, digest, fetched: self.clock.elapsed(), host: fetched.host };
        self.held.store(Some(Arc::new(held)));
        Ok(())
    }

    fn read(&self, body: &[u8], generation: u64) -> Result<KeySet, KeySetError> {
        let algorithms = &self.rules.algorithms;
        match self.rules.form {
            Form::Spiffe => KeySet::bundle(body, algorithms, generation),
            Form::Oidc
            | Form::AwsToken
            | Form::AwsSigned
            | Form::Entra(_)
            | Form::Github
            | Form::Gitlab
            | Form::Google
            | Form::Kubernetes(_)
            | Form::Certificate => KeySet::parse(body, algorithms, generation),
        }
    }

    fn age(&self, held: &Held) -> Duration {
        self.clock.elapsed().saturating_sub(held.fetched)
    }

    fn is_inline(&self) -> bool {
        matches!(self.settings.source, KeySource::Inline(_) | KeySource::Authorities(_))
    }

    fn may_force(&self) -> bool {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let every = u64::try_from(FORCED_EVERY.as_millis()).unwrap_or(u64::MAX);
        let due = |at: u64| (now >= at).then(|| now.saturating_add(every));
        self.forced_again_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

/// Waits for the next attempt to end, for a bounded time.
async fn next(mut attempts: watch::Receiver<u64>) {
    let _ = tokio::time::timeout(PATIENCE, attempts.changed()).await;
}
