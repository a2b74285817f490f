//! What a request shows of who sends it: a token, a signed request, or the certificate of its
//! connection.
//!
//! A request that brings a token is its token's, whatever certificate the connection has: a
//! certificate binds, and never decides against what was said. Only a request without `Authorization`
//! is its connection's.

use http::header;
use http::request::Parts;

use super::ask::{AskError, Asked, Presented, TokenType, bearer};
use super::authenticate::Proof;
use crate::listen::ClientCertificates;

/// The scheme of `Authorization` for a signed `sts:GetCallerIdentity` request: base64url of its JSON.
pub const SIGNED: &str = "AWS4-STS";
/// The same as the type of a token in a token exchange (RFC 8693 §3).
pub const SIGNED_TYPE: &str = "urn:symbolon:params:oauth:token-type:aws4-request";

/// The proof of who sends a request: what the form holds that is exchanged or ended, or what the head
/// shows.
///
/// # Errors
/// [`AskError::NoCredential`] or [`AskError::Credential`].
pub fn shown<'a>(asked: &'a Asked, head: &'a Parts) -> Result<Proof<'a>, AskError> {
    match asked {
        Asked::One(..) | Asked::Batch(_) | Asked::Introspect(_) => of_head(head),
        Asked::Exchange(exchange) => Ok(of_type(&exchange.subject)),
        Asked::Withdraw(token) => Ok(Proof::Bearer(token.as_str())),
    }
}

/// What is presented in an exchange, as its type says.
fn of_type((text, kind): &(Presented, TokenType)) -> Proof<'_> {
    match kind {
        TokenType::AwsRequest => Proof::Signed(text.as_str()),
        TokenType::AccessToken
        | TokenType::IdToken
        | TokenType::Jwt
        | TokenType::AwsCredentials => Proof::Bearer(text.as_str()),
    }
}

/// Exactly one `Authorization`, or the certificate of the connection.
fn of_head(head: &Parts) -> Result<Proof<'_>, AskError> {
    let mut values = head.headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let certificates = ClientCertificates::of_request(head);
        return certificates.map(Proof::Certificate).ok_or(AskError::NoCredential);
    };
    let signed = value.to_str().ok().and_then(|text| text.split_once(' '));
    match signed.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SIGNED)) {
        Some((_, text)) if values.next().is_none() => Ok(Proof::Signed(text)),
        Some(_) => Err(AskError::Credential),
        None => bearer(head).map(Proof::Bearer),
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;

    use super::*;

    fn head(values: &[&str], certificate: bool) -> Parts {
        let mut request = http::Request::builder();
        for value in values {
            request = request.header(header::AUTHORIZATION, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        if certificate {
            let leaf = [CertificateDer::from(vec![1])];
            head.extensions.insert(ClientCertificates::of(Some(&leaf)).unwrap());
        }
        head
    }

    #[test]
    fn a_token_decides_and_a_certificate_only_speaks_where_nothing_else_does() {
        for (values, certificate, expected) in [
            (&["Bearer a"][..], false, Ok("bearer a")),
            (&["Bearer a"], true, Ok("bearer a")),
            (&["AWS4-STS a"], true, Ok("signed a")),
            (&["aws4-sts a"], false, Ok("signed a")),
            (&[], true, Ok("certificate")),
            (&[], false, Err(AskError::NoCredential)),
            (&["Basic a"], true, Err(AskError::Credential)),
            (&["Bearer"], true, Err(AskError::Credential)),
            (&["Bearer a", "Bearer b"], true, Err(AskError::Credential)),
            (&["AWS4-STS a", "Bearer b"], false, Err(AskError::Credential)),
            (&["Bearer a", "AWS4-STS b"], false, Err(AskError::Credential)),
        ] {
            let head = head(values, certificate);
            let shown = of_head(&head).map(|proof| match proof {
                Proof::Bearer(token) => format!("bearer {token}"),
                Proof::Signed(text) => format!("signed {text}"),
                Proof::Certificate(_) => "certificate".to_owned(),
            });
            assert_eq!(shown, expected.map(str::to_owned), "{values:?} {certificate}");
        }
    }
}
