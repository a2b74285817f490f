//! Each platform's tokens against its profile: the sample is accepted and gets what its policy says;
//! everything that deviates is refused, each for its own reason.
//!
//! Deviations come from three tables: the mutations that no token survives
//! ([`symbolon_core::token::testing`]), each claim taken away and each given another type (a snapshot
//! says what becomes of each), and the traps of each platform, written out here.

use std::fmt::Write as _;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};
use symbolon::line::authenticate::Unproven;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::token::testing::mutations;
use symbolon_tests::harness::platforms::{PLATFORMS, Platform, Signer};
use symbolon_tests::harness::{Gateway, ORIGIN, Setup};

use super::DEMO;

mod explained;
mod traps;

pub(super) const NOW: i64 = 1_793_520_100;

/// A gateway that knows every platform, with a policy for each.
pub(super) struct Bench {
    pub(super) gateway: Gateway,
    pub(super) signer: Signer,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let signer = Signer::default();
        let blocks = PLATFORMS.iter().map(|platform| platform.block(&signer));
        let setup = Setup {
            blocks: format!("{DEMO}{}", blocks.collect::<String>()),
            policies: Some(PLATFORMS.iter().map(Platform::policy).collect()),
            clock: Some(Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)))),
            ..Setup::default()
        };
        Self { gateway: Gateway::start(setup).await, signer }
    }

    /// The principal that a token proves, or the code of its refusal.
    pub(super) async fn prove(&self, token: &str) -> Result<String, &'static str> {
        let world = self.gateway.app.line.world.load_full();
        match world.authenticator.prove(token, None).await {
            Ok(principal) => Ok(principal.identity().to_string()),
            Err(unproven) => {
                assert!(matches!(unproven, Unproven::Token(_)), "{unproven:?}");
                Err(unproven.code())
            }
        }
    }

    pub(super) async fn of(&self, header: &Value, claims: &Value) -> Result<String, &'static str> {
        self.prove(&self.signer.token(header, claims)).await
    }
}

#[tokio::test]
async fn every_platform_is_let_in_as_who_it_is_and_gets_what_its_policy_says() {
    let bench = Bench::start().await;
    for platform in PLATFORMS {
        let claims = platform.claims(ORIGIN, NOW);
        let token = bench.signer.token(&platform.header(), &claims);
        let expected = format!("{}/{}", platform.alias, platform.subject);
        assert_eq!(bench.prove(&token).await, Ok(expected), "{}", platform.alias);
        let answer = bench.gateway.get("/v1/secrets/demo/app/text", &token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}: {:?}", platform.alias, answer.json);
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn no_platforms_token_survives_a_mutation() {
    let bench = Bench::start().await;
    for platform in PLATFORMS {
        let object = |value: Value| value.as_object().expect("an object").clone();
        let sign = |input: &str| bench.signer.sign(platform.algorithm, input);
        let header: Map<_, _> = object(platform.header());
        let claims = object(platform.claims(ORIGIN, NOW));
        let mut count = 0;
        for mutation in mutations(&header, &claims, &sign) {
            // A trust domain is not told by `iss`, and JWT-SVIDs may be for several.
            let is_several = mutation.description.ends_with("\"https://other.example\"]");
            if platform.alias == "spiffe" && (mutation.description.contains("`iss`") || is_several)
            {
                continue;
            }
            let proven = bench.prove(&mutation.token).await;
            assert!(proven.is_err(), "{}: {}", platform.alias, mutation.description);
            count += 1;
        }
        assert!(count > 150, "{}: {count}", platform.alias);
    }
    bench.gateway.stop().await;
}

/// Pointers to every claim, and to every claim within one.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(object) = value.as_object() else { return };
    for (name, inner) in object {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(inner, &pointer, found);
    }
}

/// The claims with one of them set, or taken away.
pub(super) fn changed(claims: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut claims = claims.clone();
    let (folder, name) = pointer.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    let object = claims.pointer_mut(folder).and_then(Value::as_object_mut).expect("an object");
    match value {
        Some(value) => drop(object.insert(name, value)),
        None => drop(object.remove(&name)),
    }
    claims
}

/// The same content in another type.
fn retyped(value: &Value) -> Value {
    match value {
        Value::String(text) => text.parse::<i64>().map_or_else(|_| json!(true), Value::from),
        Value::Number(number) => json!(number.to_string()),
        Value::Bool(truth) => json!(truth.to_string()),
        Value::Array(items) => items.first().map_or(Value::Null, |first| json!({ "0": first })),
        Value::Object(_) | Value::Null => json!("text"),
    }
}

#[tokio::test]
async fn what_becomes_of_a_token_whose_claims_are_missing_or_of_another_type() {
    let bench = Bench::start().await;
    let mut table = String::new();
    for platform in PLATFORMS {
        let good = platform.claims(ORIGIN, NOW);
        let mut found = Vec::new();
        pointers(&good, "", &mut found);
        for pointer in found {
            let value = good.pointer(&pointer).expect("a claim");
            let mut become_of = Vec::new();
            for value in [None, Some(retyped(value)), Some(Value::Null)] {
                let claims = changed(&good, &pointer, value);
                let proven = bench.of(&platform.header(), &claims).await;
                become_of.push(proven.map_or_else(|code| code, |_| "accepted"));
            }
            let [missing, retyped, null] = become_of[..] else { panic!("three cases") };
            writeln!(table, "{:11} {missing:18} {retyped:18} {null:18} {pointer}", platform.alias)
                .expect("text");
        }
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("platforms", table);
    });
    bench.gateway.stop().await;
}
