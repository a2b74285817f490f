//! Folders of backends that have none: their names are flat, and a slash is a letter to them.

use std::collections::BTreeSet;

use crate::{Error, Listing};

/// Requests for one listing. A call may have 32 in all.
const MOST_PAGES: usize = 25;
/// Names of one listing; a page of the service may add a hundred.
const MOST_NAMES: usize = 1000 - 100;
/// Where a page of the service begins is opaque, and the host keeps 1,024 bytes of it.
const LONGEST_CURSOR: usize = 1024;

/// One page of a service: names, and where the next page begins.
pub type Page = (Vec<String>, Option<String>);

/// What lies directly below `beginning`: names, and folders with a `/` at their end. `fetch` asks the
/// service for the page that begins where it is told; of up to 25 pages one is made, so that a folder
/// with much in it comes once. In a larger listing it may come again.
///
/// # Errors
/// Those of `fetch`, and where the last page ends cannot be kept by the host.
pub fn listing(
    beginning: &str,
    mut next: Option<String>,
    fetch: impl Fn(Option<&str>) -> Result<Page, Error>,
) -> Result<Listing, Error> {
    let mut names = BTreeSet::new();
    for _ in 0..MOST_PAGES {
        let (found, more) = fetch(next.as_deref())?;
        names.extend(found.iter().filter_map(|name| direct(name, beginning)));
        next = more.filter(|more| !more.is_empty());
        if next.is_none() || names.len() > MOST_NAMES {
            break;
        }
    }
    if next.as_ref().is_some_and(|next| next.len() > LONGEST_CURSOR) {
        return Err(
            Error::unsupported("cursor_too_long", "the page's end cannot be kept").sent(true)
        );
    }
    Ok(Listing { names: names.into_iter().collect(), next })
}

/// What names in a folder begin with at the service, where all begin with `prefix`.
#[must_use]
pub fn beginning(prefix: &str, folder: Option<&str>) -> String {
    let inside = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    format!("{prefix}{}", inside.unwrap_or_default())
}

/// What a name is in the folder whose names begin with `beginning`: itself, or the folder in it that it
/// lies in; none if it lies elsewhere.
#[must_use]
pub fn direct(name: &str, beginning: &str) -> Option<String> {
    let rest = name.strip_prefix(beginning).filter(|rest| !rest.is_empty())?;
    Some(match rest.split_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        None => rest.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_what_is_directly_in_it() {
        let names = ["prod/db", "prod/web/key", "prod/web/cert", "prod/", "prod", "other/x"];
        let fetch = |next: Option<&str>| match next {
            None => Ok((names.map(str::to_owned).to_vec(), Some("more".to_owned()))),
            Some(_) => Ok((vec!["prod/zone".to_owned()], Some(String::new()))),
        };
        let page = listing(&beginning("", Some("prod/")), None, fetch).expect("names");
        assert_eq!(
            (page.names, page.next),
            (["db", "web/", "zone"].map(str::to_owned).to_vec(), None)
        );
    }

    #[test]
    fn a_listing_ends_and_is_continued() {
        let asked = std::cell::Cell::new(0);
        let endless = |_: Option<&str>| {
            asked.set(asked.get() + 1);
            Ok((Vec::new(), Some("again".to_owned())))
        };
        let page = listing("", None, endless).expect("a page");
        assert_eq!((asked.get(), page.next.as_deref()), (25, Some("again")));
        let long = |_: Option<&str>| Ok((Vec::new(), Some("x".repeat(1025))));
        assert_eq!(listing("", None, long).expect_err("too long").code, "cursor_too_long");
    }
}
