//! `symbolon assess`: does the configuration deny what it must?

use std::sync::Arc;

use super::ConfigArgs;
use super::failure::Failure;
use super::output::{self, Form};
use crate::assess::{AssessError, Report, Settings, assess};
use crate::config::Config;
use crate::time::SystemClock;

#[derive(Debug, clap::Args)]
pub(super) struct AssessArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How many attempts that must be denied
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    attempts: u64,
    /// What all choices follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// Assesses a configuration. Anything let through is a failure, and so is an issuer whose good tokens
/// are refused: what is wrong with them is then not what was counted.
pub(super) async fn run(args: AssessArgs, form: Form) -> Result<(), Failure> {
    let config = Config::load(&args.config.config)?;
    let settings = Settings { attempts: args.attempts, seed: args.seed };
    let clock = Arc::new(SystemClock::start());
    let report = Box::pin(assess(&config, clock, settings)).await.map_err(failure)?;
    output::value(&report.to_json(), form, &["kind", "cause", "attempts", "issuer"])?;
    verdict(&report, args.attempts)
}

fn failure(error: AssessError) -> Failure {
    match error {
        AssessError::Start(error) => error.into(),
        AssessError::Directory(_)
        | AssessError::Key
        | AssessError::Nobody
        | AssessError::Interrupted => Failure::of(&error),
    }
}

fn verdict(report: &Report, wanted: u64) -> Result<(), Failure> {
    let (accepted, unexpected, denied) = (report.accepted(), report.unexpected(), report.denied());
    if !report.is_clean() {
        let message = format!(
            "{accepted} let through, {unexpected} refused for another reason than expected, \
             {denied} good tokens refused"
        );
        return Err(Failure::new(message).with_help("`findings` and `false_denials` say which"));
    }
    if report.attempts() < wanted {
        let message = format!("only {} attempts could be made", report.attempts());
        return Err(Failure::new(message));
    }
    Ok(())
}
