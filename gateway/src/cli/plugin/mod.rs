//! `symbolon plugin`: what is loaded, what a component would be, and which one serves.

mod activate;
mod build;
mod grants;
mod inspect;
mod install;
mod keygen;
mod ls;
mod new;
mod release;
mod remove;
mod rollback;
mod run;
mod sign;
mod test;
mod verify;

use std::path::{Path, PathBuf};

use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::{Inspection, Package};

use super::failure::Failure;
use super::output::Form;
use super::{ConfigArgs, SocketArgs};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The components of the running gateway, and the backends they serve
    #[command(after_help = "Examples:
  symbolon plugin ls
  symbolon plugin ls --output json")]
    Ls(SocketArgs),
    /// What a component says about itself: imports, exports, digest, egress asked; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin inspect vault.wasm
  symbolon plugin inspect vault.wasm --output json
  symbolon plugin inspect vault@0.2.0                       (of the running gateway)")]
    Inspect(inspect::InspectArgs),
    /// Put a component into the catalog of the running gateway
    ///
    /// It is admitted as if it were to be used, and refused if it cannot be. No backend uses it before
    /// `activate`, unless it runs nothing and this is the only one that it can run.
    #[command(after_help = "Examples:
  symbolon plugin install vault.wasm")]
    Install(install::Args),
    /// Let a backend or target run another component
    ///
    /// The component is admitted and checks the backend's configuration first; if that fails, what
    /// runs goes on. After the swap it is on probation: if it fails, the one before is put back.
    #[command(after_help = "Examples:
  symbolon plugin activate kv vault@0.2.0
  symbolon plugin activate kv sha256:3f8a2b
  symbolon plugin activate kv vault@0.1.0 --allow-downgrade")]
    Activate(activate::Args),
    /// Let a backend or target run the component that it ran before
    #[command(after_help = "Examples:
  symbolon plugin rollback kv")]
    Rollback(rollback::Args),
    /// Take a component out of the catalog, whether or not its bytes are there
    ///
    /// Refused while a backend uses it; with --force that backend is degraded.
    #[command(after_help = "Examples:
  symbolon plugin remove vault@0.1.0
  symbolon plugin remove vault@0.1.0 --force")]
    Remove(remove::Args),
    /// End the quarantine of a component, so that it can be activated again
    #[command(after_help = "Examples:
  symbolon plugin release vault@0.2.0")]
    Release(release::Args),
    /// What a component asks to reach, what of it is granted, missing or unused; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin grants vault.wasm
  symbolon plugin grants vault --config symbolon.toml --backend kv
  symbolon plugin grants new/vault.wasm --against old/vault.wasm --config symbolon.toml
  symbolon plugin grants vault@0.2.0                        (beside what the gateway's backends run)")]
    Grants(grants::GrantsArgs),
    /// Make a project of a plugin, in Rust, that builds, tests and loads as it is
    ///
    /// The SDK comes along, in the version of this program.
    #[command(after_help = "Examples:
  symbolon plugin new acme-store
  symbolon plugin new acme-sts --interface exchange
  symbolon plugin new acme-db --interface credentials --dir ~/src/acme-db")]
    New(new::NewArgs),
    /// Compile a project of a plugin to a component
    ///
    /// With the toolchain's own WebAssembly target, which rustup is asked for, or with Debian's
    /// rustc-web if that is installed.
    #[command(after_help = "Examples:
  symbolon plugin build
  symbolon plugin build acme-store --out acme-store.wasm")]
    Build(build::BuildArgs),
    /// Run a gateway on this machine with a plugin that is being written
    ///
    /// As `symbolon dev`, with this plugin alone. What it is configured with is in the project's
    /// dev.toml. When a file of the project changes, it is built and loaded again.
    #[command(after_help = "Examples:
  symbolon plugin run
  symbolon plugin run acme-store --listen 127.0.0.1:9443")]
    Run(run::RunArgs),
    /// Make a key with which components are signed
    ///
    /// The private key is written (PKCS#8 in PEM, mode 0600), the public key is shown.
    #[command(after_help = "Examples:
  symbolon plugin keygen release.pem
  symbolon plugin keygen release.pem --algorithm ecdsa-p256")]
    Keygen {
        /// Where the private key goes; a file that is there is not overwritten
        out: PathBuf,
        /// How it signs
        #[arg(long, value_enum, default_value = "ed25519")]
        algorithm: keygen::Algorithm,
    },
    /// Sign a component: adds to the file of signatures beside it
    #[command(after_help = "Examples:
  symbolon plugin sign vault.wasm --key release.pem
  symbolon plugin sign vault.wasm --key release.pem --replace        (after a new build)")]
    Sign(sign::SignArgs),
    /// Say whether a configuration would take a component, and who has signed it; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin verify vault.wasm --config symbolon.toml")]
    Verify {
        /// The component
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Whether a component keeps the contract: runs it against a script of its upstream
    ///
    /// The upstream of the script is a real server on loopback, which also misbehaves: late, cut off,
    /// overloaded, nonsense, huge. Exit code 1 if anything was found. The checks and the format are
    /// described in `conformance.md` of the documentation.
    #[command(after_help = "Examples:
  symbolon plugin test acme.wasm
  symbolon plugin test acme.wasm --script conformance.json --output json
  symbolon plugin test acme.wasm --check no-leaks --case probe
  symbolon plugin test --list
  symbolon plugin test postgresql.wasm --database postgresql://symbolon:password@127.0.0.1/app")]
    Test(test::TestArgs),
}

/// The component in a file, with the signatures beside it: no more of either than may be, and of nothing
/// that has no end.
fn package(file: &Path) -> Result<Package, Failure> {
    let package = Package::read(file, MAX_COMPONENT_BYTES);
    package.map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))
}

/// What the component in a file says of itself.
fn inspected(file: &Path) -> Result<Inspection, Failure> {
    let package = package(file)?;
    Inspection::of(package.component(), MAX_COMPONENT_BYTES).map_err(|error| Failure::of(&error))
}

/// Whether a component of the running gateway is meant, and no file.
fn is_installed(text: &str) -> bool {
    let is_one = text.contains('@') || text.starts_with("sha256:");
    is_one && !text.contains('/') && !Path::new(text).exists()
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => ls::run(&args, form).await,
        Command::Inspect(args) => inspect::run(&args, form).await,
        Command::Install(args) => install::run(&args, form).await,
        Command::Activate(args) => activate::run(&args, form).await,
        Command::Rollback(args) => rollback::run(&args, form).await,
        Command::Remove(args) => remove::run(&args, form).await,
        Command::Release(args) => release::run(&args, form).await,
        Command::Grants(args) => grants::run(&args, form).await,
        Command::New(args) => new::run(&args, form),
        Command::Run(args) => Box::pin(run::run(args)).await,
        Command::Build(args) => build::run(&args, form),
        Command::Keygen { out, algorithm } => keygen::run(&out, algorithm, form),
        Command::Sign(args) => sign::run(&args, form),
        Command::Verify { file, config } => verify::run(&file, &config, form),
        Command::Test(args) => test::run(args, form).await,
    }
}
