//! A token that is not yet text: everything about it can still be made wrong.

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::sample::Claims;
use super::signer::{KEY_ID, Signer};

/// A token in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) header: Claims,
    pub(super) claims: Claims,
    /// Members that are written after those of `claims`, whatever stands there already.
    pub(super) tail: String,
    /// What happens to the text after it was signed.
    pub(super) spoil: Spoil,
    /// Whether a stranger's key signs.
    pub(super) by_stranger: bool,
}

/// What is done to a signed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoil {
    /// Nothing.
    Nothing,
    /// A bit of the signature is turned over.
    Bit(usize),
    /// The signature is taken away.
    Unsigned,
    /// The signature is that of other claims.
    OtherClaims,
    /// A fourth segment.
    Segment,
    /// Padding, which base64url has not.
    Padding,
    /// A character of base64 that base64url has not.
    Alphabet,
}

impl Draft {
    /// A good token of these claims.
    pub(super) fn of(issuer: &Issuer, claims: Claims) -> Self {
        let mut header = Claims::new();
        header.insert("alg".to_owned(), json!(issuer.signer.algorithm.as_str()));
        header.insert("kid".to_owned(), json!(KEY_ID));
        let media_type = issuer.rules.types.iter().find(|name| *name == "jwt");
        if let Some(name) = media_type.or(issuer.rules.types.first()) {
            header.insert("typ".to_owned(), json!(name));
        }
        let (tail, spoil) = (String::new(), Spoil::Nothing);
        Self { header, claims, tail, spoil, by_stranger: false }
    }

    /// Sets a member of the header.
    pub(super) fn head(&mut self, name: &str, value: impl Into<Value>) -> bool {
        self.header.insert(name.to_owned(), value.into());
        true
    }

    /// Sets a claim at the top.
    pub(super) fn claim(&mut self, name: &str, value: impl Into<Value>) -> bool {
        self.claims.insert(name.to_owned(), value.into());
        true
    }

    /// A claim at the top, if it is a text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A date, or `now` where there is none.
    pub(super) fn date(&self, name: &str, now: i64) -> i64 {
        self.claims.get(name).and_then(Value::as_i64).unwrap_or(now)
    }

    /// The text, signed and spoilt.
    pub(super) fn text_of(&self, own: &Signer, stranger: &Signer) -> Result<String, Unspecified> {
        let header = URL_SAFE_NO_PAD.encode(json!(self.header).to_string());
        let mut claims = json!(self.claims).to_string();
        if !self.tail.is_empty() {
            claims.pop();
            claims.push_str(&self.tail);
            claims.push('}');
        }
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signer = if self.by_stranger { stranger } else { own };
        self.spoil.apply(&header, message, signer)
    }
}

impl Spoil {
    fn apply(self, header: &str, message: String, signer: &Signer) -> Result<String, Unspecified> {
        let signed = match self {
            Self::OtherClaims => format!("{header}.{}", URL_SAFE_NO_PAD.encode("{}")),
            Self::Nothing
            | Self::Bit(_)
            | Self::Unsigned
            | Self::Segment
            | Self::Padding
            | Self::Alphabet => message.clone(),
        };
        let mut signature = signer.sign(signed.as_bytes())?;
        if let Self::Bit(place) = self {
            let place = place.checked_rem(signature.len() * 8).unwrap_or(0);
            if let Some(byte) = signature.get_mut(place / 8) {
                *byte ^= 1 << (place % 8);
            }
        }
        let good = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        Ok(match self {
            Self::Nothing | Self::Bit(_) | Self::OtherClaims => good,
            Self::Unsigned => format!("{message}."),
            Self::Segment => format!("{good}.AA"),
            Self::Padding => format!("{good}="),
            Self::Alphabet => format!("{good}+/+/"),
        })
    }
}
