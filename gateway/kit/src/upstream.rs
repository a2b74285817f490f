//! The scripted upstream: a real server on loopback that knows what it will be asked.
//!
//! INVARIANT: in a strict run every request is held against the next one of the script, and one that
//! differs is a fault of the run; it gets no answer of the script. In a run in which the upstream
//! misbehaves a plugin may ask again or stop, so that requests are found by what they are.
//!
//! It speaks HTTP/1.1, in the clear or over TLS by the first byte. It ends with its value.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::asked::{Asked, Wanted};
use crate::misbehaviour::Misbehaviour;
use crate::reply::{self, Body, Reply};
use crate::script::Exchange;
use crate::terms::Terms;

/// Largest request that is read: the host sends no larger one.
const MAX_REQUEST_BYTES: usize = 2 << 20;
/// First byte of a TLS handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// How closely the script is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each request in its turn. `again` where the host may ask once more from the beginning.
    Strict {
        /// Whether it may.
        again: bool,
    },
    /// Requests as they come; the one at this place is answered badly.
    Misbehave(usize, Misbehaviour),
    /// Requests as they come, whatever their bodies.
    Lenient,
}

/// What happened at the upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Requests that differ from the script, or were not made.
    pub(crate) faults: Vec<String>,
    /// Requests, of whatever kind.
    pub(crate) requests: usize,
    /// Requests that may have had an effect.
    pub(crate) acting: usize,
    /// How often the request was made whose answer is bad.
    pub(crate) hits: usize,
}

struct Step {
    wanted: Wanted,
    reply: Reply,
    used: bool,
}

struct State {
    steps: Vec<Step>,
    mode: Mode,
    next: usize,
    rounds: usize,
    seen: Seen,
}

/// A running upstream.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Starts one. `said` are the terms of its answers, `terms` those of the requests.
    pub(crate) async fn start(
        exchanges: &[Exchange],
        mode: Mode,
        (terms, said): (&Terms, &Terms),
        tls: Arc<ServerConfig>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let step = |exchange: &Exchange| Step {
            wanted: Wanted::of(&exchange.request, terms),
            reply: Reply::of(&exchange.answer, said),
            used: false,
        };
        let steps = exchanges.iter().map(step).collect();
        let state = State { steps, mode, next: 0, rounds: 0, seen: Seen::default() };
        let state = Arc::new(Mutex::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state), TlsAcceptor::from(tls)));
        Ok(Self { address, state, _tasks: tasks })
    }

    /// What has happened, with the requests that should have been made and were not.
    pub(crate) fn seen(&self) -> Seen {
        let state = lock(&self.state);
        let mut seen = state.seen.clone();
        if matches!(state.mode, Mode::Strict { .. }) {
            let missing = state.steps.iter().skip(state.next);
            seen.faults.extend(missing.map(|step| format!("not asked: {}", step.wanted)));
        }
        seen
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Reply {
        self.seen.requests += 1;
        self.seen.acting += usize::from(asked.acts());
        match self.mode {
            Mode::Strict { again } => self.in_turn(asked, again),
            Mode::Lenient => self.found(asked).map_or_else(Reply::unknown, |(_, reply)| reply),
            Mode::Misbehave(at, how) => match self.found(asked) {
                Some((found, reply)) if self.is_same(found, at) => {
                    self.seen.hits += 1;
                    // Of requests that are the same, those before the bad one are answered well.
                    let well = self.alike(at).iter().filter(|n| **n < at).count();
                    if self.seen.hits > well { reply.gone_bad(how) } else { reply }
                }
                Some((_, reply)) => reply,
                None => Reply::unknown(),
            },
        }
    }

    fn in_turn(&mut self, asked: &Asked, again: bool) -> Reply {
        if again && self.next >= self.steps.len() && self.rounds == 0 {
            (self.next, self.rounds) = (0, 1);
        }
        let Some(step) = self.steps.get(self.next) else {
            self.seen.faults.push(format!("nobody expects the request {asked}"));
            return Reply::unknown();
        };
        let differences = step.wanted.differences(asked);
        if differences.is_empty() {
            self.next += 1;
            return step.reply.clone();
        }
        let wanted = &step.wanted;
        let differences = differences.join("; ");
        self.seen.faults.push(format!("{asked} differs from {wanted}: {differences}"));
        Reply::unknown()
    }

    /// The step that fits best: one that fits whole before one that fits by method and path, one that
    /// was not used before one that was.
    fn found(&mut self, asked: &Asked) -> Option<(usize, Reply)> {
        let whole = |step: &Step| step.wanted.differences(asked).is_empty();
        let by_place = |step: &Step| step.wanted.is_place_of(asked);
        let unused = |test: &dyn Fn(&Step) -> bool| {
            self.steps.iter().position(|step| !step.used && test(step))
        };
        let any = |test: &dyn Fn(&Step) -> bool| self.steps.iter().position(test);
        let at = unused(&whole)
            .or_else(|| any(&whole))
            .or_else(|| unused(&by_place))
            .or_else(|| any(&by_place))?;
        let step = self.steps.get_mut(at)?;
        step.used = true;
        Some((at, step.reply.clone()))
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.alike(b).contains(&a)
    }

    /// The places of the requests that are the same as that at `of`.
    fn alike(&self, of: usize) -> Vec<usize> {
        let Some(step) = self.steps.get(of) else { return Vec::new() };
        let same = self.steps.iter().enumerate().filter(|(_, other)| other.wanted == step.wanted);
        same.map(|(at, _)| at).collect()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, tls: TlsAcceptor) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state), tls.clone()));
    }
}

/// Serves one connection. Whatever ends it is seen at the other side.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, tls: TlsAcceptor) {
    let mut first = [0];
    let Ok(1) = stream.peek(&mut first).await else { return };
    if first == [HANDSHAKE] {
        if let Ok(stream) = tls.accept(stream).await {
            speak(TokioIo::new(stream), state, "https").await;
        }
    } else {
        speak(TokioIo::new(stream), state, "http").await;
    }
}

async fn speak<S>(stream: S, state: Arc<Mutex<State>>, scheme: &'static str)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(|request| respond(request, Arc::clone(&state), scheme));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
    // An error is what some replies are about.
    let _ended = connection.await;
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    scheme: &'static str,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, MAX_REQUEST_BYTES).collect().await;
    let body = body.map_err(|_| io::Error::other("the request is too large"))?.to_bytes();
    let asked = Asked::new(scheme, &parts, body);
    let reply = lock(&state).answer(&asked);
    reply::respond(reply).await
}
