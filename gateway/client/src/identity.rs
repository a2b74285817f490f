//! Where a workload's platform token is.
//!
//! Asked for in this order: what the caller names, `SYMBOLON_TOKEN`, `SYMBOLON_TOKEN_FILE`, the
//! place where Kubernetes projects one. The environment comes as an argument. A file is read anew for
//! each call, since platforms replace it before the token ends.

use std::path::PathBuf;

use symbolon_core::secret::Secret;

/// Where Kubernetes projects a token for the gateway, by our documented convention.
pub const KUBERNETES_TOKEN: &str = "/var/run/secrets/symbolon/token";

/// A larger file is not a token.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Where the token is.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// In hand.
    Value(Secret),
    /// In a file.
    File(PathBuf),
}

/// There is no token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No place has one.
    #[error(
        "no platform token was found; give --token-file, or set SYMBOLON_TOKEN_FILE or SYMBOLON_TOKEN"
    )]
    Nowhere,
    /// The file cannot be read.
    #[error("the token file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there is no token.
    #[error(
        "what was found in {0} is not a token: it is empty, too long or has characters that no token has"
    )]
    NotAToken(String),
}

impl TokenSource {
    /// Finds a token: `file` if given, else by the environment, else where Kubernetes puts it.
    ///
    /// # Errors
    /// [`IdentityError::Nowhere`] if no place has one.
    pub fn discover(
        file: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, IdentityError> {
        if let Some(file) = file {
            return Ok(Self::File(file));
        }
        if let Some(token) = variable("SYMBOLON_TOKEN") {
            return Ok(Self::Value(Secret::from(token)));
        }
        if let Some(file) = variable("SYMBOLON_TOKEN_FILE") {
            return Ok(Self::File(PathBuf::from(file)));
        }
        match PathBuf::from(KUBERNETES_TOKEN) {
            projected if projected.exists() => Ok(Self::File(projected)),
            _ => Err(IdentityError::Nowhere),
        }
    }

    /// Reads the token. Blocks on the file system.
    ///
    /// # Errors
    /// [`IdentityError`] if there is nothing that could be a token.
    pub fn read(&self) -> Result<Secret, IdentityError> {
        match self {
            Self::Value(token) => checked(token, "the environment".to_owned()),
            Self::File(path) => {
                let bytes = std::fs::read(path)
                    .map_err(|source| IdentityError::Unreadable { path: path.clone(), source })?;
                checked(&Secret::new(bytes), path.display().to_string())
            }
        }
    }
}

/// Whatever goes into a header must not be able to end it.
fn checked(found: &Secret, origin: String) -> Result<Secret, IdentityError> {
    let token = found.expose().trim_ascii();
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.iter().all(is_token) {
        return Err(IdentityError::NotAToken(origin));
    }
    Ok(Secret::new(token.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_before_the_environment() {
        let environment = |name: &str| match name {
            "SYMBOLON_TOKEN" => Some("a.b.c".to_owned()),
            "SYMBOLON_TOKEN_FILE" => Some("/env".to_owned()),
            _ => None,
        };
        let named = TokenSource::discover(Some(PathBuf::from("/named")), environment);
        assert!(matches!(named, Ok(TokenSource::File(path)) if path.as_os_str() == "/named"));
        let value = TokenSource::discover(None, environment).unwrap();
        assert_eq!(value.read().unwrap().expose(), b"a.b.c");
        let file = TokenSource::discover(None, |name| {
            environment(name).filter(|_| name.ends_with("FILE"))
        });
        assert!(matches!(file, Ok(TokenSource::File(path)) if path.as_os_str() == "/env"));
    }

    #[test]
    fn a_token_is_read_without_its_line_break_and_nothing_else_is_a_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        for (content, expected) in [
            ("a.b.c\n", Some("a.b.c")),
            ("", None),
            ("\n", None),
            ("a\r\nx-evil: 1", None),
            ("a b", None),
        ] {
            std::fs::write(&path, content).unwrap();
            let token = TokenSource::File(path.clone()).read().ok();
            let token = token.as_ref().map(|token| token.expose_str().unwrap());
            assert_eq!(token, expected, "{content:?}");
        }
    }
}
