//! Whole calls, into guests that behave and guests that do not.

use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::error::Kind;

use crate::answer::Value;
use crate::fault::{AnswerFault, FaultKind, Trap};
use crate::testing::{GOOD, Guest, MANIFEST, Scene, admit, context, host, path};
use crate::{AdmitError, BreakerState, CallError, Limits, Operation};

#[tokio::test]
async fn a_secret_is_read_at_the_path_and_version_that_were_asked_for() {
    let scene = Scene::of(&Guest::default()).await;
    let version = Version::parse("7").unwrap();
    for asked in [None, Some(&version)] {
        let secret = scene.backend.read(&context(), &path("prod/db"), asked).await.unwrap();
        assert_eq!((secret.path.as_str(), secret.version.as_ref()), ("prod/db", asked));
        assert_eq!(secret.content_type, "text/plain");
        assert!(matches!(secret.value, Value::Opaque(bytes) if bytes.expose() == b"v"));
    }
}

#[tokio::test]
async fn a_hostile_read_costs_one_call() {
    let spin = "(loop (br 0)) (unreachable)";
    let grow = "(drop (memory.grow (i32.const 2000))) (unreachable)";
    let recurse =
        "(call $echo (local.get 5) (local.get 6) (i32.const 0) (i32.const 0) (call $deep))";
    let items = "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))";
    let lay = "(drop (table.grow $t (ref.null func) (i32.const 30000))) (unreachable)";
    for (read, items, code) in [
        (spin, "", "trap_cpu"),
        (grow, "", "trap_memory"),
        (recurse, items, "trap_stack"),
        (lay, "(table $t 1 funcref)", "trap_table"),
        ("(unreachable)", "", "trap"),
        ("(i32.load (i32.const -4))", "", "trap"),
        // Addresses that the host must not follow.
        ("(i32.const -8)", "", "trap"),
    ] {
        let scene = Scene::of(&Guest { items, read, ..Guest::default() }).await;
        let error = scene.read().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Kind::Internal), "{read}: {error}");
        assert!(scene.backend.probe(&context()).await.is_ok(), "{read}");
    }
}

#[tokio::test]
async fn an_answer_larger_than_may_cross_is_stopped_in_the_crossing() {
    let huge = "(drop (memory.grow (i32.const 100))) (drop (call $echo (local.get 5) (local.get 6)
        (i32.const 0) (i32.const 0) (i32.const 0))) (i32.store (i32.const 2092) (i32.const 6000000))
        (i32.const 2048)";
    let scene = Scene::of(&Guest::read(huge)).await;
    assert!(matches!(scene.read().await, Err(CallError::Trap { trap: Trap::Crossing, .. })));
}

#[tokio::test]
async fn an_answer_for_another_path_or_version_is_refused() {
    let other =
        "(call $echo (i32.const 200) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0))";
    let scene = Scene::of(&Guest::read(other)).await;
    assert!(matches!(scene.read().await, Err(CallError::Answer(AnswerFault::Path))));

    let unversioned =
        "(call $echo (local.get 5) (local.get 6) (i32.const 0) (i32.const 0) (i32.const 0))";
    let scene = Scene::of(&Guest::read(unversioned)).await;
    let version = Version::parse("7").unwrap();
    let refused = scene.backend.read(&context(), &path("a"), Some(&version)).await;
    assert!(matches!(refused, Err(CallError::Answer(AnswerFault::Version))));
}

#[tokio::test]
async fn nothing_of_one_call_is_there_for_the_next() {
    let remember = "(drop (call $echo (local.get 5) (local.get 6) (i32.const 0) (i32.const 0) (i32.const 0)))
        (i32.store8 (i32.const 210) (i32.add (i32.load8_u (i32.const 210)) (i32.const 1))) (i32.const 2048)";
    let scene = Scene::of(&Guest::read(remember)).await;
    for _ in 0..50 {
        let secret = scene.read().await.unwrap();
        assert!(matches!(secret.value, Value::Opaque(bytes) if bytes.expose() == b"w"));
    }
}

#[tokio::test]
async fn a_plugins_error_is_escaped_and_its_kind_decides() {
    let scene = Scene::of(&Guest::read("(call $fail (i32.const 6))")).await;
    let error = scene.read().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Exhausted, "plugin_rate_limited"));
    let fault = error.fault().unwrap();
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert_eq!(
        (fault.code.as_str(), fault.message.as_str()),
        ("slow_down", "do not log hunter2\\n")
    );
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_guest_that_spins_lets_others_run() {
    let limits = Limits { cpu: Duration::from_millis(300), ..Limits::default() };
    let scene = Scene::with(&Guest::read("(loop (br 0)) (unreachable)"), limits).await;
    let spin = scene.read();
    tokio::pin!(spin);
    // One thread: if the guest did not yield, the probe could not end first.
    let probe = async {
        for _ in 0..3 {
            scene.backend.probe(&context()).await.unwrap();
        }
    };
    assert!(tokio::select! { biased; _ = &mut spin => false, () = probe => true });
    assert!(matches!(spin.await, Err(CallError::Trap { trap: Trap::Cpu, .. })));
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let limits = Limits { cpu: Duration::from_secs(60), ..Limits::default() };
    let scene = Scene::with(&Guest::read("(loop (br 0)) (unreachable)"), limits).await;
    let soon = crate::CallContext { deadline: Duration::from_millis(20), ..context() };
    let error = scene.backend.read(&soon, &path("a"), None).await.unwrap_err();
    assert_eq!((error.code(), error.may_have_acted()), ("plugin_deadline", false));
    let over = crate::CallContext { deadline: Duration::ZERO, ..context() };
    let error = scene.backend.read(&over, &path("a"), None).await.unwrap_err();
    assert!(matches!(error, CallError::Busy), "it was never called: {error:?}");
}

#[tokio::test]
async fn a_backend_that_keeps_trapping_is_left_alone_and_tried_again() {
    let limits = Limits { breaker_failures: 2, ..Limits::default() };
    let scene = Scene::with(&Guest::read("(unreachable)"), limits).await;
    for _ in 0..2 {
        assert!(matches!(scene.read().await, Err(CallError::Trap { .. })));
    }
    let error = scene.read().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("backend_breaker_open", Kind::Unavailable));
    scene.clock.advance(Duration::from_secs(10));
    assert!(scene.backend.probe(&context()).await.is_ok());
    assert_eq!(scene.backend.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn what_a_plugin_does_not_export_it_cannot_do() {
    let scene = Scene::of(&Guest { world: "base", ..Guest::default() }).await;
    let error = scene.read().await.unwrap_err();
    assert!(matches!(error, CallError::Unsupported(Operation::Read)));
    assert_eq!(error.kind(), Kind::NoRoute);
    assert!(scene.backend.validate(&context()).await.is_ok());
}

#[tokio::test]
async fn the_configuration_reaches_the_guest_and_lines_of_log_are_counted() {
    let items = r#"(import "symbolon:plugin/config@0.1.0" "get" (func $get (param i32)))
        (import "symbolon:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
    let read = "(local $n i32) (loop (call $log (i32.const 1) (i32.const 220) (i32.const 19) (i32.const 0) (i32.const 0))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $n) (i32.const 500))))
        (drop (call $echo (local.get 5) (local.get 6) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $get (i32.const 2088)) (i32.const 2048)";
    let scene = Scene::of(&Guest { items, read, ..Guest::default() }).await;
    let secret = scene.read().await.unwrap();
    assert!(
        matches!(secret.value, Value::Opaque(bytes) if bytes.expose() == br#"{"key":"value"}"#)
    );
}

#[tokio::test]
async fn admission_names_the_step_that_refuses() {
    let guest = Guest::default;
    let said = |from: &str, to: &str| vec![MANIFEST.replace(from, to)];
    let cases: Vec<(Guest, &str)> = vec![
        (Guest { manifests: vec![], ..guest() }, "plugin_manifest_count"),
        (
            Guest { manifests: vec![MANIFEST.into(), MANIFEST.into()], ..guest() },
            "plugin_manifest_count",
        ),
        (Guest { manifests: vec!["{".into()], ..guest() }, "plugin_manifest"),
        (Guest { manifests: said("0.1.0", "0.9.0"), ..guest() }, "plugin_contract"),
        (Guest { manifests: said("a guest", "another"), ..guest() }, "plugin_describe_differs"),
        (Guest { manifests: said("1.2.3", "1.2.4"), ..guest() }, "plugin_describe_differs"),
        (Guest { manifests: said("null", "\"named\""), ..guest() }, "plugin_describe_differs"),
        (Guest { describe: "(unreachable)", ..guest() }, "plugin_smoke"),
        (Guest { describe: "(loop (br 0)) (unreachable)", ..guest() }, "plugin_smoke"),
        (
            Guest { describe: "(drop (memory.grow (i32.const 9999))) (i32.const 1024)", ..guest() },
            "plugin_smoke",
        ),
    ];
    for (at, (guest, code)) in cases.into_iter().enumerate() {
        let refused = admit(&host(), guest.component()).await.unwrap_err();
        assert_eq!(refused.code(), code, "case {at}: {refused}");
    }
}

#[tokio::test]
async fn what_is_no_component_or_wants_too_much_is_refused_unread() {
    let host = host();
    assert_eq!(admit(&host, Guest::default().core()).await.unwrap_err(), AdmitError::CoreModule);
    let refused = admit(&host, b"not wasm".to_vec()).await.unwrap_err();
    assert_eq!(refused.code(), "plugin_not_component");

    let imports = r#"(component (import "wasi:keyvalue/store@0.2.0" (instance)))"#;
    let mut component = wat::parse_str(imports).unwrap();
    crate::testing::append_section(&mut component, MANIFEST.as_bytes());
    let refused = admit(&host, component).await.unwrap_err();
    assert!(matches!(&refused, AdmitError::Import { import, .. } if import.contains("keyvalue")));

    let mut empty = wat::parse_str("(component)").unwrap();
    crate::testing::append_section(&mut empty, MANIFEST.as_bytes());
    assert_eq!(admit(&host, empty).await.unwrap_err().code(), "plugin_export_missing");
}

#[tokio::test]
async fn an_interface_that_differs_from_the_contract_is_refused_at_admission() {
    let text = r#"(component
        (core module $m (memory (export "m") 1) (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $f (result string) (canon lift (core func $i "f") (memory (core memory $i "m"))))
        (instance $describe (export "describe" (func $f)))
        (instance $check (export "validate" (func $f)) (export "probe" (func $f)))
        (export "symbolon:plugin/describe@0.1.0" (instance $describe))
        (export "symbolon:plugin/check@0.1.0" (instance $check)))"#;
    let mut component = wat::parse_str(text).unwrap();
    crate::testing::append_section(&mut component, MANIFEST.as_bytes());
    let refused = admit(&host(), component).await.unwrap_err();
    assert_eq!(refused.code(), "plugin_types", "{refused}");
}

#[tokio::test]
async fn a_dropped_call_gives_back_its_place() {
    let limits = Limits { concurrency: 1, cpu: Duration::from_secs(60), ..Limits::default() };
    let scene = Scene::with(&Guest::read("(loop (br 0)) (unreachable)"), limits).await;
    {
        let spin = scene.read();
        tokio::pin!(spin);
        assert!(tokio::select! { biased; _ = &mut spin => false, () = async {} => true });
        assert_eq!(scene.backend.free_places(), 0);
    }
    assert_eq!(scene.backend.free_places(), 1);
    assert!(scene.backend.probe(&context()).await.is_ok());
}

/// Answers `rate-limited`, with seven seconds to wait, after a request or without one.
const THROTTLED: [&str; 2] = [
    "(i32.store8 (i32.const 2080) (i32.const 1)) (i64.store (i32.const 2088) (i64.const 7000))
    (i32.store8 (i32.const 2096) (i32.const 1)) (call $fail (i32.const 6))",
    "(i32.store8 (i32.const 2080) (i32.const 1)) (i64.store (i32.const 2088) (i64.const 7000))
    (call $fail (i32.const 6))",
];

#[tokio::test]
async fn a_backend_that_asks_for_a_pause_gets_it_from_everybody() {
    let scene = Scene::of(&Guest::read(THROTTLED[0])).await;
    let error = scene.read().await.unwrap_err();
    let fault = error.fault().unwrap();
    assert_eq!(
        (error.code(), fault.retry_after),
        ("plugin_rate_limited", Some(Duration::from_secs(7)))
    );
    let paused = scene.backend.probe(&context()).await.unwrap_err();
    assert_eq!((paused.code(), paused.kind()), ("backend_paused", Kind::Exhausted));
    assert!(!paused.may_have_acted());
    assert!(scene.backend.validate(&context()).await.is_ok(), "which asks no backend");
    scene.clock.advance(Duration::from_secs(7));
    assert_eq!(scene.read().await.unwrap_err().code(), "plugin_rate_limited");

    let unasked = Scene::of(&Guest::read(THROTTLED[1])).await;
    for _ in 0..2 {
        assert_eq!(unasked.read().await.unwrap_err().code(), "plugin_rate_limited");
    }
}

#[tokio::test]
async fn calls_far_beyond_the_rate_are_refused_at_once() {
    let rate = Some(crate::Rate { per_second: 1, burst: 2 });
    let scene = Scene::with(&Guest::default(), Limits { rate, ..Limits::default() }).await;
    for outcome in [Ok(()), Ok(()), Err("backend_rate"), Err("backend_rate")] {
        let read = scene.read().await.map(drop).map_err(|error| error.code());
        assert_eq!(read, outcome);
    }
    scene.clock.advance(Duration::from_secs(1));
    assert!(scene.read().await.is_ok());
    assert!(scene.read().await.is_err(), "one turn a second");
}

#[tokio::test]
async fn good_guests_import_no_more_than_types() {
    let admitted = admit(&host(), Guest::read(GOOD).component()).await.unwrap();
    assert_eq!(admitted.inspection().imports, ["symbolon:plugin/types@0.1.0"]);
    let shown = serde_json::to_value(admitted.inspection()).unwrap();
    assert!(shown["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(shown["interfaces"], serde_json::json!(["describe", "check", "secrets"]));
}

mod speed;
