//! Orders to end many leases: durable before anyone is told, in force at once, carried out in pages.
//!
//! INVARIANT: an order is deleted only after every lease that it covers was written down as ending. It
//! is begun anew after a crash, which does no harm: what is ending already is passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{LeaseId, OrderId};
use symbolon_core::lease::{Cause, Order, Scope, Terms, index};
use tokio::sync::RwLock;

use super::LedgerError;
use super::ledger::Ledger;
use super::write::{namespace, state};
use crate::kill::{self, Point};
use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction, read_all};

/// Leases that are read at once for an order.
const PAGE: usize = 500;
/// Leases that are written down at once; they share the store's flushes.
const SIDE_BY_SIDE: usize = 64;
/// How long it may take from an order's first byte until it is in force: what was reserved within
/// this is covered if a crash comes in between.
const IN_FORCE_WITHIN: Duration = Duration::from_mins(1);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct OrderRecord(Order);

impl Record for OrderRecord {
    const VERSION: u8 = 1;
}

/// The orders that are not carried out yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pending: ArcSwap<Vec<(OrderId, Order)>>,
    /// Held by who writes a reservation down: what is reserved before an order has to be found by it.
    pub(super) gate: RwLock<()>,
    /// The latest time of a reservation, in milliseconds. It may be ahead of the clock, where the clock
    /// was set back; an order given now covers that one too.
    newest: AtomicI64,
}

impl Orders {
    /// Reads what a crash or a stop left unfinished. One that cannot be read is named at each start
    /// and stays where it is; the others are carried out.
    pub(super) async fn load(store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut pending = Vec::new();
        for (key, bytes) in read_all(store, Span::all(Namespace::LeaseOrder)).await? {
            match (decode(&bytes), key.tail().try_into()) {
                (Ok(OrderRecord(order)), Ok(id)) => pending.push((OrderId::from_bytes(id), order)),
                (_, _) => tracing::error!(%key, "an order to end leases is damaged: give it again"),
            }
        }
        let newest = AtomicI64::new(newest(store, now).await?.millis());
        Ok(Self { pending: ArcSwap::from_pointee(pending), gate: RwLock::default(), newest })
    }

    /// Something is reserved at `now`.
    pub(super) fn reserved(&self, now: Timestamp) {
        self.newest.fetch_max(now.millis(), Ordering::Relaxed);
    }

    /// Everything reserved so far was reserved at or before this.
    fn until(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_millis(self.newest.load(Ordering::Relaxed)))
    }

    pub(super) fn covers(&self, terms: &Terms) -> bool {
        self.pending.load().iter().any(|(_, order)| order.covers(terms))
    }

    pub(super) fn pending(&self) -> Arc<Vec<(OrderId, Order)>> {
        self.pending.load_full()
    }

    fn put_in_force(&self, id: OrderId, order: &Order) {
        self.pending.rcu(|orders| {
            let mut orders = Vec::clone(orders);
            orders.push((id, order.clone()));
            orders
        });
    }

    fn done(&self, id: OrderId) {
        self.pending.rcu(|orders| {
            orders.iter().filter(|(other, _)| *other != id).cloned().collect::<Vec<_>>()
        });
    }
}

/// An order that is to become durable together with what caused it.
#[derive(Debug)]
#[must_use = "an order is committed and put in force"]
pub struct Draft {
    id: OrderId,
    order: Order,
}

impl Ledger {
    /// Ends every lease in `scope` that was reserved until now. When this returns the order is
    /// durable and nothing it covers is renewed; the reaper ends them one by one.
    ///
    /// # Errors
    /// [`LedgerError::Store`]; if it leaves doubt the order may be found at the next start.
    pub async fn order(&self, scope: Scope, cause: Cause) -> Result<Order, LedgerError> {
        let draft = self.draft(scope, cause);
        self.store.commit(draft.write()?).await?;
        kill::reach(Point::AfterOrder);
        Ok(self.put_in_force(draft))
    }

    /// An order to be written together with something else, by [`Draft::write`], and then
    /// [put in force](Ledger::put_in_force).
    pub fn draft(&self, scope: Scope, cause: Cause) -> Draft {
        let now = self.now();
        let reserved_until = self.orders.until(now).plus(IN_FORCE_WITHIN);
        let order = Order { scope, cause, reserved_until, given_at: now };
        Draft { id: self.ids.order(now), order }
    }

    /// Puts a durable order in force. What was reserved while it was being written is covered too.
    pub fn put_in_force(&self, draft: Draft) -> Order {
        let order = Order { reserved_until: self.orders.until(self.now()), ..draft.order };
        self.orders.put_in_force(draft.id, &order);
        self.wake();
        order
    }

    /// Orders under way.
    #[must_use]
    pub fn pending_orders(&self) -> Vec<Order> {
        self.orders.pending().iter().map(|(_, order)| order.clone()).collect()
    }

    /// Carries out what is under way; says whether all of it was. Errors are logged; the next sweep
    /// begins again.
    pub(super) async fn carry_out_orders(&self) -> bool {
        let mut went_well = true;
        for (id, order) in self.orders.pending().iter() {
            match self.carry_out(*id, order).await {
                Ok(ended) => {
                    tracing::info!(%id, scope = %order.scope, ended, "an order was carried out")
                }
                Err(error) => {
                    tracing::warn!(%id, scope = %order.scope, code = error.code(), "an order is not carried out yet");
                    went_well = false;
                }
            }
        }
        went_well
    }

    async fn carry_out(&self, id: OrderId, order: &Order) -> Result<u64, LedgerError> {
        // Reservations that were begun before the order was in force are in the index from here on.
        drop(self.orders.gate.write().await);
        let (place, prefix) = order.scope.span();
        let mut rest = Some(Span::with_prefix(namespace(place), prefix));
        let mut ended = 0_u64;
        while let Some(span) = rest {
            let page = self.store.scan(span, PAGE).await?;
            // Collected first: a closure over borrowed entries would make the future too particular.
            let leases: Vec<LeaseId> =
                page.entries.iter().filter_map(|(key, _)| index::lease_of(key.tail())).collect();
            let endings =
                futures_util::stream::iter(leases.into_iter().map(|lease| self.obey(order, lease)));
            let count = endings
                .buffer_unordered(SIDE_BY_SIDE)
                .try_fold(0_u64, |sum, did| async move { Ok(sum.saturating_add(u64::from(did))) });
            ended = ended.saturating_add(count.await?);
            rest = page.next;
        }
        kill::reach(Point::AfterCarriedOut);
        self.store.commit(Transaction::new().delete(key(id))).await?;
        self.orders.done(id);
        Ok(ended)
    }

    /// Writes one lease down as ending, if the order covers it and it is not already.
    async fn obey(&self, order: &Order, lease: LeaseId) -> Result<bool, LedgerError> {
        match self.read(lease).await {
            Ok(Some(stored)) if order.covers(stored.lease.terms()) => {
                self.begin_end(lease, order.cause).await
            }
            Ok(_) => Ok(false),
            // Named and set aside by the reaper; one damaged record does not stop the order.
            Err(LedgerError::Damaged(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Draft {
    /// What makes the order durable.
    ///
    /// # Errors
    /// [`StoreError::Record`] if it has no bytes.
    pub fn write(&self) -> Result<Transaction, StoreError> {
        let bytes = encode(&OrderRecord(self.order.clone()))?;
        Ok(Transaction::new().put(key(self.id), bytes))
    }
}

/// The latest reservation, if the clock was set back behind it; otherwise `now`. Ids begin with the time
/// at which they were made, so that only what is ahead of the clock is looked at.
async fn newest(store: &dyn Store, now: Timestamp) -> Result<Timestamp, StoreError> {
    let behind = state(LeaseId::new(now, u128::MAX));
    let ahead = read_all(store, Span::all(Namespace::LeaseState).after(&behind)).await?;
    let last = ahead.last().and_then(|(key, _)| key.tail().first_chunk::<6>().copied());
    let millis =
        last.map_or(0, |time| time.iter().fold(0, |sum, byte| (sum << 8) | i64::from(*byte)));
    Ok(now.max(Timestamp::from_millis(millis)))
}

fn key(id: OrderId) -> Key {
    Namespace::LeaseOrder.key(id.to_bytes())
}
