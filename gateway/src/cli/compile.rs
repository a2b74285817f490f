//! `symbolon compile-component`: what the gateway starts to compile a component. Not for people.

use std::process::ExitCode;

use symbolon_host::compiler::{self, Job};

use super::output;

#[derive(Debug, clap::Args)]
pub(super) struct CompileArgs {
    /// The job, as the gateway writes it
    #[arg(num_args = 6, required = true)]
    job: Vec<String>,
}

/// Does the job, on this thread and without a runtime: limits have to stand before there are more.
pub(super) fn run(args: &CompileArgs) -> ExitCode {
    let Some(job) = Job::parse(&args.job) else {
        output::note("error: this is for the gateway itself");
        return ExitCode::from(2);
    };
    match compiler::run(&job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
