//! Servers that misbehave: each costs one call, in bounded time and memory.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressError;

/// What a server does with each connection.
#[derive(Clone, Copy)]
enum Manner {
    Silent,
    Closing,
    Garbage,
    /// Sends without end.
    Flooding,
    /// Says that a message of 2 GiB follows, and begins it.
    Announcing,
    /// Refuses TLS.
    Plain,
    /// Agrees to TLS and sends garbage.
    BrokenTls,
}

async fn serve(mut stream: TcpStream, manner: Manner) {
    let mut asked = [0; 1024];
    let _ = stream.read(&mut asked).await;
    let garbage = [0x5a_u8; 4096];
    match manner {
        Manner::Silent => std::future::pending::<()>().await,
        Manner::Closing => {}
        Manner::Garbage => drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await),
        Manner::Plain => drop(stream.write_all(b"N").await),
        Manner::BrokenTls => {
            let _ = stream.write_all(b"S").await;
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&garbage).await;
        }
        Manner::Announcing => {
            let _ = stream.write_all(b"R\x7f\xff\xff\xff").await;
            while stream.write_all(&garbage).await.is_ok() {}
        }
        Manner::Flooding => {
            // Parameters, one after the other: a client has to take them all.
            while stream.write_all(b"S\0\0\0\x0ca\0bcdef\0").await.is_ok() {}
        }
    }
}

async fn listening(manner: Manner) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, manner));
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn a_server_that_misbehaves_costs_one_call_and_was_sent_nothing() {
    for (manner, tls, codes) in [
        (Manner::Silent, false, &["sql_deadline"][..]),
        (Manner::Silent, true, &["sql_deadline"]),
        (Manner::Closing, false, &["sql_connection_lost"]),
        (Manner::Closing, true, &["sql_connection_lost"]),
        (Manner::Garbage, false, &["sql_connection_lost"]),
        (Manner::Garbage, true, &["egress_tls"]),
        (Manner::Plain, true, &["egress_tls"]),
        (Manner::BrokenTls, true, &["egress_tls"]),
        (Manner::Announcing, false, &["sql_answer_too_large"]),
        (Manner::Flooding, false, &["sql_answer_too_large", "sql_connection_lost"]),
    ] {
        let (port, _server) = listening(manner).await;
        let transport = if tls { Transport::Verified(None) } else { Transport::Loopback };
        let pool = pool(("db.example.test", port), transport, ("admin", "hunter2"), 1);
        let reached = Reached::default();
        let errand = Errand { deadline: soon(500), reached: &reached };
        let failed = pool.query(errand, None, &statement(vec![raw("SELECT 1")])).await.unwrap_err();
        let code = failed.error.code();
        assert!(codes.contains(&code.as_ref()), "{code}: {:?}", failed.error);
        assert!(!failed.sent && !reached.is_set(), "{code}");
        assert_eq!(pool.idle(), 0);
        let proof = pool.probe_login("u", &secret("p"), soon(500)).await;
        assert!(proof.is_err(), "{code} proves nothing");
        let proof = pool.refuses_login("u", &secret("p"), soon(500)).await;
        assert!(proof.is_err(), "{code} proves nothing");
    }
}

/// A message of the server's.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// What a server says to a login before it does anything with the password.
fn refusal(sqlstate: &str, routine: &str) -> Vec<u8> {
    let fields = [("S", "FATAL"), ("V", "FATAL"), ("C", sqlstate), ("M", "no"), ("R", routine)];
    let fields: String = fields.iter().map(|(kind, text)| format!("{kind}{text}\0")).collect();
    message(b'E', format!("{fields}\0").as_bytes())
}

/// A server that answers each login with the same.
async fn saying(answer: Vec<u8>) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&answer).await;
            // Until the client has had enough.
            while let Ok(1..) = stream.read(&mut asked).await {}
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn only_a_refusal_of_the_login_itself_is_taken_for_one() {
    let welcome = [
        message(b'R', &[0, 0, 0, 0]),
        message(b'S', b"standard_conforming_strings\0on\0"),
        message(b'Z', b"I"),
    ];
    for (answer, refused) in [
        (welcome.concat(), Some(false)),
        (refusal("28P01", "auth_failed"), Some(true)),
        (refusal("28000", "InitializeSessionUserId"), Some(true)),
        // A rule, a certificate or a directory that says no says it of where the login comes from.
        (refusal("28000", "ClientAuthentication"), None),
        (refusal("28000", "auth_failed"), None),
        (refusal("3D000", "InitPostgres"), Some(false)),
        (refusal("42501", "CheckMyDatabase"), Some(false)),
        (refusal("53300", "InitializeSessionUserId"), Some(false)),
        (refusal("53300", "ProcessStartupPacket"), None),
        (refusal("57P03", "ProcessStartupPacket"), None),
        (refusal("", ""), None),
    ] {
        let (port, _server) = saying(answer.clone()).await;
        let pool = pool(("db.example.test", port), Transport::Loopback, ("admin", "hunter2"), 1);
        let found = pool.refuses_login("u", &secret("p"), soon(5000)).await;
        assert_eq!(found.ok(), refused, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn without_tls_nothing_but_loopback_is_dialled_and_metadata_never() {
    let login = || Arc::new(FixedLogin::new("u".to_owned(), secret("p")));
    let with = |transport, host: &str, resolve: Option<&str>, granted: &str| {
        let settings = ServerSettings {
            resolve: resolve.map(|address| address.parse().unwrap()),
            addresses: vec![granted.parse().unwrap()],
            ..settings(host, 5432, transport)
        };
        Pool::new(settings, network(), login(), PoolLimits::default())
    };
    for (transport, address) in [
        (Transport::Loopback, "10.0.0.1:5432"),
        (Transport::Loopback, "8.8.8.8:5432"),
        (Transport::Verified(None), "169.254.169.254:5432"),
    ] {
        let refused = with(transport, "db.test", Some(address), "0.0.0.0/0").unwrap_err();
        let SqlError::Unreachable(EgressError::AddressRefused { .. }) = refused else {
            panic!("{address}: {refused:?}")
        };
    }
    for (transport, host, granted) in [
        (Transport::Loopback, "8.8.8.8", "0.0.0.0/0"),
        (Transport::Loopback, "10.0.0.1", "0.0.0.0/0"),
        (Transport::Verified(None), "10.0.0.1", "127.0.0.0/8"),
        (Transport::Verified(None), "169.254.169.254", "0.0.0.0/0"),
    ] {
        let pool = with(transport, host, None, granted).unwrap();
        let failed = ask(&pool, "SELECT 1").await.unwrap_err();
        assert_eq!(failed.error.code(), "egress_address_refused", "{host}");
    }
}
