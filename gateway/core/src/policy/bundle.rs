//! A set of policies, loaded as a whole or not at all.
//!
//! INVARIANT: every policy of a [`Bundle`] has passed strict validation against the schema of the
//! bundle's own vocabulary, names only what is configured, and has an id of its own.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use cedar_policy::{Authorizer, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::check::{check, is_policy_id, parse_ttl};
use super::fault::{Fault, Severity};
use super::names::Names;
use super::needs::Needs;
use super::schema;
use super::slice::{Index, is_unscoped};
use super::source::{Map, Source};
use super::vocabulary::Vocabulary;

/// The id of the policy that admits the first administrator.
const BUILTIN_ID: &str = "builtin:admin";

/// Policies, indexed and ready to decide. See the [module](super) for what it promises.
#[derive(Debug)]
pub struct Bundle {
    pub(super) vocabulary: Vocabulary,
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index,
    pub(super) names: Names,
    pub(super) authorizer: Authorizer,
    pub(super) digest: Arc<str>,
    by_id: HashMap<Arc<str>, usize>,
    schema: String,
    warnings: Vec<Fault>,
}

/// One policy and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) policy: Policy,
    pub(super) map: Arc<Map>,
    pub(super) start: usize,
    pub(super) ttl_max: Option<Duration>,
    pub(super) needs: Needs,
}

impl Rule {
    /// A fault at the place where the policy begins.
    pub(super) fn fault(&self, message: String, help: Option<String>) -> Fault {
        self.map.fault(self.start, message, help)
    }

    pub(super) fn text(&self) -> String {
        self.policy.to_cedar().unwrap_or_default()
    }
}

impl Bundle {
    /// Loads policies, and finds everything that is wrong with them.
    ///
    /// No source at all is a bundle that denies all but administration.
    ///
    /// # Errors
    /// Every fault, and every warning beside them, in the order of files and lines.
    pub fn load(sources: &[Source], vocabulary: &Vocabulary) -> Result<Self, Vec<Fault>> {
        let schema_text = schema::generate(vocabulary)?;
        let schema = parse_schema(&schema_text)?;
        let names = Names::new().map_err(|error| internal(&error))?;
        let mut faults = Vec::new();
        let rules = read(sources, vocabulary, &mut faults);
        faults.extend(validate(schema, &rules));
        faults.extend(rules.iter().flat_map(|rule| check(rule, vocabulary)));
        faults.extend(too_many_unscoped(&rules, vocabulary));
        faults.sort_by(|a, b| order(a).cmp(&order(b)));
        faults.dedup();
        if faults.iter().any(|fault| fault.severity == Severity::Fault) {
            return Err(faults);
        }
        let index = Index::build(&rules).map_err(|error| internal(&error))?;
        let by_id = rules.iter().enumerate().map(|(at, rule)| (Arc::clone(&rule.id), at)).collect();
        let digest = digest_of(sources, &schema_text, vocabulary);
        Ok(Self {
            vocabulary: vocabulary.clone(),
            rules,
            index,
            names,
            authorizer: Authorizer::new(),
            digest,
            by_id,
            schema: schema_text,
            warnings: faults,
        })
    }

    /// SHA-256, in hex, over everything that can change an answer: the sources, the schema, the
    /// vocabulary. It does not depend on the order in which the sources were given.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The generated schema, in Cedar's syntax.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// What is probably not meant, though it is legal.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// How many policies there are, the built-in one included.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn rule_named(&self, id: &str) -> Option<(usize, &Rule)> {
        let number = *self.by_id.get(id)?;
        Some((number, self.rules.get(number)?))
    }
}

fn order(fault: &Fault) -> (&str, usize, usize, Severity, &str) {
    (&fault.file, fault.line, fault.column, fault.severity, &fault.message)
}

fn internal(error: &impl ToString) -> Vec<Fault> {
    vec![Fault::of_configuration(error.to_string(), "this is a defect of the gateway: report it")]
}

fn parse_schema(text: &str) -> Result<Schema, Vec<Fault>> {
    let (schema, _) = Schema::from_cedarschema_str(text).map_err(|error| internal(&error))?;
    Ok(schema)
}

/// Sources in the order of their names, so that the bundle does not depend on a directory's.
fn sorted(sources: &[Source]) -> Vec<&Source> {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| (&a.file, &a.text).cmp(&(&b.file, &b.text)));
    sorted
}

/// Every policy that could be read, with an id of its own.
fn read(sources: &[Source], vocabulary: &Vocabulary, faults: &mut Vec<Fault>) -> Vec<Rule> {
    let mut seen: HashMap<Arc<str>, (Arc<str>, usize)> = HashMap::new();
    let mut rules = parse(&builtin(vocabulary), true, faults);
    for source in sorted(sources) {
        rules.extend(parse(source, false, faults));
    }
    rules.retain(|rule| {
        let line = rule.map.place(rule.start).0;
        let Some((file, first)) = seen.get(&rule.id) else {
            seen.insert(Arc::clone(&rule.id), (Arc::clone(&rule.map.file), line));
            return true;
        };
        let message = format!("policy id `{}` is taken by {file}:{first}", rule.id);
        faults.push(rule.fault(message, Some(String::from("give each policy an id of its own"))));
        false
    });
    rules
}

/// Root, and the user the service runs as. Visible like any other policy, and open to `forbid`.
fn builtin(vocabulary: &Vocabulary) -> Source {
    let uids: std::collections::BTreeSet<u32> =
        [0].into_iter().chain(vocabulary.service_uid).collect();
    let admins: Vec<String> = uids.iter().map(|uid| format!("Admin::\"uid:{uid}\"")).collect();
    let text = format!(
        "@id(\"{BUILTIN_ID}\")\npermit (\n    principal is Admin,\n    action == Action::\"administer\",\n    \
         resource == Gateway::\"gateway\"\n) when {{ [{}].contains(principal) }};\n",
        admins.join(", ")
    );
    Source { file: String::from("builtin"), text }
}

fn parse(source: &Source, builtin: bool, faults: &mut Vec<Fault>) -> Vec<Rule> {
    let map = Arc::new(Map::new(source));
    let set = match PolicySet::from_str(&source.text) {
        Ok(set) => set,
        Err(errors) => {
            faults.extend(errors.iter().map(|error| diagnosed(&map, 0, error)));
            return Vec::new();
        }
    };
    let policies = set
        .policies()
        .map(|policy| (ordinal(policy.id()), policy.to_cedar().unwrap_or_default(), Some(policy)));
    let templates = set.templates().map(|t| (ordinal(t.id()), t.to_cedar(), None));
    let mut parts: Vec<(usize, String, Option<&Policy>)> = policies.chain(templates).collect();
    parts.sort_by_key(|(ordinal, ..)| *ordinal);
    let mut cursor = 0;
    let mut rules = Vec::new();
    for (ordinal, text, policy) in parts {
        let start = map.find(&text, cursor).unwrap_or(cursor);
        cursor = start + text.len();
        match policy {
            Some(policy) => {
                let mut reader = Reader { map: &map, start, ordinal, builtin, faults };
                rules.push(reader.rule(policy));
            }
            None => faults.push(template_fault(&map, start)),
        }
    }
    rules
}

fn template_fault(map: &Map, start: usize) -> Fault {
    map.fault(
        start,
        String::from("templates (`?principal`, `?resource`) are not supported"),
        Some(String::from("write one policy for each principal or resource")),
    )
}

/// The place of a policy in its file, from the id that Cedar gave it (`policy0`, `policy1` …).
fn ordinal(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// Reads the annotations of one policy.
struct Reader<'a> {
    map: &'a Arc<Map>,
    start: usize,
    ordinal: usize,
    builtin: bool,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn rule(&mut self, policy: &Policy) -> Rule {
        let id = self.id(policy.annotation("id"));
        let ttl_max = policy.annotation("ttl_max").and_then(|text| self.ttl_max(text));
        Rule {
            policy: policy.new_id(PolicyId::new(&id)),
            id,
            map: Arc::clone(self.map),
            start: self.start,
            ttl_max,
            needs: Needs::of(policy),
        }
    }

    fn id(&mut self, annotation: Option<&str>) -> Arc<str> {
        match annotation {
            Some(id) if is_policy_id(id) || self.builtin => Arc::from(id),
            given => {
                if given.is_some() {
                    self.fault(
                        String::from("`@id` is not an id"),
                        "use 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-` and `/`",
                    );
                }
                // With its colon it can collide neither with a given id nor with a built-in one.
                Arc::from(format!("{}:{}", self.map.file, self.ordinal.saturating_add(1)))
            }
        }
    }

    fn ttl_max(&mut self, text: &str) -> Option<Duration> {
        match parse_ttl(text) {
            Ok(ttl) => Some(ttl),
            Err(message) => {
                self.fault(message, "write it like `@ttl_max(\"15m\")` or `@ttl_max(\"1h 30m\")`");
                None
            }
        }
    }

    fn fault(&mut self, message: String, help: &str) {
        self.faults.push(self.map.fault(self.start, message, Some(help.to_owned())));
    }
}

/// What Cedar says of a text, at the place it says it of.
fn diagnosed(map: &Map, otherwise: usize, diagnostic: &(impl Diagnostic + ?Sized)) -> Fault {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map_or(otherwise, miette::LabeledSpan::offset);
    let mut message = diagnostic.to_string();
    if let Some(text) = label.as_ref().and_then(|label| label.label()) {
        message = format!("{message} ({text})");
    }
    map.fault(offset, message, diagnostic.help().map(|help| help.to_string()))
}

fn validate(schema: Schema, rules: &[Rule]) -> Vec<Fault> {
    let by_id: HashMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.id, rule)).collect();
    let set = match PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone())) {
        Ok(set) => set,
        Err(error) => return internal(&error),
    };
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId, diagnostic: &dyn Diagnostic| match by_id.get(id.as_ref() as &str) {
        Some(rule) => diagnosed(&rule.map, rule.start, diagnostic),
        None => Fault::of_configuration(diagnostic.to_string(), "see the policies"),
    };
    let errors = result.validation_errors().map(|error| place(error.policy_id(), error));
    let warnings = result
        .validation_warnings()
        .map(|warning| place(warning.policy_id(), warning).into_warning());
    errors.chain(warnings).collect()
}

fn too_many_unscoped(rules: &[Rule], vocabulary: &Vocabulary) -> Option<Fault> {
    let unscoped: Vec<&Rule> = rules.iter().filter(|rule| is_unscoped(&rule.policy)).collect();
    let first_beyond = unscoped.get(vocabulary.max_unscoped)?;
    let message = format!(
        "{} policies name neither a principal nor a resource in their scope; at most {} may, since \
         each of them is evaluated for every request",
        unscoped.len(),
        vocabulary.max_unscoped
    );
    let help = "name the issuer (`principal in Issuer::\"…\"`) or the backend (`resource in Backend::\"…\"`)";
    Some(first_beyond.fault(message, Some(help.to_owned())))
}

/// Every part is preceded by its length, so that no two bundles share a text.
fn digest_of(sources: &[Source], schema: &str, vocabulary: &Vocabulary) -> Arc<str> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |part: &str| {
        context.update(part.len().to_string().as_bytes());
        context.update(b":");
        context.update(part.as_bytes());
    };
    add("symbolon bundle 1");
    add(schema);
    add(&vocabulary.canonical());
    for source in sorted(sources) {
        add(&source.file);
        add(&source.text);
    }
    Arc::from(hex::encode(context.finish()))
}
