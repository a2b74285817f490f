//! How many leases are in which state, without looking at any: the ledger counts them in the
//! transactions that change them.

use symbolon_core::id::BackendName;
use symbolon_core::lease::index::Quota;
use symbolon_core::lease::{Lease, Phase, Scope, index};

use super::write::{namespace, quota};
use super::{Ledger, LedgerError};
use crate::store::{Key, Span, StoreError, count_of};

/// Leases that are read at once.
const PAGE: usize = 500;

/// How many leases are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written down, perhaps issued.
    pub reserved: u64,
    /// Issued.
    pub active: u64,
    /// Being ended.
    pub revoking: u64,
    /// Over, and remembered.
    pub revoked: u64,
}

impl Counts {
    /// The counts as `look` finds them, without waiting; `None` if one of them is none.
    #[must_use]
    pub fn glance(look: impl Fn(&Key) -> Option<Vec<u8>>) -> Option<Self> {
        let count = |state| count_of(look(&quota(&Quota::State(state))).as_deref());
        Some(Self {
            reserved: count("reserved")?,
            active: count("active")?,
            revoking: count("revoking")?,
            revoked: count("revoked")?,
        })
    }

    /// Each state's name and number.
    #[must_use]
    pub const fn by_state(&self) -> [(&'static str, u64); 4] {
        [
            ("reserved", self.reserved),
            ("active", self.active),
            ("revoking", self.revoking),
            ("revoked", self.revoked),
        ]
    }
}

impl Ledger {
    /// How many leases are in each state.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn counts(&self) -> Result<Counts, LedgerError> {
        Ok(Counts {
            reserved: self.count(&Quota::State("reserved")).await?,
            active: self.count(&Quota::State("active")).await?,
            revoking: self.count(&Quota::State("revoking")).await?,
            revoked: self.count(&Quota::State("revoked")).await?,
        })
    }

    /// How many leases of a backend are not over.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn count_of_backend(&self, backend: &BackendName) -> Result<u64, LedgerError> {
        self.count(&Quota::Backend(backend.clone())).await
    }

    /// How many leases an order for `scope` would end now: those that are not ending already. For
    /// everything it is one look at the counts; for less, each lease of the scope is looked at.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn would_end(&self, scope: &Scope) -> Result<u64, LedgerError> {
        if *scope == Scope::Everything {
            let counts = self.counts().await?;
            return Ok(counts.reserved.saturating_add(counts.active));
        }
        let (place, prefix) = scope.span();
        let mut rest = Some(Span::with_prefix(namespace(place), prefix));
        let mut number = 0_u64;
        while let Some(span) = rest {
            let page = self.store.scan(span, PAGE).await?;
            let ids = page.entries.iter().filter_map(|(key, _)| index::lease_of(key.tail()));
            let found = self.read_many(ids.collect()).await?;
            let would_end = found.iter().flatten().filter(|lease| self.is_not_ending(lease));
            number = number.saturating_add(u64::try_from(would_end.count()).unwrap_or(u64::MAX));
            rest = page.next;
        }
        Ok(number)
    }

    fn is_not_ending(&self, lease: &Lease) -> bool {
        match lease.phase() {
            Phase::Reserved(_) => true,
            Phase::Active(active) => !self.orders.covers(active.terms()),
            Phase::Revoking(_) | Phase::Revoked(_) => false,
        }
    }

    pub(super) async fn count(&self, whose: &Quota) -> Result<u64, LedgerError> {
        let found = self.store.get(&quota(whose)).await?;
        let damaged = || StoreError::Record { doing: "read", cause: "it is no count".to_owned() };
        Ok(count_of(found.as_deref()).ok_or_else(damaged)?)
    }
}
