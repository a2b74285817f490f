//! Grammars of texts that come from a guest, and how such a text is made fit for a log.

use std::borrow::Cow;
use std::fmt::Write;

use symbolon_core::secret::Secret;

use crate::answer::TokenKind;

const MAX_PAIRS: usize = 32;
const MAX_PAIR_NAME_BYTES: usize = 64;
const MAX_PAIR_VALUE_BYTES: usize = 1024;
/// A shorter secret is not searched for: cutting out every `a` would hide more than it protects.
const MIN_SCRUBBED_BYTES: usize = 6;

/// Headers that a token must not go into: HTTP's own, and those whose meaning is not a credential.
const RESERVED_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether pairs fit the contract's grammar of metadata, names unique.
pub(crate) fn metadata_fits<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut names = std::collections::BTreeSet::new();
    let name_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
    for (name, value) in pairs {
        let name_fits =
            (1..=MAX_PAIR_NAME_BYTES).contains(&name.len()) && name.bytes().all(name_byte);
        let value_fits =
            value.len() <= MAX_PAIR_VALUE_BYTES && !value.chars().any(char::is_control);
        if !(name_fits && value_fits && names.insert(name)) {
            return false;
        }
    }
    names.len() <= MAX_PAIRS
}

/// Whether `text` is an error code: 1 to 64 of `a-z 0-9 _`.
pub(super) fn is_code(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

/// RFC 9110 §8.3.1, parameters as tokens or plain quoted strings, at most 255 bytes.
pub(super) fn is_content_type(text: &str) -> bool {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim_end_matches(' ');
    let quoted = |value: &str| {
        let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        inner
            .is_some_and(|v| v.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\'))
    };
    let parameter = |part: &str| {
        part.trim_matches(' ')
            .split_once('=')
            .is_some_and(|(name, value)| is_token(name) && (is_token(value) || quoted(value)))
    };
    text.len() <= 255
        && essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
        && parts.all(parameter)
}

/// `bearer`, `aws` or `header:<name>`.
pub(super) fn token_kind(text: &str) -> Option<TokenKind> {
    match text {
        "bearer" => Some(TokenKind::Bearer),
        "aws" => Some(TokenKind::Aws),
        _ => {
            let name = text.strip_prefix("header:")?;
            let fits = name.len() <= 64
                && is_token(name)
                && !name.bytes().any(|b| b.is_ascii_uppercase())
                && !RESERVED_HEADERS.contains(&name);
            fits.then(|| TokenKind::Header(name.to_owned()))
        }
    }
}

/// At most about `max` bytes of `text`, without control characters: what would end a line, move a
/// terminal's cursor or turn the direction of writing is written as an escape.
pub(crate) fn escape(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        if clean.len().saturating_add(character.len_utf8()) > max {
            clean.push('…');
            break;
        }
        if character.is_control() || is_format(character) {
            // Writing to a string cannot fail.
            let _ = write!(clean, "{}", character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

/// Line and paragraph separators, bidirectional controls, zero-width characters.
fn is_format(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` with every occurrence of a secret replaced. Knows what the host handed to the guest (an
/// assertion, materials); what the guest itself fetched is unknown here, as are credentials that
/// the host injects, which the guest never sees.
pub(crate) fn scrub<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let mut clean = Cow::Borrowed(text);
    for secret in secrets {
        if let Some(found) = secret.expose_str()
            && found.len() >= MIN_SCRUBBED_BYTES
            && clean.contains(found)
        {
            clean = Cow::Owned(clean.replace(found, "****"));
        }
    }
    clean
}
