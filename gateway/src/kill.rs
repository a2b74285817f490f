//! Where the process can be made to die, for the tests of what a crash leaves behind.
//!
//! Every durable step of a lease and every boundary of a call that changes something at a backend has
//! a [`Point`], and so has every step in which a login is replaced. With the feature `kill-points` the process aborts at the one that the environment
//! names, at the given time of passing it (`SYMBOLON_KILL_AT=after-issue`, `after-issue:3`); without it [`reach`] is nothing.
//! Such a build can also be told that time has passed ([`time_passed`]), since what a crash leaves
//! behind is looked for over minutes.
//! The feature does not build without debug assertions: no release can have it. The test of the points
//! goes through [`Point::ALL`] and matches each, so that a new point without a test does not compile.

#[cfg(all(feature = "kill-points", not(debug_assertions)))]
compile_error!("`kill-points` is for tests: it does not belong into a release");

use std::time::Duration;

/// A place at which the process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before a reservation is durable.
    BeforeReserve,
    /// After it is, before the component is called.
    AfterReserve,
    /// After the component has issued.
    AfterIssue,
    /// After the lease is active, before the answer.
    AfterActivate,
    /// After the secret of a shared credential is kept, before its carrier is active.
    AfterKept,
    /// After the carrier is active and shared, before the answer.
    AfterShared,
    /// After another lease shares it, before the answer.
    AfterJoined,
    /// After the secret of a shared credential is removed, before the component is asked to revoke.
    AfterForgotten,
    /// Before the component is asked to renew.
    BeforeRenew,
    /// After it has, before the ledger knows.
    AfterRenew,
    /// After the ledger knows, before the answer.
    AfterRenewed,
    /// Before an intent to revoke is durable.
    BeforeRevoke,
    /// After it is, before the answer.
    AfterRevokeIntent,
    /// After a due lease is written down as ending.
    AfterDue,
    /// Before the component is asked to revoke.
    BeforeEnd,
    /// After it has, before it is verified.
    AfterEnd,
    /// After that, before the ledger knows.
    AfterVerify,
    /// After the ledger knows that it is over.
    AfterOver,
    /// After an order is durable, before it is in force.
    AfterOrder,
    /// After an order was carried out, before it is deleted.
    AfterCarriedOut,
    /// Before the new password of a database login is durable.
    BeforePending,
    /// After it is, before the server is told.
    AfterPending,
    /// After the server has changed it, before it is tried.
    AfterChanged,
    /// After it let the gateway in, before that is durable.
    AfterProven,
    /// After it is durable as the one in force, before the answer.
    AfterCurrent,
    /// After the bytes of a component are durable, before its record is.
    AfterShelved,
    /// After its record is, before the answer.
    AfterInstalled,
    /// After a backend points at another component, before that one takes calls.
    AfterPointed,
    /// After it does, before the answer.
    AfterSwapped,
    /// After the record of a component is gone, before its bytes are.
    AfterUnlisted,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 30] = [
        Self::BeforeReserve,
        Self::AfterReserve,
        Self::AfterIssue,
        Self::AfterActivate,
        Self::AfterKept,
        Self::AfterShared,
        Self::AfterJoined,
        Self::AfterForgotten,
        Self::BeforeRenew,
        Self::AfterRenew,
        Self::AfterRenewed,
        Self::BeforeRevoke,
        Self::AfterRevokeIntent,
        Self::AfterDue,
        Self::BeforeEnd,
        Self::AfterEnd,
        Self::AfterVerify,
        Self::AfterOver,
        Self::AfterOrder,
        Self::AfterCarriedOut,
        Self::BeforePending,
        Self::AfterPending,
        Self::AfterChanged,
        Self::AfterProven,
        Self::AfterCurrent,
        Self::AfterShelved,
        Self::AfterInstalled,
        Self::AfterPointed,
        Self::AfterSwapped,
        Self::AfterUnlisted,
    ];

    /// The name in the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeReserve => "before-reserve",
            Self::AfterReserve => "after-reserve",
            Self::AfterIssue => "after-issue",
            Self::AfterActivate => "after-activate",
            Self::AfterKept => "after-kept",
            Self::AfterShared => "after-shared",
            Self::AfterJoined => "after-joined",
            Self::AfterForgotten => "after-forgotten",
            Self::BeforeRenew => "before-renew",
            Self::AfterRenew => "after-renew",
            Self::AfterRenewed => "after-renewed",
            Self::BeforeRevoke => "before-revoke",
            Self::AfterRevokeIntent => "after-revoke-intent",
            Self::AfterDue => "after-due",
            Self::BeforeEnd => "before-end",
            Self::AfterEnd => "after-end",
            Self::AfterVerify => "after-verify",
            Self::AfterOver => "after-over",
            Self::AfterOrder => "after-order",
            Self::AfterCarriedOut => "after-carried-out",
            Self::BeforePending => "before-pending",
            Self::AfterPending => "after-pending",
            Self::AfterChanged => "after-changed",
            Self::AfterProven => "after-proven",
            Self::AfterCurrent => "after-current",
            Self::AfterShelved => "after-shelved",
            Self::AfterInstalled => "after-installed",
            Self::AfterPointed => "after-pointed",
            Self::AfterSwapped => "after-swapped",
            Self::AfterUnlisted => "after-unlisted",
        }
    }
}

/// The process comes by `point`, and dies if it is to.
#[cfg(feature = "kill-points")]
pub fn reach(point: Point) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WHERE: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let text = crate::config::variable("SYMBOLON_KILL_AT")?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU32::new(times.parse().unwrap_or(1))))
    });
    if let Some((name, left)) = WHERE.as_ref()
        && name == point.as_str()
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

/// Nothing: this build cannot be made to die.
#[cfg(not(feature = "kill-points"))]
#[inline]
pub fn reach(_: Point) {}

/// How much more time has passed than the system says: the seconds in the file that
/// `SYMBOLON_TIME_PASSED` names, which may grow while the process runs.
#[cfg(feature = "kill-points")]
#[must_use]
pub fn time_passed() -> Duration {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| crate::config::variable("SYMBOLON_TIME_PASSED").map(PathBuf::from));
    let text = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    Duration::from_secs(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// None: this build believes the system.
#[cfg(not(feature = "kill-points"))]
#[inline]
#[must_use]
pub const fn time_passed() -> Duration {
    Duration::ZERO
}
