//! The gateway as an OIDC issuer: the documents by which others verify what it signs.
//!
//! There are two issuers with two key sets, and they never mix. *Assertions* go to clouds and
//! backends, which fetch their keys from the public internet: RS256, an issuer URL of their own.
//! *Access tokens* come back to the gateway itself: EdDSA. Whoever verifies one of them can never be
//! shown the other.
//!
//! The assertion documents can also be served by a listener that serves nothing else, or exported
//! to files for static hosting, so that the gateway itself need not be reachable from outside.

mod behalf;
mod caller;
mod export;
mod flight;
mod kept;
mod signed;
mod target;

use bytes::Bytes;
use serde_json::{Value, json};
use symbolon_core::scope::Scope;

pub use behalf::CallerSource;
pub use caller::{
    Beside, CallerError, CallerSettings, CallerTarget, CallerTargets, Named, caller_subject,
};
pub use export::{ExportError, export};
pub use signed::{KeyError, SignedSource, check_key};
pub use target::{Means, TargetSettings, TargetSource};

/// How long others may cache the documents, in seconds. A new key is published at least this long,
/// and a day on top, before it signs anything.
pub const MAX_AGE: u32 = 300;

/// Where the gateway's issuers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Issuer of access tokens, without a trailing `/`: the gateway's public origin.
    pub access: String,
    /// Issuer of assertions, without a trailing `/`.
    pub assertions: String,
}

/// The path of the key set below an issuer's URL.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";
/// The path of the discovery document below an issuer's URL (OpenID Connect Discovery 1.0 §4).
pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";

/// The discovery document of the assertion issuer: the least that AWS, Google and Azure accept.
#[must_use]
pub fn assertion_configuration(origins: &Origins) -> Value {
    json!({
        "issuer": origins.assertions,
        "jwks_uri": format!("{}{KEYS_PATH}", origins.assertions),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

/// Where tokens are exchanged, below the origin.
pub const TOKEN_PATH: &str = "/oauth2/token";
/// Where what a token says is asked.
pub const INTROSPECTION_PATH: &str = "/oauth2/introspect";
/// Where a token is withdrawn.
pub const REVOCATION_PATH: &str = "/oauth2/revoke";

/// The metadata of the access-token issuer (RFC 8414). There is no authorization endpoint, and clients
/// do not authenticate: the token that is shown is the proof.
#[must_use]
pub fn access_configuration(origins: &Origins) -> Value {
    let below = |path: &str| format!("{}{path}", origins.access);
    json!({
        "issuer": origins.access,
        "jwks_uri": below(KEYS_PATH),
        "token_endpoint": below(TOKEN_PATH),
        "introspection_endpoint": below(INTROSPECTION_PATH),
        "revocation_endpoint": below(REVOCATION_PATH),
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["bearer"],
        "scopes_supported": Scope::ACTIONS.map(symbolon_core::ask::Action::as_str),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    })
}

/// A call that the gateway makes for itself.
#[cfg(test)]
pub(crate) fn nobody() -> symbolon_host::CallContext {
    let request_id =
        symbolon_core::id::RequestId::new(symbolon_core::clock::Timestamp::from_seconds(0), 1);
    symbolon_host::CallContext {
        request_id,
        deadline: std::time::Duration::from_hours(1),
        on_behalf: None,
    }
}

/// Serialises a public document.
#[must_use]
pub fn document(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assertion_document_is_the_least_that_the_clouds_accept() {
        let origins = Origins {
            access: "https://gw.example.com".to_owned(),
            assertions: "https://gw.example.com/assertions".to_owned(),
        };
        let document = assertion_configuration(&origins);
        assert_eq!(document["issuer"], "https://gw.example.com/assertions");
        assert_eq!(document["jwks_uri"], "https://gw.example.com/assertions/.well-known/jwks.json");
        assert_eq!(document.as_object().unwrap().len(), 5);
    }
}
