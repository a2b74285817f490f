//! `symbolon plugin grants`: what a component asks to reach, what it is granted, and what a newer
//! one asks beyond an older one. Nothing of it is run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use symbolon_core::id::PluginName;
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::failure::Failure;
use super::super::output::{self, Form};
use crate::app::grants::{Comparison, changes, compare};
use crate::config::Config;

const CONFIG: &str = "/etc/symbolon/symbolon.toml";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GrantsArgs {
    /// The component: a file, or the name of one in the plugin directory of the configuration
    #[arg(value_name = "FILE|NAME")]
    plugin: String,
    /// Only this backend or target [default: each that names the plugin]
    #[arg(long, short, value_name = "NAME")]
    backend: Option<String>,
    /// An older component, to show what has changed since
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The configuration whose grants are meant; without it, only what is asked is shown for a file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &GrantsArgs, form: Form) -> Result<(), Failure> {
    let (inspection, config) = found(args)?;
    let mut shown = json!({
        "plugin": inspection.manifest.name.as_str(),
        "version": inspection.manifest.version,
        "digest": inspection.digest.to_string(),
        "asked": inspection.manifest.egress.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let mut put = |key: &str, value: Value| {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(key.to_owned(), value);
        }
    };
    if let Some(config) = &config {
        put("grants", rows(config, &inspection, args.backend.as_deref())?);
    }
    if let Some(old) = &args.against {
        let old = read(old)?;
        let rows = changes(&old, &inspection)
            .into_iter()
            .map(|change| json!({ "change": change.sign, "of": change.of, "value": change.value }));
        put("since", Value::from(old.manifest.version.clone()));
        put("changes", rows.collect());
    }
    output::value(&shown, form, &["backend", "state", "grant", "change", "of", "value"])
}

fn found(args: &GrantsArgs) -> Result<(Inspection, Option<Config>), Failure> {
    let file = Path::new(&args.plugin);
    let needs_config = args.config.is_some() || args.backend.is_some() || !file.exists();
    let place = args.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG));
    let config = if needs_config { Some(Config::load(&place)?) } else { None };
    let inspection = match (&config, file.exists()) {
        (_, true) | (None, false) => read(file)?,
        (Some(config), false) => named(&args.plugin, config)?,
    };
    Ok((inspection, config))
}

fn read(file: &Path) -> Result<Inspection, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    Inspection::of(&bytes, MAX_COMPONENT_BYTES).map_err(|error| Failure::of(&error))
}

/// The one component of that name in the plugin directory.
fn named(name: &str, config: &Config) -> Result<Inspection, Failure> {
    let name = PluginName::parse(name).map_err(|error| {
        Failure::new(format!("there is no file `{name}`, and it is no name of a plugin: {error}"))
    })?;
    let directory = &config.plugins.directory;
    let unread = |error| Failure::new(format!("cannot read {}: {error}", directory.display()));
    let files = std::fs::read_dir(directory).map_err(unread)?.filter_map(Result::ok);
    let paths = files.map(|file| file.path());
    let components = paths.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let known = components.filter_map(|path| read(&path).ok());
    let mut found = known.filter(|inspection| inspection.manifest.name == name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            Err(Failure::new(format!("no component in {} is `{name}`", directory.display()))
                .with_help("name the component's file"))
        }
        (Some(_), Some(_)) => Err(Failure::new(format!("several components are `{name}`"))
            .with_help("name the component's file")),
    }
}

fn rows(config: &Config, inspection: &Inspection, only: Option<&str>) -> Result<Value, Failure> {
    let all = compare(config, &inspection.manifest).map_err(Failure::new)?;
    let shown: Vec<_> =
        all.iter().filter(|of| only.is_none_or(|only| only == of.backend)).collect();
    if let (Some(only), true) = (only, shown.is_empty()) {
        let name = &inspection.manifest.name;
        return Err(Failure::new(format!(
            "no backend or target `{only}` names the plugin `{name}`"
        )));
    }
    Ok(shown.into_iter().flat_map(rows_of).collect())
}

fn rows_of(of: &Comparison) -> Vec<Value> {
    let states = [("granted", &of.granted), ("missing", &of.missing), ("unused", &of.unused)];
    let row = |state: &str, grant: &String| json!({ "backend": of.backend, "state": state, "grant": grant });
    states
        .iter()
        .flat_map(|(state, grants)| grants.iter().map(move |grant| row(state, grant)))
        .collect()
}
