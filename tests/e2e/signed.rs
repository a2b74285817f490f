//! Signed `sts:GetCallerIdentity` requests: signed by botocore, and judged by emulators of AWS that check
//! signatures. The table of hosts is the real one; `resolve` says that they are elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon::line::authenticate::Proof;
use symbolon_tests::harness::{Gateway, Setup};

use super::parts::{ACCOUNT, Keys, Ministack, Moto, python};
use crate::attacks::DEMO;

const SERVER: &str = "gw.example.test";
const READ: &str = "/v1/secrets/demo/app/text";

/// Signs as a workload would.
const SIGN: &str = r#"
import json, os
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
host = "sts.us-east-1.amazonaws.com"
body = "Action=GetCallerIdentity&Version=2011-06-15"
request = AWSRequest("POST", f"https://{host}/", data=body, headers={
    "Host": host, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    "X-Gateway-Server-Id": os.environ["SERVER"]})
SigV4Auth(Credentials(*json.loads(os.environ["KEYS"])), "sts", "us-east-1").add_auth(request)
print(json.dumps({"method": "POST", "url": f"https://{host}/", "body": body,
                  "headers": dict(request.headers)}))
"#;

/// What a machine is given by its metadata service, which answers nobody without a session token.
const MACHINE: &str = r#"
import json, os, urllib.error, urllib.request
from botocore.utils import InstanceMetadataFetcher
service = os.environ["SERVICE"]
try:
    status = urllib.request.urlopen(service + "latest/meta-data/iam/security-credentials/").status
except urllib.error.HTTPError as refused:
    status = refused.code
keys = InstanceMetadataFetcher(base_url=service).retrieve_iam_role_credentials()
print(json.dumps({"without_token": status,
                  "keys": [keys["access_key"], keys["secret_key"], keys["token"]]}))
"#;

/// Roles named `worker` read; nobody else does.
const POLICY: &str = r#"
@id("workers")
permit (principal in Issuer::"cloud", action == Action::"read", resource)
when { principal has aws.name && principal.aws.name == "worker"
    && principal has aws.kind && principal.aws.kind == "role" };
"#;

async fn signed(keys: &Keys, server: &str) -> Value {
    let keys = json!([keys.id, keys.secret, keys.token]).to_string();
    let environment = [("KEYS", keys), ("SERVER", server.to_owned())];
    python("SYMBOLON_BOTO", SIGN, &environment).await
}

fn shown(request: &Value) -> String {
    URL_SAFE_NO_PAD.encode(request.to_string())
}

/// A gateway that believes this STS about the account, for requests to `SERVER`.
async fn before(sts: &str) -> Gateway {
    let block = format!(
        r#"
        [issuers.cloud]
        profile = "aws-signed"
        audiences = ["{SERVER}"]
        owners = [{{ claim = "/account", values = ["{ACCOUNT}"] }}]
        {sts}
        "#
    );
    let (blocks, policies) = (format!("{DEMO}{block}"), Some(POLICY.to_owned()));
    Gateway::start(Setup { blocks, policies, ..Setup::default() }).await
}

async fn prove(gateway: &Gateway, request: &Value) -> Result<String, &'static str> {
    let world = gateway.app.line.world.load_full();
    let text = shown(request);
    let proven = world.authenticator.prove(Proof::Signed(&text), None).await;
    proven.map(|principal| principal.identity().to_string()).map_err(|error| error.code())
}

async fn read(gateway: &Gateway, request: &Value) -> StatusCode {
    gateway.ask_as(READ, &format!("AWS4-STS {}", shown(request))).await.status
}

/// What the session of a role proves, once; and what STS refuses.
async fn is_judged(gateway: &Gateway, role: &Keys) {
    let good = signed(role, SERVER).await;
    assert_eq!(read(gateway, &good).await, StatusCode::OK);
    let opened = gateway.audit().into_iter().find(|line| line["kind"] == "request.open");
    let subject = opened.expect("an opening")["subject"].as_str().expect("text").to_owned();
    assert!(subject.starts_with(&format!("{ACCOUNT}:AROA")), "{subject}");
    assert_eq!(prove(gateway, &good).await, Err("replayed"));

    let forged = Keys { secret: "f".repeat(40), ..role.clone() };
    let unknown = Keys { id: "ASIAUNKNOWN000000AB1".to_owned(), ..role.clone() };
    for keys in [forged, unknown] {
        let request = signed(&keys, SERVER).await;
        assert_eq!(prove(gateway, &request).await, Err("signed_rejected"), "{}", keys.id);
        assert_eq!(read(gateway, &request).await, StatusCode::UNAUTHORIZED, "{}", keys.id);
    }
    // A request for somebody else is not taken, and is none for us once its header says so.
    let mut elsewhere = signed(role, "other.example.test").await;
    assert_eq!(prove(gateway, &elsewhere).await, Err("signed_audience"));
    elsewhere["headers"]["X-Gateway-Server-Id"] = json!(SERVER);
    assert_eq!(prove(gateway, &elsewhere).await, Err("signed_rejected"));
}

#[tokio::test]
async fn ministack_judges_what_botocore_signed() {
    let aws = Ministack::start().await;
    let (role, user) = (aws.session("worker").await, aws.user("worker").await);
    let gateway = before(&aws.sts()).await;
    is_judged(&gateway, &role).await;
    let mut other = signed(&role, SERVER).await;
    other["headers"]["X-Amz-Security-Token"] = json!("another");
    assert_eq!(prove(&gateway, &other).await, Err("signed_rejected"));
    // A user of the same name is somebody else.
    assert_eq!(read(&gateway, &signed(&user, SERVER).await).await, StatusCode::FORBIDDEN);
    gateway.stop().await;
}

#[tokio::test]
async fn moto_judges_what_botocore_signed() {
    let (aws, role) = Moto::with_role("worker").await;
    let gateway = before(&aws.sts()).await;
    is_judged(&gateway, &role).await;
    gateway.stop().await;
}

/// The emulator's token service does not know the keys that its metadata service gives: what can be
/// shown is how a workload comes by them, and that the gateway believes the token service alone.
#[tokio::test]
async fn keys_of_a_machine_prove_what_the_token_service_says_of_them() {
    let aws = Ministack::start().await;
    let environment = [("SERVICE", format!("{}/", aws.endpoint()))];
    let machine = python("SYMBOLON_BOTO", MACHINE, &environment).await;
    assert_eq!(machine["without_token"], 401);
    let key = |at: usize| machine["keys"][at].as_str().expect("text").to_owned();
    let keys = Keys { id: key(0), secret: key(1), token: Some(key(2)) };
    assert!(keys.id.starts_with("ASIA"), "{}", keys.id);
    let gateway = before(&aws.sts()).await;
    let request = signed(&keys, SERVER).await;
    assert_eq!(prove(&gateway, &request).await, Err("signed_rejected"));
    assert_eq!(read(&gateway, &request).await, StatusCode::UNAUTHORIZED);
    gateway.stop().await;
}
