//! Secret Manager: versions, checksums, and the ways of not being there.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Listing, Secret, encoding};

use crate::refusal;

/// What the contract allows a cursor to have.
const LONGEST_CURSOR: usize = 1024;

#[derive(Deserialize)]
struct Accessed {
    name: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    data: String,
    data_crc32c: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    secrets: Vec<Named>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The secret's id of a path: there are no folders.
pub(crate) fn id(path: &str) -> Result<&str, Error> {
    let fits = (1..=255).contains(&path.len())
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    fits.then_some(path).ok_or_else(|| {
        Error::invalid_request("path_impossible", "a secret's id is 1 to 255 of A-Z a-z 0-9 _ -")
    })
}

/// The version asked for: a number from 1 on, an alias, or the latest.
pub(crate) fn version(asked: Option<&str>) -> Result<&str, Error> {
    let asked = asked.unwrap_or("latest");
    let alias = asked.starts_with(|first: char| first.is_ascii_alphabetic())
        && asked.len() <= 63
        && asked.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    (alias || is_number(asked)).then_some(asked).ok_or_else(|| {
        Error::invalid_request("version_malformed", "a version is a number from 1 on or an alias")
    })
}

fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0')
}

/// The secret in the answer. Where an alias was asked for, that is its version, as the contract
/// wants it, and the number stands in the metadata.
pub(crate) fn opened(answer: &Response, id: &str, asked: Option<&str>) -> Result<Secret, Error> {
    if answer.status != 200 {
        return Err(refusal::of(answer));
    }
    let accessed: Accessed = answer.json()?;
    let number = number(&accessed.name, id)
        .ok_or_else(|| Error::malformed_answer("the answer is of another secret"))?;
    if asked.is_some_and(|asked| is_number(asked) && asked != number) {
        return Err(Error::malformed_answer("the answer is another version than the one asked"));
    }
    let bytes = bytes(&accessed.payload)?;
    let secret = Secret::opaque(id, "application/octet-stream", bytes);
    let secret = secret.version(Some(asked.unwrap_or(number).to_owned()));
    Ok(secret.described("version_number", number))
}

/// The number at the end of a version's name: `projects/…/secrets/<id>/versions/<number>`, with the
/// project's number or id, and a location or not.
fn number<'a>(name: &'a str, id: &str) -> Option<&'a str> {
    let (secret, number) = name.rsplit_once("/versions/")?;
    let (parent, found) = secret.rsplit_once("/secrets/")?;
    (parent.starts_with("projects/") && found == id && is_number(number)).then_some(number)
}

/// What is not what was written is asked for again, as Google advises.
fn bytes(payload: &Payload) -> Result<Vec<u8>, Error> {
    let bytes = encoding::base64(&payload.data)
        .ok_or_else(|| Error::malformed_answer("the payload is not base64"))?;
    let Some(checksum) = &payload.data_crc32c else { return Ok(bytes) };
    let checksum = checksum.parse::<u32>();
    let checksum = checksum.map_err(|_| Error::malformed_answer("the checksum is no checksum"))?;
    if crc32c::crc32c(&bytes) != checksum {
        return Err(Error::unavailable("checksum_mismatch", "the payload was damaged on its way"));
    }
    Ok(bytes)
}

/// Why a version that is there does not open, by what `described` says of it. Whoever may read
/// payloads need not be allowed to see that.
pub(crate) fn closed(refused: &Response, described: &Response) -> Error {
    let state = match described.status {
        200 => described.json::<Described>().ok().map(|described| described.state),
        _ => None,
    };
    let error = match state.as_deref() {
        Some("DISABLED") => Error::deleted(),
        Some("DESTROYED") => Error::destroyed(),
        Some(_) | None => Error::conflict(
            "version_not_enabled",
            "the version is disabled or destroyed; which, the gateway may not see",
        ),
    };
    error.answered(refused)
}

/// The names of a page.
pub(crate) fn listing(answer: &Response) -> Result<Listing, Error> {
    if answer.status != 200 {
        return Err(refusal::of(answer));
    }
    let page: Page = answer.json()?;
    let name = |named: Named| {
        let id = named.name.rsplit_once("/secrets/").map(|(_, id)| id.to_owned());
        id.ok_or_else(|| Error::malformed_answer("a name in the listing is not that of a secret"))
    };
    let names = page.secrets.into_iter().map(name).collect::<Result<Vec<_>, _>>()?;
    if page.next_page_token.len() > LONGEST_CURSOR {
        return Err(Error::malformed_answer("the cursor of the listing is too long"));
    }
    let next = Some(page.next_page_token).filter(|next| !next.is_empty());
    Ok(Listing { names, next })
}
