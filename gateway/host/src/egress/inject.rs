//! Credentials, added to a request after the plugin has let go of it.
//!
//! INVARIANT: a credential goes only to a URI that its injection's [`Reach`] covers, and only if
//! that is of one host: the admitted URI that is dialled; and no plugin sees it: the request is not handed back, echoes in
//! the answer's headers are blotted out. What a plugin put into those headers itself is refused on
//! every path of a host that any injection guards, so that it can neither shadow a credential nor
//! smuggle one of its own past the operator.
//!
//! It does not read bodies: an upstream that echoes a credential in a body shows it to the plugin.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use symbolon_core::clock::Timestamp;
use symbolon_core::secret::Secret;
use tokio::time::Instant;

use super::BoxFuture;
use super::destination::Destination;
use super::error::{Cause, EgressError};
use super::grant::Reach;
use super::sigv4;
use super::tls::ClientIdentity;
use crate::call::CallContext;

/// What is injected. Which variant a binding needs depends on its [`Form`].
#[derive(Debug)]
pub enum Credential {
    /// A token or key ([`Form::Bearer`], [`Form::Header`]).
    Token(Secret),
    /// A user and a password ([`Form::Basic`]).
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// AWS keys ([`Form::SigV4`]).
    Aws {
        /// `AKIA…` or `ASIA…`.
        access_key_id: String,
        /// The signing secret.
        secret_access_key: Secret,
        /// For temporary keys.
        session_token: Option<Secret>,
    },
    /// A certificate and its key ([`Form::ClientCertificate`]).
    Certificate(Arc<ClientIdentity>),
}

/// Where a credential comes from: a file, or an exchange whose result is kept until shortly before
/// it expires.
///
/// INVARIANT: what a source gives for a call that is made on somebody's behalf, it gives to no call
/// on behalf of another, unless it is the gateway's own credential.
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// The current credential for the call that `context` describes. Keeps to `deadline` itself as
    /// far as it can; the caller enforces it by dropping the future, after which a shared refresh may
    /// go on.
    fn credential<'a>(
        &'a self,
        context: &'a CallContext,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>>;

    /// The upstream answered 401 or 403 to `used`, in the call that `context` describes. A source
    /// compares `used` with what it holds, so that a late complaint does not throw away a fresh
    /// credential, and limits how often it renews: 403 is also what a lack of permission looks like.
    /// Answers whether the next credential of this call is another than `used`.
    fn invalidate(&self, context: &CallContext, used: &Arc<Credential>, status: StatusCode)
    -> bool;

    /// Whether what it gives is the caller's own, so that what the upstream refuses is refused to the
    /// caller.
    fn is_of_callers(&self) -> bool {
        false
    }
}

/// A credential that is always the same, from a configuration say.
#[derive(Debug)]
pub struct FixedCredential(Arc<Credential>);

impl FixedCredential {
    /// The source of `credential`.
    #[must_use]
    pub fn new(credential: Credential) -> Self {
        Self(Arc::new(credential))
    }
}

impl CredentialSource for FixedCredential {
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        _: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn invalidate(&self, _: &CallContext, _: &Arc<Credential>, status: StatusCode) -> bool {
        tracing::warn!(%status, "the upstream does not take the configured credential");
        false
    }
}

/// Whether a call was made with the credential of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InCallersName {
    /// It had the gateway's, or none.
    No,
    /// It was.
    Yes,
    /// It should have been, and nobody is behind it.
    Nobody,
    /// It should have been, and the caller does not get one.
    Refused,
}

/// Why there is no credential.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be had now.
    #[error("the credential cannot be had now")]
    Unavailable(#[source] Cause),
    /// Whoever issues it refuses.
    #[error("the credential is refused")]
    Refused(#[source] Cause),
    /// It is one of callers, and the gateway makes this call for itself.
    #[error("nobody is behind the call, and the credential is one of callers")]
    NoCaller,
    /// It is one of callers, and this one does not get it.
    #[error("the credential is refused to the caller")]
    CallerRefused(#[source] Cause),
}

/// How a credential is put into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of that name, such as `X-Vault-Token`, with a constant before the token.
    Header {
        /// The header.
        name: HeaderName,
        /// What stands before the token; usually nothing.
        prefix: String,
    },
    /// `Authorization: Basic …`.
    Basic,
    /// AWS Signature Version 4.
    SigV4 {
        /// Such as `eu-central-1`.
        region: String,
        /// Such as `secretsmanager`.
        service: String,
    },
    /// TLS client authentication.
    ClientCertificate,
}

impl Form {
    /// The header that the form writes.
    fn slot(&self) -> Option<HeaderName> {
        match self {
            Self::Bearer | Self::Basic | Self::SigV4 { .. } => Some(header::AUTHORIZATION),
            Self::Header { name, .. } => Some(name.clone()),
            Self::ClientCertificate => None,
        }
    }
}

/// One binding of a credential to a part of the network.
#[derive(Clone, Debug)]
pub struct Injection {
    reach: Reach,
    form: Form,
    source: Arc<dyn CredentialSource>,
}

impl Injection {
    /// Adds what `source` holds, in the given form, to every request that `reach` covers.
    #[must_use]
    pub fn new(reach: Reach, form: Form, source: Arc<dyn CredentialSource>) -> Self {
        Self { reach, form, source }
    }

    /// A reach of many hosts carries nothing: whose they are is not known one by one.
    fn is_for(&self, destination: &Destination) -> bool {
        self.reach.is_of_one_host() && self.reach.covers(destination)
    }
}

/// The bindings of one scope. Of two that write the same header, the first decides.
#[derive(Clone, Debug, Default)]
pub struct Injections(Vec<Injection>);

impl Injections {
    /// The bindings, in the operator's order.
    #[must_use]
    pub const fn new(all: Vec<Injection>) -> Self {
        Self(all)
    }

    /// Refuses what a plugin may not set itself towards a guarded host; removes what the host will
    /// write anew.
    pub(super) fn guard(
        &self,
        destination: &Destination,
        headers: &mut HeaderMap,
    ) -> Result<(), EgressError> {
        let mut guards = self.0.iter().filter(|i| i.reach.same_origin(destination)).peekable();
        if guards.peek().is_none() {
            return Ok(());
        }
        let forms: Vec<_> = guards.map(|injection| &injection.form).collect();
        if forms.iter().any(|form| matches!(form, Form::SigV4 { .. })) {
            sigv4::strip(destination, headers)?;
        }
        let is_bound =
            |name: &HeaderName| forms.iter().any(|form| form.slot().as_ref() == Some(name));
        match headers.keys().find(|name| is_credential(name) || is_bound(name)) {
            Some(name) => Err(EgressError::ReservedHeader(name.to_string())),
            None => Ok(()),
        }
    }

    /// Adds every credential that is bound to `destination`.
    ///
    /// Dropping the future leaves the request half-injected: it must be dropped with it.
    pub(super) async fn apply(
        &self,
        destination: &Destination,
        request: &mut Request<Bytes>,
        (context, moment): (&CallContext, Moment),
    ) -> Result<Applied, EgressError> {
        let mut applied = Applied::default();
        let mut signer = None;
        for injection in self.0.iter().filter(|injection| injection.is_for(destination)) {
            if injection.form.slot().is_some_and(|slot| request.headers().contains_key(slot)) {
                continue;
            }
            let credential = injection.fetch(context, moment.deadline).await?;
            applied.remember(injection, &credential);
            match &injection.form {
                // A signature covers the headers that the others write: it comes last.
                Form::SigV4 { region, service } => {
                    let _ = signer.get_or_insert((region, service, credential));
                }
                Form::ClientCertificate => applied.identity = Some(identity(&credential)?),
                form @ (Form::Bearer | Form::Header { .. } | Form::Basic) => {
                    write(form, &credential, request.headers_mut(), &mut applied.needles)?;
                }
            }
        }
        if let Some((region, service, credential)) = signer
            && !request.headers().contains_key(header::AUTHORIZATION)
        {
            let scope = sigv4::Scope { region, service, now: moment.now };
            sigv4::sign(request, destination, &credential, &scope)?;
        }
        Ok(applied)
    }
}

/// When a request is made, and by when it must be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
}

impl Injection {
    async fn fetch(
        &self,
        context: &CallContext,
        deadline: Instant,
    ) -> Result<Arc<Credential>, EgressError> {
        let fetching = self.source.credential(context, deadline);
        match tokio::time::timeout_at(deadline, fetching).await {
            Ok(credential) => credential.map_err(|e| EgressError::Credential(Arc::new(e))),
            Err(late) => Err(EgressError::Credential(Arc::new(late))),
        }
    }
}

/// Headers that carry credentials by their nature.
fn is_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "authorization" | "cookie" | "host" | "x-vault-token")
        || name.starts_with("proxy-")
}

fn identity(credential: &Credential) -> Result<Arc<ClientIdentity>, EgressError> {
    match credential {
        Credential::Certificate(identity) => Ok(Arc::clone(identity)),
        Credential::Token(_) | Credential::Password { .. } | Credential::Aws { .. } => {
            Err(EgressError::CredentialKind)
        }
    }
}

/// Writes one header, and remembers what must not come back.
fn write(
    form: &Form,
    credential: &Credential,
    headers: &mut HeaderMap,
    needles: &mut Vec<Secret>,
) -> Result<(), EgressError> {
    let (name, prefix) = match form {
        Form::Bearer => (header::AUTHORIZATION, "Bearer "),
        Form::Basic => (header::AUTHORIZATION, "Basic "),
        Form::Header { name, prefix } => (name.clone(), prefix.as_str()),
        Form::SigV4 { .. } | Form::ClientCertificate => return Err(EgressError::CredentialKind),
    };
    let token = match (form, credential) {
        (Form::Basic, Credential::Password { user, password }) => {
            needles.push(password.clone());
            basic(user, password)?
        }
        (Form::Bearer | Form::Header { .. }, Credential::Token(token)) => token.clone(),
        (_, _) => return Err(EgressError::CredentialKind),
    };
    let bytes = Secret::new([prefix.as_bytes(), token.expose()].concat());
    let value = HeaderValue::from_bytes(bytes.expose());
    let mut value = value.map_err(|_| EgressError::CredentialKind)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    needles.push(token);
    Ok(())
}

fn basic(user: &str, password: &Secret) -> Result<Secret, EgressError> {
    // RFC 7617: the user name ends at the first colon.
    if user.contains(':') {
        return Err(EgressError::CredentialKind);
    }
    let pair = Secret::new([user.as_bytes(), b":", password.expose()].concat());
    Ok(Secret::from(BASE64_STANDARD.encode(pair.expose())))
}

/// A source, and what it gave.
type Given = (Arc<dyn CredentialSource>, Arc<Credential>);

/// What was added to the requests of one call. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    given: Arc<Mutex<Vec<Given>>>,
    lacking: Arc<OnceLock<InCallersName>>,
}

impl Used {
    /// Notes that a credential was not there.
    pub(super) fn note_lack(&self, error: &EgressError) {
        let EgressError::Credential(cause) = error else { return };
        let lacking = match cause.downcast_ref::<SourceError>() {
            Some(SourceError::NoCaller) => InCallersName::Nobody,
            Some(SourceError::CallerRefused(_)) => InCallersName::Refused,
            Some(SourceError::Unavailable(_) | SourceError::Refused(_)) | None => return,
        };
        // The first decides.
        let _ = self.lacking.set(lacking);
    }

    /// Whether a credential was a caller's, or should have been.
    pub(super) fn in_callers_name(&self) -> InCallersName {
        let all = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let given = match all.iter().any(|(source, _)| source.is_of_callers()) {
            true => InCallersName::Yes,
            false => InCallersName::No,
        };
        self.lacking.get().copied().unwrap_or(given)
    }

    pub(super) fn note(&self, applied: &Applied) {
        let mut all = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, credential) in &applied.used {
            if !all.iter().any(|(_, known)| Arc::ptr_eq(known, credential)) {
                all.push((Arc::clone(source), Arc::clone(credential)));
            }
        }
    }

    /// Tells the sources that nothing of this was taken. It is the guest that says so, hence with the
    /// status that is believed less often. Answers whether any of them has something else now.
    pub(crate) fn renew(&self, context: &CallContext) -> bool {
        let all = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let complain =
            |(source, used): &Given| source.invalidate(context, used, StatusCode::FORBIDDEN);
        let told = all.iter().map(complain);
        // Every source is told, and not only the first that has something else.
        told.fold(false, |renewed, another| renewed | another)
    }
}

/// What was added to one request.
#[derive(Debug, Default)]
pub(super) struct Applied {
    used: Vec<Given>,
    needles: Vec<Secret>,
    pub(super) identity: Option<Arc<ClientIdentity>>,
}

/// Shorter values would blot out half of any answer, and guessing them needs no echo.
const SHORTEST_NEEDLE: usize = 6;

impl Applied {
    fn remember(&mut self, injection: &Injection, credential: &Arc<Credential>) {
        self.used.push((Arc::clone(&injection.source), Arc::clone(credential)));
        if let Credential::Aws { secret_access_key, session_token, .. } = credential.as_ref() {
            self.needles.push(secret_access_key.clone());
            self.needles.extend(session_token.clone());
        }
    }

    /// Cleans an answer's head and tells the sources of a refused credential.
    pub(super) fn receive<B>(&self, context: &CallContext, response: &mut Response<B>) {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            for (source, credential) in &self.used {
                source.invalidate(context, credential, status);
            }
        }
        let headers = response.headers_mut();
        headers.remove(header::SET_COOKIE);
        for value in headers.values_mut() {
            if self.needles.iter().any(|needle| echoes(value.as_bytes(), needle.expose())) {
                *value = HeaderValue::from_static("redacted");
            }
        }
    }
}

fn echoes(value: &[u8], needle: &[u8]) -> bool {
    needle.len() >= SHORTEST_NEEDLE && value.windows(needle.len()).any(|part| part == needle)
}

#[cfg(test)]
mod tests;
