//! `symbolon plugin new`: a project of a plugin that builds, tests and loads as it is.

mod sdk;
mod template;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use symbolon_core::id::PluginName;

use super::super::failure::Failure;
use super::super::output::{self, Form};

/// What the plugin does first. More interfaces can be added later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Kind {
    /// Secrets that are there and are read
    Secrets,
    /// An assertion of the gateway in, a foreign token out
    Exchange,
    /// Credentials that are made on demand and must end
    Credentials,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NewArgs {
    /// The plugin's name: 1 to 63 of a-z, 0-9 and -, beginning with a letter
    name: PluginName,
    /// What it does
    #[arg(long, value_enum, default_value = "secrets")]
    interface: Kind,
    /// The project's directory, which must not be there yet [default: the name]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// One file of a project.
struct File {
    path: String,
    text: String,
}

pub(super) fn run(args: &NewArgs, form: Form) -> Result<(), Failure> {
    let directory = args.dir.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    let files = files(&args.name, args.interface)?;
    make(&directory, &files)?;
    let shown = json!({
        "name": args.name.as_str(),
        "directory": directory,
        "files": files.len(),
        "sdk": env!("CARGO_PKG_VERSION"),
    });
    output::value(&shown, form, &[])?;
    output::note(&format!(
        "next:\n  cd {}\n  cargo test\n  symbolon plugin build",
        directory.display()
    ));
    Ok(())
}

/// The template and, beside it, the SDK and the contract: all that the project needs but what comes
/// from the registry.
fn files(name: &PluginName, kind: Kind) -> Result<Vec<File>, Failure> {
    let sdk = sdk::files().map_err(|fault| Failure::new(format!("the SDK is damaged: {fault}")))?;
    Ok(template::files(name, kind).into_iter().chain(sdk).collect())
}

/// The directory is made here, so that nothing that was there can be overwritten.
fn make(directory: &Path, files: &[File]) -> Result<(), Failure> {
    DirBuilder::new().create(directory).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return Failure::new(format!("{} is there already", directory.display()))
                .with_help("nothing is overwritten: name another directory with --dir");
        }
        unwritten(directory, &error)
    })?;
    files.iter().try_for_each(|file| {
        let path = directory.join(&file.path);
        write(&path, &file.text).map_err(|error| unwritten(&path, &error))
    })
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}
