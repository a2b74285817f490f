//! Against PostgreSQL 15 and 18.

use std::sync::Mutex;

use super::server::{Cut, HOST, SUPERUSER, Server, Wire};
use super::*;
use crate::sql::material;

const ADMIN: (&str, &str) = ("symbolon", "admin secret");

/// A server with an administrator who may make roles and is no superuser.
async fn server(variable: &str) -> Server {
    let server = Server::start(variable).await;
    let superuser = server.pool(SUPERUSER, 1);
    for text in [
        "CREATE ROLE symbolon LOGIN CREATEROLE PASSWORD 'admin secret'",
        "CREATE ROLE app_readonly NOLOGIN",
        "GRANT app_readonly TO symbolon WITH ADMIN OPTION",
        "CREATE DATABASE other",
    ] {
        ask(&superuser, text).await.unwrap();
    }
    server
}

async fn run(pool: &Pool, texts: &[&str]) -> Result<Vec<u64>, super::super::error::Failure> {
    let statements: Vec<_> = texts.iter().map(|text| statement(vec![raw(text)])).collect();
    let reached = Reached::default();
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    let outcome = pool.transaction(errand, None, &statements).await;
    let acted = outcome.as_ref().err().is_none_or(|failed| failed.sent);
    assert_eq!(acted, reached.is_set());
    outcome
}

async fn role_exists(pool: &Pool, name: &str) -> bool {
    let found = ask(pool, &format!("SELECT 1 FROM pg_roles WHERE rolname = '{name}'")).await;
    !found.unwrap().rows.is_empty()
}

#[tokio::test]
async fn a_user_is_issued_proven_and_revoked_on_15() {
    a_user_is_issued_proven_and_revoked("SYMBOLON_PG15").await;
}

#[tokio::test]
async fn a_user_is_issued_proven_and_revoked_on_18() {
    a_user_is_issued_proven_and_revoked("SYMBOLON_PG18").await;
}

/// The name, the password and the verifier are those of the host; the server's log has neither
/// the password nor, after the end, a login that works.
async fn a_user_is_issued_proven_and_revoked(variable: &str) {
    let server = server(variable).await;
    let admin = server.pool(ADMIN, 2);
    let (password, name) = (material::password().unwrap(), "sy_reader_\"'x");
    let verifier = material::verifier(&password).unwrap();
    let create = vec![
        raw("CREATE ROLE"),
        Fragment::Identifier(name.to_owned()),
        raw("LOGIN IN ROLE app_readonly PASSWORD"),
        Fragment::Material(VERIFIER.to_owned()),
        raw("VALID UNTIL"),
        Fragment::Literal("2126-01-01 00:00:00Z".to_owned()),
    ];
    let create = Statement::render(create, &[(VERIFIER.to_owned(), verifier.clone())]).unwrap();
    let reached = Reached::default();
    let errand = || Errand { deadline: soon(20_000), reached: &reached };
    assert_eq!(admin.transaction(errand(), None, &[create]).await.unwrap(), [0]);
    assert!(reached.is_set());

    let works = async |password: &Secret| admin.probe_login(name, password, soon(20_000)).await;
    assert!(works(&password).await.unwrap());
    assert!(!works(&secret("wrong")).await.unwrap());
    let change = async |change: &str| {
        let fragments = vec![raw("ALTER ROLE"), Fragment::Identifier(name.to_owned()), raw(change)];
        admin.execute(errand(), None, &statement(fragments)).await.unwrap();
    };
    change("VALID UNTIL '2000-01-01'").await;
    assert!(!works(&password).await.unwrap(), "expired");
    change("VALID UNTIL 'infinity' NOLOGIN").await;
    assert!(!works(&password).await.unwrap(), "may not log in");
    change("LOGIN CONNECTION LIMIT 0").await;
    assert!(works(&password).await.is_err(), "too many connections prove nothing");
    let drop = vec![raw("DROP ROLE"), Fragment::Identifier(name.to_owned())];
    admin.execute(errand(), None, &statement(drop.clone())).await.unwrap();
    assert!(!works(&password).await.unwrap(), "gone");
    let again = admin.execute(errand(), None, &statement(drop)).await.unwrap_err();
    assert_eq!(again.error.code(), "sqlstate_42704");

    let log = server.log();
    assert!(log.contains(verifier.expose_str().unwrap()), "the statement was logged");
    assert!(!log.contains(password.expose_str().unwrap()), "the password was logged");
}

#[tokio::test]
async fn what_is_taken_and_stopped_later_is_not_refused_on_15() {
    what_is_taken_and_stopped_later_is_not_refused("SYMBOLON_PG15").await;
}

#[tokio::test]
async fn what_is_taken_and_stopped_later_is_not_refused_on_18() {
    what_is_taken_and_stopped_later_is_not_refused("SYMBOLON_PG18").await;
}

/// A login that has no place in this database may have one in another.
async fn what_is_taken_and_stopped_later_is_not_refused(variable: &str) {
    let server = server(variable).await;
    let superuser = server.pool(SUPERUSER, 1);
    let other = |database: &str| {
        let database = database.to_owned();
        let settings =
            ServerSettings { database, ..settings(HOST, server.port, server.verified()) };
        let login = Arc::new(FixedLogin::new(ADMIN.0.to_owned(), secret(ADMIN.1)));
        Pool::new(settings, network(), login, PoolLimits::default()).unwrap()
    };
    ask(&superuser, "CREATE ROLE u LOGIN PASSWORD 'the password'").await.unwrap();
    let refused = async |database: &str, password: &str| {
        other(database).refuses_login("u", &secret(password), soon(20_000)).await
    };
    assert!(!refused("postgres", "the password").await.unwrap());
    assert!(refused("postgres", "another").await.unwrap());
    assert!(!refused("absent", "the password").await.unwrap(), "no such database");
    assert!(refused("absent", "another").await.unwrap());
    for (stopped, go_on) in [
        (
            "REVOKE CONNECT ON DATABASE other FROM PUBLIC",
            "GRANT CONNECT ON DATABASE other TO PUBLIC",
        ),
        (
            "ALTER DATABASE other ALLOW_CONNECTIONS false",
            "ALTER DATABASE other ALLOW_CONNECTIONS true",
        ),
        ("ALTER DATABASE other CONNECTION LIMIT 0", "ALTER DATABASE other CONNECTION LIMIT -1"),
        ("ALTER ROLE u CONNECTION LIMIT 0", "ALTER ROLE u CONNECTION LIMIT -1"),
        ("ALTER ROLE u SET standard_conforming_strings = off", "ALTER ROLE u RESET ALL"),
    ] {
        ask(&superuser, stopped).await.unwrap();
        assert!(!refused("other", "the password").await.unwrap(), "{stopped}");
        ask(&superuser, go_on).await.unwrap();
    }
    ask(&superuser, "ALTER ROLE u NOLOGIN").await.unwrap();
    assert!(refused("other", "the password").await.unwrap());
}

#[tokio::test]
async fn values_come_and_go_in_their_types() {
    let server = server("SYMBOLON_PG15").await;
    let admin = server.pool(ADMIN, 1);
    let given = [
        Value::Boolean(true),
        Value::Integer(-7),
        Value::Text("o'; DROP ROLE symbolon --\\".to_owned()),
        Value::Bytes(vec![0, 1, 255]),
        Value::Null,
    ];
    let mut fragments = vec![raw("SELECT")];
    for value in &given {
        fragments.push(Fragment::Parameter(value.clone()));
        fragments.push(raw(","));
    }
    fragments.push(raw(
        "1::int2 AS a, 2::int4, 3::oid, 'b'::name, '2026-11-01 12:00:00.5+00'::timestamptz, \
         'infinity'::timestamptz, pg_sleep(0), ''",
    ));
    let reached = Reached::default();
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    let rows = admin.query(errand, None, &statement(fragments)).await.unwrap();
    assert_eq!(rows.columns[5], "a");
    let expected = [
        Value::Integer(1),
        Value::Integer(2),
        Value::Integer(3),
        Value::Text("b".into()),
        Value::Text("2026-11-01T12:00:00.500000Z".into()),
        Value::Text("infinity".into()),
        Value::Null,
        Value::Text(String::new()),
    ];
    let expected: Vec<_> = given.iter().chain(&expected).collect();
    assert_eq!(format!("{:?}", rows.rows[0].iter().collect::<Vec<_>>()), format!("{expected:?}"));

    for (query, code) in [
        ("SELECT 1.5", "sql_column_type"),
        ("SELECT ARRAY['a']", "sql_column_type"),
        ("SELECT generate_series(1, 10001)", "sql_answer_too_large"),
        ("SELECT repeat('x', 1048577)", "sql_answer_too_large"),
        ("SELECT repeat('x', 100000000)", "sql_answer_too_large"),
        ("SELECT nonsense", "sqlstate_42703"),
        ("SELEC 1", "sqlstate_42601"),
        ("CREATE ROLE postgres", "sqlstate_42710"),
    ] {
        let failed = ask(&admin, query).await.unwrap_err();
        assert_eq!(failed.error.code(), code, "{query}");
        let fault = failed.into_fault();
        assert!(!fault.message.contains("postgres") && !fault.message.contains("nonsense"));
    }
    assert_eq!(ask(&admin, "SELECT generate_series(1, 10000)").await.unwrap().rows.len(), 10_000);
}

#[tokio::test]
async fn the_server_refuses_several_statements_too() {
    let server = server("SYMBOLON_PG15").await;
    let admin = server.pool(ADMIN, 1);
    let held = admin.checkout(None, soon(20_000)).await.unwrap();
    let (client, _) = held.parts().unwrap();
    for text in ["CREATE ROLE a; CREATE ROLE b", "SELECT 1; DROP ROLE app_readonly"] {
        let none: [(&str, tokio_postgres::types::Type); 0] = [];
        let refused = client.query_typed_raw(text, none).await.map(drop).unwrap_err();
        assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42601"));
    }
    drop(held);
    assert!(!role_exists(&admin, "a").await);
    assert!(role_exists(&admin, "app_readonly").await);
}

#[tokio::test]
async fn a_transaction_does_everything_or_nothing_and_says_which() {
    let server = server("SYMBOLON_PG15").await;
    let wire = Wire::to(server.port).await;
    let admin = pool((HOST, wire.port), Transport::Loopback, ADMIN, 1);
    let failed = run(&admin, &["CREATE ROLE a", "CREATE ROLE b", "CREATE ROLE a"]).await;
    let failed = failed.unwrap_err();
    assert_eq!((failed.error.code().as_ref(), failed.sent), ("sqlstate_42710", false));
    assert!(!role_exists(&admin, "b").await);
    assert_eq!(admin.idle(), 1, "a refused transaction costs no connection");

    for (cut, sent, exists) in [
        (Cut::Before("CREATE ROLE"), false, false),
        (Cut::After("CREATE ROLE"), false, false),
        (Cut::Before("COMMIT"), true, false),
        (Cut::After("COMMIT"), true, true),
    ] {
        *wire.cut.lock().unwrap() = Some(cut);
        let failed = run(&admin, &["CREATE ROLE c"]).await.unwrap_err();
        assert_eq!((failed.error.code().as_ref(), failed.sent), ("sql_connection_lost", sent));
        *wire.cut.lock().unwrap() = None;
        assert_eq!(role_exists(&admin, "c").await, exists, "{cut:?}");
    }
    // Outside a transaction the statement is its own commit.
    *wire.cut.lock().unwrap() = Some(Cut::After("DROP ROLE"));
    assert!(ask(&admin, "DROP ROLE c").await.unwrap_err().sent);
    *wire.cut.lock().unwrap() = None;
    assert!(!role_exists(&admin, "c").await);
}

#[tokio::test]
async fn nothing_of_one_call_is_there_for_the_next() {
    let server = server("SYMBOLON_PG15").await;
    let admin = server.pool(ADMIN, 1);
    assert_eq!(text(&admin, "SHOW standard_conforming_strings").await, "on");
    assert_eq!(text(&admin, "SHOW search_path").await, "pg_catalog,pg_temp");
    for text in [
        "SET application_name = 'left behind'",
        "SET ROLE app_readonly",
        "CREATE TEMP TABLE left_behind (x int)",
        "SELECT pg_advisory_lock(7)",
        "SET standard_conforming_strings = off",
    ] {
        ask(&admin, text).await.unwrap();
    }
    assert_eq!(text(&admin, "SHOW application_name").await, "symbolon");
    assert_eq!(text(&admin, "SELECT current_user").await, "symbolon");
    assert_eq!(text(&admin, "SHOW standard_conforming_strings").await, "on");
    let found = ask(&admin, "SELECT 1 FROM left_behind").await.unwrap_err();
    assert_eq!(found.error.code(), "sqlstate_42p01");
    let locks = ask(&admin, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").await.unwrap();
    assert!(locks.rows.is_empty());

    // A type that has to be looked up leaves statements behind; that connection is not kept.
    ask(&admin, "CREATE TYPE pg_temp.mood AS ENUM ('sad')").await.unwrap();
    assert_eq!(admin.idle(), 1);
    let superuser = server.pool(SUPERUSER, 1);
    ask(&superuser, "CREATE TYPE public.mood AS ENUM ('sad')").await.unwrap();
    let failed = ask(&admin, "SELECT 'sad'::public.mood").await.unwrap_err();
    assert_eq!(failed.error.code(), "sql_column_type");
    assert_eq!(admin.idle(), 0);
}

#[tokio::test]
async fn a_statement_ends_with_its_call_and_a_dead_connection_is_replaced() {
    let server = server("SYMBOLON_PG15").await;
    let (admin, superuser) = (server.pool(ADMIN, 1), server.pool(SUPERUSER, 1));
    let reached = Reached::default();
    let errand = Errand { deadline: soon(1000), reached: &reached };
    let failed = admin.query(errand, None, &statement(vec![raw("SELECT pg_sleep(60)")])).await;
    let failed = failed.unwrap_err();
    assert_eq!((failed.error.code().as_ref(), failed.sent), ("sqlstate_57014", false));

    let others =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'symbolon'";
    ask(&admin, "SELECT 1").await.unwrap();
    assert_eq!(admin.idle(), 1);
    ask(&superuser, others).await.unwrap();
    ask(&admin, "SELECT 1").await.unwrap();

    // In the middle of a statement: nobody knows.
    let sleeping = ask(&admin, "SELECT pg_sleep(60)");
    let killing = async {
        let busy = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
        while ask(&superuser, busy).await.unwrap().rows.is_empty() {}
        ask(&superuser, others).await.unwrap()
    };
    let (failed, _) = tokio::join!(sleeping, killing);
    let failed = failed.unwrap_err();
    assert!(failed.sent, "{:?}", failed.error);
    ask(&admin, "SELECT 1").await.unwrap();

    // A caller that goes away takes its connection along, and leaves room for the next.
    let reached = Reached::default();
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    let sleep = statement(vec![raw("SELECT pg_sleep(60)")]);
    let gone = tokio::time::timeout(Duration::from_millis(300), admin.query(errand, None, &sleep));
    assert!(gone.await.is_err());
    assert!(reached.is_set());
    ask(&admin, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn connections_are_bounded_over_all_databases() {
    let server = server("SYMBOLON_PG15").await;
    let admin = server.pool(ADMIN, 2);
    let reached = Reached::default();
    let name = statement(vec![raw("SELECT current_database()")]);
    for database in [None, Some("other"), Some("template1"), None] {
        let errand = Errand { deadline: soon(20_000), reached: &reached };
        let rows = admin.query(errand, database, &name).await.unwrap();
        let expected = database.unwrap_or("postgres");
        assert!(matches!(&rows.rows[0][0], Value::Text(found) if found == expected));
        assert!(admin.idle() <= 2);
    }
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    let absent = admin.query(errand, Some("absent"), &name).await.unwrap_err();
    assert_eq!((absent.error.code().as_ref(), absent.sent), ("sqlstate_3d000", false));

    let _one = admin.checkout(None, soon(20_000)).await.unwrap();
    let _two = admin.checkout(None, soon(20_000)).await.unwrap();
    let busy = admin.checkout(None, soon(200)).await.map(drop).unwrap_err();
    assert_eq!(busy.code(), "sql_connection_limit");
    assert!(admin.probe_login(ADMIN.0, &secret(ADMIN.1), soon(20_000)).await.unwrap());
}

#[tokio::test]
async fn tls_proves_the_configured_name() {
    let server = server("SYMBOLON_PG15").await;
    for (host, transport, code) in [
        ("other.example.test", server.verified(), "egress_certificate"),
        (HOST, Transport::Verified(None), "egress_certificate"),
    ] {
        let stranger = pool((host, server.port), transport, ADMIN, 1);
        assert_eq!(ask(&stranger, "SELECT 1").await.unwrap_err().error.code(), code, "{host}");
    }
    let admin = server.pool(ADMIN, 1);
    let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(matches!(ask(&admin, ssl).await.unwrap().rows[0][0], Value::Boolean(true)));
}

/// A login that is replaced while the pool is in use.
#[derive(Debug)]
struct Changing(Mutex<(Vec<Login>, Vec<u64>)>);

impl LoginSource for Changing {
    fn candidates(&self) -> Vec<Login> {
        self.0.lock().unwrap().0.clone()
    }

    fn proven(&self, generation: u64) {
        self.0.lock().unwrap().1.push(generation);
    }
}

#[tokio::test]
async fn a_login_is_replaced_without_a_gap() {
    let server = server("SYMBOLON_PG18").await;
    let login = |password: &Secret, generation| Login {
        user: ADMIN.0.to_owned(),
        password: password.clone(),
        generation,
    };
    let (old, new) = (secret(ADMIN.1), material::password().unwrap());
    let source = Arc::new(Changing(Mutex::new((vec![login(&old, 1)], Vec::new()))));
    let settings = settings(HOST, server.port, server.verified());
    let pool = Pool::new(settings, network(), source.clone(), PoolLimits::default()).unwrap();
    ask(&pool, "SELECT 1").await.unwrap();

    // Written down, not yet in force: the new one is refused, the old one serves.
    source.0.lock().unwrap().0 = vec![login(&new, 2), login(&old, 1)];
    pool.close_idle();
    ask(&pool, "SELECT 1").await.unwrap();
    assert_eq!(source.0.lock().unwrap().1, [1, 1]);

    let verifier = material::verifier(&new).unwrap();
    let change =
        vec![raw("ALTER ROLE CURRENT_USER PASSWORD"), Fragment::Material(VERIFIER.to_owned())];
    let change = Statement::render(change, &[(VERIFIER.to_owned(), verifier)]).unwrap();
    let reached = Reached::default();
    let errand = Errand { deadline: soon(20_000), reached: &reached };
    pool.execute(errand, None, &change).await.unwrap();
    assert!(pool.probe_login(ADMIN.0, &new, soon(20_000)).await.unwrap());
    assert!(!pool.probe_login(ADMIN.0, &old, soon(20_000)).await.unwrap());
    source.0.lock().unwrap().0 = vec![login(&new, 2)];
    ask(&pool, "SELECT 1").await.unwrap();
    assert_eq!(
        source.0.lock().unwrap().1.last(),
        Some(&2),
        "connections of the old one are not used"
    );

    // A login that nobody takes is said to be refused, and is no proof of anything else.
    source.0.lock().unwrap().0 = vec![login(&old, 3)];
    let failed = ask(&pool, "SELECT 1").await.unwrap_err();
    assert_eq!((failed.error.code().as_ref(), failed.sent), ("sqlstate_28p01", false));
    assert_eq!(failed.into_fault().kind, ErrorKind::Unauthenticated);
}
