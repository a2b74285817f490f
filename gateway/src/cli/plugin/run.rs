//! `symbolon plugin run`: a gateway on this machine with a plugin that is being written.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use symbolon_core::id::PluginName;
use symbolon_host::manifest::Interface;
use toml::{Table, Value};

use super::super::failure::Failure;
use super::super::output;
use super::build::{self, Built};
use crate::app::workbench::{self, Draft, Face, Look};
use crate::app::{Signals, StartError};

/// What the plugin is configured with.
const SETTINGS: &str = "dev.toml";

/// What is looked at, below the project.
const WATCHED: [&str; 5] = ["src", "Cargo.toml", "manifest.json", SETTINGS, "vendor"];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// The project
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

pub(super) async fn run(args: RunArgs) -> Result<(), Failure> {
    let signals = Signals::install().map_err(StartError::Signals)?;
    let stamp = Stamp::of(&args.dir);
    let draft = draft(&args.dir)?;
    let mut broken = None;
    let mut say = |text: &str| broken = output::line(text).err();
    let settings = args.dir.join(SETTINGS);
    let look = look(args.dir, stamp);
    let run = Box::pin(workbench::workbench((draft, look), args.listen, signals, &mut say));
    run.await.map_err(|error| {
        let of_settings = matches!(error, StartError::Config(_));
        let help =
            format!("what stands below the backend or target is from {}", settings.display());
        let failure = Failure::from(error);
        if of_settings { failure.with_help(help) } else { failure }
    })?;
    broken.map_or(Ok(()), Err)
}

/// The stamp is taken before the build: what changes meanwhile is seen the next time.
fn look(directory: PathBuf, mut seen: Stamp) -> Look {
    Box::new(move || {
        let now = Stamp::of(&directory);
        if now == seen {
            return None;
        }
        seen = now;
        Some(draft(&directory).map_err(|failure| failure.to_string()))
    })
}

fn draft(directory: &Path) -> Result<Draft, Failure> {
    let built = build::build(directory, None, &output::note)?;
    let settings = directory.join(SETTINGS);
    let text = std::fs::read_to_string(&settings)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", settings.display())))?;
    let settings: Table = toml::from_str(&text)
        .map_err(|error| Failure::new(format!("{}: {error}", settings.display())))?;
    let name = built.inspection.manifest.name.clone();
    let face = face(&built, &settings);
    let plugins = built.file.parent().unwrap_or(directory).to_owned();
    let blocks = blocks(&name, &face, settings)?;
    Ok(Draft { name, plugins, blocks, face })
}

/// Settings with an `audience` are a target's.
fn face(built: &Built, settings: &Table) -> Face {
    let has = |interface| built.inspection.interfaces.contains(&interface);
    if settings.contains_key("audience") {
        return Face::Target;
    }
    let roles = settings.get("roles").and_then(Value::as_table);
    match roles.and_then(|roles| roles.keys().next()) {
        Some(role) if has(Interface::Credentials) => Face::Credentials(role.clone()),
        Some(_) | None => Face::Secrets,
    }
}

/// The settings where the configuration has them: below the backend or target of this name.
fn blocks(name: &PluginName, face: &Face, mut settings: Table) -> Result<String, Failure> {
    settings.insert("plugin".to_owned(), Value::from(name.as_str()));
    let kind = match face {
        Face::Secrets | Face::Credentials(_) => "backends",
        Face::Target => "targets",
    };
    let named = Table::from_iter([(name.as_str().to_owned(), Value::Table(settings))]);
    let blocks = Table::from_iter([(kind.to_owned(), Value::Table(named))]);
    let text = toml::to_string(&blocks).map_err(|error| Failure::of(&error))?;
    Ok(format!("\n{text}"))
}

/// When the files of a project were changed last, and their sizes.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Stamp {
    fn of(directory: &Path) -> Self {
        let mut stamp = Self(BTreeMap::new());
        WATCHED.iter().for_each(|name| stamp.take(&directory.join(name)));
        stamp
    }

    /// What cannot be read is as if it were not there; the build says so if it matters.
    fn take(&mut self, path: &Path) {
        let Ok(metadata) = path.symlink_metadata() else { return };
        if !metadata.is_dir() {
            self.0.insert(path.to_owned(), (metadata.modified().ok(), metadata.len()));
            return;
        }
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.for_each(|entry| self.take(&entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_below_the_name_of_the_plugin() {
        let settings = "[config]\naddress = \"https://h\"\n[[egress]]\nhost = \"h\"\n";
        let name = PluginName::parse("acme-store").unwrap();
        let text = blocks(&name, &Face::Secrets, toml::from_str(settings).unwrap()).unwrap();
        let whole: Table = toml::from_str(&text).unwrap();
        let backend = &whole["backends"]["acme-store"];
        assert_eq!(backend["plugin"].as_str(), Some("acme-store"));
        assert_eq!(backend["config"]["address"].as_str(), Some("https://h"));
        assert_eq!(backend["egress"][0]["host"].as_str(), Some("h"));
        let text = blocks(&name, &Face::Target, Table::new()).unwrap();
        assert!(text.contains("[targets.acme-store]"), "{text}");
    }

    #[test]
    fn a_change_below_the_sources_is_seen_and_one_elsewhere_is_not() {
        let project = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = project.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/deep/a.rs", "1");
        let first = Stamp::of(project.path());
        write("target/x", "1");
        assert_eq!(Stamp::of(project.path()), first);
        write("src/deep/a.rs", "12");
        let second = Stamp::of(project.path());
        assert_ne!(second, first);
        write("dev.toml", "");
        assert_ne!(Stamp::of(project.path()), second);
    }
}
