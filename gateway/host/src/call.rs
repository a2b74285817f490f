//! The one way into a guest.
//!
//! Every call, of whatever interface, walks the same path: breaker, turn by the backend's pace, place
//! in the queue, fresh store with its limits, instance, typed function, deadline. What differs is in `operations`.
//!
//! INVARIANT: a store serves one attempt. After an answer, a trap, a timeout or a cancelled caller
//! it is dropped, and its memory is reset before another instance gets it.
//!
//! A call is safe to cancel at any point for the host; the backend may have acted, as after a
//! timeout.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Clock;
use symbolon_core::id::RequestId;
use symbolon_core::policy::OnBehalf;
use symbolon_core::secret::Secret;
use tokio::time::Instant;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

use crate::bindings::types;
use crate::breaker::{Breaker, Health};
use crate::conduct::Conduct;
use crate::egress::InCallersName;
use crate::engine::Runtime;
use crate::facade;
use crate::fault::{AnswerFault, CallError, Fault, FaultKind, Trap};
use crate::limits::{Exceeded, Limits, MAX_HANDLES};
use crate::manifest::Interface;
use crate::pace::{PATIENCE, Pace};
use crate::places::Places;
use crate::repeat::Attempt;
use crate::state::{Shared, State};

/// What comes with every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallContext {
    /// The request that causes the call.
    pub request_id: RequestId,
    /// When the caller gives up, on [`Clock::elapsed`]. The backend's own limit may be earlier.
    pub deadline: Duration,
    /// Who is behind it: nobody, if the gateway calls for itself. The host does not look at it; it
    /// passes it to sources of credentials.
    pub on_behalf: Option<OnBehalf>,
}

/// The functions of the contract that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `check.validate`
    Validate,
    /// `check.probe`
    Probe,
    /// `secrets.read`
    Read,
    /// `secrets.read-many`
    ReadMany,
    /// `secrets.list`
    List,
    /// `credentials.issue`
    Issue,
    /// `credentials.renew`
    Renew,
    /// `credentials.revoke`
    Revoke,
    /// `credentials.verify`
    Verify,
    /// `credentials.list-issued`
    ListIssued,
    /// `exchange.exchange`
    Exchange,
    /// `rotate.rotate`
    Rotate,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 12] = [
        Self::Validate,
        Self::Probe,
        Self::Read,
        Self::ReadMany,
        Self::List,
        Self::Issue,
        Self::Renew,
        Self::Revoke,
        Self::Verify,
        Self::ListIssued,
        Self::Exchange,
        Self::Rotate,
    ];

    /// Interface and function, as in metrics: `secrets.read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validate => "check.validate",
            Self::Probe => "check.probe",
            Self::Read => "secrets.read",
            Self::ReadMany => "secrets.read-many",
            Self::List => "secrets.list",
            Self::Issue => "credentials.issue",
            Self::Renew => "credentials.renew",
            Self::Revoke => "credentials.revoke",
            Self::Verify => "credentials.verify",
            Self::ListIssued => "credentials.list-issued",
            Self::Exchange => "exchange.exchange",
            Self::Rotate => "rotate.rotate",
        }
    }

    /// The interface that has the function.
    #[must_use]
    pub const fn interface(self) -> Interface {
        match self {
            Self::Validate | Self::Probe => Interface::Check,
            Self::Read | Self::ReadMany | Self::List => Interface::Secrets,
            Self::Issue | Self::Renew | Self::Revoke | Self::Verify | Self::ListIssued => {
                Interface::Credentials
            }
            Self::Exchange => Interface::Exchange,
            Self::Rotate => Interface::Rotate,
        }
    }

    /// Whether asking twice changes no more than asking once, so that the host may ask again.
    /// What issues is not among them, though the contract asks plugins to be idempotent: the host
    /// does not rely on it.
    pub(crate) const fn only_reads(self) -> bool {
        match self {
            Self::Validate
            | Self::Probe
            | Self::Read
            | Self::ReadMany
            | Self::List
            | Self::Verify
            | Self::ListIssued => true,
            Self::Issue | Self::Renew | Self::Revoke | Self::Exchange | Self::Rotate => false,
        }
    }
}

/// Where the functions are in a component: looked up once, by name, at admission.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports(Vec<(Operation, ComponentExportIndex)>);

impl Exports {
    pub(crate) fn of(pre: &InstancePre<State>) -> Self {
        let component = pre.component();
        let find = |operation: Operation| {
            let instance = component.get_export_index(None, operation.interface().export())?;
            let (_, function) = operation.as_str().split_once('.')?;
            component.get_export_index(Some(&instance), function).map(|index| (operation, index))
        };
        Self(Operation::ALL.into_iter().filter_map(find).collect())
    }

    fn find(&self, operation: Operation) -> Result<&ComponentExportIndex, CallError> {
        let found = self.0.iter().find(|(of, _)| *of == operation);
        found.map(|(_, index)| index).ok_or(CallError::Unsupported(operation))
    }
}

/// A call that has less time left than this, after it waited for its turn, is not begun.
const LEAST_TIME: Duration = Duration::from_millis(20);

/// Everything that calls of one backend share.
pub(crate) struct Caller {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) breaker: Breaker,
    pub(crate) places: Places,
    pub(crate) pace: Pace,
    pub(crate) conduct: Conduct,
}

/// One call: what, for whom, and which secrets go in with it.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) context: &'a CallContext,
    pub(crate) secrets: &'a [&'a Secret],
    /// What statements may name, and the guest never sees.
    pub(crate) materials: &'a [(String, Secret)],
}

impl<'a> Call<'a> {
    /// A call that is told nothing secret.
    pub(crate) const fn new(operation: Operation, context: &'a CallContext) -> Self {
        Self { operation, context, secrets: &[], materials: &[] }
    }
}

impl Caller {
    /// Makes a call, checks its answer, and counts how it went. `validate` is not counted: it asks no
    /// backend, and is made before anything depends on it.
    pub(crate) async fn checked<P, T, U>(
        &self,
        call: Call<'_>,
        params: P,
        check: &(impl Fn(T) -> Result<U, AnswerFault> + Sync),
    ) -> Result<U, CallError>
    where
        P: ComponentNamedList + Lower + Copy + Send + Sync,
        T: Lift + Send + Sync + 'static,
        (Result<T, types::Error>,): ComponentNamedList + Lift,
    {
        let answer = self.call(call, params).await;
        let outcome = answer.and_then(|answer| check(answer).map_err(CallError::from));
        if call.operation != Operation::Validate {
            self.conduct.count(outcome.as_ref().err(), self.clock.elapsed());
        }
        outcome
    }

    /// Makes a call, and once more if it only reads and the backend was not there, or did not take a
    /// credential for which there is another now. An exchange is tried three times if it is refused
    /// for a moment.
    async fn call<P, T>(&self, call: Call<'_>, params: P) -> Result<T, CallError>
    where
        P: ComponentNamedList + Lower + Copy + Send + Sync,
        T: Lift + Send + Sync + 'static,
        (Result<T, types::Error>,): ComponentNamedList + Lift,
    {
        self.exports.find(call.operation)?;
        let pass = self.breaker.pass(self.clock.elapsed()).map_err(CallError::Open)?;
        self.turn(call, PATIENCE).await?;
        let _place = self.places.take(self.remaining(call.context)?).await?;
        // Who waited the time away says nothing about the backend: it must not open the breaker.
        if self.remaining(call.context)? < LEAST_TIME {
            return Err(CallError::Busy);
        }
        let mut attempt = self.attempt(call, params).await;
        let mut tried: u32 = 1;
        while let Some(wait) = attempt.repeated_after(call.operation, tried) {
            if self.rest(call, wait).await.is_err() {
                break;
            }
            attempt = self.attempt(call, params).await;
            tried = tried.saturating_add(1);
        }
        let outcome = attempt.into_outcome();
        pass.settle(health(&outcome), self.clock.elapsed());
        outcome
    }

    /// Waits for a turn by the backend's pace. `validate` asks no backend and needs none.
    async fn turn(&self, call: Call<'_>, patience: Duration) -> Result<(), CallError> {
        if call.operation == Operation::Validate {
            return Ok(());
        }
        let patience = patience.min(self.remaining(call.context)?);
        let wait = self.pace.turn(self.clock.elapsed(), patience)?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Waits, and for nothing that would end too late or has no turn then.
    async fn rest(&self, call: Call<'_>, wait: Duration) -> Result<(), CallError> {
        if self.remaining(call.context)? < wait.saturating_add(LEAST_TIME) {
            return Err(CallError::Busy);
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.turn(call, Duration::ZERO).await
    }

    async fn attempt<P, T>(&self, call: Call<'_>, params: P) -> Attempt<T>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        (Result<T, types::Error>,): ComponentNamedList + Lift,
    {
        let mut renewed = false;
        let outcome = self.once(call, params, &mut renewed).await;
        if let Some(wait) = outcome.as_ref().err().and_then(asks_to_wait) {
            self.pace.pause(self.clock.elapsed(), wait);
        }
        Attempt::new(outcome, renewed)
    }

    async fn once<P, T>(
        &self,
        call: Call<'_>,
        params: P,
        renewed: &mut bool,
    ) -> Result<T, CallError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
        (Result<T, types::Error>,): ComponentNamedList + Lift,
    {
        let index = self.exports.find(call.operation)?;
        let until = Instant::now() + self.remaining(call.context)?;
        let (shared, context) = (Arc::clone(&self.shared), call.context.clone());
        let state = State::new(shared, context, until, call.secrets).with(call.materials);
        let mut store = store(&self.runtime, &self.shared.limits, state);
        let run = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let function =
                instance.get_typed_func::<P, (Result<T, types::Error>,)>(&mut store, index)?;
            function.call_async(&mut store, params).await
        };
        let outcome = tokio::time::timeout_at(until, run).await;
        let reached = store.data().reached();
        match outcome {
            Err(_) => Err(CallError::Timeout { reached, asked: store.data().asked() }),
            Ok(Err(error)) => Err(stopped(&error, reached)),
            Ok(Ok((Err(fault),))) => {
                let mut fault = facade::fault(fault, call.secrets);
                fault.request_sent |= reached;
                fault.egress = store.data().egress_failure();
                // Only where the guest says so: bodies are not read here, and AWS says it with 400.
                *renewed = fault.kind == FaultKind::Unauthenticated && store.data().renew();
                Err(in_callers_name(fault, store.data().in_callers_name()))
            }
            Ok(Ok((Ok(answer),))) => {
                lacks(store.data().in_callers_name(), reached).map(|()| answer)
            }
        }
    }

    /// What is left of the call's time. A call that begins without any was never made, and says
    /// nothing about the component.
    pub(crate) fn remaining(&self, context: &CallContext) -> Result<Duration, CallError> {
        let left = context.deadline.saturating_sub(self.clock.elapsed());
        if left.is_zero() { Err(CallError::Busy) } else { Ok(left.min(self.shared.limits.wall)) }
    }
}

/// What a plugin says of a call that had the credential of a caller, or should have had.
fn in_callers_name(fault: Fault, name: InCallersName) -> CallError {
    if let Err(lacking) = lacks(name, fault.request_sent) {
        return lacking;
    }
    let is_callers = name == InCallersName::Yes && fault.kind == FaultKind::PermissionDenied;
    let fault = Box::new(fault);
    if is_callers { CallError::CallerForbidden(fault) } else { CallError::Plugin(fault) }
}

/// A call that did not get a caller's credential where it wanted one has failed, whatever the guest
/// makes of it.
fn lacks(name: InCallersName, reached: bool) -> Result<(), CallError> {
    match name {
        InCallersName::No | InCallersName::Yes => Ok(()),
        InCallersName::Nobody => Err(CallError::NoCaller { reached }),
        InCallersName::Refused => Err(CallError::CallerRefused { reached }),
    }
}

/// The pause that a backend asks everybody for: one that was asked itself, and says that it is asked
/// too often. One that is merely not ready for this question says so as `unavailable`.
fn asks_to_wait(error: &CallError) -> Option<Duration> {
    let asked = |fault: &&Fault| fault.kind == FaultKind::RateLimited && fault.request_sent;
    error.fault().filter(asked)?.retry_after
}

/// A fresh store with its limits.
pub(crate) fn store(runtime: &Runtime, limits: &Limits, state: State) -> Store<State> {
    let mut store = Store::new(runtime.engine(), state);
    store.limiter(|state| &mut state.budget);
    store.set_hostcall_fuel(limits.crossing_bytes);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    let mut ticks = runtime.ticks(limits.cpu);
    store.epoch_deadline_callback(move |_| match ticks.checked_sub(1) {
        Some(left) => {
            ticks = left;
            // Others run between any two epochs of this guest.
            Ok(UpdateDeadline::Yield(1))
        }
        None => Err(Exceeded::Cpu.into()),
    });
    store
}

/// Why a guest was stopped.
pub(crate) fn stopped(error: &wasmtime::Error, reached: bool) -> CallError {
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Busy;
    }
    let trap = if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        match exceeded {
            Exceeded::Cpu => Trap::Cpu,
            Exceeded::Memory => Trap::Memory,
            Exceeded::Table => Trap::Table,
        }
    } else if error.is::<wasmtime_wasi::I32Exit>() {
        Trap::Exit
    } else {
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::StackOverflow) => Trap::Stack,
            Some(trap) => Trap::Other(trap.to_string()),
            None => other(error),
        }
    };
    CallError::Trap { trap, reached }
}

/// wasmtime has no type for these. Should a text change, the trap is still a trap, under a code that
/// says less.
fn other(error: &wasmtime::Error) -> Trap {
    let text = facade::escape(&error.root_cause().to_string(), 512);
    let says = |known: &[&str]| known.iter().any(|known| text.contains(known));
    if says(&["fuel allocated for hostcalls", "exceeds limit"]) {
        Trap::Crossing
    } else if says(&["handle limit exceeded", "resource table has no free keys"]) {
        Trap::Handles
    } else {
        Trap::Other(text)
    }
}

fn health<T>(outcome: &Result<T, CallError>) -> Health {
    match outcome {
        Ok(_) => Health::Good,
        Err(CallError::Trap { .. } | CallError::Timeout { .. } | CallError::Host(_)) => Health::Bad,
        Err(CallError::Plugin(fault)) => match fault.kind {
            FaultKind::Unavailable | FaultKind::Timeout => Health::Bad,
            FaultKind::InvalidRequest
            | FaultKind::InvalidConfig
            | FaultKind::Unauthenticated
            | FaultKind::PermissionDenied
            | FaultKind::Absent
            | FaultKind::Deleted
            | FaultKind::Destroyed
            | FaultKind::Conflict
            | FaultKind::RateLimited
            | FaultKind::Unsupported
            | FaultKind::Internal
            | FaultKind::Other => Health::Good,
        },
        Err(CallError::Answer(_) | CallError::CallerForbidden(_)) => Health::Good,
        Err(
            CallError::Unsupported(_)
            | CallError::Busy
            | CallError::Paced(_)
            | CallError::Paused(_)
            | CallError::Open(_)
            | CallError::NoCaller { .. }
            | CallError::CallerRefused { .. },
        ) => Health::Unknown,
    }
}
