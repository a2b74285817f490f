//! Part of a secret's value: a JSON pointer (RFC 6901).
//!
//! INVARIANT: as with paths, there is exactly one text for each field: the alphabet is that of path
//! segments, an escape is `~0` or `~1`, and what would have to be percent-encoded cannot be asked for
//! by itself (the whole secret can).

use std::borrow::Cow;
use std::fmt;

/// Longest field, in bytes.
pub const MAX_BYTES: usize = 256;
/// Most steps.
pub const MAX_STEPS: usize = 8;

/// A field such as `/password` or `/users/0/name`: names of members, or positions in lists. In a
/// secret of named fields the first step is the name of one; any other step leads into JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field(String);

/// The text is not a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a field is a JSON pointer of 1 to 8 steps such as `/password` or `/tls/key`, of A-Z, a-z, 0-9, `._~-@:+=,$`"
)]
pub struct FieldError(());

impl Field {
    /// Parses a field.
    ///
    /// # Errors
    /// [`FieldError`] if the text does not begin with `/`, has an empty step, a bad escape or another
    /// character, or is too long.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let steps = text.strip_prefix('/').ok_or(FieldError(()))?;
        let fits = text.len() <= MAX_BYTES
            && steps.split('/').count() <= MAX_STEPS
            && steps.split('/').all(is_step);
        if fits { Ok(Self(text.to_owned())) } else { Err(FieldError(())) }
    }

    /// The field as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The steps, unescaped. There is at least one.
    pub fn steps(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').skip(1).map(|step| match step.contains('~') {
            true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(step),
        })
    }

    /// The field `inner` of what this one is.
    ///
    /// # Errors
    /// [`FieldError`] if both together are too long.
    pub fn below(&self, inner: &Self) -> Result<Self, FieldError> {
        Self::parse(&format!("{self}{inner}"))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_step(step: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~-@:+=,$".contains(&b);
    let escaped = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    !step.is_empty() && step.bytes().all(allowed) && escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_unescaped_in_the_order_of_the_rfc() {
        for (text, steps) in [
            ("/password", &["password"][..]),
            ("/tls.crt", &["tls.crt"]),
            ("/users/0/name", &["users", "0", "name"]),
            ("/a~1b/~0c", &["a/b", "~c"]),
            ("/~01", &["~1"]),
        ] {
            let field = Field::parse(text).unwrap();
            assert_eq!(field.steps().collect::<Vec<_>>(), steps, "{text}");
            assert_eq!(field.as_str(), text);
        }
    }

    #[test]
    fn what_has_another_text_or_none_is_refused() {
        let (long, deep) = (format!("/{}", "a".repeat(256)), "/a".repeat(9));
        for text in [
            "", "/", "a", "//", "/a/", "/a//b", "/~", "/~2", "/a~", "/a%20b", "/a b", "/ä", &long,
            &deep,
        ] {
            assert!(Field::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_field_of_a_field_is_their_joint_text() {
        let outer = Field::parse("/a").unwrap();
        assert_eq!(outer.below(&Field::parse("/b/0").unwrap()).unwrap().as_str(), "/a/b/0");
        assert!(outer.below(&Field::parse(&"/a".repeat(8)).unwrap()).is_err());
    }
}
