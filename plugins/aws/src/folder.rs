//! Listings: names, cut into the folder that is asked about.

use std::collections::BTreeSet;

use symbolon_plugin::{Error, Listing};

/// Requests for one listing. A call may have 32 in all.
const MOST_PAGES: usize = 25;
/// Names of one listing; a page of the service may add a hundred.
const MOST_NAMES: usize = 1000 - 100;
/// Where a page of the service begins is opaque, and the host keeps 1,024 bytes of it.
const LONGEST_CURSOR: usize = 1024;

/// One page of a service: names, and where the next page begins.
pub(crate) type Page = (Vec<String>, Option<String>);

/// What lies directly below `beginning`: names, and folders with a `/` at their end. Over several
/// pages a folder may come again.
pub(crate) fn listing(
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

/// What names in a folder begin with at the service.
pub(crate) fn beginning(prefix: &str, folder: Option<&str>) -> String {
    let inside = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    format!("{prefix}{}", inside.unwrap_or_default())
}

fn direct(name: &str, beginning: &str) -> Option<String> {
    let rest = name.strip_prefix(beginning).filter(|rest| !rest.is_empty())?;
    Some(match rest.split_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        None => rest.to_owned(),
    })
}
