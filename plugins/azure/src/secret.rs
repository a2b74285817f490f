//! Secrets and certificates of a vault.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Listing, Secret, Timestamp, encoding};

use crate::config::Config;
use crate::refusal;

const PEM: &str = "application/x-pem-file";
const PKCS12: &str = "application/x-pkcs12";
/// What the contract allows a cursor to have.
const LONGEST_CURSOR: usize = 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    value: String,
    id: String,
    #[serde(default)]
    content_type: String,
    /// Whether it is the secret part of a certificate of the vault's.
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    nbf: Option<Timestamp>,
    exp: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Named>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Which secret, in the vault's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
}

impl<'a> Name<'a> {
    /// There are no folders, and versions are 32 hex digits.
    pub(crate) fn of(path: &'a str, version: Option<&'a str>) -> Result<Self, Error> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=127).contains(&path.len()) || !path.bytes().all(plain) {
            return Err(Error::invalid_request(
                "path_impossible",
                "a secret's name is 1 to 127 of A-Z a-z 0-9 -",
            ));
        }
        if version.is_some_and(|version| !is_version(version)) {
            let message = "a version is 32 lower-case hex digits";
            return Err(Error::invalid_request("version_malformed", message));
        }
        Ok(Self { name: path, version })
    }
}

fn is_version(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// What a read brings.
pub(crate) enum Opened {
    /// The secret.
    Whole(Box<Secret>),
    /// A certificate of this version in PKCS#12, which only the vault can take apart.
    Packed(Box<Secret>, String),
}

/// The secret in the answer. The vault gives what has expired or is not valid yet; here that is the
/// state of the secret, and it is not given.
pub(crate) fn opened(
    answer: &Response,
    asked: Name<'_>,
    config: &Config,
    now: Timestamp,
) -> Result<Opened, Error> {
    if answer.status != 200 {
        return Err(refusal::of(answer, config));
    }
    let bundle: Bundle = answer.json()?;
    let version = version(&bundle.id, asked, config.vault()?)?;
    if bundle.attributes.exp.is_some_and(|end| end <= now) {
        return Err(Error::conflict("secret_expired", "the secret is past its expiry date"));
    }
    if bundle.attributes.nbf.is_some_and(|begin| now < begin) {
        return Err(Error::conflict("secret_not_yet_valid", "the secret is not valid yet"));
    }
    let whole = |secret: Secret| {
        let expires_at = bundle.attributes.exp.or(secret.expires_at);
        Box::new(Secret { expires_at, ..secret.version(Some(version.clone())) })
    };
    match (bundle.managed, bundle.content_type.as_str()) {
        (true, PEM) => {
            Ok(Opened::Whole(whole(Secret::tls(asked.name, &[bundle.value.as_bytes()])?)))
        }
        (true, PKCS12) => {
            let bytes = encoding::base64(&bundle.value)
                .ok_or_else(|| Error::malformed_answer("the certificate is not base64"))?;
            let secret = whole(Secret::opaque(asked.name, PKCS12, bytes));
            Ok(Opened::Packed(secret, version))
        }
        (_, content_type) => {
            let mut secret = Secret::text(asked.name, &bundle.value);
            if is_media_type(content_type) {
                content_type.clone_into(&mut secret.content_type);
            }
            Ok(Opened::Whole(whole(secret)))
        }
    }
}

/// What the vault made of a certificate in PKCS#12.
pub(crate) fn converted(opened: Opened) -> Result<Secret, Error> {
    match opened {
        Opened::Whole(secret) if secret.metadata.iter().any(|(name, _)| name == "kind") => {
            Ok(*secret)
        }
        Opened::Whole(_) | Opened::Packed(..) => {
            Err(Error::malformed_answer("the vault did not convert the certificate"))
        }
    }
}

/// The version at the end of an id, if it is that of the secret that was asked for.
fn version(id: &str, asked: Name<'_>, vault: &str) -> Result<String, Error> {
    let found = name_in(id, vault).and_then(|rest| rest.split_once('/'));
    let found = found.filter(|(name, version)| {
        name.eq_ignore_ascii_case(asked.name)
            && is_version(version)
            && asked.version.is_none_or(|asked| asked == *version)
    });
    let (_, version) =
        found.ok_or_else(|| Error::malformed_answer("the answer is of another secret"))?;
    Ok(version.to_owned())
}

/// What follows `/secrets/` in an id of this vault. Some are written with the port.
fn name_in<'a>(id: &'a str, vault: &str) -> Option<&'a str> {
    let (origin, rest) = id.split_once("/secrets/")?;
    let origin = origin.strip_suffix(":443").unwrap_or(origin);
    origin.eq_ignore_ascii_case(vault).then_some(rest)
}

/// Whoever stored the secret may have written anything there.
fn is_media_type(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
    let name = |name: &str| (1..=100).contains(&name.len()) && name.bytes().all(plain);
    text.split_once('/').is_some_and(|(kind, subtype)| name(kind) && name(subtype))
}

/// Whether a deleted secret of this name can be recovered. Any answer but that is none: whoever may
/// read secrets need not be allowed to see what was deleted.
pub(crate) fn is_deleted(answer: &Response) -> bool {
    answer.status == 200
}

/// The names of a page. Where it goes on must be this vault.
pub(crate) fn listing(answer: &Response, config: &Config) -> Result<Listing, Error> {
    if answer.status != 200 {
        return Err(refusal::of(answer, config));
    }
    let vault = config.vault()?;
    let page: Page = answer.json()?;
    let name = |named: Named| {
        let name = name_in(&named.id, vault).filter(|name| Name::of(name, None).is_ok());
        let name = name.map(str::to_owned);
        name.ok_or_else(|| Error::malformed_answer("a name in the listing is not of this vault"))
    };
    let names = page.value.into_iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let next = page.next_link.as_deref().filter(|link| !link.is_empty());
    Ok(Listing { names, next: next.map(|link| cursor(link, vault)).transpose()? })
}

/// The query of a link to the next page.
fn cursor(link: &str, vault: &str) -> Result<String, Error> {
    let (place, query) = link.split_once('?').unwrap_or_default();
    let origin = place.strip_suffix("/secrets").unwrap_or_default();
    let origin = origin.strip_suffix(":443").unwrap_or(origin);
    let plain = |b: u8| b.is_ascii_graphic() && !b"#\\".contains(&b);
    let fits = (1..=LONGEST_CURSOR).contains(&query.len()) && query.bytes().all(plain);
    (origin.eq_ignore_ascii_case(vault) && fits).then(|| query.to_owned()).ok_or_else(|| {
        Error::malformed_answer("the listing goes on at a place that is not this vault's")
    })
}
