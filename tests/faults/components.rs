//! Components that are none. Each degrades the backends that name it, and nothing else.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use symbolon_client::Admin;
use symbolon_tests::harness::{Gateway, Setup, plugins};

use crate::hostile::egress::backend_of;

const BLOCKS: &str = r#"
[backends.good]
plugin = "static"
config = { secrets = { "app/text" = "plain" } }
[backends.refused]
plugin = "hostile"
[backends.gone]
plugin = "vault"
config = { address = "https://vault.test" }
"#;

/// A directory with `static`, and whatever `spoil` makes of `hostile`. `vault` is missing.
async fn start(spoil: impl FnOnce(&Path, Vec<u8>)) -> Gateway {
    let built = plugins();
    let directory = tempfile::tempdir().unwrap().keep();
    std::fs::copy(built.join("static.wasm"), directory.join("static.wasm")).unwrap();
    spoil(&directory, std::fs::read(built.join("hostile.wasm")).unwrap());
    let setup = Setup { blocks: BLOCKS.to_owned(), plugins: Some(directory), ..Setup::default() };
    Gateway::start(setup).await
}

/// Replaces every occurrence of `from`, which is as long as `to`.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += found;
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

#[tokio::test]
async fn a_bad_component_degrades_its_backends_only_and_plugin_ls_says_why() {
    type Spoil = fn(Vec<u8>) -> Vec<u8>;
    let cases: [(&str, Spoil, &str, &str); 5] = [
        ("truncated", |bytes| bytes[..bytes.len() / 2].to_vec(), "", "no component"),
        ("a core module", |_| b"\0asm\x01\0\0\0".to_vec(), "core module", "no component"),
        ("no WebAssembly", |_| b"#!/bin/sh\nexit 0\n".to_vec(), "", "no component"),
        ("empty", |_| Vec::new(), "", "no component"),
        (
            "of another contract",
            |mut bytes| {
                replace(&mut bytes, b"\"contract\": \"0.1.0\"", b"\"contract\": \"0.9.0\"");
                bytes
            },
            "0.9.0",
            "no component",
        ),
    ];
    for (case, spoil, problem, reason) in cases {
        let gateway =
            start(|at, bytes| std::fs::write(at.join("hostile.wasm"), spoil(bytes)).unwrap()).await;
        let token = gateway.token("alice");
        let good = gateway.get("/v1/secrets/good/app/text", &token).await;
        assert_eq!(good.json["value"], "plain", "{case}: {:?}", good.json);
        let shown = shown(&gateway).await;
        for backend in ["refused", "gone"] {
            let answer = gateway.get(&format!("/v1/secrets/{backend}/ok"), &token).await;
            assert_eq!(answer.status, 503, "{case}: {:?}", answer.json);
            assert_eq!(gateway.closing(&answer)["code"], "backend_degraded", "{case}");
            assert_eq!(backend_of(&shown, backend)["state"], "degraded", "{case}");
            let said = backend_of(&shown, backend)["reason"].as_str().unwrap();
            assert!(said.contains(reason), "{case}: {said}");
        }
        assert_eq!(backend_of(&shown, "good")["state"], "ready", "{case}");
        let components = shown["components"].as_array().unwrap();
        let file = |part: &Value| part["file"].as_str().unwrap().ends_with("hostile.wasm");
        let said = components.iter().find(|part| file(part)).unwrap()["problem"].clone();
        let said = said.as_str().unwrap();
        assert!(!said.is_empty() && said.contains(problem), "{case}: {said}");
        gateway.stop().await;
    }
}

async fn shown(gateway: &Gateway) -> Value {
    let socket = gateway.directory.path().join("admin.sock");
    Admin::at(socket).call(Method::GET, "/v1/plugins", None).await.unwrap()
}

/// Opening a pipe waits for whoever writes to it, which may be nobody, ever.
#[tokio::test]
async fn a_pipe_in_the_directory_is_no_component_and_holds_nobody_up() {
    let pipe = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let starting = start(|directory, hostile| {
        pipe(&directory.join("other.wasm"));
        std::fs::write(directory.join("hostile.wasm"), hostile).unwrap();
        pipe(&directory.join("hostile.wasm.sig"));
    });
    let gateway = tokio::time::timeout(Duration::from_secs(60), starting).await.expect("a start");
    let shown = shown(&gateway).await;
    assert_eq!(backend_of(&shown, "good")["state"], "ready", "{shown:#}");
    let reason = backend_of(&shown, "refused")["reason"].as_str().unwrap();
    assert!(reason.contains("not a regular file"), "{shown:#}");
    gateway.stop().await;
}
