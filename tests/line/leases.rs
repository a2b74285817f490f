//! Credentials and their leases, as a workload gets, renews and gives them back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon::lease::LeaseView;
use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Proof;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use crate::attacks::wire::admin;

pub(crate) const ISSUER: &str = r#"
[backends.iss]
plugin = "issuer"
ttl_max = "1h"
max_leases = 20

[backends.iss.roles.app]
ttl = "10m"
ttl_max = "30m"

[backends.iss.roles.few]
max_leases = 2

[backends.iss.roles.fixed]
config = { issue = "fixed" }

[backends.iss.roles.final]
ttl = "2m"
config = { issue = "final" }

[backends.iss.roles.before]
config = { issue = "before" }

[backends.iss.roles.after]
config = { issue = "after" }

[backends.iss.roles.beyond]
config = { issue = "beyond" }

[backends.iss.roles.sticky]
config = { revoke = "refuse" }

[backends.iss.roles.gone]
config = { verify = "gone" }

[backends.iss.roles.disabled]
config = { verify = "disabled" }

[backends.iss.roles.usable]
config = { verify = "usable" }

[backends.iss.roles.silent]
config = { verify = "unsupported" }

[backends.iss.roles.deaf]
config = { verify = "refuse" }
"#;

fn setup() -> Setup {
    Setup { blocks: ISSUER.to_owned(), ..Setup::default() }
}

pub(super) async fn post(gateway: &Gateway, path: &str, token: &str, body: &str) -> Answer {
    gateway.ask(Method::POST, path, Some(token), Bytes::copy_from_slice(body.as_bytes())).await
}

pub(super) async fn delete(gateway: &Gateway, path: &str, token: &str) -> Answer {
    gateway.ask(Method::DELETE, path, Some(token), Bytes::new()).await
}

/// A credential of `role`, as JSON.
async fn issue(gateway: &Gateway, role: &str, token: &str) -> Answer {
    post(gateway, &format!("/v1/credentials/iss/{role}"), token, "").await
}

pub(super) fn id(answer: &Answer) -> String {
    answer.json["lease"]["id"].as_str().unwrap_or_else(|| panic!("{:?}", answer.json)).to_owned()
}

/// Waits until the ledger has the lease in `state`.
pub(super) async fn until(gateway: &Gateway, lease: &str, state: &str) {
    once(gateway, lease, |lease| lease.state == state).await;
}

/// The lease, as soon as it is as it is waited for.
async fn once(gateway: &Gateway, lease: &str, is_so: impl Fn(&LeaseView) -> bool) -> LeaseView {
    let id = LeaseId::parse(lease).expect("an id");
    let looking = async {
        loop {
            let found = gateway.app.foundation.leases.find(id).await.expect("the ledger");
            if let Some(lease) = found.filter(&is_so) {
                return lease;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.expect("it becomes so")
}

#[tokio::test]
async fn a_credential_comes_with_a_lease_that_is_renewed_and_given_back() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let issued = post(&gateway, "/v1/credentials/iss/app", &token, r#"{"ttl":"5m"}"#).await;
    assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
    assert!(!issued.json["fields"].as_object().unwrap().is_empty());
    let lease = &issued.json["lease"];
    assert_eq!((&lease["state"], &lease["renewable"]), (&json!("active"), &json!(true)));
    assert!((295..=300).contains(&lease["lease_duration"].as_u64().unwrap()), "{lease}");
    assert_eq!(issued.headers["cache-control"], "no-store");
    let id = id(&issued);
    assert_eq!(gateway.closing(&issued)["lease"], json!(id));

    let renewed = post(&gateway, &format!("/v1/leases/{id}/renew"), &token, "").await;
    assert_eq!(renewed.status, StatusCode::OK, "{:?}", renewed.json);
    assert!(renewed.json["lease_duration"].as_u64().unwrap() > 590, "{:?}", renewed.json);
    let longest = r#"{"ttl":"24h"}"#;
    let longest = post(&gateway, &format!("/v1/leases/{id}/renew"), &token, longest).await;
    assert!(longest.json["expires_at"].as_str() <= longest.json["ends_by"].as_str());
    let list = gateway.get("/v1/leases", &token).await;
    assert_eq!(list.json["leases"][0]["id"], json!(id));

    let ended = delete(&gateway, &format!("/v1/leases/{id}"), &token).await;
    assert_eq!(ended.status, StatusCode::OK);
    until(&gateway, &id, "revoked").await;
    let again = delete(&gateway, &format!("/v1/leases/{id}"), &token).await;
    assert_eq!((again.status, &again.json["state"]), (StatusCode::OK, &json!("revoked")));
    let renewal = post(&gateway, &format!("/v1/leases/{id}/renew"), &token, "").await;
    assert_eq!(renewal.status, StatusCode::CONFLICT);
    assert_eq!(gateway.get("/v1/leases", &token).await.json["leases"], json!([]));
    gateway.stop().await;
}

/// Time that passes whenever somebody looks.
#[derive(Debug)]
struct Passing(ManualClock);

impl Clock for Passing {
    fn now(&self) -> Timestamp {
        self.0.advance(Duration::from_millis(1));
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.advance(Duration::from_millis(1));
        self.0.elapsed()
    }
}

#[tokio::test]
async fn a_role_may_last_as_long_as_anything_may_also_when_a_second_begins_meanwhile() {
    let clock = Passing(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
    let blocks = "[backends.iss]\nplugin = \"issuer\"\n[backends.iss.roles.app]\n".to_owned();
    let setup = Setup { clock: Some(Arc::new(clock)), blocks, ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    // In some of them the backend counts from a later second than the permit.
    for _ in 0..100 {
        let issued = issue(&gateway, "app", &token).await;
        assert_eq!(issued.status, StatusCode::OK, "{:?}", gateway.closing(&issued));
        let lease = &issued.json["lease"];
        assert!(lease["expires_at"].as_str() <= lease["ends_by"].as_str(), "{lease}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_lease_of_another_and_no_lease_answer_alike() {
    let gateway = Gateway::start(setup()).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let lease = id(&issue(&gateway, "app", &alice).await);
    let shape = |answer: &Answer| {
        let mut json = answer.json.clone();
        json["request_id"] = Value::Null;
        (answer.status, json)
    };
    let absent = gateway.get("/v1/leases/01JBX7K2M9P4QRSTVWXYZ01234", &bob).await;
    assert_eq!(absent.status, StatusCode::FORBIDDEN);
    for answer in [
        gateway.get(&format!("/v1/leases/{lease}"), &bob).await,
        delete(&gateway, &format!("/v1/leases/{lease}"), &bob).await,
        post(&gateway, &format!("/v1/leases/{lease}/renew"), &bob, "").await,
        gateway.get(&format!("/v1/leases?next={lease}"), &bob).await,
    ] {
        assert_eq!(shape(&answer), shape(&absent));
        assert_eq!(gateway.closing(&answer)["code"], "lease_unknown");
    }
    assert_eq!(gateway.get("/v1/leases", &bob).await.json["leases"], json!([]));
    until(&gateway, &lease, "active").await;
    gateway.stop().await;
}

#[tokio::test]
async fn policies_decide_about_a_lease_as_about_its_role() {
    let policies = r#"
        @id("issue") permit (principal, action == Action::"issue", resource);
        @id("see-app") permit (principal, action in [Action::"list", Action::"renew"],
                               resource == Role::"iss/app");"#;
    let setup = Setup { policies: Some(policies.to_owned()), ..setup() };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    let app = id(&issue(&gateway, "app", &token).await);
    let few = id(&issue(&gateway, "few", &token).await);
    let list = gateway.get("/v1/leases", &token).await.json;
    let seen: Vec<_> = list["leases"].as_array().unwrap().iter().map(|l| &l["id"]).collect();
    assert_eq!(seen, [&json!(app)]);
    assert_eq!(gateway.get(&format!("/v1/leases/{few}"), &token).await.status, 403);
    assert_eq!(post(&gateway, &format!("/v1/leases/{app}/renew"), &token, "").await.status, 200);
    assert_eq!(delete(&gateway, &format!("/v1/leases/{app}"), &token).await.status, 403);
    gateway.stop().await;
}

#[tokio::test]
async fn quotas_are_told_apart_and_free_themselves() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let first = id(&issue(&gateway, "few", &token).await);
    assert_eq!(issue(&gateway, "few", &gateway.token("bob")).await.status, StatusCode::OK);
    let over = issue(&gateway, "few", &token).await;
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gateway.closing(&over)["code"], "lease_quota");
    delete(&gateway, &format!("/v1/leases/{first}"), &token).await;
    until(&gateway, &first, "revoked").await;
    assert_eq!(issue(&gateway, "few", &token).await.status, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn what_fails_leaves_nothing_that_lives() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    for (role, status, leases) in [("before", 503, 0), ("after", 503, 1), ("beyond", 502, 1)] {
        let failed = issue(&gateway, role, &token).await;
        assert_eq!(failed.status.as_u16(), status, "{role}: {:?}", failed.json);
        let list = gateway.get("/v1/leases", &token).await.json;
        let of_role = list["leases"].as_array().unwrap().iter().filter(|l| l["role"] == role);
        let states: Vec<_> = of_role.map(|lease| lease["state"].as_str().unwrap()).collect();
        // What may have been issued is looked for until it can no longer land.
        assert_eq!(states, vec!["revoking"; leases], "{role}");
    }
    let unknown = issue(&gateway, "nothing", &token).await;
    assert_eq!((unknown.status.as_u16(), unknown.json["code"].as_str()), (403, Some("denied")));
    gateway.stop().await;
}

#[tokio::test]
async fn an_end_that_the_backend_does_not_confirm_is_none() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    for (role, state, proof) in [
        ("gone", "revoked", Some(Proof::Verified)),
        ("disabled", "revoked", Some(Proof::Verified)),
        ("silent", "revoked", Some(Proof::Acknowledged)),
        ("usable", "revoking", None),
        ("deaf", "revoking", None),
    ] {
        let lease = id(&issue(&gateway, role, &token).await);
        delete(&gateway, &format!("/v1/leases/{lease}"), &token).await;
        let tried = |lease: &LeaseView| lease.attempts > 0 || lease.state == "revoked";
        let seen = once(&gateway, &lease, tried).await;
        assert_eq!((seen.state, seen.proof), (state, proof), "{role}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn time_ends_leases_and_what_cannot_be_renewed_or_revoked_says_so() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
    let setup = Setup { clock: Some(clock.clone() as Arc<dyn Clock>), ..setup() };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    let app = id(&issue(&gateway, "app", &token).await);
    let fixed = issue(&gateway, "fixed", &token).await;
    assert_eq!(fixed.json["lease"]["renewable"], json!(false));
    let renewal = format!("/v1/leases/{}/renew", id(&fixed));
    let refused = post(&gateway, &renewal, &token, r#"{"ttl":"30m"}"#).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(gateway.closing(&refused)["code"], "lease_not_renewable");
    let last = issue(&gateway, "final", &token).await;
    assert_eq!(last.json["lease"]["revocable"], json!(false));
    let last = id(&last);
    let kept = delete(&gateway, &format!("/v1/leases/{last}"), &token).await;
    assert_eq!(kept.json["state"], "revoking");

    clock.advance(Duration::from_secs(599));
    let token = gateway.token("alice");
    until(&gateway, &last, "revoked").await;
    let late = post(&gateway, &format!("/v1/leases/{app}/renew"), &token, "").await;
    assert_eq!(gateway.closing(&late)["code"], "lease_expired");
    clock.advance(Duration::from_secs(2));
    until(&gateway, &app, "revoked").await;
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_requests_for_leases_are_refused_before_anything() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    for (path, body) in [
        ("/v1/credentials/iss/app", r#"{"ttl":0}"#),
        ("/v1/credentials/iss/app", r#"{"ttl":"a while"}"#),
        ("/v1/credentials/iss/app", r#"{"ttl":-1}"#),
        ("/v1/credentials/iss/app", r#"{"ttl":1,"ttl":2}"#),
        ("/v1/credentials/iss/app", r#"{"tll":1}"#),
        ("/v1/credentials/iss/app?ttl=1", ""),
        ("/v1/credentials/iss/App", ""),
        ("/v1/leases/01jbx7k2m9p4qrstvwxyz01234/renew", ""),
        ("/v1/leases/x/renew", ""),
    ] {
        let answer = post(&gateway, path, &token, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {body}");
    }
    for path in ["/v1/credentials/iss", "/v1/credentials/iss/app/x", "/v1/leases/x"] {
        let status = post(&gateway, path, &token, "").await.status;
        assert!([400, 404].contains(&status.as_u16()), "{path}: {status}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_is_locked_loses_their_leases() {
    let gateway = Gateway::start(setup()).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let hers = id(&issue(&gateway, "app", &alice).await);
    let his = id(&issue(&gateway, "app", &bob).await);
    let lock = r#"{"principal":"test/alice","reason":"left"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
    assert_eq!(gateway.get(&format!("/v1/leases/{hers}"), &alice).await.status, 403);
    assert_eq!(admin(&gateway, "DELETE", "/v1/locks", lock).await.status, 200);
    until(&gateway, &hers, "revoked").await;
    until(&gateway, &his, "active").await;
    gateway.stop().await;
}
