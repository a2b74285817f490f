//! Where a component may not go, what it may not send, and upstreams that do not behave.

use http::Method;
use serde_json::Value;
use symbolon_client::Admin;

use super::scene::{CREDENTIAL, Row, Scene};
use super::trial::Fate::{self, Answered, Cut, Refused};

/// Backend, path, fate.
type Rows = &'static [(&'static str, &'static str, Fate)];

async fn check(scene: &Scene, rows: Rows) {
    let row = |(backend, path, fate): &(&'static str, &str, Fate)| Row {
        backend,
        path: (*path).to_owned(),
        fate: *fate,
    };
    scene.walk(rows.iter().map(row)).await;
}

const REFUSED_ADDRESS: Fate = Refused("plugin_invalid_config", 502, "egress_address_refused");
const NOT_GRANTED: Fate = Refused("plugin_invalid_config", 502, "egress_not_granted");

/// Names that lead where they should not.
pub(super) const NAMES: Rows = &[
    ("inside-unnamed", "rebinding", REFUSED_ADDRESS),
    ("metadata-unnamed", "rebinding", REFUSED_ADDRESS),
    ("metadata-named", "rebinding", REFUSED_ADDRESS),
];

/// What a component with a credential may not do.
pub(super) const BOUND: Rows = &[
    ("bound", "own-authorization", Refused("plugin_invalid_config", 502, "egress_reserved_header")),
    ("bound", "undeclared-host", NOT_GRANTED),
    ("bound", "ungranted-host", NOT_GRANTED),
];

/// Upstreams that are not there or do not speak HTTP.
pub(super) const LIARS: Rows = &[
    ("down", "fetch", Refused("plugin_unavailable", 503, "egress_connect")),
    ("nameless", "fetch", Refused("plugin_unavailable", 503, "egress_resolve")),
    ("two-lengths", "fetch", Refused("plugin_internal", 500, "egress_protocol")),
    ("not-http", "fetch", Refused("plugin_internal", 500, "egress_protocol")),
    ("shorter", "fetch", Cut("plugin_unavailable", 503, "egress_length_mismatch")),
    // What goes beyond the stated length is not part of the answer, nor of the next one.
    ("longer", "fetch", Answered("200 longe")),
    ("status-503", "fetch", Answered("503 ")),
];

#[tokio::test]
async fn a_name_that_lies_about_where_it_leads_is_not_followed() {
    let scene = Scene::start().await;
    check(&scene, NAMES).await;
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
    check(&scene, BOUND).await;
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
    check(&scene, LIARS).await;
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
