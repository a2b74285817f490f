//! Whose components run: keys, signatures and grants as an operator uses them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use symbolon_tests::harness::{Gateway, Issuer, Setup, lay_out, plugins};

use super::commands::binary;
use crate::attacks::wire::admin;

const BLOCKS: &str =
    "[backends.demo]\nplugin = \"static\"\nconfig = { secrets = { \"app/text\" = \"plain\" } }\n";

fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).args(["--output", "json"]).output().expect("it runs")
}

/// What a command that must succeed answers.
fn done(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", error_of(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What a command that must fail says.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    error_of(&output)
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A directory with the component `static`, and a place for keys beside it.
struct Scene {
    home: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("plugins")).unwrap();
        let scene = Self { home };
        std::fs::copy(plugins().join("static.wasm"), scene.component()).unwrap();
        scene
    }

    fn at(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    fn component(&self) -> String {
        self.at("plugins/static.wasm")
    }

    /// Makes a key, and answers the lines of the configuration that let it count.
    fn key(&self, name: &str, algorithm: &str) -> String {
        let made = done(&["plugin", "keygen", &self.at(name), "--algorithm", algorithm]);
        format!("keys.{name}.public_key = {}\n", made["public_key"])
    }

    fn sign(&self, key: &str) -> Value {
        done(&["plugin", "sign", &self.component(), "--key", &self.at(key)])
    }

    fn setup(&self, trust: &str) -> Setup {
        Setup {
            blocks: BLOCKS.to_owned(),
            plugins: Some(PathBuf::from(self.at("plugins"))),
            trust: Some(trust.to_owned()),
            ..Setup::default()
        }
    }

    /// The file of a configuration with these lines of `[plugins]`.
    fn configured(&self, trust: &str) -> String {
        let home = self.home.path().join("gateway");
        std::fs::create_dir_all(&home).unwrap();
        let issuer = Issuer::new("https://idp.example.test");
        lay_out(&home, &issuer, &self.setup(trust)).to_str().unwrap().to_owned()
    }
}

async fn reads(gateway: &Gateway) -> bool {
    let answer = gateway.get("/v1/secrets/demo/app/text", &gateway.token("alice")).await;
    assert!(answer.status == 200 || answer.status == 503, "{:?}", answer.json);
    answer.status == 200
}

/// Writes the configuration anew and reloads.
async fn reload(gateway: &Gateway, scene: &Scene, trust: &str) {
    let _file = lay_out(gateway.directory.path(), &gateway.issuer, &scene.setup(trust));
    gateway.app.reload().await.unwrap();
}

#[tokio::test]
async fn a_component_runs_while_the_keys_that_signed_it_count_and_no_longer() {
    let scene = Scene::new();
    let (one, two) = (scene.key("one", "ed25519"), scene.key("two", "ecdsa-p256"));
    let gateway = Gateway::start(scene.setup(&one)).await;
    assert!(!reads(&gateway).await, "unsigned");
    scene.sign("two");
    reload(&gateway, &scene, &one).await;
    assert!(!reads(&gateway).await, "signed by another key");
    scene.sign("one");
    reload(&gateway, &scene, &one).await;
    assert!(reads(&gateway).await, "signed");
    let both = format!("{one}{two}signatures.all_of = [\"one\", \"two\"]\n");
    reload(&gateway, &scene, &both).await;
    assert!(reads(&gateway).await, "signed by both");
    // Nothing of the component has changed, and it was admitted before.
    let elsewhere = format!("{two}keys.two.plugins = [\"vault\"]\n");
    reload(&gateway, &scene, &elsewhere).await;
    assert!(!reads(&gateway).await, "the key counts for other plugins");
    reload(&gateway, &scene, "").await;
    assert!(!reads(&gateway).await, "no key at all");
    reload(&gateway, &scene, "unsigned = [\"static\"]").await;
    assert!(reads(&gateway).await, "named as unsigned");
    reload(&gateway, &scene, &one).await;
    assert!(reads(&gateway).await);
    // One byte of a name that is nowhere checked otherwise.
    let mut bytes = std::fs::read(scene.component()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(scene.component(), bytes).unwrap();
    reload(&gateway, &scene, &one).await;
    assert!(reads(&gateway).await, "what was admitted, by the same trust, goes on");
    gateway.stop().await;
    let gateway = Gateway::start(scene.setup(&one)).await;
    assert!(!reads(&gateway).await, "changed after it was signed");
    let entries = gateway.app.line.world.load().dispatcher.catalog().entries();
    let shown = format!("{entries:?}");
    assert!(shown.contains("signature: the signature file is of another component"), "{shown}");
}

#[test]
fn keys_are_made_once_and_kept_private() {
    let scene = Scene::new();
    scene.key("release", "ed25519");
    let place = scene.at("release");
    let mode = std::fs::metadata(&place).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&place).unwrap();
    assert!(refused(&["plugin", "keygen", &place]).contains("not overwritten"));
    assert_eq!(std::fs::read(&place).unwrap(), before);
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = refused(&["plugin", "sign", &scene.component(), "--key", &place]);
    assert!(open.contains("chmod 0600"), "{open}");
    assert!(!Path::new(&scene.at("plugins/static.wasm.sig")).exists());
}

#[test]
fn signatures_are_added_until_the_component_is_another() {
    let scene = Scene::new();
    let (one, two) = (scene.key("one", "ed25519"), scene.key("two", "ecdsa-p256"));
    assert_eq!(scene.sign("one")["signatures"], 1);
    assert_eq!(scene.sign("two")["signatures"], 2);
    assert_eq!(scene.sign("two")["signatures"], 2, "again by the same key");
    let both =
        format!("{one}{two}signatures.any_of = {{ minimum = 2, keys = [\"one\", \"two\"] }}");
    let verify = ["plugin", "verify", &scene.component(), "--config", &scene.configured(&both)];
    let verified = done(&verify);
    assert_eq!(verified["signed_by"], serde_json::json!(["one", "two"]));
    assert_eq!(verified["name"], "static");

    // Another build: `hostile` under the same file name.
    std::fs::copy(plugins().join("hostile.wasm"), scene.component()).unwrap();
    assert!(refused(&verify).contains("is of another component"));
    let sign = ["plugin", "sign", &scene.component(), "--key", &scene.at("one")];
    assert!(refused(&sign).contains("--replace"));
    let replaced = [sign.as_slice(), &["--replace"]].concat();
    assert_eq!(done(&replaced)["signatures"], 1);
    let said = refused(&verify);
    for part in ["signature: `hostile` is signed by `one`", "2 of `one`, `two`", "; have it signed"]
    {
        assert!(said.contains(part), "{said}");
    }
    std::fs::remove_file(scene.at("plugins/static.wasm.sig")).unwrap();
    assert!(refused(&verify).contains("name it in `plugins.unsigned`"));
}

#[test]
fn grants_are_shown_as_granted_missing_and_unused() {
    let scene = Scene::new();
    std::fs::copy(plugins().join("vault.wasm"), scene.at("plugins/vault.wasm")).unwrap();
    let blocks = "[backends.kv]\nplugin = \"vault\"\n\
        config = { address = \"https://bao.example.com:8200\", mount = \"secret\" }\n\
        egress = [{ host = \"*.example.com\", port = 8200, methods = [\"GET\", \"PATCH\"], path_prefix = \"/v1/secret/\" },\n\
        { host = \"elsewhere.example.com\", methods = [\"GET\"] }]\n";
    let setup = Setup { blocks: blocks.to_owned(), ..scene.setup("unsigned = [\"vault\"]") };
    let home = scene.home.path().join("gateway");
    std::fs::create_dir(&home).unwrap();
    let file = lay_out(&home, &Issuer::new("https://idp.example.test"), &setup);
    let config = file.to_str().unwrap();
    let shown = done(&["plugin", "grants", "vault", "--config", config]);
    assert_eq!(shown["plugin"], "vault");
    let rows = shown["grants"].as_array().unwrap();
    let of = |state: &str| -> Vec<String> {
        let of_state = rows.iter().filter(|row| row["state"] == state);
        of_state.map(|row| row["grant"].as_str().unwrap().to_owned()).collect()
    };
    let granted = of("granted");
    assert!(
        granted.iter().any(|g| g.starts_with("GET https://bao.example.com:8200/v1/secret/")),
        "{shown:#}"
    );
    assert!(of("missing").iter().any(|grant| grant.contains("POST")), "{shown:#}");
    assert_eq!(of("unused"), ["GET https://elsewhere.example.com:443/"], "{shown:#}");
    let unknown = refused(&["plugin", "grants", "vault", "--config", config, "--backend", "none"]);
    assert!(unknown.contains("no backend or target `none`"), "{unknown}");

    let (new, old) = (scene.at("plugins/vault.wasm"), scene.component());
    let shown = done(&["plugin", "grants", &new, "--against", &old]);
    let changes = shown["changes"].as_array().unwrap();
    let added = |row: &Value| row["change"] == "+" && row["of"] == "egress";
    assert!(changes.iter().any(added), "`static` asks for nothing: {shown:#}");
    let same = done(&["plugin", "grants", &new, "--against", &new]);
    assert_eq!(same["changes"], serde_json::json!([]));
}

#[tokio::test]
async fn what_is_taken_along_is_listed_with_its_signers_also_when_one_signs_later() {
    let scene = Scene::new();
    let (one, two) = (scene.key("one", "ed25519"), scene.key("two", "ed25519"));
    let any = "signatures.any_of = { minimum = 1, keys = [\"one\", \"two\"] }\n";
    scene.sign("one");
    let gateway = Gateway::start(scene.setup(&format!("{one}{two}{any}"))).await;
    let is_listed = async |signers: &[&str]| {
        let waiting = async {
            loop {
                let shown = admin(&gateway, "GET", "/v1/plugins", "").await.json();
                let component = &shown["components"][0];
                assert_eq!(component["installed"], false, "{component}");
                if component["signed_by"] == serde_json::json!(signers) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
        assert!(waited.is_ok(), "{signers:?}");
    };
    is_listed(&["one"]).await;
    scene.sign("two");
    gateway.app.reload().await.unwrap();
    is_listed(&["one", "two"]).await;
    gateway.stop().await;
}
