//! An issuer's documents, over TLS, as wrong as a test wants them. Strict in what it is asked: only
//! `GET`, only the two documents, only without a body and without credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};

use super::server::{Reply, Server};
use super::web::Identity;

#[derive(Debug)]
struct State {
    configuration: Mutex<Option<Reply>>,
    keys: Mutex<Reply>,
    fetches: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

/// A running endpoint, which ends when dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Endpoint {
    pub(in crate::e2e) port: u16,
    server: Server,
    state: Arc<State>,
}

impl Endpoint {
    /// One that answers `keys` at `/jwks`, and no discovery document.
    pub(in crate::e2e) async fn start(keys: Reply) -> Self {
        Self::named("idp.example.test", keys).await
    }

    /// One whose certificate is for `name` and loopback.
    pub(in crate::e2e) async fn named(name: &str, keys: Reply) -> Self {
        Self::with(Identity::new(name), keys).await
    }

    /// One with this certificate.
    pub(in crate::e2e) async fn with(identity: Identity, keys: Reply) -> Self {
        let state = Arc::new(State {
            configuration: Mutex::new(None),
            keys: Mutex::new(keys),
            fetches: AtomicUsize::new(0),
            faults: Mutex::default(),
        });
        let asked = state.clone();
        let server = Server::start(identity, move |head, body| answer(&asked, head, body)).await;
        Self { port: server.port, server, state }
    }

    /// Says `keys` from now on.
    pub(in crate::e2e) fn say(&self, keys: Reply) {
        *self.state.keys.lock().unwrap() = keys;
    }

    /// Says this discovery document from now on.
    pub(in crate::e2e) fn configure(&self, document: Reply) {
        *self.state.configuration.lock().unwrap() = Some(document);
    }

    /// How often keys were fetched.
    pub(in crate::e2e) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// That nothing was asked of it but what it is for.
    pub(in crate::e2e) fn assert_asked_properly(&self) {
        let faults = self.state.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }

    pub(in crate::e2e) fn certificate(&self) -> std::path::PathBuf {
        self.server.identity.certificate()
    }
}

fn answer(state: &State, head: &Parts, body: &Bytes) -> Reply {
    let is_proper = head.method == Method::GET
        && head.uri.query().is_none()
        && body.is_empty()
        && !head.headers.contains_key(header::AUTHORIZATION)
        && !head.headers.contains_key(header::COOKIE);
    let document = match head.uri.path() {
        _ if !is_proper => None,
        "/jwks" => {
            state.fetches.fetch_add(1, Ordering::SeqCst);
            Some(state.keys.lock().unwrap().clone())
        }
        "/.well-known/openid-configuration" => state.configuration.lock().unwrap().clone(),
        _ => None,
    };
    document.unwrap_or_else(|| {
        state.faults.lock().unwrap().push(format!("{} {}", head.method, head.uri));
        Reply::status(400)
    })
}
