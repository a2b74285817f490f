//! Lists of leases, page by page: nothing is read that is not shown.

use symbolon_core::id::LeaseId;
use symbolon_core::lease::index::{self, Place};
use symbolon_core::lease::{Lease, Scope};
use symbolon_core::principal::Identity;

use super::view::LeaseView;
use super::write::{Stored, namespace, state};
use super::{Ledger, LedgerError};
use crate::store::{Key, Span};

/// Most leases in a page.
const MAX_PAGE: usize = 1000;

/// Which leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whose or where.
    pub scope: Scope,
    /// Only those in this state.
    pub state: Option<String>,
    /// Whether those that are over are wanted too.
    pub with_over: bool,
}

/// Where a page begins and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// Behind this lease, in the order of the index; at the beginning if `None`.
    pub lease: Option<LeaseId>,
    /// At most so many, and never more than 1,000.
    pub limit: usize,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasePage {
    /// The leases, in the order of the index.
    pub leases: Vec<LeaseView>,
    /// Behind which lease the next page begins.
    pub next: Option<LeaseId>,
}

/// A record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) LeaseId);

impl Ledger {
    /// The leases of one principal that are not over, the oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn of(&self, owner: &Identity, after: After) -> Result<LeasePage, LedgerError> {
        let filter = Filter { scope: Scope::of(owner), state: None, with_over: false };
        self.list(&filter, after).await
    }

    /// The leases that `filter` lets through. A page may be shorter than its limit and still have a
    /// next one.
    ///
    /// # Errors
    /// [`LedgerError::Store`], [`LedgerError::Unknown`] if the page begins behind a lease whose place
    /// in the list is not known.
    pub async fn list(&self, filter: &Filter, after: After) -> Result<LeasePage, LedgerError> {
        let (place, prefix) = filter.scope.span();
        let mut span = Span::with_prefix(namespace(place), prefix);
        if let Some(lease) = after.lease {
            span = span.after(&self.position(&filter.scope, lease).await?);
        }
        let page = self.store.scan(span, after.limit.clamp(1, MAX_PAGE)).await?;
        let ids: Vec<_> =
            page.entries.iter().filter_map(|(key, _)| index::lease_of(key.tail())).collect();
        let next = ids.last().copied().filter(|_| page.next.is_some());
        let mut leases = Vec::new();
        for found in self.read_many(ids).await? {
            match found {
                Ok(lease) => {
                    leases.extend(Some(self.view(&lease)).filter(|view| filter.lets(view)));
                }
                Err(Damaged(id)) => {
                    tracing::error!(lease = %id, "its record is damaged; it is left out of a list");
                }
            }
        }
        Ok(LeasePage { leases, next })
    }

    /// The leases with these ids, in their order, without those that are not there.
    pub(super) async fn read_many(
        &self,
        ids: Vec<LeaseId>,
    ) -> Result<Vec<Result<Lease, Damaged>>, LedgerError> {
        let found = self.store.get_many(ids.iter().map(|id| state(*id)).collect()).await?;
        let there = ids.into_iter().zip(found).filter_map(|(id, bytes)| Some((id, bytes?)));
        let read = |(id, bytes)| Stored::of(id, bytes).map(|it| it.lease).ok_or(Damaged(id));
        Ok(there.map(read).collect())
    }

    /// Where a lease stands in the list of `scope`, or stood: pages go on behind one that was
    /// forgotten, or damaged, meanwhile.
    async fn position(&self, scope: &Scope, lease: LeaseId) -> Result<Key, LedgerError> {
        let (place, prefix) = scope.span();
        let id = lease.to_bytes();
        match scope {
            Scope::Everything
            | Scope::Role { .. }
            | Scope::Principal { .. }
            | Scope::Token { .. }
            | Scope::Carrier(_) => Ok(namespace(place).key([prefix.as_slice(), &id].concat())),
            Scope::Backend(_) | Scope::Issuer(_) => {
                let known = match self.read(lease).await {
                    Ok(known) => known.and_then(|known| entry_of(&known.lease, place)),
                    Err(LedgerError::Damaged(_)) => {
                        let span = Span::with_prefix(namespace(place), prefix.clone());
                        self.entries_of(span, lease).await?.into_iter().next()
                    }
                    Err(error) => return Err(error),
                };
                known.filter(|key| key.tail().starts_with(&prefix)).ok_or(LedgerError::Unknown)
            }
        }
    }
}

fn entry_of(lease: &Lease, place: Place) -> Option<Key> {
    let entry = index::entries(lease).into_iter().find(|(at, _)| *at == place);
    entry.map(|(_, key)| namespace(place).key(key))
}

impl Filter {
    fn lets(&self, view: &LeaseView) -> bool {
        let wanted = self.state.as_deref().is_none_or(|state| state == view.state);
        wanted && (self.with_over || self.state.is_some() || view.state != "revoked")
    }
}
