//! What one finished revocation says about time: read once, for the report and for the instruments.

use std::time::Duration;

use symbolon_core::lease::{Cause, Evidence, Revoked};

/// How long an end took that somebody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// From the durable intent to the backend's word, which is written down after everything that
    /// [`Clocks::evidence`] stands for was done.
    pub took: Duration,
    /// What the end rests on.
    pub evidence: Evidence,
    /// For an expired lease: from its end to the backend's word.
    pub late: Option<Duration>,
}

impl Clocks {
    /// The clocks of `revoked`; `None` where there is no duration: it was never issued, could not be
    /// revoked, or an operator answers for it.
    #[must_use]
    pub fn of(revoked: &Revoked) -> Option<Self> {
        let evidence = revoked.proof().evidence()?;
        let ended = revoked.revoked_at();
        let ends_at = revoked.ends_at().filter(|_| revoked.cause() == Cause::Expired);
        let late = ends_at.map(|ends_at| ended.since(ends_at));
        Some(Self { took: ended.since(revoked.since()), evidence, late })
    }
}
