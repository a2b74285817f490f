//! What the host adds to a bare instance. `cargo test … -- --ignored --nocapture speed`.

use std::hint::black_box;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::bindings::guest::secrets::{Secret, Selector};
use crate::bindings::types::{Context, Error};
use crate::engine::{EngineSettings, Runtime};
use crate::manifest::Interface;
use crate::testing::{Guest, Scene, context, path};

const CALLS: usize = 20_000;

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn speed_of_a_fresh_call_beside_bare_wasmtime() {
    let guest = Guest::default();
    let runtime = Runtime::start(&EngineSettings::default()).unwrap();
    let component = Component::from_binary(runtime.engine(), &guest.component()).unwrap();
    let mut linker = Linker::<()>::new(runtime.engine());
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let pre = linker.instantiate_pre(&component).unwrap();
    let instance = component.get_export_index(None, Interface::Secrets.export()).unwrap();
    let read = component.get_export_index(Some(&instance), "read").unwrap();

    let told = Context { request_id: "0".repeat(26), deadline_in_ms: 1000, metadata: vec![] };
    let selector = Selector { path: "a/b".into(), version: None };
    let scene = Scene::with(&guest, crate::Limits::default()).await;
    let path = path("a/b");
    for round in 0..3 {
        let mut bare = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begun = Instant::now();
            let mut store = Store::new(runtime.engine(), ());
            store.set_epoch_deadline(1_000_000);
            let instance = pre.instantiate_async(&mut store).await.unwrap();
            let read = instance
                .get_typed_func::<(&Context, &Selector), (Result<Secret, Error>,)>(
                    &mut store, &read,
                )
                .unwrap();
            assert!(
                black_box(read.call_async(&mut store, (&told, &selector)).await.unwrap()).0.is_ok()
            );
            drop(store);
            bare.push(begun.elapsed());
        }
        let mut hosted = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begun = Instant::now();
            black_box(scene.backend.read(&context(), &path, None).await.unwrap());
            hosted.push(begun.elapsed());
        }
        println!("round {round}: bare {:?}, hosted {:?}", spread(bare), spread(hosted));
    }
}

/// Median and 99th percentile.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
