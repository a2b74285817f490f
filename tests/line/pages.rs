//! A listing of several pages goes on for whom it was begun, in the folder in which it was.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_tests::harness::{Gateway, Setup};

/// Two folders, each of one page and one name more.
fn blocks() -> String {
    let mut text =
        "[backends.demo]\nplugin = \"static\"\n[backends.demo.config.secrets]\n".to_owned();
    for (folder, number) in ["a", "b"].into_iter().flat_map(|f| (0..=1000).map(move |n| (f, n))) {
        writeln!(text, "\"{folder}/name-{number:04}\" = \"x\"").expect("text");
    }
    text
}

#[tokio::test]
async fn a_continuation_is_taken_from_whom_it_was_given_to_and_where() {
    let gateway = Gateway::start(Setup { blocks: blocks(), ..Setup::default() }).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let page = async |folder: &str, next: &str, token: &str| {
        let path = format!("/v1/secrets/demo/{folder}/?list&next={next}");
        gateway.get(path.trim_end_matches("&next="), token).await
    };
    let first = page("a", "", &alice).await;
    assert_eq!(first.json["names"].as_array().map(Vec::len), Some(1000), "{:?}", first.json);
    let next = first.json["next"].as_str().expect("there is more").to_owned();

    let second = page("a", &next, &alice).await;
    assert_eq!(second.json["names"], serde_json::json!(["name-1000"]));
    assert!(second.json.get("next").is_none(), "{:?}", second.json);

    let altered = next.replacen(|c: char| c != 'A', "A", 1);
    let made_up = URL_SAFE_NO_PAD.encode("name-0500");
    for (what, folder, next, token) in [
        ("another folder", "b", &next, &alice),
        ("another principal", "a", &next, &bob),
        ("altered", "a", &altered, &alice),
        ("made up", "a", &made_up, &alice),
    ] {
        let refused = page(folder, next, token).await;
        assert_eq!(refused.json["code"], "malformed", "{what}: {:?}", refused.json);
        let closing = gateway.closing(&refused);
        assert_eq!(closing["code"], "continuation", "{what}");
        assert!(closing.get("plugin").is_none(), "{what}: no component was asked");
    }
    let endless = "A".repeat(1409);
    assert_eq!(page("a", &endless, &alice).await.status, 400, "not even asked for");
    gateway.stop().await;
}
