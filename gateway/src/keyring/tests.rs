use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_core::clock::ManualClock;
use symbolon_core::secret::Secret;
use tempfile::TempDir;

use super::*;
use crate::seal::Source;
use crate::store::{Options, SledStore};

const DAY: Duration = Duration::from_hours(24);

struct House {
    directory: TempDir,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> Self {
        let now = Timestamp::from_seconds(1_793_520_000);
        Self { directory: TempDir::new().unwrap(), clock: Arc::new(ManualClock::at(now)) }
    }

    fn source(&self) -> Source {
        Source::File(self.directory.path().join("seal"))
    }

    fn store(&self) -> Arc<SledStore> {
        let path = self.directory.path().join("store");
        let options = Options { cache_capacity: 16 << 20, ..Options::at(path) };
        Arc::new(SledStore::open(&options, self.clock.clone()).unwrap())
    }

    async fn open(&self) -> Keyring {
        self.open_over(self.store()).await.unwrap()
    }

    async fn open_over(&self, store: Arc<SledStore>) -> Result<Keyring, KeyringError> {
        let seal = Seal::open_or_create(&self.source(), &*store).await?;
        let settings = Settings {
            assertion_issuer: String::from("https://gw.example.com"),
            policies: Policies::default(),
        };
        Keyring::open(store, Arc::new(seal), self.clock.clone(), settings).await
    }
}

fn kids(jwks: &Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn part(token: &Secret, at: usize) -> Value {
    let part = token.expose_str().unwrap().split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn assertion(keyring: &Keyring, now: Timestamp) -> Secret {
    let audience = TargetAudience::from_configuration("sts.amazonaws.com").unwrap();
    let signer = keyring.assertion_signer();
    let lifetime = AssertionLifetime::SHORTEST;
    let statement =
        Statement { subject: "workload", audience: &audience, lifetime, more: MoreClaims::None };
    signer.sign(&statement, now).unwrap()
}

/// Verifies with what the key set shows, as a cloud would.
fn verifies(jwks: &Value, token: &Secret) -> bool {
    let text = token.expose_str().unwrap();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let kid = part(token, 0)["kid"].clone();
    let keys = jwks["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == kid) else { return false };
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    if key["kty"] == "RSA" {
        let public = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
        let outcome = public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature);
        return outcome.is_ok();
    }
    UnparsedPublicKey::new(&ED25519, bytes("x")).verify(message.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn keys_survive_a_restart_and_sign_what_their_key_set_verifies() {
    let house = House::new();
    let first = house.open().await;
    let before = (first.assertion_jwks(), first.access_jwks(), first.status());
    let token = assertion(&first, house.clock.now());
    let tag = first.current_audit_key().tag("value", b"x");
    drop(first);
    let second = house.open().await;
    assert_eq!((second.assertion_jwks(), second.access_jwks(), second.status()), before);
    assert!(verifies(&before.0, &token));
    assert!(second.current_audit_key().verifies("value", b"x", &tag));
    assert!(!second.current_audit_key().verifies("other", b"x", &tag));
    assert!(!second.code_mac_key().verifies("value", b"x", &tag));
    let access = second.access_signer().sign(&json!({"sub": "a"})).unwrap();
    assert!(verifies(&before.1, &access));
    assert!(!verifies(&before.0, &access), "the issuers share no key");
    assert_eq!(part(&access, 0)["typ"], "at+jwt");
}

#[tokio::test]
async fn the_key_sets_hold_exactly_the_members_that_every_cloud_takes() {
    let house = House::new();
    let keyring = house.open().await;
    for (jwks, members) in [
        (keyring.assertion_jwks(), vec!["alg", "e", "kid", "kty", "n", "use"]),
        (keyring.access_jwks(), vec!["alg", "crv", "kid", "kty", "use", "x"]),
    ] {
        let key = jwks["keys"][0].as_object().unwrap();
        let found = key.keys().map(String::as_str).collect::<BTreeSet<_>>();
        assert_eq!(found, members.into_iter().collect());
        assert_eq!(key["use"], "sig");
        // The thumbprint of RFC 7638, computed by another implementation.
        let jwk = serde_json::from_value::<jsonwebtoken::jwk::Jwk>(jwks["keys"][0].clone());
        let thumbprint = jwk.unwrap().thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(key["kid"], thumbprint.unwrap().as_str());
    }
    let key = &keyring.assertion_jwks()["keys"][0];
    assert_eq!((&key["alg"], &key["e"]), (&json!("RS256"), &json!("AQAB")));
    assert_eq!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len(), 256);
}

#[tokio::test]
async fn an_assertion_says_exactly_what_it_must() {
    let house = House::new();
    let keyring = house.open().await;
    let now = Timestamp::from_millis(1_793_520_000_999);
    let (one, two) = (assertion(&keyring, now), assertion(&keyring, now));
    let claims = part(&one, 1);
    assert_ne!(claims["jti"], part(&two, 1)["jti"]);
    assert_eq!(
        claims,
        json!({
            "iss": "https://gw.example.com", "sub": "workload", "aud": "sts.amazonaws.com",
            "iat": 1_793_520_000, "exp": 1_793_520_060, "jti": claims["jti"],
        })
    );
    let kid = kids(&keyring.assertion_jwks()).remove(0);
    assert_eq!(part(&one, 0), json!({"alg": "RS256", "kid": kid, "typ": "JWT"}));
    for (seconds, allowed) in [(59, false), (60, true), (300, true), (301, false)] {
        let lifetime = AssertionLifetime::new(Duration::from_secs(seconds));
        assert_eq!(lifetime.is_ok(), allowed, "{seconds}");
    }
    for bad in ["", "a b", "ä", &"a".repeat(1025)] {
        assert_eq!(TargetAudience::from_configuration(bad), Err(SignError::Audience));
    }
}

#[tokio::test]
async fn a_rotation_publishes_before_it_signs_and_verifies_after() {
    let house = House::new();
    let keyring = house.open().await;
    let old = kids(&keyring.assertion_jwks()).remove(0);
    let signs_with = |keyring: &Keyring| {
        part(&assertion(keyring, house.clock.now()), 0)["kid"].as_str().unwrap().to_owned()
    };
    let new = keyring.rotate(Kind::Assertion).await.unwrap();
    assert_eq!(keyring.rotate(Kind::Assertion).await.unwrap(), new, "one rotation at a time");
    assert_eq!(kids(&keyring.assertion_jwks()).len(), 2);
    assert_eq!(signs_with(&keyring), old);

    house.clock.advance(DAY - Duration::from_secs(1));
    assert!(!keyring.tick().await.unwrap());
    assert_eq!(signs_with(&keyring), old);
    house.clock.advance(Duration::from_secs(1));
    let last = assertion(&keyring, house.clock.now());
    assert!(keyring.tick().await.unwrap());
    assert_eq!(signs_with(&keyring), new);
    assert!(verifies(&keyring.assertion_jwks(), &last), "what it signed last still verifies");

    house.clock.advance(DAY);
    assert!(!keyring.tick().await.unwrap());
    house.clock.advance(Duration::from_hours(1));
    assert!(keyring.tick().await.unwrap());
    assert_eq!(kids(&keyring.assertion_jwks()), [new]);
}

#[tokio::test]
async fn age_begins_a_rotation_by_itself_so_that_no_key_outlives_its_period() {
    let house = House::new();
    let keyring = house.open().await;
    house.clock.advance(DAY * 29 - Duration::from_secs(1));
    assert!(!keyring.tick().await.unwrap());
    house.clock.advance(Duration::from_secs(1));
    assert!(keyring.tick().await.unwrap());
    assert_eq!(kids(&keyring.access_jwks()).len(), 2);
    assert_eq!(kids(&keyring.assertion_jwks()).len(), 1);
    house.clock.advance(DAY);
    assert!(keyring.tick().await.unwrap());
    let active = keyring
        .status()
        .into_iter()
        .find(|status| status.kind == Kind::Access && matches!(status.stage, Stage::Active { .. }));
    assert_eq!(active.unwrap().stage, Stage::Active { since: house.clock.now() });
}

#[tokio::test]
async fn mac_keys_change_at_once_and_old_audit_keys_are_kept() {
    let house = House::new();
    let keyring = house.open().await;
    let (audit, code) = (keyring.current_audit_key(), keyring.code_mac_key());
    house.clock.advance(DAY);
    keyring.rotate(Kind::Audit).await.unwrap();
    keyring.rotate(Kind::Code).await.unwrap();
    assert_ne!(keyring.current_audit_key().id(), audit.id());
    assert_ne!(keyring.code_mac_key().id(), code.id());
    house.clock.advance(DAY * 300);
    keyring.tick().await.unwrap();
    let found = keyring.audit_key(audit.id()).unwrap();
    assert!(found.verifies("d", b"x", &audit.tag("d", b"x")));
    assert!(keyring.status().iter().all(|status| status.id != code.id()), "dropped at once");
    assert!(keyring.audit_key("nonsense").is_none());
    let kept: Vec<_> = keyring.audit_keys().iter().map(|key| key.id().to_owned()).collect();
    assert_eq!(kept, [keyring.current_audit_key().id(), audit.id()]);
}

#[tokio::test]
async fn a_compromised_key_is_gone_at_once() {
    let house = House::new();
    let keyring = house.open().await;
    let coming = keyring.rotate(Kind::Assertion).await.unwrap();
    let token = assertion(&keyring, house.clock.now());
    let new = keyring.replace(Kind::Assertion).await.unwrap();
    assert_eq!(kids(&keyring.assertion_jwks()), std::slice::from_ref(&new));
    assert_ne!(new, coming, "what was published beside a stolen key is not trusted either");
    assert!(!verifies(&keyring.assertion_jwks(), &token));
    drop(keyring);
    assert_eq!(kids(&house.open().await.assertion_jwks()), [new]);
}

#[tokio::test]
async fn a_rotation_of_the_seal_wraps_every_key_again() {
    let house = House::new();
    let before = house.open().await.status();
    Seal::rotate(&house.source()).unwrap();
    let store = house.store();
    house.open_over(store.clone()).await.unwrap();
    let seal = Seal::open_or_create(&house.source(), &*store).await.unwrap();
    seal.retire_former(&*store).await.unwrap();
    let text = std::fs::read_to_string(house.source().path()).unwrap();
    let without_former = text.lines().take(2).collect::<Vec<_>>().join("\n");
    std::fs::write(house.source().path(), without_former).unwrap();
    assert_eq!(house.open_over(store).await.unwrap().status(), before);
}

#[tokio::test]
async fn a_key_put_in_the_place_of_another_is_refused() {
    let house = House::new();
    let store = house.store();
    drop(house.open_over(store.clone()).await.unwrap());
    let records = read_all(&*store, Span::all(Namespace::Key)).await.unwrap();
    let of = |kind: &str| {
        let found = records.iter().find(|(key, _)| key.tail().starts_with(kind.as_bytes()));
        found.cloned().unwrap()
    };
    let ((audit, audit_record), (_, code_record)) = (of("audit"), of("code"));
    let forged = String::from_utf8(code_record).unwrap().replace("\"code\"", "\"audit\"");
    let swap = Transaction::new().put(audit.clone(), forged.into_bytes());
    store.commit(swap).await.unwrap();
    let refused = house.open_over(store.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "seal_refused");
    store.commit(Transaction::new().put(audit, audit_record)).await.unwrap();
    assert!(house.open_over(store).await.is_ok());
}
