//! What `wasi:http` of a guest ends in.
//!
//! An [`Outgoing`] lives in the state of one call's store and is everything that call has of the
//! network. Request bodies are taken whole before anything is sent: injection and signing then
//! happen strictly after the guest has let go, the length on the wire is the true one, and a guest
//! that traps half-way has sent nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use symbolon_core::clock::Clock;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http as wasi;

use super::client::{Admitted, Dispatch, EgressClient};
use super::error::{Cause, EgressError};
use super::grant::Grant;
use super::inject::{InCallersName, Injections, Moment, SourceError, Used};
use super::meter::{CallLimits, Meter, Record};
use crate::call::CallContext;

/// Bytes of a request's headers, names and values together.
const MAX_REQUEST_HEAD: usize = 32 * 1024;

/// One request that a plugin made or tried to make.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The method.
    pub method: &'a Method,
    /// The grant that covered it; none if it was refused. Its text is a bounded metric label, the
    /// plugin's URI is not.
    pub grant: Option<&'a Grant>,
    /// The status of the answer, or what went wrong before there was one.
    pub outcome: Result<StatusCode, &'a EgressError>,
    /// Until the answer's head.
    pub elapsed: Duration,
}

/// Told of each request: for metrics.
pub trait EgressObserver: Send + Sync {
    /// One request has got its answer's head, or failed. Must not block.
    fn attempt(&self, attempt: &Attempt<'_>);
}

/// Tells nobody.
impl EgressObserver for () {
    fn attempt(&self, _: &Attempt<'_>) {}
}

/// One call, and its bounds.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Which it is: sources of credentials are told.
    pub context: CallContext,
    /// When everything ends, bodies included.
    pub deadline: Instant,
    /// How much there may be of it.
    pub limits: CallLimits,
}

/// The network, as one call has it.
#[derive(Clone)]
pub struct Outgoing {
    context: Arc<CallContext>,
    client: Arc<EgressClient>,
    injections: Arc<Injections>,
    deadline: Instant,
    meter: Arc<Meter>,
    used: Used,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn EgressObserver>,
}

impl Outgoing {
    /// The network of a call that begins now.
    #[must_use]
    pub fn new(
        client: Arc<EgressClient>,
        injections: Arc<Injections>,
        terms: Terms,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn EgressObserver>,
    ) -> Self {
        let meter = Arc::new(Meter::new(terms.limits));
        let (context, used) = (Arc::new(terms.context), Used::default());
        Self { context, client, injections, deadline: terms.deadline, meter, used, clock, observer }
    }

    /// Tells the sources of the credentials that were added to the call's requests so far that none of
    /// them was taken. Answers whether any of them has something else now.
    pub(crate) fn renew_used(&self) -> bool {
        self.used.renew(&self.context)
    }

    /// Whether the call's requests had the credential of a caller, or should have had.
    pub(crate) fn name(&self) -> InCallersName {
        self.used.in_callers_name()
    }

    /// What the call has done so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.meter.record()
    }

    /// One request, from the guest's hands to the answer's head.
    async fn request(
        self,
        request: Request<wasi::WasiBody>,
        options: Option<wasi::RequestOptions>,
    ) -> Result<Response<wasi::WasiBody>, wasi::Error> {
        let begun = self.clock.elapsed();
        let method = request.method().clone();
        let admitted = self.admit(&request);
        let grant = admitted.as_ref().ok().map(Admitted::grant);
        let result = match admitted {
            Ok(admitted) => Box::pin(self.forward(admitted, request, options)).await,
            Err(refused) => Err(refused),
        };
        self.observer.attempt(&Attempt {
            method: &method,
            grant: grant.as_deref(),
            outcome: result.as_ref().map(Response::status),
            elapsed: self.clock.elapsed().saturating_sub(begun),
        });
        if let Err(error) = &result {
            self.used.note_lack(error);
            self.meter.failed(error);
            report(&method, error);
        }
        let body = |inbound: super::Inbound| inbound.map_err(|e| to_guest(&e)).boxed_unsync();
        result.map(|response| response.map(body)).map_err(|error| to_guest(&error))
    }

    fn admit(&self, request: &Request<wasi::WasiBody>) -> Result<Admitted, EgressError> {
        self.meter.open()?;
        self.client.admit(request.method(), request.uri())
    }

    async fn forward(
        &self,
        admitted: Admitted,
        request: Request<wasi::WasiBody>,
        options: Option<wasi::RequestOptions>,
    ) -> Result<Response<super::Inbound>, EgressError> {
        let (mut parts, body) = request.into_parts();
        clean(&mut parts.headers);
        self.injections.guard(admitted.destination(), &mut parts.headers)?;
        let body = self.take_body(body, &mut parts.headers).await?;
        check_size(&parts.headers)?;
        // Not the guest's parts: extensions and version are nothing it should choose.
        let mut request = Request::new(body);
        *request.method_mut() = admitted.method().clone();
        *request.headers_mut() = parts.headers;

        let moment = Moment { now: self.clock.now(), deadline: self.deadline };
        let when = (&*self.context, moment);
        let injected = self.injections.apply(admitted.destination(), &mut request, when);
        let applied = injected.await?;
        self.used.note(&applied);
        let patience = options.and_then(|options| options.first_byte_timeout);
        let head_deadline = patience
            .and_then(|patience| Instant::now().checked_add(patience))
            .map_or(self.deadline, |asked| asked.min(self.deadline));
        let dispatch = Dispatch {
            deadline: self.deadline,
            head_deadline,
            meter: Arc::clone(&self.meter),
            identity: applied.identity.clone(),
        };
        let mut response = Box::pin(self.client.send(admitted, request, dispatch)).await?;
        applied.receive(&self.context, &mut response);
        Ok(response)
    }

    /// Takes the guest's whole body.
    async fn take_body(
        &self,
        mut body: wasi::WasiBody,
        headers: &mut HeaderMap,
    ) -> Result<Bytes, EgressError> {
        let most = self.meter.limits().request_body;
        let mut taken = BytesMut::new();
        loop {
            let frame = timeout_at(self.deadline, body.frame()).await;
            // The call's time, over before anything could be sent.
            let frame = frame.map_err(|late| EgressError::Connect(Arc::new(late)))?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| EgressError::RequestBody)?;
            // Trailers would pass by every check of headers.
            let bytes = frame.into_data().map_err(|_| EgressError::RequestBody)?;
            if taken.len().saturating_add(bytes.len()) as u64 > most {
                return Err(EgressError::RequestBodyTooLarge);
            }
            taken.extend_from_slice(&bytes);
        }
        // A body that its guest dropped half-way ends like a complete one; only a length tells.
        let announced = headers.remove(header::CONTENT_LENGTH);
        let fits = announced.is_none_or(|length| length == taken.len().to_string().as_str());
        if fits { Ok(taken.freeze()) } else { Err(EgressError::RequestBody) }
    }
}

/// A line for the operator; what was missing, never what was sent.
fn report(method: &Method, error: &EgressError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let code = error.code();
    if error.is_refusal() {
        tracing::warn!(%method, code, cause, "outgoing request refused: {error}");
    } else {
        tracing::info!(%method, code, cause, "outgoing request failed: {error}");
    }
}

/// Headers that no guest writes or reads: those of the connection, those of proxies, cookies, and
/// `Host`, which is the URI's.
fn is_forbidden(name: &HeaderName) -> bool {
    matches!(name.as_str(), "cookie" | "set-cookie" | "expect" | "te" | "trailer")
        || name.as_str().starts_with("proxy-")
        || wasi::DEFAULT_FORBIDDEN_HEADERS.contains(name)
}

/// The filter has refused these when the guest built its headers. Whatever came by another way is
/// dropped here, once more.
fn clean(headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| is_forbidden(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn check_size(headers: &HeaderMap) -> Result<(), EgressError> {
    let size: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    if size > MAX_REQUEST_HEAD { Err(EgressError::RequestHeadTooLarge) } else { Ok(()) }
}

/// What the guest learns: a code, never an address or a cause.
fn to_guest(error: &EgressError) -> wasi::Error {
    match error {
        EgressError::Uri(_) => wasi::Error::HttpRequestUriInvalid,
        EgressError::NotGranted(_) | EgressError::ReservedHeader(_) => {
            wasi::Error::HttpRequestDenied
        }
        EgressError::RequestHeadTooLarge => wasi::Error::HttpRequestHeaderSectionSize(None),
        EgressError::RequestBodyTooLarge => wasi::Error::HttpRequestBodySize(None),
        EgressError::RequestBody
        | EgressError::Flood
        | EgressError::Protocol(_)
        | EgressError::Redirected => wasi::Error::HttpProtocolError,
        EgressError::Budget | EgressError::ConnectionLimit => wasi::Error::ConnectionLimitReached,
        EgressError::Resolve(_) => wasi::Error::DnsError { rcode: None, info_code: None },
        EgressError::AddressRefused { .. } => wasi::Error::DestinationIpProhibited,
        EgressError::Connect(_) => wasi::Error::ConnectionRefused,
        EgressError::Certificate(_) => wasi::Error::TlsCertificateError,
        EgressError::Tls(_) => wasi::Error::TlsProtocolError,
        EgressError::Deadline => wasi::Error::HttpResponseTimeout,
        EgressError::Interrupted(_) => wasi::Error::ConnectionTerminated,
        EgressError::HeadTooLarge => wasi::Error::HttpResponseHeaderSectionSize(None),
        EgressError::BodyTooLarge => wasi::Error::HttpResponseBodySize(None),
        EgressError::LengthMismatch => wasi::Error::HttpResponseIncomplete,
        EgressError::ContentCoding => wasi::Error::HttpResponseContentCoding(None),
        EgressError::Credential(cause) => without_credential(cause),
        EgressError::CredentialKind => wasi::Error::HttpRequestDenied,
        EgressError::Configuration(_) => wasi::Error::ConfigurationError,
    }
}

/// Nothing was sent in either case: a refusal is for the operator, anything else may pass.
fn without_credential(cause: &Cause) -> wasi::Error {
    match cause.downcast_ref::<SourceError>() {
        Some(SourceError::Refused(_) | SourceError::NoCaller | SourceError::CallerRefused(_)) => {
            wasi::Error::HttpRequestDenied
        }
        Some(SourceError::Unavailable(_)) | None => wasi::Error::DestinationUnavailable,
    }
}

type Worker = Box<dyn Future<Output = Result<(), wasi::Error>> + Send>;

impl wasi::WasiHttpHooks for Outgoing {
    fn forbidden_header_filter(&mut self) -> wasi::ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<wasi::WasiBody>,
        options: Option<wasi::RequestOptions>,
        _processed: Worker,
    ) -> Box<dyn Future<Output = Result<(Response<wasi::WasiBody>, Worker), wasi::Error>> + Send>
    {
        let outgoing = self.clone();
        Box::new(async move {
            let response = Box::pin(outgoing.request(request, options)).await?;
            // Connections are driven by their scope, so there is nothing left to do beside it.
            let worker: Worker = Box::new(std::future::ready(Ok(())));
            Ok((response, worker))
        })
    }
}

#[cfg(test)]
mod tests;
