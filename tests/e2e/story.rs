//! The story that the gateway was made for, from end to end: a function of AWS shows the token that AWS
//! gives it, gets a short token of the gateway's, and reads with it a secret of Google Cloud, which
//! believes the gateway's assertion. No key lasts anywhere, and each step is refused once.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock as _, ManualClock};
use symbolon_tests::harness::platforms::{PLATFORMS, Platform, Signer};
use symbolon_tests::harness::{Answer, ORIGIN, Setup};
use tokio::process::Command;

use super::parts::google::ACCOUNT;
use super::parts::{Cloud as _, Doubt, Google, Scene, part};
use crate::attacks::wire::admin;
use crate::line::tokens::exchange;

/// Who may what: one role, in one function, one secret. What is beside it is there to be refused by
/// the cloud.
const POLICIES: &str = r#"
@id("the-job-gets-tokens")
permit (
    principal == Workload::"aws/arn:aws:iam::123456789012:role/DataProcessingRole",
    action == Action::"exchange",
    resource == Gateway::"gateway"
) when {
    principal has aws.lambda_function
    && principal.aws.lambda_function == "arn:aws:lambda:eu-west-1:123456789012:function:job"
};

@id("the-job-reads-its-password")
permit (
    principal == Workload::"aws/arn:aws:iam::123456789012:role/DataProcessingRole",
    action == Action::"read",
    resource == Secret::"gsm/db-password"
) when {
    principal has aws.lambda_function
    && principal.aws.lambda_function == "arn:aws:lambda:eu-west-1:123456789012:function:job"
};

@id("the-job-asks-where-nobody-believes-the-gateway")
permit (
    principal == Workload::"aws/arn:aws:iam::123456789012:role/DataProcessingRole",
    action == Action::"read",
    resource in Backend::"distrusted"
);
"#;

/// AWS, as far as it signs tokens.
struct Story {
    scene: Scene<Google>,
    clock: Arc<ManualClock>,
    platform: Platform,
    signer: Signer,
}

impl Story {
    async fn start() -> Self {
        let platform = PLATFORMS.into_iter().find(|platform| platform.alias == "aws");
        let platform = platform.expect("the platform");
        let (signer, google) = (Signer::default(), Google::believing("gateway:google").await);
        let account = format!(r#"service_account = "{ACCOUNT}""#);
        let blocks = [
            platform.block(&signer),
            google.target("google", &Google::audience(), &account),
            google.target("stranger", &Google::audience(), &account),
            google.backend("gsm", "google"),
            google.backend("distrusted", "stranger"),
        ];
        let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
        let setup = Setup {
            blocks: blocks.concat(),
            policies: Some(POLICIES.to_owned()),
            clock: Some(clock.clone()),
            ..Setup::default()
        };
        Self { scene: Scene::of(google, setup).await, clock, platform, signer }
    }

    /// The token of the function, with claims changed.
    fn token(&self, changed: &[(&str, Value)]) -> String {
        let mut claims = self.platform.claims(ORIGIN, self.clock.now().seconds());
        for (pointer, value) in changed {
            *claims.pointer_mut(pointer).expect("a claim") = value.clone();
        }
        self.signer.token(&self.platform.header(), &claims)
    }

    /// Asks for a token of the gateway's own.
    async fn exchange(&self, shown: &str) -> Answer {
        exchange(&self.scene.gateway, shown, &[("audience", ORIGIN)]).await
    }

    /// A token of the gateway's own, for the function.
    async fn own(&self) -> String {
        let answer = self.exchange(&self.token(&[])).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
        answer.json["access_token"].as_str().expect("a token").to_owned()
    }

    async fn read(&self, own: &str, path: &str) -> Answer {
        self.scene.gateway.get(&format!("/v1/secrets/{path}"), own).await
    }

    /// Why the stranger who was just refused was refused: there is one, and nothing else to report.
    async fn reason(&self) -> String {
        let gateway = &self.scene.gateway;
        gateway.app.line.journal.report_strangers().await.expect("a line");
        let last = gateway.audit().pop().expect("a line");
        assert_eq!((&last["kind"], &last["total"]), (&json!("strangers"), &json!(1)), "{last}");
        let reasons = last["reasons"].as_object().expect("reasons");
        reasons.keys().next().expect("one").clone()
    }

    /// The code on record of a request by somebody who was proven.
    fn code(&self, answer: &Answer) -> String {
        self.scene.gateway.outcome(answer).1
    }
}

/// Where AWS says in which function a token was asked for.
const FUNCTION: &str = "/https:~1~1sts.amazonaws.com~1/lambda_source_function_arn";
const OWNER: &str = "/https:~1~1sts.amazonaws.com~1/aws_account";

/// Tokens that prove nobody.
async fn strangers_are_refused(story: &Story) {
    let now = story.clock.now().seconds();
    let elsewhere = json!("https://0f4e2a10-0000-4000-8000-6f4d45af0000.tokens.sts.global.api.aws");
    let mut forged = story.token(&[]);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let foreign = [
        ("/sub", json!("arn:aws:iam::210987654321:role/DataProcessingRole")),
        (OWNER, json!("210987654321")),
    ];
    for (shown, reason) in [
        (story.token(&[("/aud", json!("https://other.example.test"))]), "audience"),
        (story.token(&[("/iss", elsewhere)]), "issuer_unknown"),
        (story.token(&[("/iat", json!(now - 400)), ("/exp", json!(now - 100))]), "expired"),
        (story.token(&foreign), "owner"),
        (forged, "signature"),
    ] {
        let refused = story.exchange(&shown).await;
        let told = (refused.status, &refused.json["error"]);
        assert_eq!(told, (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{reason}");
        assert_eq!(story.reason().await, reason);
        let refused = story.read(&shown, "gsm/db-password").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{reason}");
        assert_eq!(story.reason().await, reason);
    }
}

/// Tokens of others, who are who they say.
async fn others_are_denied(story: &Story) {
    let function = "arn:aws:lambda:eu-west-1:123456789012:function:job2";
    for changed in
        [("/sub", json!("arn:aws:iam::123456789012:role/Other")), (FUNCTION, json!(function))]
    {
        let shown = story.token(std::slice::from_ref(&changed));
        let denied = story.exchange(&shown).await;
        let told = (denied.status, &denied.json["error"]);
        assert_eq!(told, (StatusCode::BAD_REQUEST, &json!("invalid_target")), "{changed:?}");
        assert_eq!(story.code(&denied), "no_rule");
        let denied = story.read(&shown, "gsm/db-password").await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{changed:?}");
        assert_eq!(story.code(&denied), "no_rule");
    }
}

/// What the function's own token does not open.
async fn nothing_else_is_opened(story: &Story, own: &str) {
    let denied = story.read(own, "gsm/not-ours").await;
    assert_eq!((denied.status.as_u16(), story.code(&denied)), (403, "no_rule".to_owned()));
    let witness = story.scene.cloud.witness();
    assert_eq!(witness.asked(), Vec::<String>::new(), "the cloud hears of none of it");
    let refused = story.read(own, "distrusted/db-password").await;
    let refused = (refused.status.as_u16(), story.code(&refused));
    assert_eq!(refused, (502, "plugin_invalid_config".to_owned()));
    assert_eq!(witness.doubts(), [Doubt::Subject], "the cloud does not believe that assertion");
    assert_eq!(witness.asked(), ["refused: the assertion"]);
}

/// What ends tokens of the gateway's own.
async fn tokens_end(story: &Story, own: &str) {
    let gateway = &story.scene.gateway;
    let withdrawn = gateway.form("/oauth2/revoke", None, &[("token", own)]).await;
    assert_eq!(withdrawn.status, StatusCode::OK);
    let refused = story.read(own, "gsm/db-password").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(story.code(&refused), "token_withdrawn");

    let barred = story.own().await;
    assert_eq!(story.read(&barred, "gsm/db-password").await.status, StatusCode::OK);
    let whom = json!({ "principal": format!("aws/{}", story.platform.subject) }).to_string();
    assert_eq!(admin(gateway, "POST", "/v1/sessions:revoke", &whom).await.status, 200);
    let refused = story.read(&barred, "gsm/db-password").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(story.code(&refused), "epoch_principal");

    story.clock.advance(Duration::from_secs(1));
    let old = story.own().await;
    assert_eq!(story.read(&old, "gsm/db-password").await.status, StatusCode::OK);
    story.clock.advance(Duration::from_secs(300));
    assert_eq!(story.read(&old, "gsm/db-password").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(story.reason().await, "expired");
}

#[tokio::test]
async fn a_function_of_one_cloud_reads_a_secret_of_another_and_each_step_can_be_refused() {
    let story = Story::start().await;
    let witness = story.scene.cloud.witness();
    strangers_are_refused(&story).await;
    others_are_denied(&story).await;
    assert_eq!(witness.asked(), Vec::<String>::new(), "so far nothing has left the gateway");

    let exchanged = story.exchange(&story.token(&[])).await;
    assert_eq!(exchanged.status, StatusCode::OK, "{:?}", exchanged.json);
    assert!((1..=300).contains(&exchanged.json["expires_in"].as_u64().expect("seconds")));
    let own = exchanged.json["access_token"].as_str().expect("a token");
    let read = story.read(own, "gsm/db-password").await;
    assert_eq!((read.status, &read.json["value"]), (StatusCode::OK, &json!("hunter2")));
    assert_eq!(witness.asked(), ["federated", "impersonated", "read db-password 4"]);

    nothing_else_is_opened(&story, own).await;
    tokens_end(&story, own).await;
    is_on_record(&story, &exchanged, &read).await;
    story.scene.stop().await;
}

/// The two lines of the request that an answer names: as it was asked, and as it was answered.
fn lines<'a>(log: &'a [Value], answer: &Answer) -> [&'a Value; 2] {
    let id = answer.headers["x-request-id"].to_str().expect("text");
    let found: Vec<_> = log.iter().filter(|line| line["request"] == id).collect();
    let [open, close] = found[..] else { panic!("two lines of {id}: {found:?}") };
    assert_eq!((&open["kind"], &close["kind"]), (&json!("request.open"), &json!("request.close")));
    [open, close]
}

/// What an auditor finds: who asked for what, by which rules, with which token, and that nothing was
/// changed since.
async fn is_on_record(story: &Story, exchanged: &Answer, read: &Answer) {
    let log = story.scene.gateway.audit();
    let [asked, given] = lines(&log, exchanged);
    let [wanted, got] = lines(&log, read);
    for (line, action, resource) in
        [(asked, "exchange", "gateway"), (wanted, "read", "gsm/db-password")]
    {
        let who = (&line["issuer"], &line["subject"]);
        assert_eq!(who, (&json!("aws"), &json!(story.platform.subject)));
        let what = (&line["action"], &line["resource"]);
        assert_eq!(what, (&json!(action), &json!(resource)));
    }
    let decided = (&given["outcome"], &given["policies"]);
    assert_eq!(decided, (&json!("allow"), &json!(["the-job-gets-tokens"])));
    let decided = (&got["outcome"], &got["policies"], &got["backend"]);
    let by = json!(["the-job-reads-its-password"]);
    assert_eq!(decided, (&json!("allow"), &by, &json!("gsm")));
    // What was tried with one token is found by its hash, whatever came of it.
    let with_it = log.iter().filter(|line| line["token"] == wanted["token"]);
    let opened: Vec<_> = with_it.map(|line| &line["action"]).collect();
    assert_eq!(opened.len(), 5, "read, denied, distrusted, withdrawn, refused: {opened:?}");
    assert_ne!(asked["token"], wanted["token"]);
    is_whole(story, &log).await;
}

async fn is_whole(story: &Story, log: &[Value]) {
    let of = |kind: &str| {
        let found = log.iter().filter(|line| line["kind"] == kind);
        let mut ids: Vec<_> = found.map(|line| line["request"].as_str().expect("an id")).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(of("request.open"), of("request.close"));
    let text = log.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("hunter2"), "no value of a secret");
    let gateway = &story.scene.gateway;
    let (directory, socket) = (gateway.directory.path(), "admin.sock");
    let verified = verify(&directory.join(socket), &directory.join("audit")).await;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.contains("intact"), "{said}");
    let altered = directory.join("altered");
    std::fs::create_dir(&altered).expect("a directory");
    let text = std::fs::read_to_string(directory.join("audit/audit.jsonl")).expect("the log");
    let text = text.replacen("\"outcome\":\"deny\"", "\"outcome\":\"allow\"", 1);
    std::fs::write(altered.join("audit.jsonl"), text).expect("a copy");
    let verified = verify(&directory.join(socket), &altered).await;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(!verified.status.success() && said.contains("changed"), "{said}");
}

async fn verify(socket: &Path, log: &Path) -> Output {
    let mut command = Command::new(part("SYMBOLON_BIN"));
    command.args(["audit", "verify", "--socket"]).arg(socket).arg(log);
    command.output().await.expect("it runs")
}
