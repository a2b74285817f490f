//! The same tricks in the `:path` of HTTP/2, byte for byte.

use proptest::test_runner::{Config, TestRunner};

use super::super::frames::{Back, Frames, get};
use super::{PREFIX, gateway, path_of, targets};

#[test]
fn over_http2_router_policy_and_backend_see_the_same_path_or_nobody_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let gateway = runtime.block_on(gateway());
    let bearer = format!("Bearer {}", gateway.token("alice"));
    // What was put on record, in the order in which it was asked.
    let recorded = std::cell::RefCell::new(Vec::new());
    let served = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 800, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&targets(), |target| {
        let back = runtime.block_on(async {
            let mut frames = Frames::open(&gateway).await;
            frames.request(1, &get(&target, &bearer)).await;
            frames.answer(1).await
        });
        let text = String::from_utf8(target).expect("generated as text");
        let Some(json) = back.json() else { return Ok(()) };
        let raw = path_of(&text).strip_prefix(PREFIX).map(str::to_owned);
        let is_served = json["names"].is_array() || json["value"].is_string();
        if is_served {
            let as_sent = json["names"].is_array()
                || (json["value"].as_str() == raw.as_deref()
                    && json["path"].as_str() == raw.as_deref());
            proptest::prop_assert!(as_sent, "{text}: {json}");
            served.set(served.get() + 1);
        } else {
            let status = json["status"].as_u64();
            // A head that is no request's is answered without a body.
            let refused = matches!(status, None | Some(400 | 403 | 404));
            proptest::prop_assert!(refused, "{text}: {json}");
        }
        if is_served || json["code"] == "denied" {
            recorded.borrow_mut().push(raw.expect("only secrets are on record"));
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(served.get() >= 20, "only {} of the targets were served", served.get());
    let openings = gateway.audit().into_iter().filter(|line| line["kind"] == "request.open");
    let paths = openings.map(|opening| {
        let resource = opening["resource"].as_str().expect("a resource").to_owned();
        let (_, path) = resource.split_once("demo").expect("the backend's name");
        path.trim_start_matches('/').trim_end_matches(['"', '/']).to_owned()
    });
    let recorded = recorded.borrow();
    let asked = recorded.iter().map(|raw| raw.trim_end_matches('/')).collect::<Vec<_>>();
    assert_eq!(paths.collect::<Vec<_>>(), asked);
    runtime.block_on(gateway.stop());
}

#[tokio::test]
async fn a_request_whose_pseudo_headers_are_not_one_each_is_nobodys() {
    let gateway = gateway().await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let good: &[u8] = b"/v1/secrets/demo/a/b";
    let field = |name: &'static str, value: &'static [u8]| (name, value);
    let without = |name: &str| {
        get(good, &bearer).into_iter().filter(|(field, _)| *field != name).collect::<Vec<_>>()
    };
    let with = |more: (&'static str, &'static [u8])| {
        let mut fields = get(good, &bearer);
        fields.insert(4, more);
        fields
    };
    let mut late = without(":path");
    late.push((":path", good));
    let cases = [
        ("no path", without(":path")),
        ("an empty path", get(b"", &bearer)),
        ("a path of another form", get(b"v1/secrets/demo/a/b", &bearer)),
        ("two paths", with(field(":path", b"/v1/secrets/demo/b"))),
        ("two methods", with(field(":method", b"POST"))),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("a path among the headers", late),
        ("a pseudo-header that is none", with(field(":protocol-of-mine", b"x"))),
        ("a name in capitals", with(field("X-Name", b"x"))),
        ("a header of the connection", with(field("connection", b"close"))),
        ("a coding of the transfer", with(field("transfer-encoding", b"chunked"))),
        ("a line break in a value", with(field("x", b"a\r\nb: c"))),
        ("NUL in the path", get(b"/v1/secrets/demo/a\0/b", &bearer)),
        ("a space in the path", get(b"/v1/secrets/demo/a /b", &bearer)),
    ];
    for (name, fields) in cases {
        let mut frames = Frames::open(&gateway).await;
        frames.request(1, &fields).await;
        let back = frames.answer(1).await;
        let refused = back.json().is_none_or(|json| !json["value"].is_string());
        assert!(refused, "{name}: {back:?}");
    }
    assert!(!gateway.audit().iter().any(|line| line["kind"] == "request.open"));
    let mut frames = Frames::open(&gateway).await;
    frames.request(1, &get(good, &bearer)).await;
    assert_eq!(frames.answer(1).await.json().expect("an answer")["value"], "a/b");
    gateway.stop().await;
}

/// RFC 9110 §7.1: a target has no fragment. The HTTP library cuts one off before anybody can see it,
/// so that what is pinned here is that nobody ever does: see the threat table.
#[tokio::test]
async fn what_follows_a_number_sign_reaches_nobody() {
    let gateway = gateway().await;
    let token = gateway.token("alice");
    let bearer = format!("Bearer {token}");
    for tail in ["#", "#/../b", "#/c", "#?version=9", "#%2e%2e/b"] {
        let target = format!("/v1/secrets/demo/a/b{tail}");
        let one = super::ask(&gateway, target.as_bytes(), &token).await.expect("an answer");
        let mut frames = Frames::open(&gateway).await;
        frames.request(1, &get(target.as_bytes(), &bearer)).await;
        let two: Back = frames.answer(1).await;
        for json in [one.json(), two.json().expect("an answer")] {
            assert_eq!((&json["value"], &json["path"]), (&"a/b".into(), &"a/b".into()), "{target}");
        }
    }
    let lines = serde_json::Value::from(gateway.audit()).to_string();
    assert!(!lines.contains('#'), "a fragment is on record");
    gateway.stop().await;
}
