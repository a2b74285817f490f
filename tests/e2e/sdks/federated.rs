//! google-auth and azure-identity with delivered assertions: they make the exchange themselves, at fakes
//! that believe what the gateway's published keys bear out and nothing else, and read a secret.

use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Setup};
use tokio::process::Command;

use super::super::parts::entra::CLIENT;
use super::super::parts::google::ACCOUNT;
use super::super::parts::{Cloud, Doubt, Entra, Google, Scene, until_there};
use super::{Workload, binary};

/// A target's lines that have its assertions name callers, and hand them out.
const DELIVERED: &str = "subject = \"caller\"\nassertion = \"deliver\"\nttl = \"5m\"";
/// The secret of the fake of Google.
const SECRET: &str = "db-password/versions/latest";

/// A gateway whose target delivers, before a project that believes `test/alice` alone.
async fn before_google() -> Scene<Google> {
    let google = Google::believing("test/alice").await;
    let lines = format!("{}\n{DELIVERED}", Google::audience());
    let blocks = google.target("google", &lines, &format!(r#"service_account = "{ACCOUNT}""#));
    Scene::of(google, Setup { blocks, ..Setup::default() }).await
}

/// The document that an operator pastes, with its command where it is here.
async fn pasted(workload: &Workload<'_>) -> Value {
    let socket = workload.gateway.directory.path().join("admin.sock");
    let mut command = Command::new(binary());
    command.args(["target", "configure", "google", "--for", "google-auth", "--output", "json"]);
    let output = command.arg("--socket").arg(socket).output().await.expect("it runs");
    let steps: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut document = steps[0]["content"].clone();
    let command = &mut document["credential_source"]["executable"]["command"];
    assert_eq!(*command, "symbolon credential google google --url https://gw.example.test");
    *command = json!(workload.command("google", "google"));
    document
}

/// What Google's client makes of such a document.
async fn by_document(scene: &Scene<Google>, document: &Value) -> Value {
    let more = [
        ("CREDENTIAL", document.to_string()),
        ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1".to_owned()),
    ];
    scene.client("unused".as_ref(), SECRET, &more).await
}

/// The client's exchange is believed for `alice`, and for nobody else.
async fn is_alices(scene: &Scene<Google>, alice: &Value, bob: &Value) {
    let read = by_document(scene, alice).await;
    let name = "projects/837509470220/secrets/db-password/versions/4";
    let witness = scene.cloud.witness();
    let asked = witness.asked();
    let expected = json!({ "name": name, "value": "hunter2", "checksum": 1_736_498_283 });
    assert_eq!(read, expected, "{asked:?}");
    assert_eq!(asked, ["federated", "impersonated", "read db-password 4"]);
    assert_eq!(by_document(scene, bob).await, json!({ "error": "OAuthError" }));
    assert_eq!(witness.doubts(), [Doubt::Subject]);
}

/// Who asked for assertions and got them, as is on record.
fn delivered(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.audit();
    let closed = |open: &Value| {
        let is_it =
            |line: &&Value| line["kind"] == "request.close" && line["request"] == open["request"];
        lines.iter().find(is_it).is_some_and(|close| close["code"] == "ok")
    };
    let opened = lines.iter().filter(|line| line["kind"] == "request.open" && closed(line));
    opened.map(|line| line["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn google_auth_exchanges_the_assertion_of_an_executable_and_reads_a_secret() {
    let scene = before_google().await;
    let alice = pasted(&Workload::of(&scene.gateway, "alice")).await;
    let bob = pasted(&Workload::of(&scene.gateway, "bob")).await;
    is_alices(&scene, &alice, &bob).await;
    assert_eq!(delivered(&scene.gateway), ["alice", "bob"]);
    scene.stop().await;
}

/// The document for the server on loopback.
async fn served(scene: &Scene<Google>, subject: &str) -> (tokio::process::Child, Value) {
    let workload = Workload::of(&scene.gateway, subject);
    let (serving, variables) = workload.serve(&["google"], 2).await;
    let [(_, uri), (_, file)] = &variables[..] else { panic!("two: {variables:?}") };
    let mut document = pasted(&workload).await;
    document["credential_source"] = json!({
        "url": uri.replace("/credentials/", "/assertions/"),
        "headers": { "Authorization": std::fs::read_to_string(file).expect("the token") },
        "format": { "type": "json", "subject_token_field_name": "id_token" },
    });
    (serving, document)
}

#[tokio::test]
async fn google_auth_exchanges_the_assertion_of_a_url_and_reads_a_secret() {
    let scene = before_google().await;
    let (_serving, alice) = served(&scene, "alice").await;
    let (_serving, bob) = served(&scene, "bob").await;
    is_alices(&scene, &alice, &bob).await;
    scene.stop().await;
}

#[tokio::test]
async fn azure_identity_exchanges_the_assertion_of_a_file_and_reads_a_secret() {
    let entra = Entra::believing("test/alice").await;
    let lines = format!("audience = \"api://AzureADTokenExchange\"\n{DELIVERED}");
    let blocks = entra.target(&lines, CLIENT);
    let scene = Scene::of(entra, Setup { blocks, ..Setup::default() }).await;
    let witness = scene.cloud.witness();
    let refused = json!({ "error": "ClientAuthenticationError" });
    for (subject, is_believed) in [("alice", true), ("bob", false)] {
        let file = scene.gateway.directory.path().join(format!("assertion-of-{subject}"));
        let kept = format!("azure={}", file.display());
        let workload = Workload::of(&scene.gateway, subject);
        let (_serving, _) = workload.serve(&["--assertion-file", &kept], 1).await;
        until_there(&file).await;
        for more in [&[][..], &[("CALLBACK", "1".to_owned())]] {
            let read = scene.client(&file, "db-password", more).await;
            if is_believed {
                assert_eq!(read["value"], "s3cr3t", "{read} {:?}", witness.asked());
                assert!(
                    witness
                        .asked()
                        .ends_with(&["logged in", "read db-password"].map(str::to_owned))
                );
            } else {
                assert_eq!(read, refused, "{subject}");
                assert_eq!(witness.doubts(), [Doubt::Subject]);
            }
        }
    }
    assert_eq!(delivered(&scene.gateway), ["alice", "bob"]);
    scene.stop().await;
}
