//! The states of a lease, and what may follow what.
//!
//! ```text
//!            activate            revoke / expire           confirmed gone
//! Reserved ───────────▶ Active ───────────────▶ Revoking ────────────────▶ Revoked
//!    │                   │  ▲                    ▲ │  ▲ │                     ▲
//!    │                   └──┘ renew              │ └──┘ failed, or            │
//!    ├────────────────────────────────────────── ┘      not yet certain       │
//!    │ condemn (perhaps issued)                                               │
//!    └────────────────────────────────────────────────────────────────────────┘
//!      abandon (certainly not issued)
//! ```
//!
//! Each state is a type, and each arrow a method that consumes the state it leaves: a transition that
//! is not drawn does not compile. A transition that depends on times is refused with
//! [`Illegal`], which hands the state back.
//!
//! INVARIANT: a lease is [`Reserved`], durably, before a plugin is asked to issue; the name of what
//! it makes is derived from the lease's id. So at any moment of a crash the ledger knows of
//! everything that may exist.
//!
//! INVARIANT: nothing leads out of [`Revoking`] but the certainty that the credential is gone, or an
//! operator's word. Attempts are counted, never limited.
//!
//! INVARIANT: a reservation that was condemned is not gone because it was once not found. A create
//! whose answer was lost may still land: it is looked for until the issue deadline and a margin have
//! passed ([`Revoking::confirmed`]).
//!
//! Several callers may share one credential: see [`Share`].
//!
//! Pure: times and outcomes come in, records go out. The keys of the ledger's indexes are made in
//! [`index`], so that every store keeps the same ones. What is secret (the revocation handle) is
//! sealed before it gets here.

pub mod index;
mod order;
mod proof;
mod record;
mod share;
mod state;
pub mod survival;
mod terms;

#[cfg(test)]
mod tests;

pub use order::{Order, Scope};
pub use proof::{Evidence, Proof};
pub use record::{Lease, Phase};
pub use share::{OnRevoke, SHARERS_FIRST, Share};
pub use state::{Active, Confirmed, Reserved, Revoked, Revoking};
pub use terms::{Cause, Illegal, Issued, Maker, Recovery, SealedHandle, Terms};

use std::time::Duration;

/// How long after the issue deadline a create whose answer was lost may still land.
pub const LANDING_MARGIN: Duration = Duration::from_mins(5);
/// Shortest and longest pause between two attempts to revoke.
pub const RETRY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// From this long before its end a lease is not renewed any more.
pub const FINAL_SECOND: Duration = Duration::from_secs(1);
/// How long a revoked lease stays readable before it is forgotten.
pub const REMEMBERED: Duration = Duration::from_hours(24);
