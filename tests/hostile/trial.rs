//! What every row of these tests shows, whatever it tries: which limit ended it, by its own line in the audit
//! log, and that a neighbour answered meanwhile and afterwards.
//!
//! INVARIANT: a [`Tried`] is made by [`beside`] alone, which asks the neighbour, and what came of it is
//! got by holding it against a fate. A row that leaves one of them out does not compile.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::Value;
use symbolon_tests::harness::{Answer, Gateway};

use super::scene::KNOWN;

/// What has to become of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The host stops it: audit code and public status.
    Stopped(&'static str, u16),
    /// The host's client refuses a request of it, or fails at it: audit code, public status, code of the
    /// egress.
    Refused(&'static str, u16, &'static str),
    /// The host's client cuts the body of an answer off; the same three.
    Cut(&'static str, u16, &'static str),
    /// It is harmless, and its answer begins like this.
    Answered(&'static str),
    /// It is harmless, and the machine's speed decides whether this code comes before its end.
    Harmless(&'static str),
}
use Fate::{Answered, Cut, Harmless, Refused, Stopped};

impl Fate {
    /// What the audit line says: the code, and what the request to the upstream failed at.
    pub(crate) fn on_record(self) -> (&'static str, Option<&'static str>) {
        match self {
            Stopped(code, _) => (code, None),
            Refused(code, _, egress) | Cut(code, _, egress) => (code, Some(egress)),
            Answered(_) | Harmless(_) => ("ok", None),
        }
    }

    fn status(self) -> u16 {
        match self {
            Stopped(_, status) | Refused(_, status, _) | Cut(_, status, _) => status,
            Answered(_) | Harmless(_) => 200,
        }
    }
}

/// What came of an attempt beside which, and after which, a neighbour answered.
#[must_use]
pub(crate) struct Tried<T>(T);

/// Makes an attempt while `neighbour`, a path with a secret, is read again and again, and once more
/// afterwards.
pub(crate) async fn beside<T>(
    gateway: &Gateway,
    neighbour: &str,
    attempt: impl Future<Output = T>,
) -> Tried<T> {
    let mut attempt = pin!(attempt);
    let came = loop {
        // The attempt is polled first: no read is over before it has begun.
        match select(attempt.as_mut(), pin!(answers(gateway, neighbour))).await {
            Either::Left((came, reading)) => {
                reading.await;
                break came;
            }
            Either::Right(((), _)) => {}
        }
    };
    answers(gateway, neighbour).await;
    Tried(came)
}

/// The longest that a neighbour may take. It is no measure of speed: what it rules out is waiting for the
/// end of somebody else's call.
const PATIENCE: Duration = Duration::from_secs(10);

async fn answers(gateway: &Gateway, path: &str) {
    let token = gateway.token("neighbour");
    let path = format!("/v1/secrets/{path}");
    let answer = tokio::time::timeout(PATIENCE, gateway.get(&path, &token)).await;
    let answer = answer.unwrap_or_else(|_| panic!("{path} does not answer beside an attempt"));
    assert_eq!(answer.json["value"], "plain", "{:?}", answer.json);
}

impl Tried<Answer> {
    /// Holds answer, audit line and metrics against a fate.
    ///
    /// # Errors
    /// What is not as it has to be.
    pub(crate) fn meets(self, gateway: &Gateway, backend: &str, fate: Fate) -> Result<(), String> {
        let Self(answer) = self;
        let closing = gateway.closing(&answer);
        // A target is none.
        if closing.get("backend").is_some_and(|named| named != backend) {
            return Err(format!("the line is about another backend: {closing}"));
        }
        match fate {
            Harmless(code) => {
                let fine = closing["code"] == "ok" || closing["code"] == code;
                if fine { Ok(()) } else { Err(format!("got {}", closing["code"])) }
            }
            Answered(text) => is_answered(&answer, &closing, text),
            Stopped(..) | Refused(..) | Cut(..) => {
                is_ended(&answer, &closing, fate)?;
                is_counted(gateway, backend, fate)
            }
        }
    }
}

fn is_answered(answer: &Answer, closing: &Value, text: &str) -> Result<(), String> {
    let value = answer.json["value"].as_str().or(answer.json["value_base64"].as_str());
    let good = value.unwrap_or_default().starts_with(text) && answer.status == 200;
    let recorded = (&closing["outcome"], &closing["code"]);
    match good && recorded.0 == "allow" && recorded.1 == "ok" {
        true => Ok(()),
        false => Err(format!("got {recorded:?} {:?}", answer.json)),
    }
}

fn is_ended(answer: &Answer, closing: &Value, fate: Fate) -> Result<(), String> {
    let (code, egress) = fate.on_record();
    let recorded =
        (closing["outcome"].as_str(), closing["code"].as_str(), closing["egress"].as_str());
    if recorded != (Some("error"), Some(code), egress) || answer.status != fate.status() {
        return Err(format!("got {recorded:?} {} {:?}", answer.status, answer.json));
    }
    let members = answer.json.as_object().map_or(0, serde_json::Map::len);
    let is_problem = members == 5 && answer.json["detail"].is_null();
    let is_oauth = members == 2 && answer.json["error_description"].is_string();
    let is_constant = is_problem || is_oauth;
    let tells = answer.body.windows(KNOWN.len()).any(|window| window == KNOWN.as_bytes());
    match is_constant && !tells {
        true => Ok(()),
        false => Err(format!("the answer is not a constant: {:?}", answer.json)),
    }
}

fn is_counted(gateway: &Gateway, backend: &str, fate: Fate) -> Result<(), String> {
    let (code, egress) = fate.on_record();
    let backend = format!("backend_name=\"{backend}\"");
    let error = format!("error_type=\"{code}\"");
    let called = counted(gateway, "symbolon_backend_request_duration", &[&backend, &error]);
    let sent = match (fate, egress) {
        (Refused(..), Some(egress)) => {
            let result = format!("result=\"{egress}\"");
            counted(gateway, "symbolon_egress_request_duration", &[&backend, &result])
        }
        // A body is cut after its answer was counted.
        _ => true,
    };
    match called && sent {
        true => Ok(()),
        false => Err(format!("counted as call: {called}, as request: {sent}")),
    }
}

/// Whether the metric `name` has a line that holds all of `labels`.
pub(crate) fn counted(gateway: &Gateway, name: &str, labels: &[&str]) -> bool {
    let page = gateway.metrics();
    let fits = |line: &&str| line.starts_with(name) && labels.iter().all(|l| line.contains(l));
    page.lines().any(|line| fits(&line))
}

/// What came of sending a component, and what is on record of that.
pub(crate) struct Sent {
    /// The status of the answer.
    pub(crate) status: u16,
    /// What the operator is told.
    pub(crate) told: Value,
    /// The last record of it.
    pub(crate) record: Value,
}

impl Tried<Sent> {
    /// Whether it was refused under this code, which the record has, for a reason that contains this.
    ///
    /// # Errors
    /// What is not as it has to be.
    pub(crate) fn refused(self, code: &str, reason: &str) -> Result<(), String> {
        let Sent { status, told, record } = self.0;
        let recorded = (record["outcome"].as_str(), record["code"].as_str());
        let right = recorded == (Some("error"), Some(code)) && status == 409;
        match right && told["detail"].as_str().is_some_and(|told| told.contains(reason)) {
            true => Ok(()),
            false => Err(format!("got {status} {recorded:?}, expected {code} ({reason}): {told}")),
        }
    }

    /// Whether it was taken, and that is on record. What is neither taken nor refused is wrong.
    ///
    /// # Errors
    /// What is not as it has to be.
    pub(crate) fn taken(self) -> Result<bool, String> {
        let Sent { status, told, record } = self.0;
        match (status, record["outcome"].as_str()) {
            (200, Some("allow")) => Ok(true),
            // Whatever refuses it says so by a code of its own.
            (409, Some("error")) if record["code"] != "plugin_refused" => Ok(false),
            got => Err(format!("got {got:?}: {told} {record}")),
        }
    }
}
