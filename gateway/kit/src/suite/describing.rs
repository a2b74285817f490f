//! `describe` and `check.validate`: what a plugin says about its configuration, held against what it
//! does with one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use symbolon_core::id::RequestId;
use symbolon_host::CallContext;
use symbolon_host::answer::Role;
use tracing::instrument::WithSubscriber as _;

use super::schema;
use crate::check::Check;
use crate::judge;
use crate::outcome::{End, Outcome};
use crate::place::{self, KitError};
use crate::report::Report;
use crate::run::{Bench, WALL, number};
use crate::script::Backend;
use crate::terms;
use crate::words::{self, Log};

/// A key that no plugin has.
const UNKNOWN: &str = "conformance_unknown_key";

/// A configuration that is not taken as it is, and where it was changed.
type Changed = (String, Value);

/// Checks all of it.
pub(crate) async fn describe(bench: &Bench<'_>, report: &mut Report) -> Result<(), KitError> {
    let schema = &bench.plugin.manifest().config_schema;
    for key in schema::undescribed(schema) {
        let why = Some("has no description".to_owned());
        report.judge(Check::ConfigDescribed, &format!("key `{key}`"), why);
    }
    let open = (!schema::is_closed(schema)).then(|| "other keys are not forbidden".to_owned());
    report.judge(Check::ConfigDescribed, "the schema", open);
    let mut taken = BTreeSet::new();
    for (name, backend) in &bench.script.backends {
        let place = format!("backend `{name}`");
        let config = bench.terms.value(&backend.config);
        let trial = Trial { bench, backend, place: &place };
        if trial.accepted(&config, report).await? {
            taken.extend(config.as_object().into_iter().flat_map(Map::keys).cloned());
            trial.refusals(&config, schema, report).await?;
        }
    }
    covered(schema, &taken, report);
    for key in bench.plugin.manifest().egress.iter().flat_map(|wanted| keys_of_host(&wanted.host)) {
        let why =
            (!schema::keys(schema).contains_key(key)).then(|| "no key of the schema".to_owned());
        report.judge(Check::ConfigCovered, &format!("`{{{key}}}` of the manifest's egress"), why);
    }
    Ok(())
}

/// The keys of the configuration that a host of the manifest names.
fn keys_of_host(host: &str) -> impl Iterator<Item = &str> {
    host.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn covered(schema: &Value, taken: &BTreeSet<String>, report: &mut Report) {
    let known = schema::keys(schema);
    for key in known.keys() {
        let why = (!taken.contains(key)).then(|| "no backend of the script sets it".to_owned());
        report.judge(Check::ConfigCovered, &format!("key `{key}`"), why);
    }
    for key in taken.iter().filter(|key| !known.contains_key(*key)) {
        let why = Some("the plugin takes it, and the schema does not name it".to_owned());
        report.judge(Check::ConfigCovered, &format!("key `{key}`"), why);
    }
}

/// One backend whose configuration is tried.
struct Trial<'a> {
    bench: &'a Bench<'a>,
    backend: &'a Backend,
    place: &'a str,
}

impl Trial<'_> {
    /// Calls `validate`, and looks for secrets in what it says.
    async fn validate(
        &self,
        config: Value,
        roles: Vec<Role>,
        report: &mut Report,
    ) -> Result<Outcome, KitError> {
        let backend = place::lone(self.bench.plugin, config, roles)?;
        let request_id = RequestId::new(terms::now(), number()?);
        let (log, context) =
            (Log::default(), CallContext { request_id, deadline: WALL, on_behalf: None });
        let validated = backend.validate(&context).with_subscriber(log.dispatch()).await;
        let outcome = match validated {
            Ok(said) => Outcome::report(&said),
            Err(error) => Outcome::error(&error),
        };
        let mut said = outcome.said.clone();
        said.push(("log", log.text()));
        let leak = words::leak(&said, self.bench.terms.secrets());
        report.judge(Check::NoLeaks, &format!("{}: validate", self.place), leak);
        let stopped = match &outcome.end {
            End::Stopped(why) => Some(why.clone()),
            End::Answered
            | End::Failed { .. }
            | End::Refused(_)
            | End::Late
            | End::Uncallable(_) => None,
        };
        report.judge(Check::Limits, &format!("{}: validate", self.place), stopped);
        Ok(outcome)
    }

    fn roles(&self) -> Vec<Role> {
        place::roles(self.backend, &self.bench.terms)
    }

    async fn accepted(&self, config: &Value, report: &mut Report) -> Result<bool, KitError> {
        let outcome = self.validate(config.clone(), self.roles(), report).await?;
        let is_taken = outcome.end == End::Answered;
        let why = (!is_taken).then(|| format!("found {}", judge::ended(&outcome)));
        report.judge(Check::ConfigAccepted, self.place, why);
        Ok(is_taken)
    }

    /// Configurations that must be refused, each as `invalid-config`.
    async fn refusals(
        &self,
        config: &Value,
        schema: &Value,
        report: &mut Report,
    ) -> Result<(), KitError> {
        for (at, changed) in unknown(config, schema, "") {
            let outcome = self.validate(changed, self.roles(), report).await?;
            self.refused(Check::ConfigUnknown, &at, &outcome, report);
        }
        for (at, roles) in self.unknown_in_roles() {
            let outcome = self.validate(config.clone(), roles, report).await?;
            self.refused(Check::ConfigUnknown, &at, &outcome, report);
        }
        for key in schema::required(schema) {
            let mut changed = config.clone();
            changed.as_object_mut().and_then(|config| config.remove(&key));
            let outcome = self.validate(changed, self.roles(), report).await?;
            self.refused(Check::ConfigRequired, &format!("without `{key}`"), &outcome, report);
        }
        // Whether these are refused is the plugin's to say; what it says of them must hold nothing.
        for changed in self.misplaced(config) {
            self.validate(changed, self.roles(), report).await?;
        }
        Ok(())
    }

    fn refused(&self, check: Check, at: &str, outcome: &Outcome, report: &mut Report) {
        let is_right = matches!(outcome.end, End::Failed { kind: "invalid-config", .. });
        let found = match outcome.end {
            End::Answered => "that it is taken".to_owned(),
            End::Failed { .. }
            | End::Refused(_)
            | End::Stopped(_)
            | End::Late
            | End::Uncallable(_) => judge::ended(outcome),
        };
        let why = (!is_right).then(|| format!("wanted invalid-config, found {found}"));
        report.judge(check, &format!("{}, {at}", self.place), why);
    }

    fn unknown_in_roles(&self) -> Vec<(String, Vec<Role>)> {
        let roles = self.roles();
        let with_unknown = |role: &Role| {
            let mut config: Value = serde_json::from_str(&role.config).ok()?;
            config.as_object_mut()?.insert(UNKNOWN.to_owned(), json!(1));
            let changed = Role { config: config.to_string(), ..role.clone() };
            let others = roles.iter().filter(|other| other.name != role.name).cloned();
            Some((format!("role `{}`", role.name), others.chain([changed]).collect()))
        };
        roles.iter().filter_map(with_unknown).collect()
    }

    /// Each value replaced by a secret in a place where no text belongs, as when lines are mixed up.
    fn misplaced(&self, config: &Value) -> Vec<Value> {
        let canary = self.bench.terms.secrets().next().unwrap_or_default();
        let keys = config.as_object().into_iter().flat_map(Map::keys);
        let changed = keys.map(|key| {
            let mut changed = config.clone();
            let of = changed.as_object_mut().and_then(|config| config.get_mut(key));
            if let Some(value) = of {
                let is_text = value.is_string();
                *value = if is_text { json!({ canary: canary }) } else { json!(canary) };
            }
            changed
        });
        changed.collect()
    }
}

/// The configuration with an unknown key, in each object of it whose schema allows none.
fn unknown(config: &Value, schema: &Value, at: &str) -> Vec<Changed> {
    let Some(object) = config.as_object() else { return Vec::new() };
    let mut all = Vec::new();
    if at.is_empty() || schema::is_closed(schema) {
        let mut changed = object.clone();
        changed.insert(UNKNOWN.to_owned(), json!(1));
        let place = if at.is_empty() { "at the top".to_owned() } else { format!("in `{at}`") };
        all.push((place, Value::Object(changed)));
    }
    let known = schema::keys(schema);
    for (key, value) in object {
        let below = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let schemas = known.get(key).into_iter().flatten();
        for (place, inner) in schemas.flat_map(|of| unknown(value, of, &below)) {
            let mut changed = object.clone();
            changed.insert(key.clone(), inner);
            all.push((place, Value::Object(changed)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_keys_of_the_configuration() {
        let keys = |host| keys_of_host(host).collect::<Vec<_>>();
        assert_eq!(keys("{service}.{region}.example.com"), ["service", "region"]);
        assert!(keys("*.example.com").is_empty());
    }

    #[test]
    fn an_unknown_key_is_put_into_every_closed_object() {
        let schema = json!({
            "additionalProperties": false,
            "properties": {
                "closed": { "additionalProperties": false, "properties": { "a": {} } },
                "open": { "additionalProperties": { "type": "string" } },
            },
        });
        let config = json!({ "closed": { "a": 1 }, "open": { "b": "c" } });
        let changed = unknown(&config, &schema, "");
        let places: Vec<&str> = changed.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["at the top", "in `closed`"]);
        assert_eq!(changed[1].1["closed"][UNKNOWN], 1);
    }
}
