//! Roles: what a backend issues, as the operator configured it.
//!
//! INVARIANT: a fault names the role and, in the words of the parser, what is wrong with it; the
//! configuration of a role holds nothing secret.

use serde::de::DeserializeOwned;

use crate::Error;

/// Every role of this backend, parsed. For `validate`, so that a mistake is found when it is loaded.
pub fn all<T: DeserializeOwned>() -> Result<Vec<(String, T)>, Error> {
    configured()
        .into_iter()
        .map(|(name, text)| parse(&name, &text).map(|role| (name, role)))
        .collect()
}

#[cfg(target_family = "wasm")]
fn configured() -> Vec<(String, String)> {
    crate::bindings::base::symbolon::plugin::config::roles()
}

/// Outside of a component there is no host to ask.
#[cfg(not(target_family = "wasm"))]
fn configured() -> Vec<(String, String)> {
    Vec::new()
}

/// One role, from what came with a request.
pub fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|fault| unsound(name, fault.to_string()))
}

/// A role that cannot be used as it is.
#[must_use]
pub fn unsound(name: &str, why: impl AsRef<str>) -> Error {
    let message = format!("the role `{name}`: {}", why.as_ref());
    Error::invalid_config("role_unsound", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Role {
        _member_of: String,
    }

    #[test]
    fn a_fault_names_the_role_and_what_is_wrong() {
        let fault = parse::<Role>("reader", r#"{"member":"x"}"#).expect_err("unknown");
        assert_eq!(fault.code, "role_unsound");
        assert!(fault.message.contains("`reader`") && fault.message.contains("`member`"));
        assert!(!fault.request_sent);
    }
}
