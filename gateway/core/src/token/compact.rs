//! The text of a token: three segments of canonical base64url, a header that asks for nothing
//! unusual, and strict JSON in both.
//!
//! INVARIANT: a [`Compact`] proves nothing. Its issuer may be read to choose the rules; everything
//! else stays inside the module until [`verify`](super::verify()) has checked the signature.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{self, Limits, Object, Value};
use super::profile::SpiffeId;
use super::refusal::{Claim, Refusal};

/// The longest token any issuer may be configured to send. (AWS STS takes as many characters.)
pub const MAX_TOKEN_BYTES: usize = 20_000;

const MAX_HEADER_BYTES: usize = 2 * 1024;
const MAX_KEY_ID_BYTES: usize = 256;
const HEADER: Limits = Limits { depth: 4, top: 64, members: 64, items: 64, string: 2 * 1024 };
/// Also what [`hypothetical`](super::hypothetical) reads claims with.
pub(super) const CLAIMS: Limits =
    Limits { depth: 8, top: 64, members: 128, items: 256, string: 4 * 1024 };

/// SHA-256 of the whole token, signature included: the key under which a *verified* token may be
/// remembered for a moment.
///
/// Not to be confused with [`Proof::digest`](crate::principal::Proof::digest). That one leaves the
/// signature out, so that a second valid signature over the same claims meets the same entry in
/// the replay set. Remembering verified tokens under it would accept any signature at all.
#[must_use]
pub fn fingerprint(token: &str) -> [u8; 32] {
    sha256(token.as_bytes())
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    output.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    output
}

/// A token that is well-formed, of which nothing is proven.
pub struct Compact<'a> {
    jws: Jws<'a>,
    claims: Object,
}

impl<'a> Compact<'a> {
    /// Parses a token of at most `max_bytes` (and never more than [`MAX_TOKEN_BYTES`]).
    ///
    /// # Errors
    /// The [`Refusal`] of the first rule broken.
    pub fn parse(token: &'a str, max_bytes: usize) -> Result<Self, Refusal> {
        let jws = Jws::parse(token, max_bytes)?;
        let payload = decode(jws.payload)?;
        let claims = json::object(&payload, CLAIMS).map_err(Refusal::PayloadJson)?;
        Ok(Self { jws, claims })
    }

    /// The unproven `iss`, good for choosing the [`IssuerRules`](super::IssuerRules) and nothing
    /// else.
    ///
    /// # Errors
    /// [`Refusal::MissingClaim`] or [`Refusal::MalformedClaim`].
    pub fn issuer(&self) -> Result<&str, Refusal> {
        let issuer = self.claims.get("iss").ok_or(Refusal::MissingClaim(Claim::Issuer))?;
        let fits = |text: &&str| !text.is_empty() && is_printable(text);
        issuer.as_str().filter(fits).ok_or(Refusal::MalformedClaim(Claim::Issuer))
    }

    /// The issuer's name of the trust domain of an unproven SPIFFE ID in `sub`: where there is no
    /// `iss` that counts, it chooses the rules.
    pub(super) fn trust_domain(&self) -> Option<&str> {
        let subject = self.claims.get("sub")?.as_str()?;
        SpiffeId::parse(subject).map(|id| id.issuer())
    }

    /// Whether one of these is an unproven audience, good for choosing between issuers of one name.
    pub(super) fn has_audience(&self, audiences: &[String]) -> bool {
        let is_ours = |name: &Value| {
            name.as_str().is_some_and(|name| audiences.iter().any(|audience| audience == name))
        };
        match self.claims.get("aud") {
            Some(Value::Array(names)) => names.iter().any(is_ours),
            Some(name) => is_ours(name),
            None => false,
        }
    }

    /// The unproven `kid`, good for deciding whether the key set is out of date.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.jws.header.key_id.as_deref()
    }

    /// SHA-256 of the signing input (`header "." payload`).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.jws.signing_input.as_bytes())
    }

    pub(super) fn jws(&self) -> &Jws<'a> {
        &self.jws
    }

    pub(super) fn claims(&self) -> &Object {
        &self.claims
    }
}

/// A token is a credential as long as it lives: nothing of it is printed.
impl fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compact(****)")
    }
}

/// A signed structure with an acceptable header and an undecoded payload.
pub(super) struct Jws<'a> {
    pub(super) header: Header,
    pub(super) signing_input: &'a str,
    /// Canonical base64url. `jsonwebtoken` decodes it.
    pub(super) signature: &'a str,
    pub(super) bytes: usize,
    payload: &'a str,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str, max_bytes: usize) -> Result<Self, Refusal> {
        if token.len() > max_bytes.min(MAX_TOKEN_BYTES) {
            return Err(Refusal::TooLong);
        }
        if !token.bytes().all(|b| b == b'.' || b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(Refusal::Characters);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Refusal::Segments)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Refusal::Segments)?;
        if payload.contains('.') {
            return Err(Refusal::Segments);
        }
        if !is_canonical(signature) {
            return Err(Refusal::Encoding);
        }
        let header = Header::parse(header)?;
        Ok(Self { header, signing_input, signature, bytes: token.len(), payload })
    }
}

/// The members of a header that mean something here.
pub(super) struct Header {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    /// Without a leading `application/`, in lower case.
    pub(super) media_type: Option<String>,
    /// Whether there is nothing else in it than `alg`, `kid` and `typ`.
    pub(super) is_bare: bool,
}

impl Header {
    fn parse(segment: &str) -> Result<Self, Refusal> {
        if segment.len() > (MAX_HEADER_BYTES * 4).div_ceil(3) {
            return Err(Refusal::HeaderTooLong);
        }
        let header = json::object(&decode(segment)?, HEADER).map_err(Refusal::HeaderJson)?;
        refuse_unusual(&header)?;
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Refusal::HeaderMember)?;
        let key_id = text(&header, "kid")?;
        if key_id.is_some_and(|kid| kid.len() > MAX_KEY_ID_BYTES || !is_printable(kid)) {
            return Err(Refusal::HeaderMember);
        }
        if text(&header, "cty")?.map(media_type).is_some_and(|cty| cty.ends_with("jwt")) {
            return Err(Refusal::Nested);
        }
        let is_bare = header.names().all(|name| ["alg", "kid", "typ"].contains(&name));
        Ok(Self {
            is_bare,
            algorithm: algorithm.to_owned(),
            key_id: key_id.map(str::to_owned),
            media_type: text(&header, "typ")?.map(media_type),
        })
    }
}

/// Refuses members by presence, whatever their value: `"crit": null` is as unusual as `["exp"]`.
/// `x5t` is not among them: large issuers send it, and it is ignored.
fn refuse_unusual(header: &Object) -> Result<(), Refusal> {
    const UNUSUAL: [(&str, Refusal); 15] = [
        ("crit", Refusal::Critical),
        ("b64", Refusal::Unencoded),
        ("zip", Refusal::Encrypted),
        ("enc", Refusal::Encrypted),
        ("epk", Refusal::Encrypted),
        ("apu", Refusal::Encrypted),
        ("apv", Refusal::Encrypted),
        ("iv", Refusal::Encrypted),
        ("tag", Refusal::Encrypted),
        ("p2s", Refusal::Encrypted),
        ("p2c", Refusal::Encrypted),
        ("jku", Refusal::EmbeddedKey),
        ("jwk", Refusal::EmbeddedKey),
        ("x5u", Refusal::EmbeddedKey),
        ("x5c", Refusal::EmbeddedKey),
    ];
    match UNUSUAL.iter().find(|(name, _)| header.has(name)) {
        Some((_, refusal)) => Err(refusal.clone()),
        None => Ok(()),
    }
}

fn text<'a>(header: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match header.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Refusal::HeaderMember),
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out where no other `/` follows; case is ignored.
pub(super) fn media_type(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    match text.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        Some(_) | None => text,
    }
}

/// Whether a text has no control character (C0, DEL, C1): they forge log lines, steer terminals and
/// end strings early in C.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn decode(segment: &str) -> Result<Vec<u8>, Refusal> {
    // The engine demands zero in the unused bits and refuses padding.
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Refusal::Encoding)
}

/// Whether base64url characters are the one encoding of their bytes.
fn is_canonical(segment: &str) -> bool {
    // Characters whose unused low bits are zero: every 16th (4 bits unused), every 4th (2 bits).
    match (segment.len() % 4, segment.bytes().last()) {
        (0, _) => true,
        (2, Some(last)) => b"AQgw".contains(&last),
        (3, Some(last)) => b"AEIMQUYcgkosw048".contains(&last),
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canonical_is_what_the_engine_accepts(segment in "[A-Za-z0-9_-]{0,12}") {
            prop_assert_eq!(is_canonical(&segment), decode(&segment).is_ok());
        }

        #[test]
        fn any_text_ends_in_a_verdict(text in "\\PC{0,60}") {
            let _verdict = Compact::parse(&text, MAX_TOKEN_BYTES);
        }

        #[test]
        fn any_segments_end_in_a_verdict(
            header in proptest::collection::vec(any::<u8>(), 0..60),
            payload in r#"\{[ "a-z:0-9,\[\]\\u]{0,40}\}"#,
        ) {
            let header = URL_SAFE_NO_PAD.encode(header);
            let payload = URL_SAFE_NO_PAD.encode(payload);
            let _header = Compact::parse(&format!("{header}.{payload}.AAAA"), MAX_TOKEN_BYTES);
            let good = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
            let _payload = Compact::parse(&format!("{good}.{payload}.AAAA"), MAX_TOKEN_BYTES);
        }
    }

    #[test]
    fn debug_output_shows_nothing_of_the_token() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"marker"}"#);
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"marker"}"#);
        let token = format!("{header}.{payload}.AAAA");
        let parsed = Compact::parse(&token, MAX_TOKEN_BYTES).unwrap();
        assert_eq!(format!("{parsed:?}"), "Compact(****)");
    }

    #[test]
    fn a_media_type_loses_only_the_one_prefix() {
        for (text, expected) in [
            ("JWT", "jwt"),
            ("application/JWT", "jwt"),
            ("APPLICATION/at+jwt", "at+jwt"),
            ("application/a/b", "application/a/b"),
            ("JWT ", "jwt "),
            ("text/jwt", "text/jwt"),
        ] {
            assert_eq!(media_type(text), expected);
        }
    }
}
