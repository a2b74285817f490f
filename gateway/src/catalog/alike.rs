//! Names of plugins that could be taken for one another.
//!
//! The grammar of names knows no other alphabets, no capitals and no doubled hyphens; what is left is
//! `vau1t`, `vaults` and `vualt`. Such a name is another one and gets nothing of the first, so it is no reason to
//! refuse a component that somebody vouched for. But who installs it may have meant the other, and is told.

use std::collections::BTreeSet;

/// Shorter names differ by one letter and mean it: `gcp`, `gcs`.
const LEAST_LETTERS: usize = 5;

/// Those of `known` that are other names than `name`, and could be taken for it.
pub fn alike<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    known.into_iter().filter(|other| is_alike(name, other)).collect()
}

fn is_alike(one: &str, other: &str) -> bool {
    let long = one.len().min(other.len()) >= LEAST_LETTERS;
    one != other
        && (shape(one) == shape(other) || long && is_one_slip(one.as_bytes(), other.as_bytes()))
}

/// The name as it looks at a glance.
fn shape(name: &str) -> String {
    let name = name.replace('-', "").replace("rn", "m").replace("vv", "w");
    let look = |letter| match letter {
        '0' => 'o',
        '1' | 'i' => 'l',
        '5' => 's',
        other => other,
    };
    name.chars().map(look).collect()
}

/// Whether one is the other with a letter more, less, changed, or with two neighbours in each other's place.
fn is_one_slip(one: &[u8], other: &[u8]) -> bool {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (one.get(same..).unwrap_or(&[]), other.get(same..).unwrap_or(&[]));
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let rest = |name: &[u8]| name.iter().copied().take(name.len().saturating_sub(same)).collect();
    let (one, other): (Vec<u8>, Vec<u8>) = (rest(one), rest(other));
    match (&one[..], &other[..]) {
        ([_] | [], [_] | []) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_name_or_is_one_slip_away_is_told_from_it() {
        for other in ["vau1t", "vualt", "vaults", "v-ault", "vauit", "fault", "vvault", "vault-"] {
            let found = alike(other, ["vault", "static", other]);
            assert_eq!(found, BTreeSet::from(["vault"]), "{other}");
        }
        assert_eq!(alike("adrnin", ["admin"]), BTreeSet::from(["admin"]));
    }

    #[test]
    fn what_is_another_name_is_left_alone() {
        let ours =
            ["aws", "azure", "gcp", "github-app", "kubernetes", "postgresql", "static", "vault"];
        for name in ours {
            assert_eq!(alike(name, ours), BTreeSet::new(), "{name}");
        }
        for name in ["vaulting", "default", "gcs", "statics-vendor", ""] {
            assert_eq!(alike(name, ours), BTreeSet::new(), "{name}");
        }
    }
}
