//! The pooled client of one scope.
//!
//! A scope is one backend of one generation, or one use of the gateway itself (an issuer's keys).
//! It owns its grants, its connections and the tasks that drive them. Each grant has a pool of its
//! own: `resolve`, trust, client certificate and address rules belong to a grant, and a connection
//! made under one must not serve a request admitted by another.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::allowance::{Allowance, WINDOW};
use super::body::{Bounds, Inbound, Place};
use super::connect::Connector;
use super::destination::Destination;
use super::error::{EgressError, MissingGrant};
use super::grant::Grant;
use super::meter::{CallLimits, Meter};
use super::resolver::{Resolver, SystemResolver};
use super::tls::{ClientIdentity, Trust, client_config};

/// What all scopes share: how names resolve and whom TLS trusts where a grant does not say.
#[derive(Clone, Debug)]
pub struct Network {
    resolver: Arc<dyn Resolver>,
    trust: Trust,
}

impl Network {
    /// The system's resolver and roots.
    ///
    /// # Errors
    /// [`EgressError::Configuration`] if the system has no roots.
    pub fn system() -> Result<Self, EgressError> {
        Ok(Self::new(Arc::new(SystemResolver), Trust::native()?))
    }

    /// Another resolver, other roots.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>, trust: Trust) -> Self {
        Self { resolver, trust }
    }

    pub(crate) fn resolver(&self) -> &dyn Resolver {
        &*self.resolver
    }

    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// The bounds of one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Requests at a time, each until its answer's body is read or dropped.
    pub exchanges: usize,
    /// Connections at a time, idle ones included.
    pub connections: usize,
    /// How long a request waits for its turn.
    pub patience: Duration,
    /// How long a connection may take, from the name to the end of the handshake.
    pub connect: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Bytes of an answer's head; at least 8 KiB.
    pub head: usize,
}

/// 32 exchanges, 64 connections, 1 s for a turn, 3 s to connect, 30 s idle, 32 KiB of head.
impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            exchanges: 32,
            connections: 64,
            patience: Duration::from_secs(1),
            connect: Duration::from_secs(3),
            idle: Duration::from_secs(30),
            head: 32 * 1024,
        }
    }
}

/// The bounds of one fetch of the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// How long it may take in all.
    pub deadline: Duration,
    /// Bytes of the answer's body.
    pub max_body: u64,
}

type Pooled = legacy::Client<Connector, Full<Bytes>>;

/// One grant and the connections made under it.
struct Lane {
    grant: Arc<Grant>,
    allowance: Arc<Allowance>,
    pool: Mutex<Option<Pool>>,
}

/// Connections that all speak as the same client.
struct Pool {
    identity: Option<Arc<ClientIdentity>>,
    client: Pooled,
}

/// A request that a grant covers. Only [`EgressClient::admit`] makes one.
pub(super) struct Admitted {
    lane: Arc<Lane>,
    method: Method,
    destination: Destination,
}

impl Admitted {
    pub(super) const fn destination(&self) -> &Destination {
        &self.destination
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn grant(&self) -> Arc<Grant> {
        Arc::clone(&self.lane.grant)
    }
}

/// How an admitted request is to be sent.
pub(super) struct Dispatch {
    pub(super) deadline: Instant,
    /// Until when the answer's head must be there; no later than `deadline`.
    pub(super) head_deadline: Instant,
    pub(super) meter: Arc<Meter>,
    /// A client certificate in place of the grant's own.
    pub(super) identity: Option<Arc<ClientIdentity>>,
}

/// The client of one scope.
pub struct EgressClient {
    network: Network,
    lanes: Vec<Arc<Lane>>,
    limits: ClientLimits,
    exchanges: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl EgressClient {
    /// A client that may reach what `grants` cover. Of two that fit a request, the first decides.
    #[must_use]
    pub fn new(network: Network, grants: Vec<Grant>, limits: ClientLimits) -> Arc<Self> {
        let lane = |grant| Lane {
            grant: Arc::new(grant),
            allowance: Allowance::new(),
            pool: Mutex::default(),
        };
        Arc::new(Self {
            network,
            lanes: grants.into_iter().map(lane).map(Arc::new).collect(),
            limits,
            exchanges: Arc::new(Semaphore::new(limits.exchanges)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            tasks: Arc::default(),
        })
    }

    /// Makes one request for the gateway itself: no redirect, no encoded content, the whole body
    /// within `limits`.
    ///
    /// Dropping the future closes or returns the connection; the request may have arrived.
    ///
    /// # Errors
    /// [`EgressError`]. An answer of any status but a redirect is not an error.
    pub async fn fetch(
        self: &Arc<Self>,
        request: Request<Bytes>,
        limits: FetchLimits,
    ) -> Result<Response<Bytes>, EgressError> {
        let admitted = self.admit(request.method(), request.uri())?;
        let deadline = Instant::now() + limits.deadline;
        let bounds = CallLimits {
            requests: 1,
            request_body: u64::MAX,
            response_body: limits.max_body,
            received: limits.max_body,
        };
        let meter = Arc::new(Meter::new(bounds));
        let dispatch = Dispatch { deadline, head_deadline: deadline, meter, identity: None };
        let response = Box::pin(self.send(admitted, request, dispatch)).await?;
        if response.status().is_redirection() {
            return Err(EgressError::Redirected);
        }
        if is_encoded(response.headers()) {
            return Err(EgressError::ContentCoding);
        }
        collect(response).await
    }

    /// Finds the grant that covers a request.
    pub(super) fn admit(&self, method: &Method, uri: &Uri) -> Result<Admitted, EgressError> {
        let destination = Destination::parse(uri)?;
        let lane = self.lanes.iter().find(|lane| lane.grant.allows(method, &destination));
        match lane.cloned() {
            Some(lane) => Ok(Admitted { lane, method: method.clone(), destination }),
            None => Err(EgressError::NotGranted(MissingGrant::new(method, &destination))),
        }
    }

    /// Sends an admitted request. The URI, method and host that are sent are the admitted ones,
    /// whatever the request says by now.
    pub(super) async fn send(
        self: &Arc<Self>,
        admitted: Admitted,
        request: Request<Bytes>,
        dispatch: Dispatch,
    ) -> Result<Response<Inbound>, EgressError> {
        let permit = self.place(dispatch.head_deadline).await?;
        let most = dispatch.meter.limits().response_body;
        let answer = most.saturating_add(self.limits.head as u64);
        let place = Place { _permit: permit, share: admitted.lane.allowance.share(answer) };
        let identity = dispatch.identity.or_else(|| admitted.lane.grant.identity().cloned());
        let client = self.pool(&admitted.lane, identity)?;
        let (parts, body) = request.into_parts();
        let mut outgoing = Request::new(Full::new(body.clone()));
        *outgoing.method_mut() = admitted.method;
        *outgoing.uri_mut() = admitted.destination.uri().clone();
        *outgoing.headers_mut() = parts.headers;
        outgoing.headers_mut().remove(header::HOST);
        outgoing
            .headers_mut()
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("symbolon/", env!("CARGO_PKG_VERSION"))));
        let is_head = *outgoing.method() == Method::HEAD;

        dispatch.meter.sending(body.len());
        let result = exchange(&client, outgoing, dispatch.head_deadline).await;
        dispatch.meter.settled(result.as_ref().err().is_none_or(EgressError::may_have_been_sent));
        let response = result.map_err(|error| place.share.cause_of(error))?;
        check_head(response.headers(), self.limits.head)?;
        let announced = announced_length(&response, is_head)?;
        let (parts, incoming) = response.into_parts();
        let bounds = Bounds {
            announced,
            most,
            deadline: dispatch.deadline,
            meter: dispatch.meter,
            place,
            client: Arc::clone(self),
        };
        Ok(Response::from_parts(parts, Inbound::new(incoming, bounds)?))
    }

    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, EgressError> {
        let until = deadline.min(Instant::now() + self.limits.patience);
        let acquire = Arc::clone(&self.exchanges).acquire_owned();
        match timeout_at(until, acquire).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(EgressError::ConnectionLimit),
        }
    }

    /// The lane's connections that speak as `identity`. A new identity (a renewed certificate)
    /// starts anew: what was made under the old one ends when its exchanges do.
    fn pool(
        &self,
        lane: &Lane,
        identity: Option<Arc<ClientIdentity>>,
    ) -> Result<Pooled, EgressError> {
        let mut pool = lane.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = pool.as_ref().filter(|open| is_same(&open.identity, &identity)) {
            return Ok(open.client.clone());
        }
        let client = self.open_pool(lane, identity.as_deref())?;
        *pool = Some(Pool { identity, client: client.clone() });
        Ok(client)
    }

    fn open_pool(
        &self,
        lane: &Lane,
        identity: Option<&ClientIdentity>,
    ) -> Result<Pooled, EgressError> {
        let trust = lane.grant.trust().unwrap_or(&self.network.trust);
        let connector = Connector {
            grant: Arc::clone(&lane.grant),
            allowance: Arc::clone(&lane.allowance),
            resolver: Arc::clone(&self.network.resolver),
            tls: client_config(trust, identity)?,
            connections: Arc::clone(&self.connections),
            timeout: self.limits.connect,
        };
        let head = self.limits.head.max(8192);
        let client = legacy::Client::builder(Tasks(Arc::downgrade(&self.tasks)))
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.limits.idle)
            .pool_max_idle_per_host(8)
            .http1_max_buf_size(head)
            .http1_max_headers(100)
            .http2_initial_stream_window_size(WINDOW)
            .http2_max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .build(connector);
        Ok(client)
    }
}

impl fmt::Debug for EgressClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants: Vec<_> = self.lanes.iter().map(|lane| lane.grant.to_string()).collect();
        f.debug_struct("EgressClient").field("grants", &grants).finish_non_exhaustive()
    }
}

fn is_same(a: &Option<Arc<ClientIdentity>>, b: &Option<Arc<ClientIdentity>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Up to the answer's head. hyper repeats a request by itself only if no byte of it was written.
async fn exchange(
    client: &Pooled,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Response<Incoming>, EgressError> {
    match timeout_at(deadline, client.request(request)).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(EgressError::Deadline),
    }
}

fn check_head(headers: &HeaderMap, most: usize) -> Result<(), EgressError> {
    // 32: what HTTP/2 counts for each field beside its bytes.
    let size: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 32).sum();
    if size > most { Err(EgressError::HeadTooLarge) } else { Ok(()) }
}

/// The length that the body must have, if the head says so.
fn announced_length<B>(response: &Response<B>, is_head: bool) -> Result<Option<u64>, EgressError> {
    let headers = response.headers();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    // Two lengths, or a length beside a transfer coding, are read differently by different
    // parties: that is how answers are smuggled.
    if lengths.next().is_some() || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(EgressError::LengthMismatch);
    }
    let has_no_body = is_head
        || response.status() == StatusCode::NO_CONTENT
        || response.status() == StatusCode::NOT_MODIFIED;
    if has_no_body {
        return Ok(None);
    }
    let text = first.to_str().unwrap_or_default();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let length = text.parse().ok().filter(|_| plain);
    length.map(Some).ok_or(EgressError::LengthMismatch)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity")
}

async fn collect(response: Response<Inbound>) -> Result<Response<Bytes>, EgressError> {
    let (parts, mut body) = response.into_parts();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            collected.extend_from_slice(&bytes);
        }
    }
    Ok(Response::from_parts(parts, collected.freeze()))
}

/// Runs the connections' tasks under their scope: they end with it. Weak, since the tasks
/// themselves hold executors.
#[derive(Clone)]
struct Tasks(Weak<Mutex<JoinSet<()>>>);

impl Tasks {
    fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
        tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = Self::lock(&tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
