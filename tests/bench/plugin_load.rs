//! From a component's file to its first answer, its code being in the cache; beside the least that
//! this takes: bare wasmtime loads the code from a file, makes an instance and calls it.
//!
//! What the host does besides is all of admission: digest, manifest, imports and exports, the MAC over
//! the code, and the smoke call, which is an instance of its own.
#![expect(unsafe_code, reason = "the floor loads code that it has compiled itself a moment ago")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::RequestId;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use symbolon_host::compiled::CompiledCache;
use symbolon_host::engine::EngineSettings;
use symbolon_host::{CallContext, Compiler, Host};
use symbolon_tests::harness::component::built;
use tokio::runtime;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load;
use crate::plugin_call::{Bare, PATH, first, settings};
use crate::report::{Report, Row, Unit, median, millis};

const ROUNDS: usize = 60;
const AIM: f64 = 0.1;

pub(crate) fn run(report: &mut Report) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = load::directory();
    let (value, floor) = runtime.block_on(measure(directory.path()));
    let case = "static, cached: file to first answer, p50 (aim < 10 ms)".to_owned();
    report.add(&Row {
        bench: "plugin-load",
        case,
        unit: Unit::Millis,
        value,
        floor,
        aim: Some(AIM),
    });
}

async fn measure(directory: &Path) -> (f64, f64) {
    let file = directory.join("static.wasm");
    std::fs::write(&file, built("static")).expect("a file");
    let key = Secret::new(vec![7; 32]);
    let cache = CompiledCache::open(&directory.join("code"), &key).expect("a cache");
    let most = symbolon_host::admit::MAX_COMPONENT_BYTES;
    let host = Host::start(&EngineSettings::default(), Compiler::Here, Some(cache), most);
    let host = host.expect("a host");
    let engine = Engine::new(&settings()).expect("an engine");
    let code = directory.join("static.cwasm");
    let compiled = engine.precompile_component(&built("static")).expect("code");
    std::fs::write(&code, compiled).expect("a file");
    let (clock, mut times) = (load::clock(), (Vec::new(), Vec::new()));
    // The first round compiles.
    for round in 0..=ROUNDS {
        let begun = clock.elapsed();
        ours(&host, &file).await;
        let took = clock.elapsed().saturating_sub(begun);
        let begun = clock.elapsed();
        bare(&engine, &code).await;
        if round > 0 {
            times.0.push(millis(took));
            times.1.push(millis(clock.elapsed().saturating_sub(begun)));
        }
    }
    (median(times.0), median(times.1))
}

async fn ours(host: &Host, file: &Path) {
    let component = std::fs::read(file).expect("a component");
    let backend = first(host, component, configuration()).await;
    let context = CallContext {
        request_id: RequestId::new(Timestamp::from_seconds(1_793_520_000), 1),
        deadline: Duration::from_secs(3600),
        on_behalf: None,
    };
    let path = SecretPath::parse(PATH).expect("a path");
    black_box(backend.read(&context, &path, None).await.expect("a secret"));
}

async fn bare(engine: &Engine, code: &Path) {
    // SAFETY: the file was written by this bench, from what this engine made.
    let component = unsafe { Component::deserialize_file(engine, code) }.expect("a component");
    let bare = Bare::of(engine.clone(), &component, configuration().to_string());
    black_box(bare.read().await);
}

fn configuration() -> serde_json::Value {
    serde_json::json!({ "secrets": { PATH: "a password" } })
}
