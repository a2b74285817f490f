//! Base64 as services write it, strictly: one text for each value, so that what two readers make of
//! it is the same.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Standard base64 with padding (RFC 4648 §4); no line breaks, no stray bits.
#[must_use]
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// base64url without padding (RFC 4648 §5), as in a JWT.
#[must_use]
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_text_is_refused() {
        assert_eq!(base64("aHVudGVyMg==").as_deref(), Some(b"hunter2".as_slice()));
        assert_eq!(base64("").as_deref(), Some(b"".as_slice()));
        for text in ["aHVudGVyMg", "aHVudGVyMh==", "aHVu\ndGVyMg==", "aHVudGVyMg== ", "a-_b"] {
            assert_eq!(base64(text), None, "{text:?}");
        }
        assert_eq!(base64url("-_8").as_deref(), Some([0xfb, 0xff].as_slice()));
        assert_eq!(base64url("-_8="), None);
    }
}
