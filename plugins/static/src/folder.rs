//! Folders, which a flat list of paths does not have: the names directly below a prefix.

/// Names as often as something lies below them; those of folders end in `/`.
pub(crate) fn names<'a>(
    paths: impl Iterator<Item = &'a String>,
    folder: Option<&str>,
) -> Vec<String> {
    let prefix = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    paths
        .filter_map(|path| path.strip_prefix(prefix.as_deref().unwrap_or_default()))
        .map(|rest| rest.split_inclusive('/').next().unwrap_or(rest).to_owned())
        .collect()
}
