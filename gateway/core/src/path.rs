//! The path of a secret: one grammar, parsed once.
//!
//! INVARIANT: router, policy and backend see the same [`SecretPath`]. It is made from the raw bytes
//! of the request target, before anything decodes or normalises them, and there is exactly one text
//! for each path: what is ambiguous (`..`, `//`, `%2f`, a percent sign that need not be there) is
//! refused, never repaired.

use std::fmt;

/// Longest path, in bytes after decoding.
pub const MAX_BYTES: usize = 512;
/// Longest segment, in bytes after decoding.
pub const MAX_SEGMENT_BYTES: usize = 128;
/// Most segments.
pub const MAX_SEGMENTS: usize = 16;

/// A path of segments joined by `/`, such as `prod/db/password`.
///
/// Each segment is 1 to 128 bytes of `A-Z a-z 0-9 . _ ~ - @ : + = , $` and space-free; it is neither
/// `.` nor `..`. Paths are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

/// Why a text is not a path. The texts are safe to show to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No segment at all, or an empty one (`//`, a leading or trailing `/`).
    #[error("a path segment is empty")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("a path segment is `.` or `..`")]
    DotSegment,
    /// A byte outside the grammar, encoded or not.
    #[error("a path segment has a character that is not allowed")]
    Character,
    /// A `%` that does not begin a valid, necessary, upper-case escape.
    #[error("a path segment is percent-encoded in more than the one allowed way")]
    Encoding,
    /// Longer than the limits of this module.
    #[error("the path is too long")]
    TooLong,
}

impl SecretPath {
    /// Parses the undecoded remainder of a request target.
    ///
    /// # Errors
    /// [`PathError`] says which rule the text breaks.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        // Percent-encoding can only be needed for characters outside the grammar, and those are
        // refused: so every `%` is either a trick or a mistake.
        if raw.contains('%') {
            return Err(PathError::Encoding);
        }
        if raw.len() > MAX_BYTES {
            return Err(PathError::TooLong);
        }
        raw.split('/').try_for_each(check_segment)?;
        if raw.split('/').count() > MAX_SEGMENTS {
            return Err(PathError::TooLong);
        }
        Ok(Self(raw.to_owned()))
    }

    /// The path as text, without a leading `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, in order. There is at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Every proper prefix on a segment boundary, longest first: the folders this path lies in.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_segment(segment: &str) -> Result<(), PathError> {
    match segment {
        "" => Err(PathError::EmptySegment),
        "." | ".." => Err(PathError::DotSegment),
        _ if segment.len() > MAX_SEGMENT_BYTES => Err(PathError::TooLong),
        _ if !segment.bytes().all(is_allowed) => Err(PathError::Character),
        _ => Ok(()),
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~-@:+=,$".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tricks_are_refused_by_name() {
        let long_segment = "a".repeat(129);
        let many_segments = vec!["a"; 17].join("/");
        let long_path = vec!["a".repeat(100); 6].join("/");
        for (raw, expected) in [
            ("", PathError::EmptySegment),
            ("/a", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("a//b", PathError::EmptySegment),
            ("..", PathError::DotSegment),
            ("a/../b", PathError::DotSegment),
            ("a/./b", PathError::DotSegment),
            ("a/%2e%2e/b", PathError::Encoding),
            ("a%2fb", PathError::Encoding),
            ("a%2Fb", PathError::Encoding),
            ("a%00", PathError::Encoding),
            ("%61", PathError::Encoding),
            ("a\0", PathError::Character),
            ("a\\b", PathError::Character),
            ("a b", PathError::Character),
            ("a;b", PathError::Character),
            ("ä", PathError::Character),
            (&long_segment, PathError::TooLong),
            (&many_segments, PathError::TooLong),
            (&long_path, PathError::TooLong),
        ] {
            assert_eq!(SecretPath::parse(raw), Err(expected), "{raw:?}");
        }
    }

    #[test]
    fn folders_go_from_the_nearest_to_the_top() {
        let path = SecretPath::parse("prod/db/password").unwrap();
        assert_eq!(path.folders().collect::<Vec<_>>(), ["prod/db", "prod"]);
    }

    proptest! {
        #[test]
        fn what_parses_is_its_own_only_text(raw in "\\PC{0,40}") {
            if let Ok(path) = SecretPath::parse(&raw) {
                prop_assert_eq!(path.as_str(), raw.as_str());
                prop_assert!(path.segments().all(|s| !s.is_empty() && s != "." && s != ".."));
            }
        }
    }
}
