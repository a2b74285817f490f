//! The line: what happens to a request, station by station.
//!
//! ```text
//! ask → authenticate ─┬→ decide → lease.reserve → dispatch → lease.activate ─┬→ respond
//!          audit.open ┘            (durable)      (plugin)      (durable)    └─ audit.close → Receipt
//!      └→ strangers: limited by source, counted, answered with a constant
//! ```
//!
//! Each station takes what only the one before can make: an [`Ask`] is parsed, a [`Principal`] is
//! proven, a [`Permit`] is decided, a [`Receipt`] is on disk. There is no flag that says "already
//! checked".
//!
//! INVARIANT: no answer to a principal without a receipt; no plugin called without a permit; no
//! signature checked for a source that has been refused too often.
//!
//! [`Line::handle`] runs in a task of its own and ends by its own deadline, whether or not the
//! client waits.

pub mod ask;
pub mod authenticate;
pub mod connections;
mod continuation;
pub mod credentials;
pub mod discovery;
pub mod dispatch;
mod error;
mod field;
pub mod limits;
pub mod proof;
mod respond;
pub mod sharing;
mod strangers;
mod tokens;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use symbolon_core::ask::{Action, Ask, Resource};
use symbolon_core::audit::{AuditKey, Conclusion, Dialect, Opening, Outcome};
use symbolon_core::clock::Clock;
use symbolon_core::id::RequestId;
use symbolon_core::policy::{Circumstances, Permit};
use symbolon_core::principal::{Actor, Principal};
use tracing::Instrument;

use self::ask::{AskError, Asked, OauthRoute, Page, Public, Published, Request};
use self::authenticate::Proof;
use self::dispatch::Delivery;
pub use self::dispatch::Granted;
pub use self::error::LineError;
use self::limits::{Buckets, source_of};
use self::sharing::Turns;
use self::strangers::Stranger;
use self::tokens::Errand;
pub use self::world::{Documents, World};
use crate::audit::{Health, Journal};
use crate::keyring::Keyring;
use crate::lease::{HandleSeal, Ledger, LedgerError};
use crate::listen::{Arrival, Failure, Fault, Handler, Peer, Response};
use crate::seal::KeptSecrets;
use crate::telemetry::{Metrics, STATION};
use crate::time::Ids;

/// Most bytes of all answers of a batch together; the ask that crosses it is the last delivered.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Asks of a batch that are under way at a time.
const SIDE_BY_SIDE: usize = 8;

/// The line and what it stands on.
#[derive(Debug)]
pub struct Line {
    /// The configuration in force.
    pub world: ArcSwap<World>,
    /// The audit log.
    pub journal: Arc<Journal>,
    /// Our own keys; the audit log's among them.
    pub keyring: Arc<Keyring>,
    /// Where the documents of the assertion issuer are.
    pub published: Published,
    /// Leases.
    pub leases: Arc<Ledger>,
    /// What revocation handles are wrapped with.
    pub handles: HandleSeal,
    /// Secrets of credentials that several callers share.
    pub kept: KeptSecrets,
    /// Whose turn it is to issue one of these.
    pub turns: Turns,
    /// How often one source may be refused.
    pub refusals: Buckets<IpAddr>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Request ids.
    pub ids: Ids,
    /// Instruments.
    pub metrics: Arc<Metrics>,
}

/// One request of a proven principal.
struct Known {
    principal: Arc<Principal>,
    token: symbolon_core::audit::KeyedHash,
    source: Option<IpAddr>,
    deadline: Duration,
    dialect: Dialect,
    /// What the OAuth face asks beside.
    errand: Errand,
    /// Who acts for the principal, the latest first.
    actors: Vec<Actor>,
    /// Bytes that the answers may still have together.
    room: AtomicUsize,
}

/// What came of one ask, with what the audit record says of it.
struct Concluded {
    outcome: Result<Granted, LineError>,
    permit: Option<Permit>,
}

impl Handler for Line {
    async fn handle(self: Arc<Self>, arrival: Arrival) -> Response {
        let request = tracing::info_span!(target: STATION, "request");
        self.walk(arrival).instrument(request).await
    }

    async fn failed(&self, peer: Peer, failure: Failure) -> Response {
        self.turn_away(peer, &Stranger::Failed(failure))
    }

    fn fault(&self, peer: Option<IpAddr>, fault: Fault) {
        self.count_refusal(peer, fault.code());
    }
}

/// A request whose sender may go on.
enum Admitted {
    Public(Public),
    Known(Box<Known>, Asked),
}

impl Line {
    /// The line, from one end to the other.
    async fn walk(self: Arc<Self>, arrival: Arrival) -> Response {
        let world = self.world.load_full();
        match self.admit(&world, &arrival).await {
            Ok(Admitted::Public(public)) => self.public(&world, public),
            Ok(Admitted::Known(known, asked)) => self.serve(&world, &known, asked).await,
            Err(stranger) => {
                let face = OauthRoute::of(arrival.head.uri.path());
                self.turn_away_from(face, arrival.peer, &stranger)
            }
        }
    }

    async fn serve(&self, world: &World, known: &Known, asked: Asked) -> Response {
        let (ask, page) = match asked {
            Asked::Batch(asks) => return Box::pin(self.batch(world, known, asks)).await,
            Asked::One(ask, page) => (*ask, page),
            Asked::Exchange(exchange) => (exchange.ask, Page::default()),
            Asked::Introspect(_) => (Ask::of_token(Action::List), Page::default()),
            Asked::Withdraw(_) => (Ask::of_token(Action::Revoke), Page::default()),
        };
        let request = self.ids.request(self.clock.now());
        let answer = Box::pin(self.answer(world, known, (ask, page), request)).await;
        answer.into_response(request)
    }

    /// Parses the request and proves who sends it. What fails here is a stranger's.
    async fn admit(&self, world: &World, arrival: &Arrival) -> Result<Admitted, Stranger> {
        let parsing = tracing::info_span!(target: STATION, "ask");
        let parse = || ask::parse(&arrival.head, &arrival.body, &self.published);
        let asked = match parsing.in_scope(parse)? {
            Request::Public(public) => return Ok(Admitted::Public(public)),
            Request::Principal(asked) => asked,
        };
        let source = address(arrival.peer);
        let proof = proof::shown(&asked, &arrival.head);
        let principal = self.prove(world, proof, source).await?;
        // Only now: who is nobody does not learn which aliases there are.
        let asked = asked.resolved(&world.aliases)?;
        let identity = principal.identity();
        // A batch counts as what it asks for, or it would be a way around the limit. The principal's
        // limit comes first: what it refuses must not use up the others' share of the issuer.
        let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        let within = world.per_principal.take_many(identity.clone(), count)
            && world.per_issuer.take_many(identity.issuer.clone(), count);
        if !within {
            return Err(Stranger::OverRate);
        }
        let (errand, actors) = Box::pin(self.errand(world, &asked, &principal, source)).await?;
        let token = self.audit_key().hash_value(&principal.proof().digest);
        let deadline = self.clock.elapsed().saturating_add(world.request_timeout);
        let room = AtomicUsize::new(MAX_ANSWER_BYTES);
        let dialect = match errand {
            Errand::None => Dialect::Native,
            Errand::Exchange { .. } | Errand::Introspect(_) | Errand::Withdraw => Dialect::Oauth,
        };
        let known = Known { principal, token, source, deadline, dialect, errand, actors, room };
        Ok(Admitted::Known(Box::new(known), asked))
    }

    /// Who sends the request. For a source that was refused too often no signature is looked at:
    /// only who was verified before gets through, so that a stranger does not shut out the others
    /// behind one address.
    async fn prove(
        &self,
        world: &World,
        proof: Result<Proof<'_>, AskError>,
        source: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Stranger> {
        if source.is_some_and(|source| self.refusals.exhausted(&source_of(source))) {
            let known = proof.ok().and_then(|proof| world.authenticator.known(proof));
            return known.ok_or(Stranger::TooOften);
        }
        let proving = world.authenticator.prove(proof?, source);
        Ok(proving.instrument(tracing::info_span!(target: STATION, "authenticate")).await?)
    }

    /// One ask of a principal, from its audit entry to its receipt.
    async fn answer(
        &self,
        world: &World,
        known: &Known,
        (ask, page): (Ask, Page),
        request: RequestId,
    ) -> respond::Rendered {
        let started = self.clock.elapsed();
        let ask = Arc::new(ask);
        let opening = Opening {
            request,
            identity: known.principal.identity(),
            ask: &ask,
            source: known.source,
            token: &known.token,
            dialect: known.dialect,
            actors: &known.actors,
            marked: &[],
        };
        let opened = tracing::info_span!(target: STATION, "audit.open");
        let entry = match opened.in_scope(|| self.journal.open(&opening)) {
            Ok(entry) => entry,
            Err(error) => return self.unaudited(error, known.dialect, request),
        };
        let concluded = self.exchange(world, known, (&ask, &page), request).await;
        let closing = concluded.conclusion(&ask);
        let closed = tracing::info_span!(target: STATION, "audit.close");
        let receipt = self.journal.close(entry, &closing).instrument(closed).await;
        if let (Err(_), Ok(granted)) = (&receipt, &concluded.outcome) {
            // Unaudited means revoked.
            self.condemn(granted).await;
        }
        let _responding = tracing::info_span!(target: STATION, "respond").entered();
        let answer: respond::Rendered = match receipt {
            Ok(receipt) => {
                let way = (request, known.dialect, world.authenticator.own_issuer());
                respond::render(&ask, &concluded.outcome, way, &receipt)
            }
            Err(error) => self.unaudited(error, known.dialect, request),
        };
        let less = |room: usize| Some(room.saturating_sub(answer.len()));
        let _ = known.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.measure(&ask, &concluded.outcome, started);
        answer
    }

    /// Decides and, if permitted, delivers.
    async fn exchange(
        &self,
        world: &World,
        known: &Known,
        (ask, page): (&Arc<Ask>, &Page),
        request: RequestId,
    ) -> Concluded {
        if let Errand::Withdraw = known.errand {
            return Concluded { outcome: self.withdraw(world, known).await, permit: None };
        }
        // Whoever is behind it is put in by the stations that act in a caller's name.
        let context = symbolon_host::CallContext {
            request_id: request,
            deadline: known.deadline,
            on_behalf: None,
        };
        let (delivered, permit) = match ask.resource {
            Resource::Lease(_) | Resource::Leases => {
                Box::pin(self.of_leases(world, known, (ask, page), &context)).await
            }
            Resource::Secret { .. }
            | Resource::Folder { .. }
            | Resource::Role { .. }
            | Resource::Target(_)
            | Resource::Gateway => match self.decide(world, known, ask) {
                Ok(permit) if known.room.load(Ordering::Relaxed) == 0 => {
                    (Err(LineError::NoRoom), Some(permit))
                }
                Ok(permit) => {
                    let delivered = self.deliver(world, known, (&permit, page), &context).await;
                    (delivered, Some(permit))
                }
                Err(error) => (Err(error), None),
            },
        };
        let outcome = match (delivered, world.authenticator.admits(&known.principal)) {
            // A lock or an epoch may have come into force meanwhile: what it stands against is not
            // answered, and what was issued does not stay.
            (Ok(granted), Err(barred)) => {
                self.condemn(&granted).await;
                Err(barred.into())
            }
            (delivered, _) => delivered,
        };
        Concluded { outcome, permit }
    }

    /// Has what is permitted delivered.
    async fn deliver(
        &self,
        world: &World,
        known: &Known,
        (permit, page): (&Permit, &Page),
        context: &symbolon_host::CallContext,
    ) -> Result<Granted, LineError> {
        let span = tracing::info_span!(target: STATION, "dispatch");
        if permit.ask().action == Action::Issue {
            return Box::pin(self.issue(world, permit, context).instrument(span)).await;
        }
        if known.dialect == Dialect::Oauth {
            let delivering = self.deliver_token(world, known, permit, context);
            return Box::pin(delivering.instrument(span)).await;
        }
        let key = self.keyring.code_mac_key();
        let page = continuation::open(&key, permit, page)?;
        let dispatched = world.dispatcher.dispatch(permit, &page, context).instrument(span).await;
        let granted = field::narrow(permit, dispatched?)?;
        Ok(continuation::seal(&key, permit, granted))
    }

    /// Ends what was issued and cannot be answered for.
    async fn condemn(&self, granted: &Granted) {
        match &granted.delivery {
            Delivery::Credential(credential) => self.leases.condemn(credential.lease.id).await,
            Delivery::Token(token) => self.leases.condemn(token.lease.id).await,
            // An access token that nobody receives is worth nothing to anybody.
            Delivery::Access(_)
            | Delivery::Secret(_)
            | Delivery::Listing(_)
            | Delivery::Lease(_)
            | Delivery::Leases(_)
            | Delivery::Inspection(_)
            | Delivery::Withdrawn => {}
        }
    }

    /// Whether the principal may act at all, and whether it may do this.
    fn decide(&self, world: &World, known: &Known, ask: &Arc<Ask>) -> Result<Permit, LineError> {
        let _span = tracing::info_span!(target: STATION, "decide").entered();
        world.authenticator.admits(&known.principal)?;
        if let Errand::Exchange { actor: Some(actor), .. } = &known.errand {
            world.authenticator.admits(actor)?;
        }
        let started = self.clock.elapsed();
        let now = Circumstances { now: self.clock.now(), source_address: known.source };
        let decided = world.bundle.decide(known.principal.clone(), ask.clone(), &now);
        let (outcome, reason) = match &decided {
            Ok(_) => ("allow", "permitted"),
            Err(denial) => ("deny", denial.code()),
        };
        self.metrics.decided(outcome, reason, self.clock.elapsed().saturating_sub(started));
        Ok(decided?)
    }

    /// Several asks, a few side by side; each has its own audit entry.
    async fn batch(&self, world: &World, known: &Known, asks: Vec<Ask>) -> Response {
        let answers = asks.into_iter().map(|ask| async {
            let request = self.ids.request(self.clock.now());
            Box::pin(self.answer(world, known, (ask, Page::default()), request)).await
        });
        let answers: Vec<_> =
            futures_util::stream::iter(answers).buffered(SIDE_BY_SIDE).collect().await;
        respond::batch(&answers, self.ids.request(self.clock.now()))
    }

    /// What cannot be put on record is not answered.
    fn unaudited(
        &self,
        error: crate::audit::JournalError,
        dialect: Dialect,
        request: RequestId,
    ) -> respond::Rendered {
        tracing::error!(%request, code = error.code(), %error, "not answered: not on record");
        respond::unanswered(error.kind(), dialect, request)
    }

    fn measure(&self, ask: &Ask, outcome: &Result<Granted, LineError>, started: Duration) {
        let result = match outcome {
            Ok(_) => "ok",
            Err(error) => error.kind().public().code,
        };
        let took = self.clock.elapsed().saturating_sub(started);
        if ask.action == Action::Exchange {
            let error = outcome.as_ref().err().map(|error| error.kind().public().code);
            self.metrics.exchanged(error, took);
        }
        self.metrics
            .answered(crate::telemetry::Outcome { action: ask.action.as_str(), result }, took);
    }

    /// Whether requests can be answered now: whether the audit log takes entries.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.journal.health() == Health::Sound
    }

    /// The key under which sensitive values stand in the audit log.
    #[must_use]
    pub fn audit_key(&self) -> AuditKey {
        let key = self.keyring.current_audit_key();
        AuditKey::over(key.id(), key.hmac())
    }

    fn public(&self, world: &World, public: Public) -> Response {
        match public {
            Public::Health => respond::health(http::StatusCode::OK, "ok\n"),
            Public::Ready if self.is_ready() => respond::health(http::StatusCode::OK, "ready\n"),
            Public::Ready => {
                respond::health(http::StatusCode::SERVICE_UNAVAILABLE, "the audit log refuses\n")
            }
            Public::Configuration
            | Public::Keys
            | Public::AssertionConfiguration
            | Public::AssertionKeys => {
                respond::document(world.documents.get(public), crate::issuer::MAX_AGE)
            }
        }
    }
}

impl Concluded {
    fn conclusion<'a>(&'a self, ask: &'a Ask) -> Conclusion<'a> {
        let permit = self.permit.as_ref();
        let (outcome, code) = match &self.outcome {
            Ok(_) => (Outcome::Allow, "ok"),
            Err(
                error @ (LineError::Barred(_)
                | LineError::Denied(_)
                | LineError::Lease(LedgerError::Unknown)),
            ) => (Outcome::Deny, error.code()),
            Err(error) if error.is_denial_elsewhere() => (Outcome::Deny, error.code()),
            Err(
                error @ (LineError::NoRoom
                | LineError::Undelivered(_)
                | LineError::Lease(_)
                | LineError::Withdrawal(_)),
            ) => (Outcome::Error, error.code()),
        };
        let policies = match (&self.outcome, permit) {
            (Err(LineError::Denied(denial)), _) => denial.policies(),
            (_, Some(permit)) => permit.policies(),
            (_, None) => &[],
        };
        Conclusion {
            error: self.outcome.as_ref().err().map(LineError::kind),
            egress: self.outcome.as_ref().err().and_then(LineError::egress),
            policies,
            bundle: permit.map(|permit| permit.bundle_digest().as_ref()),
            backend: permit.and(ask.resource.backend()),
            plugin: self.outcome.as_ref().ok().and_then(Granted::plugin),
            lease: self.outcome.as_ref().ok().and_then(Granted::lease),
            carrier: self.outcome.as_ref().ok().and_then(Granted::carrier),
            version: self.outcome.as_ref().ok().and_then(Granted::version),
            ..Conclusion::bare(outcome, code)
        }
    }
}

fn address(peer: Peer) -> Option<IpAddr> {
    match peer {
        Peer::Address(address) => Some(address),
        Peer::User(_) => None,
    }
}
