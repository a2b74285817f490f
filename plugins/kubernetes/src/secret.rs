//! Secrets as the API server gives them.
//!
//! INVARIANT: `message` of a refusal is read nowhere; it names users and objects.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Listing, Secret, Value, encoding, time};

use crate::place::Place;

const TLS: &str = "kubernetes.io/tls";
/// What the contract allows a cursor to have.
const LONGEST_CURSOR: usize = 1024;

#[derive(Deserialize)]
struct Object {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    data: Option<Map<String, Json>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    resource_version: String,
    #[serde(default)]
    creation_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    reason: String,
    details: Option<Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    retry_after_seconds: u64,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
    metadata: Continued,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Continued {
    #[serde(default)]
    r#continue: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// The secret in the answer. There are no versions to ask for: one that is not the present one is
/// not there any more.
pub(crate) fn opened(
    answer: &Response,
    path: &str,
    place: Place<'_>,
    asked: Option<&str>,
) -> Result<Secret, Error> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let object: Object = answer.json()?;
    let Metadata { name, namespace, resource_version, creation_timestamp } = object.metadata;
    if object.kind != "Secret" || name != place.name || namespace != place.namespace {
        return Err(Error::malformed_answer("the answer is not the secret that was asked for"));
    }
    if asked.is_some_and(|asked| asked != resource_version) {
        return Err(Error::absent().answered(answer));
    }
    let fields = fields(object.data.unwrap_or_default())?;
    let secret = match object.r#type.as_str() {
        TLS => certificate(path, fields)?,
        _ => Secret::fields(path, fields),
    };
    let secret = secret.version(Some(resource_version)).described("type", &object.r#type);
    let created = creation_timestamp.filter(|created| time::parse(created).is_some());
    Ok(secret.described("created_time", created.as_deref().unwrap_or_default()))
}

fn fields(data: Map<String, Json>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let field = |(name, value): (String, Json)| {
        let bytes = value.as_str().and_then(encoding::base64);
        let bytes = bytes.ok_or_else(|| Error::malformed_answer("a value is not base64"))?;
        Ok((name, bytes))
    };
    data.into_iter().map(field).collect()
}

/// `tls.crt` and `tls.key` under the names that certificates have everywhere; what else there is
/// (`ca.crt`) keeps its own.
fn certificate(path: &str, fields: Vec<(String, Vec<u8>)>) -> Result<Secret, Error> {
    let is_part = |name: &str| matches!(name, "tls.crt" | "tls.key");
    let (parts, others): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| is_part(name));
    let pem: Vec<&[u8]> = parts.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let mut secret = Secret::tls(path, &pem)?;
    if let Value::Fields(fields) = &mut secret.value {
        fields.extend(others);
    }
    Ok(secret)
}

/// The names of a page.
pub(crate) fn listing(answer: &Response) -> Result<Listing, Error> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let names: Names = answer.json()?;
    if names.kind != "PartialObjectMetadataList" {
        return Err(Error::malformed_answer("the answer is not a list of names alone"));
    }
    let next = names.metadata.r#continue;
    if next.len() > LONGEST_CURSOR {
        return Err(Error::malformed_answer("the cursor of the listing is too long"));
    }
    Ok(Listing {
        names: names.items.into_iter().map(|item| item.metadata.name).collect(),
        next: Some(next).filter(|next| !next.is_empty()),
    })
}

/// The cluster's version, for the operator.
pub(crate) fn version(answer: &Response) -> Result<String, Error> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let version = answer.json::<Version>()?.git_version;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    Ok(version.chars().filter(|c| plain(*c)).take(64).collect())
}

/// The table of refusals, by the reason of a `Status`, or by the status alone.
fn refusal(answer: &Response) -> Error {
    let status = answer.json::<Status>().ok();
    let reason = status.as_ref().map_or("", |status| status.reason.as_str());
    let wait = status.as_ref().and_then(|status| status.details.as_ref());
    let wait = wait.map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
    let error = match (answer.status, reason) {
        (400, _) => Error::invalid_request("bad_request", "the server takes it for malformed"),
        (401, _) => Error::unauthenticated("unauthorized", "the server does not accept the token"),
        (403, _) => Error::permission_denied(
            "forbidden",
            "no role of the service account allows this for the secret",
        ),
        (404, "NotFound") => Error::absent(),
        (404, _) => Error::invalid_config("no_api", "this is not the API server of a cluster"),
        (410, _) => Error::conflict("expired", "the listing is too old to go on; begin again"),
        (429, _) => Error::rate_limited("too_many_requests", "the server is asked too often"),
        (504, _) | (_, "Timeout" | "ServerTimeout") => {
            Error::timeout("server_timeout", "the server was too slow")
        }
        (_, _) => Error::of(answer),
    };
    error.retry_after(wait.map(|seconds| seconds.min(3600) * 1000)).answered(answer)
}
