//! The script: a plugin's upstream, as its vendor describes it.
//!
//! What is read here is the whole truth about the upstream: a request that is not in it is a failure.
//! Everything that could make a check look at nothing (a case that nobody can run, a secret that
//! cannot be recognised) is refused when the script is read, with its place.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::terms;

/// Why a script cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(String);

impl ScriptError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A plugin's backends, and what is asked of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub(crate) backends: BTreeMap<String, Backend>,
    pub(crate) cases: Vec<Case>,
    /// Names of canaries, gathered from all texts.
    #[serde(skip)]
    pub(crate) secrets: BTreeSet<String>,
}

/// A backend or a target, as an operator would configure it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    #[serde(default = "no_config")]
    pub(crate) config: Value,
    /// `bearer`, `basic`, `header:NAME` or `sigv4`: what the host adds to requests.
    pub(crate) credentials: Option<String>,
    #[serde(default)]
    pub(crate) roles: BTreeMap<String, Value>,
    /// Whether the host logs in to a database for it.
    #[serde(default)]
    pub(crate) database: bool,
}

fn no_config() -> Value {
    Value::Object(Map::new())
}

/// One call, what the upstream says to it, and what must come out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) backend: String,
    /// The case that runs before it, and hands on what it got.
    pub(crate) after: Option<String>,
    pub(crate) call: Call,
    #[serde(default)]
    pub(crate) upstream: Vec<Exchange>,
    /// What the upstream says when the same call is made once more.
    pub(crate) again: Option<Vec<Exchange>>,
    #[serde(default = "no_config")]
    pub(crate) expect: Value,
}

/// A call of the contract.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Call {
    Probe {},
    Read(Selector),
    ReadMany(Vec<Selector>),
    List { folder: Option<String>, next: Option<String> },
    Exchange(Asked),
    Issue { role: String, ttl: Option<u64> },
    Renew { role: Option<String>, ttl: Option<u64> },
    Revoke { role: Option<String> },
    Verify { role: Option<String> },
    ListIssued { next: Option<String> },
    Rotate {},
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selector {
    pub(crate) path: String,
    pub(crate) version: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) ttl: Option<u64>,
}

/// How long things are asked for where the script does not say.
const TTL_SECONDS: u64 = 3600;

impl Call {
    /// The name in a script.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Probe {} => "probe",
            Self::Read(_) => "read",
            Self::ReadMany(_) => "read_many",
            Self::List { .. } => "list",
            Self::Exchange(_) => "exchange",
            Self::Issue { .. } => "issue",
            Self::Renew { .. } => "renew",
            Self::Revoke { .. } => "revoke",
            Self::Verify { .. } => "verify",
            Self::ListIssued { .. } => "list_issued",
            Self::Rotate {} => "rotate",
        }
    }

    /// Whether asking has an effect, so that the host does not ask again by itself.
    pub(crate) const fn acts(&self) -> bool {
        match self {
            Self::Exchange(_)
            | Self::Issue { .. }
            | Self::Renew { .. }
            | Self::Revoke { .. }
            | Self::Rotate {} => true,
            Self::Probe {}
            | Self::Read(_)
            | Self::ReadMany(_)
            | Self::List { .. }
            | Self::Verify { .. }
            | Self::ListIssued { .. } => false,
        }
    }

    /// How long what is asked for shall last, in seconds; none where nothing has an end.
    pub(crate) fn ttl(&self) -> Option<u64> {
        match self {
            Self::Exchange(asked) => Some(asked.ttl.unwrap_or(TTL_SECONDS)),
            Self::Issue { ttl, .. } | Self::Renew { ttl, .. } => Some(ttl.unwrap_or(TTL_SECONDS)),
            Self::Probe {}
            | Self::Read(_)
            | Self::ReadMany(_)
            | Self::List { .. }
            | Self::Revoke { .. }
            | Self::Verify { .. }
            | Self::ListIssued { .. }
            | Self::Rotate {} => None,
        }
    }

    /// Whether what comes out of it is secret.
    const fn reveals(&self) -> bool {
        matches!(self, Self::Read(_) | Self::ReadMany(_) | Self::Exchange(_) | Self::Issue { .. })
    }
}

/// One request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// Whether the call can do without this answer.
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) json: Option<Value>,
    pub(crate) form: Option<BTreeMap<String, String>>,
    pub(crate) body: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) json: Option<Value>,
    pub(crate) body: Option<String>,
    pub(crate) base64: Option<String>,
    /// Whether the body is the value itself, so that no body can be wrong.
    #[serde(default)]
    pub(crate) raw: bool,
}

const fn ok() -> u16 {
    200
}

impl Case {
    /// Whether the script wants an error to come out.
    pub(crate) fn wanted_error(&self) -> Option<&Value> {
        self.expect.get("error")
    }

    /// The kind of that error.
    pub(crate) fn wanted_kind(&self) -> Option<&str> {
        self.wanted_error()?.get("kind")?.as_str()
    }
}

impl Script {
    /// Reads TOML.
    ///
    /// # Errors
    /// [`ScriptError`] with the place of the fault.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        let value: Value = toml::from_str(text).map_err(|e| ScriptError::new(e.to_string()))?;
        Self::of(value)
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// [`ScriptError`] with the place of the fault.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        let value = serde_json::from_str(text).map_err(|e| ScriptError::new(e.to_string()))?;
        Self::of(value)
    }

    fn of(value: Value) -> Result<Self, ScriptError> {
        let mut secrets = BTreeSet::new();
        let mut fault = None;
        each_text(&value, &mut |text| {
            for found in terms::placeholders(text) {
                match terms::secret_name(found) {
                    Some(name) => drop(secrets.insert(name.to_owned())),
                    None if terms::is_known(found) => {}
                    None => fault = Some(found.to_owned()),
                }
            }
        });
        if let Some(found) = fault {
            return Err(ScriptError::new(format!("`${{{found}}}` is no placeholder")));
        }
        // One by one, so that a fault has the name of its case and not the place in a tree.
        let cases = value.get("cases").and_then(Value::as_array).cloned().unwrap_or_default();
        for case in cases {
            let name = case.get("name").map_or_else(|| "?".to_owned(), Value::to_string);
            serde_json::from_value::<Case>(case)
                .map_err(|e| ScriptError::new(format!("case {name}: {e}")))?;
        }
        let script: Self =
            serde_json::from_value(value).map_err(|e| ScriptError::new(e.to_string()))?;
        Self { secrets, ..script }.checked()
    }

    /// Names the backend of every case, and holds the cases against each other.
    fn checked(mut self) -> Result<Self, ScriptError> {
        let only = match self.backends.keys().collect::<Vec<_>>().as_slice() {
            [one] => Some((*one).clone()),
            [] => return Err(ScriptError::new("there is no backend: `[backends.main]`")),
            [..] => None,
        };
        if self.cases.is_empty() {
            return Err(ScriptError::new("there is no case: `[[cases]]`"));
        }
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for case in &mut self.cases {
            let fault = |text: String| ScriptError::new(format!("case \"{}\": {text}", case.name));
            if case.backend.is_empty() {
                let only = only.clone().ok_or_else(|| fault("`backend` is missing".to_owned()))?;
                case.backend = only;
            }
            check_case(case, &self.backends, &known).map_err(fault)?;
            if known.insert(case.name.clone(), case.backend.clone()).is_some() {
                return Err(fault("there is another of this name".to_owned()));
            }
        }
        Ok(self)
    }

    /// The case of a name.
    pub(crate) fn case(&self, name: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.name == name)
    }
}

/// What can be wrong with one case, beside its form. `known` are the cases before it.
fn check_case(
    case: &Case,
    backends: &BTreeMap<String, Backend>,
    known: &BTreeMap<String, String>,
) -> Result<(), String> {
    let backend = backends
        .get(&case.backend)
        .ok_or_else(|| format!("there is no backend `{}`", case.backend))?;
    if let Some(after) = &case.after {
        match known.get(after) {
            Some(of) if *of == case.backend => {}
            Some(_) => return Err(format!("\"{after}\" is of another backend")),
            None => return Err(format!("`after` names no case above: \"{after}\"")),
        }
    }
    let role = match &case.call {
        Call::Issue { role, .. } => Some(role),
        Call::Renew { role, .. } | Call::Revoke { role } | Call::Verify { role } => role.as_ref(),
        Call::Probe {}
        | Call::Read(_)
        | Call::ReadMany(_)
        | Call::List { .. }
        | Call::Exchange(_)
        | Call::ListIssued { .. }
        | Call::Rotate {} => None,
    };
    if let Some(role) = role.filter(|role| !backend.roles.contains_key(*role)) {
        return Err(format!("the backend has no role `{role}`"));
    }
    check_expectation(case, backend)?;
    let exchanges = case.upstream.iter().chain(case.again.iter().flatten());
    exchanges.clone().try_for_each(check_exchange)
}

fn check_expectation(case: &Case, backend: &Backend) -> Result<(), String> {
    let unknown = case.expect.as_object().and_then(|expect| {
        expect.keys().find(|key| !members(&case.call).contains(&key.as_str()) && *key != "error")
    });
    if let Some(unknown) = unknown {
        return Err(format!("`{}` has no `{unknown}` to expect", case.call.name()));
    }
    // Of a database's users the host makes what is secret.
    let needed = case.call.reveals() && case.wanted_error().is_none() && !backend.database;
    let mut has_canary = false;
    each_text(&case.expect, &mut |text| {
        has_canary |= terms::placeholders(text).any(|found| terms::secret_name(found).is_some());
    });
    match needed && !has_canary {
        true => {
            Err("what comes out of it is secret: let the upstream answer `${secret:NAME}` and \
                     expect it, so that it is recognised where it must not be"
                .to_owned())
        }
        false => Ok(()),
    }
}

/// What can be expected of a call.
const fn members(call: &Call) -> &'static [&'static str] {
    match call {
        Call::Probe {} => &["remarks", "metadata"],
        Call::Read(_) => &[
            "text",
            "base64",
            "fields",
            "version",
            "content_type",
            "kind",
            "expires_at",
            "metadata",
        ],
        Call::ReadMany(_) => &["secrets"],
        Call::List { .. } => &["names", "next"],
        Call::Exchange(_) => &["kind", "fields", "expires_in", "metadata"],
        Call::Issue { .. } => &["fields", "expires_in", "renewable", "revocable", "metadata"],
        Call::Renew { .. } => &["expires_in"],
        Call::Verify { .. } => &["state"],
        Call::ListIssued { .. } => &["reservations", "next"],
        Call::Revoke { .. } | Call::Rotate {} => &[],
    }
}

fn check_exchange(exchange: &Exchange) -> Result<(), String> {
    let Request { url, json, form, body, .. } = &exchange.request;
    let bodies = [json.is_some(), form.is_some(), body.is_some()];
    if bodies.iter().filter(|is_there| **is_there).count() > 1 {
        return Err(format!("the request of {url} has more than one of `json`, `form`, `body`"));
    }
    let Answer { json, body, base64, .. } = &exchange.answer;
    let bodies = [json.is_some(), body.is_some(), base64.is_some()];
    if bodies.iter().filter(|is_there| **is_there).count() > 1 {
        return Err(format!("the answer of {url} has more than one of `json`, `body`, `base64`"));
    }
    let parsed = url::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    let is_http = matches!(parsed.scheme(), "http" | "https") && parsed.host_str().is_some();
    if is_http { Ok(()) } else { Err(format!("{url} is no URL of http or https")) }
}

/// Every text in a value, names of members included.
fn each_text(value: &Value, seen: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, seen)),
        Value::Object(members) => {
            for (name, value) in members {
                seen(name);
                each_text(value, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[backends.main]\nconfig = { a = 1 }\n[[cases]]\nname = \"one\"\n";

    fn fault(text: &str) -> String {
        Script::from_toml(text).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_script_is_read_and_names_its_canaries() {
        let text = format!(
            "{HEAD}call = {{ read = {{ path = \"a\" }} }}\n\
             upstream = [{{ request = {{ method = \"GET\", url = \"https://h.test/a\" }}, \
             answer = {{ json = {{ v = \"${{secret:v}}\" }} }} }}]\nexpect = {{ text = \"${{secret:v}}\" }}\n"
        );
        let script = Script::from_toml(&text).unwrap();
        assert_eq!(script.case("one").unwrap().backend, "main");
        assert!(script.secrets.contains("v"));
    }

    #[test]
    fn the_script_of_the_documentation_is_one() {
        let page = include_str!("../../docs/conformance.md");
        let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let script = Script::from_toml(text.unwrap()).unwrap();
        assert_eq!(script.case("the next page").unwrap().backend, "main");
        assert_eq!(script.cases.len(), 6);
    }

    #[test]
    fn what_could_make_a_check_look_at_nothing_is_refused() {
        for (rest, expected) in [
            ("call = { read = { path = \"a\" } }\nexpect = { text = \"plain\" }", "is secret"),
            ("call = { read = { path = \"a\" } }\nexpect = { texts = \"\" }", "no `texts`"),
            ("call = { probe = {} }\nafter = \"none\"", "names no case above"),
            ("call = { probe = {} }\nbackend = \"other\"", "no backend `other`"),
            ("call = { issue = { role = \"r\" } }", "no role `r`"),
            ("call = { probe = {} }\nexpect = { metadata = { a = \"${b}\" } }", "no placeholder"),
            ("call = { guess = {} }", "unknown variant"),
            ("call = { probe = {} }\nupstreams = []", "unknown field"),
            (
                "call = { probe = {} }\nupstream = [{ request = { method = \"GET\", url = \"h\" }, answer = {} }]",
                "h: ",
            ),
        ] {
            let fault = fault(&format!("{HEAD}{rest}\n"));
            assert!(fault.contains(expected), "{rest}: {fault}");
        }
        assert!(fault("[backends]\n[[cases]]\nname=\"a\"\ncall={probe={}}").contains("no backend"));
        assert!(fault("cases = []\n[backends.a]\n").contains("no case"));
        let two = format!("{HEAD}call = {{ probe = {{}} }}\n");
        let twice = format!("{two}[[cases]]\nname = \"one\"\ncall = {{ probe = {{}} }}\n");
        assert!(fault(&twice).contains("another of this name"));
    }
}
