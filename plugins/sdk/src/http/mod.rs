//! A small HTTP client, blocking as everything in a plugin is.
//!
//! Requests leave through the host, which allows them or not, adds the backend's credential and
//! enforces the deadline; a plugin sets no credential of its own. Redirects are never followed. An
//! answer is read whole, and one that is larger than the limit (1 MiB unless told) is a failure.
//!
//! ```no_run
//! # fn main() -> Result<(), symbolon_plugin::Error> {
//! use symbolon_plugin::http;
//!
//! let answer = http::get("https://vault.example/v1/sys/health").send()?.success()?;
//! let health: serde_json::Value = answer.json()?;
//! # Ok(()) }
//! ```
//!
//! INVARIANT: no error of this module holds a URL, a header or a body.

mod url;
mod wire;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::url::{base, encode, encode_path};
use crate::{Error, clock, time};

/// No backend's answer to one question is larger.
const LIMIT: usize = 1024 * 1024;

/// What an answer may ask a plugin to wait: a day. More is a mistake of the backend.
const LONGEST_WAIT_SECONDS: u64 = 24 * 60 * 60;

/// A request to be sent.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    limit: usize,
}

/// Without values of headers and without the body: they hold assertions.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        write!(f, "{} {} {names:?}", self.method, self.url)
    }
}

/// A request with the method GET.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A request with the method POST.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A request with any method.
pub fn request(method: &'static str, url: impl Into<String>) -> Request {
    Request { method, url: url.into(), headers: Vec::new(), body: None, limit: LIMIT }
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Adds a pair to the URL's query, encoded. No value, no pair.
    pub fn query<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        if let Some(value) = value.into() {
            let separator = if self.url.contains('?') { '&' } else { '?' };
            self.url = format!("{}{separator}{}={}", self.url, encode(name), encode(value));
        }
        self
    }

    /// Adds a token that the plugin has obtained in this very call. The host refuses it towards a host
    /// for which it has a credential itself.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the body, as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.header("content-type", "application/json").body(body)
    }

    /// Sets the body, as a form.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&").into_bytes())
    }

    /// Sets the body.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// The body that will be sent: for the tests of a plugin.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// Sets the number of bytes that an answer may have.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Sends it and reads the whole answer, whatever its status.
    pub fn send(self) -> Result<Response, Error> {
        wire::send(self)
    }
}

/// An answer, read whole.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name given in lower case, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// How long the backend asks to wait, in milliseconds: so many seconds, or until a date.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        let text = self.header("retry-after")?.trim();
        let until = || time::parse_http(text).map(|date| date.saturating_sub(clock::now()));
        let seconds: u64 = text.parse().ok().or_else(until)?;
        Some(seconds.min(LONGEST_WAIT_SECONDS) * 1000)
    }

    /// The answer, if its status is one of success; else what [`Error::from_status`] makes of it.
    pub fn success(self) -> Result<Self, Error> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(Error::of(&self)),
        }
    }

    /// The body, as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::malformed_answer("the answer is not the JSON expected").status(self.status)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers =
            headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        Response { status, headers, body: b"secret words".to_vec() }
    }

    #[test]
    fn a_refusal_carries_how_long_to_wait_and_no_words_of_the_backend() {
        let error = answer(429, &[("retry-after", "7")]).success().err().expect("a refusal");
        assert_eq!(error.kind, ErrorKind::RateLimited);
        assert_eq!(error.retry_after_ms, Some(7000));
        assert!(!error.message.contains("secret"));
    }

    #[test]
    fn a_wait_is_capped_and_nonsense_is_no_wait() {
        assert_eq!(answer(503, &[("retry-after", "99999999")]).retry_after(), Some(86_400_000));
        assert_eq!(answer(503, &[("retry-after", "soon")]).retry_after(), None);
        assert_eq!(answer(503, &[]).retry_after(), None);
    }

    #[test]
    fn a_body_that_is_no_json_is_a_malformed_answer() {
        let error = answer(200, &[]).json::<u8>().expect_err("no number");
        assert_eq!(error.code, "malformed_answer");
        assert!(!error.message.contains("secret"));
    }

    #[test]
    fn a_query_is_encoded_and_what_has_no_value_left_out() {
        let request = get("https://h/names").query("below", "a/&").query("after", None);
        assert_eq!(request.query("count", Some("5")).url, "https://h/names?below=a%2F%26&count=5");
    }

    #[test]
    fn a_form_is_encoded() {
        let request = post("https://h/").form(&[("a", "1&b=2"), ("c", "d e")]);
        assert_eq!(request.body.as_deref(), Some(b"a=1%26b%3D2&c=d%20e".as_slice()));
    }
}
