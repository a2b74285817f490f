//! The credential of a backend that knows an app by its key, as GitHub does: a short token, signed
//! here, which no plugin sees. The key stays in the host; a reload reads it anew.
//!
//! INVARIANT: a token names the app and a time, and nothing else. It is made when it is needed and
//! used while it has a part of its life left; `iat` lies back by what clocks may differ.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::secret::Secret;
use symbolon_host::CallContext;
use symbolon_host::egress::{BoxFuture, Credential, CredentialSource, SourceError};
use tokio::time::Instant;

/// By how much the clock of whoever verifies may be behind ours.
const SKEW: Duration = Duration::from_secs(60);
/// A token is made anew when less than this part of its life is left.
const MARGIN: u32 = 5;
/// How often a complaint may cause a new one.
const PAUSE: Duration = Duration::from_secs(2);
/// The shortest modulus, in bytes: 2048 bits.
const SHORTEST_MODULUS: usize = 256;

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither `RSA PRIVATE KEY` nor `PRIVATE KEY`.
    #[error("it is no private key in PEM")]
    Pem,
    /// Another algorithm, too short, or damaged.
    #[error("it is no RSA key of 2048 bits or more that can be used")]
    Rsa,
}

/// Tokens of one app.
pub struct SignedSource {
    issuer: String,
    lifetime: Duration,
    key: RsaKeyPair,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    credential: Arc<Credential>,
    made_at: Timestamp,
    renew_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
struct SignatureError;

impl fmt::Debug for SignedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedSource").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl SignedSource {
    /// A source for the app `issuer`, whose private key is `pem` (PKCS #1 or #8).
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the key.
    pub fn new(
        issuer: String,
        lifetime: Duration,
        pem: &Secret,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        Ok(Self { issuer, lifetime, key: key(pem)?, clock, held: Mutex::default() })
    }

    fn current(&self) -> Result<Arc<Credential>, SourceError> {
        let now = self.clock.now();
        let mut held = self.held();
        // A clock that was set back leaves a token behind that is from the future.
        if let Some(known) = held.as_ref().filter(|h| h.made_at <= now && now < h.renew_at) {
            return Ok(known.credential.clone());
        }
        let token =
            self.sign(now).ok_or_else(|| SourceError::Unavailable(Arc::new(SignatureError)))?;
        let credential = Arc::new(Credential::Token(token));
        let renew_at = now.plus(self.lifetime).minus(self.lifetime / MARGIN);
        *held = Some(Held { credential: credential.clone(), made_at: now, renew_at });
        Ok(credential)
    }

    fn sign(&self, now: Timestamp) -> Option<Secret> {
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "iat": now.minus(SKEW).seconds(),
            "exp": now.plus(self.lifetime).seconds(),
            "iss": self.issuer,
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let mut token = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(Secret::from(token))
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `pem` is a key that can sign.
///
/// # Errors
/// [`KeyError`] says what is wrong with it.
pub fn check_key(pem: &Secret) -> Result<(), KeyError> {
    key(pem).map(drop)
}

fn key(pem: &Secret) -> Result<RsaKeyPair, KeyError> {
    let der = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| KeyError::Pem)?;
    let pair = match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(_) | _ => return Err(KeyError::Rsa),
    };
    // The library refuses short keys too; here it is said, and not left to its defaults.
    let long_enough = pair.ok().filter(|pair| pair.public_modulus_len() >= SHORTEST_MODULUS);
    long_enough.ok_or(KeyError::Rsa)
}

impl CredentialSource for SignedSource {
    /// At once: a signature takes about a millisecond.
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        _: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(async { self.current() })
    }

    /// A token that was just made is not the matter: the key is, or the app's permissions.
    fn invalidate(&self, _: &CallContext, used: &Arc<Credential>, status: StatusCode) -> bool {
        let now = self.clock.now();
        let mut held = self.held();
        let stale = held.take_if(|held| {
            Arc::ptr_eq(&held.credential, used) && now.since(held.made_at) >= PAUSE
        });
        if stale.is_none() {
            tracing::warn!(issuer = self.issuer, %status, "the upstream does not take a signed token");
        }
        stale.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::nobody;
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::engine::general_purpose::STANDARD;
    use symbolon_core::clock::ManualClock;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const LIFETIME: Duration = Duration::from_secs(540);

    fn pem(label: &str, der: &[u8]) -> Secret {
        let text =
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        Secret::from(text)
    }

    fn pkcs8() -> Vec<u8> {
        RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec()
    }

    /// PKCS #8 is a sequence around PKCS #1, whose last element is an octet string with it.
    fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
        let at =
            pkcs8.windows(7).position(|w| w[0] == 0x30 && w[4..] == [0x02, 0x01, 0x00]).unwrap();
        let inner = pkcs8[at + 1..].windows(7);
        let begin =
            inner.clone().position(|w| w[0] == 0x30 && w[4..] == [0x02, 0x01, 0x00]).unwrap();
        pkcs8[at + 1 + begin..].to_vec()
    }

    fn source(pem: &Secret) -> (SignedSource, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(START));
        let source = SignedSource::new("12345".to_owned(), LIFETIME, pem, clock.clone()).unwrap();
        (source, clock)
    }

    fn text(credential: &Credential) -> String {
        let Credential::Token(token) = credential else { panic!("another kind") };
        token.expose_str().unwrap().to_owned()
    }

    fn part(encoded: &str) -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_who_and_when_and_is_signed_by_the_key() {
        let der = pkcs8();
        for pem in [pem("PRIVATE KEY", &der), pem("RSA PRIVATE KEY", &pkcs1(&der))] {
            let (source, _) = source(&pem);
            let token = text(&source.current().unwrap());
            let (message, signature) = token.rsplit_once('.').unwrap();
            let (header, claims) = message.split_once('.').unwrap();
            assert_eq!(part(header), json!({ "alg": "RS256", "typ": "JWT" }));
            let now = START.seconds();
            assert_eq!(part(claims), json!({ "iat": now - 60, "exp": now + 540, "iss": "12345" }));
            let public = source.key.public_key().as_ref().to_vec();
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(public.verify(message.as_bytes(), &signature).is_ok());
        }
    }

    #[test]
    fn a_token_is_kept_until_a_fifth_of_its_life_is_left() {
        let (source, clock) = source(&pem("PRIVATE KEY", &pkcs8()));
        let first = source.current().unwrap();
        clock.advance(Duration::from_secs(431));
        assert!(Arc::ptr_eq(&first, &source.current().unwrap()));
        clock.advance(Duration::from_secs(1));
        let second = source.current().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        clock.jump_to(START);
        assert!(!Arc::ptr_eq(&second, &source.current().unwrap()), "from the future");
    }

    #[test]
    fn a_complaint_makes_a_new_token_unless_it_was_just_made() {
        let (source, clock) = source(&pem("PRIVATE KEY", &pkcs8()));
        let first = source.current().unwrap();
        assert!(!source.invalidate(&nobody(), &first, StatusCode::UNAUTHORIZED));
        clock.advance(PAUSE);
        assert!(source.invalidate(&nobody(), &first, StatusCode::UNAUTHORIZED));
        let second = source.current().unwrap();
        clock.advance(PAUSE);
        assert!(
            !source.invalidate(&nobody(), &first, StatusCode::UNAUTHORIZED),
            "an old complaint"
        );
        assert!(Arc::ptr_eq(&second, &source.current().unwrap()));
    }

    /// 1024 bits, made for this test and used nowhere.
    const SHORT: &str = include_str!("short.pem");

    #[test]
    fn a_key_that_is_no_rsa_key_of_2048_bits_is_refused() {
        let ed25519 = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
        let ed25519 = ed25519.to_pkcs8().unwrap().as_ref().to_vec();
        for (pem, expected) in [
            (Secret::from("text".to_owned()), KeyError::Pem),
            (pem("CERTIFICATE", &pkcs8()), KeyError::Pem),
            (pem("PRIVATE KEY", b"no DER"), KeyError::Rsa),
            (pem("PRIVATE KEY", &ed25519), KeyError::Rsa),
            (Secret::from(SHORT.to_owned()), KeyError::Rsa),
        ] {
            let clock = Arc::new(ManualClock::at(START));
            let refused = SignedSource::new("1".to_owned(), LIFETIME, &pem, clock).unwrap_err();
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let (source, _) = source(&pem("PRIVATE KEY", &pkcs8()));
        assert_eq!(format!("{source:?}"), "SignedSource { issuer: \"12345\", .. }");
    }
}
