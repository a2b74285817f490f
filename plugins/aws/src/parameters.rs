//! SSM Parameter Store: parameters, and the names in a folder.
//!
//! INVARIANT: decryption is always asked for when values are, since without it the service answers
//! the ciphertext of a SecureString as if it were the value; and only types that the configuration
//! names are given out.

use serde::{Deserialize, Serialize};
use symbolon_plugin::http::Request;
use symbolon_plugin::{Error, Listing, Secret, Selector, folder};

use crate::config::{Kind, Parameters, is_made_of};
use crate::{value, wire};

/// Names of one request, and of one page of the service.
const BATCH: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Get<'a> {
    names: &'a [String],
    with_decryption: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct List<'a> {
    path: &'a str,
    recursive: bool,
    with_decryption: bool,
    max_results: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Parameter {
    name: String,
    #[serde(rename = "Type")]
    kind: Kind,
    value: String,
    version: u64,
    selector: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default)]
    invalid_parameters: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    parameters: Vec<Name>,
    next_token: Option<String>,
}

/// Without the value: a listing has no use for it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Name {
    name: String,
}

/// The name of the parameter at a path.
pub(crate) fn name(parameters: &Parameters, path: &str) -> Result<String, Error> {
    let name = format!("{}{path}", parameters.prefix);
    match (1..=1011).contains(&name.len()) && is_made_of(&name, b"/_.-") {
        true => Ok(name),
        false => Err(Error::invalid_request("name_malformed", "no parameter has such a name")),
    }
}

/// With the version or label behind it.
fn selected(parameters: &Parameters, selector: &Selector) -> Result<String, Error> {
    let name = name(parameters, &selector.path)?;
    Ok(match &selector.version {
        Some(version) => format!("{name}:{version}"),
        None => name,
    })
}

/// One parameter.
pub(crate) fn read(parameters: &Parameters, selector: &Selector) -> Result<Secret, Error> {
    let asked = [selected(parameters, selector)?];
    outcome(parameters, &wire::read(&get(parameters, &asked)?.send()?)?, selector)
}

pub(crate) fn get(parameters: &Parameters, names: &[String]) -> Result<Request, Error> {
    let body = Get { names, with_decryption: true };
    Ok(wire::request(parameters.url()?, "AmazonSSM.GetParameters", &body))
}

/// Several: the newest versions in batches, named versions one by one.
pub(crate) fn read_many(
    parameters: &Parameters,
    selectors: &[Selector],
) -> Result<Vec<Result<Secret, Error>>, Error> {
    let newest = selectors.iter().filter(|selector| selector.version.is_none());
    let mut names: Vec<String> = newest.filter_map(|s| name(parameters, &s.path).ok()).collect();
    names.sort();
    names.dedup();
    let mut all = Answer { parameters: Vec::new(), invalid_parameters: Vec::new() };
    for batch in names.chunks(BATCH) {
        let answer: Answer = wire::read(&get(parameters, batch)?.send()?)?;
        all.parameters.extend(answer.parameters);
        all.invalid_parameters.extend(answer.invalid_parameters);
    }
    let each = |selector: &Selector| match selector.version {
        None => outcome(parameters, &all, selector),
        Some(_) => read(parameters, selector),
    };
    Ok(selectors.iter().map(each).collect())
}

/// What an answer says of one parameter.
pub(crate) fn outcome(
    parameters: &Parameters,
    answer: &Answer,
    selector: &Selector,
) -> Result<Secret, Error> {
    let name = name(parameters, &selector.path)?;
    let asked = selected(parameters, selector)?;
    if answer.invalid_parameters.contains(&asked) {
        return Err(Error::absent());
    }
    let found = answer.parameters.iter().find(|parameter| parameter.name == name);
    let found = found.ok_or_else(|| {
        Error::malformed_answer("the answer says nothing of the parameter that was asked for")
    })?;
    if !parameters.types.contains(&found.kind) {
        return Err(Error::invalid_config(
            "parameter_type",
            "the parameter is of a type that `types` does not name",
        )
        .sent(true));
    }
    let version = found.version_for(selector.version.as_deref())?;
    let mut secret = value::text(&selector.path, &found.value, parameters.json)?;
    secret.version = Some(version);
    secret.metadata = vec![("number".to_owned(), found.version.to_string())];
    Ok(secret)
}

impl Parameter {
    /// The version as it was asked for: a number, or a label that the answer repeats.
    fn version_for(&self, asked: Option<&str>) -> Result<String, Error> {
        let number = self.version.to_string();
        match asked {
            None => Ok(number),
            Some(asked) if asked == number => Ok(number),
            Some(label)
                if self.selector.as_deref().is_some_and(|s| s.strip_prefix(':') == Some(label)) =>
            {
                Ok(label.to_owned())
            }
            Some(_) => {
                Err(Error::malformed_answer("the answer is another version than the one asked"))
            }
        }
    }
}

/// The names in a folder, from a page on.
pub(crate) fn list(
    parameters: &Parameters,
    folder: Option<&str>,
    next: Option<String>,
) -> Result<Listing, Error> {
    let beginning = folder::beginning(&parameters.prefix, folder);
    folder::listing(&beginning, next, |next| {
        let page: Page = wire::read(&page(parameters, &beginning, next)?.send()?)?;
        Ok((page.parameters.into_iter().map(|entry| entry.name).collect(), page.next_token))
    })
}

pub(crate) fn page(
    parameters: &Parameters,
    beginning: &str,
    next: Option<&str>,
) -> Result<Request, Error> {
    let folder = beginning.trim_end_matches('/');
    if !beginning.starts_with('/') || (!beginning.ends_with('/')) {
        return Err(Error::unsupported(
            "list_unsupported",
            "`prefix` is not a folder, which begins and ends with `/`",
        ));
    }
    let path = if folder.is_empty() { "/" } else { folder };
    let body = List {
        path,
        recursive: true,
        with_decryption: false,
        max_results: BATCH,
        next_token: next,
    };
    Ok(wire::request(parameters.url()?, "AmazonSSM.GetParametersByPath", &body))
}

/// Whether the service takes the gateway's signature. The parameter need not be there.
pub(crate) fn probe(parameters: &Parameters) -> Result<(), Error> {
    let names = [name(parameters, "symbolon-probe")?];
    wire::read::<Answer>(&get(parameters, &names)?.send()?).map(drop)
}
