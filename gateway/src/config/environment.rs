//! The one place where the environment is read.
//!
//! Everything else takes what it needs as an argument, so that a test never depends on the shell it
//! runs in and a reader finds every variable with one search.

/// A variable of the environment, if it is set, not empty and UTF-8.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
