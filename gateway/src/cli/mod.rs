//! The command line: what was typed, and one function a command.
//!
//! Commands that change or show a running gateway go over its admin socket and have no rights of
//! their own; commands over files need no gateway. Exit codes: 0 done, 1 failed, 2 not understood,
//! 64 the configuration has faults.

mod assess;
mod audit;
mod backend;
mod check;
mod compile;
mod confirm;
mod credential;
mod face;
mod failure;
mod issuer;
mod lease;
mod output;
mod plugin;
mod policy;
mod remote;
mod report;
mod secret;
mod serve;
mod sidecar;
mod target;
mod token_file;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::failure::Failure;
use self::output::Form;

/// A federation gateway: a platform identity in, a short-lived credential or secret out.
#[derive(Debug, Parser)]
#[command(name = "symbolon", version, propagate_version = true)]
#[command(after_help = "Examples:
  symbolon dev                                  a whole gateway to try, with a token and a curl line
  symbolon check --config symbolon.toml         every fault of a configuration, with its place
  symbolon serve --config symbolon.toml
  symbolon secret get kv prod/db --field password
  symbolon credential get db reader --ttl 10m")]
pub struct Cli {
    /// How results are shown
    #[arg(long, short, global = true, value_enum, value_name = "FORM")]
    output: Option<Form>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until told to stop
    ///
    /// SIGTERM ends after the requests in flight, SIGHUP reads the configuration again.
    #[command(after_help = "Examples:
  symbolon serve --config /etc/symbolon/symbolon.toml")]
    Serve(ConfigArgs),
    /// Check a configuration, the files it names and its policies
    ///
    /// No component runs and nothing is sent: whether a plugin takes its configuration, and whether
    /// issuers and backends answer, is known when the gateway starts (`symbolon status`).
    #[command(after_help = "Examples:
  symbolon check --config symbolon.toml
  symbolon check --config symbolon.toml || exit     (64: faults in the configuration)")]
    Check(ConfigArgs),
    /// Try to get past a configuration, and count
    ///
    /// Makes attempts that must be denied out of the configuration and sends them through the stations
    /// of a request, in this process and with keys of its own: nothing is fetched or sent. Exit code 1
    /// if anything was let through.
    #[command(after_help = "Examples:
  symbolon assess --config symbolon.toml
  symbolon assess --config symbolon.toml --attempts 3000000 --output json")]
    Assess(assess::AssessArgs),
    /// Run a gateway with everything embedded, to try things out
    #[command(after_help = "Examples:
  symbolon dev
  symbolon dev --listen 127.0.0.1:9443
  symbolon dev --demo                           show what it does, then end")]
    Dev(serve::DevArgs),
    /// Read the configuration again, as a whole or not at all
    #[command(after_help = "Examples:
  symbolon reload
  symbolon reload --socket /run/symbolon/admin.sock")]
    Reload(SocketArgs),
    /// Show how the gateway is
    #[command(after_help = "Examples:
  symbolon status
  symbolon status --output json")]
    Status(SocketArgs),
    /// Show the metrics page
    #[command(after_help = "Examples:
  symbolon metrics | grep symbolon_requests")]
    Metrics(SocketArgs),
    /// Read secrets, as a workload
    #[command(subcommand)]
    Secret(secret::Command),
    /// Credentials that end, as a workload
    #[command(subcommand)]
    Credential(credential::Command),
    /// Targets: where the gateway's assertions go, and what to set up for them
    #[command(subcommand)]
    Target(target::Command),
    /// Leases: everything issued that must end
    #[command(subcommand)]
    Lease(lease::Command),
    /// Reports from what the gateway remembers
    #[command(subcommand)]
    Report(report::Command),
    /// Components
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// One backend: probe it, compare it with the ledger, replace the gateway's login there
    #[command(subcommand)]
    Backend(backend::Command),
    /// Issuers, and the gateway as one
    #[command(subcommand)]
    Issuer(issuer::Command),
    /// Refuse a principal or an issuer until it is unlocked; without arguments, show the locks
    ///
    /// The leases of who is locked end with the lock, and do not come back when it is undone.
    #[command(after_help = "Examples:
  symbolon lock
  symbolon lock --principal ci/repo:acme/pay
  symbolon lock --issuer ci")]
    Lock(remote::LockArgs),
    /// Undo a lock
    #[command(after_help = "Examples:
  symbolon unlock --principal ci/repo:acme/pay")]
    Unlock(remote::WhomArgs),
    /// Refuse everything that was issued until now, and end the leases of whom it concerns
    #[command(after_help = "Examples:
  symbolon revoke-sessions --principal ci/repo:acme/pay
  symbolon revoke-sessions --everybody")]
    RevokeSessions(remote::WhomArgs),
    /// Replace the gateway's own signing keys, with overlap
    #[command(after_help = "Examples:
  symbolon rotate-keys")]
    RotateKeys(SocketArgs),
    /// Policies: check them, explain a decision
    #[command(subcommand)]
    Policy(policy::Command),
    /// The audit log: verify it, search in it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Compile a component, for the gateway itself
    #[command(hide = true)]
    #[command(after_help = "Examples:
  symbolon compile-component MEMORY CPU LENGTH SHAPE LINEAR STACK <component >code")]
    CompileComponent(compile::CompileArgs),
    /// Print completions for a shell
    #[command(after_help = "Examples:
  symbolon completions bash > /etc/bash_completion.d/symbolon")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which configuration.
#[derive(Clone, Debug, clap::Args)]
struct ConfigArgs {
    /// The configuration file
    #[arg(long, short, value_name = "FILE", default_value = "/etc/symbolon/symbolon.toml")]
    config: PathBuf,
}

/// Which running gateway.
#[derive(Clone, Debug, clap::Args)]
struct SocketArgs {
    /// The admin socket [default: of the configuration, or /run/symbolon/admin.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The configuration whose socket is meant
    #[arg(long, short, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

impl Cli {
    /// Does the one thing that needs no runtime and no keys, if it is what was asked for: to compile
    /// a component.
    #[must_use]
    pub fn compile(&self) -> Option<ExitCode> {
        let Command::CompileComponent(args) = &self.command else { return None };
        Some(compile::run(args))
    }

    /// Does what was asked for.
    pub async fn run(self) -> ExitCode {
        let form = self.output;
        match Box::pin(self.command.run(form)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                output::note(&failure.to_string());
                ExitCode::from(failure.code)
            }
        }
    }
}

impl Command {
    async fn run(self, form: Option<Form>) -> Result<(), Failure> {
        let shown = form.unwrap_or(Form::Table);
        match self {
            Self::Serve(args) => serve::serve(args).await,
            Self::Check(args) => check::check(&args),
            Self::Assess(args) => Box::pin(assess::run(args, shown)).await,
            Self::Dev(args) => serve::dev(args).await,
            Self::Reload(args) => remote::reload(&args, shown).await,
            Self::Status(args) => remote::status(&args, shown).await,
            Self::Metrics(args) => remote::metrics(&args).await,
            Self::Secret(command) => secret::run(command, form).await,
            Self::Credential(command) => credential::run(command, form).await,
            Self::Target(command) => target::run(command, form).await,
            Self::Lease(command) => lease::run(command, shown).await,
            Self::Report(command) => report::run(command, shown).await,
            Self::Plugin(command) => plugin::run(command, shown).await,
            Self::Backend(command) => backend::run(command, shown).await,
            Self::Issuer(command) => issuer::run(command, shown).await,
            Self::Lock(args) => remote::lock(&args, shown).await,
            Self::Unlock(args) => remote::unlock(&args, shown).await,
            Self::RevokeSessions(args) => remote::revoke_sessions(&args, shown).await,
            Self::RotateKeys(args) => remote::rotate_keys(&args, shown).await,
            Self::Policy(command) => policy::run(command, shown),
            Self::Audit(command) => audit::run(command, shown).await,
            Self::CompileComponent(_) => {
                Err(Failure::new("this is done before anything is started"))
            }
            Self::Completions { shell } => completions(shell),
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "symbolon", &mut script);
    output::bytes(&script)
}
