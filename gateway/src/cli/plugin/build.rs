//! `symbolon plugin build`: from a project to a component with its manifest.
//!
//! A project in Rust is compiled. For any other language its own toolchain makes the component
//! (`--component`), and what is left to do is the manifest: which is checked here in the same way, as
//! are the imports, so that what the host would refuse is refused on the vendor's machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use symbolon_componentize::project::{self, Source};
use symbolon_componentize::{self as componentize, Compiler, Search, program};
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::failure::Failure;
use super::super::output::{self, Form};
use crate::config;

/// Set to anything but nothing, only Debian's compiler is taken: for tests of that way.
const FORCED: &str = "SYMBOLON_WASM_FALLBACK";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BuildArgs {
    /// The project
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the component goes [default: dist/NAME.wasm in the project]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A component that another toolchain has made: nothing is compiled, it gets DIR/manifest.json
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// A component, and where it is.
pub(super) struct Built {
    pub(super) file: PathBuf,
    pub(super) inspection: Inspection,
}

pub(super) fn run(args: &BuildArgs, form: Form) -> Result<(), Failure> {
    let (directory, out) = (args.dir.as_path(), args.out.as_deref());
    let (built, try_it) = match &args.component {
        Some(component) => (finish(directory, component, out)?, String::new()),
        None => {
            let try_it = format!("\n  symbolon plugin run {}", directory.display());
            (build(directory, out, &output::note)?, try_it)
        }
    };
    output::value(&shown(&built), form, &[])?;
    let file = built.file.display();
    output::note(&format!(
        "next:\n  symbolon plugin inspect {file}{try_it}\n  symbolon plugin sign {file} --key KEY.pem"
    ));
    Ok(())
}

/// Compiles the project in `directory` and makes the component of it.
pub(super) fn build(
    directory: &Path,
    out: Option<&Path>,
    say: &dyn Fn(&str),
) -> Result<Built, Failure> {
    let source = source(directory)?;
    let (name, manifest) = manifest(&source.manifest)?;
    compile(directory, say)?;
    let component =
        componentize::encode(&read(&source.module)?, &manifest).map_err(|error| of(&error))?;
    keep(&component.bytes, out_or_dist(out, directory, &name))
}

/// Gives a finished component the manifest of the project in `directory`.
fn finish(directory: &Path, component: &Path, out: Option<&Path>) -> Result<Built, Failure> {
    let (name, manifest) = manifest(&directory.join("manifest.json"))?;
    let bytes = componentize::with_manifest(read(component)?, &manifest);
    keep(&bytes.map_err(|error| of(&error))?, out_or_dist(out, directory, &name))
}

/// A manifest, and the name in it.
fn manifest(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let manifest = read(path)?;
    let name = componentize::name(&manifest)
        .map_err(|error| of(&error).with_help(format!("see {}", path.display())))?;
    Ok((name, manifest))
}

fn out_or_dist(out: Option<&Path>, directory: &Path, name: &str) -> PathBuf {
    out.map_or_else(|| directory.join(format!("dist/{name}.wasm")), Path::to_owned)
}

/// Writes what a host would take.
fn keep(bytes: &[u8], file: PathBuf) -> Result<Built, Failure> {
    let inspection =
        Inspection::of(bytes, MAX_COMPONENT_BYTES).map_err(|error| Failure::of(&error))?;
    write(&file, bytes)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
    Ok(Built { file, inspection })
}

/// The one package that becomes a component.
fn source(directory: &Path) -> Result<Source, Failure> {
    let answer =
        program::output(cargo(directory).args(project::QUESTION)).map_err(|error| of(&error))?;
    let mut sources = project::sources(&answer).map_err(|error| of(&error))?;
    match (sources.pop(), sources.pop()) {
        (Some(source), None) => Ok(source),
        (None, _) => {
            Err(Failure::new(format!("{} has no package with a `cdylib`", directory.display()))
                .with_help("`symbolon plugin new NAME` makes a project of a plugin"))
        }
        (Some(_), Some(_)) => {
            Err(Failure::new(format!("{} has several plugins", directory.display()))
                .with_help("name the directory of one"))
        }
    }
}

fn compile(directory: &Path, say: &dyn Fn(&str)) -> Result<(), Failure> {
    let forced = config::variable(FORCED).is_some();
    let compiler =
        Compiler::find(&Search { forced, fetch: None, say }).map_err(|error| of(&error))?;
    let mut cargo = cargo(directory);
    compiler.build(&mut cargo).map_err(|error| of(&error))?;
    program::expect("cargo build", &mut cargo).map_err(|error| of(&error))
}

/// The cargo that runs this, if one does.
fn cargo(directory: &Path) -> Command {
    let program = config::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut cargo = Command::new(program);
    cargo.current_dir(directory);
    cargo
}

fn of(error: &componentize::Error) -> Failure {
    Failure::of(error)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// By a rename, so that nobody reads half of it.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, file)
}

fn shown(built: &Built) -> Value {
    let Inspection { digest, bytes, manifest, interfaces, imports, .. } = &built.inspection;
    json!({
        "name": manifest.name.as_str(),
        "version": manifest.version,
        "file": built.file,
        "bytes": bytes,
        "digest": digest.to_string(),
        "interfaces": interfaces,
        "imports": imports,
        "egress": manifest.egress.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
