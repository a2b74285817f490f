//! Listings of backends that give all names at once.

use crate::Listing;

/// What one page may hold.
const PAGE: usize = 1000;

impl Listing {
    /// No name: the folder of a backend that has none.
    #[must_use]
    pub const fn empty() -> Self {
        Self { names: Vec::new(), next: None }
    }

    /// The page of `names` after the name `next`: in order, each once.
    #[must_use]
    pub fn page(mut names: Vec<String>, next: Option<&str>) -> Self {
        names.sort();
        names.dedup();
        let mut rest =
            names.into_iter().filter(|name| next.is_none_or(|next| name.as_str() > next));
        let names: Vec<String> = rest.by_ref().take(PAGE).collect();
        let next = rest.next().and_then(|_| names.last().cloned());
        Self { names, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_listing_comes_in_pages_without_gap_or_double() {
        let names: Vec<String> = (0..2500).map(|n| format!("n{n:04}")).collect();
        let given: Vec<String> = names.iter().rev().chain(&names).cloned().collect();
        let mut seen = Vec::new();
        let mut next = None;
        loop {
            let page = Listing::page(given.clone(), next.as_deref());
            assert!(page.names.len() <= 1000);
            seen.extend(page.names);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, names);
    }
}
