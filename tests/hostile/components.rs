//! Components that are not what they should be: cut off, changed, saying of themselves what their code
//! does not, named like others. Each is refused at the step that is there for it, with a record of
//! who tried, and a neighbour answers all the while.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_tests::harness::component::{built, claiming, write};
use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::DEMO;
use crate::attacks::wire::admin;

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).expect("a size")).expect("below")
    }
}

fn inspected(bytes: &[u8]) -> Result<Inspection, &'static str> {
    Inspection::of(bytes, MAX_COMPONENT_BYTES).map_err(|error| error.code())
}

#[test]
fn a_component_that_is_cut_off_is_none_wherever_it_is_cut() {
    let (whole, mut numbers) = (built("static"), Numbers(1));
    assert!(inspected(&whole).is_ok());
    let near = (0..64).chain(whole.len() - 64..whole.len());
    let anywhere = (0..400).map(|_| numbers.below(whole.len()));
    for end in near.chain(anywhere) {
        let code = inspected(&whole[..end]).expect_err("refused");
        let known = ["plugin_not_component", "plugin_manifest_count", "plugin_core_module"];
        assert!(known.contains(&code), "{end}: {code}");
    }
}

#[test]
fn a_component_with_a_changed_bit_is_another_component_or_none() {
    let (whole, mut numbers) = (built("static"), Numbers(2));
    let digest = inspected(&whole).expect("whole").digest;
    let mut refused = 0;
    for _ in 0..600 {
        let (at, bit) = (numbers.below(whole.len()), numbers.below(8));
        let mut changed = whole.clone();
        changed[at] ^= 1 << bit;
        match inspected(&changed) {
            Ok(found) => assert_ne!(found.digest, digest, "{at}.{bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "some of it is structure");
}

struct Scene {
    gateway: Gateway,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// A gateway with one backend, whose component is `static`. Of the others, what is named here may
    /// be unsigned.
    async fn start(unsigned: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), "static.wasm", &built("static"));
        let setup = Setup {
            blocks: DEMO.to_owned(),
            plugins: Some(directory.path().to_owned()),
            trust: Some(format!("unsigned = [{unsigned}]\ncache = \"code\"")),
            ..Setup::default()
        };
        Self { gateway: Gateway::start(setup).await, _directory: directory }
    }

    /// What comes of installing `bytes`: the status, and what the operator is told.
    async fn install(&self, bytes: &[u8]) -> (u16, Value) {
        let body = json!({ "component": STANDARD.encode(bytes), "source": "strange.wasm" });
        let reply = admin(&self.gateway, "POST", "/v1/plugins", &body.to_string()).await;
        (reply.status, reply.json())
    }

    /// That `bytes` are refused for a reason that begins like this, that the attempt is on record, and
    /// that the neighbour answers.
    async fn refuses(&self, bytes: &[u8], reason: &str) {
        let before = self.attempts().len();
        let (status, told) = self.install(bytes).await;
        assert_eq!(status, 409, "{reason}: {told}");
        assert!(told.to_string().contains(reason), "{reason}: {told}");
        let attempts = self.attempts();
        let last = attempts.last().filter(|_| attempts.len() > before).expect("on record");
        let recorded = (&last["outcome"], &last["code"]);
        assert_eq!(recorded, (&json!("error"), &json!("plugin_refused")), "{reason}: {last}");
        self.is_well().await;
    }

    /// The records of installations, begun and ended.
    fn attempts(&self) -> Vec<Value> {
        let log = self.gateway.audit().into_iter();
        log.filter(|line| line["operation"] == "plugin.install").collect()
    }

    async fn is_well(&self) {
        let token = self.gateway.token("alice");
        let answer = self.gateway.get("/v1/secrets/demo/app/text", &token).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
    }
}

#[tokio::test]
async fn a_manifest_that_lies_about_its_code_is_found_out_before_anything_is_swapped() {
    let scene = Scene::start("\"static\", \"another\"").await;
    let code = built("static");
    for (field, value) in [
        ("name", json!("another")),
        ("version", json!("9.9.9")),
        ("summary", json!("Something else.")),
        ("config_schema", json!({ "type": "object" })),
        ("recovery", json!("named")),
        ("metadata", json!({ "token-kind": "bearer" })),
        (
            "egress",
            json!([{ "scheme": "https", "host": "evil.example", "port": null,
                "methods": ["GET"], "path_prefix": "/" }]),
        ),
    ] {
        let lie = claiming(&code, |claim| claim[field] = value);
        scene.refuses(&lie, &format!("differ in `{field}`")).await;
    }
    // What it is built for, and what it exports, is read from the code alone.
    let old = claiming(&code, |claim| claim["contract"] = json!("0.0.9"));
    scene.refuses(&old, "contract: built for 0.0.9").await;
    let (status, told) = scene.install(&claiming(&code, |_| ())).await;
    assert_eq!(status, 200, "the same claim in other words is no lie: {told}");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_name_that_only_looks_like_another_is_none_and_gets_nothing_of_it() {
    let scene = Scene::start("\"static\"").await;
    let code = built("static");
    for name in [
        "Static",
        "STATIC",
        "st\u{430}tic",
        "static\u{200b}",
        "static.",
        "static-",
        "-static",
        "st atic",
        "st_atic",
        "../static",
        "static/x",
        "\u{ff53}tatic",
        "",
        "static\n",
    ] {
        let lookalike = claiming(&code, |claim| claim["name"] = json!(name));
        scene.refuses(&lookalike, "manifest: ").await;
    }
    // What can be a name is another one: nobody has vouched for it.
    for name in ["stat1c", "statlc", "static-2", "statics"] {
        let lookalike = claiming(&code, |claim| claim["name"] = json!(name));
        scene.refuses(&lookalike, "signature: ").await;
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_is_cut_off_or_changed_harms_nobody_whichever_step_it_gets_to() {
    let scene = Scene::start("\"static\"").await;
    let (whole, mut numbers) = (built("static"), Numbers(3));
    for _ in 0..6 {
        // The manifest comes last, so that a cut leaves none, or no component.
        scene.refuses(&whole[..numbers.below(whole.len())], "build").await;
    }
    let mut refused = 0;
    for _ in 0..24 {
        let mut changed = whole.clone();
        changed[numbers.below(whole.len())] ^= 1 << numbers.below(8);
        // A bit of a text or of unused code harms nothing: then it is a component like any other.
        let (status, told) = scene.install(&changed).await;
        assert!([200, 409].contains(&status), "{told}");
        refused += usize::from(status == 409);
        scene.is_well().await;
    }
    assert!(refused > 0, "some of it is code");
    scene.gateway.stop().await;
}

/// The files of compiled code.
fn compiled(gateway: &Gateway) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(gateway.directory.path().join("code")).expect("the cache");
    let files = files.map(|file| file.expect("a file").path());
    files.filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect()
}

#[tokio::test]
async fn compiled_code_that_somebody_changed_is_not_run_and_is_made_anew() {
    let setup = || Setup {
        blocks: DEMO.to_owned(),
        trust: Some("unsigned = [\"static\"]\ncache = \"code\"".to_owned()),
        ..Setup::default()
    };
    let mut gateway = Gateway::start(setup()).await;
    let [file] = &compiled(&gateway)[..] else { panic!("one file") };
    let (file, good) = (file.clone(), std::fs::read(file).expect("the code"));
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for tampered in [changed, good[..good.len() - 1].to_vec(), good[32..].to_vec(), Vec::new()] {
        let (directory, issuer) = gateway.stop().await;
        std::fs::write(&file, &tampered).expect("changed");
        gateway = Gateway::start_in(directory, issuer, setup()).await;
        let token = gateway.token("alice");
        let answer = gateway.get("/v1/secrets/demo/app/text", &token).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        assert_ne!(std::fs::read(&file).expect("the code"), tampered, "it was made anew");
    }
    gateway.stop().await;
}
