//! Answers that no honest plugin gives.

use symbolon_plugin::{Error, Metadata, Secret, Selector};

use crate::config::Config;

/// What the guest has to say.
pub(crate) fn said(selector: &Selector, words: String) -> Result<Secret, Error> {
    Ok(Secret::text(&selector.path, &words).version(selector.version.clone()))
}

fn plain(selector: &Selector) -> Secret {
    Secret::text(&selector.path, "survived").version(selector.version.clone())
}

/// Two mebibytes; one is allowed.
pub(crate) fn huge(selector: &Selector) -> Secret {
    Secret::opaque(&selector.path, "application/octet-stream", vec![b'x'; 2 * 1024 * 1024])
}

/// A hundred thousand fields, small in all.
pub(crate) fn many_fields(selector: &Selector) -> Secret {
    let fields = (0..100_000_u32).map(|n| (n.to_string(), Vec::new())).collect();
    Secret::fields(&selector.path, fields)
}

/// One name twice.
pub(crate) fn duplicate_fields(selector: &Selector) -> Secret {
    let field = |value: &str| ("name".to_owned(), value.as_bytes().to_vec());
    Secret::fields(&selector.path, vec![field("one"), field("two")])
}

/// A name that is no name.
pub(crate) fn forged_field(selector: &Selector) -> Secret {
    Secret::fields(&selector.path, vec![("a\u{0}\r\nb".to_owned(), b"survived".to_vec())])
}

/// Another secret than the one asked for.
pub(crate) fn wrong_id(selector: &Selector) -> Secret {
    Secret { path: "another/path".to_owned(), ..plain(selector) }
}

/// Another version than the one asked for.
pub(crate) fn wrong_version(selector: &Selector) -> Secret {
    plain(selector).version(Some("999".to_owned()))
}

/// A version that would break a header or a log line.
pub(crate) fn forged_version(selector: &Selector) -> Secret {
    plain(selector).version(Some("1\r\nset-cookie: a=b".to_owned()))
}

/// Metadata that would break a header or a log line.
pub(crate) fn forged_metadata(selector: &Selector) -> Secret {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let metadata =
        vec![pair("lease_id\r\nx", "1"), pair("audited", "yes\n{\"forged\":true}"), pair("", "")];
    Secret { metadata, ..plain(selector) }
}

/// More metadata than there may be.
pub(crate) fn many_metadata(selector: &Selector) -> Secret {
    let metadata: Metadata = (0..1000).map(|n| (format!("n{n}"), "v".repeat(2000))).collect();
    Secret { metadata, ..plain(selector) }
}

/// A media type that would add a header.
pub(crate) fn bad_content_type(selector: &Selector) -> Secret {
    Secret { content_type: "text/html\r\nset-cookie: a=b".to_owned(), ..plain(selector) }
}

/// Text that is none.
pub(crate) fn not_utf8(selector: &Selector) -> Secret {
    Secret::opaque(&selector.path, "text/plain; charset=utf-8", vec![0xC3, 0x28, 0xFF])
}

/// A value that ends then.
pub(crate) fn expires(selector: &Selector, at: u64) -> Secret {
    Secret { expires_at: Some(at), ..plain(selector) }
}

/// A failure that quotes what it must not.
pub(crate) fn secret_in_error(config: &Config, selector: &Selector) -> Error {
    let canary: String = config.canary_reversed.iter().flat_map(|c| c.chars().rev()).collect();
    let mut error =
        Error::internal("leaky", format!("the password of {} is {canary}", selector.path));
    error.metadata = vec![("password".to_owned(), canary)];
    error
}

/// A failure whose every part is out of bounds.
pub(crate) fn forged_error() -> Error {
    let mut error = Error::internal("CODE\r\n forged: yes", "x\n".repeat(1024 * 1024));
    error.upstream_status = Some(65_535);
    error.metadata = vec![("\r\n".to_owned(), "v".repeat(1024 * 1024)); 100];
    error
}

/// A failure that asks to be tried again at once and for ever, later than the sun lasts.
pub(crate) fn endless_retry() -> Error {
    Error::rate_limited("later", "try again").sent(false).retry_after(Some(u64::MAX))
}
