//! Against servers: real ones, and ones that misbehave.

mod hostile;
mod real;
mod server;

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, RequestId};
use symbolon_core::secret::Secret;
use tokio::time::Instant;

use super::run::{Errand, Reached};
use super::statement::Statement;
use super::*;
use crate::bindings::sql::{Fragment, Host as _, Rows, Value};
use crate::bindings::types::ErrorKind;
use crate::egress::{Network, SystemResolver};
use crate::state::{Shared, State};
use crate::{CallContext, Limits, NoEgress};

pub(super) fn raw(text: &str) -> Fragment {
    Fragment::Raw(text.to_owned())
}

pub(super) fn statement(fragments: Vec<Fragment>) -> Statement {
    Statement::render(fragments, &[]).unwrap()
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

pub(super) fn soon(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// A pool as `user` of what is on `port` of loopback, under the rules of `transport`.
pub(super) fn pool(
    (host, port): (&str, u16),
    transport: Transport,
    (user, password): (&str, &str),
    connections: usize,
) -> Pool {
    let login = Arc::new(FixedLogin::new(user.to_owned(), secret(password)));
    let limits = PoolLimits { connections, ..PoolLimits::default() };
    Pool::new(settings(host, port, transport), network(), login, limits).unwrap()
}

pub(super) fn settings(host: &str, port: u16, transport: Transport) -> ServerSettings {
    ServerSettings {
        host: host.to_owned(),
        port,
        database: "postgres".to_owned(),
        addresses: vec!["127.0.0.0/8".parse().unwrap()],
        resolve: Some(([127, 0, 0, 1], port).into()),
        transport,
        statement: Duration::from_secs(20),
    }
}

/// The system's roots are not asked for: most machines of tests have none.
pub(super) fn network() -> Network {
    let authority = rcgen::generate_simple_self_signed(vec!["nobody.test".to_owned()]).unwrap();
    let trust = crate::egress::Trust::from_pem(authority.cert.pem().as_bytes()).unwrap();
    Network::new(Arc::new(SystemResolver), trust)
}

/// What a query answers, in 20 s.
pub(super) async fn ask(pool: &Pool, text: &str) -> Result<Rows, super::error::Failure> {
    let reached = Reached::default();
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    pool.query(errand, None, &statement(vec![raw(text)])).await
}

/// The text of the one value that a query answers.
pub(super) async fn text(pool: &Pool, query: &str) -> String {
    let value = ask(pool, query).await.unwrap().rows.remove(0).remove(0);
    let Value::Text(text) = value else { panic!("{value:?} is no text") };
    text
}

fn state(database: Option<Arc<Pool>>) -> State {
    let shared = Shared {
        backend: Some(BackendName::parse("db").unwrap()),
        config: "{}".to_owned(),
        roles: Vec::new(),
        outbound: Box::new(NoEgress),
        database,
        limits: Limits::default(),
        clock: None,
    };
    let request_id = RequestId::new(Timestamp::from_seconds(1_800_000_000), 1);
    let context = CallContext { request_id, deadline: Duration::from_secs(60), on_behalf: None };
    State::new(Arc::new(shared), context, soon(20_000), &[])
}

#[tokio::test]
async fn without_a_database_every_call_is_refused_and_nothing_was_sent() {
    let mut state = state(None);
    let select = || vec![raw("SELECT 1")];
    let faults = [
        state.query(None, select()).await.map(drop).unwrap_err(),
        state.execute(None, select()).await.map(drop).unwrap_err(),
        state.transaction(Some("x".to_owned()), vec![select()]).await.map(drop).unwrap_err(),
    ];
    for fault in faults {
        assert_eq!((fault.kind, fault.code.as_str()), (ErrorKind::PermissionDenied, "no_database"));
        assert!(!fault.request_sent);
    }
    assert!(!state.reached());
}

#[tokio::test]
async fn what_the_host_refuses_is_never_sent() {
    // Nobody listens there: what got so far would be `unavailable`.
    let nobody = pool(("localhost", 1), Transport::Loopback, ("a", "b"), 1);
    let mut state = state(Some(Arc::new(nobody)));
    let long = "x".repeat(64);
    for (database, fragments, code) in [
        (None, vec![raw("SELECT 1; SELECT 2")], "statement_several"),
        (None, vec![raw("COMMIT")], "statement_control"),
        (None, vec![raw("SELECT"), Fragment::Material("password".into())], "statement_material"),
        (Some(long.as_str()), vec![raw("SELECT 1")], "statement_database"),
        (Some("a\0user\0b"), vec![raw("SELECT 1")], "statement_database"),
    ] {
        let fault = state.query(database.map(str::to_owned), fragments).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (ErrorKind::InvalidRequest, code));
    }
    let many = vec![vec![raw("SELECT 1")]; 65];
    assert_eq!(state.transaction(None, many).await.unwrap_err().code, "statement_too_many");
    for _ in 0..260 {
        drop(state.query(None, vec![raw("COMMIT")]).await);
    }
    let spent = state.query(None, vec![raw("SELECT 1")]).await.unwrap_err();
    assert_eq!((spent.kind, spent.code.as_str()), (ErrorKind::RateLimited, "sql_budget"));
    assert!(!state.reached());
}
