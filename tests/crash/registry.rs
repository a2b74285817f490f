//! A server that remembers what was issued: the one behind the test guests `issuer*`. It knows how a
//! create lands late: it is taken, and has its effect when the test says so.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use symbolon_core::id::LeaseId;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The server, until it is dropped.
pub(super) struct Registry {
    port: u16,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    issued: BTreeSet<LeaseId>,
    /// Taken, and not done yet.
    under_way: BTreeSet<LeaseId>,
    is_slow: bool,
    revocations: usize,
}

impl Registry {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, state.clone()));
        Self { port, state, _tasks: tasks }
    }

    /// The backend `reg` of a plugin that issues here, with the role `app`.
    pub(super) fn blocks(&self, plugin: &str, role: &str) -> String {
        let port = self.port;
        format!(
            r#"
[backends.reg]
plugin = "{plugin}"
config = {{ server = "http://127.0.0.1:{port}" }}
[[backends.reg.egress]]
scheme = "http"
host = "127.0.0.1"
port = {port}
methods = ["DELETE", "GET", "POST", "PUT"]
addresses = ["127.0.0.0/8"]
[backends.reg.roles.app]
{role}
"#
        )
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// What is usable.
    pub(super) fn issued(&self) -> BTreeSet<LeaseId> {
        self.with(|state| state.issued.clone())
    }

    /// How often it was asked to end something.
    pub(super) fn revocations(&self) -> usize {
        self.with(|state| state.revocations)
    }

    /// From now on what is asked for is taken and not done.
    pub(super) fn be_slow(&self) {
        self.with(|state| state.is_slow = true);
    }

    /// What was taken and is not done.
    pub(super) fn under_way(&self) -> BTreeSet<LeaseId> {
        self.with(|state| state.under_way.clone())
    }

    /// What was taken lands.
    pub(super) fn land(&self) {
        self.with(|state| state.issued.append(&mut state.under_way));
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| answer(state.clone(), request));
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(tcp), answer).await;
        });
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = act(&mut state.lock().unwrap(), request.method(), request.uri().path());
    let Some((status, body)) = outcome else { return std::future::pending().await };
    let answer = Response::builder().status(status).body(Full::new(Bytes::from(body)));
    Ok(answer.unwrap())
}

/// `None` for what is taken and not answered.
fn act(state: &mut State, method: &Method, path: &str) -> Option<(StatusCode, String)> {
    let rest = path.strip_prefix("/issued").unwrap_or_else(|| panic!("{method} {path}"));
    let Some(id) = rest.strip_prefix('/') else {
        let ids: Vec<_> = state.issued.iter().map(LeaseId::to_string).collect();
        return Some((StatusCode::OK, serde_json::to_string(&ids).unwrap()));
    };
    let id = LeaseId::parse(id).unwrap_or_else(|_| panic!("{method} {path}"));
    let there = match *method {
        Method::PUT if state.is_slow => {
            state.under_way.insert(id);
            return None;
        }
        Method::PUT => {
            state.issued.insert(id);
            true
        }
        Method::DELETE => {
            state.revocations += 1;
            state.issued.remove(&id)
        }
        _ => state.issued.contains(&id),
    };
    Some((if there { StatusCode::OK } else { StatusCode::NOT_FOUND }, String::new()))
}
