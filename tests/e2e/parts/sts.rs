//! The token service of AWS as a role sees it: keys for who shows an assertion. It says which session it
//! opened, as the real one does, and counts them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock as _;
use tokio::net::TcpListener;

use super::server::acceptor;
use super::web::Identity;

const HOST: &str = "sts.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

/// What it was asked, and what it says first.
#[derive(Debug, Default)]
struct Book {
    asked: AtomicUsize,
    sessions: AtomicUsize,
    /// Code and message of the refusals that come before anything is given.
    refusals: Mutex<VecDeque<(String, String)>>,
}

/// A running token service, which ends when dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Sts {
    port: u16,
    identity: Identity,
    book: Arc<Book>,
    stop: tokio_util::sync::CancellationToken,
}

impl Sts {
    pub(in crate::e2e) async fn start() -> Self {
        let identity = Identity::new(HOST);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let book = Arc::new(Book::default());
        let stop = tokio_util::sync::CancellationToken::new();
        let (served, counted, tls) = (stop.clone(), book.clone(), acceptor(&identity));
        #[expect(clippy::disallowed_methods, reason = "it ends with the token service")]
        tokio::spawn(async move {
            let serving = async {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((tcp, _)) = listener.accept().await {
                    let (tls, counted) = (tls.clone(), counted.clone());
                    connections.spawn(async move {
                        let Ok(stream) = tls.accept(tcp).await else { return };
                        let answer = service_fn(|request| answer(&counted, request));
                        let http = hyper::server::conn::http1::Builder::new();
                        let _ = http.serve_connection(TokioIo::new(stream), answer).await;
                    });
                }
            };
            served.run_until_cancelled(serving).await
        });
        Self { port, identity, book, stop }
    }

    /// The target `deploy`, whose role is here, and whose keys last for `ttl`.
    pub(in crate::e2e) fn target(&self, ttl: &str) -> String {
        format!(
            r#"
            [targets.deploy]
            plugin = "aws"
            audience = "sts.amazonaws.com"
            ttl = "{ttl}"
            config = {{ service = "sts", region = "eu-central-1", role_arn = "{ROLE}" }}

            [[targets.deploy.egress]]
            host = "{HOST}"
            methods = ["POST"]
            ca = "{ca}"
            addresses = ["127.0.0.0/8"]
            resolve = {{ "{HOST}" = "127.0.0.1:{port}" }}
            "#,
            ca = self.identity.certificate().display(),
            port = self.port,
        )
    }

    /// How many sessions were opened.
    pub(in crate::e2e) fn sessions(&self) -> usize {
        self.book.sessions.load(Ordering::SeqCst)
    }

    /// How often it was asked for one.
    pub(in crate::e2e) fn asked(&self) -> usize {
        self.book.asked.load(Ordering::SeqCst)
    }

    /// Refuses so many times before it gives anything, with this code and message.
    pub(in crate::e2e) fn refuse(&self, times: usize, code: &str, message: &str) {
        let refusal = (code.to_owned(), message.to_owned());
        *self.book.refusals.lock().unwrap() = std::iter::repeat_n(refusal, times).collect();
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer(
    book: &Book,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&body).collect();
    let of = |name: &str| form.get(name).map(ToString::to_string).unwrap_or_default();
    let is_asked_properly = of("Action") == "AssumeRoleWithWebIdentity"
        && of("RoleArn") == ROLE
        && of("WebIdentityToken").split('.').count() == 3;
    let mut response = Response::new(Full::default());
    if !is_asked_properly {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    book.asked.fetch_add(1, Ordering::SeqCst);
    if let Some((code, message)) = book.refusals.lock().unwrap().pop_front() {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        *response.body_mut() = Full::from(refusal(&code, &message));
        return Ok(response);
    }
    let number = book.sessions.fetch_add(1, Ordering::SeqCst) + 1;
    let seconds = of("DurationSeconds").parse().expect("a duration");
    let ends = SystemClock::start().now().plus(Duration::from_secs(seconds));
    let text = format!(
        r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <AssumeRoleWithWebIdentityResult>
            <Credentials><AccessKeyId>ASIAEXAMPLE{number:09}</AccessKeyId>
              <SecretAccessKey>s3cr3t/+{number}</SecretAccessKey>
              <SessionToken>IQoJ+/={number}</SessionToken><Expiration>{ends}</Expiration></Credentials>
            <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId>
              <Arn>arn:aws:sts::123456789012:assumed-role/deploy/{session}</Arn></AssumedRoleUser>
          </AssumeRoleWithWebIdentityResult>
          <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
        </AssumeRoleWithWebIdentityResponse>"#,
        session = of("RoleSessionName"),
    );
    *response.body_mut() = Full::from(text);
    Ok(response)
}

/// As `wire-formats.md` §2.3.4 has it.
fn refusal(code: &str, message: &str) -> String {
    format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
          <RequestId>r</RequestId>
        </ErrorResponse>"#
    )
}
