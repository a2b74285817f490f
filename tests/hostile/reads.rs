//! Every behaviour of `read`.

use serde_json::{Value, json};

use super::scene::{KNOWN, Scene};

/// What has to become of a behaviour.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The host stops it: audit code and public status.
    Stopped(&'static str, u16),
    /// The host refuses a request of it: audit code, public status, code of the egress.
    Refused(&'static str, u16, &'static str),
    /// It is harmless, and its answer begins like this.
    Answered(&'static str),
    /// It is harmless, and the machine's speed decides whether this code comes before its end.
    Harmless(&'static str),
}
use Fate::{Answered, Harmless, Refused, Stopped};

/// Each behaviour with the backend it is asked of, what is asked, and its fate.
const TABLE: &[(&str, &str, Fate)] = &[
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
    ("many-handles", "", Stopped("trap_crossing", 500)),
    ("many-pollables", "", Stopped("trap_crossing", 500)),
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
    ("fetch", "", Answered("200 hello")),
    ("post", "", Answered("200")),
    ("hang-request", "", Stopped("plugin_deadline", 503)),
    ("hang-body", "", Stopped("plugin_deadline", 503)),
    ("endless-body", "", Stopped("plugin_unavailable", 503)),
    ("endless-request", "", Refused("plugin_unavailable", 503, "egress_request_body_too_large")),
    ("many-requests", "", Stopped("trap_crossing", 500)),
    ("undeclared-host", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
    ("ungranted-host", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
    // The ways in which names lie are in `egress`: this backend names none.
    ("rebinding", "", Stopped("plugin_invalid_config", 502)),
    ("metadata-address", "", Refused("plugin_invalid_config", 502, "egress_address_refused")),
    ("redirect", "", Refused("plugin_invalid_config", 502, "egress_not_granted")),
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

    let mut wrong = Vec::new();
    for (name, query, fate) in TABLE {
        if let Err(fault) = meets(&scene, &format!("{name}{query}"), *fate).await {
            wrong.push(format!("{name}: expected {fate:?}, {fault}"));
        }
        scene.is_well("hostile").await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(scene.elsewhere.heads(), [""; 0], "somebody came whom nobody let");
    // Of the bodies without end, or of another length than stated, none was sent.
    let posts = scene.server.heads().into_iter().filter(|head| head.starts_with("post"));
    assert!(posts.into_iter().all(|head| head.contains("content-length: 10000\r\n")));
    scene.keeps_its_secrets();
    nothing_is_forged(&scene);
    scene.gateway.stop().await;
}

/// Asks for one behaviour and holds answer, audit line and metric against its fate.
async fn meets(scene: &Scene, path: &str, fate: Fate) -> Result<(), String> {
    let answer = scene.read("hostile", path).await;
    let closing = scene.gateway.closing(&answer);
    let value = answer.json["value"].as_str().or(answer.json["value_base64"].as_str());
    let (code, status, egress) = match fate {
        Stopped(code, status) => (code, status, None),
        Refused(code, status, egress) => (code, status, Some(egress)),
        Harmless(code) => {
            let fine = closing["code"] == "ok" || closing["code"] == code;
            return if fine { Ok(()) } else { Err(format!("got {}", closing["code"])) };
        }
        Answered(text) => {
            let good = value.is_some_and(|value| value.starts_with(text));
            let good = good && closing["code"] == "ok";
            return if good {
                Ok(())
            } else {
                Err(format!("got {} {:?}", closing["code"], answer.json))
            };
        }
    };
    let got = (closing["code"].as_str().unwrap_or_default(), answer.status.as_u16());
    if got != (code, status) {
        return Err(format!("got {got:?} {value:?}"));
    }
    let public = json!({ "title": answer.json["title"], "detail": answer.json["detail"] });
    let says_no_more = answer.json.as_object().is_some_and(|members| members.len() == 5)
        && public["detail"] == Value::Null
        && !answer.body.windows(KNOWN.len()).any(|window| window == KNOWN.as_bytes());
    let labels = ["backend_name=\"hostile\"", &format!("error_type=\"{code}\"")];
    let counted = scene.counted("symbolon_backend_request_duration", &labels);
    let reached = egress.is_none_or(|code| {
        let labels = ["backend_name=\"hostile\"", &format!("result=\"{code}\"")];
        scene.counted("symbolon_egress_request_duration", &labels)
    });
    match (says_no_more, counted, reached) {
        (true, true, true) => Ok(()),
        (says, counted, reached) => Err(format!(
            "constant answer: {says}, counted: {counted}, egress counted: {reached}: {:?}",
            answer.json
        )),
    }
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
