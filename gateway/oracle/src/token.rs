//! Whether a compact token must be refused, by the words of an issuer's block.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::json::{at, object};
use crate::platform::Platform;
use crate::signature::verifies;

/// The block of one issuer, in plain values. Times are seconds.
#[derive(Clone, Debug)]
pub struct Terms {
    /// `iss`, or the trust domain.
    pub issuer: String,
    /// Whose tokens they are.
    pub platform: Platform,
    /// `audiences`.
    pub audiences: Vec<String>,
    /// `single_audience`.
    pub single_audience: bool,
    /// `algorithms`, by their names in JOSE.
    pub algorithms: Vec<String>,
    /// `types`, in lower case.
    pub types: Vec<String>,
    /// `untyped`.
    pub untyped: bool,
    /// `max_lifetime`.
    pub max_lifetime: i64,
    /// `max_age`.
    pub max_age: Option<i64>,
    /// `leeway`.
    pub leeway: i64,
    /// `clients`.
    pub clients: Vec<String>,
    /// `owners`: pointer and allowed values.
    pub owners: Vec<(String, Vec<String>)>,
    /// Attributes, the profile's included.
    pub attributes: Vec<Mapped>,
    /// The public keys, as JWKs with a `kid` each.
    pub keys: Vec<Value>,
}

/// A claim that becomes an attribute.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Where it is.
    pub claim: String,
    /// What it must be.
    pub kind: AttributeKind,
    /// Whether it must be there.
    pub required: bool,
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// A text.
    Text,
    /// An integer.
    Integer,
    /// A truth value.
    Truth,
    /// A list of texts.
    Texts,
}

type Claims = Map<String, Value>;

/// Why the token must be refused at `now` (seconds), if that is certain.
#[must_use]
pub fn must_deny(token: &str, issuers: &[Terms], now: i64) -> Option<&'static str> {
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments.as_slice() else { return Some("segments") };
    let decode = |segment: &str| URL_SAFE_NO_PAD.decode(segment).ok();
    let parts = decode(header).zip(decode(payload)).zip(decode(signature));
    let Some(((header, payload), signature)) = parts else { return Some("encoding") };
    let Some((header, claims)) = object(&header).zip(object(&payload)) else { return Some("json") };
    let message = token.rsplit_once('.').map_or("", |(message, _)| message);
    let shown = Shown { header, claims, message, signature };
    // Clusters may share a name: the token must be refused by each that it could be of.
    let possible = issuers.iter().filter(|terms| terms.issued(&shown.claims));
    let refusals: Option<Vec<_>> = possible.map(|terms| terms.refuses(&shown, now)).collect();
    refusals.map(|reasons| reasons.first().copied().unwrap_or("issuer"))
}

/// A token taken apart.
struct Shown<'a> {
    header: Claims,
    claims: Claims,
    message: &'a str,
    signature: Vec<u8>,
}

impl Terms {
    fn refuses(&self, shown: &Shown<'_>, now: i64) -> Option<&'static str> {
        let checks = [
            ("header", self.refuses_header(&shown.header)),
            ("signature", !self.signed(&shown.header, shown.message, &shown.signature)),
            ("dates", self.refuses_dates(&shown.claims, now)),
            ("claims", self.refuses_claims(&shown.claims)),
        ];
        checks.iter().find(|(_, refuses)| *refuses).map(|(reason, _)| *reason)
    }

    /// Whether the token is this issuer's, or that of one that shares its name.
    fn issued(&self, claims: &Claims) -> bool {
        match self.platform {
            // JWT-SVID §3: the trust domain is that of `sub`; `iss` says nothing.
            Platform::Spiffe => {
                let domain = format!("{}/", self.issuer);
                claims.get("sub").and_then(Value::as_str).is_some_and(|id| id.starts_with(&domain))
            }
            Platform::Plain
            | Platform::Aws
            | Platform::Entra { .. }
            | Platform::Google
            | Platform::Cluster { .. }
            | Platform::Github
            | Platform::Gitlab => claims.get("iss").and_then(Value::as_str) == Some(&*self.issuer),
        }
    }

    fn refuses_header(&self, header: &Claims) -> bool {
        const UNUSUAL: [&str; 15] = [
            "crit", "b64", "zip", "enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c", "jku",
            "jwk", "x5u", "x5c",
        ];
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = text("alg").unwrap_or_default();
        let media_type = text("typ").map(|name| {
            let name = name.to_lowercase();
            name.strip_prefix("application/").unwrap_or(&name).to_owned()
        });
        UNUSUAL.iter().any(|name| header.contains_key(*name))
            || !self.algorithms.iter().any(|allowed| allowed == algorithm)
            || media_type.as_ref().map_or(!self.untyped, |name| !self.types.contains(name))
            || media_type.is_none() && header.contains_key("typ")
            || text("cty").is_some_and(|name| name.to_lowercase().ends_with("jwt"))
            // JWT-SVID §2.
            || self.platform == Platform::Spiffe
                && header.keys().any(|name| !["alg", "kid", "typ"].contains(&name.as_str()))
    }

    fn signed(&self, header: &Claims, message: &str, signature: &[u8]) -> bool {
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let id = header.get("kid");
        let mut meant = self.keys.iter().filter(|key| id.is_none() || key.get("kid") == id);
        meant.any(|key| verifies(key, algorithm, message.as_bytes(), signature))
    }

    fn refuses_dates(&self, claims: &Claims, now: i64) -> bool {
        let date = |name: &str| claims.get(name).and_then(Value::as_i64);
        let (Some(begin), Some(end)) = (date("iat"), date("exp")) else { return true };
        let later = claims
            .get("nbf")
            .is_some_and(|_| date("nbf").is_none_or(|from| from > now.saturating_add(self.leeway)));
        later
            || end <= now.saturating_sub(self.leeway)
            || begin > now.saturating_add(self.leeway)
            || end <= begin
            || end.saturating_sub(begin) > self.max_lifetime
            || self
                .max_age
                .is_some_and(|age| now.saturating_sub(begin) > age.saturating_add(self.leeway))
    }

    fn refuses_claims(&self, claims: &Claims) -> bool {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let is_odd = |text: &str| text.is_empty() || text.chars().any(char::is_control);
        is_odd(subject)
            || self.refuses_audience(claims.get("aud"))
            || claims.get("jti").is_some_and(|id| !id.is_string())
            || claims.contains_key("cnf")
            || self.refuses_client(claims)
            || self.owners.iter().any(|(claim, allowed)| {
                !at(claims, claim).is_some_and(|value| allowed.contains(&plain(value)))
            })
            || self.attributes.iter().any(|mapped| mapped.refuses(claims))
            || self.platform.contradicts(claims, &self.issuer)
    }

    fn refuses_audience(&self, audience: Option<&Value>) -> bool {
        let named: Vec<&Value> = match audience {
            Some(Value::Array(names)) => names.iter().collect(),
            Some(name) => vec![name],
            None => return true,
        };
        let ours = |name: &&Value| self.audiences.iter().any(|own| *name == own);
        let repeats = named
            .iter()
            .enumerate()
            .any(|(at, name)| named.iter().take(at).any(|earlier| earlier == name));
        !named.iter().any(ours) || repeats || self.single_audience && named.len() > 1
    }

    fn refuses_client(&self, claims: &Claims) -> bool {
        let ours = |name: &Value| self.clients.iter().any(|own| name == own);
        let mut named = ["azp", "client_id", "appid"].iter().filter_map(|name| claims.get(*name));
        let nobody = named.clone().next().is_none();
        !self.clients.is_empty() && (nobody || !named.all(ours))
    }
}

impl Mapped {
    fn refuses(&self, claims: &Claims) -> bool {
        match (at(claims, &self.claim), self.kind) {
            (None, _) => self.required,
            (Some(value), AttributeKind::Text) => !value.is_string(),
            (Some(value), AttributeKind::Integer) => value.as_i64().is_none(),
            (Some(value), AttributeKind::Truth) => !value.is_boolean(),
            (Some(value), AttributeKind::Texts) => {
                !value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
            }
        }
    }
}

/// A text as it is, a number by its digits.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_793_520_100;

    fn terms(pair: &EcdsaKeyPair) -> Terms {
        let (x, y) = pair.public_key().as_ref().split_at(33);
        let (x, y) = (URL_SAFE_NO_PAD.encode(&x[1..]), URL_SAFE_NO_PAD.encode(y));
        Terms {
            issuer: "https://idp.example".to_owned(),
            platform: Platform::Plain,
            audiences: vec!["https://gw.example".to_owned()],
            single_audience: true,
            algorithms: vec!["ES256".to_owned()],
            types: vec!["jwt".to_owned()],
            untyped: true,
            max_lifetime: 3600,
            max_age: None,
            leeway: 30,
            clients: Vec::new(),
            owners: vec![("/org".to_owned(), vec!["7".to_owned()])],
            attributes: Vec::new(),
            keys: vec![json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y })],
        }
    }

    fn token(pair: &EcdsaKeyPair, changes: &Value) -> String {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "https://gw.example", "sub": "a", "org": 7,
            "iat": NOW, "exp": NOW + 300,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "kid": "k", "typ": "JWT" });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// An oracle that denied everything would make every assessment clean.
    #[test]
    fn it_is_silent_about_a_good_token_and_certain_about_bad_ones() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let issuers = [terms(&pair)];
        assert_eq!(must_deny(&token(&pair, &json!({})), &issuers, NOW), None);
        for (changes, reason) in [
            (json!({ "iss": "https://idp.example/" }), "issuer"),
            (json!({ "exp": NOW - 30 }), "dates"),
            (json!({ "exp": NOW + 3601 }), "dates"),
            (json!({ "nbf": "x" }), "dates"),
            (json!({ "aud": ["https://gw.example", "x"] }), "claims"),
            (json!({ "org": 8 }), "claims"),
            (json!({ "sub": 1 }), "claims"),
        ] {
            let denied = must_deny(&token(&pair, &changes), &issuers, NOW);
            assert_eq!(denied, Some(reason), "{changes}");
        }
        let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let forged = token(&other, &json!({}));
        assert_eq!(must_deny(&forged, &issuers, NOW), Some("signature"));
        assert_eq!(must_deny("a.b", &issuers, NOW), Some("segments"));
    }

    #[test]
    fn of_two_of_a_name_both_must_refuse() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let other = Terms { audiences: vec!["https://other.example".to_owned()], ..terms(&pair) };
        let good = token(&pair, &json!({}));
        assert!(must_deny(&good, std::slice::from_ref(&other), NOW).is_some());
        assert_eq!(must_deny(&good, &[other, terms(&pair)], NOW), None);
    }
}
