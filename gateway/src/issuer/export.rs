//! The assertion issuer's two documents as files, for hosting where the gateway is not reachable.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CONFIGURATION_PATH, KEYS_PATH, Origins, assertion_configuration};

/// A document could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}; check that the directory exists and is writable")]
pub struct ExportError {
    path: PathBuf,
    #[source]
    cause: std::io::Error,
}

/// Writes both documents below `directory`, in the layout of the issuer's URL, and answers where.
///
/// # Errors
/// [`ExportError`] names the file that could not be written.
pub fn export(
    directory: &Path,
    origins: &Origins,
    keys: &Value,
) -> Result<Vec<PathBuf>, ExportError> {
    let configuration = assertion_configuration(origins);
    [(CONFIGURATION_PATH, &configuration), (KEYS_PATH, keys)]
        .into_iter()
        .map(|(path, document)| write(&directory.join(path.trim_start_matches('/')), document))
        .collect()
}

fn write(path: &Path, document: &Value) -> Result<PathBuf, ExportError> {
    let failed = |cause| ExportError { path: path.to_owned(), cause };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, document.to_string()).map_err(failed)?;
    Ok(path.to_owned())
}
