//! What ends with a lease: itself, the credential that it shared if it was the last, and by order
//! whoever shared the credential that it carried.
//!
//! All of it is one transaction, so that a crash finds no credential that nobody shares and none that
//! is over while it is still shared.

use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::index::Quota;
use symbolon_core::lease::{Active, Cause, Lease, OnRevoke, Phase, Revoked, Scope};

use super::LedgerError;
use super::ledger::Ledger;
use super::orders::Draft;
use super::write::{Stored, change, quota};
use crate::store::{StoreError, Transaction};

/// The beginning of an end, to be written.
pub(super) struct Step {
    write: Transaction,
    /// What becomes of those who share the credential.
    order: Option<Draft>,
}

impl Step {
    fn only(write: Transaction) -> Self {
        Self { write, order: None }
    }
}

impl Ledger {
    /// Writes down that a lease ends, if it is as `before`; says whether it was not ending already.
    ///
    /// # Errors
    /// [`LedgerError::Store`] with a conflict if it, or what has to end with it, was changed meanwhile.
    pub(super) async fn try_end(&self, before: &Stored, cause: Cause) -> Result<bool, LedgerError> {
        let Some(step) = self.ending(before, cause).await? else { return Ok(false) };
        let written = self.store.commit(step.write).await;
        // Also where it may be durable: then it is found at the next start.
        let is_in_force = !matches!(written, Err(StoreError::Conflict(_)));
        if let Some(order) = step.order.filter(|_| is_in_force) {
            self.put_in_force(order);
        }
        Ok(written.map(|()| true)?)
    }

    async fn ending(&self, before: &Stored, cause: Cause) -> Result<Option<Step>, LedgerError> {
        let now = self.now();
        let (revision, phase) = before.lease.clone().into_parts();
        let step = match phase {
            Phase::Reserved(reserved) => {
                let after = Lease::following(revision, reserved.condemn(None, cause, now));
                Step::only(change(Some(before), Some(&Stored::new(after)?)))
            }
            Phase::Active(active) => match active.leave(cause, now) {
                Ok(revoked) => self.leaving(before, revoked).await?,
                Err(active) => self.ending_credential(before, *active, cause, 0).await?,
            },
            Phase::Revoking(_) | Phase::Revoked(_) => return Ok(None),
        };
        Ok(Some(step))
    }

    /// One that shares is over. Its carrier ends with the last of them, or with one that is revoked
    /// where the role says so.
    async fn leaving(&self, before: &Stored, revoked: Revoked) -> Result<Step, LedgerError> {
        let cause = revoked.cause();
        let carrier = revoked.terms().carrier();
        let after = Stored::new(Lease::following(before.lease.revision(), revoked))?;
        let write = change(Some(before), Some(&after));
        let carrier = match carrier {
            Some(id) => self.active_record(id).await?,
            None => None,
        };
        // One that is ending is ended by others, and never becomes active again.
        let Some((stored, active)) = carrier else { return Ok(Step::only(write)) };
        let terms = stored.lease.terms();
        let on_revoke = terms.carries().filter(|_| cause.is_revocation());
        let sharers = Quota::Carrier(terms.id);
        if self.count(&sharers).await? < 2 || on_revoke == Some(OnRevoke::End) {
            let cause = credential_cause(cause, &active, self.now());
            let step = self.ending_credential(&stored, active, cause, 1).await?;
            return Ok(Step { write: write.and(step.write), ..step });
        }
        let write = write.expect_at_least(quota(&sharers), 2);
        let closing = match on_revoke {
            Some(OnRevoke::Rotate) => self.closing(terms).await?,
            Some(OnRevoke::Keep | OnRevoke::End) | None => Transaction::new(),
        };
        Ok(Step::only(write.and(closing)))
    }

    pub(super) async fn active_record(
        &self,
        id: LeaseId,
    ) -> Result<Option<(Stored, Active)>, LedgerError> {
        let stored = match self.read(id).await {
            Ok(Some(stored)) => stored,
            // Its remains are set aside, and what it issued is `symbolon backend reconcile`'s.
            Ok(None) | Err(LedgerError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match stored.lease.phase().clone() {
            Phase::Active(active) => Ok(Some((stored, active))),
            Phase::Reserved(_) | Phase::Revoking(_) | Phase::Revoked(_) => Ok(None),
        }
    }

    /// A credential ends, and by order every lease that shares it, but for the `leaving` ones that
    /// leave in the same transaction.
    async fn ending_credential(
        &self,
        before: &Stored,
        active: Active,
        cause: Cause,
        leaving: u64,
    ) -> Result<Step, LedgerError> {
        let terms = active.terms().clone();
        let revoking = active.revoke(cause, self.now());
        let after = Stored::new(Lease::following(before.lease.revision(), revoking))?;
        let write = change(Some(before), Some(&after));
        if terms.carries().is_none() {
            return Ok(Step::only(write));
        }
        let write = write.and(self.closing(&terms).await?);
        let sharers = Quota::Carrier(terms.id);
        if self.count(&sharers).await? <= leaving {
            let most = leaving.saturating_add(1);
            return Ok(Step::only(write.expect_below(quota(&sharers), most)));
        }
        let order = self.draft(Scope::Carrier(terms.id), cause);
        Ok(Step { write: write.and(order.write()?), order: Some(order) })
    }
}

/// Why a credential ends with the last who shares it: for the same reason, but that its own time need
/// not be over.
fn credential_cause(cause: Cause, carrier: &Active, now: Timestamp) -> Cause {
    match cause {
        Cause::Expired if carrier.expires_at() > now => Cause::Unused,
        Cause::Expired
        | Cause::Unused
        | Cause::Owner
        | Cause::Operator
        | Cause::Cascade
        | Cause::LostAnswer
        | Cause::Condemned => cause,
    }
}
