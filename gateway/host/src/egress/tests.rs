use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};

use super::address::{Class, Special};
use super::testing::{Authority, Script, Server, client, granted, local};
use super::{ClientLimits, EgressClient, EgressError, FetchLimits, Grant, Network};

const LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(5), max_body: 1024 };
/// For what never answers.
const SHORT: FetchLimits = FetchLimits { deadline: Duration::from_millis(150), max_body: 1024 };

fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).body(Bytes::new()).unwrap()
}

async fn fetch(
    script: &Arc<Script>,
    grant: Grant,
    uri: &str,
) -> Result<Response<Bytes>, EgressError> {
    let client = client(Arc::clone(script) as _, &Authority::new(), vec![grant]);
    Box::pin(client.fetch(get(uri), LIMITS)).await
}

/// Asks a plain server that answers with these bytes.
async fn answered(
    answer: impl Into<Bytes>,
    limits: FetchLimits,
) -> Result<Response<Bytes>, EgressError> {
    let server = Server::raw(answer).await;
    let url = format!("http://api.test:{}/", server.port());
    let client = client(Script::loopback(), &Authority::new(), vec![local(&url)]);
    Box::pin(client.fetch(get(&url), limits)).await
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_granted_host_answers_at_a_granted_address() {
    let server = Server::raw(OK).await;
    let url = format!("http://api.test:{}/v1", server.port());
    let answer = fetch(&Script::loopback(), local(&url), &format!("{url}/x?a=1")).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"ok");
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("GET /v1/x?a=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: api.test:{}\r\n", server.port())), "{seen}");
}

#[tokio::test]
async fn what_no_grant_covers_is_refused_before_the_name_is_resolved() {
    let script = Script::loopback();
    for uri in [
        "https://api.test:1/v1",
        "http://other.test:1/v1",
        "http://api.test:2/v1",
        "http://api.test:1/v2",
        "http://api.test:1/v1x",
    ] {
        let refused = fetch(&script, local("http://api.test:1/v1"), uri).await.unwrap_err();
        assert!(matches!(refused, EgressError::NotGranted(_)), "{uri} {refused}");
        assert!(refused.to_string().contains("GET http"), "{refused}");
    }
    let client =
        client(Arc::clone(&script) as _, &Authority::new(), vec![local("http://api.test:1/v1")]);
    let delete = Request::delete("http://api.test:1/v1").body(Bytes::new()).unwrap();
    let refused = Box::pin(client.fetch(delete, LIMITS)).await.unwrap_err();
    assert!(matches!(refused, EgressError::NotGranted(_)), "{refused}");
    assert_eq!(script.asked(), 0);
}

#[tokio::test]
async fn inside_addresses_need_a_grant_and_metadata_has_none() {
    let all = || vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let plain = || granted("https://api.test/");
    for (answer, grant, class) in [
        (&["127.0.0.1"][..], plain(), Class::Special(Special::Loopback)),
        (&["::1"], plain(), Class::Special(Special::Loopback)),
        (&["::ffff:127.0.0.1"], plain(), Class::Special(Special::Loopback)),
        (&["10.1.2.3"], local("https://api.test/"), Class::Special(Special::Private)),
        (&["169.254.169.254"], plain().at(all()), Class::Metadata),
        (&["::ffff:169.254.169.254"], plain().at(all()), Class::Metadata),
        (&["64:ff9b::a9fe:a9fe"], plain().at(all()), Class::Metadata),
        (&["fd00:ec2::254"], plain().at(all()), Class::Metadata),
        (&["127.0.0.1", "169.254.169.254"], plain().at(all()), Class::Metadata),
    ] {
        let refused = fetch(&Script::new([answer]), grant, "https://api.test/").await.unwrap_err();
        let is_it =
            matches!(refused, EgressError::AddressRefused { class: found, .. } if found == class);
        assert!(is_it, "{answer:?} {refused:?}");
        assert!(!refused.may_have_been_sent());
    }
}

#[tokio::test]
async fn an_address_in_the_uri_is_checked_like_a_resolved_one() {
    for uri in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://169.254.169.254/"] {
        let refused = fetch(&Script::loopback(), granted(uri), uri).await.unwrap_err();
        assert!(matches!(refused, EgressError::AddressRefused { .. }), "{uri} {refused}");
    }
}

#[tokio::test]
async fn the_checked_address_is_the_dialled_one_though_the_name_is_rebound() {
    let server = Server::raw(OK).await;
    let url = format!("http://api.test:{}/", server.port());
    // A second lookup between check and dial would get the second answer.
    let script = Script::new([&["127.0.0.1"], &["10.0.0.1"]]);
    let client = client(Arc::clone(&script) as _, &Authority::new(), vec![local(&url)]);
    Box::pin(client.fetch(get(&url), LIMITS)).await.unwrap();
    assert_eq!((script.asked(), server.accepted()), (1, 1));
    let refused = Box::pin(client.fetch(get(&url), LIMITS)).await.unwrap_err();
    assert!(matches!(refused, EgressError::AddressRefused { .. }), "{refused}");
    assert_eq!((script.asked(), server.accepted()), (2, 1));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_never_followed() {
    let inside = Server::raw(OK).await;
    let location = format!("http://127.0.0.1:{}/", inside.port());
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let refused = answered(answer, LIMITS).await.unwrap_err();
    assert!(matches!(refused, EgressError::Redirected), "{refused}");
    assert_eq!(inside.accepted(), 0);
}

#[tokio::test]
async fn answers_that_lie_or_swell_are_errors() {
    let long_header = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(2000));
    let huge = format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(5000));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n{}\r\n0\r\n\r\n",
        "a".repeat(2000)
    );
    let mut wrong = Vec::new();
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "egress_length_mismatch"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
            "egress_length_mismatch",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n", "egress_body_too_large"),
        (&huge, "egress_body_too_large"),
        (&chunked, "egress_body_too_large"),
        (&long_header, "egress_head_too_large"),
        (&many_headers, "egress_head_too_large"),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
            "egress_content_coding",
        ),
        ("SSH-2.0-OpenSSH\r\n", "egress_protocol"),
        ("", "egress_interrupted"),
    ] {
        let refused = answered(answer.to_owned(), LIMITS).await.unwrap_err();
        if refused.code() != code || !refused.may_have_been_sent() {
            wrong.push(format!("{answer:.60}: {refused:?} instead of {code}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_not_believed() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    // hyper may drop the length by itself; what must not happen is three bytes.
    if let Ok(answer) = answered(answer, LIMITS).await {
        assert_eq!(answer.body().as_ref(), b"ok");
    }
}

#[tokio::test]
async fn a_head_request_has_no_body_whatever_its_length_says() {
    let server = Server::raw("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await;
    let url = format!("http://api.test:{}/", server.port());
    let client = client(Script::loopback(), &Authority::new(), vec![local(&url)]);
    let request = Request::head(&url).body(Bytes::new()).unwrap();
    assert!(Box::pin(client.fetch(request, LIMITS)).await.unwrap().body().is_empty());
}

#[tokio::test]
async fn what_stalls_anywhere_meets_the_deadline() {
    for beginning in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nx-slow",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    ] {
        let server = Server::stalling(beginning).await;
        let url = format!("http://api.test:{}/", server.port());
        let client = client(Script::loopback(), &Authority::new(), vec![local(&url)]);
        let late = Box::pin(client.fetch(get(&url), SHORT)).await.unwrap_err();
        assert!(matches!(late, EgressError::Deadline), "{late}");
    }
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_meets_the_connect_timeout() {
    let server = Server::stalling(b"").await;
    let url = format!("https://api.test:{}/", server.port());
    let network = Network::new(Script::loopback(), Authority::new().trust());
    let limits = ClientLimits { connect: Duration::from_millis(100), ..ClientLimits::default() };
    let client = EgressClient::new(network, vec![local(&url)], limits);
    let late = Box::pin(client.fetch(get(&url), LIMITS)).await.unwrap_err();
    assert!(matches!(late, EgressError::Tls(_)), "{late}");
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_and_one_connection_serves_many() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.test", false)).await;
    let url = format!("https://api.test:{}/", server.port());
    let client = client(Script::loopback(), &authority, vec![local(&url)]);
    for _ in 0..5 {
        let answer = Box::pin(client.fetch(get(&url), LIMITS)).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"HTTP/2.0");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn answers_that_are_cut_off_leave_the_connection_to_others() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.test", false)).await;
    let url = format!("https://api.test:{}/", server.port());
    let client = client(Script::loopback(), &authority, vec![local(&url)]);
    let large = format!("{url}large");
    for _ in 0..20 {
        let (cut, whole) = tokio::join!(
            Box::pin(client.fetch(get(&large), LIMITS)),
            Box::pin(client.fetch(get(&url), LIMITS)),
        );
        assert!(matches!(cut, Err(EgressError::BodyTooLarge)), "{cut:?}");
        assert_eq!(whole.unwrap().body().as_ref(), b"HTTP/2.0");
    }
    assert!(server.accepted() <= 2, "{} connections", server.accepted());
}

#[tokio::test]
async fn connections_of_one_grant_never_serve_another() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.test", false)).await;
    let base = format!("https://api.test:{}", server.port());
    let grants = vec![local(&format!("{base}/a")), local(&format!("{base}/b"))];
    let client = client(Script::loopback(), &authority, grants);
    for path in ["/a", "/b", "/a", "/b"] {
        Box::pin(client.fetch(get(&format!("{base}{path}")), LIMITS)).await.unwrap();
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_certificate_must_prove_the_uris_name_under_a_trusted_root() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let other_name = Server::tls(authority.server("other.test", false)).await;
    let other_root = Server::tls(stranger.server("api.test", false)).await;
    for server in [other_name, other_root] {
        let url = format!("https://api.test:{}/", server.port());
        let client = client(Script::loopback(), &authority, vec![local(&url)]);
        let refused = Box::pin(client.fetch(get(&url), LIMITS)).await.unwrap_err();
        assert!(matches!(refused, EgressError::Certificate(_)), "{refused:?}");
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn a_grants_own_roots_replace_the_systems() {
    let (system, private) = (Authority::new(), Authority::new());
    let server = Server::tls(private.server("api.test", false)).await;
    let url = format!("https://api.test:{}/", server.port());
    let trusting = client(Script::loopback(), &system, vec![local(&url).trusting(private.trust())]);
    Box::pin(trusting.fetch(get(&url), LIMITS)).await.unwrap();
    let server = Server::tls(system.server("api.test", false)).await;
    let url = format!("https://api.test:{}/", server.port());
    let replaced = client(Script::loopback(), &system, vec![local(&url).trusting(private.trust())]);
    assert!(Box::pin(replaced.fetch(get(&url), LIMITS)).await.is_err());
}

#[tokio::test]
async fn a_resolve_rule_changes_the_address_and_nothing_else() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.example.com", false)).await;
    let script = Script::new([&["1.1.1.1"]]);
    let grant = granted("https://api.example.com/").resolve_to(server.address).unwrap();
    let right = client(Arc::clone(&script) as _, &authority, vec![grant]);
    Box::pin(right.fetch(get("https://api.example.com/x"), LIMITS)).await.unwrap();
    assert_eq!(script.asked(), 0);
    assert!(server.seen()[0].starts_with("GET https://api.example.com/x\n"), "{:?}", server.seen());

    let grant = granted("https://other.example.com/").resolve_to(server.address).unwrap();
    let wrong = client(script, &authority, vec![grant]);
    let refused =
        Box::pin(wrong.fetch(get("https://other.example.com/"), LIMITS)).await.unwrap_err();
    assert!(matches!(refused, EgressError::Certificate(_)), "{refused}");
}

#[tokio::test]
async fn a_client_certificate_is_presented_where_the_grant_has_one() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.test", true)).await;
    let url = format!("https://api.test:{}/", server.port());
    let with = local(&url).presenting(authority.client("gateway"));
    let with = client(Script::loopback(), &authority, vec![with]);
    Box::pin(with.fetch(get(&url), LIMITS)).await.unwrap();
    let without = client(Script::loopback(), &authority, vec![local(&url)]);
    assert!(Box::pin(without.fetch(get(&url), LIMITS)).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn exchanges_are_bounded_and_a_full_scope_says_so() {
    let server = Server::stalling(b"").await;
    let url = format!("http://api.test:{}/", server.port());
    let network = Network::new(Script::loopback(), Authority::new().trust());
    let patience = Duration::from_millis(20);
    let limits = ClientLimits { exchanges: 1, patience, ..ClientLimits::default() };
    let client = EgressClient::new(network, vec![local(&url)], limits);
    let first = Box::pin(client.fetch(get(&url), SHORT));
    let second = Box::pin(client.fetch(get(&url), SHORT));
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(first.unwrap_err(), EgressError::Deadline));
    assert!(matches!(second.unwrap_err(), EgressError::ConnectionLimit));
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_told_apart() {
    let port = Server::raw(OK).await.port();
    let url = format!("http://api.test:{port}/");
    let gone = fetch(&Script::loopback(), local(&url), &url).await.unwrap_err();
    assert!(matches!(gone, EgressError::Connect(_)), "{gone:?}");
    let unknown = fetch(&Script::new([&[]]), local(&url), &url).await.unwrap_err();
    assert!(matches!(unknown, EgressError::Resolve(_)), "{unknown:?}");
}

#[test]
fn admission_binds_the_method_and_the_uri_that_are_sent() {
    let client =
        client(Script::loopback(), &Authority::new(), vec![granted("https://api.test/v1")]);
    let uri = "https://api.test:443/v1/x".parse().unwrap();
    let admitted = client.admit(&Method::GET, &uri).unwrap();
    assert_eq!(admitted.destination().uri().to_string(), "https://api.test/v1/x");
    assert!(client.admit(&Method::CONNECT, &uri).is_err());
}
