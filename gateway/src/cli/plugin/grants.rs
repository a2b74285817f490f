//! `symbolon plugin grants`: what a component asks to reach, what it is granted, and what a newer
//! one asks beyond an older one. Nothing of it is run. Of files, or of what a running gateway has.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use symbolon_core::id::PluginName;
use symbolon_host::Inspection;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::{inspected, is_installed};
use crate::app::grants::{self, changes, compare};
use crate::config::Config;

const CONFIG: &str = "/etc/symbolon/symbolon.toml";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GrantsArgs {
    /// The component: a file, the name of one in the plugin directory of the configuration, or one
    /// of the running gateway
    #[arg(value_name = "FILE|NAME|NAME@VERSION")]
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
    /// The admin socket of the running gateway, for NAME@VERSION [default: of the configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

const COLUMNS: [&str; 7] = ["backend", "state", "grant", "change", "of", "value", "since"];

pub(super) async fn run(args: &GrantsArgs, form: Form) -> Result<(), Failure> {
    let shown = match is_installed(&args.plugin) {
        true => of_gateway(args).await?,
        false => of_files(args)?,
    };
    output::value(&shown, form, &COLUMNS)
}

/// Of a component that the running gateway has: beside what its backends run.
async fn of_gateway(args: &GrantsArgs) -> Result<Value, Failure> {
    if args.against.is_some() || args.backend.is_some() {
        return Err(Failure::new("--against and --backend are for files").with_help(
            "of an installed component every backend is shown, beside what it runs now",
        ));
    }
    let gateway = SocketArgs { socket: args.socket.clone(), config: args.config.clone() };
    gateway.get(&format!("/v1/plugins/{}/grants", args.plugin)).await
}

fn of_files(args: &GrantsArgs) -> Result<Value, Failure> {
    let (inspection, config) = found(args)?;
    let mut shown = grants::asked_by(&inspection);
    let mut put = |key: &str, value: Value| {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(key.to_owned(), value);
        }
    };
    if let Some(config) = &config {
        put("grants", rows(config, &inspection, args.backend.as_deref())?);
    }
    if let Some(old) = &args.against {
        let old = inspected(old)?;
        let rows = changes(&old, &inspection)
            .into_iter()
            .map(|change| json!({ "change": change.sign, "of": change.of, "value": change.value }));
        put("since", Value::from(old.manifest.version.clone()));
        put("changes", rows.collect());
    }
    Ok(shown)
}

fn found(args: &GrantsArgs) -> Result<(Inspection, Option<Config>), Failure> {
    let file = Path::new(&args.plugin);
    let needs_config = args.config.is_some() || args.backend.is_some() || !file.exists();
    let place = args.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG));
    let config = if needs_config { Some(Config::load(&place)?) } else { None };
    let inspection = match (&config, file.exists()) {
        (_, true) | (None, false) => inspected(file)?,
        (Some(config), false) => named(&args.plugin, config)?,
    };
    Ok((inspection, config))
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
    let known = components.filter_map(|path| inspected(&path).ok());
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
    let mut of = compare(config, &inspection.manifest).map_err(Failure::new)?;
    of.retain(|of| only.is_none_or(|only| only == of.backend));
    if let (Some(only), true) = (only, of.is_empty()) {
        let name = &inspection.manifest.name;
        return Err(Failure::new(format!(
            "no backend or target `{only}` names the plugin `{name}`"
        )));
    }
    Ok(grants::rows(&of).into())
}
