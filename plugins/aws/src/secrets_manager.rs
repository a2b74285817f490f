//! Secrets Manager: one secret, several, and the names in a folder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_plugin::http::Request;
use symbolon_plugin::{Error, Listing, Secret, Selector, folder};

use crate::config::{By, Secrets, is_made_of};
use crate::{arn, refusal, region, value, wire};

/// Ids of one batch.
const BATCH: usize = 20;
/// Names of one page of the service.
const PAGE: u32 = 100;
/// Room for a page of 64 KiB values, each byte of them escaped.
const BATCH_LIMIT: usize = 4 << 20;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Get<'a> {
    secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stage: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetMany<'a> {
    secret_id_list: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct List<'a> {
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    key: &'a str,
    values: [&'a str; 1],
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Entry {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    #[serde(default)]
    version_stages: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entries {
    #[serde(default)]
    secret_values: Vec<Entry>,
    #[serde(default)]
    errors: Vec<Failure>,
    next_token: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    secret_id: String,
    error_code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    secret_list: Vec<Name>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Name {
    name: String,
}

/// The id of the secret at a path.
pub(crate) fn id(secrets: &Secrets, path: &str) -> Result<String, Error> {
    let id = format!("{}{path}", secrets.prefix);
    let fits = match secrets.by {
        By::Name => (1..=512).contains(&id.len()) && is_made_of(&id, b"/_+=.@-"),
        By::Arn => {
            let partition = region::partition(&secrets.region)?;
            arn::is_secret(&id, partition.name, &secrets.region)
        }
    };
    match fits {
        true => Ok(id),
        false => {
            Err(Error::invalid_request("name_malformed", "no secret has such a name, or whole ARN"))
        }
    }
}

/// One secret.
pub(crate) fn read(secrets: &Secrets, selector: &Selector) -> Result<Secret, Error> {
    let answer = get(secrets, selector)?.send()?;
    secret(secrets, wire::read(&answer)?, selector)
}

pub(crate) fn get(secrets: &Secrets, selector: &Selector) -> Result<Request, Error> {
    let id = id(secrets, &selector.path)?;
    let asked = selector.version.as_deref();
    let (version_id, version_stage) = match asked {
        Some(version) if is_id(version) => (Some(version), None),
        stage => (None, stage),
    };
    let get = Get { secret_id: &id, version_id, version_stage };
    Ok(wire::request(secrets.url()?, "secretsmanager.GetSecretValue", &get))
}

/// Ids of versions have 32 to 64 characters; a stage as long as that cannot be asked for.
fn is_id(version: &str) -> bool {
    (32..=64).contains(&version.len())
}

/// The secret in an entry, if it is the one that was asked for.
pub(crate) fn secret(
    secrets: &Secrets,
    entry: Entry,
    selector: &Selector,
) -> Result<Secret, Error> {
    if !entry.is(secrets.by, &id(secrets, &selector.path)?) {
        return Err(Error::malformed_answer("the answer is another secret than the one asked"));
    }
    let version = match selector.version.as_deref() {
        None => entry.version_id.clone(),
        Some(asked) if asked == entry.version_id => asked.to_owned(),
        Some(asked) if entry.version_stages.iter().any(|stage| stage == asked) => asked.to_owned(),
        Some(_) => {
            return Err(Error::malformed_answer(
                "the answer is another version than the one asked",
            ));
        }
    };
    let mut secret = match (&entry.secret_string, &entry.secret_binary) {
        (Some(text), None) => value::text(&selector.path, text, secrets.json)?,
        (None, Some(binary)) => {
            let bytes = STANDARD.decode(binary).map_err(|_| neither())?;
            Secret::opaque(&selector.path, "application/octet-stream", bytes)
        }
        (Some(_), Some(_)) | (None, None) => return Err(neither()),
    };
    secret.version = Some(version);
    secret.metadata = vec![("version_id".to_owned(), entry.version_id)];
    Ok(secret)
}

fn neither() -> Error {
    Error::malformed_answer("the answer has neither one text nor one binary value")
}

impl Entry {
    fn is(&self, by: By, id: &str) -> bool {
        match by {
            By::Name => self.name == id,
            By::Arn => self.arn == id,
        }
    }
}

/// Several secrets: the newest versions in batches, named versions one by one.
pub(crate) fn read_many(
    secrets: &Secrets,
    selectors: &[Selector],
) -> Result<Vec<Result<Secret, Error>>, Error> {
    let newest = selectors.iter().filter(|selector| selector.version.is_none());
    let mut ids: Vec<String> = newest.filter_map(|s| id(secrets, &s.path).ok()).collect();
    ids.sort();
    ids.dedup();
    if ids.len() < 2 {
        return Ok(selectors.iter().map(|selector| read(secrets, selector)).collect());
    }
    let mut found = Found::default();
    for batch in ids.chunks(BATCH) {
        found.fetch(secrets, batch)?;
    }
    let outcome = |selector: &Selector| match selector.version {
        None => found.outcome(secrets, selector),
        Some(_) => read(secrets, selector),
    };
    Ok(selectors.iter().map(outcome).collect())
}

/// What batches have brought.
#[derive(Default)]
pub(crate) struct Found {
    entries: Vec<Entry>,
    failures: Vec<Failure>,
}

impl Found {
    fn fetch(&mut self, secrets: &Secrets, batch: &[String]) -> Result<(), Error> {
        let mut next: Option<String> = None;
        // A page has at least one of the batch, or it is the last.
        for _ in 0..batch.len() {
            let body = GetMany { secret_id_list: batch, next_token: next.as_deref() };
            let request =
                wire::request(secrets.url()?, "secretsmanager.BatchGetSecretValue", &body);
            let page: Entries = wire::read(&request.limit(BATCH_LIMIT).send()?)?;
            self.take(page, &mut next);
            if next.is_none() {
                return Ok(());
            }
        }
        Err(Error::malformed_answer("a batch has more pages than secrets"))
    }

    #[cfg(test)]
    pub(crate) fn of(body: &str) -> Self {
        let mut found = Self::default();
        found.take(serde_json::from_str(body).expect("entries"), &mut None);
        found
    }

    fn take(&mut self, page: Entries, next: &mut Option<String>) {
        self.entries.extend(page.secret_values);
        self.failures.extend(page.errors);
        *next = page.next_token.filter(|next| !next.is_empty());
    }

    pub(crate) fn outcome(&self, secrets: &Secrets, selector: &Selector) -> Result<Secret, Error> {
        let id = id(secrets, &selector.path)?;
        if let Some(failure) = self.failures.iter().find(|failure| failure.secret_id == id) {
            return Err(refusal::of_kind(&failure.error_code, 400));
        }
        let entry = self.entries.iter().find(|entry| entry.is(secrets.by, &id));
        let entry = entry.ok_or_else(|| {
            Error::malformed_answer("the batch says nothing of a secret that was asked for")
        })?;
        secret(secrets, entry.clone(), selector)
    }
}

/// The names in a folder, from a page on.
pub(crate) fn list(
    secrets: &Secrets,
    folder: Option<&str>,
    next: Option<String>,
) -> Result<Listing, Error> {
    if secrets.by == By::Arn {
        return Err(Error::unsupported("list_unsupported", "ARNs are in no folders"));
    }
    let beginning = folder::beginning(&secrets.prefix, folder);
    folder::listing(&beginning, next, |next| {
        let page: Page = wire::read(&page(secrets, &beginning, next)?.send()?)?;
        Ok((page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token))
    })
}

pub(crate) fn page(
    secrets: &Secrets,
    beginning: &str,
    next: Option<&str>,
) -> Result<Request, Error> {
    let filter = Filter { key: "name", values: [beginning] };
    let filters = if beginning.is_empty() { Vec::new() } else { vec![filter] };
    let body = List { max_results: PAGE, next_token: next, filters };
    Ok(wire::request(secrets.url()?, "secretsmanager.ListSecrets", &body))
}

/// Whether the service takes the gateway's signature.
pub(crate) fn probe(secrets: &Secrets) -> Result<(), Error> {
    let body = List { max_results: 1, next_token: None, filters: Vec::new() };
    let request = wire::request(secrets.url()?, "secretsmanager.ListSecrets", &body);
    wire::read::<Page>(&request.send()?).map(drop)
}
