//! Credentials that end: issuing, renewing, revoking and showing them, each as a step of the ledger
//! around a call of the component.
//!
//! INVARIANT: a component is asked to issue only with a [`Reservation`](crate::lease::Reservation) in
//! hand, and what it issued is handed on only after its lease is active. Every way out in between
//! leaves the lease to be ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use symbolon_core::ask::{Action, Ask, Resource};
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::lease::{self, Cause, Evidence, Maker, Recovery, Terms};
use symbolon_core::policy::Permit;
use symbolon_core::principal::Identity;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{CredentialState, Fields, IssueRequest, Issued, Metadata, Reference};
use symbolon_host::fault::FaultKind;
use symbolon_host::sql::Trial;
use symbolon_host::{CallContext, CallError, Generation, answer, manifest};

use super::ask::Page;
use super::dispatch::{Delivery, Granted, Undelivered, log};
use super::sharing::Shared;
use super::{Known, Line, LineError, World};
use crate::kill::{self, Point};
use crate::lease::{
    After, Agreed, BoxFuture, Carriage, EndError, Ended, Ending, Ends, LeaseView, LedgerError,
    Limits, Newcomer, Reservation, Settings,
};

/// How long the ending of one credential may take.
const END_WITHIN: Duration = Duration::from_secs(30);
/// Leases in a page, unless the caller asks for fewer.
const PAGE: usize = 100;

/// What the configuration says of the roles, as one generation of it has them.
#[derive(Debug, Default)]
pub struct Roles {
    /// Every role.
    pub roles: BTreeMap<(BackendName, RoleName), Role>,
    /// Most live leases of a backend.
    pub per_backend: BTreeMap<BackendName, u64>,
    /// Most live leases of a principal.
    pub per_principal: u64,
}

/// One role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Lease duration for who asks for none.
    pub ttl: Duration,
    /// Most live leases; of a role that shares, most credentials.
    pub max_leases: Option<u64>,
    /// What the plugin is told, as JSON.
    pub config: String,
    /// Whether its callers share one credential, and how.
    pub sharing: Option<Sharing>,
}

/// How a role shares.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// What the operator says of its credentials.
    pub plan: Carriage,
    /// Digest of everything that the configuration says of the role and its backend.
    pub configured: [u8; 32],
}

impl Sharing {
    /// What tells credentials that were made alike.
    fn settings(&self, generation: &Generation) -> Settings {
        let mut context = Context::new(&SHA256);
        context.update(&self.configured);
        context.update(generation.digest().to_string().as_bytes());
        let mut settings = [0; 32];
        settings.copy_from_slice(context.finish().as_ref());
        Settings(settings)
    }
}

/// A credential and its lease.
#[derive(Debug)]
pub struct Credential {
    /// The lease.
    pub lease: LeaseView,
    /// What the caller gets, by name.
    pub fields: Fields,
    /// More about it; not secret.
    pub metadata: Metadata,
}

/// Leases of one principal.
#[derive(Debug)]
pub struct Leases {
    /// Those that it may see.
    pub leases: Vec<LeaseView>,
    /// Behind which one the next page begins.
    pub next: Option<LeaseId>,
}

impl Roles {
    fn find(&self, backend: &BackendName, role: &RoleName) -> Option<&Role> {
        self.roles.get(&(backend.clone(), role.clone()))
    }

    fn limits(&self, backend: &BackendName, role: &Role) -> Limits {
        Limits {
            principal: Some(self.per_principal),
            role: role.max_leases,
            backend: self.per_backend.get(backend).copied(),
        }
    }

    /// The role as the plugin is told of it now; what the operator has removed has no configuration.
    fn told(&self, terms: &Terms) -> answer::Role {
        let config = self.find(&terms.backend, &terms.role).map(|role| role.config.clone());
        answer::Role { name: terms.role.to_string(), config: config.unwrap_or_else(empty) }
    }
}

fn empty() -> String {
    String::from("{}")
}

impl Line {
    /// Issues a credential: reserve, call, activate. Or shares one.
    pub(super) async fn issue(
        &self,
        world: &World,
        permit: &Permit,
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        let Resource::Role { backend, role: name } = &permit.ask().resource else {
            return Err(Undelivered::Unsupported.into());
        };
        let generation = world.dispatcher.catalog().find(backend).map_err(Undelivered::from)?;
        let role = world.roles.find(backend, name).ok_or(Undelivered::Unsupported)?;
        let agreed = Agreed {
            maker: maker(&generation),
            recovery: recovery(&generation, permit.ttl_ceiling()),
            ttl: role.ttl,
            issue_within: context.deadline.saturating_sub(self.clock.elapsed()),
            limits: world.roles.limits(backend, role),
        };
        if let Some(sharing) = &role.sharing {
            let recovery = recovery(&generation, sharing.plan.ceiling);
            let agreed = Agreed { recovery, ..agreed };
            let newcomer = Newcomer::new(permit, agreed, sharing.settings(&generation))?;
            let (generation, plan) = (&*generation, sharing.plan);
            let shared = Shared { world, generation, role, plan, newcomer };
            return Box::pin(self.share(&shared, context)).await;
        }
        kill::reach(Point::BeforeReserve);
        let reservation = self.leases.reserve(permit, &agreed).await?;
        kill::reach(Point::AfterReserve);
        let for_whom = (role, permit.principal().identity());
        let called = self.call_to_issue(&generation, reservation, for_whom, context).await;
        let (reservation, issued) = called?;
        let recorded = self.recorded(reservation.terms(), &issued)?;
        let lease = self.leases.activate(reservation, recorded).await?;
        kill::reach(Point::AfterActivate);
        let Issued { fields, metadata, .. } = issued;
        let credential = Credential { lease, fields, metadata };
        Ok(Granted::new(Delivery::Credential(credential), &generation))
    }

    /// Has the component issue what is reserved. If it does not, the reservation has failed.
    pub(super) async fn call_to_issue(
        &self,
        generation: &Generation,
        reservation: Reservation,
        (role, principal): (&Role, &Identity),
        context: &CallContext,
    ) -> Result<(Reservation, Issued), LineError> {
        let terms = reservation.terms();
        let request = IssueRequest {
            reservation: reservation.id(),
            role: answer::Role { name: terms.role.to_string(), config: role.config.clone() },
            ttl: reservation.ttl(),
            principal: (principal.issuer.to_string(), principal.subject.clone()),
            materials: Vec::new(),
            metadata: Vec::new(),
        };
        let backend = terms.backend.clone();
        let issued = Box::pin(generation.issue(context, &request)).await;
        kill::reach(Point::AfterIssue);
        match issued {
            Ok(issued) => Ok((reservation, issued)),
            Err(error) => {
                self.leases.fail(reservation, error.may_have_acted()).await;
                let error = Undelivered::Call(error);
                log(context, backend.as_str(), &error);
                Err(error.into())
            }
        }
    }

    /// What the ledger keeps of an answer. If the handle cannot be wrapped, the reservation is dropped
    /// and found by the reaper.
    ///
    /// A time that was asked for in full begins when the backend is asked, which is after the permit
    /// was given: the lease ends with the permit.
    pub(super) fn recorded(
        &self,
        terms: &Terms,
        issued: &Issued,
    ) -> Result<lease::Issued, LineError> {
        let handle = self.handles.wrap(terms.id, &issued.handle).map_err(LedgerError::from)?;
        Ok(lease::Issued {
            handle,
            expires_at: issued.expires_at.min(terms.ends_by),
            renewable: issued.renewable,
            revocable: issued.revocable,
        })
    }

    /// Whatever is asked about a lease, or about the asker's leases. Decides, since what is decided
    /// about is known only once the lease is.
    pub(super) async fn of_leases(
        &self,
        world: &World,
        known: &Known,
        (ask, page): (&Arc<Ask>, &Page),
        context: &CallContext,
    ) -> (Result<Granted, LineError>, Option<Permit>) {
        let Resource::Lease(id) = ask.resource else {
            return (self.own_leases(world, known, page).await, None);
        };
        let found = self.leases.find_of(known.principal.identity(), id).await;
        let lease = match found {
            Ok(lease) => lease,
            // Who is barred is told so whether or not the lease is there.
            Err(error) => {
                let barred = world.authenticator.admits(&known.principal);
                return (Err(barred.map_or_else(LineError::from, |()| error.into())), None);
            }
        };
        match self.decide(world, known, &Arc::new(about(ask, &lease))) {
            Ok(permit) => {
                let done = self.act(world, (&permit, lease), context).await;
                (done.map(Granted::of_ledger), Some(permit))
            }
            Err(error) => (Err(error), None),
        }
    }

    async fn act(
        &self,
        world: &World,
        (permit, lease): (&Permit, LeaseView),
        context: &CallContext,
    ) -> Result<Delivery, LineError> {
        let lease = match permit.ask().action {
            Action::Renew => self.renew(world, (permit, lease), context).await?,
            Action::Revoke => {
                kill::reach(Point::BeforeRevoke);
                let begun = self.clock.elapsed();
                let lease = self.leases.revoke(lease.id, Cause::Owner).await?;
                kill::reach(Point::AfterRevokeIntent);
                let took = self.clock.elapsed().saturating_sub(begun);
                self.metrics.revocation_in_force(lease.backend.as_str(), Cause::Owner, took);
                lease
            }
            Action::List => lease,
            Action::Read | Action::Issue | Action::Exchange | Action::Administer => {
                return Err(Undelivered::Unsupported.into());
            }
        };
        Ok(Delivery::Lease(lease))
    }

    async fn renew(
        &self,
        world: &World,
        (permit, lease): (&Permit, LeaseView),
        context: &CallContext,
    ) -> Result<LeaseView, LineError> {
        let role = world.roles.find(&lease.backend, &lease.role);
        let wanted = permit.ask().ttl.or(role.map(|role| role.ttl)).unwrap_or_default();
        self.renew_for(world, lease, wanted.min(permit.ttl_ceiling()), context).await
    }

    /// Extends a lease by `ttl` from now, as far as its permit and its backend allow. One that would
    /// not get longer stays as it is: the backend is not asked to shorten anything.
    ///
    /// # Errors
    /// [`LineError`]; the lease is then as it was, or ending.
    pub async fn renew_for(
        &self,
        world: &World,
        lease: LeaseView,
        ttl: Duration,
        context: &CallContext,
    ) -> Result<LeaseView, LineError> {
        let Some(carrier) = lease.carrier else {
            return self.renew_own(world, lease, ttl, context).await;
        };
        let (terms, _) = self.leases.renewable(lease.id).await?;
        let until = self.leases.now().plus(ttl).min(terms.ends_by);
        self.renew_shared(world, (lease, carrier), until, context).await
    }

    /// The same for a lease that has a credential.
    pub(super) async fn renew_own(
        &self,
        world: &World,
        lease: LeaseView,
        ttl: Duration,
        context: &CallContext,
    ) -> Result<LeaseView, LineError> {
        let (terms, handle) = self.leases.renewable(lease.id).await?;
        let now = self.leases.now();
        let ttl = Duration::from_secs(ttl.min(terms.ends_by.since(now)).as_secs());
        let present = lease.expires_at.unwrap_or(now);
        if now.plus(ttl) <= present {
            return Ok(lease);
        }
        let generation = world.dispatcher.catalog().find(&terms.backend);
        let generation = generation.map_err(Undelivered::from)?;
        let handle = self.handles.unwrap(lease.id, &handle).map_err(LedgerError::from)?;
        let reference = reference(world, &terms, handle);
        kill::reach(Point::BeforeRenew);
        let until = Box::pin(generation.renew(context, &reference, ttl)).await;
        kill::reach(Point::AfterRenew);
        let until = until.map_err(|error| {
            let error = Undelivered::Call(error);
            log(context, terms.backend.as_str(), &error);
            error
        })?;
        let until = until.max(present).min(terms.ends_by);
        let renewed = self.leases.renewed(lease.id, until).await?;
        kill::reach(Point::AfterRenewed);
        Ok(renewed)
    }

    /// The asker's leases, those of them that policies let it see.
    async fn own_leases(
        &self,
        world: &World,
        known: &Known,
        page: &Page,
    ) -> Result<Granted, LineError> {
        world.authenticator.admits(&known.principal)?;
        let behind = page.0.as_deref().map(LeaseId::parse).transpose();
        let lease = behind.map_err(|_| LedgerError::Unknown)?;
        if let Some(lease) = lease {
            // A page that begins behind somebody else's lease would tell that it is there.
            self.leases.find_of(known.principal.identity(), lease).await?;
        }
        let after = After { lease, limit: PAGE };
        let page = self.leases.of(known.principal.identity(), after).await?;
        let list = Arc::new(Ask::leases());
        let mut seen = BTreeMap::new();
        let visible = |lease: &LeaseView| {
            let role = (lease.backend.clone(), lease.role.clone());
            *seen.entry(role).or_insert_with(|| {
                self.decide(world, known, &Arc::new(about(&list, lease))).is_ok()
            })
        };
        let leases = page.leases.into_iter().filter(visible).collect();
        Ok(Granted::of_ledger(Delivery::Leases(Leases { leases, next: page.next })))
    }
}

/// What policies are asked: the same action, on what the lease was issued for.
fn about(ask: &Ask, lease: &LeaseView) -> Ask {
    let (backend, role) = (lease.backend.clone(), lease.role.clone());
    let resource = match role.is_exchange() {
        true => Resource::Target(backend.into()),
        false => Resource::Role { backend, role },
    };
    Ask { resource, ..ask.clone() }
}

pub(super) fn maker(generation: &Generation) -> Maker {
    let manifest = generation.manifest();
    Maker {
        plugin: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: generation.digest().to_string(),
    }
}

/// A plugin that states no class has nothing that could be found again.
fn recovery(generation: &Generation, ceiling: Duration) -> Recovery {
    match generation.manifest().recovery {
        Some(manifest::Recovery::Named) => Recovery::Named,
        Some(manifest::Recovery::Listable) => Recovery::Listable,
        Some(manifest::Recovery::Expires) | None => {
            let within_millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
            Recovery::Expires { within_millis }
        }
    }
}

fn reference(world: &World, terms: &Terms, handle: Secret) -> Reference {
    Reference { reservation: terms.id, role: world.roles.told(terms), handle }
}

impl Ends for Line {
    fn end<'a>(&'a self, ending: Ending<'a>) -> BoxFuture<'a, Result<Ended, EndError>> {
        Box::pin(async move {
            let (terms, world) = (ending.terms, self.world.load_full());
            let generation = world.dispatcher.catalog().find(&terms.backend);
            let generation = generation.map_err(|error| EndError::Down(error.code()))?;
            let handle = match ending.handle {
                Some(sealed) => self.handles.unwrap(terms.id, sealed),
                None => Ok(Secret::new(Vec::new())),
            };
            let handle = handle.map_err(|error| EndError::Refused(error.code()))?;
            let reference = reference(&world, terms, handle);
            let context = CallContext {
                request_id: self.ids.request(self.clock.now()),
                deadline: self.clock.elapsed().saturating_add(END_WITHIN),
                on_behalf: None,
            };
            kill::reach(Point::BeforeEnd);
            let ended = Box::pin(generation.revoke(&context, &reference)).await;
            kill::reach(Point::AfterEnd);
            ended.map_err(|error| not_ended(terms, error))?;
            let state = Box::pin(generation.verify(&context, &reference)).await;
            kill::reach(Point::AfterVerify);
            let asked = asked_again(state, terms)?;
            // What shares a credential has none of its own that could be tried.
            let trial = match terms.carrier() {
                None => Box::pin(generation.try_ended(&context, &reference)).await,
                Some(_) => Trial::Untried,
            };
            Ok(Ended { evidence: tried(trial, asked)? })
        })
    }
}

/// What the backend says when it is asked what became of what it has ended.
fn asked_again(
    state: Result<CredentialState, CallError>,
    terms: &Terms,
) -> Result<Evidence, EndError> {
    match state {
        Ok(CredentialState::Gone | CredentialState::Disabled) => Ok(Evidence::Verified),
        Ok(CredentialState::Usable) => Err(EndError::Refused("still_usable")),
        Err(CallError::Unsupported(_)) => Ok(Evidence::Acknowledged),
        Err(CallError::Plugin(fault)) if fault.kind == FaultKind::Unsupported => {
            Ok(Evidence::Acknowledged)
        }
        Err(error) => Err(not_ended(terms, error)),
    }
}

/// What trying the credential adds to what was `asked`. A try that proves nothing concerns this
/// lease alone: the backend goes on ending others.
fn tried(trial: Trial, asked: Evidence) -> Result<Evidence, EndError> {
    match trial {
        Trial::Untried => Ok(asked),
        Trial::Refused => Ok(Evidence::Probed),
        Trial::Taken => Err(EndError::Refused("still_usable")),
        Trial::Unproven => Err(EndError::Refused("end_unproven")),
    }
}

/// Whether the backend or this credential is the matter. The plugin's own words go to the log.
fn not_ended(terms: &Terms, error: CallError) -> EndError {
    let code = error.code();
    let kind = error.fault().map(|fault| fault.kind);
    let (lease, backend) = (terms.id, terms.backend.as_str());
    let message = error.fault().map_or("", |fault| fault.message.as_str());
    tracing::debug!(%lease, backend, code, message, "a credential is not ended yet");
    match (error, kind) {
        (CallError::Busy | CallError::Paced(_) | CallError::Paused(_), _)
        | (_, Some(FaultKind::RateLimited)) => EndError::Busy,
        (CallError::Open(_) | CallError::Timeout { .. }, _) => EndError::Down(code),
        // The gateway's own login is not taken, or the backend does not answer: every lease's matter.
        (
            _,
            Some(
                FaultKind::Unavailable
                | FaultKind::Timeout
                | FaultKind::Unauthenticated
                | FaultKind::InvalidConfig,
            ),
        ) => EndError::Down(code),
        (
            CallError::Unsupported(_)
            | CallError::Plugin(_)
            | CallError::Answer(_)
            | CallError::Trap { .. }
            | CallError::Host(_)
            | CallError::NoCaller { .. }
            | CallError::CallerRefused { .. }
            | CallError::CallerForbidden(_),
            _,
        ) => EndError::Refused(code),
    }
}

/// The lease that came of what was delivered, to be ended if it cannot be answered for.
pub(super) fn lease_of(delivery: &Delivery) -> Option<LeaseId> {
    match delivery {
        Delivery::Credential(credential) => Some(credential.lease.id),
        Delivery::Lease(lease) => Some(lease.id),
        Delivery::Token(token) => Some(token.lease.id),
        Delivery::Secret(_)
        | Delivery::Listing(_)
        | Delivery::Leases(_)
        | Delivery::Access(_)
        | Delivery::Inspection(_)
        | Delivery::Withdrawn => None,
    }
}
