//! Reads a parsed TOML document key by key, collecting every fault on the way.
//!
//! A [`Block`] is one table. Each key is asked for once, by name, with a function that makes the
//! typed value; a missing or wrong one is recorded and reading goes on, so that one run reports
//! everything. What was never asked for is unknown, and unknown keys are faults: a misspelt limit
//! must not silently be no limit.
//!
//! INVARIANT: whoever enters a table through [`Block::child`] and its siblings cannot forget to
//! look for unknown keys, since they do it on the way out. A reader asks for all of its keys before
//! it gives up on a missing one (no `?` before the last question).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults, Problem, place};
use super::spelling;

/// The document that is being read: its text, the faults found and the places of keys.
pub(crate) struct Document<'t> {
    text: &'t str,
    file: &'t Path,
    faults: RefCell<Vec<Fault>>,
    /// Where each key that was asked for stands; cross-checks find their place here.
    places: RefCell<BTreeMap<String, Range<usize>>>,
    /// Every key that was asked for, with `*` for chosen names and `[]` for lists of tables.
    patterns: RefCell<BTreeSet<String>>,
    /// Enters absent tables too, to learn every key there is.
    survey: bool,
}

impl<'t> Document<'t> {
    pub(crate) fn new(text: &'t str, file: &'t Path) -> Self {
        Self {
            text,
            file,
            faults: RefCell::default(),
            places: RefCell::default(),
            patterns: RefCell::default(),
            survey: false,
        }
    }

    /// A document whose reading asks for every key there is, present or not.
    pub(crate) fn survey() -> Self {
        Self { survey: true, ..Self::new("", Path::new("")) }
    }

    /// Reads the whole document.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut Block<'_>) -> Option<T>) -> Option<T> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.record(&span, String::new(), Problem::new(error.message()));
        }
        // After a syntax error the rest of the tree is a guess; its faults would be noise.
        if !errors.is_empty() {
            return None;
        }
        self.inside(root.get_ref(), root.span(), (String::new(), String::new()), read)
    }

    /// Records a fault at `key`, or at the nearest table around it that is in the file.
    pub(crate) fn fault(&self, key: &str, problem: Problem) {
        let mut at = key;
        let span = loop {
            if let Some(span) = self.places.borrow().get(at) {
                break span.clone();
            }
            match at.rfind(['.', '[']) {
                Some(end) => at = at.get(..end).unwrap_or(""),
                None => break 0..0,
            }
        };
        self.record(&span, key.to_owned(), problem);
    }

    /// What was read, unless there was any fault.
    pub(crate) fn conclude<T>(self, read: Option<T>) -> Result<T, Faults> {
        let mut faults = self.faults.into_inner();
        match read {
            Some(value) if faults.is_empty() => Ok(value),
            Some(_) => Err(Faults::new(faults)),
            None => {
                if faults.is_empty() {
                    let message = "is incomplete in a way that was not recorded";
                    faults.push(Fault::of_file(self.file, message.to_owned()));
                }
                Err(Faults::new(faults))
            }
        }
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_sound(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// Every key that was asked for.
    pub(crate) fn into_patterns(self) -> BTreeSet<String> {
        self.patterns.into_inner()
    }

    fn record(&self, span: &Range<usize>, key: String, problem: Problem) {
        let fault = Fault {
            file: self.file.to_owned(),
            place: Some(place(self.text, span.start)),
            key,
            message: problem.message,
            help: problem.help,
        };
        self.faults.borrow_mut().push(fault);
    }

    fn inside<T>(
        &self,
        table: &DeTable<'_>,
        span: Range<usize>,
        (key, pattern): (String, String),
        read: impl FnOnce(&mut Block<'_>) -> Option<T>,
    ) -> Option<T> {
        self.places.borrow_mut().insert(key.clone(), span.clone());
        let mut block = Block { document: self, table, span, key, pattern, known: Vec::new() };
        let value = read(&mut block);
        block.report_unknown();
        value
    }
}

/// One table of the document.
pub(crate) struct Block<'d> {
    document: &'d Document<'d>,
    table: &'d DeTable<'d>,
    span: Range<usize>,
    key: String,
    pattern: String,
    known: Vec<&'static str>,
}

/// One value of the document, for the functions that make typed values of it.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d> {
    /// The value.
    pub(crate) toml: &'d DeValue<'d>,
    /// The file, against whose directory relative paths are resolved.
    pub(crate) file: &'d Path,
}

impl Value<'_> {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Result<&str, Problem> {
        self.toml.as_str().ok_or_else(|| self.expected("a string"))
    }

    /// "expected …, found …", without the value.
    pub(crate) fn expected(&self, what: &str) -> Problem {
        Problem::new(format!("expected {what}, found {}", article(self.toml.type_str())))
    }
}

fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

impl<'d> Block<'d> {
    /// A value that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        if !self.has(key) {
            self.ask(key);
            self.missing(key);
            return None;
        }
        self.optional(key, parse)
    }

    /// A value that may be there. `None` also if it is there and wrong; then a fault is recorded.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        let found = self.ask(key)?;
        self.convert(found, &self.below(key), parse)
    }

    /// A value with a default.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Problem>,
    ) -> T {
        self.optional(key, parse).unwrap_or(default)
    }

    /// A list of values; each wrong one is a fault of its own. `None` if the key is not there.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value<'_>) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        let found = self.ask(key)?;
        let at = self.below(key);
        let Some(items) = found.get_ref().as_array() else {
            let problem = self.value(found).expected("a list");
            self.document.record(&found.span(), at, problem);
            return None;
        };
        let item = |(index, item)| self.convert(item, &format!("{at}[{index}]"), &parse);
        Some(items.iter().enumerate().filter_map(item).collect())
    }

    /// A table whose keys are chosen by the operator and whose values are plain.
    pub(crate) fn pairs<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str, &Value<'_>) -> Result<T, Problem>,
    ) -> Vec<T> {
        let Some((found, table)) = self.table_at(key) else { return Vec::new() };
        let _ = found;
        let at = self.below(key);
        let pair = |(name, value): (&Spanned<_>, &'d Spanned<DeValue<'d>>)| {
            let name: &str = name_of(name);
            self.convert(value, &format!("{at}.{name}"), |value| parse(name, value))
        };
        table.iter().filter_map(pair).collect()
    }

    /// A table that may be there.
    pub(crate) fn child<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Block<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.table_at(key) {
            Some((span, table)) => self.document.inside(table, span, self.path(key), read),
            None if self.document.survey => self.empty(key, read),
            None => None,
        }
    }

    /// A table that is read as an empty one if it is not there.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Block<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.table_at(key) {
            Some((span, table)) => self.document.inside(table, span, self.path(key), read),
            None if self.has(key) => None,
            None => self.empty(key, read),
        }
    }

    /// A table of tables, under names that the operator chose.
    pub(crate) fn entries<K: Ord, T>(
        &mut self,
        key: &'static str,
        name: impl Fn(&str) -> Result<K, Problem>,
        read: impl Fn(&mut Block<'_>) -> Option<T>,
    ) -> BTreeMap<K, T> {
        let found = self.table_at(key);
        let (below, pattern) = self.path(key);
        if self.document.survey {
            let path = (format!("{below}.*"), format!("{pattern}.*"));
            self.document.inside(&DeTable::new(), 0..0, path, &read);
        }
        let Some((_, table)) = found else { return BTreeMap::new() };
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let at = format!("{below}.{}", name_of(key));
            let chosen = name(name_of(key));
            let path = (at.clone(), format!("{pattern}.*"));
            let entry = self.enter(value, path, &read);
            match (chosen, entry) {
                (Ok(chosen), Some(entry)) => drop(entries.insert(chosen, entry)),
                (Err(problem), _) => self.document.record(&key.span(), at, problem),
                (Ok(_), None) => {}
            }
        }
        entries
    }

    /// A list of tables.
    pub(crate) fn blocks<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Block<'_>) -> Option<T>,
    ) -> Vec<T> {
        let found = self.ask(key);
        let (below, pattern) = self.path(key);
        if self.document.survey {
            let path = (below.clone(), format!("{pattern}[]"));
            self.document.inside(&DeTable::new(), 0..0, path, &read);
        }
        let Some(found) = found else { return Vec::new() };
        let Some(items) = found.get_ref().as_array() else {
            let problem = self.value(found).expected("a list of tables");
            self.document.record(&found.span(), below, problem);
            return Vec::new();
        };
        let block = |(index, item)| {
            self.enter(item, (format!("{below}[{index}]"), format!("{pattern}[]")), &read)
        };
        items.iter().enumerate().filter_map(block).collect()
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The last part of the table's own key: the name that the operator chose, in
    /// [`Block::entries`].
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }

    /// Records a fault unless exactly one of `keys` is there.
    pub(crate) fn exactly_one(&self, keys: &[&str]) {
        match keys.iter().filter(|key| self.has(key)).count() {
            1 => {}
            0 => self.fault(Problem::new(format!("one of {} is needed", spelling::list(keys)))),
            _ => {
                self.fault(Problem::new(format!("only one of {} may be set", spelling::list(keys))))
            }
        }
    }

    /// Records a fault of the table itself.
    pub(crate) fn fault(&self, problem: Problem) {
        self.document.record(&self.span, self.key.clone(), problem);
    }

    /// Records a fault of one of the table's keys.
    pub(crate) fn fault_at(&self, key: &str, problem: Problem) {
        self.document.fault(&self.below(key), problem);
    }

    /// Records that `key` is missing.
    pub(crate) fn missing(&self, key: &str) {
        let problem = Problem::new("is missing").with_help(format!("add `{key} = …`"));
        self.document.record(&self.span, self.below(key), problem);
    }

    fn empty<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&mut Block<'_>) -> Option<T>,
    ) -> Option<T> {
        self.document.inside(&DeTable::new(), self.span.clone(), self.path(key), read)
    }

    fn enter<T>(
        &self,
        value: &'d Spanned<DeValue<'d>>,
        path: (String, String),
        read: impl FnOnce(&mut Block<'_>) -> Option<T>,
    ) -> Option<T> {
        match value.get_ref().as_table() {
            Some(table) => self.document.inside(table, value.span(), path, read),
            None => {
                let problem = self.value(value).expected("a table");
                self.document.record(&value.span(), path.0, problem);
                None
            }
        }
    }

    fn table_at(&mut self, key: &'static str) -> Option<(Range<usize>, &'d DeTable<'d>)> {
        let found = self.ask(key)?;
        let table = found.get_ref().as_table();
        if table.is_none() {
            let problem = self.value(found).expected("a table");
            self.document.record(&found.span(), self.below(key), problem);
        }
        table.map(|table| (found.span(), table))
    }

    /// Notes that `key` is known here, and finds it.
    fn ask(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.document.patterns.borrow_mut().insert(self.path(key).1);
        let found = self.table.get(key)?;
        self.document.places.borrow_mut().insert(self.below(key), found.span());
        Some(found)
    }

    fn convert<T>(
        &self,
        found: &'d Spanned<DeValue<'d>>,
        at: &str,
        parse: impl FnOnce(&Value<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        let problem = match parse(&self.value(found)) {
            Ok(value) => return Some(value),
            Err(problem) => problem,
        };
        self.document.record(&found.span(), at.to_owned(), problem);
        None
    }

    fn value(&self, found: &'d Spanned<DeValue<'d>>) -> Value<'d> {
        Value { toml: found.get_ref(), file: self.document.file }
    }

    fn below(&self, key: &str) -> String {
        join(&self.key, key)
    }

    fn path(&self, key: &str) -> (String, String) {
        (self.below(key), join(&self.pattern, key))
    }

    fn report_unknown(&self) {
        for (key, _) in self.table {
            let name = name_of(key);
            if !self.known.contains(&name) {
                let (at, pattern) = self.path(name);
                let help = spelling::help(&pattern, name, &self.known);
                let problem = Problem { message: "unknown key".to_owned(), help };
                self.document.record(&key.span(), at, problem);
            }
        }
    }
}

fn name_of<'k>(key: &'k Spanned<std::borrow::Cow<'_, str>>) -> &'k str {
    key.get_ref()
}

fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}
