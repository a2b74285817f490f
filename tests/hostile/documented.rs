//! The page on limits names every attempt of these tests once, under what ends it.

use std::collections::{BTreeMap, BTreeSet};

use super::bombs::Bomb;
use super::http2::Flood;
use super::trial::Fate;
use super::{calls, compile, components, egress, reads, tables, vault};

/// Audit code and code of the egress, as the page has them.
type End = (String, String);

fn ended(fate: Fate) -> End {
    let (code, egress) = fate.on_record();
    (code.to_owned(), egress.unwrap_or_default().to_owned())
}

/// Every attempt with what ends it.
fn tried() -> Vec<(String, End)> {
    let called =
        |kind: &'static str| move |name: &str, fate: Fate| (format!("{kind}/{name}"), ended(fate));
    let reads = reads::TABLE.iter().map(|(name, _, fate)| called("read")(name, *fate));
    let listings = calls::LISTINGS.iter().map(|(name, fate)| called("list")(name, *fate));
    let exchanges = calls::EXCHANGES.iter().map(|(name, fate)| called("exchange")(name, *fate));
    let tables = tables::TABLE.iter().map(|(name, _, fate)| called("read")(name, *fate));
    let bombs = Bomb::ALL.iter().map(|bomb| called("upstream")(bomb.name, bomb.fate));
    let floods = Flood::ALL.iter().map(|flood| called("upstream")(flood.name, flood.fate));
    let vault = vault::TABLE.iter().map(|(name, fate)| called("vault")(name, *fate));
    let egress = [egress::NAMES, egress::BOUND, egress::LIARS].concat();
    let egress = egress.into_iter().map(|(backend, path, fate)| called(backend)(path, fate));
    let refused =
        |name: &str, code: &str| (format!("component/{name}"), (code.to_owned(), String::new()));
    let compiled = compile::BOMBS.iter().map(|(name, _, _, (code, _))| refused(name, code));
    let lies = components::REFUSALS.iter().map(|(name, code)| refused(name, code));
    let calls = reads.chain(listings).chain(exchanges).chain(tables).chain(bombs).chain(floods);
    calls.chain(vault).chain(egress).chain(compiled).chain(lies).collect()
}

/// The words in backquotes of a cell.
fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Code, egress, limit, attempts: the rows of the page's tables.
fn rows(page: &str) -> BTreeMap<End, (String, BTreeSet<String>)> {
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        let [code, egress, limit, attempts] = &cells[..] else { panic!("four cells: {line}") };
        let end = (words(code).remove(0), words(egress).first().cloned().unwrap_or_default());
        (end, ((*limit).to_owned(), words(attempts).into_iter().collect()))
    };
    lines.map(row).collect()
}

#[test]
fn the_page_on_limits_names_every_attempt_under_what_ends_it() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/docs/limits.md");
    let rows = rows(&std::fs::read_to_string(page).expect("the page"));
    let mut expected: BTreeMap<End, BTreeSet<String>> = BTreeMap::new();
    for (attempt, end) in tried() {
        assert!(expected.entry(end).or_default().insert(attempt.clone()), "{attempt} twice");
    }
    let mut wrong = Vec::new();
    for ((code, egress), attempts) in &expected {
        let row = rows.get(&(code.clone(), egress.clone()));
        let (limit, named) = row.cloned().unwrap_or_default();
        if named != *attempts || limit.trim().is_empty() {
            let attempts: Vec<_> = attempts.iter().map(|name| format!("`{name}`")).collect();
            wrong.push(format!("| `{code}` | `{egress}` | {limit} | {} |", attempts.join(", ")));
        }
    }
    let more = rows.keys().filter(|end| !expected.contains_key(*end));
    wrong.extend(more.map(|end| format!("nothing ends with {end:?}")));
    assert!(wrong.is_empty(), "of gateway/docs/limits.md:\n{}", wrong.join("\n"));
}
