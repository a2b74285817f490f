//! The gateway before emulators of AWS: roles by its own assertions, secrets and parameters by the
//! sessions of roles, every request signed by the host.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, private};

use super::parts::{ACCOUNT, Doubt, Keys, Ministack, Moto, REGION, Sts};
use crate::hostile::egress::backend_of;
use crate::line::tokens::exchange;

const READ: &[&str] =
    &["secretsmanager:GetSecretValue", "ssm:GetParameters", "ssm:GetParametersByPath"];
/// Of the second version of a secret.
const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const BY_PROD: &str = "credentials = { target = \"prod\" }";

fn text(answer: &Answer) -> &str {
    answer.json["value"].as_str().unwrap_or_else(|| panic!("{:?}", answer.json))
}

/// The role `reader`, a secret and a parameter below `app/`, one of each elsewhere.
async fn furnish(aws: &Ministack) -> String {
    aws.role("reader", "gateway:prod", READ).await;
    aws.secret("other/db", "elsewhere").await;
    aws.parameter("/app/db", "SecureString", "sealed").await;
    aws.parameter("/app/plain", "String", "open").await;
    aws.secret("app/db", "first").await
}

async fn gateway(blocks: String) -> Gateway {
    Gateway::start(Setup { blocks, ..Setup::default() }).await
}

#[tokio::test]
async fn a_role_is_given_to_the_subject_that_its_trust_names_and_to_no_other() {
    let aws = Ministack::start().await;
    furnish(&aws).await;
    aws.role("narrow", "gateway:narrow", &["secretsmanager:GetSecretValue"]).await;
    let blocks = [
        aws.target("prod", "reader", "", ""),
        aws.target("stranger", "reader", "", ""),
        aws.target("narrow", "narrow", "", ""),
        aws.target("nobody", "no-such-role", "", ""),
        aws.store("secrets", "secretsmanager", BY_PROD),
        aws.store("parameters", "ssm", BY_PROD),
        aws.store("unpermitted", "ssm", "credentials = { target = \"narrow\" }"),
        aws.store("strange", "secretsmanager", "credentials = { target = \"stranger\" }"),
        aws.store("nowhere", "secretsmanager", "credentials = { target = \"nobody\" }"),
    ];
    let gateway = gateway(blocks.concat()).await;
    let secret = gateway.read("secrets/app/db").await;
    assert_eq!((secret.status, text(&secret)), (StatusCode::OK, "first"), "{}", text(&secret));
    let parameter = gateway.read("parameters/app/db").await;
    assert_eq!(
        (parameter.status, text(&parameter)),
        (StatusCode::OK, "sealed"),
        "{}",
        text(&parameter)
    );
    let refused = [
        ("strange/app/db", 502, "plugin_invalid_config"),
        ("nowhere/app/db", 502, "plugin_invalid_config"),
        // What the role itself may not is refused by AWS, and not by the gateway's policy.
        ("secrets/other/db", 502, "plugin_permission_denied"),
        ("unpermitted/app/db", 502, "plugin_permission_denied"),
    ];
    gateway.answers(&refused).await;
    gateway.stop().await;
}

#[tokio::test]
async fn versions_types_and_ways_of_not_being_there_are_told_apart() {
    let aws = Ministack::start().await;
    let arn = furnish(&aws).await;
    aws.renew("app/db", "second", ID).await;
    aws.secret("app/gone", "gone").await;
    aws.delete("app/gone").await;
    aws.secret("app/json", r#"{"user":"u","port":5432}"#).await;
    aws.parameter("/app/db", "SecureString", "resealed").await;
    let config = |service: &str, more: &str| {
        format!("{BY_PROD}\nconfig = {{ service = \"{service}\", region = \"{REGION}\", {more} }}")
    };
    let blocks = [
        aws.target("prod", "reader", "", ""),
        aws.store("secrets", "secretsmanager", BY_PROD),
        aws.store("parameters", "ssm", BY_PROD),
        aws.store("by-arn", "secretsmanager", &config("secretsmanager", "by = \"arn\"")),
        aws.store(
            "fields",
            "secretsmanager",
            &config("secretsmanager", "prefix = \"app/\", json = true"),
        ),
        aws.store("open", "ssm", &config("ssm", "types = [\"String\"]")),
    ];
    let gateway = gateway(blocks.concat()).await;
    for (path, expected) in [
        ("secrets/app/db", "second"),
        ("secrets/app/db?version=AWSPREVIOUS", "first"),
        (&format!("secrets/app/db?version={ID}"), "second"),
        (&format!("by-arn/{arn}"), "second"),
        ("parameters/app/db", "resealed"),
        ("parameters/app/db?version=1", "sealed"),
        ("open/app/plain", "open"),
    ] {
        let answer = gateway.read(path).await;
        assert_eq!((answer.status, text(&answer)), (StatusCode::OK, expected), "{path}");
    }
    let fields = gateway.read("fields/json").await;
    assert_eq!(fields.json["fields"], json!({ "user": "u", "port": "5432" }), "{:?}", fields.json);
    for (path, code) in [
        ("secrets/app/never", "absent"),
        ("secrets/app/gone", "deleted"),
        ("parameters/app/never", "absent"),
        ("parameters/app/db?version=9", "absent"),
        ("parameters/app/plain", "plugin_invalid_config"),
        ("open/app/db", "plugin_invalid_config"),
        ("fields/db", "plugin_invalid_config"),
        ("by-arn/app/db", "plugin_invalid_request"),
        (&format!("secrets/{arn}"), "plugin_invalid_request"),
        ("parameters/app/db:1", "plugin_invalid_request"),
    ] {
        let answer = gateway.read(path).await;
        assert_eq!(gateway.outcome(&answer).1, code, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn folders_are_listed_and_batches_answered_each_in_its_place() {
    let aws = Ministack::start().await;
    furnish(&aws).await;
    for number in 0..23 {
        aws.secret(&format!("app/many/{number:02}"), &format!("value {number}")).await;
        aws.parameter(
            &format!("/app/many/{number:02}"),
            "SecureString",
            &format!("value {number}"),
        )
        .await;
    }
    let blocks = [
        aws.target("prod", "reader", "", ""),
        aws.store("secrets", "secretsmanager", BY_PROD),
        aws.store("parameters", "ssm", BY_PROD),
    ];
    let gateway = gateway(blocks.concat()).await;
    for (path, names) in [
        ("secrets/app/?list", json!(["db", "many/"])),
        ("parameters/app/?list", json!(["db", "many/", "plain"])),
    ] {
        let listing = gateway.read(path).await;
        assert_eq!(listing.json["names"], names, "{path}: {:?}", listing.json);
    }
    let many = gateway.read("parameters/app/many/?list").await;
    assert_eq!(many.json["names"].as_array().expect("names").len(), 23);
    for backend in ["secrets", "parameters"] {
        let values = batch(&gateway, backend).await;
        let expected: Vec<Value> =
            (0..23).map(|n| json!(format!("value {n}"))).chain([Value::Null]).collect();
        assert_eq!(values, expected, "{backend}");
    }
    gateway.stop().await;
}

/// What a batch answers for 23 secrets, and for one that is not there.
async fn batch(gateway: &Gateway, backend: &str) -> Vec<Value> {
    let paths = (0..23).map(|n| format!("app/many/{n:02}")).chain(["app/never".to_owned()]);
    let asked: Vec<_> = paths.map(|path| json!({ "backend": backend, "path": path })).collect();
    let body = Bytes::from(json!({ "secrets": asked }).to_string());
    let token = gateway.token("alice");
    let answer = gateway.ask(Method::POST, "/v1/secrets:batch", Some(&token), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let each = answer.json["results"].as_array().expect("results").clone();
    each.iter().map(|result| result["secret"]["value"].clone()).collect()
}

#[tokio::test]
async fn a_session_that_aws_has_forgotten_is_replaced_within_the_read() {
    let mut aws = Ministack::start().await;
    furnish(&aws).await;
    let blocks =
        [aws.target("prod", "reader", "", ""), aws.store("secrets", "secretsmanager", BY_PROD)];
    let gateway = gateway(blocks.concat()).await;
    assert_eq!(gateway.read("secrets/app/db").await.status, StatusCode::OK);
    aws.restart().await;
    furnish(&aws).await;
    let again = gateway.read("secrets/app/db").await;
    assert_eq!((again.status, text(&again)), (StatusCode::OK, "first"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_signature_of_a_clock_that_is_behind_is_refused() {
    let aws = Ministack::start().await;
    furnish(&aws).await;
    let blocks =
        [aws.target("prod", "reader", "", ""), aws.store("secrets", "secretsmanager", BY_PROD)];
    let clock =
        Arc::new(ManualClock::at(SystemClock::start().now().minus(Duration::from_secs(600))));
    let setup = Setup { blocks: blocks.concat(), clock: Some(clock.clone()), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    gateway.answers(&[("secrets/app/db", 502, "plugin_unauthenticated")]).await;
    clock.advance(Duration::from_secs(600));
    gateway.answers(&[("secrets/app/db", 200, "ok")]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_role_leads_to_a_further_role_and_no_further_than_its_trust() {
    let aws = Ministack::start().await;
    furnish(&aws).await;
    aws.role("first", "gateway:first", &["sts:AssumeRole", "sts:TagSession"]).await;
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:role/team/first") },
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": { "StringEquals": { "sts:ExternalId": "symbolon" } },
    }] });
    aws.role_trusting("second", &trust, READ).await;
    let chained = "credentials = { target = \"first\" }";
    let by = |target: &str| format!("credentials = {{ target = \"{target}\" }}");
    let blocks = [
        aws.target("first", "first", "", ""),
        aws.target(
            "second",
            "second",
            ", chain = { external_id = \"symbolon\", tags = { team = \"shop\" } }",
            chained,
        ),
        aws.target("wrong", "second", ", chain = { external_id = \"other\" }", chained),
        aws.store("one", "secretsmanager", &by("first")),
        aws.store("two", "secretsmanager", &by("second")),
        aws.store("three", "secretsmanager", &by("wrong")),
    ];
    let gateway = gateway(blocks.concat()).await;
    // The first role reads nothing.
    gateway.answers(&[("one/app/db", 502, "plugin_permission_denied")]).await;
    let two = gateway.read("two/app/db").await;
    assert_eq!((two.status, text(&two)), (StatusCode::OK, "first"));
    gateway.answers(&[("three/app/db", 502, "plugin_invalid_config")]).await;
    gateway.stop().await;
}

/// The gateway's clock is four minutes behind, and AWS takes its signatures still: what was permitted
/// for half a minute is over there, and what was permitted for longer is not.
#[tokio::test]
async fn a_session_that_outlasts_what_was_permitted_opens_nothing_from_then_on() {
    let aws = Ministack::start().await;
    furnish(&aws).await;
    aws.role("first", "gateway:first", &["sts:AssumeRole"]).await;
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:role/team/first") },
        "Action": "sts:AssumeRole",
    }] });
    aws.role_trusting("second", &trust, READ).await;
    let target = |name: &str, ttl: &str| {
        let lines = format!("ttl = \"{ttl}\"\ncredentials = {{ target = \"first\" }}");
        aws.target(name, "second", ", chain = {}", &lines)
    };
    let by = |target: &str| format!("credentials = {{ target = \"{target}\" }}");
    let blocks = [
        aws.target("first", "first", "", ""),
        target("short", "30s"),
        target("middle", "10m"),
        target("long", "15m"),
        aws.store("over", "secretsmanager", &by("short")),
        aws.store("open", "secretsmanager", &by("middle")),
        aws.store("unlimited", "secretsmanager", &by("long")),
    ];
    let behind = SystemClock::start().now().minus(Duration::from_secs(240));
    let clock = Arc::new(ManualClock::at(behind));
    let setup = Setup { blocks: blocks.concat(), clock: Some(clock), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let expected = [
        ("over/app/db", 502, "plugin_permission_denied"),
        ("open/app/db", 200, "ok"),
        ("unlimited/app/db", 200, "ok"),
    ];
    gateway.answers(&expected).await;
    gateway.stop().await;
}

#[tokio::test]
async fn only_the_right_key_of_a_user_who_may_reads() {
    let (aws, [reader, nobody]) = Moto::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let wrong = Keys { secret: nobody.secret.clone(), ..reader.clone() };
    let unknown = Keys { id: "AKIAUNKNOWN0000000AB".to_owned(), ..reader.clone() };
    let mut blocks = String::new();
    for (name, keys) in
        [("right", &reader), ("wrong", &wrong), ("unknown", &unknown), ("nobody", &nobody)]
    {
        private(&directory.path().join(format!("{name}.id")), &keys.id);
        private(&directory.path().join(format!("{name}.key")), &keys.secret);
        let keys = format!(
            "credentials = {{ sigv4 = {{ access_key_id = \"file:{name}.id\", secret_access_key = \"file:{name}.key\", \
             region = \"{REGION}\", service = \"secretsmanager\" }} }}"
        );
        blocks.push_str(&aws.store(name, &keys));
    }
    let issuer = Issuer::new("https://idp.example.test");
    let gateway = Gateway::start_in(directory, issuer, Setup { blocks, ..Setup::default() }).await;
    let right = gateway.read("right/app/db").await;
    assert_eq!((right.status, text(&right)), (StatusCode::OK, "first"));
    // In this mode it answers in XML whatever it is asked in, so the status is all there is.
    let refused = ["wrong/app/db", "unknown/app/db", "nobody/app/db"];
    gateway.answers(&refused.map(|path| (path, 502, "plugin_permission_denied"))).await;
    gateway.stop().await;
}

#[tokio::test]
async fn keys_of_aws_sign_only_what_somebody_says() {
    let egress = |of: &str, host: &str| {
        format!("[[{of}.egress]]\nhost = \"{host}\"\nmethods = [\"POST\", \"GET\"]\n")
    };
    let vault = |name: &str, credentials: &str| {
        let egress = egress(&format!("backends.{name}"), "vault.example.test");
        format!(
            "[backends.{name}]\nplugin = \"vault\"\nconfig = {{ address = \"https://vault.example.test\" }}\n\
             credentials = {{ {credentials} }}\n{egress}"
        )
    };
    let sts = egress("targets.prod", &format!("sts.{REGION}.amazonaws.com"));
    let blocks = format!(
        "[targets.prod]\nplugin = \"aws\"\naudience = \"a\"\nconfig = {{ service = \"sts\", region = \"{REGION}\", \
         role_arn = \"arn:aws:iam::{ACCOUNT}:role/r\" }}\n{sts}\
         [targets.bao]\nplugin = \"vault\"\naudience = \"a\"\nconfig = {{ address = \"https://vault.example.test\" }}\n{}{}{}{}",
        egress("targets.bao", "vault.example.test"),
        vault("unsaid", "target = \"prod\""),
        vault("said", "target = \"prod\", service = \"es\", region = \"us-east-1\""),
        vault("misplaced", "target = \"bao\", service = \"es\", region = \"us-east-1\""),
    );
    let gateway = gateway(blocks).await;
    let socket = gateway.directory.path().join("admin.sock");
    let shown = symbolon_client::Admin::at(socket).call(Method::GET, "/v1/plugins", None).await;
    let shown = shown.expect("an answer");
    assert_ne!(backend_of(&shown, "said")["state"], "degraded");
    for (name, reason) in [
        (
            "unsaid",
            "the target `prod` gives keys of AWS: `credentials` needs `service` and `region`",
        ),
        (
            "misplaced",
            "the target `bao` gives no keys of AWS, which `service` and `region` are for",
        ),
    ] {
        assert_eq!(backend_of(&shown, name)["reason"], reason);
    }
    gateway.stop().await;
}

/// By one code AWS says that it will never believe an assertion, and that it had no keys just now.
#[tokio::test]
async fn an_exchange_is_tried_again_where_aws_had_no_keys_and_nowhere_else() {
    let sts = Sts::start().await;
    let gateway = gateway(sts.target("15m")).await;
    sts.witness().learn(&gateway).await;
    let unreached = "Couldn't retrieve verification key from your identity provider, please \
                     reference AssumeRoleWithWebIdentity documentation for requirements";
    for (times, code, message, asked, outcome) in [
        (2, "InvalidIdentityToken", unreached, 3, (200, "ok")),
        (2, "IDPCommunicationError", "words about a network", 3, (200, "ok")),
        (9, "InvalidIdentityToken", unreached, 3, (503, "plugin_unavailable")),
        (1, "InvalidIdentityToken", "words about an audience", 1, (502, "plugin_invalid_config")),
        (1, "AccessDenied", unreached, 1, (502, "plugin_permission_denied")),
    ] {
        sts.refuse(times, code, message);
        let before = sts.asked();
        let answer = exchange(&gateway, &gateway.token("alice"), &[("audience", "deploy")]).await;
        let (status, found) = gateway.outcome(&answer);
        assert_eq!((status, found.as_str()), outcome, "{code}: {message}");
        assert_eq!(sts.asked() - before, asked, "{code}: {message}");
    }
    gateway.stop().await;
}

/// The emulators believe any signature of an assertion; this service believes the published keys.
#[tokio::test]
async fn an_assertion_is_borne_out_by_the_published_keys_and_names_what_the_role_expects() {
    let sts = Sts::start().await;
    let blocks = [
        sts.target("15m"),
        sts.target_of("stranger", "audience = \"sts.amazonaws.com\""),
        sts.target_of("caller", "audience = \"sts.amazonaws.com\"\nsubject = \"caller\""),
        sts.target_of("elsewhere", "audience = \"sts.example.test\""),
    ];
    let gateway = gateway(blocks.concat()).await;
    let ask = async |target: &str| {
        let asked = exchange(&gateway, &gateway.token("alice"), &[("audience", target)]).await;
        (gateway.outcome(&asked), sts.witness().doubts())
    };
    let refused = |code: &str| (502, format!("plugin_{code}"));
    let unknown = ask("deploy").await;
    assert_eq!(unknown, (refused("invalid_config"), vec![Doubt::Signature]), "no keys are known");
    sts.witness().learn(&gateway).await;
    assert_eq!(ask("deploy").await, ((200, "ok".to_owned()), Vec::new()));
    let denied = || (refused("permission_denied"), vec![Doubt::Subject]);
    assert_eq!([ask("stranger").await, ask("caller").await], [denied(), denied()]);
    assert_eq!(ask("elsewhere").await, (refused("invalid_config"), vec![Doubt::Audience]));
    assert_eq!(sts.sessions(), 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_trusts_one_caller_reads_for_it_and_for_no_other() {
    let aws = Ministack::start().await;
    aws.role("reader", "test/alice", READ).await;
    aws.secret("app/db", "first").await;
    aws.secret("other/db", "elsewhere").await;
    let as_caller = "subject = \"caller\"\nmax_subject = 64\nclaims = \"aws\"";
    let blocks = [
        aws.target("prod", "reader", "", as_caller),
        aws.store("secrets", "secretsmanager", BY_PROD),
    ];
    let gateway = Arc::new(gateway(blocks.concat()).await);
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..64 {
        let (gateway, caller) = (gateway.clone(), ["alice", "bob"][number % 2]);
        reads.spawn(async move {
            (caller, gateway.get("/v1/secrets/secrets/app/db", &gateway.token(caller)).await)
        });
    }
    for (caller, answer) in reads.join_all().await {
        if caller == "alice" {
            assert_eq!((answer.status, text(&answer)), (StatusCode::OK, "first"));
        } else {
            assert_eq!(gateway.outcome(&answer), (403, "caller_refused".to_owned()));
        }
    }
    // What the role may not is the caller's to be denied.
    let beyond = gateway.read("secrets/other/db").await;
    assert_eq!(gateway.outcome(&beyond), (403, "caller_forbidden".to_owned()));
    Arc::into_inner(gateway).expect("the last").stop().await;
}
