//! Short ways to make what plugins answer most.

use crate::{Metadata, Secret, Timestamp, Token, Value};

impl Secret {
    /// A secret of text, of the newest version.
    #[must_use]
    pub fn text(path: impl Into<String>, text: &str) -> Self {
        Self::opaque(path, "text/plain; charset=utf-8", text.as_bytes().to_vec())
    }

    /// A secret of bytes.
    #[must_use]
    pub fn opaque(path: impl Into<String>, content_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            version: None,
            content_type: content_type.to_owned(),
            value: Value::Opaque(bytes),
            expires_at: None,
            metadata: Metadata::new(),
        }
    }

    /// A secret of named fields.
    #[must_use]
    pub fn fields(path: impl Into<String>, fields: Vec<(String, Vec<u8>)>) -> Self {
        Self { value: Value::Fields(fields), ..Self::opaque(path, "application/json", Vec::new()) }
    }

    /// With a line of metadata. A value that the contract does not allow (empty, too long, with a
    /// control character) is left out: it describes the secret and is not part of it.
    #[must_use]
    pub fn described(mut self, name: &str, value: &str) -> Self {
        let fits = (1..=1024).contains(&value.len()) && !value.chars().any(char::is_control);
        if fits {
            self.metadata.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// With when it ends, if it does.
    #[must_use]
    pub fn expires(mut self, at: Option<Timestamp>) -> Self {
        self.expires_at = at;
        self
    }

    /// With its version.
    #[must_use]
    pub fn version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

/// The line of a token's metadata that says when it really ends, in seconds since 1970, if that is later
/// than `expires_at`.
const ENDS_AT: &str = "ends-at";

impl Token {
    /// A bearer token.
    #[must_use]
    pub fn bearer(token: impl Into<Vec<u8>>, expires_at: Timestamp) -> Self {
        Self::single("bearer", token, expires_at)
    }

    /// A token that goes into a header of its own.
    #[must_use]
    pub fn header(name: &str, token: impl Into<Vec<u8>>, expires_at: Timestamp) -> Self {
        Self::single(&format!("header:{name}"), token, expires_at)
    }

    /// Keys of AWS, with which the host signs requests.
    #[must_use]
    pub fn aws(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: &str,
        expires_at: Timestamp,
    ) -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let fields = vec![
            field("access_key_id", access_key_id),
            field("secret_access_key", secret_access_key),
            field("session_token", session_token),
        ];
        Self { fields, ..Self::single("aws", Vec::new(), expires_at) }
    }

    /// The same token, of which the other party says that it is good until `ends_at`, and which nothing
    /// makes shorter. The host does not use it after `expires_at`; a caller who has it could, so the host
    /// has to know.
    #[must_use]
    pub fn outliving(mut self, ends_at: Timestamp) -> Self {
        if ends_at > self.expires_at {
            self.metadata.push((ENDS_AT.to_owned(), ends_at.to_string()));
        }
        self
    }

    fn single(kind: &str, token: impl Into<Vec<u8>>, expires_at: Timestamp) -> Self {
        Self {
            fields: vec![("token".to_owned(), token.into())],
            kind: kind.to_owned(),
            expires_at,
            handle: Vec::new(),
            metadata: Metadata::new(),
        }
    }
}
