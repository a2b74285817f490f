//! `application/x-www-form-urlencoded`, as strictly as it can be read (RFC 6749 appendix B).
//!
//! INVARIANT: a form has one reading. Bytes outside ASCII, a `%` that begins no escape, text that is
//! not UTF-8 or has control characters are refused and not repaired; a parameter without a value
//! counts as absent (RFC 6749 §3.1); one that is there twice is refused unless it may be.

use std::fmt;

/// Most parameters.
const MAX_PARAMETERS: usize = 32;
/// Longest name of a parameter, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest value, in bytes: the longest token that any issuer may send fits.
const MAX_VALUE_BYTES: usize = 20_000;

/// Why a text is not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Too many parameters.
    #[error("there are too many parameters")]
    TooMany,
    /// A name or value is too long.
    #[error("a name or value is too long")]
    TooLong,
    /// An unfinished escape, a byte outside ASCII, or text that is not UTF-8.
    #[error("an escape or a character is malformed")]
    Encoding,
    /// A control character.
    #[error("there is a control character")]
    Control,
    /// A parameter that may be there once is there twice.
    #[error("a parameter is there twice")]
    Repeated,
}

/// The parameters of a form that have a value, in their order. Debug output shows none of them:
/// tokens travel in forms.
#[derive(Clone, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Parses a body. Parameters named in `many` may be there more than once.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(body: &[u8], many: &[&str]) -> Result<Self, FormError> {
        let mut parameters = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
            let name = decode(name, MAX_NAME_BYTES)?;
            let value = decode(value.strip_prefix(b"=").unwrap_or_default(), MAX_VALUE_BYTES)?;
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        let form = Self(parameters);
        form.names_are_unique(many)?;
        Ok(form)
    }

    fn names_are_unique(&self, many: &[&str]) -> Result<(), FormError> {
        let once = self.0.iter().filter(|(name, _)| !many.contains(&name.as_str()));
        let mut names: Vec<&str> = once.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            true => Err(FormError::Repeated),
            false => Ok(()),
        }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn decode(text: &[u8], most: usize) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len().min(most));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if bytes.len() == most {
            return Err(FormError::TooLong);
        }
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => escape(rest.next(), rest.next()).ok_or(FormError::Encoding)?,
            byte if byte.is_ascii_graphic() => *byte,
            _ => return Err(FormError::Encoding),
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| FormError::Encoding)?;
    if text.chars().any(char::is_control) { Err(FormError::Control) } else { Ok(text) }
}

fn escape(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Form, FormError> {
        Form::parse(text.as_bytes(), &["audience"])
    }

    #[test]
    fn values_are_decoded_and_empty_ones_absent() {
        let form = parse("a=%41+b&&scope=&x&b=%C3%A4=1&audience=1&audience=2").unwrap();
        assert_eq!(form.get("a"), Some("A b"));
        assert_eq!((form.get("scope"), form.get("x")), (None, None));
        assert_eq!(form.get("b"), Some("ä=1"));
        assert_eq!(form.all("audience").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(format!("{form:?}"), r#"["a", "b", "audience", "audience"]"#);
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for (text, error) in [
            ("a=1&a=1", FormError::Repeated),
            ("a=1&%61=2", FormError::Repeated),
            ("a=%4", FormError::Encoding),
            ("a=%zz", FormError::Encoding),
            ("a=%+1", FormError::Encoding),
            ("a=%ff", FormError::Encoding),
            ("a=ä", FormError::Encoding),
            ("a=b c", FormError::Encoding),
            ("a=1\n", FormError::Encoding),
            ("a=%00", FormError::Control),
            ("a=%c2%85", FormError::Control),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse("a=1&a="), parse("a=1"), "a parameter without a value is absent");
        assert_eq!(parse(&format!("a={}", "x".repeat(20_001))), Err(FormError::TooLong));
        assert_eq!(parse(&format!("{}=x", "x".repeat(65))), Err(FormError::TooLong));
        assert_eq!(parse(&"audience=1&".repeat(33)), Err(FormError::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_verdict(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _verdict = Form::parse(&body, &[]);
        }

        #[test]
        fn what_is_encoded_comes_back(value in "[^\\p{Cc}]{1,40}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let form = Form::parse(format!("a={encoded}").as_bytes(), &[]).unwrap();
            prop_assert_eq!(form.get("a"), Some(value.as_str()));
        }
    }
}
