//! What an administrator can ask of the issuers: what one is like, and what would become of a token.

use http::Method;
use serde::Deserialize;
use symbolon_core::id::IssuerAlias;
use zeroize::Zeroizing;

use super::{OperationError, body, malformed, no_route};
use crate::listen::Arrival;

/// Where all of these are; what follows is `/alias` or `:test`.
pub(super) const PATH: &str = "/v1/issuers";

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One issuer: its rules, its keys.
    Show(IssuerAlias),
    /// Every check that a token would have to pass, and which it does.
    Test(Shown),
}

/// A token that somebody wants explained. It may be good: nothing of it is printed or recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(Zeroizing<String>);

impl Shown {
    /// The text of the token.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

impl Verb {
    /// The name in policies and in the audit log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Show(_) => "issuer.show",
            Self::Test(_) => "issuer.test",
        }
    }

    /// The issuer, if one was named.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Show(issuer) => Some(issuer.to_string()),
            Self::Test(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    token: String,
}

/// What follows [`PATH`] in the path.
pub(super) fn parse(arrival: &Arrival, rest: &str) -> Result<Verb, OperationError> {
    let method = &arrival.head.method;
    match rest.strip_prefix('/') {
        Some(alias) if *method == Method::GET => {
            IssuerAlias::parse(alias).map(Verb::Show).map_err(|error| malformed(&error.to_string()))
        }
        None if rest == ":test" && *method == Method::POST => {
            // A fault of the body would be told with what stands around it.
            let told: Result<TestBody, _> = body(&arrival.body);
            let told = told.map_err(|_| malformed("the body is `{\"token\": \"…\"}`"))?;
            let token = Zeroizing::new(told.token);
            Ok(Verb::Test(Shown(Zeroizing::new(token.trim().to_owned()))))
        }
        Some(_) | None => Err(no_route()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::listen::Peer;

    #[test]
    fn a_token_to_be_explained_is_not_printed() {
        let request = http::Request::post("/v1/issuers:test").body(()).unwrap();
        let head = request.into_parts().0;
        let arrival = |body: &'static str| Arrival {
            head: head.clone(),
            body: Bytes::from_static(body.as_bytes()),
            peer: Peer::User(0),
        };
        let verb = parse(&arrival(r#"{"token":" marker\n"}"#), ":test").unwrap();
        let Verb::Test(shown) = &verb else { panic!("{verb:?}") };
        assert_eq!(shown.expose(), "marker");
        assert!(!format!("{verb:?}").contains("marker"));
        assert_eq!(verb.object(), None);
        let error = parse(&arrival(r#"{"token":"a","marker":1}"#), ":test").unwrap_err();
        assert!(!error.detail.contains("marker"), "{}", error.detail);
    }
}
