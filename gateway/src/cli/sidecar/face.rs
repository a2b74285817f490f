//! Who asks on loopback, and for what.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use symbolon_core::id::TargetName;
use symbolon_core::secret::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer;
use super::hold::{Holds, What};

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 64;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);
/// How long a connection may last: a call of the gateway, and a little.
const CONNECTION: Duration = Duration::from_secs(75);
/// What no library of a cloud sends, but proxies and browsers do.
const RELAYED: [&str; 7] = [
    "forwarded",
    "origin",
    "sec-fetch-mode",
    "sec-fetch-site",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
];

/// What is served.
pub(super) struct Face {
    holds: Arc<Holds>,
    authorization: Secret,
    hosts: [String; 2],
}

/// Why nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Method,
    Relayed,
    Host,
    Authorization,
    Path,
}

impl Refusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Relayed | Self::Host => StatusCode::FORBIDDEN,
            Self::Authorization => StatusCode::UNAUTHORIZED,
            Self::Path => StatusCode::NOT_FOUND,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Method => "only GET is served",
            Self::Relayed => "the request came by way of a proxy or a browser",
            Self::Host => "the request is not for a name of loopback",
            Self::Authorization => "the authorization token is missing or wrong",
            Self::Path => "no such target is served here",
        }
    }
}

impl Face {
    pub(super) fn new(holds: Arc<Holds>, authorization: Secret, address: SocketAddr) -> Self {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self { holds, authorization, hosts }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        let (target, what) = match self.admit(&head) {
            Ok(asked) => asked,
            Err(refusal) => return problem(refusal.status(), refusal.text()),
        };
        let held = match self.holds.take(&target, what).await {
            Some(Ok(held)) => held,
            Some(Err(why)) => return problem(StatusCode::BAD_GATEWAY, &why),
            None => return problem(Refusal::Path.status(), Refusal::Path.text()),
        };
        let left = self.holds.left(&held).as_secs();
        let shown = match what {
            What::Credential => answer::credential(&held.answer, (left, held.ends_at)),
            What::Assertion => answer::subject(&held.answer, held.ends_at),
        };
        match shown {
            Ok(body) => respond(StatusCode::OK, Bytes::from_owner(body)),
            Err(why) => problem(StatusCode::BAD_GATEWAY, &why),
        }
    }

    /// Who asks is looked at before what is asked for: strangers learn of no target.
    fn admit(&self, head: &Parts) -> Result<(TargetName, What), Refusal> {
        if head.method != Method::GET {
            return Err(Refusal::Method);
        }
        if RELAYED.iter().any(|name| head.headers.contains_key(*name)) {
            return Err(Refusal::Relayed);
        }
        let host = single(&head.headers, &header::HOST).and_then(|host| host.to_str().ok());
        let is_ours = host.is_some_and(|host| self.hosts.iter().any(|ours| ours == host));
        if !is_ours || head.uri.authority().is_some() {
            return Err(Refusal::Host);
        }
        let shown = single(&head.headers, &header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.map(|shown| shown.strip_prefix(b"Bearer ").unwrap_or(shown));
        let expected = self.authorization.expose();
        if shown.is_none_or(|shown| verify_slices_are_equal(shown, expected).is_err()) {
            return Err(Refusal::Authorization);
        }
        let (what, name) = match head.uri.path().strip_prefix("/credentials/") {
            Some(name) => (What::Credential, Some(name)),
            None => (What::Assertion, head.uri.path().strip_prefix("/assertions/")),
        };
        let target = name.and_then(|name| TargetName::parse(name).ok()).ok_or(Refusal::Path)?;
        Ok((target, what))
    }
}

/// A header that is there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// As the libraries of AWS show it: `code` and `message`.
fn problem(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let code = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({ "code": code, "message": why }).to_string();
    respond(status, Bytes::from(body))
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Serves until it is cancelled, which ends its connections.
pub(super) async fn listen(listener: TcpListener, face: Arc<Face>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let face = face.clone();
                connections.spawn(async move {
                    let _place = place;
                    Box::pin(connection(stream, face)).await;
                });
            }
            // Out of file descriptors, most likely: others have to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// One request. What goes wrong with a connection is the business of who made it.
async fn connection(stream: TcpStream, face: Arc<Face>) {
    let service = service_fn(move |request| {
        let face = face.clone();
        async move { Ok::<_, Infallible>(Box::pin(face.answer(request)).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(ARRIVAL).keep_alive(false);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    let _ended = tokio::time::timeout(CONNECTION, serving).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;
    use symbolon_client::{Gateway, Roots, TokenSource};

    fn face() -> Face {
        let gateway = Gateway::at("http://127.0.0.1:1", &Roots::System).unwrap();
        let source = TokenSource::Value(Secret::from("a.b.c".to_owned()));
        let targets = ["deploy".parse().unwrap()];
        let clock = Arc::new(SystemClock::start());
        let holds = Arc::new(Holds::new((gateway, source), targets.into_iter(), clock));
        let address = "127.0.0.1:9911".parse().unwrap();
        Face::new(holds, Secret::from("0123456789abcdef".to_owned()), address)
    }

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const GOOD: [(&str, &str); 2] =
        [("host", "127.0.0.1:9911"), ("authorization", "0123456789abcdef")];

    #[test]
    fn who_shows_the_token_on_loopback_is_let_in() {
        let bearer = ("authorization", "Bearer 0123456789abcdef");
        for (path, headers, what) in [
            ("/credentials/deploy", GOOD, What::Credential),
            ("/assertions/deploy", [("host", "localhost:9911"), bearer], What::Assertion),
        ] {
            let (target, found) = face().admit(&head(path, &headers)).unwrap();
            assert_eq!((target.as_str(), found), ("deploy", what));
        }
    }

    #[test]
    fn everybody_else_is_refused_before_it_is_looked_at_what_they_ask_for() {
        let [host, authorization] = GOOD;
        let refused = |uri: &str, headers: &[(&str, &str)]| {
            face().admit(&head(uri, headers)).map(|_| ()).unwrap_err()
        };
        for headers in [
            vec![authorization],
            vec![("host", "evil.example:9911"), authorization],
            vec![("host", "127.0.0.1"), authorization],
            vec![("host", "127.0.0.1:9912"), authorization],
            vec![host, ("host", "evil.example"), authorization],
        ] {
            assert_eq!(refused("/credentials/deploy", &headers), Refusal::Host, "{headers:?}");
        }
        let absolute = "http://evil.example/credentials/deploy";
        assert_eq!(refused(absolute, &GOOD), Refusal::Host);
        for name in RELAYED {
            let headers = [host, authorization, (name, "x")];
            assert_eq!(refused("/credentials/deploy", &headers), Refusal::Relayed, "{name}");
        }
        for headers in [
            vec![host],
            vec![host, ("authorization", "")],
            vec![host, ("authorization", "0123456789abcdeX")],
            vec![host, ("authorization", "Basic 0123456789abcdef")],
            vec![host, authorization, authorization],
        ] {
            let refusal = refused("/credentials/nothing-like-it", &headers);
            assert_eq!(refusal, Refusal::Authorization, "{headers:?}");
        }
        for path in ["/", "/credentials/", "/credentials/a/b", "/credentials/..", "/v1/deploy"] {
            assert_eq!(refused(path, &GOOD), Refusal::Path, "{path}");
        }
        let mut posted = head("/credentials/deploy", &GOOD);
        posted.method = Method::POST;
        assert_eq!(face().admit(&posted).map(|_| ()), Err(Refusal::Method));
    }
}
