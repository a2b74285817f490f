//! `[policies]`: which files decide.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;

/// The policy files and the limits on what they may grant.
#[derive(Clone, Debug)]
pub struct Policies {
    /// Files, or patterns with one `*` in the last part.
    pub files: Vec<PathBuf>,
    /// How many policies may name neither a principal nor a resource.
    pub unscoped_cap: u32,
    /// The longest time anything is granted for.
    pub ttl_max: Duration,
}

impl Policies {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let most = Duration::from_secs(24 * 3600);
        let ttl_max = parse::duration(Duration::from_secs(1), most);
        Some(Self {
            files: block.list("files", pattern).unwrap_or_default(),
            unscoped_cap: block.or("unscoped_cap", 64, parse::integer(0, 10_000)),
            ttl_max: block.or("ttl_max", Duration::from_secs(30 * 60), ttl_max),
        })
    }

    /// The files that exist now, sorted within each pattern. A file named without `*` need not
    /// exist for this; reading it will say so. A pattern that matches nothing grants nothing.
    ///
    /// # Errors
    /// If the directory of a pattern cannot be read.
    pub fn sources(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut sources = Vec::new();
        for pattern in &self.files {
            match split(pattern) {
                Some((directory, before, after)) => {
                    sources.extend(matching(directory, before, after)?);
                }
                None => sources.push(pattern.clone()),
            }
        }
        Ok(sources)
    }
}

fn pattern(value: &Value<'_>) -> Result<PathBuf, Problem> {
    let path = parse::path(value)?;
    let text = path.to_string_lossy();
    let stars = text.matches('*').count();
    let in_the_last_part = split(&path).is_some();
    if stars == 0 || (stars == 1 && in_the_last_part) {
        return Ok(path);
    }
    Err(Problem::new("a pattern has one `*`, in the name of the file")
        .with_help("for example \"policies/*.cedar\""))
}

fn split(pattern: &Path) -> Option<(&Path, &str, &str)> {
    let (before, after) = pattern.file_name()?.to_str()?.split_once('*')?;
    Some((pattern.parent().unwrap_or(Path::new(".")), before, after))
}

fn matching(directory: &Path, before: &str, after: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let long_enough = name.len() >= before.len().saturating_add(after.len());
        // As in a shell, `*` does not find hidden files: editors leave copies of policies there.
        let hidden = name.starts_with('.') && before.is_empty();
        if long_enough && !hidden && name.starts_with(before) && name.ends_with(after) {
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_what_a_shell_would_find() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.cedar", "a.cedar", ".hidden.cedar", "a.cedar~", "readme"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let files = vec![directory.path().join("*.cedar"), PathBuf::from("/absent.cedar")];
        let policies = Policies { files, unscoped_cap: 64, ttl_max: Duration::ZERO };
        let names = ["a.cedar", "b.cedar"].map(|name| directory.path().join(name));
        let expected: Vec<_> = names.into_iter().chain([PathBuf::from("/absent.cedar")]).collect();
        assert_eq!(policies.sources().unwrap(), expected);
    }
}
