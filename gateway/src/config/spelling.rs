//! "Did you mean": the nearest known word, and words that were renamed.

/// Keys that had another name once: the pattern of the old key and the new name. A key stays here
/// for two minor versions after its renaming.
const RENAMED: &[(&str, &str)] = &[];

/// What to tell somebody who wrote the unknown key `pattern`, whose last part is `key`.
pub(crate) fn help(pattern: &str, key: &str, known: &[&'static str]) -> Option<String> {
    if let Some(new) = renamed(RENAMED, pattern) {
        return Some(format!("this key was renamed: write `{new}`"));
    }
    match nearest(key, known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", list(known))),
    }
}

fn renamed(table: &[(&str, &'static str)], pattern: &str) -> Option<&'static str> {
    table.iter().find(|(old, _)| *old == pattern).map(|(_, new)| *new)
}

/// The word in `known` nearest to `word`, if it is near enough to be a slip.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let limit = (word.chars().count() / 3).max(1);
    let candidates = known.iter().map(|&candidate| (distance(word, candidate), candidate));
    candidates.filter(|(far, _)| *far <= limit).min().map(|(_, candidate)| candidate)
}

/// The words in backticks, with commas.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut last = i.saturating_add(1);
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let substitute = diagonal.saturating_add(usize::from(a != b));
            diagonal = *cell;
            last = substitute.min(cell.saturating_add(1)).min(last.saturating_add(1));
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("lisen", "listen", 1),
            ("a", "b", 1),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("audience", &["audiences", "issuer"]), Some("audiences"));
        assert_eq!(nearest("colour", &["audiences", "issuer"]), None);
    }

    #[test]
    fn a_renamed_key_is_told_its_new_name() {
        assert_eq!(
            renamed(&[("server.bind", "server.listen")], "server.bind"),
            Some("server.listen")
        );
        assert_eq!(renamed(&[("server.bind", "server.listen")], "server.listen"), None);
    }
}
