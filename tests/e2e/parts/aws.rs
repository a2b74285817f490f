//! Two emulators of AWS that say no: `ministack`, which checks trust policies, permissions and the
//! signatures of the keys that it gives, and `moto`, which checks those of users.
//!
//! What they do not do: neither verifies the signature of an assertion, and `ministack` takes the
//! session policy of a web identity and does not evaluate it; that of a chained role it does.

use std::process::Command;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use symbolon_tests::harness::ORIGIN;

use super::front::Front;
use super::process::{Process, free_port, part, until};
use super::web::Web;

pub(in crate::e2e) const ACCOUNT: &str = "123456789012";
pub(in crate::e2e) const REGION: &str = "us-east-1";

/// The services that the gateway speaks to.
const SERVICES: [&str; 3] = ["sts", "secretsmanager", "ssm"];

fn host(service: &str) -> String {
    format!("{service}.{REGION}.amazonaws.com")
}

/// Keys that an emulator gave: of a user, or of a session.
#[derive(Clone, Debug)]
pub(in crate::e2e) struct Keys {
    pub(in crate::e2e) id: String,
    pub(in crate::e2e) secret: String,
    pub(in crate::e2e) token: Option<String>,
}

impl Keys {
    /// Those in an answer of the query protocol.
    fn read(answer: &str) -> Self {
        let text = |tag: &str| {
            let (_, rest) = answer.split_once(&format!("<{tag}>"))?;
            rest.split_once('<').map(|(text, _)| text.to_owned())
        };
        let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
        let token = text("SessionToken");
        Self { id: id.expect("an id"), secret: secret.expect("a key"), token }
    }
}

/// An emulator, with TLS before it.
#[derive(Debug)]
struct Emulator {
    process: Option<Process>,
    port: u16,
    front: Front,
    web: Web,
}

impl Emulator {
    /// One that is not running yet.
    async fn new() -> Self {
        let port = free_port();
        let front = Front::start(&SERVICES.map(host), port).await;
        Self { process: None, port, front, web: Web::plain(port) }
    }

    async fn run(&mut self, command: &mut Command, health: &str) {
        let log = self.front.directory().join("emulator.log");
        command.env("TMPDIR", self.front.directory()).current_dir(self.front.directory());
        self.process = Some(Process::start(command, &log));
        let asked = async || {
            let request = Request::get(health).body(Bytes::new()).expect("a request");
            self.web.send(request).await.ok().filter(|answer| answer.status() == StatusCode::OK)
        };
        until(&log, self.process.as_ref(), asked).await;
    }

    /// Asks as the root of the account, whose signature nobody checks.
    async fn ask(
        &self,
        service: &str,
        more: &[(&str, &str)],
        body: String,
    ) -> (StatusCode, String) {
        let scope = format!("Credential=test/20260101/{REGION}/{service}/aws4_request");
        let root = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00");
        let mut request = Request::post("/").header(header::AUTHORIZATION, root);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).expect("a request");
        let answer = self.web.send(request).await.expect("an answer");
        (answer.status(), String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// An action of the query protocol, which must succeed.
    async fn query(&self, service: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).extend_pairs(parameters);
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let (status, said) = self.ask(service, &kind, form.finish()).await;
        assert_eq!(status, StatusCode::OK, "{action}: {said}");
        said
    }

    /// An action of the JSON protocol, which must succeed.
    async fn json(&self, service: &str, target: &str, body: &Value) -> Value {
        let kind = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let (status, said) = self.ask(service, &kind, body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{target}: {said}");
        serde_json::from_str(&said).expect("JSON")
    }

    /// A user, and keys of it.
    async fn user(&self, name: &str) -> Keys {
        self.query("iam", "CreateUser", &[("UserName", name)]).await;
        Keys::read(&self.query("iam", "CreateAccessKey", &[("UserName", name)]).await)
    }

    /// A role that the account trusts, and keys of a session of it.
    async fn session(&self, role: &str) -> Keys {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
            "Action": "sts:AssumeRole",
        }] });
        let trust = trust.to_string();
        let made = [("RoleName", role), ("AssumeRolePolicyDocument", &trust)];
        self.query("iam", "CreateRole", &made).await;
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        let asked = [("RoleArn", arn.as_str()), ("RoleSessionName", "session")];
        Keys::read(&self.query("sts", "AssumeRole", &asked).await)
    }

    async fn secret(&self, name: &str, value: &str) -> Value {
        let body = json!({ "Name": name, "SecretString": value });
        self.json("secretsmanager", "secretsmanager.CreateSecret", &body).await
    }

    /// The block of a backend that reads a store; `lines` say with which credentials.
    fn store(&self, name: &str, service: &str, lines: &str) -> String {
        let egress = self.front.egress(&format!("backends.{name}"), &host(service));
        let config = if lines.contains("[backends.") || lines.contains("config =") {
            String::new()
        } else {
            format!("config = {{ service = \"{service}\", region = \"{REGION}\" }}\n")
        };
        format!("[backends.{name}]\nplugin = \"aws\"\n{config}{lines}\n{egress}")
    }
}

/// `ministack`, with the gateway as an identity provider.
#[derive(Debug)]
pub(in crate::e2e) struct Ministack(Emulator);

impl Ministack {
    /// Starts one.
    pub(in crate::e2e) async fn start() -> Self {
        let mut ministack = Self(Emulator::new().await);
        ministack.run().await;
        ministack
    }

    /// Starts it again where it was; it has forgotten everything.
    pub(in crate::e2e) async fn restart(&mut self) {
        self.0.process = None;
        self.run().await;
    }

    async fn run(&mut self) {
        let mut command = Command::new(part("SYMBOLON_MINISTACK"));
        command.env("AUTH", "true").env("MINISTACK_ACCOUNT_ID", ACCOUNT);
        command.env("MINISTACK_IMDS_V2_REQUIRED", "1");
        // Without it the part listens on every address of the machine.
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", self.0.port.to_string());
        self.0.run(&mut command, "/_ministack/health").await;
        let provider = [
            ("Url", format!("{ORIGIN}/assertions")),
            ("ClientIDList.member.1", "sts.amazonaws.com".to_owned()),
            ("ThumbprintList.member.1", "0".repeat(40)),
        ];
        let provider = provider.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.0.query("iam", "CreateOpenIDConnectProvider", &provider).await;
    }

    /// A role for assertions with this subject, which may do `actions`, with secrets below `app/`.
    pub(in crate::e2e) async fn role(&self, name: &str, subject: &str, actions: &[&str]) {
        let issuer = format!("{ORIGIN}/assertions");
        let issuer = issuer.trim_start_matches("https://");
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}") },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": { "StringEquals": {
                format!("{issuer}:sub"): subject, format!("{issuer}:aud"): "sts.amazonaws.com",
            } },
        }] });
        self.role_trusting(name, &trust, actions).await;
    }

    /// A role with this trust policy.
    pub(in crate::e2e) async fn role_trusting(&self, name: &str, trust: &Value, actions: &[&str]) {
        let trust = trust.to_string();
        let role = [("RoleName", name), ("Path", "/team/"), ("AssumeRolePolicyDocument", &trust)];
        self.0.query("iam", "CreateRole", &role).await;
        // The emulator knows no resource of a request for several parameters.
        let (mut anywhere, here): (Vec<&str>, Vec<&str>) =
            actions.iter().partition(|action| action.starts_with("ssm:"));
        anywhere.extend(["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"]);
        let below = [
            format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/*"),
            format!("arn:aws:iam::{ACCOUNT}:role/*"),
        ];
        let rights = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": here, "Resource": below },
            { "Effect": "Allow", "Action": anywhere, "Resource": "*" },
        ] });
        let rights = rights.to_string();
        let policy = [("RoleName", name), ("PolicyName", "rights"), ("PolicyDocument", &rights)];
        self.0.query("iam", "PutRolePolicy", &policy).await;
    }

    /// Keeps a secret; answers its ARN.
    pub(in crate::e2e) async fn secret(&self, name: &str, value: &str) -> String {
        let made = self.0.secret(name, value).await;
        made["ARN"].as_str().expect("an ARN").to_owned()
    }

    /// Gives a secret a new value, with this id; the old one becomes `AWSPREVIOUS`.
    pub(in crate::e2e) async fn renew(&self, name: &str, value: &str, id: &str) {
        let body = json!({ "SecretId": name, "SecretString": value, "ClientRequestToken": id });
        self.0.json("secretsmanager", "secretsmanager.PutSecretValue", &body).await;
    }

    /// Schedules a secret for deletion.
    pub(in crate::e2e) async fn delete(&self, name: &str) {
        let body = json!({ "SecretId": name, "RecoveryWindowInDays": 7 });
        self.0.json("secretsmanager", "secretsmanager.DeleteSecret", &body).await;
    }

    /// Keeps a parameter, or a new version of it.
    pub(in crate::e2e) async fn parameter(&self, name: &str, kind: &str, value: &str) {
        let body = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        self.0.json("ssm", "AmazonSSM.PutParameter", &body).await;
    }

    /// Keys of a session of a role that is made for it.
    pub(in crate::e2e) async fn session(&self, role: &str) -> Keys {
        self.0.session(role).await
    }

    /// Keys of a user who is made for it.
    pub(in crate::e2e) async fn user(&self, name: &str) -> Keys {
        self.0.user(name).await
    }

    /// The lines of an issuer that say where the token service is.
    pub(in crate::e2e) fn sts(&self) -> String {
        self.0.front.found_at(&host("sts"))
    }

    /// Where it is without TLS, for a client that has no name to check.
    pub(in crate::e2e) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// The block of a target for a role; `more` goes into its `config`, `lines` into the block.
    pub(in crate::e2e) fn target(&self, name: &str, role: &str, more: &str, lines: &str) -> String {
        let egress = self.0.front.egress(&format!("targets.{name}"), &host("sts"));
        format!(
            r#"
            [targets.{name}]
            plugin = "aws"
            audience = "sts.amazonaws.com"
            config = {{ service = "sts", region = "{REGION}", role_arn = "arn:aws:iam::{ACCOUNT}:role/team/{role}"{more} }}
            {lines}
            {egress}
            "#
        )
    }

    /// The block of a backend that reads `service`; `lines` say with which credentials.
    pub(in crate::e2e) fn store(&self, name: &str, service: &str, lines: &str) -> String {
        self.0.store(name, service, lines)
    }
}

/// `moto`, in the mode in which it checks signatures and permissions of users.
#[derive(Debug)]
pub(in crate::e2e) struct Moto(Emulator);

impl Moto {
    /// Starts one that keeps `app/db`; answers the keys of a user who may read it, and of one who
    /// may nothing.
    pub(in crate::e2e) async fn start() -> (Self, [Keys; 2]) {
        let moto = Self::lax().await;
        moto.0.secret("app/db", "first").await;
        let keys = [moto.0.user("reader").await, moto.0.user("nobody").await];
        let rights = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*" },
        ] });
        let rights = rights.to_string();
        let policy = [("UserName", "reader"), ("PolicyName", "read"), ("PolicyDocument", &rights)];
        moto.0.query("iam", "PutUserPolicy", &policy).await;
        moto.check().await;
        (moto, keys)
    }

    /// Starts one; answers keys of a session of a role.
    pub(in crate::e2e) async fn with_role(role: &str) -> (Self, Keys) {
        let moto = Self::lax().await;
        let keys = moto.0.session(role).await;
        moto.check().await;
        (moto, keys)
    }

    /// One that believes everybody.
    async fn lax() -> Self {
        let mut moto = Self(Emulator::new().await);
        let mut command = Command::new(part("SYMBOLON_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &moto.0.port.to_string()]);
        moto.0.run(&mut command, "/moto-api/").await;
        moto
    }

    /// Has it check signatures and permissions from now on.
    async fn check(&self) {
        let request = Request::post("/moto-api/reset-auth").body(Bytes::from("0"));
        let answer = self.0.web.send(request.expect("a request")).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// The lines of an issuer that say where the token service is.
    pub(in crate::e2e) fn sts(&self) -> String {
        self.0.front.found_at(&host("sts"))
    }

    /// The block of a backend that reads secrets; `lines` say with which credentials.
    pub(in crate::e2e) fn store(&self, name: &str, lines: &str) -> String {
        self.0.store(name, "secretsmanager", lines)
    }
}
