//! The names of the log's files, and reading them in their order.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use symbolon_core::audit::{Anchor, Report, Verifier};

/// The file that is written.
pub(super) const CURRENT: &str = "audit.jsonl";
/// The file that keeps room.
pub(super) const RESERVE: &str = "audit.reserve";

/// The name that the file beginning with `first_seq` gets when it is closed.
pub(super) fn closed_name(first_seq: u64) -> String {
    format!("audit-{first_seq}.jsonl")
}

fn first_seq(name: &str) -> Option<u64> {
    name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok()
}

/// The closed files of a log, oldest first.
pub(super) fn closed_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(seq) = entry.file_name().to_str().and_then(first_seq) {
            found.push((seq, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The files of the log in `directory`, in the order in which they were written.
///
/// # Errors
/// If the directory cannot be read.
pub fn files_in_order(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = closed_files(directory)?;
    let current = directory.join(CURRENT);
    if current.try_exists()? {
        files.push(current);
    }
    Ok(files)
}

/// Verifies files as one log, in the order given. While the gateway runs, read the anchor first.
///
/// # Errors
/// If a file cannot be read; its content is the report's matter.
pub fn verify_files(files: &[PathBuf], anchor: Option<Anchor>) -> io::Result<Report> {
    let mut verifier = Verifier::new(anchor);
    for file in files {
        verifier.file(BufReader::with_capacity(1 << 18, File::open(file)?))?;
    }
    Ok(verifier.finish())
}
