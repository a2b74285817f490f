//! Every behaviour of `read`.

use serde_json::Value;

use super::scene::{Row, Scene};
use super::trial::Fate::{self, Answered, Cut, Harmless, Refused, Stopped};

/// Each behaviour with the backend it is asked of, what is asked, and its fate.
pub(super) const TABLE: &[(&str, &str, Fate)] = &[
    ("ok", "", Answered("fine")),
    ("spin", "", Stopped("trap_cpu", 500)),
    ("allocate", "", Stopped("trap_memory", 500)),
    ("recurse", "", Stopped("trap_stack", 500)),
    ("recurse-in-memory", "", Stopped("trap", 500)),
    ("trap", "", Stopped("trap", 500)),
    ("panic", "", Stopped("trap", 500)),
    ("hang-clock", "", Stopped("plugin_deadline", 503)),
    // A hundred lines of it are written, whichever limit it comes to.
    ("flood-log", "", Harmless("trap_cpu")),
    // What it writes is escaped: nothing has to be stopped.
    ("forge-log", "", Answered("survived")),
    ("many-handles", "", Stopped("trap_handles", 500)),
    ("many-pollables", "", Stopped("trap_handles", 500)),
    ("huge-random", "", Stopped("trap_crossing", 500)),
    ("remember", "", Answered("planted")),
    ("recall", "", Answered("clean")),
    ("search", "", Answered("clean 200")),
    ("huge", "", Stopped("answer_size", 502)),
    ("many-fields", "", Stopped("trap_crossing", 500)),
    ("duplicate-fields", "", Stopped("answer_field_name", 502)),
    ("forged-field", "", Stopped("answer_field_name", 502)),
    ("wrong-id", "", Stopped("answer_path", 502)),
    ("wrong-version", "?version=1", Stopped("answer_version", 502)),
    ("forged-version", "", Stopped("answer_version", 502)),
    ("forged-metadata", "", Stopped("answer_metadata", 502)),
    ("many-metadata", "", Stopped("answer_metadata", 502)),
    ("bad-content-type", "", Stopped("answer_content_type", 502)),
    // Bytes that are no text are answered as bytes, whatever the plugin calls them.
    ("not-utf8", "", Answered("wyj/")),
    // Stale, and said so: `expires_at` tells the caller.
    ("expired", "", Answered("survived")),
    ("never-expires", "", Stopped("answer_expiry", 502)),
    ("secret-in-error", "", Stopped("plugin_internal", 500)),
    ("forged-error", "", Stopped("trap_memory", 500)),
    ("endless-retry", "", Stopped("plugin_rate_limited", 429)),
    // Who leaves something, and who finds it: `canary`.
    ("plant", "", Stopped("absent", 403)),
    ("hunt", "", Stopped("plugin_deadline", 503)),
    ("guess", "/1", Stopped("trap", 500)),
    ("fetch", "", Answered("200 hello")),
    ("take", "", Answered("200 - 5")),
    ("post", "", Answered("200")),
    ("hang-request", "", Stopped("plugin_deadline", 503)),
    ("hang-body", "", Stopped("plugin_deadline", 503)),
    ("endless-body", "", Cut("plugin_unavailable", 503, "egress_body_too_large")),
    ("endless-request", "", Refused("plugin_unavailable", 503, "egress_request_body_too_large")),
    ("many-requests", "", Stopped("trap_handles", 500)),
    ("undeclared-host", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
    ("ungranted-host", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
    // The ways in which names lie are in `egress`: this backend names none.
    ("rebinding", "", Stopped("plugin_invalid_config", 502)),
    ("metadata-address", "", Refused("plugin_invalid_config", 502, "egress_address_refused")),
    ("redirect", "", Refused("plugin_invalid_config", 502, "egress_address_refused")),
    ("own-authorization", "", Answered("survived 200")),
    ("own-host", "", Stopped("plugin_invalid_request", 400)),
    ("absolute-form", "", Stopped("plugin_invalid_request", 400)),
    ("wrong-length", "", Stopped("plugin_unavailable", 503)),
    ("huge-header", "", Stopped("trap_crossing", 500)),
    // Nobody's time but its own; on loopback the answer may come within the clock's grain.
    ("zero-timeout", "", Harmless("plugin_unavailable")),
    ("forbidden-method", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
];

#[tokio::test]
async fn every_behaviour_of_a_hostile_component_meets_its_fate() {
    let scene = Scene::start().await;
    let listed = scene.read("hostile", "?list").await;
    let mut listed: Vec<&str> = listed.json["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let mut known: Vec<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known, "the table and the component do not name the same behaviours");

    let row = |(name, query, fate): &(&str, &str, Fate)| Row {
        backend: "hostile",
        path: format!("{name}{query}"),
        fate: *fate,
    };
    scene.walk(TABLE.iter().map(row)).await;
    assert_eq!(scene.elsewhere.heads(), [""; 0], "somebody came whom nobody let");
    // Of the bodies without end, or of another length than stated, none was sent.
    let posts = scene.server.heads().into_iter().filter(|head| head.starts_with("post"));
    assert!(posts.into_iter().all(|head| head.contains("content-length: 10000\r\n")));
    scene.keeps_its_secrets();
    nothing_is_forged(&scene);
    scene.gateway.stop().await;
}

/// Each line of the log is one JSON object, and no text of the plugin became a member of it.
fn nothing_is_forged(scene: &Scene) {
    let mut lines_of_plugin = 0;
    for line in scene.logs().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["forged"], Value::Null);
        if line["target"] == "plugin" {
            lines_of_plugin += 1;
            let text = line["fields"].to_string();
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text}");
            assert!(text.len() < 16 << 10, "a line of {} bytes", text.len());
        }
    }
    assert!((100..120).contains(&lines_of_plugin), "{lines_of_plugin} lines of the plugin");
}
