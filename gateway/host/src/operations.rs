//! The functions of the contract as methods of a [`Generation`].
//!
//! Each says three things: what goes in, that the common path in `call` is walked, and which check
//! of `facade` its answer must pass. None of these is safe to cancel as far as the backend goes:
//! what was sent was sent.

use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use tokio::time::Instant;
use wasmtime::component::{ComponentNamedList, Lift, Lower};
use zeroize::Zeroize;

use crate::answer::{
    CredentialState, ExchangeRequest, Fields, ForeignToken, IssueRequest, Issued, IssuedPage,
    Listing, Reference, Report, SecretValue,
};
use crate::bindings::guest::{credentials, exchange, secrets};
use crate::bindings::types;
use crate::call::{Call, CallContext, Operation};
use crate::catalog::Generation;
use crate::conduct;
use crate::facade::{self, Latest};
use crate::fault::{AnswerFault, CallError};
use crate::sql::{self, Trial};

/// Most selectors of one [`Generation::read_many`].
pub const MAX_BATCH: usize = 100;

/// One secret of a batch: the path, and the version if not the newest.
pub type Selector = (SecretPath, Option<Version>);

impl Generation {
    /// Checks the backend's configuration, without any request to the backend.
    ///
    /// # Errors
    /// [`CallError`], with the plugin's own as [`CallError::Plugin`].
    pub async fn validate(&self, context: &CallContext) -> Result<Report, CallError> {
        let call = Call::new(Operation::Validate, context);
        self.asked(call, (), facade::report).await
    }

    /// Asks the backend whether it is there and lets the gateway in.
    ///
    /// # Errors
    /// [`CallError`], with the plugin's own as [`CallError::Plugin`].
    pub async fn probe(&self, context: &CallContext) -> Result<Report, CallError> {
        let call = Call::new(Operation::Probe, context);
        let told = self.told(context)?;
        self.asked(call, (&told,), facade::report).await
    }

    /// Reads one secret, the newest version if none is named.
    ///
    /// # Errors
    /// [`CallError`]; of a secret that is not there, its kind is `Absent`.
    pub async fn read(
        &self,
        context: &CallContext,
        path: &SecretPath,
        version: Option<&Version>,
    ) -> Result<SecretValue, CallError> {
        let call = Call::new(Operation::Read, context);
        let (told, selector) = (self.told(context)?, selector(path, version));
        let check = |answer| facade::secret(answer, path, version);
        self.asked(call, (&told, &selector), check).await
    }

    /// Reads several secrets, at most [`MAX_BATCH`], each with an outcome of its own.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer to any of them.
    pub async fn read_many(
        &self,
        context: &CallContext,
        asked: &[Selector],
    ) -> Result<Vec<Result<SecretValue, CallError>>, CallError> {
        if asked.len() > MAX_BATCH {
            return Err(CallError::Busy);
        }
        let call = Call::new(Operation::ReadMany, context);
        let told = self.told(context)?;
        let selectors: Vec<_> = asked.iter().map(|(p, v)| selector(p, v.as_ref())).collect();
        let whole = |answers: Vec<Result<secrets::Secret, types::Error>>| {
            let is_whole = answers.len() == asked.len();
            if is_whole { Ok(answers) } else { Err(AnswerFault::Count) }
        };
        let answers = self.asked(call, (&told, selectors.as_slice()), whole).await?;
        let check = |(answer, (path, version)): (_, &Selector)| match answer {
            Ok(secret) => Ok(facade::secret(secret, path, version.as_ref())?),
            Err(fault) => Err(CallError::Plugin(Box::new(facade::fault(fault, &[])))),
        };
        Ok(answers.into_iter().zip(asked).map(check).collect())
    }

    /// Lists the names in a folder, or at the top, from `next` of the page before.
    ///
    /// # Errors
    /// [`CallError`]; of a folder that is not there, its kind is `Absent`.
    pub async fn list(
        &self,
        context: &CallContext,
        folder: Option<&SecretPath>,
        next: Option<&str>,
    ) -> Result<Listing, CallError> {
        let call = Call::new(Operation::List, context);
        let told = self.told(context)?;
        let folder = folder.map(SecretPath::as_str);
        self.asked(call, (&told, folder, next), facade::listing).await
    }

    /// Exchanges the gateway's assertion for a token of the target.
    ///
    /// # Errors
    /// [`CallError`]. The host asks again only after a refusal that says that it may pass.
    pub async fn exchange(
        &self,
        context: &CallContext,
        request: &ExchangeRequest,
    ) -> Result<ForeignToken, CallError> {
        let secrets = [&request.assertion];
        let call = Call { secrets: &secrets, ..Call::new(Operation::Exchange, context) };
        let latest = Latest::new(self.now(), request.ttl);
        let (told, raw) = (self.told(context)?, Wiped(exchange_request(request)?));
        let check = |answer| facade::token(answer, latest, &request.assertion);
        self.asked(call, (&told, &raw.0), check).await
    }

    /// Issues a credential for a reservation.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::may_have_acted`] says whether it must be revoked all the same.
    pub async fn issue(
        &self,
        context: &CallContext,
        request: &IssueRequest,
    ) -> Result<Issued, CallError> {
        let made = self.materials(request)?;
        // Before anything is sent: also of a create whose answer is lost the end can be proven.
        self.remember(request.reservation, &made);
        let issued = Box::pin(self.issue_with(context, request, made)).await;
        if issued.as_ref().is_err_and(|error| !error.may_have_acted()) {
            self.issued().into_iter().for_each(|issued| issued.logins.forget(request.reservation));
        }
        issued
    }

    async fn issue_with(
        &self,
        context: &CallContext,
        request: &IssueRequest,
        made: Materials,
    ) -> Result<Issued, CallError> {
        let known = request.materials.iter().chain(&made.held);
        let secrets: Vec<&Secret> = known.map(|(_, value)| value).collect();
        let call = Call {
            secrets: &secrets,
            materials: &made.held,
            ..Call::new(Operation::Issue, context)
        };
        let latest = Latest::new(self.now(), request.ttl);
        let (told, mut raw) = (self.told(context)?, Wiped(issue_request(request)));
        raw.0.materials.extend(bare(&made.told));
        let check = |answer| facade::issued(answer, request.reservation, latest);
        let issued = self.asked(call, (&told, &raw.0), check).await?;
        made.complete(issued)
    }

    /// Extends a credential by `ttl` from now; answers when it ends then.
    ///
    /// # Errors
    /// [`CallError`]. The host does not ask twice.
    pub async fn renew(
        &self,
        context: &CallContext,
        credential: &Reference,
        ttl: Duration,
    ) -> Result<Timestamp, CallError> {
        let call = Call::new(Operation::Renew, context);
        let latest = Latest::new(self.now(), ttl);
        let (told, credential) = (self.told(context)?, reference(credential));
        let check = |end: u64| latest.check(end);
        self.asked(call, (&told, &credential, ttl.as_secs()), check).await
    }

    /// Ends a credential. One that is not there is a success.
    ///
    /// # Errors
    /// [`CallError`]. Asking again is up to the lease's reaper, which never gives up.
    pub async fn revoke(
        &self,
        context: &CallContext,
        credential: &Reference,
    ) -> Result<(), CallError> {
        let call = Call::new(Operation::Revoke, context);
        let (told, credential) = (self.told(context)?, reference(credential));
        self.asked(call, (&told, &credential), Ok).await
    }

    /// Tries the very login that was issued, after it was ended. Takes nobody's word, and none of the
    /// plugin's. For what is neither shared nor of unknown making.
    pub async fn try_ended(&self, context: &CallContext, credential: &Reference) -> Trial {
        let (Some(issued), Some(pool)) = (self.issued(), self.database()) else {
            return Trial::Untried;
        };
        let reservation = credential.reservation;
        let Some(password) = issued.logins.password(reservation, &issued.server) else {
            return Trial::Untried;
        };
        // A call that has no time left is a try in vain like any other.
        let left = self.caller().remaining(context).unwrap_or_default();
        let user = sql::username(&credential.role.name, reservation);
        let tried = Box::pin(pool.refuses_login(&user, &password, Instant::now() + left)).await;
        if let Err(error) = &tried {
            let code = error.code();
            tracing::debug!(%reservation, %code, "trying an ended login proves nothing");
        }
        issued.logins.judge(reservation, tried)
    }

    fn remember(&self, reservation: LeaseId, made: &Materials) {
        let password = made.issued.iter().find(|(name, _)| name == PASSWORD);
        if let (Some(issued), Some((_, password))) = (self.issued(), password) {
            issued.logins.remember(reservation, &issued.server, password.clone());
        }
    }

    /// Says what became of a credential, without using it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn verify(
        &self,
        context: &CallContext,
        credential: &Reference,
    ) -> Result<CredentialState, CallError> {
        let call = Call::new(Operation::Verify, context);
        let (told, credential) = (self.told(context)?, reference(credential));
        self.asked(call, (&told, &credential), |state| Ok(facade::state(state))).await
    }

    /// Lists the reservations whose credentials the backend holds, from `next` of the page before.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_issued(
        &self,
        context: &CallContext,
        next: Option<&str>,
    ) -> Result<IssuedPage, CallError> {
        let call = Call::new(Operation::ListIssued, context);
        let told = self.told(context)?;
        self.asked(call, (&told, next), facade::issued_page).await
    }

    /// Has the plugin set `password` for the login by which the host comes to the backend's database.
    /// Its statements carry the verifier; the plugin sees neither. Idempotent for one password, which
    /// is to be written down before and proven by a login afterwards.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::may_have_acted`] says whether the password may have been changed.
    pub async fn rotate(&self, context: &CallContext, password: &Secret) -> Result<(), CallError> {
        let made = sql::verifier(password).map_err(|error| CallError::Host(error.to_string()))?;
        let held = [(sql::VERIFIER.to_owned(), made.clone())];
        let secrets = [password, &made];
        let call =
            Call { secrets: &secrets, materials: &held, ..Call::new(Operation::Rotate, context) };
        let (told, none) = (self.told(context)?, Vec::<(String, Vec<u8>)>::new());
        self.asked(call, (&told, none.as_slice()), Ok).await
    }

    /// Makes a call and checks its answer. What fails by the component's own fault while it is on
    /// probation is asked of the generation before, where asking twice changes no more than asking
    /// once, or nothing was sent.
    async fn asked<P, T, U>(
        &self,
        call: Call<'_>,
        params: P,
        check: impl Fn(T) -> Result<U, AnswerFault> + Send + Sync,
    ) -> Result<U, CallError>
    where
        P: ComponentNamedList + Lower + Copy + Send + Sync,
        T: Lift + Send + Sync + 'static,
        U: Send,
        (Result<T, types::Error>,): ComponentNamedList + Lift,
    {
        let outcome = self.caller().checked(call, params, &check).await;
        let may = |error: &CallError| may_be_asked_of_another(call.operation, error);
        match self.probation().filter(|_| outcome.as_ref().is_err_and(may)) {
            Some(on) => {
                let (request_id, operation) = (call.context.request_id, call.operation.as_str());
                let (of, by) = (self.digest(), on.before.digest());
                let code = outcome.err().map(|error| error.code());
                tracing::warn!(%request_id, operation, code, %of, %by, "the one before stands in");
                Box::pin(on.before.caller().checked(call, params, &check)).await
            }
            None => outcome,
        }
    }

    /// What the host makes for a database user: nothing for other backends.
    fn materials(&self, request: &IssueRequest) -> Result<Materials, CallError> {
        if self.database().is_none() {
            return Ok(Materials::default());
        }
        let failed = |error: sql::NoRandomness| CallError::Host(error.to_string());
        let username = sql::username(&request.role.name, request.reservation);
        let username = Secret::from(username);
        let password = sql::password().map_err(failed)?;
        let verifier = sql::verifier(&password).map_err(failed)?;
        Ok(Materials {
            told: vec![(USERNAME.to_owned(), username.clone())],
            held: vec![(sql::VERIFIER.to_owned(), verifier)],
            issued: vec![(USERNAME.to_owned(), username), (PASSWORD.to_owned(), password)],
        })
    }

    fn told(&self, context: &CallContext) -> Result<types::Context, CallError> {
        let left = self.caller().remaining(context)?;
        Ok(types::Context {
            request_id: context.request_id.to_string(),
            deadline_in_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            metadata: Vec::new(),
        })
    }
}

/// Whether another generation may be asked what this one failed at.
fn may_be_asked_of_another(operation: Operation, error: &CallError) -> bool {
    let is_own = conduct::is_fault(error) || matches!(error, CallError::Open(_));
    is_own && (operation.only_reads() || !error.may_have_acted())
}

/// Fields of a database user.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// What the host makes for a credential.
#[derive(Default)]
struct Materials {
    /// What the plugin is told.
    told: Fields,
    /// What its statements may name.
    held: Fields,
    /// What whoever asked gets besides.
    issued: Fields,
}

impl Materials {
    /// Adds what the host made. A plugin that answers fields of these names has not understood that
    /// the host makes them.
    fn complete(self, mut issued: Issued) -> Result<Issued, CallError> {
        let is_there = |made: &str| issued.fields.iter().any(|(name, _)| name == made);
        if self.issued.iter().any(|(name, _)| is_there(name)) {
            return Err(AnswerFault::FieldName.into());
        }
        issued.fields.extend(self.issued);
        Ok(issued)
    }
}

fn selector(path: &SecretPath, version: Option<&Version>) -> secrets::Selector {
    secrets::Selector {
        path: path.as_str().to_owned(),
        version: version.map(|version| version.as_str().to_owned()),
    }
}

fn reference(credential: &Reference) -> credentials::Reference {
    credentials::Reference {
        reservation: credential.reservation.to_string(),
        role: credential.role.name.clone(),
        role_config: credential.role.config.clone(),
        handle: credential.handle.expose().to_vec(),
    }
}

fn bare(materials: &[(String, Secret)]) -> Vec<(String, Vec<u8>)> {
    materials.iter().map(|(name, value)| (name.clone(), value.expose().to_vec())).collect()
}

fn issue_request(request: &IssueRequest) -> credentials::IssueRequest {
    credentials::IssueRequest {
        reservation: request.reservation.to_string(),
        role: request.role.name.clone(),
        role_config: request.role.config.clone(),
        ttl: request.ttl.as_secs(),
        principal: request.principal.clone(),
        materials: bare(&request.materials),
        metadata: request.metadata.clone(),
    }
}

fn exchange_request(request: &ExchangeRequest) -> Result<exchange::ExchangeRequest, CallError> {
    let assertion = request.assertion.expose_str();
    Ok(exchange::ExchangeRequest {
        assertion: assertion.ok_or(CallError::Host("the assertion is no text".into()))?.to_owned(),
        scopes: request.scopes.clone(),
        ttl: request.ttl.as_secs(),
        attributes: request.attributes.clone(),
        metadata: request.metadata.clone(),
    })
}

/// What holds secret bytes in the form that the contract demands, and is wiped when dropped, also
/// when the call is cancelled.
struct Wiped<T: Wipe>(T);

trait Wipe {
    fn wipe(&mut self);
}

impl Wipe for exchange::ExchangeRequest {
    fn wipe(&mut self) {
        self.assertion.zeroize();
    }
}

impl Wipe for credentials::IssueRequest {
    fn wipe(&mut self) {
        self.materials.wipe();
    }
}

impl Wipe for Vec<(String, Vec<u8>)> {
    fn wipe(&mut self) {
        self.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl<T: Wipe> Drop for Wiped<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}
