//! The token service of AWS as a role sees it: keys for who shows an assertion that the issuer's published
//! keys bear out, which no emulator checks. It says which session it opened, as the real one does, and
//! counts them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock as _;

use super::assertion::{Doubt, Expected, Witness};
use super::server::{Reply, Server};
use super::web::Identity;

const HOST: &str = "sts.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

/// What it was asked, and what it says first.
#[derive(Debug)]
struct Book {
    witness: Witness,
    asked: AtomicUsize,
    sessions: AtomicUsize,
    /// Code and message of the refusals that come before anything is given.
    refusals: Mutex<VecDeque<(String, String)>>,
}

/// A running token service, which ends when dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Sts {
    server: Server,
    book: Arc<Book>,
}

impl Sts {
    /// One whose role trusts the target `deploy`.
    pub(in crate::e2e) async fn start() -> Self {
        let (subject, audience) = ("gateway:deploy".to_owned(), "sts.amazonaws.com".to_owned());
        let book = Arc::new(Book {
            witness: Witness::of(Expected { subject, audience }),
            asked: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            refusals: Mutex::default(),
        });
        let asked = book.clone();
        let answer = move |_: &http::request::Parts, body: &Bytes| asked.answer(body);
        Self { server: Server::start(Identity::new(HOST), answer).await, book }
    }

    /// The target `deploy`, whose role is here, and whose keys last for `ttl`.
    pub(in crate::e2e) fn target(&self, ttl: &str) -> String {
        self.target_of("deploy", &format!("audience = \"sts.amazonaws.com\"\nttl = \"{ttl}\""))
    }

    /// A target with these lines, of the same role.
    pub(in crate::e2e) fn target_of(&self, name: &str, lines: &str) -> String {
        let of = format!("targets.{name}");
        format!(
            r#"
            [{of}]
            plugin = "aws"
            {lines}
            config = {{ service = "sts", region = "eu-central-1", role_arn = "{ROLE}" }}
            {}
            "#,
            self.server.egress(&of, HOST, "POST", "/"),
        )
    }

    /// Whom it believes; it has to learn the keys.
    pub(in crate::e2e) fn witness(&self) -> &Witness {
        &self.book.witness
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

impl Book {
    fn answer(&self, body: &Bytes) -> Reply {
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(body).into_owned().collect();
        let of = |name: &str| form.get(name).map_or("", String::as_str);
        let is_proper = of("Action") == "AssumeRoleWithWebIdentity" && of("RoleArn") == ROLE;
        if !is_proper {
            return Reply::status(400);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some((code, message)) = self.refusals.lock().unwrap().pop_front() {
            return refusal(&code, &message);
        }
        match self.witness.doubt(of("WebIdentityToken")) {
            None => self.session(of("RoleSessionName"), of("DurationSeconds")),
            Some(Doubt::Subject) => refusal("AccessDenied", "words about a trust policy"),
            Some(Doubt::Time) => refusal("ExpiredTokenException", "words about a time"),
            Some(Doubt::Malformed | Doubt::Signature | Doubt::Issuer | Doubt::Audience) => {
                refusal("InvalidIdentityToken", "words about an assertion")
            }
        }
    }

    fn session(&self, name: &str, seconds: &str) -> Reply {
        let number = self.sessions.fetch_add(1, Ordering::SeqCst) + 1;
        let lasts = Duration::from_secs(seconds.parse().expect("a duration"));
        let ends = SystemClock::start().now().plus(lasts);
        let text = format!(
            r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
              <AssumeRoleWithWebIdentityResult>
                <Credentials><AccessKeyId>ASIAEXAMPLE{number:09}</AccessKeyId>
                  <SecretAccessKey>s3cr3t/+{number}</SecretAccessKey>
                  <SessionToken>IQoJ+/={number}</SessionToken><Expiration>{ends}</Expiration></Credentials>
                <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId>
                  <Arn>arn:aws:sts::123456789012:assumed-role/deploy/{name}</Arn></AssumedRoleUser>
              </AssumeRoleWithWebIdentityResult>
              <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
            </AssumeRoleWithWebIdentityResponse>"#
        );
        Reply::text(StatusCode::OK, "text/xml", &text)
    }
}

/// As `wire-formats.md` §2.3.4 has it.
fn refusal(code: &str, message: &str) -> Reply {
    let text = format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
          <RequestId>r</RequestId>
        </ErrorResponse>"#
    );
    Reply::text(StatusCode::BAD_REQUEST, "text/xml", &text)
}
