//! URLs, as far as a request needs them.
//!
//! No crate for it: the host parses and judges the final URI again, so that this only has to cut
//! three pieces and refuse what is not surely one URL.

use crate::Error;

/// The pieces of a URL that a request is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces<'a> {
    pub(super) secure: bool,
    pub(super) authority: &'a str,
    pub(super) path_and_query: &'a str,
}

pub(super) fn split(url: &str) -> Result<Pieces<'_>, Error> {
    pieces(url).ok_or_else(|| Error::invalid_request("url_malformed", "the URL makes no sense"))
}

fn pieces(url: &str) -> Option<Pieces<'_>> {
    let clean = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\');
    let (scheme, rest) = url.split_once("://")?;
    let secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end)?;
    let sound = url.bytes().all(clean) && !authority.is_empty() && !authority.contains('@');
    let path_and_query = if path_and_query.is_empty() { "/" } else { path_and_query };
    (sound && path_and_query.starts_with('/')).then_some(Pieces {
        secure,
        authority,
        path_and_query,
    })
}

/// The address of a server in a configuration, `https://host` or `https://host:port`, without the slash
/// that may be at its end. `key` is where it stands.
///
/// # Errors
/// [`Error::unsound`] if it is anything else: what is appended to it could then mean another server.
pub fn base<'a>(key: &str, address: &'a str) -> Result<&'a str, Error> {
    let base = address.strip_suffix('/').unwrap_or(address);
    let host = base.strip_prefix("https://").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let sound = !host.is_empty() && host.bytes().all(plain);
    let fault = || format!("`{key}` is not an address such as `https://server.example:8443`");
    sound.then_some(base).ok_or_else(|| Error::unsound(fault()))
}

/// Percent-encodes everything but letters, digits and `-._~`, for one segment of a path or one
/// value of a query.
#[must_use]
pub fn encode(piece: &str) -> String {
    let mut encoded = String::with_capacity(piece.len());
    for byte in piece.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Percent-encodes a path segment by segment, so that nothing in it becomes part of the URL around
/// it.
#[must_use]
pub fn encode_path(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(encode).collect();
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_into_its_pieces() {
        for (url, secure, authority, path_and_query) in [
            ("https://h/p?q=1", true, "h", "/p?q=1"),
            ("http://h:8200", false, "h:8200", "/"),
            ("https://[::1]:1/", true, "[::1]:1", "/"),
        ] {
            assert_eq!(
                split(url).ok(),
                Some(Pieces { secure, authority, path_and_query }),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_not_surely_one_url_is_refused() {
        for url in [
            "",
            "h/p",
            "ftp://h/",
            "https://",
            "https:///p",
            "https://u@h/",
            "https://h/#f",
            "https://h/ p",
            "https://h\\x/",
            "https://h?q",
            "https://h/\u{e4}",
            "HTTPS://h/",
        ] {
            assert!(split(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_is_a_server_and_nothing_more() {
        for (address, base_of_it) in [
            ("https://h.example/", Some("https://h.example")),
            ("https://[::1]:8200", Some("https://[::1]:8200")),
            ("https://h/path", None),
            ("https://u@h", None),
            ("http://h", None),
            ("https://", None),
        ] {
            assert_eq!(base("address", address).ok(), base_of_it, "{address}");
        }
    }

    #[test]
    fn a_piece_cannot_become_two() {
        assert_eq!(encode("a/b?c#d%e@f"), "a%2Fb%3Fc%23d%25e%40f");
        assert_eq!(encode_path("a b/c?d"), "a%20b/c%3Fd");
    }
}
