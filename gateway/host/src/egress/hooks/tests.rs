use std::sync::Mutex;

use http::HeaderValue;
use http_body_util::{Full, StreamBody};
use symbolon_core::clock::{ManualClock, Timestamp};
use wasi::WasiHttpHooks;

use super::super::testing::{Authority, Fixed, Script, Server, client, local};
use super::super::{Form, Injection, Reach};
use super::*;
use crate::testing::context;

/// Remembers the outcomes.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl EgressObserver for Log {
    fn attempt(&self, attempt: &Attempt<'_>) {
        let outcome = match attempt.outcome {
            Ok(status) => status.to_string(),
            Err(error) => error.code().to_owned(),
        };
        let granted = if attempt.grant.is_some() { "granted" } else { "refused" };
        self.0.lock().unwrap().push(format!("{} {granted} {outcome}", attempt.method));
    }
}

struct Call {
    server: Server,
    outgoing: Outgoing,
    log: Arc<Log>,
    source: Arc<Fixed>,
}

impl Call {
    /// A call that may reach `/` of a TLS server, with a bearer bound to it.
    async fn new(limits: CallLimits) -> Self {
        let authority = Authority::new();
        let server = Server::tls(authority.server("api.test", false)).await;
        let url = format!("https://api.test:{}/", server.port());
        let source = Fixed::token("very-secret");
        let bearer =
            Injection::new(Reach::parse(&url).unwrap(), Form::Bearer, Arc::clone(&source) as _);
        let client = client(Script::loopback(), &authority, vec![local(&url)]);
        let deadline = Instant::now() + Duration::from_secs(5);
        let log = Arc::<Log>::default();
        let outgoing = Outgoing::new(
            client,
            Arc::new(Injections::new(vec![bearer])),
            Terms { context: context(), deadline, limits },
            Arc::new(ManualClock::at(Timestamp::from_seconds(0))),
            Arc::clone(&log) as _,
        );
        Self { server, outgoing, log, source }
    }

    fn post(&self, path: &str, body: &'static str) -> Request<wasi::WasiBody> {
        let uri = format!("https://api.test:{}{path}", self.server.port());
        Request::post(uri).body(whole(body)).unwrap()
    }

    async fn send(
        &mut self,
        request: Request<wasi::WasiBody>,
    ) -> Result<Response<wasi::WasiBody>, wasi::Error> {
        let processed = Box::new(std::future::ready(Ok(())));
        let sent = self.outgoing.send_request(request, None, processed);
        Box::into_pin(sent).await.map(|(response, _)| response)
    }
}

fn whole(body: &'static str) -> wasi::WasiBody {
    Full::new(Bytes::from_static(body.as_bytes())).map_err(|e| match e {}).boxed_unsync()
}

/// A body that says whatever frames it is given.
struct Frames(std::vec::IntoIter<http_body::Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = wasi::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, wasi::Error>>> {
        std::task::Poll::Ready(self.0.next().map(Ok))
    }
}

#[tokio::test]
async fn a_guests_request_arrives_with_the_bound_credential_and_the_answer_without_it() {
    let mut call = Call::new(CallLimits::default()).await;
    let request = call.post("/login", "{}");
    let response = call.send(request).await.unwrap();
    assert_eq!(response.headers()["x-echo"], "redacted");
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().as_ref(), b"HTTP/2.0");
    let seen = call.server.seen().remove(0);
    assert!(
        seen.contains("authorization: Bearer very-secret\n") && seen.ends_with("\n{}"),
        "{seen}"
    );
    let record = call.outgoing.record();
    assert_eq!((record.requests, record.refused, record.sent, record.received), (1, 0, 2, 8));
    assert!(record.reached);
    assert_eq!(*call.log.0.lock().unwrap(), ["POST granted 200 OK"]);
}

#[tokio::test]
async fn a_refused_credential_is_reported_to_its_source() {
    let mut call = Call::new(CallLimits::default()).await;
    let request = call.post("/refused", "");
    assert_eq!(call.send(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(call.source.complaints.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_reaches_nobody_and_is_recorded() {
    let mut call = Call::new(CallLimits::default()).await;
    let mut own = call.post("/", "");
    own.headers_mut().insert("authorization", HeaderValue::from_static("Bearer own"));
    let refused = call.send(own).await.unwrap_err();
    assert!(matches!(refused, wasi::Error::HttpRequestDenied), "{refused}");

    let elsewhere = Request::get("https://evil.test/").body(whole("")).unwrap();
    let refused = call.send(elsewhere).await.unwrap_err();
    assert!(matches!(refused, wasi::Error::HttpRequestDenied), "{refused}");

    let trick = Request::get("https://api.test/a/%2e%2e/b").body(whole("")).unwrap();
    let refused = call.send(trick).await.unwrap_err();
    assert!(matches!(refused, wasi::Error::HttpRequestUriInvalid), "{refused}");

    let record = call.outgoing.record();
    assert_eq!((record.requests, record.refused, record.reached), (3, 3, false));
    assert_eq!((call.server.seen().len(), call.server.accepted()), (0, 0));
    let expected = [
        "POST granted egress_reserved_header",
        "GET refused egress_not_granted",
        "GET refused egress_uri",
    ];
    assert_eq!(*call.log.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn the_host_header_and_those_of_the_connection_are_the_hosts() {
    let mut call = Call::new(CallLimits::default()).await;
    let mut request = call.post("/", "");
    for name in ["host", "cookie", "te", "connection", "transfer-encoding", "proxy-authorization"] {
        request.headers_mut().insert(name, HeaderValue::from_static("evil.test"));
        let filter = call.outgoing.forbidden_header_filter();
        assert!(filter(&HeaderName::from_static(name)), "{name}");
    }
    call.send(request).await.unwrap();
    assert!(!call.server.seen()[0].contains("evil.test"), "{:?}", call.server.seen());
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_not_sent() {
    let mut call = Call::new(CallLimits { request_body: 8, ..CallLimits::default() }).await;
    let large = call.post("/", "123456789");
    let refused = call.send(large).await.unwrap_err();
    assert!(matches!(refused, wasi::Error::HttpRequestBodySize(None)), "{refused}");

    let mut short = call.post("/", "1234");
    short.headers_mut().insert("content-length", HeaderValue::from_static("5"));
    assert!(call.send(short).await.is_err());

    let trailers = http_body::Frame::trailers(HeaderMap::new());
    let mut trailing = call.post("/", "");
    *trailing.body_mut() = Frames(vec![trailers].into_iter()).boxed_unsync();
    assert!(call.send(trailing).await.is_err());
    assert!(call.server.seen().is_empty());
    assert!(!call.outgoing.record().reached);
}

#[tokio::test]
async fn what_the_calls_time_ends_before_its_body_is_whole_was_not_sent() {
    let mut call = Call::new(CallLimits::default()).await;
    call.outgoing.deadline = Instant::now();
    let mut request = call.post("/", "");
    *request.body_mut() = StreamBody::new(futures_util::stream::pending()).boxed_unsync();
    let late = call.send(request).await.unwrap_err();
    assert!(matches!(late, wasi::Error::ConnectionRefused), "{late}");
    assert!(call.server.seen().is_empty());
}

#[tokio::test]
async fn a_call_has_only_so_many_requests_and_bytes() {
    let limits = CallLimits { requests: 2, received: 10, ..CallLimits::default() };
    let mut call = Call::new(limits).await;
    let first = call.post("/", "");
    let body = call.send(first).await.unwrap().into_body().collect().await;
    assert_eq!(body.unwrap().to_bytes().len(), 8);
    let second = call.post("/", "");
    assert!(call.send(second).await.unwrap().into_body().collect().await.is_err());
    let third = call.post("/", "");
    let refused = call.send(third).await.unwrap_err();
    assert!(matches!(refused, wasi::Error::ConnectionLimitReached), "{refused}");
    assert_eq!(call.server.seen().len(), 2);
}

#[tokio::test]
async fn a_request_that_is_dropped_half_way_counts_as_possibly_made() {
    let server = Server::stalling(b"").await;
    let url = format!("http://api.test:{}/", server.port());
    let client = client(Script::loopback(), &Authority::new(), vec![local(&url)]);
    let deadline = Instant::now() + Duration::from_secs(5);
    let terms = Terms { context: context(), deadline, limits: CallLimits::default() };
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
    let outgoing = Outgoing::new(client, Arc::default(), terms, clock, Arc::new(()));
    let request = Request::get(&url).body(whole("")).unwrap();
    let pending = Box::pin(outgoing.clone().request(request, None));
    let dropped = tokio::time::timeout(Duration::from_millis(100), pending).await;
    assert!(dropped.is_err());
    assert!(outgoing.record().reached);
}
