//! The OAuth face on the line: tokens of targets, access tokens of our own, and what becomes of them.
//!
//! A target's token walks the way of every credential: reserved, asked for, active, answered. It cannot
//! be revoked, so its lease ends with it and says so. An access token of our own is not issued by
//! anybody: it is signed after the decision, and there is nothing to end but the token itself.
//!
//! INVARIANT: a lease of a token ends when the token does. One that is good for longer than is permitted,
//! since its cloud gives none so short, is not handed on.
//!
//! INVARIANT: no component is asked to exchange without a reservation, and what it gave is handed on
//! only after its lease is active. A caller's token is never kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::ask::Resource;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::TargetName;
use symbolon_core::lease::{self, Cause, Recovery, Scope as Leases};
use symbolon_core::policy::Permit;
use symbolon_core::principal::{Actor, Principal};
use symbolon_core::scope::Scope;
use symbolon_core::secret::Secret;
use symbolon_core::token::{Compact, Grant, MAX_TOKEN_BYTES, Shown, delegate, draw};
use symbolon_host::answer::{ForeignToken, TokenKind};
use symbolon_host::{AnswerFault, CallContext, CallError, Generation};

use super::ask::{AskError, Asked, Exchange, Presented, TokenType};
use super::authenticate::{Proof, Unproven};
use super::credentials::maker;
use super::dispatch::{Delivery, Granted, Undelivered, log, on_behalf};
use super::strangers::Stranger;
use super::{Known, Line, LineError, World};
use crate::issuer::CallerTarget;
use crate::keyring::{AssertionLifetime, random_id};
use crate::kill::{self, Point};
use crate::lease::{Agreed, LeaseView, LedgerError, Limits, Reservation};

/// The manifest's word for the kind of a target's tokens.
const TOKEN_KIND: &str = "token-kind";
/// And for how many seconds they last, whatever is asked for.
const TOKEN_LIFE: &str = "token-life";

/// What the OAuth face asks for beside an [`Ask`](symbolon_core::ask::Ask).
#[derive(Debug)]
pub(super) enum Errand {
    /// Nothing: the request came by another face.
    None,
    /// A token for the one that was shown.
    Exchange {
        /// Of which type.
        wanted: Option<TokenType>,
        /// Who acts, where somebody has proven it.
        actor: Option<Arc<Principal>>,
    },
    /// What this token is.
    Introspect(Presented),
    /// The end of the token that was shown.
    Withdraw,
}

/// An access token of our own.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is good for.
    pub scope: Scope,
    /// As what it is issued.
    pub issued: TokenType,
}

/// A token of a target, and its lease.
#[derive(Debug)]
pub struct TargetToken {
    /// The lease.
    pub lease: LeaseView,
    /// The token.
    pub given: Given,
    /// The scopes that were asked for at the target.
    pub scopes: Vec<String>,
}

/// What a caller gets of a target.
#[derive(Debug)]
pub enum Given {
    /// The token that the target gave.
    Token(ForeignToken),
    /// The assertion that it would have been shown.
    Assertion(Secret),
}

/// What a token is, to who may ask.
#[derive(Debug)]
pub struct Inspection(pub Option<Arc<Principal>>);

impl Line {
    /// What is asked for beside the ask, and who acts in it. What fails here is a stranger's.
    pub(super) async fn errand(
        &self,
        world: &World,
        asked: &Asked,
        principal: &Principal,
        source: Option<IpAddr>,
    ) -> Result<(Errand, Vec<Actor>), Stranger> {
        let session = principal.proof().session.as_ref();
        let actors = session.map(|session| session.actors.clone()).unwrap_or_default();
        match asked {
            Asked::One(..) | Asked::Batch(_) => Ok((Errand::None, actors)),
            Asked::Introspect(token) => Ok((Errand::Introspect(token.clone()), actors)),
            Asked::Withdraw(_) if session.is_none() => Err(AskError::Foreign.into()),
            Asked::Withdraw(_) => Ok((Errand::Withdraw, actors)),
            Asked::Exchange(exchange) => {
                fits(exchange, principal)?;
                self.delegated(world, exchange, principal, source).await
            }
        }
    }

    async fn delegated(
        &self,
        world: &World,
        exchange: &Exchange,
        principal: &Principal,
        source: Option<IpAddr>,
    ) -> Result<(Errand, Vec<Actor>), Stranger> {
        let (text, kind) = &exchange.subject;
        let compact = match kind {
            // A signed request has no claims: nobody acts in it, and it names nobody who may.
            TokenType::AwsRequest => None,
            TokenType::AccessToken
            | TokenType::IdToken
            | TokenType::Jwt
            | TokenType::AwsCredentials => Some(parsed(text)?),
        };
        let subject = compact.as_ref().map(|compact| Shown::new(compact, principal));
        let subject = subject.transpose().map_err(Unproven::from)?;
        let wanted = exchange.wanted;
        let Some((text, kind)) = &exchange.actor else {
            let actors = delegate(subject, None).map_err(Unproven::from)?;
            return Ok((Errand::Exchange { wanted, actor: None }, actors));
        };
        let actor = self.prove(world, Ok(Proof::Bearer(text.as_str())), source).await?;
        of_type(*kind, &actor)?;
        let compact = parsed(text)?;
        let shown = Shown::new(&compact, &actor).map_err(Unproven::from)?;
        let actors = delegate(subject, Some(shown)).map_err(Unproven::from)?;
        Ok((Errand::Exchange { wanted, actor: Some(actor) }, actors))
    }

    /// Delivers what is permitted at the OAuth face.
    pub(super) async fn deliver_token(
        &self,
        world: &World,
        known: &Known,
        permit: &Permit,
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        match (&known.errand, &permit.ask().resource) {
            (Errand::Exchange { wanted, .. }, Resource::Target(target)) => {
                let target = find(world, target)?;
                if *wanted == Some(TokenType::Jwt) && target.settings().is_delivered {
                    return self.hand_out(world, &target, permit, context).await;
                }
                Box::pin(self.exchange_at(world, &target, (permit, *wanted), context)).await
            }
            (Errand::Exchange { wanted, .. }, Resource::Gateway) => {
                self.mint(world, known, permit, *wanted)
            }
            (Errand::Introspect(token), Resource::Gateway) => {
                let found = world.authenticator.inspect(token.as_str(), known.source).await;
                let found = found.map_err(Undelivered::Unproven)?;
                Ok(Granted::of_ledger(Delivery::Inspection(Inspection(found))))
            }
            (
                Errand::None | Errand::Withdraw | Errand::Introspect(_) | Errand::Exchange { .. },
                _,
            ) => Err(Undelivered::Unsupported.into()),
        }
    }

    /// Signs an access token of our own: for the same principal, for no longer and for no more.
    fn mint(
        &self,
        world: &World,
        known: &Known,
        permit: &Permit,
        wanted: Option<TokenType>,
    ) -> Result<Granted, LineError> {
        let issued = match wanted {
            None | Some(TokenType::AccessToken) => TokenType::AccessToken,
            Some(TokenType::Jwt) => TokenType::Jwt,
            Some(TokenType::IdToken | TokenType::AwsCredentials | TokenType::AwsRequest) => {
                return Err(Undelivered::TokenType.into());
            }
        };
        let principal = permit.principal();
        let held = principal.proof().scope().unwrap_or(Scope::EVERYTHING);
        let scope = match permit.ask().scopes.as_slice() {
            [] => Some(held),
            wanted => Scope::of(wanted.iter().map(String::as_str)),
        };
        let scope = scope.filter(|scope| scope.is_within(held)).ok_or(Undelivered::Scope)?;
        let now = self.clock.now();
        let grant = Grant {
            id: random_id().map_err(Undelivered::Sign)?,
            issued_at: now,
            ttl: world.access_token.min(permit.ttl_ceiling()),
            scope,
            actors: known.actors.clone(),
        };
        let drawn = draw(world.authenticator.own_issuer(), principal, &grant);
        let drawn = drawn.ok_or(Undelivered::Ended)?;
        let token = self.keyring.access_signer().sign(&drawn.claims);
        let token = token.map_err(Undelivered::Sign)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Undelivered::TooLarge.into());
        }
        let lasts = drawn.expires_at.since(Timestamp::from_seconds(now.seconds()));
        let access = AccessToken { token, lasts, scope, issued };
        Ok(Granted::of_ledger(Delivery::Access(access)))
    }

    /// Exchanges at a target: reserve, call, activate.
    async fn exchange_at(
        &self,
        world: &World,
        target: &CallerTarget,
        (permit, wanted): (&Permit, Option<TokenType>),
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        let generation = exchanger(target)?;
        let is_aws = gives_aws(&generation);
        match (wanted, is_aws) {
            (None, _) | (Some(TokenType::AccessToken), false) => {}
            (Some(TokenType::AwsCredentials), true) => {}
            (Some(_), _) => return Err(Undelivered::TokenType.into()),
        }
        let settings = target.settings();
        let ttl = settings.ttl.min(permit.ttl_ceiling());
        if least_life(&generation) > ttl {
            return Err(outlasts(target, context));
        }
        let scopes = target.scopes(&permit.ask().scopes).map_err(Undelivered::Caller)?;
        let asked = (scopes.clone(), ttl);
        let now = self.clock.now();
        let request = target.request(permit.principal(), asked, context.request_id, now);
        let request = request.map_err(Undelivered::Caller)?;
        let agreed = self.agreed(world, (target, &generation), ttl, context);
        kill::reach(Point::BeforeReserve);
        let reservation = self.leases.reserve(permit, &agreed).await?;
        kill::reach(Point::AfterReserve);
        let started = self.clock.elapsed();
        let call = on_behalf(permit, context);
        let exchanged = Box::pin(generation.exchange(&call, &request)).await;
        kill::reach(Point::AfterIssue);
        let exchanged = exchanged.and_then(|token| match (&token.kind, is_aws) {
            (TokenKind::Aws, true) | (TokenKind::Bearer | TokenKind::Header(_), false) => Ok(token),
            (TokenKind::Aws | TokenKind::Bearer | TokenKind::Header(_), _) => {
                Err(AnswerFault::Token.into())
            }
        });
        let took = self.clock.elapsed().saturating_sub(started);
        let code = exchanged.as_ref().err().map(CallError::code);
        self.metrics.called(settings.name.as_str(), "exchange", code, took);
        let token = match exchanged {
            Ok(token) => token,
            Err(error) => return Err(self.not_exchanged(reservation, error, context).await),
        };
        if token.outlasts {
            self.leases.fail(reservation, true).await;
            return Err(outlasts(target, context));
        }
        let lease = self.keep(reservation, &token.handle, token.ends_at).await?;
        kill::reach(Point::AfterActivate);
        let token = TargetToken { lease, given: Given::Token(token), scopes };
        Ok(Granted::new(Delivery::Token(Box::new(token)), &generation))
    }

    /// Hands the assertion itself to a caller whose library makes the exchange. Nobody is asked, but
    /// what it proves lasts: it has a lease like every token of a target.
    async fn hand_out(
        &self,
        world: &World,
        target: &CallerTarget,
        permit: &Permit,
        context: &CallContext,
    ) -> Result<Granted, LineError> {
        if !permit.ask().scopes.is_empty() {
            return Err(Undelivered::Scope.into());
        }
        let wished = target.settings().ttl.min(permit.ttl_ceiling());
        let lifetime = AssertionLifetime::delivered(wished);
        let now = Timestamp::from_seconds(self.clock.now().seconds());
        let assertion = target.delivered(permit.principal(), lifetime, context.request_id, now);
        let assertion = assertion.map_err(Undelivered::Caller)?;
        if assertion.len() > MAX_TOKEN_BYTES {
            return Err(Undelivered::TooLarge.into());
        }
        let generation = exchanger(target)?;
        let agreed = self.agreed(world, (target, &generation), lifetime.duration(), context);
        let reservation = self.leases.reserve(permit, &agreed).await?;
        let ends_at = now.plus(lifetime.duration());
        let lease = self.keep(reservation, &Secret::new(Vec::new()), ends_at).await?;
        let given = Given::Assertion(assertion);
        let token = TargetToken { lease, given, scopes: Vec::new() };
        Ok(Granted::of_ledger(Delivery::Token(Box::new(token))))
    }

    fn agreed(
        &self,
        world: &World,
        (target, generation): (&CallerTarget, &Generation),
        ttl: Duration,
        context: &CallContext,
    ) -> Agreed {
        // A token whose answer was lost cannot be found: it has ended when it must have.
        let within_millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Agreed {
            maker: maker(generation),
            recovery: Recovery::Expires { within_millis },
            ttl,
            issue_within: context.deadline.saturating_sub(self.clock.elapsed()),
            limits: Limits {
                principal: Some(world.roles.per_principal),
                role: None,
                backend: target.settings().max_leases,
            },
        }
    }

    async fn not_exchanged(
        &self,
        reservation: Reservation,
        error: CallError,
        context: &CallContext,
    ) -> LineError {
        let target = reservation.terms().backend.clone();
        self.leases.fail(reservation, error.may_have_acted()).await;
        let error = Undelivered::Call(error);
        log(context, target.as_str(), &error);
        error.into()
    }

    async fn keep(
        &self,
        reservation: Reservation,
        handle: &Secret,
        expires_at: Timestamp,
    ) -> Result<LeaseView, LineError> {
        let handle = self.handles.wrap(reservation.id(), handle);
        let issued = lease::Issued {
            handle: handle.map_err(LedgerError::from)?,
            // A time asked for in full begins when the target is asked, which is after the permit.
            expires_at: expires_at.min(reservation.terms().ends_by),
            renewable: false,
            revocable: false,
        };
        Ok(self.leases.activate(reservation, issued).await?)
    }

    /// Ends the token that was shown, and the leases that hang on it, in one durable step.
    pub(super) async fn withdraw(
        &self,
        world: &World,
        known: &Known,
    ) -> Result<Granted, LineError> {
        let family = known.principal.proof().family();
        let draft = self.leases.draft(Leases::Token { digest: family }, Cause::Cascade);
        let write = draft.write().map_err(LedgerError::from)?;
        let withdrawn = world.authenticator.withdraw(family, write).await;
        if withdrawn.as_ref().err().is_none_or(crate::barriers::WithdrawnError::leaves_doubt) {
            self.leases.put_in_force(draft);
        }
        withdrawn?;
        Ok(Granted::of_ledger(Delivery::Withdrawn))
    }
}

fn parsed(token: &Presented) -> Result<Compact<'_>, Unproven> {
    Ok(Compact::parse(token.as_str(), MAX_TOKEN_BYTES)?)
}

/// Whether who asks is who it says, and shows what it says.
fn fits(exchange: &Exchange, principal: &Principal) -> Result<(), AskError> {
    of_type(exchange.subject.1, principal)?;
    let named = exchange.client.as_deref();
    let is_it = named.is_none_or(|client| client == principal.identity().to_string());
    if is_it { Ok(()) } else { Err(AskError::Client) }
}

/// An access token of our own is no ID token.
fn of_type(kind: TokenType, principal: &Principal) -> Result<(), AskError> {
    let is_own = principal.proof().session.is_some();
    if is_own && kind == TokenType::IdToken { Err(AskError::TokenType) } else { Ok(()) }
}

fn find(world: &World, name: &TargetName) -> Result<Arc<CallerTarget>, Undelivered> {
    match world.targets.get(name) {
        Some(Ok(target)) => Ok(target.clone()),
        Some(Err(_)) => Err(Undelivered::Degraded),
        None => Err(Undelivered::Unsupported),
    }
}

/// The component that exchanges now.
fn exchanger(target: &CallerTarget) -> Result<Arc<Generation>, Undelivered> {
    target.seat().generation().map_err(|_| Undelivered::Degraded)
}

fn outlasts(target: &CallerTarget, context: &CallContext) -> LineError {
    let error = Undelivered::Outlasts;
    log(context, target.settings().name.as_str(), &error);
    error.into()
}

/// How long the target's tokens last at least, by what its component says; for ever, if that is no number.
/// Known before anything is asked.
fn least_life(generation: &Generation) -> Duration {
    let metadata = &generation.manifest().metadata;
    let stated = metadata.get(TOKEN_LIFE).map(|seconds| seconds.parse());
    stated.map_or(Duration::ZERO, |seconds| seconds.map_or(Duration::MAX, Duration::from_secs))
}

/// Whether the target's component says that it gives keys of AWS. Known before anything is asked.
fn gives_aws(generation: &Generation) -> bool {
    let metadata = &generation.manifest().metadata;
    metadata.get(TOKEN_KIND).is_some_and(|kind| kind == "aws")
}
