//! Where a component may not go, what it may not send, and upstreams that do not behave.

use http::Method;
use serde_json::Value;
use symbolon_client::Admin;

use super::scene::{CREDENTIAL, Scene};

/// Backend, path, audit code, public status, code of the egress.
type Row = (&'static str, &'static str, &'static str, u16, &'static str);

async fn check(scene: &Scene, rows: &[Row]) {
    let mut wrong = Vec::new();
    for (backend, path, code, status, egress) in rows {
        let answer = scene.read(backend, path).await;
        let closing = scene.gateway.closing(&answer);
        let got = (closing["code"].as_str().unwrap(), answer.status.as_u16());
        let labels = [&*format!("backend_name=\"{backend}\""), &format!("result=\"{egress}\"")];
        let counted = scene.counted("symbolon_egress_request_duration", &labels);
        if got != (*code, *status) || !counted {
            wrong.push(format!("{backend}/{path}: {got:?}, counted: {counted}, {:?}", answer.json));
        }
        scene.is_well(backend).await;
    }
    let page = scene.gateway.metrics();
    let egress = page
        .lines()
        .filter(|line| line.starts_with("symbolon_egress_request_duration_seconds_count"));
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), egress.collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn a_name_that_lies_about_where_it_leads_is_not_followed() {
    let scene = Scene::start().await;
    const REFUSED: (&str, u16, &str) = ("plugin_invalid_config", 502, "egress_address_refused");
    let row = |backend: &'static str| (backend, "rebinding", REFUSED.0, REFUSED.1, REFUSED.2);
    let rows = [row("inside-unnamed"), row("metadata-unnamed"), row("metadata-named")];
    check(&scene, &rows).await;
    assert_eq!(scene.elsewhere.heads(), [""; 0]);
    // The grant that names the address is what lets it through.
    let granted = scene.read("inside-named", "rebinding").await;
    assert_eq!(granted.json["value"], "survived 200 hello", "{:?}", granted.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn the_credential_reaches_the_granted_host_and_nobody_else() {
    let scene = Scene::start().await;
    let fetched = scene.read("bound", "fetch").await;
    assert_eq!(fetched.json["value"], "200 hello");
    let head = scene.server.heads().pop().unwrap();
    let injected = format!("authorization: bearer {}\r\n", CREDENTIAL.to_lowercase());
    assert!(head.contains(&injected), "the request had no credential");
    // It is nowhere in the guest's memory, though it was just used on its behalf.
    assert_eq!(scene.read("bound", "search").await.json["value"], "clean 200");

    let before = scene.server.heads().len();
    let rows = [
        ("bound", "own-authorization", "plugin_invalid_config", 502, "egress_reserved_header"),
        ("bound", "undeclared-host", "plugin_invalid_config", 502, "egress_not_granted"),
        ("bound", "ungranted-host", "plugin_invalid_config", 502, "egress_not_granted"),
    ];
    check(&scene, &rows).await;
    assert_eq!(scene.server.heads().len(), before, "a refused request was sent");
    // What has no credential bound is not given one.
    let _ = scene.read("hostile", "fetch").await;
    assert!(!scene.server.heads().pop().unwrap().contains("authorization"));
    assert_eq!(scene.elsewhere.heads(), [""; 0]);
    scene.keeps_its_secrets();
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_or_lies_is_told_from_one_that_answers() {
    let scene = Scene::start().await;
    let rows = [
        ("down", "fetch", "plugin_unavailable", 503, "egress_connect"),
        ("nameless", "fetch", "plugin_unavailable", 503, "egress_resolve"),
        ("two-lengths", "fetch", "plugin_internal", 500, "egress_protocol"),
        ("not-http", "fetch", "plugin_internal", 500, "egress_protocol"),
        // The head is well, so the request counts as answered; the body then breaks off.
        ("shorter", "fetch", "plugin_unavailable", 503, "200"),
    ];
    check(&scene, &rows).await;
    // What goes beyond the stated length is not part of the answer, nor of the next one.
    let longer = scene.read("longer", "fetch").await;
    assert_eq!(longer.json["value"], "200 longe", "{:?}", longer.json);
    let status = scene.read("status-503", "fetch").await;
    assert!(status.json["value"].as_str().unwrap().starts_with("503 "), "{:?}", status.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_component_that_misbehaves_at_its_check_degrades_its_backend_and_says_why() {
    let scene = Scene::start().await;
    let socket = scene.gateway.directory.path().join("admin.sock");
    let shown = Admin::at(socket).call(Method::GET, "/v1/plugins", None).await.unwrap();
    for (backend, reason) in [
        ("check-spin", "its CPU time is spent"),
        ("check-trap", "it trapped"),
        ("check-secret-in-error", "(leaky)"),
    ] {
        let state = backend_of(&shown, backend);
        assert_eq!(state["state"], "degraded", "{backend}");
        assert!(state["reason"].as_str().unwrap().contains(reason), "{state}");
        let answer = scene.read(backend, "ok").await;
        assert_eq!(answer.status, 503, "{backend}: {:?}", answer.json);
        assert_eq!(scene.gateway.closing(&answer)["code"], "backend_degraded");
    }
    assert_eq!(backend_of(&shown, "hostile")["state"], "ready");
    assert_eq!(backend_of(&shown, "neighbour")["state"], "ready");
    scene.is_well("hostile").await;
    scene.gateway.stop().await;
}

/// The row of one backend in what `plugin ls` shows.
pub(crate) fn backend_of<'a>(shown: &'a Value, name: &str) -> &'a Value {
    shown["backends"].as_array().unwrap().iter().find(|row| row["backend"] == name).unwrap()
}
