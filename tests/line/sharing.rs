//! A role that shares, as workloads and operators see it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::leases::{delete, id, post, until};
use crate::attacks::wire::admin;

const ROLES: &str = r#"
[backends.iss]
plugin = "issuer"
ttl_max = "1h"

[backends.iss.roles.app]
ttl = "10m"
ttl_max = "30m"
shared = true

[backends.iss.roles.kept]
shared = true
on_revoke = "keep"

[backends.iss.roles.gone]
shared = true
on_revoke = "end"

[backends.iss.roles.one]
shared = true
max_leases = 1

[backends.iss.roles.short]
ttl = "10m"
shared = true
config = { issue = "short" }

[backends.iss.roles.fixed]
ttl = "10m"
shared = true
config = { issue = "fixed" }

[backends.iss.roles.after]
shared = true
config = { issue = "after" }

[backends.iss.roles.slow]
shared = true
config = { issue = "late", delay_ms = 300 }

[backends.iss.roles.alone]
"#;

fn setup() -> Setup {
    Setup { blocks: ROLES.to_owned(), ..Setup::default() }
}

async fn share(gateway: &Gateway, role: &str, who: &str, wish: &str) -> Answer {
    let path = format!("/v1/credentials/iss/{role}");
    let answer = post(gateway, &path, &gateway.token(who), wish).await;
    assert_eq!(answer.status, StatusCode::OK, "{role} {who}: {:?}", answer.json);
    answer
}

fn carrier(gateway: &Gateway, answer: &Answer) -> String {
    gateway.closing(answer)["carrier"].as_str().expect("the carrier is on record").to_owned()
}

async fn shown(gateway: &Gateway, lease: &str) -> Value {
    admin(gateway, "GET", &format!("/v1/leases/{lease}"), "").await.json()
}

#[tokio::test]
async fn callers_share_one_credential_and_each_has_a_lease_of_its_own() {
    let gateway = Gateway::start(setup()).await;
    let first = share(&gateway, "app", "alice", "").await;
    let second = share(&gateway, "app", "bob", r#"{"ttl":"1m"}"#).await;
    let third = share(&gateway, "app", "alice", "").await;
    assert_eq!(first.json["fields"], second.json["fields"]);
    assert_eq!(first.json["fields"], third.json["fields"]);
    assert!(!first.json["fields"].as_object().unwrap().is_empty());
    let credential = carrier(&gateway, &first);
    for (answer, leases) in [(&first, "alice"), (&second, "bob"), (&third, "alice")] {
        let closing = gateway.closing(answer);
        assert_eq!(closing["lease"], json!(id(answer)), "{leases}");
        assert_eq!(closing["carrier"], json!(credential), "{leases}");
        assert_eq!(answer.json["lease"].get("carrier"), None, "callers are not told of others");
    }
    let lasts = second.json["lease"]["lease_duration"].as_u64().unwrap();
    assert!((55..=60).contains(&lasts), "its own time: {lasts}");

    let of = async |who: &str| {
        let list = gateway.get("/v1/leases", &gateway.token(who)).await.json;
        let ids = list["leases"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap());
        ids.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(of("alice").await, BTreeSet::from([id(&first), id(&third)]));
    assert_eq!(of("bob").await, BTreeSet::from([id(&second)]));
    let carried = format!("/v1/leases/{credential}");
    for who in ["alice", "bob"] {
        assert_eq!(gateway.get(&carried, &gateway.token(who)).await.status, StatusCode::FORBIDDEN);
        let ended = delete(&gateway, &carried, &gateway.token(who)).await;
        assert_eq!(ended.status, StatusCode::FORBIDDEN, "a carrier is nobody's");
    }
    let all = admin(&gateway, "GET", "/v1/leases", "").await.json();
    let all: Vec<_> = all["leases"].as_array().unwrap().iter().collect();
    assert_eq!(all.len(), 4);
    let is_carrier = |lease: &&&Value| lease["principal"] == "symbolon/shared";
    let carriers: Vec<_> = all.iter().filter(is_carrier).map(|lease| &lease["id"]).collect();
    assert_eq!(carriers, [&json!(credential)]);
    let page = admin(&gateway, "GET", &format!("/v1/leases?scope=carrier:{credential}"), "").await;
    assert_eq!(page.json()["leases"].as_array().unwrap().len(), 3);
    let seen = shown(&gateway, &credential).await;
    assert_eq!((&seen["shared"]["leases"], &seen["shared"]["offered"]), (&json!(3), &json!(true)));

    for (answer, who) in [(&first, "alice"), (&second, "bob")] {
        let path = format!("/v1/leases/{}", id(answer));
        let ended = delete(&gateway, &path, &gateway.token(who)).await;
        assert_eq!(ended.json["state"], "revoked", "nothing has to be asked for that");
    }
    assert_eq!(shown(&gateway, &credential).await["state"], "active");
    delete(&gateway, &format!("/v1/leases/{}", id(&third)), &gateway.token("alice")).await;
    until(&gateway, &credential, "revoked").await;
    let fresh = share(&gateway, "app", "bob", "").await;
    assert_ne!(fresh.json["fields"], first.json["fields"]);
    gateway.stop().await;
}

#[tokio::test]
async fn policies_and_quotas_are_each_callers_own() {
    let policies = r#"
        @id("alice") @ttl_max("20m") permit (principal == Workload::"test/alice", action, resource);
        @id("bob") @ttl_max("1m") permit (principal == Workload::"test/bob", action, resource);"#;
    let blocks = format!("[limits]\nleases_per_principal = 2\n{ROLES}");
    let setup = Setup { policies: Some(policies.to_owned()), blocks, ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let hers = share(&gateway, "app", "alice", r#"{"ttl":"20m"}"#).await;
    let his = share(&gateway, "app", "bob", r#"{"ttl":"20m"}"#).await;
    let lasts = |answer: &Answer| answer.json["lease"]["lease_duration"].as_u64().unwrap();
    assert!(lasts(&hers) > 1190 && lasts(&his) <= 60, "{} {}", lasts(&hers), lasts(&his));
    let path = "/v1/credentials/iss/app";
    let denied = post(&gateway, path, &gateway.token("mallory"), "").await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let renewal = format!("/v1/leases/{}/renew", id(&his));
    let renewed = post(&gateway, &renewal, &gateway.token("bob"), r#"{"ttl":"20m"}"#).await;
    assert!(renewed.json["expires_at"].as_str() <= renewed.json["ends_by"].as_str());
    assert!(renewed.json["lease_duration"].as_u64().unwrap() <= 60, "{:?}", renewed.json);
    share(&gateway, "app", "alice", "").await;
    let over = post(&gateway, path, &gateway.token("alice"), "").await;
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS);
    share(&gateway, "app", "bob", "").await;
    gateway.stop().await;
}

#[tokio::test]
async fn one_is_issued_for_those_who_come_together() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let ask = || post(&gateway, "/v1/credentials/iss/slow", &token, "");
    let (one, two, three, four) = tokio::join!(ask(), ask(), ask(), ask());
    let answers = [one, two, three, four];
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(answers.iter().all(|answer| answer.json["fields"] == answers[0].json["fields"]));
    // Of one credential there is one, whatever number shares it.
    for who in ["alice", "bob", "carol"] {
        share(&gateway, "one", who, "").await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_longest_wins_up_to_the_ceiling_and_then_a_fresh_one_overlaps() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
    let setup = Setup { clock: Some(clock.clone() as Arc<dyn Clock>), ..setup() };
    let gateway = Gateway::start(setup).await;
    let first = share(&gateway, "app", "alice", r#"{"ttl":"5m"}"#).await;
    let old = carrier(&gateway, &first);
    let end = async |lease: &str| shown(&gateway, lease).await["expires_at"].clone();
    let before = end(&old).await;
    let second = share(&gateway, "app", "bob", r#"{"ttl":"20m"}"#).await;
    assert_eq!(carrier(&gateway, &second), old);
    assert_ne!(end(&old).await, before, "renewed before the lease was written");
    assert_eq!(end(&old).await, second.json["lease"]["expires_at"]);
    assert_eq!(end(&id(&first)).await, first.json["lease"]["expires_at"]);
    let renewal = format!("/v1/leases/{}/renew", id(&first));
    let renewed = post(&gateway, &renewal, &gateway.token("alice"), r#"{"ttl":"25m"}"#).await;
    assert_eq!(renewed.json["lease_duration"], json!(25 * 60), "{:?}", renewed.json);
    assert_eq!(end(&old).await, renewed.json["expires_at"]);

    // Its ceiling is that of the role: half an hour from its issue.
    clock.advance(Duration::from_mins(12));
    let third = share(&gateway, "app", "carol", r#"{"ttl":"20m"}"#).await;
    assert_eq!(carrier(&gateway, &third), old, "what it has is a fair part");
    assert_eq!(third.json["lease"]["lease_duration"], json!(18 * 60));
    clock.advance(Duration::from_mins(9));
    let fourth = share(&gateway, "app", "dave", r#"{"ttl":"20m"}"#).await;
    let fresh = carrier(&gateway, &fourth);
    assert_ne!(fresh, old, "nine minutes are less than half of twenty");
    assert_eq!(fourth.json["lease"]["lease_duration"], json!(20 * 60));
    assert_eq!(shown(&gateway, &old).await["state"], "active", "others still have it");
    clock.advance(Duration::from_mins(9));
    until(&gateway, &old, "revoked").await;
    assert_eq!(shown(&gateway, &fresh).await["state"], "active");
    gateway.stop().await;
}

#[tokio::test]
async fn a_backend_that_gives_less_or_does_not_renew_is_shared_all_the_same() {
    let gateway = Gateway::start(setup()).await;
    let of = async |role: &str, who: &str, wish: &str| {
        let answer = share(&gateway, role, who, wish).await;
        (carrier(&gateway, &answer), answer.json["lease"]["lease_duration"].as_u64().unwrap())
    };
    let (first, lasts) = of("short", "alice", "").await;
    assert!((290..=300).contains(&lasts), "half of what was asked for: {lasts}");
    assert_eq!(of("short", "bob", "").await.0, first);
    let (first, _) = of("fixed", "alice", r#"{"ttl":"5m"}"#).await;
    let (same, lasts) = of("fixed", "bob", r#"{"ttl":"9m"}"#).await;
    assert_eq!(same, first, "five minutes are a fair part of nine");
    assert!(lasts <= 300);
    assert_ne!(of("fixed", "bob", r#"{"ttl":"20m"}"#).await.0, first);
    gateway.stop().await;
}

#[tokio::test]
async fn a_revoked_caller_loses_its_lease_and_the_role_says_what_of_the_credential() {
    let gateway = Gateway::start(setup()).await;
    for (role, same, others) in
        [("app", false, "active"), ("kept", true, "active"), ("gone", false, "revoked")]
    {
        let hers = share(&gateway, role, "alice", "").await;
        let his = share(&gateway, role, "bob", "").await;
        let lock = r#"{"principal":"test/alice","reason":"left"}"#;
        assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
        until(&gateway, &id(&hers), "revoked").await;
        until(&gateway, &id(&his), others).await;
        let old = carrier(&gateway, &hers);
        let seen = shown(&gateway, &id(&hers)).await;
        assert_eq!(seen["proof"], "shared", "{role}");
        assert_eq!(seen["shared"]["offered"], json!(same), "{role}");
        if others == "active" {
            assert!(
                seen["shared"]["known_until"].is_string(),
                "{role}: she still knows it: {seen}"
            );
            let renewal = format!("/v1/leases/{}/renew", id(&his));
            let renewed = post(&gateway, &renewal, &gateway.token("bob"), "").await;
            assert_eq!(renewed.status, StatusCode::OK, "{role}: what there is, he has");
        } else {
            until(&gateway, &old, "revoked").await;
        }
        let carols = share(&gateway, role, "carol", "").await;
        assert_eq!(carrier(&gateway, &carols) == old, same, "{role}");
        assert_eq!(admin(&gateway, "DELETE", "/v1/locks", lock).await.status, 200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_an_operator_ends_is_over_for_all_who_share_it() {
    let gateway = Gateway::start(setup()).await;
    let answers =
        [share(&gateway, "app", "alice", "").await, share(&gateway, "app", "bob", "").await];
    let credential = carrier(&gateway, &answers[0]);
    let body = format!(r#"{{"lease":"{credential}"}}"#);
    assert_eq!(admin(&gateway, "POST", "/v1/leases:revoke", &body).await.status, 200);
    for answer in &answers {
        until(&gateway, &id(answer), "revoked").await;
    }
    until(&gateway, &credential, "revoked").await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_fails_leaves_nothing_that_is_shared() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    for _ in 0..2 {
        let failed = post(&gateway, "/v1/credentials/iss/after", &token, "").await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(gateway.get("/v1/leases", &token).await.json["leases"], json!([]));
    let all = admin(&gateway, "GET", "/v1/leases", "").await.json();
    let states: Vec<_> =
        all["leases"].as_array().unwrap().iter().map(|l| l["state"].clone()).collect();
    assert_eq!(states, ["revoking", "revoking"], "looked for, as it may still land");
    gateway.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_with_what_is_shared_and_other_settings_begin_anew() {
    let gateway = Gateway::start(setup()).await;
    let before = share(&gateway, "app", "alice", "").await;
    let (directory, issuer) = gateway.stop().await;
    let gateway = Gateway::start_in(directory, issuer, setup()).await;
    let after = share(&gateway, "app", "bob", "").await;
    assert_eq!(before.json["fields"], after.json["fields"]);
    let (directory, issuer) = gateway.stop().await;
    let store = std::fs::read_dir(directory.path().join("store")).unwrap();
    let secret = before.json["fields"]["token"].as_str().unwrap().to_owned();
    for file in store.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} has the secret in the clear", file.display());
    }
    let changed =
        ROLES.replace("ttl = \"10m\"\nttl_max = \"30m\"", "ttl = \"10m\"\nttl_max = \"20m\"");
    let gateway =
        Gateway::start_in(directory, issuer, Setup { blocks: changed, ..Setup::default() }).await;
    let other = share(&gateway, "app", "carol", "").await;
    assert_ne!(other.json["fields"], before.json["fields"], "made by other rules");
    gateway.stop().await;
}
