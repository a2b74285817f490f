//! Where a request goes: the final URI, in the one form that can be read in only one way.
//!
//! Matching a URI against a grant is worth nothing if the upstream reads another host or path out
//! of the same bytes. So nothing is repaired here: upper-case hosts, trailing dots, user
//! information, numbers that some resolvers take for addresses, dot segments (encoded or not),
//! empty segments, path parameters and needless escapes are refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Longest URI accepted, in bytes.
const MAX_URI_BYTES: usize = 8 * 1024;

/// The schemes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS.
    Https,
    /// In the clear: only where a grant says so.
    Http,
}

impl Scheme {
    /// The scheme as in a URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port of a URI that names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        match text {
            "https" => Ok(Self::Https),
            "http" => Ok(Self::Http),
            _ => Err(UriError::Scheme),
        }
    }
}

/// A host: a name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower case, without a trailing dot.
    Name(String),
    /// An address literal.
    Address(IpAddr),
}

impl Host {
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(inside) = text.strip_prefix('[') {
            let literal = inside.strip_suffix(']').ok_or(UriError::Host)?;
            let address: Ipv6Addr = literal.parse().map_err(|_| UriError::Host)?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        check_name(text)?;
        Ok(Self::Name(text.to_owned()))
    }
}

/// As in a URI: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

pub(super) fn check_name(text: &str) -> Result<(), UriError> {
    let label_fits = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // `127.1`, `2130706433` and `0x7f.1` are addresses to inet_aton, and so to many resolvers; no
    // top-level domain begins with a digit.
    let last_is_a_name =
        text.rsplit('.').next().is_some_and(|last| !last.starts_with(|c: char| c.is_ascii_digit()));
    let fits = text.len() <= 253 && text.split('.').all(label_fits) && last_is_a_name;
    if fits { Ok(()) } else { Err(UriError::Host) }
}

/// The destination of a request. Only [`Destination::parse`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    scheme: Scheme,
    host: Host,
    port: u16,
    uri: Uri,
}

/// Why a URI is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Longer than 8 KiB.
    #[error("the URI is too long")]
    TooLong,
    /// Not absolute, or with a scheme that is neither `https` nor `http`.
    #[error("the URI's scheme is neither https nor http")]
    Scheme,
    /// User information before the host.
    #[error("the URI carries user information")]
    UserInformation,
    /// The host is not a lower-case DNS name or an address literal.
    #[error("the URI's host is not a plain lower-case name or address")]
    Host,
    /// The port is not 1 to 65535 in plain decimal.
    #[error("the URI's port is not a plain number")]
    Port,
    /// The path does not begin with `/`, or has an empty or dot segment.
    #[error("the URI's path has an empty or dot segment")]
    Segment,
    /// The path has a character or an escape that servers read in different ways.
    #[error("the URI's path has an ambiguous character or escape")]
    Character,
}

impl Destination {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`] if the URI could be understood in more than one way.
    pub fn parse(uri: &Uri) -> Result<Self, UriError> {
        let scheme = Scheme::parse(uri.scheme_str().ok_or(UriError::Scheme)?)?;
        let authority = uri.authority().ok_or(UriError::Host)?.as_str();
        let (host, port) = split_authority(authority, scheme)?;
        let path_and_query = uri.path_and_query().map_or("/", |p| p.as_str());
        if authority.len() + path_and_query.len() > MAX_URI_BYTES {
            return Err(UriError::TooLong);
        }
        check_path(uri.path())?;
        let uri = canonical(scheme, &host, port, path_and_query)?;
        Ok(Self { scheme, host, port, uri })
    }

    /// Scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Port, the scheme's own if the URI named none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path, still encoded, beginning with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The whole URI in its one form: this is what is sent.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// Scheme, host, port and path. The query is left out: it may carry what logs must not.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, uri } = self;
        write!(f, "{}://{host}:{port}{:.200}", scheme.as_str(), uri.path())
    }
}

fn canonical(scheme: Scheme, host: &Host, port: u16, rest: &str) -> Result<Uri, UriError> {
    let authority =
        if port == scheme.default_port() { host.to_string() } else { format!("{host}:{port}") };
    let builder = Uri::builder().scheme(scheme.as_str()).authority(authority);
    builder.path_and_query(rest).build().map_err(|_| UriError::Character)
}

fn split_authority(authority: &str, scheme: Scheme) -> Result<(Host, u16), UriError> {
    if authority.contains('@') {
        return Err(UriError::UserInformation);
    }
    let end_of_host = match authority.find(']') {
        Some(bracket) => bracket.saturating_add(1),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(end_of_host).ok_or(UriError::Host)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) => parse_port(digits)?,
        None if rest.is_empty() => scheme.default_port(),
        None => return Err(UriError::Host),
    };
    Ok((Host::parse(host)?, port))
}

fn parse_port(digits: &str) -> Result<u16, UriError> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().map_err(|_| UriError::Port)?;
    if plain { Ok(port) } else { Err(UriError::Port) }
}

/// Checks a path in the form it has on the wire.
pub(super) fn check_path(path: &str) -> Result<(), UriError> {
    let inside = path.strip_prefix('/').ok_or(UriError::Segment)?;
    // A trailing slash is meaningful (folders) and not ambiguous.
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    if inside.is_empty() {
        // `/` has no segment; `//` has an empty one.
        return if path == "/" { Ok(()) } else { Err(UriError::Segment) };
    }
    inside.split('/').try_for_each(check_segment)
}

fn check_segment(segment: &str) -> Result<(), UriError> {
    if matches!(segment, "" | "." | "..") {
        return Err(UriError::Segment);
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => is_honest_escape(bytes.next(), bytes.next()),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,:@=".contains(&byte),
        };
        if !allowed {
            return Err(UriError::Character);
        }
    }
    // `%2F` is honest where a grant allows it (see `Reach`), dot segments between two never are.
    if decoded_slashes(segment).split('/').any(|part| matches!(part, "." | "..")) {
        return Err(UriError::Segment);
    }
    Ok(())
}

fn decoded_slashes(segment: &str) -> String {
    segment.replace("%2F", "/")
}

/// An escape is honest if it stands for a byte that must be escaped, is written in upper case, and
/// does not become another path when decoded once more: no unreserved character, no `%`, no
/// backslash, no `;`, no control character.
fn is_honest_escape(high: Option<u8>, low: Option<u8>) -> bool {
    let digit = |byte: Option<u8>| match byte? {
        decimal @ b'0'..=b'9' => Some(decimal - b'0'),
        letter @ b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    };
    let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
    let byte = high << 4 | low;
    let dishonest =
        byte.is_ascii_alphanumeric() || b"-._~%\\;".contains(&byte) || byte.is_ascii_control();
    !dishonest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Destination, UriError> {
        Destination::parse(&text.parse().expect(text))
    }

    #[test]
    fn a_plain_uri_keeps_its_meaning() {
        for (text, canonical, port) in [
            ("https://vault.example/v1/kv", "https://vault.example/v1/kv", 443),
            ("https://vault.example:443/v1/", "https://vault.example/v1/", 443),
            ("https://vault.example:8200/?a=%2e%2e", "https://vault.example:8200/?a=%2e%2e", 8200),
            ("http://127.0.0.1:80/x", "http://127.0.0.1/x", 80),
            ("https://[::1]:8443/a%20b", "https://[::1]:8443/a%20b", 8443),
            ("https://xn--bcher-kva.example/%C3%A4", "https://xn--bcher-kva.example/%C3%A4", 443),
            ("https://api.example/api/queues/%2F/q", "https://api.example/api/queues/%2F/q", 443),
            ("https://api.example", "https://api.example/", 443),
        ] {
            let destination = parse(text).expect(text);
            assert_eq!(
                (destination.uri().to_string().as_str(), destination.port()),
                (canonical, port)
            );
        }
    }

    #[test]
    fn tricks_are_refused_by_name() {
        let long = format!("https://a.example/{}", "a".repeat(9000));
        for (text, expected) in [
            ("/v1/kv", UriError::Scheme),
            ("ftp://a.example/", UriError::Scheme),
            ("https://user@a.example/", UriError::UserInformation),
            ("https://good.example:443@evil.example/", UriError::UserInformation),
            ("https://A.example/", UriError::Host),
            ("https://a.example./", UriError::Host),
            ("https://a..example/", UriError::Host),
            ("https://a_b.example/", UriError::Host),
            ("https://-a.example/", UriError::Host),
            ("https://127.1/", UriError::Host),
            ("https://2130706433/", UriError::Host),
            ("https://0x7f000001/", UriError::Host),
            ("https://0177.0.0.1/", UriError::Host),
            ("https://1.2.3.4.5/", UriError::Host),
            ("https://a.example:/", UriError::Port),
            ("https://a.example:0/", UriError::Port),
            ("https://a.example:0443/", UriError::Port),
            ("https://a.example//", UriError::Segment),
            ("https://a.example/a//b", UriError::Segment),
            ("https://a.example/..", UriError::Segment),
            ("https://a.example/a/../b", UriError::Segment),
            ("https://a.example/a/./b", UriError::Segment),
            ("https://a.example/a/%2e%2e/b", UriError::Character),
            ("https://a.example/a/%2E%2E/b", UriError::Character),
            ("https://a.example/a/.%2E/b", UriError::Character),
            ("https://a.example/a%2F..%2Fb", UriError::Segment),
            ("https://a.example/a%2f..%2fb", UriError::Character),
            ("https://a.example/%252e%252e/b", UriError::Character),
            ("https://a.example/a%5Cb", UriError::Character),
            ("https://a.example/a%00", UriError::Character),
            ("https://a.example/%61", UriError::Character),
            ("https://a.example/%zz", UriError::Character),
            ("https://a.example/a;b", UriError::Character),
            ("https://a.example/..;/b", UriError::Character),
            ("https://a.example/a%3Bb", UriError::Character),
            (&long, UriError::TooLong),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_a_fixed_point(text in "https?://[a-z0-9.:\\[\\]@-]{1,20}/[a-zA-Z0-9./%;_-]{0,20}") {
            if let Some(first) = text.parse().ok().and_then(|uri| Destination::parse(&uri).ok()) {
                prop_assert_eq!(Destination::parse(first.uri()), Ok(first.clone()));
                prop_assert!(!first.path().split('/').any(|s| s == ".." || s == "."));
            }
        }
    }
}
