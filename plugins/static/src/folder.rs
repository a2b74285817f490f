//! Folders, which a flat list of paths does not have: the names directly below a prefix.

use symbolon_plugin::Listing;

/// What one page may hold.
const PAGE: usize = 1000;

/// Names in order, each once; those of folders end in `/`.
pub(crate) fn names<'a>(
    paths: impl Iterator<Item = &'a String>,
    folder: Option<&str>,
) -> Vec<String> {
    let prefix = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    let mut names: Vec<String> = paths
        .filter_map(|path| path.strip_prefix(prefix.as_deref().unwrap_or_default()))
        .map(|rest| rest.split_inclusive('/').next().unwrap_or(rest).to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The page after the name `next`.
pub(crate) fn page(names: Vec<String>, next: Option<&str>) -> Listing {
    let mut rest = names.into_iter().filter(|name| next.is_none_or(|next| name.as_str() > next));
    let names: Vec<String> = rest.by_ref().take(PAGE).collect();
    let next = rest.next().and_then(|_| names.last().cloned());
    Listing { names, next }
}
