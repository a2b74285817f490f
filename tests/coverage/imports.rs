//! What a component may import, as the documentation says it and as the host does it.

use symbolon_host::imports::LINKED;

const DOCUMENT: &str = include_str!("../../gateway/docs/ARCHITECTURE.md");

/// The rows of the table, as they are written.
fn documented() -> Vec<&'static str> {
    let table = DOCUMENT.split_once("| import | version | gives |").expect("the table").1;
    let lines = table.trim_start().lines().skip(1);
    lines.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_table_of_imports_is_what_is_linked() {
    let linked: Vec<_> = LINKED
        .iter()
        .map(|row| format!("| `{}` | {} | {} |", row.name, row.track, row.gives))
        .collect();
    assert_eq!(documented(), linked);
}
