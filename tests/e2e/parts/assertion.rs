//! What a cloud does with an assertion: it fetches the issuer's published keys, and believes nothing
//! that they do not bear out.

use std::sync::Mutex;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use symbolon::keyring::{AssertionLifetime, MoreClaims, Statement, TargetAudience};
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock as _;
use symbolon_tests::harness::{Gateway, ORIGIN};

/// Whom an assertion must be of, and for whom.
#[derive(Clone, Debug)]
pub(in crate::e2e) struct Expected {
    pub(in crate::e2e) subject: String,
    pub(in crate::e2e) audience: String,
}

/// Why an assertion is not believed; the first reason, in the order in which clouds look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::e2e) enum Doubt {
    Malformed,
    Signature,
    Time,
    Issuer,
    Audience,
    Subject,
}

/// What a fake of a cloud remembers: whose keys it knows and whom it believes, what it was asked, and
/// what it doubted.
#[derive(Debug)]
pub(in crate::e2e) struct Witness {
    expected: Expected,
    keys: Mutex<Vec<Value>>,
    asked: Mutex<Vec<String>>,
    doubts: Mutex<Vec<Doubt>>,
}

impl Witness {
    /// One that believes these assertions, once it knows the keys.
    pub(in crate::e2e) fn of(expected: Expected) -> Self {
        Self { expected, keys: Mutex::default(), asked: Mutex::default(), doubts: Mutex::default() }
    }

    /// Whom it believes.
    pub(in crate::e2e) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Remembers what a request was for.
    pub(in crate::e2e) fn note(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }

    /// The requests that were made since the last look, in order, each by what it was for.
    pub(in crate::e2e) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Why assertions were not believed since the last look.
    pub(in crate::e2e) fn doubts(&self) -> Vec<Doubt> {
        std::mem::take(&mut self.doubts.lock().unwrap())
    }

    /// Learns the keys that `gateway` publishes, by its discovery document.
    pub(in crate::e2e) async fn learn(&self, gateway: &Gateway) {
        let document = gateway.get("/assertions/.well-known/openid-configuration", "").await.json;
        assert_eq!(document["issuer"], format!("{ORIGIN}/assertions"));
        let url = document["jwks_uri"].as_str().expect("a URL");
        let path = url.strip_prefix(ORIGIN).expect("a URL of the gateway");
        let keys = gateway.get(path, "").await.json["keys"].clone();
        *self.keys.lock().unwrap() = keys.as_array().expect("keys").clone();
    }

    /// What there is to doubt about an assertion; it is remembered.
    pub(in crate::e2e) fn doubt(&self, assertion: &str) -> Option<Doubt> {
        let doubt = self.first_doubt(assertion)?;
        self.doubts.lock().unwrap().push(doubt);
        Some(doubt)
    }

    fn first_doubt(&self, assertion: &str) -> Option<Doubt> {
        let Some((header, claims, signed)) = self.read(assertion) else {
            return Some(Doubt::Malformed);
        };
        let now = SystemClock::start().now().seconds();
        let time = |name: &str| claims[name].as_i64();
        let lasts =
            |(begun, ends): (i64, i64)| begun <= now + 5 && now < ends && ends - begun <= 300;
        let is_now = time("iat").zip(time("exp")).is_some_and(lasts);
        let checks = [
            (signed && header["alg"] == "RS256", Doubt::Signature),
            (is_now, Doubt::Time),
            (claims["iss"] == format!("{ORIGIN}/assertions"), Doubt::Issuer),
            (claims["aud"] == self.expected.audience, Doubt::Audience),
            (claims["sub"] == self.expected.subject, Doubt::Subject),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, doubt)| doubt)
    }

    /// Header, claims, and whether a published key has signed them.
    fn read(&self, assertion: &str) -> Option<(Value, Value, bool)> {
        let (message, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let json = |text: &str| serde_json::from_slice::<Value>(&bytes(text)?).ok();
        let (header, claims, signature) = (json(header)?, json(claims)?, bytes(signature)?);
        let keys = self.keys.lock().unwrap();
        let signed = keys.iter().filter(|key| key["kid"] == header["kid"]).any(|key| {
            let part = |name: &str| key[name].as_str().and_then(bytes).expect("a part of a key");
            let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
        });
        Some((header, claims, signed))
    }
}

/// An assertion of `gateway`, as a target would have it made.
pub(in crate::e2e) fn assertion(gateway: &Gateway, expected: &Expected) -> String {
    let audience = TargetAudience::from_configuration(&expected.audience).expect("an audience");
    let signer = gateway.app.foundation.keyring.assertion_signer();
    let now = SystemClock::start().now();
    let statement = Statement {
        subject: &expected.subject,
        audience: &audience,
        lifetime: AssertionLifetime::SHORTEST,
        more: MoreClaims::None,
    };
    signer.sign(&statement, now).expect("an assertion").expose_str().expect("text").to_owned()
}
