//! Libraries of clouds for Python, as they are: they ask a process or a URL, and know nothing of the
//! gateway.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Setup, private};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::parts::{Sts, part};

const SCRIPT: &str = r#"
import json, os, boto3
session = boto3.Session(profile_name=os.environ.get("PROFILE"), region_name="eu-central-1")
keys = session.get_credentials()
frozen = keys.get_frozen_credentials()
url = session.client("s3").generate_presigned_url("list_buckets")
print(json.dumps({"method": keys.method, "key": frozen.access_key, "secret": frozen.secret_key,
                  "token": frozen.token, "signed": frozen.access_key in url}))
"#;

/// The binary that `cargo xtask test` names.
fn binary() -> PathBuf {
    part("SYMBOLON_BIN")
}

/// Runs a script by the Python that has these libraries, and answers the JSON that it prints.
async fn python(script: &str, libraries: &str, environment: &[(&str, &str)]) -> Value {
    let mut python = Command::new(part(libraries));
    python.arg("-c").arg(script).env_clear();
    python.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    python.envs(environment.iter().copied()).kill_on_drop(true);
    let output = python.stdin(Stdio::null()).output().await.expect("Python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"))
}

async fn boto(environment: &[(&str, &str)]) -> Value {
    python(SCRIPT, "SYMBOLON_BOTO", environment).await
}

/// The arguments by which a command finds the gateway and who it is.
fn face(gateway: &Gateway) -> Vec<String> {
    let directory = gateway.directory.path();
    let token = directory.join("platform-token");
    private(&token, &gateway.token("alice"));
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    vec![
        "--url".to_owned(),
        format!("https://localhost:{}", gateway.address.port()),
        "--ca".to_owned(),
        path(&directory.join("tls.pem")),
        "--token-file".to_owned(),
        path(&token),
    ]
}

/// `symbolon credential serve`, and the two lines that it prints.
async fn serve(gateway: &Gateway, target: &str) -> (Child, [String; 2]) {
    let mut command = Command::new(binary());
    command.args(["credential", "serve", target]).args(face(gateway));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut serving = command.spawn().expect("it runs");
    let mut lines = BufReader::new(serving.stdout.take().expect("its output")).lines();
    let first = lines.next_line().await.expect("a line").expect("a line");
    let second = lines.next_line().await.expect("a line").expect("a line");
    (serving, [first, second])
}

async fn gateway(sts: &Sts, ttl: &str) -> Gateway {
    Gateway::start(Setup { blocks: sts.target(ttl), ..Setup::default() }).await
}

#[tokio::test]
async fn boto3_gets_keys_of_a_process() {
    let sts = Sts::start().await;
    // It renews from a quarter of an hour before the end on: shorter keys it would get twice.
    let gateway = gateway(&sts, "1h").await;
    let file = gateway.directory.path().join("aws-config");
    let command =
        format!("{} credential aws deploy {}", binary().display(), face(&gateway).join(" "));
    private(&file, &format!("[profile deploy]\ncredential_process = {command}\n"));
    let got = boto(&[("AWS_CONFIG_FILE", file.to_str().unwrap()), ("PROFILE", "deploy")]).await;
    let expected = json!({ "method": "custom-process", "key": "ASIAEXAMPLE000000001",
        "secret": "s3cr3t/+1", "token": "IQoJ+/=1", "signed": true });
    assert_eq!(got, expected);
    assert_eq!(sts.sessions(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn boto3_gets_keys_of_a_container_and_they_are_kept_between_processes() {
    let sts = Sts::start().await;
    let gateway = gateway(&sts, "15m").await;
    let (_serving, lines) = serve(&gateway, "deploy").await;
    let mut environment = Vec::new();
    let names = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    for (name, line) in names.into_iter().zip(&lines) {
        let (found, value) = line.split_once('=').expect("a variable");
        assert_eq!(found, name);
        environment.push((name, value.to_owned()));
    }
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..2 {
        let got = boto(&environment).await;
        let expected = json!({ "method": "container-role", "key": "ASIAEXAMPLE000000001",
            "secret": "s3cr3t/+1", "token": "IQoJ+/=1", "signed": true });
        assert_eq!(got, expected);
    }
    assert_eq!(sts.sessions(), 1, "what is in hand is used");
    gateway.stop().await;
}

const SUBJECT_TOKENS: &str = r#"
import json, os, google.auth
from google.auth.transport.requests import Request
tokens = []
for source in json.loads(os.environ["SOURCES"]):
    account = {"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/gw",
               "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
               "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source}
    keys, _ = google.auth.load_credentials_from_dict(account)
    tokens.append(keys.retrieve_subject_token(Request()))
print(json.dumps(tokens))
"#;

/// A target that delivers its assertions.
const HANDED: &str = r#"
[targets.handed]
plugin = "hostile"
audience = "https://iam.example.test/providers/gw"
subject = "caller"
assertion = "deliver"
ttl = "15m"
"#;

#[tokio::test]
async fn google_auth_gets_assertions_of_an_executable_and_of_a_url() {
    let gateway = Gateway::start(Setup { blocks: HANDED.to_owned(), ..Setup::default() }).await;
    let (_serving, [uri, file]) = serve(&gateway, "handed").await;
    let uri = uri.split_once('=').expect("a variable").1.replace("/credentials/", "/assertions/");
    let file = file.split_once('=').expect("a variable").1;
    let authorization = std::fs::read_to_string(file).expect("the token");
    let command =
        format!("{} credential google handed {}", binary().display(), face(&gateway).join(" "));
    let sources = json!([
        { "executable": { "command": command, "timeout_millis": 30_000 } },
        { "url": uri, "headers": { "Authorization": authorization },
          "format": { "type": "json", "subject_token_field_name": "id_token" } },
    ]);
    let allowed = ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    let environment = [allowed, ("SOURCES", &sources.to_string())];
    let tokens = python(SUBJECT_TOKENS, "SYMBOLON_OAUTH_CLIENTS", &environment).await;
    let tokens = tokens.as_array().expect("tokens");
    assert_eq!(tokens.len(), 2);
    for token in tokens {
        let claims = token.as_str().and_then(|token| token.split('.').nth(1)).expect("claims");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(
            (&claims["sub"], &claims["aud"]),
            (&json!("test/alice"), &json!("https://iam.example.test/providers/gw"))
        );
    }
    gateway.stop().await;
}
