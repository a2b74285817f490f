//! URLs of the configuration, each kind with its own rules.
//!
//! INVARIANT: an [`Origin`] or [`Endpoint`] is `https`, or `http` to a loopback host, and carries no
//! user, password or fragment.

use std::fmt;

use url::{Host, Url};

use super::fault::Problem;
use super::parse::brief;

/// Scheme, host and port. Its text has no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Endpoint);

/// A URL under which something is fetched or published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    url: Url,
    text: String,
}

impl Endpoint {
    /// Parses a URL; its text stays as it was written, but for a trailing slash.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let url = Url::parse(text).map_err(|_| {
            Problem::new(format!("`{}` is not a URL", brief(text)))
                .with_help("write it as \"https://host.example\"")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::new("a URL here has no user and no password"));
        }
        if url.fragment().is_some() {
            return Err(Problem::new("a URL here has no fragment"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(Problem::new("plain http is only accepted for a loopback host")
                    .with_help("use https"));
            }
            _ => return Err(Problem::new("is not an https URL")),
        }
        Ok(Self { text: text.strip_suffix('/').unwrap_or(text).to_owned(), url })
    }

    /// The text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is plain http.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }
}

impl Origin {
    /// Parses an origin; a path other than `/` is refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let endpoint = Endpoint::parse(text)?;
        if endpoint.url.path() != "/" || endpoint.url.query().is_some() {
            return Err(Problem::new("an origin has no path and no query")
                .with_help(format!("write `{}`", endpoint.url.origin().ascii_serialization())));
        }
        let text = endpoint.url.origin().ascii_serialization();
        Ok(Self(Endpoint { text, ..endpoint }))
    }

    /// The text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.0.url()
    }

    /// Whether it is plain http.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.is_plain()
    }

    /// The endpoint at `path`, which begins with `/`.
    pub(crate) fn below(&self, path: &str) -> Endpoint {
        let mut url = self.0.url.clone();
        url.set_path(path);
        Endpoint { text: format!("{}{path}", self.as_str()), url }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
