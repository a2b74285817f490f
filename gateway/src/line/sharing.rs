//! Roles that share: one credential at the backend for everybody who may have it.
//!
//! ```text
//! what is offered lasts long enough ──────────────────────────────┐
//! else, one at a time: renew it up to its ceiling ────────────────┤→ join (durable) → answer
//! else: reserve → the component issues → keep → activate and join ┘
//! ```
//!
//! Each caller was decided about by itself before it gets here, and has a lease of its own.
//!
//! INVARIANT: the secret is kept before its carrier is active, and read before the lease of whoever
//! gets it is written: that write fails if the credential has begun to end or was closed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::principal::Identity;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{Fields, Issued, Metadata};
use symbolon_host::{CallContext, CallError, Generation};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::credentials::{Credential, Role};
use super::dispatch::{Delivery, Granted, Undelivered};
use super::{Line, LineError, World, respond};
use crate::kill::{self, Point};
use crate::lease::{Carriage, LeaseView, LedgerError, Newcomer, Reservation, kept_as};
use crate::store::StoreError;

/// How often a newcomer looks again at an offer that changed under its hands.
const TRIES: u32 = 8;

/// Whose turn it is to issue or renew what a role shares: one at a time. There are as many as roles.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<NamedRole, Arc<Turn<()>>>>);

type NamedRole = (BackendName, RoleName);

impl Turns {
    /// Waits for the turn; `None` if it does not come within this time.
    async fn take(
        &self,
        (backend, role): (&BackendName, &RoleName),
        within: Duration,
    ) -> Option<OwnedMutexGuard<()>> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry((backend.clone(), role.clone())).or_default())
        };
        tokio::time::timeout(within, turn.lock_owned()).await.ok()
    }
}

/// A role that shares, as one request finds it.
pub(super) struct Shared<'a> {
    pub(super) world: &'a World,
    pub(super) generation: &'a Generation,
    pub(super) role: &'a Role,
    pub(super) plan: Carriage,
    pub(super) newcomer: Newcomer,
}

/// How much of what it asks for is enough for a newcomer.
#[derive(Clone, Copy)]
enum Enough {
    /// Nine tenths: with every caller that comes a moment later than the last the backend would have
    /// to be asked to renew.
    Nearly,
    /// Half: with less it gets a fresh credential.
    Fair,
}

impl Line {
    /// Gives what the role offers to one who may have it, or issues what it will offer from now on.
    pub(super) async fn share(
        &self,
        shared: &Shared<'_>,
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        let newcomer = &shared.newcomer;
        if let Some(joined) = self.join(newcomer, Enough::Nearly).await? {
            return Ok(joined);
        }
        let turn = self.turns.take(newcomer.role(), self.left(context)).await;
        let _turn = turn.ok_or(Undelivered::Call(CallError::Busy))?;
        if let Some(joined) = self.join(newcomer, Enough::Nearly).await? {
            return Ok(joined);
        }
        if let Some(offer) = self.leases.offer(newcomer).await? {
            self.extend(shared.world, offer.carrier(), newcomer.ttl(), context).await;
            if let Some(joined) = self.join(newcomer, Enough::Fair).await? {
                return Ok(joined);
            }
        }
        Box::pin(self.issue_carrier(shared, context)).await
    }

    fn left(&self, context: &CallContext) -> Duration {
        context.deadline.saturating_sub(self.clock.elapsed())
    }

    async fn join(
        &self,
        newcomer: &Newcomer,
        enough: Enough,
    ) -> Result<Option<Granted>, LineError> {
        let ttl = newcomer.ttl();
        for _ in 0..TRIES {
            let Some(offer) = self.leases.offer(newcomer).await? else { return Ok(None) };
            let enough = match enough {
                Enough::Nearly => ttl.saturating_sub(ttl / 10),
                Enough::Fair => offer.fair_part(ttl),
            };
            if offer.expires_at() < self.leases.now().plus(enough) {
                return Ok(None);
            }
            let Some((fields, metadata)) = self.kept_credential(offer.carrier()).await else {
                return Ok(None);
            };
            match self.leases.join(newcomer, &offer).await {
                Ok(lease) => {
                    kill::reach(Point::AfterJoined);
                    let credential = Credential { lease, fields, metadata };
                    return Ok(Some(Granted::of_ledger(Delivery::Credential(credential))));
                }
                Err(LedgerError::Contended) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Has a shared credential last for `ttl` from now, as far as its ceiling and its backend allow.
    /// Where they do not, it is as it was: whoever asked for it gets what there is.
    async fn extend(&self, world: &World, id: LeaseId, ttl: Duration, context: &CallContext) {
        let Ok(Some(carrier)) = self.leases.find(id).await else { return };
        if let Err(error) = Box::pin(self.renew_own(world, carrier, ttl, context)).await {
            tracing::debug!(lease = %id, code = error.code(), "a shared credential is not renewed");
        }
    }

    async fn issue_carrier(
        &self,
        shared: &Shared<'_>,
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        let Shared { generation, role, newcomer, .. } = shared;
        kill::reach(Point::BeforeReserve);
        let reservation = self.leases.reserve_carrier(newcomer, shared.plan).await?;
        kill::reach(Point::AfterReserve);
        let for_whom = (*role, &Identity::of_gateway());
        let called = self.call_to_issue(generation, reservation, for_whom, context).await;
        let (reservation, issued) = called?;
        let recorded = self.recorded(reservation.terms(), &issued)?;
        if let Err(error) = self.keep_credential(&reservation, &issued).await {
            self.leases.discard(reservation, recorded).await;
            return Err(error.into());
        }
        kill::reach(Point::AfterKept);
        let lease = self.leases.activate_carrier(reservation, recorded, newcomer).await?;
        kill::reach(Point::AfterShared);
        let Issued { fields, metadata, .. } = issued;
        let credential = Credential { lease, fields, metadata };
        Ok(Granted::new(Delivery::Credential(credential), generation))
    }

    /// Moves the end of a lease that shares to `until`, if its credential lasts that long or can be
    /// made to; otherwise as far as that lasts.
    pub(super) async fn renew_shared(
        &self,
        world: &World,
        (lease, carrier): (LeaseView, LeaseId),
        until: Timestamp,
        context: &CallContext,
    ) -> Result<LeaseView, LineError> {
        if self.ends_at(carrier).await? < until {
            let turn = self.turns.take((&lease.backend, &lease.role), self.left(context)).await;
            if turn.is_some() && self.ends_at(carrier).await? < until {
                let ttl = until.since(self.leases.now());
                self.extend(world, carrier, ttl, context).await;
            }
        }
        let until = until.min(self.ends_at(carrier).await?);
        if lease.expires_at.is_some_and(|present| until <= present) {
            return Ok(lease);
        }
        let renewed = self.leases.renewed(lease.id, until).await?;
        kill::reach(Point::AfterRenewed);
        Ok(renewed)
    }

    async fn ends_at(&self, carrier: LeaseId) -> Result<Timestamp, LedgerError> {
        let carrier = self.leases.find(carrier).await?.filter(|carrier| carrier.state == "active");
        carrier.and_then(|carrier| carrier.expires_at).ok_or(LedgerError::Ending)
    }

    async fn keep_credential(
        &self,
        reservation: &Reservation,
        issued: &Issued,
    ) -> Result<(), LedgerError> {
        let secret = Plain::of(&issued.fields, &issued.metadata).sealable();
        Ok(self.kept.keep(&kept_as(reservation.id()), &secret).await?)
    }

    /// What is kept of a shared credential. Where it cannot be had a fresh one is issued.
    async fn kept_credential(&self, carrier: LeaseId) -> Option<(Fields, Metadata)> {
        let opened = self.kept.open(&kept_as(carrier)).await;
        let opened = opened.map_err(LedgerError::from).and_then(|secret| match secret {
            Some(secret) => Plain::read(&secret).map(Some),
            None => Ok(None),
        });
        match opened {
            Ok(found) => found,
            Err(error) => {
                let code = error.code();
                tracing::error!(lease = %carrier, code, "the secret of a shared credential does not open");
                None
            }
        }
    }
}

/// A credential as it is sealed.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Plain {
    version: u8,
    /// Values in base 64.
    fields: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
}

const VERSION: u8 = 1;

impl Plain {
    fn of(fields: &Fields, metadata: &Metadata) -> Self {
        let text = |(name, value): &(String, Secret)| {
            (name.clone(), STANDARD_NO_PAD.encode(value.expose()))
        };
        let fields = fields.iter().map(text).collect();
        Self { version: VERSION, fields, metadata: metadata.clone() }
    }

    fn sealable(&self) -> Secret {
        Secret::new(std::mem::take(&mut *respond::serialize(self)))
    }

    fn read(secret: &Secret) -> Result<(Fields, Metadata), LedgerError> {
        let damaged = || StoreError::Record { doing: "read", cause: "it is no credential".into() };
        let mut plain: Self = serde_json::from_slice(secret.expose()).map_err(|_| damaged())?;
        if plain.version != VERSION {
            return Err(damaged().into());
        }
        let value = |(name, text): &(String, String)| {
            let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| damaged())?;
            Ok::<_, StoreError>((name.clone(), Secret::new(bytes)))
        };
        let fields = plain.fields.iter().map(value).collect::<Result<_, _>>()?;
        Ok((fields, std::mem::take(&mut plain.metadata)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_survives_its_seal_and_nothing_else_is_one() {
        let fields = vec![
            ("username".to_owned(), Secret::from("sy_app".to_owned())),
            ("key".to_owned(), Secret::new(vec![0, 255, 7])),
        ];
        let metadata = vec![("region".to_owned(), "eu".to_owned())];
        let secret = Plain::of(&fields, &metadata).sealable();
        let (read, more) = Plain::read(&secret).unwrap();
        let bare = |fields: &Fields| {
            fields
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!((bare(&read), more), (bare(&fields), metadata));
        for text in ["", "{}", r#"{"version":2,"fields":[],"metadata":[]}"#] {
            assert!(Plain::read(&Secret::from(text.to_owned())).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_not_waited_for() {
        let turns = Turns::default();
        let backend = BackendName::parse("db").unwrap();
        let role = |name: &str| RoleName::parse(name).unwrap();
        let within = Duration::ZERO;
        let held = turns.take((&backend, &role("a")), within).await;
        assert!(turns.take((&backend, &role("a")), within).await.is_none());
        assert!(turns.take((&backend, &role("b")), within).await.is_some());
        drop(held);
        assert!(turns.take((&backend, &role("a")), within).await.is_some());
    }
}
