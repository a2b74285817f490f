//! Which layout a store has, and the way from an older one to ours.
//!
//! INVARIANT: a store is never read by rules other than those that wrote it. The version lies under
//! `meta/format`; each step up is applied as one batch with the new version in it, so that a crash
//! leaves the one or the other; a newer store is refused, as is anything that is not ours.

use std::path::Path;

use super::embedded::{Trees, open_error};
use super::{Namespace, OpenError};

/// The format that this version writes.
pub(super) const FORMAT: u32 = 1;

/// A step from one format to the next.
pub(super) struct Migration {
    /// The format it starts from; it leads to the next number.
    pub(super) from: u32,
    /// Collects the changes to the ledger.
    pub(super) step: fn(&sled::Tree, &mut sled::Batch) -> Result<(), sled::Error>,
}

/// All steps there are. The first will lead from format 1.
pub(super) const MIGRATIONS: &[Migration] = &[];

/// Brings the store to format `target`, or says why not. Ends with a flush by the caller.
pub(super) fn settle(
    path: &Path,
    trees: &Trees,
    target: u32,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let mut current = read(path, trees, target)?;
    if current > target {
        return Err(OpenError::Newer { path: path.into(), found: current, supported: target });
    }
    while current < target {
        let migration = migrations
            .iter()
            .find(|migration| migration.from == current)
            .ok_or_else(|| OpenError::NoUpgrade { path: path.into(), found: current })?;
        let mut batch = sled::Batch::default();
        (migration.step)(&trees.ledger, &mut batch).map_err(|e| open_error(path, e))?;
        current = current.saturating_add(1);
        write(path, trees, batch, current)?;
        tracing::info!(format = current, "the store was upgraded");
    }
    Ok(())
}

fn read(path: &Path, trees: &Trees, target: u32) -> Result<u32, OpenError> {
    let key = Namespace::Meta.key("format").encoded();
    match trees.ledger.get(key).map_err(|e| open_error(path, e))? {
        Some(bytes) => parse(&bytes).ok_or_else(|| foreign(path, "its format key is no number")),
        None if trees.ledger.is_empty() && trees.sealed.is_empty() => {
            write(path, trees, sled::Batch::default(), target)?;
            Ok(target)
        }
        None => Err(foreign(path, "it has no format key")),
    }
}

fn write(
    path: &Path,
    trees: &Trees,
    mut batch: sled::Batch,
    version: u32,
) -> Result<(), OpenError> {
    batch.insert(Namespace::Meta.key("format").encoded(), version.to_string().into_bytes());
    trees.ledger.apply_batch(batch).map_err(|e| open_error(path, e))
}

fn parse(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn foreign(path: &Path, detail: &str) -> OpenError {
    OpenError::Foreign { path: path.into(), detail: detail.to_owned() }
}
