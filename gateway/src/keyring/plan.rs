//! When which key moves on. Pure: records and a time in, the next step out.
//!
//! A new assertion key is published for a day before its first use, since that is how long clouds may
//! cache a key set, and the old one stays for a day after its last: at no moment does a verifier
//! meet a signature whose key it cannot have.

use std::time::Duration;

use symbolon_core::clock::Timestamp;

use super::key::{Kind, Stage, Stored};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// When a kind of key rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a key signs; `None` if it is rotated by command only.
    pub period: Option<Duration>,
    /// How long it is in the key set before it signs: at least what verifiers cache.
    pub publish_ahead: Duration,
    /// How long it stays after it has signed for the last time: the longest life of what it signed,
    /// skew and cache together. `None` if it is kept for good.
    pub overlap: Option<Duration>,
}

/// The policies of all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Of assertion keys.
    pub assertion: Policy,
    /// Of access-token keys.
    pub access: Policy,
    /// Of audit keys.
    pub audit: Policy,
    /// Of the compiled-code key.
    pub code: Policy,
}

impl Default for Policies {
    fn default() -> Self {
        let published = |period| Policy {
            period: Some(period),
            publish_ahead: DAY,
            overlap: Some(DAY.saturating_add(HOUR)),
        };
        let symmetric = |period, overlap| Policy { period, publish_ahead: Duration::ZERO, overlap };
        Self {
            assertion: published(DAY.saturating_mul(90)),
            access: published(DAY.saturating_mul(30)),
            // Old logs are searched with old keys, so these are never dropped.
            audit: symmetric(Some(DAY.saturating_mul(365)), None),
            // A rotation throws the cache away; nothing else is lost.
            code: symmetric(None, Some(Duration::ZERO)),
        }
    }
}

impl Policies {
    /// The policy of one kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Policy {
        match kind {
            Kind::Assertion => self.assertion,
            Kind::Access => self.access,
            Kind::Audit => self.audit,
            Kind::Code => self.code,
        }
    }
}

/// One change of the keyring.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a key and publish it.
    Publish { usable_from: Timestamp },
    /// Sign with the published key from now on.
    Promote { coming: Stored, active: Stored, until: Option<Timestamp> },
    /// Forget a retired key.
    Drop(Stored),
}

/// The next step that is due, if any.
pub(super) fn next(keys: &[Stored], policies: &Policies, now: Timestamp) -> Option<(Kind, Step)> {
    Kind::ALL.into_iter().find_map(|kind| {
        let of_kind = keys.iter().filter(|key| key.kind == kind).collect::<Vec<_>>();
        next_of_kind(&of_kind, policies.of(kind), now).map(|step| (kind, step))
    })
}

fn next_of_kind(keys: &[&Stored], policy: Policy, now: Timestamp) -> Option<Step> {
    let mut active = None;
    let mut coming = None;
    for key in keys {
        match key.stage {
            Stage::Retiring { until: Some(until) } if until <= now => {
                return Some(Step::Drop((*key).clone()));
            }
            Stage::Retiring { .. } => {}
            Stage::Published { usable_from } => coming = Some((*key, usable_from)),
            Stage::Active { since } => active = Some((*key, since)),
        }
    }
    let (active, since) = active?;
    match coming {
        Some((coming, usable_from)) if usable_from <= now => {
            let until = policy.overlap.map(|overlap| now.plus(overlap));
            Some(Step::Promote { coming: coming.clone(), active: active.clone(), until })
        }
        Some(_) => None,
        None => {
            let begin = since.plus(policy.period?).minus(policy.publish_ahead);
            let usable_from = now.plus(policy.publish_ahead);
            (begin <= now).then_some(Step::Publish { usable_from })
        }
    }
}
