//! Leases: everything issued is written down before it can exist, and ends.
//!
//! ```text
//! reserve (durable) → the component issues → activate (durable) → answer
//!        └ lost answer, crash, late create ─────┐
//! renew · expire · revoke · order ──────────────┴→ Revoking (durable) → the reaper, for ever → Revoked
//! ```
//!
//! The states and what may follow what are [`symbolon_core::lease`]'s; this keeps them in the store.
//! The [`Ledger`] is the only writer of the `lease/` namespaces. Every change is one transaction that
//! expects the record as it was read, with index entries and counts changing beside it: whoever comes
//! second (a renewal that races with an expiry) finds the record changed and looks again. There is no
//! lock to hold and no state in memory that could differ from the store's
//! (`gateway/docs/adr/0013-ledger.md`). The [`Reaper`] walks the due index and ends what is due.
//!
//! INVARIANT: no component is asked to issue before its reservation is durable, and no caller is
//! answered before its activation is.
//!
//! INVARIANT: what is being revoked is tried again until the backend confirms it, or an operator
//! answers for it. Attempts of a backend that is down cost neither writes nor memory per lease.
//!
//! INVARIANT: nothing is loaded at start but orders under way; memory does not depend on how many
//! leases there are.

mod browse;
mod clocks;
mod counts;
mod damage;
mod ends;
mod error;
mod hold;
mod lane;
mod leave;
mod ledger;
mod orders;
mod reaper;
mod report;
mod reservation;
mod seal;
mod share;
mod view;
mod write;

#[cfg(test)]
mod tests;

pub use browse::{After, Filter, LeasePage};
pub use clocks::Clocks;
pub use counts::Counts;
pub use damage::{Damaged, DamagedPage};
pub use ends::{BoxFuture, EndError, Ended, Ending, Ends, Unwatched, Watch};
pub use error::LedgerError;
pub use hold::{Boot, Hold, HoldError, LONGEST_GAP, Reason};
pub use lane::LaneStatus;
pub use ledger::{Ledger, Parts};
pub use orders::Draft;
pub use reaper::Reaper;
pub use report::{Overdue, Report, Tally};
pub use reservation::{Agreed, Limits, Reservation};
pub use seal::HandleSeal;
pub use share::{Carriage, Newcomer, Offer, Settings, SharedCredential, kept_as};
pub use view::LeaseView;
