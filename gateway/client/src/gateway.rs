//! The native face, from the workload's side.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use rustls::ClientConfig;
use symbolon_core::ask::Version;
use symbolon_core::field::Field;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use url::{Host, Url};

use crate::answer::SecretAnswer;
use crate::error::{ClientError, Problem};
use crate::roots::Roots;
use crate::transport::{Place, over_tcp};

/// A gateway, by its URL.
#[derive(Clone, Debug)]
pub struct Gateway {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
}

impl Gateway {
    /// A gateway at `url`: `https`, or `http` to a loopback host, since a token goes there.
    ///
    /// # Errors
    /// [`ClientError::Url`] or [`ClientError::Roots`].
    pub fn at(url: &str, roots: &Roots) -> Result<Self, ClientError> {
        let unusable = |reason| ClientError::Url { url: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|_| unusable("it is not a URL"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(unusable("it has a user or a password"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(unusable("it has a query or a fragment"));
        }
        let tls = match parsed.scheme() {
            "https" => Some(roots.tls()?),
            "http" if is_loopback(&parsed) => None,
            "http" => {
                return Err(unusable("plain http would show the token; only loopback may have it"));
            }
            _ => return Err(unusable("it is not an https URL")),
        };
        Ok(Self { url: parsed, tls })
    }

    /// Reads a secret, or a field of it. Cancelling it closes the connection; the gateway may still put the read on
    /// record.
    ///
    /// # Errors
    /// [`ClientError`] says what happened, where, and what to look at next.
    pub async fn read_secret(
        &self,
        token: &Secret,
        backend: &BackendName,
        path: &SecretPath,
        (version, field): (Option<&Version>, Option<&Field>),
    ) -> Result<SecretAnswer, ClientError> {
        let version = version.map(|version| format!("version={}", version.as_str()));
        let field = field.map(|field| format!("field={field}"));
        let query: Vec<String> = version.into_iter().chain(field).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let target = self.below(&format!("/v1/secrets/{backend}/{path}{mark}{}", query.join("&")));
        let answer = self.call(Method::GET, &target, token, Full::default()).await?;
        SecretAnswer::parse(&answer).map_err(|reason| self.not_understood(reason))
    }

    /// Calls the native face below the gateway's URL, and answers the body of a success.
    pub(crate) async fn call(
        &self,
        method: Method,
        target: &str,
        token: &Secret,
        body: Full<Bytes>,
    ) -> Result<Bytes, ClientError> {
        let request = self.request(method, target, token, body)?;
        succeeded(over_tcp(&self.place(), request).await?)
    }

    /// Posts a form in which the asker's token stands, if anywhere.
    pub(crate) async fn post_form(&self, target: &str, form: Bytes) -> Result<Bytes, ClientError> {
        let request = self
            .builder(Method::POST, target)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(form))
            .map_err(|_| self.unusable("it makes no valid request"))?;
        succeeded(over_tcp(&self.place(), request).await?)
    }

    /// `path` below the gateway's own path.
    pub(crate) fn below(&self, path: &str) -> String {
        format!("{}{path}", self.url.path().trim_end_matches('/'))
    }

    pub(crate) fn not_understood(&self, reason: String) -> ClientError {
        ClientError::Answer { place: self.url.to_string(), reason }
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        token: &Secret,
        body: Full<Bytes>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut line = b"Bearer ".to_vec();
        line.extend_from_slice(token.expose());
        let mut authorization = HeaderValue::from_bytes(&line)
            .map_err(|_| self.unusable("the token does not fit a header"))?;
        authorization.set_sensitive(true);
        self.builder(method, target)
            .header(header::AUTHORIZATION, authorization)
            .body(body)
            .map_err(|_| self.unusable("it makes no valid request"))
    }

    fn builder(&self, method: Method, target: &str) -> http::request::Builder {
        let origin = self.url.origin().ascii_serialization();
        Request::builder()
            .method(method)
            .uri(format!("{origin}{target}"))
            .header(header::HOST, self.authority())
            .header(header::ACCEPT, "application/json")
    }

    fn unusable(&self, reason: &'static str) -> ClientError {
        ClientError::Url { url: self.url.to_string(), reason }
    }

    fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn place(&self) -> Place<'_> {
        Place {
            host: self.url.host_str().unwrap_or_default(),
            port: self.url.port_or_known_default().unwrap_or(443),
            tls: self.tls.clone(),
        }
    }
}

fn succeeded(answer: Response<Bytes>) -> Result<Bytes, ClientError> {
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    let problem = Problem::of(answer.status().as_u16(), answer.body());
    Err(ClientError::Refused(problem))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_token_is_not_sent_in_plain_text_beyond_the_machine() {
        for (url, usable) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080/", true),
            ("http://gateway.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("ftp://127.0.0.1", false),
            ("http://user@127.0.0.1", false),
            ("gateway", false),
        ] {
            assert_eq!(Gateway::at(url, &Roots::System).is_ok(), usable, "{url}");
        }
    }

    async fn answered(answer: &str) -> (Result<SecretAnswer, ClientError>, String) {
        let read = async |gateway: Gateway, token| {
            let backend = BackendName::parse("kv").unwrap();
            let path = SecretPath::parse("prod/db").unwrap();
            let version = Version::parse("7").unwrap();
            let field = Field::parse("/password").unwrap();
            let part = (Some(&version), Some(&field));
            gateway.read_secret(&token, &backend, &path, part).await
        };
        testing::answered(answer, read).await
    }

    #[tokio::test]
    async fn a_secret_is_read_over_a_connection_that_closes() {
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"backend\":\"kv\",\"path\":\"prod/db\",\"value\":\"x\"}";
        let (secret, request) = answered(answer).await;
        assert_eq!(secret.unwrap().value.expose(), b"x");
        assert!(
            request.starts_with(
                "GET /below/v1/secrets/kv/prod/db?version=7&field=/password HTTP/1.1\r\n"
            ),
            "{request}"
        );
        assert!(request.contains("authorization: Bearer a.b+c\r\n"), "{request}");
    }

    #[tokio::test]
    async fn refusals_and_redirects_are_refusals() {
        for (answer, status) in [
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n{}", 403),
            (
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
                302,
            ),
        ] {
            let (outcome, _) = answered(answer).await;
            assert!(
                matches!(outcome, Err(ClientError::Refused(problem)) if problem.status == status)
            );
        }
    }
}
