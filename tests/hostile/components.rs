//! Components that are not what they should be: cut off, changed, saying of themselves what their code
//! does not, named like others. Each is refused at the step that is there for it, with a record of
//! who tried, and a neighbour answers all the while.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_tests::harness::component::{built, claiming, with_manifest, write};
use symbolon_tests::harness::{Gateway, Setup};

use super::scene::NEIGHBOUR;
use super::settings::WELL_BEHAVED;
use super::text::Text;
use super::trial::Fate::Stopped;
use super::trial::{Sent, Tried, beside};
use crate::attacks::DEMO;
use crate::attacks::wire::admin;
use crate::line::tokens::exchange;

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

/// What is sent, and the code under which it is refused.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("nonsense", "plugin_not_component"),
    ("core-module", "plugin_core_module"),
    ("two-manifests", "plugin_manifest_count"),
    ("lies-about-its-code", "plugin_describe_differs"),
    ("claims-interfaces", "plugin_manifest"),
    ("exports-another-type", "plugin_types"),
    ("imports-another-thing", "plugin_import"),
    ("another-contract", "plugin_contract"),
    ("name-that-is-none", "plugin_manifest"),
    ("name-of-nobody", "plugin_unsigned"),
    ("table-too-large", "plugin_compile"),
    ("spins-at-describe", "plugin_smoke"),
    ("grows-at-describe", "plugin_smoke"),
];

/// A gateway that components are sent to, and its one backend, `demo`, which is the neighbour.
pub(super) struct Scene {
    pub(super) gateway: Gateway,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// The backend's component is `static`. Of the others, what is named here may be unsigned.
    async fn start(unsigned: &str) -> Self {
        Self::with(&format!("unsigned = [{unsigned}]\ncache = \"code\"")).await
    }

    /// With these lines of `[plugins]`.
    pub(super) async fn with(lines: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), "static.wasm", &built("static"));
        let setup = Setup {
            blocks: DEMO.to_owned(),
            plugins: Some(directory.path().to_owned()),
            trust: Some(lines.to_owned()),
            ..Setup::default()
        };
        Self { gateway: Gateway::start(setup).await, _directory: directory }
    }

    /// Installs `bytes` beside the neighbour.
    pub(super) async fn send(&self, bytes: &[u8]) -> Tried<Sent> {
        let body = json!({ "component": STANDARD.encode(bytes), "source": "strange.wasm" });
        let before = self.attempts().len();
        let sending = async {
            let reply = admin(&self.gateway, "POST", "/v1/plugins", &body.to_string()).await;
            let attempts = self.attempts();
            assert_eq!(attempts.len(), before + 2, "begun and ended");
            let record = attempts.last().expect("a record").clone();
            Sent { status: reply.status, told: reply.json(), record }
        };
        beside(&self.gateway, "demo/app/text", sending).await
    }

    /// That `bytes`, an attempt of [`REFUSALS`], are refused under its code, for a reason that contains
    /// this.
    async fn refuses(&self, attempt: &str, bytes: &[u8], reason: &str) {
        let (_, code) = REFUSALS.iter().find(|(name, _)| *name == attempt).expect("an attempt");
        let refused = self.send(bytes).await.refused(code, reason);
        refused.unwrap_or_else(|fault| panic!("{attempt}: {fault}"));
    }

    async fn is_well(&self) {
        let token = self.gateway.token("alice");
        let answer = self.gateway.get("/v1/secrets/demo/app/text", &token).await;
        assert_eq!(answer.json["value"], "plain", "{:?}", answer.json);
    }

    /// The records of installations, begun and ended.
    fn attempts(&self) -> Vec<Value> {
        let log = self.gateway.audit().into_iter();
        log.filter(|line| line["operation"] == "plugin.install").collect()
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
        let reason = format!("differ in `{field}`");
        scene.refuses("lies-about-its-code", &lie, &reason).await;
    }
    // What it is built for, and what it exports, is read from the code alone.
    let old = claiming(&code, |claim| claim["contract"] = json!("0.0.9"));
    scene.refuses("another-contract", &old, "contract: built for 0.0.9").await;
    let same = scene.send(&claiming(&code, |_| ())).await.taken();
    assert_eq!(same, Ok(true), "the same claim in other words is no lie");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_plugin_or_another_one_than_it_says_is_refused_at_its_step() {
    let scene = Scene::start("\"static\", \"text\"").await;
    let text = || Text::default().component();
    assert_eq!(scene.send(&text()).await.taken(), Ok(true), "what is changed below is good");
    let another = (
        "The host refuses any other.\n        path: string",
        "The host refuses any other.\n        place: string",
    );
    let imports = {
        let mut bytes = built("hostile");
        replace(&mut bytes, b"wasi:io/poll@", b"wasi:io/pole@");
        bytes
    };
    let with = |describe| Text { describe, ..Text::default() }.component();
    for (attempt, bytes, reason) in [
        ("nonsense", b"nonsense".to_vec(), "not a WebAssembly component"),
        ("core-module", b"\0asm\x01\0\0\0".to_vec(), "a core module"),
        ("two-manifests", with_manifest(text(), &json!({})), "2 custom sections"),
        (
            "claims-interfaces",
            claiming(&text(), |claim| claim["interfaces"] = json!(["exchange"])),
            "interfaces",
        ),
        (
            "exports-another-type",
            Text { contract: another, ..Text::default() }.component(),
            "secrets@0.1.0` differs from contract",
        ),
        ("imports-another-thing", imports, "`wasi:io/pole@"),
        (
            "table-too-large",
            Text { items: "(table 30000 funcref)", ..Text::default() }.component(),
            "exceeds the limit of 20000",
        ),
        ("spins-at-describe", with("(loop (br 0)) (unreachable)"), "its CPU time is spent"),
        (
            "grows-at-describe",
            with("(drop (memory.grow (i32.const 2000))) (unreachable)"),
            "its memory is spent",
        ),
    ] {
        scene.refuses(attempt, &bytes, reason).await;
    }
    scene.gateway.stop().await;
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places = bytes.windows(from.len()).enumerate().filter(|(_, it)| *it == from);
    let places: Vec<_> = places.map(|(at, _)| at).collect();
    assert!(!places.is_empty() && from.len() == to.len(), "something to replace");
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
}

/// With the name comes nothing, and whoever installs it is told what it could be taken for.
#[tokio::test]
async fn who_installs_a_name_that_looks_like_another_is_told_and_it_is_on_record() {
    let scene = Scene::start("\"static\", \"stat1c\", \"another\"").await;
    for (name, alike) in [("stat1c", Some("`static`")), ("another", None)] {
        let component = Text { name, ..Text::default() }.component();
        assert_eq!(scene.send(&component).await.taken(), Ok(true), "{name}");
        let record = scene.attempts().pop().expect("a record");
        assert_eq!(record["details"]["alike"].as_str(), alike, "{record}");
    }
    // Again, to see what its operator is told.
    let component = STANDARD.encode(Text { name: "stat1c", ..Text::default() }.component());
    let body = json!({ "component": component, "source": "stat1c.wasm" }).to_string();
    let told = admin(&scene.gateway, "POST", "/v1/plugins", &body).await.json();
    let warning = told["warning"].as_str().expect("a warning");
    assert!(warning.contains("`stat1c` could be taken for `static`"), "{warning}");
    scene.gateway.stop().await;
}

/// What a component exports is what it is asked for, whatever it is configured as.
#[tokio::test]
async fn what_a_component_does_not_export_it_is_not_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), "static.wasm", &built("static"));
    write(directory.path(), "issuer.wasm", &built("issuer"));
    write(directory.path(), "text.wasm", &Text::default().component());
    let blocks = "[backends.issues]\nplugin = \"issuer\"\n\
        [targets.reads]\nplugin = \"text\"\naudience = \"https://reads.example.test\"\n";
    let setup = Setup {
        blocks: format!("{WELL_BEHAVED}{blocks}"),
        plugins: Some(directory.path().to_owned()),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    let read = gateway.get("/v1/secrets/issues/any", &token);
    let read = beside(&gateway, NEIGHBOUR, read).await;
    let read = read.meets(&gateway, "issues", Stopped("plugin_lacks_interface", 404));
    assert_eq!(read, Ok(()));
    let audience = [("audience", "reads")];
    let exchanged = beside(&gateway, NEIGHBOUR, exchange(&gateway, &token, &audience)).await;
    let exchanged = exchanged.meets(&gateway, "reads", Stopped("plugin_lacks_interface", 404));
    assert_eq!(exchanged, Ok(()));
    gateway.stop().await;
}

/// A component that calls itself `static`, in its manifest and in its code, and is another.
#[tokio::test]
async fn who_takes_the_name_of_another_does_not_get_its_place() {
    let scene = Scene::start("\"static\"").await;
    let impostor = Text { name: "static", ..Text::default() }.component();
    assert_eq!(scene.send(&impostor).await.taken(), Ok(true), "the operator lets any `static` in");
    scene.is_well().await;
    let activate = |component: String| {
        let body = json!({ "component": component }).to_string();
        async { admin(&scene.gateway, "POST", "/v1/backends/demo/activate", &{ body }).await }
    };
    let both = activate("static@0.1.0".to_owned()).await;
    assert_eq!(both.status, 400, "two are called so: {}", both.json());
    scene.is_well().await;
    // With the pin of the true one there is no way to the other.
    let digest = symbolon_host::manifest::Digest::of(&built("static"));
    let file = scene.gateway.directory.path().join("symbolon.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let pinned = format!("plugin = \"static\"\ndigest = \"{digest}\"");
    std::fs::write(&file, text.replace("plugin = \"static\"", &pinned)).expect("written");
    assert_eq!(admin(&scene.gateway, "POST", "/v1/reload", "").await.status, 200);
    let other = symbolon_host::manifest::Digest::of(&impostor).hex();
    let refused = activate(other).await;
    assert_eq!(refused.status, 409, "{}", refused.json());
    assert!(refused.json().to_string().contains("digest = "), "{}", refused.json());
    scene.is_well().await;
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
        scene.refuses("name-that-is-none", &lookalike, "manifest: ").await;
    }
    // What can be a name is another one: nobody has vouched for it.
    for name in ["stat1c", "statlc", "static-2", "statics"] {
        let lookalike = claiming(&code, |claim| claim["name"] = json!(name));
        scene.refuses("name-of-nobody", &lookalike, "signature: ").await;
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_is_cut_off_or_changed_harms_nobody_whichever_step_it_gets_to() {
    let scene = Scene::start("\"static\"").await;
    let (whole, mut numbers) = (built("static"), Numbers(3));
    for _ in 0..6 {
        // The manifest comes last, so that a cut leaves none, or no component.
        let taken = scene.send(&whole[..numbers.below(whole.len())]).await.taken();
        assert_eq!(taken, Ok(false));
    }
    let mut refused = 0;
    for _ in 0..24 {
        let mut changed = whole.clone();
        changed[numbers.below(whole.len())] ^= 1 << numbers.below(8);
        // A bit of a text or of unused code harms nothing: then it is a component like any other.
        let taken = scene.send(&changed).await.taken().unwrap_or_else(|fault| panic!("{fault}"));
        refused += usize::from(!taken);
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
