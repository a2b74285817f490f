//! Tokens that must not prove anything, through the authenticator of a running gateway.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};
use symbolon::line::authenticate::Unproven;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::token::testing::{Mutation, mutations};
use symbolon_tests::harness::{Gateway, Issuer, ORIGIN, Setup};

use super::DEMO;
use super::wire::{admin, connect, get, send};

const NOW: i64 = 1_793_520_100;
const READ: &str = "/v1/secrets/demo/app/text";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)))
}

async fn gateway(clock: &Arc<ManualClock>, blocks: &str) -> Gateway {
    let blocks = format!("{DEMO}{blocks}");
    Gateway::start(Setup { blocks, clock: Some(clock.clone()), ..Setup::default() }).await
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn attacks(gateway: &Gateway) -> Vec<Mutation> {
    let claims = gateway.issuer.claims("svc:a", ORIGIN, NOW);
    let sign = |input: &str| gateway.issuer.sign(input);
    mutations(&object(Issuer::header()), &object(claims), &sign)
}

/// What the authenticator in force says of a token.
async fn prove(gateway: &Gateway, token: &str) -> Result<String, Unproven> {
    let world = gateway.app.line.world.load_full();
    let principal = world.authenticator.prove(token, None).await?;
    Ok(principal.identity().to_string())
}

async fn refusal(gateway: &Gateway, token: &str) -> &'static str {
    match prove(gateway, token).await {
        Ok(_) => "accepted",
        Err(unproven) => unproven.code(),
    }
}

#[tokio::test]
async fn every_mutation_of_a_good_token_is_refused_for_its_own_reason() {
    let gateway = gateway(&clock(), "").await;
    assert_eq!(refusal(&gateway, &gateway.token("svc:a")).await, "accepted");
    let all = attacks(&gateway);
    assert!(all.len() > 250, "{}", all.len());
    let mut table = String::new();
    for Mutation { description, token } in all {
        let unproven = prove(&gateway, &token).await.expect_err(&description);
        assert!(matches!(unproven, Unproven::Token(_)), "{description}: {unproven:?}");
        if description.ends_with("a signature cut short") {
            // Where the cut falls, unused bits are zero in one signature of sixteen.
            assert!(["token_encoding", "signature"].contains(&unproven.code()), "{unproven:?}");
            continue;
        }
        writeln!(table, "{:16} {description}", unproven.code()).expect("text");
    }
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("mutations", table);
    });
    gateway.stop().await;
}

#[tokio::test]
async fn on_the_wire_a_refusal_is_a_constant_and_is_counted_and_summed_up() {
    let gateway = gateway(&clock(), "").await;
    let is_header = |m: &Mutation| m.token.bytes().all(|b| b.is_ascii_graphic());
    let sample = attacks(&gateway).into_iter().filter(is_header).step_by(5).collect::<Vec<_>>();
    let mut reasons = BTreeSet::new();
    for Mutation { description, token } in &sample {
        let expected = match prove(&gateway, token).await.expect_err(description) {
            Unproven::Token(refusal) => refusal,
            other => panic!("{description}: {other:?}"),
        };
        let mut stream = connect(&gateway, "http/1.1").await;
        let reply = send(&mut stream, &get(READ, token)).await.expect("an answer");
        let kind = if token.is_empty() {
            symbolon_core::error::Kind::Unauthenticated
        } else {
            reasons.insert(expected.code());
            expected.kind()
        };
        let public = kind.public();
        let id = reply.request_id();
        assert_eq!(
            (reply.status, reply.json()),
            (
                public.status,
                json!({
                    "type": "about:blank", "title": public.title, "status": public.status,
                    "code": public.code, "request_id": id,
                })
            ),
            "{description}"
        );
    }
    let page = gateway.metrics();
    for reason in &reasons {
        let line = page.lines().find(|line| {
            line.starts_with("symbolon_strangers_total")
                && line.contains(&format!("reason=\"{reason}\""))
        });
        assert!(line.is_some(), "{reason} is not on the metrics page");
    }
    gateway.app.line.journal.report_strangers().await.expect("a line");
    let lines = gateway.audit();
    let strangers: Vec<_> = lines.iter().filter(|line| line["kind"] == "strangers").collect();
    assert_eq!(strangers.len(), 1, "one line for all");
    assert_eq!(strangers[0]["total"], sample.len());
    for reason in reasons {
        assert!(strangers[0]["reasons"][reason].as_u64() >= Some(1), "{reason}");
    }
    assert!(!lines.iter().any(|line| line["kind"] == "request.open"));
    gateway.stop().await;
}

const K1: &str = r#"
[issuers.idp]
issuer = "https://idp.example"
audiences = ["https://gw.example.com"]
keys = { inline = { keys = [{ kty = "EC", crv = "P-256", kid = "k1", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] } }
"#;
const H: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0";
const P: &str = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjE3OTM1MjAzMDAsImp0aSI6ImoxIn0";
const S: &str =
    "ACABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4PPCNfTbTf_Xx6t_8v6yi6Int_Eig--PiT80o5a9mAEHQ";
const HIGH_S: &str =
    "ACABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4Mw9ygrksgAoeFSADQFNdF3Hgc2I5dZYF_25zxoBgMhNA";
const DER: &str = "MEQCHyABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4MCIQDPCNfTbTf_Xx6t_8v6yi6Int_Eig--PiT80o5a9mAEHQ";
const NONE: &str = "eyJhbGciOiJub25lIiwia2lkIjoiazEiLCJ0eXAiOiJKV1QifQ";
const HMAC: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0";
const CRIT: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIiwiY3JpdCI6WyJleHAiXX0";
const TWO_SUBJECTS: &str = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJzdWIiOiJzdmM6YWRtaW4iLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjE3OTM1MjAzMDAsImp0aSI6ImoxIn0.8OMnV737FLGG4L3ouH8-lAJyZDIiPVJwcM5VIDWXdujZWOzSR_tHCiiTCxp31jfvVRhtRsGneDWgIs9ZyCAc6Q";
const INFINITE: &str = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjFlNDAwLCJqdGkiOiJqMSJ9.raifY0oEWRtSYbnaRXjkWGrK6WW12wCRJDvTBDAs6yhJiXoeCrS8Udp8OiVl1hyb4gBfis785qe7djUdknQKXg";

#[tokio::test]
async fn the_vectors_get_through_the_gateway_what_they_deserve() {
    let clock = clock();
    let gateway = gateway(&clock, K1).await;
    let v0 = format!("{H}.{P}.{S}");
    assert_eq!(prove(&gateway, &v0).await.expect("V0"), "idp/svc:a");
    for (name, token, expected) in [
        ("V2", format!("{}R", &v0[..v0.len() - 1]), "token_encoding"),
        ("V3", format!("{H}.{P}.{DER}"), "signature"),
        ("V4", format!("{H}.{P}.{}", "A".repeat(86)), "signature"),
        ("V5 bare", format!("{NONE}.{P}."), "algorithm"),
        ("V5 signed", format!("{NONE}.{P}.{S}"), "algorithm"),
        ("V6", format!("{HMAC}.{P}.REFb2cz_rxrt4L8nuFDDIOQpiMddR-b56nD6uHSexak"), "algorithm"),
        ("V7", format!("{H}.{TWO_SUBJECTS}"), "payload_json"),
        ("V8", format!("{H}.{INFINITE}"), "claim_malformed"),
        (
            "V9",
            format!(
                "{CRIT}.{P}.JhpkvDkPYpHpTEk97KM_PQMJaE56_oHN75s7FnFgQe33nGMVFY1_zrKQVT2HjJ1S4jf3QsXh4yLNhcWs09aUVw"
            ),
            "header_critical",
        ),
        ("V10 padding", format!("{v0}="), "token_characters"),
        ("V10 newline", v0.replacen('.', "\n.", 1), "token_characters"),
        ("V10 space", format!(" {v0}"), "token_characters"),
        ("V10 scheme", format!("Bearer {v0}"), "token_characters"),
        ("V10 fourth segment", format!("{v0}.{S}"), "token_segments"),
    ] {
        assert_eq!(refusal(&gateway, &token).await, expected, "{name}");
    }
    // V11: what was verified and remembered ends with the token, not with the memory.
    for (now, expected) in [
        (1_793_520_300 + 31, "expired"),
        (1_793_520_300 + 29, "accepted"),
        (1_793_520_000 - 30, "accepted"),
    ] {
        clock.jump_to(Timestamp::from_seconds(now));
        assert_eq!(refusal(&gateway, &v0).await, expected, "{now}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_before_its_time_is_refused() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000 - 31)));
    let gateway = gateway(&clock, K1).await;
    assert_eq!(refusal(&gateway, &format!("{H}.{P}.{S}")).await, "issued_in_future");
    gateway.stop().await;
}

#[tokio::test]
async fn a_second_valid_signature_is_the_same_one_shot_token() {
    let gateway = gateway(&clock(), &format!("{K1}one_shot = true\n")).await;
    assert_eq!(refusal(&gateway, &format!("{H}.{P}.{S}")).await, "accepted");
    assert_eq!(refusal(&gateway, &format!("{H}.{P}.{HIGH_S}")).await, "replayed");
    assert_eq!(refusal(&gateway, &format!("{H}.{P}.{S}")).await, "replayed");
    gateway.stop().await;
}

#[tokio::test]
async fn of_two_identical_one_shot_tokens_one_wins_and_none_after_a_restart() {
    let setup = || Setup {
        blocks: DEMO.to_owned(),
        issuer: "one_shot = true".to_owned(),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup()).await;
    let mut last = String::new();
    for round in 0..20 {
        last = gateway.token(&format!("svc:{round}"));
        let (one, two) = tokio::join!(gateway.get(READ, &last), gateway.get(READ, &last));
        let mut statuses = [one.status, two.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::UNAUTHORIZED], "round {round}");
    }
    let (directory, issuer) = gateway.stop().await;
    let gateway = Gateway::start_in(directory, issuer, setup()).await;
    assert_eq!(refusal(&gateway, &last).await, "replayed");
    let again = gateway.get(READ, &last).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    gateway.stop().await;
}

#[tokio::test]
async fn a_locked_principal_is_refused_until_it_is_unlocked() {
    let gateway = gateway(&clock(), "").await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    assert_eq!(gateway.get(READ, &alice).await.status, StatusCode::OK);
    let whom = r#"{"principal":"test/alice","reason":"leaked"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", whom).await.status, 200);
    // The token is remembered as verified; the lock is asked all the same.
    let locked = gateway.get(READ, &alice).await;
    assert_eq!(locked.status, StatusCode::FORBIDDEN);
    let closing = gateway.closing(&locked);
    assert_eq!(
        (&closing["outcome"], &closing["code"]),
        (&json!("deny"), &json!("locked_principal"))
    );
    assert_eq!(gateway.get(READ, &bob).await.status, StatusCode::OK);
    assert_eq!(admin(&gateway, "DELETE", "/v1/locks", whom).await.status, 200);
    assert_eq!(gateway.get(READ, &alice).await.status, StatusCode::OK);

    let issuer = r#"{"issuer":"test","reason":"breach"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", issuer).await.status, 200);
    let locked = gateway.get(READ, &bob).await;
    assert_eq!(gateway.closing(&locked)["code"], "locked_issuer");
    gateway.stop().await;
}

#[tokio::test]
async fn what_was_issued_before_sessions_were_revoked_is_refused() {
    for (body, code) in [
        (r#"{"principal":"test/alice"}"#, "epoch_principal"),
        (r#"{"issuer":"test"}"#, "epoch_issuer"),
        (r#"{"everybody":true}"#, "epoch_global"),
    ] {
        let clock = clock();
        let gateway = gateway(&clock, "").await;
        let before = gateway.token("alice");
        assert_eq!(gateway.get(READ, &before).await.status, StatusCode::OK);
        assert_eq!(admin(&gateway, "POST", "/v1/sessions:revoke", body).await.status, 200);
        let refused = gateway.get(READ, &before).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{code}");
        assert_eq!(gateway.closing(&refused)["code"], code);
        clock.advance(Duration::from_secs(5));
        assert_eq!(gateway.get(READ, &gateway.token("alice")).await.status, StatusCode::OK);
        gateway.stop().await;
    }
}
