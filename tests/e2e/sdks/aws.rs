//! boto3 with keys of a process and of a container: against a service that counts what it gives, and
//! against an emulator that checks the trust of roles, signatures and permissions.

use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Setup, private};

use super::super::parts::{Ministack, REGION, Sts, python};
use super::Workload;

const KEYS: &str = r#"
import json, os, boto3
session = boto3.Session(profile_name=os.environ.get("PROFILE"), region_name=os.environ["REGION"])
keys = session.get_credentials()
frozen = keys.get_frozen_credentials()
url = session.client("s3").generate_presigned_url("list_buckets")
print(json.dumps({"method": keys.method, "key": frozen.access_key, "secret": frozen.secret_key,
                  "token": frozen.token, "signed": frozen.access_key in url}))
"#;

/// Reads a secret of Secrets Manager; with `FORGED` under another key of the same id.
const SECRET: &str = r#"
import json, os, boto3
from botocore.exceptions import ClientError
found = {}
try:
    session = boto3.Session(profile_name=os.environ.get("PROFILE"), region_name=os.environ["REGION"])
    keys = session.get_credentials()
    found["method"] = keys.method
    if "FORGED" in os.environ:
        frozen = keys.get_frozen_credentials()
        session = boto3.Session(frozen.access_key, "f" * 40, frozen.token, os.environ["REGION"])
    client = session.client("secretsmanager")
    found["value"] = client.get_secret_value(SecretId=os.environ["SECRET"])["SecretString"]
except ClientError as error:
    found["error"] = error.response["Error"]["Code"]
except Exception as error:
    found["error"] = type(error).__name__
print(json.dumps(found))
"#;

type Variables = Vec<(String, String)>;

/// Runs a script with boto3 and these variables.
async fn boto(script: &str, variables: &Variables, more: &[(&str, &str)]) -> Value {
    let always = [("REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
    let own = variables.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let more = always.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned()));
    python("SYMBOLON_BOTO", script, &own.chain(more).collect::<Vec<_>>()).await
}

/// A profile whose keys a process prints.
fn profile(workload: &Workload<'_>, target: &str) -> Variables {
    let file = workload.gateway.directory.path().join(format!("aws-{}", workload.subject));
    let command = workload.command("aws", target);
    private(&file, &format!("[profile {target}]\ncredential_process = {command}\n"));
    [("AWS_CONFIG_FILE", file.display().to_string()), ("PROFILE", target.to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

async fn before(sts: &Sts, ttl: &str) -> Gateway {
    let gateway = Gateway::start(Setup { blocks: sts.target(ttl), ..Setup::default() }).await;
    sts.witness().learn(&gateway).await;
    gateway
}

fn expected(method: &str) -> Value {
    json!({ "method": method, "key": "ASIAEXAMPLE000000001", "secret": "s3cr3t/+1",
        "token": "IQoJ+/=1", "signed": true })
}

#[tokio::test]
async fn boto3_gets_keys_of_a_process() {
    let sts = Sts::start().await;
    // It renews from a quarter of an hour before the end on: shorter keys it would get twice.
    let gateway = before(&sts, "1h").await;
    let variables = profile(&Workload::of(&gateway, "alice"), "deploy");
    assert_eq!(boto(KEYS, &variables, &[]).await, expected("custom-process"));
    assert_eq!(sts.sessions(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn boto3_gets_keys_of_a_container_and_they_are_kept_between_processes() {
    let sts = Sts::start().await;
    let gateway = before(&sts, "15m").await;
    let (_serving, variables) = Workload::of(&gateway, "alice").serve(&["deploy"], 2).await;
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    let named = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    assert_eq!(names, named);
    for _ in 0..2 {
        assert_eq!(boto(KEYS, &variables, &[]).await, expected("container-role"));
    }
    assert_eq!(sts.sessions(), 1, "what is in hand is used");
    gateway.stop().await;
}

/// A gateway whose target names callers, before a role that believes `test/alice` alone, and may read
/// what is below `app/`.
async fn trusting_alice(aws: &Ministack) -> Gateway {
    aws.role("reader", "test/alice", &["secretsmanager:GetSecretValue"]).await;
    aws.secret("app/db", "hunter2").await;
    aws.secret("other/db", "elsewhere").await;
    let blocks = aws.target("deploy", "reader", "", "subject = \"caller\"\nttl = \"1h\"");
    Gateway::start(Setup { blocks, ..Setup::default() }).await
}

/// What boto3 reads with the keys that these variables lead to, and what becomes of others.
async fn reads(aws: &Ministack, variables: &Variables, method: &str) {
    let endpoint = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.endpoint());
    let endpoint = (endpoint.0, endpoint.1.as_str());
    let own = [endpoint, ("SECRET", "app/db")];
    let read = boto(SECRET, variables, &own).await;
    assert_eq!(read, json!({ "method": method, "value": "hunter2" }));
    let forged = boto(SECRET, variables, &[&own[..], &[("FORGED", "1")]].concat()).await;
    assert_eq!(forged, json!({ "method": method, "error": "InvalidSignatureException" }));
    let other = boto(SECRET, variables, &[endpoint, ("SECRET", "other/db")]).await;
    assert_eq!(other, json!({ "method": method, "error": "AccessDeniedException" }));
}

/// A caller whom the role does not believe has no keys, and the refusal is the cloud's.
async fn has_no_keys(aws: &Ministack, gateway: &Gateway, variables: &Variables) {
    let endpoint = aws.endpoint();
    let own = [("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.as_str()), ("SECRET", "app/db")];
    let read = boto(SECRET, variables, &own).await;
    assert_eq!(read, json!({ "error": "CredentialRetrievalError" }));
    let last = gateway.audit().pop().expect("a line");
    assert_eq!((&last["kind"], &last["outcome"]), (&json!("request.close"), &json!("error")));
    assert_eq!(last["code"], "plugin_permission_denied", "{last}");
}

#[tokio::test]
async fn boto3_reads_a_secret_with_keys_of_a_process_if_the_role_believes_the_caller() {
    let aws = Ministack::start().await;
    let gateway = trusting_alice(&aws).await;
    let alice = profile(&Workload::of(&gateway, "alice"), "deploy");
    reads(&aws, &alice, "custom-process").await;
    let bob = profile(&Workload::of(&gateway, "bob"), "deploy");
    has_no_keys(&aws, &gateway, &bob).await;
    gateway.stop().await;
}

#[tokio::test]
async fn boto3_reads_a_secret_with_keys_of_a_container_if_the_role_believes_the_caller() {
    let aws = Ministack::start().await;
    let gateway = trusting_alice(&aws).await;
    let (_serving, alice) = Workload::of(&gateway, "alice").serve(&["deploy"], 2).await;
    reads(&aws, &alice, "container-role").await;
    let (_serving, bob) = Workload::of(&gateway, "bob").serve(&["deploy"], 2).await;
    has_no_keys(&aws, &gateway, &bob).await;
    gateway.stop().await;
}
