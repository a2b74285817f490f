//! `symbolon plugin test`: a component against a script of its upstream.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use symbolon_host::{CompileLimits, Compiler, CompilerProcess};
use symbolon_kit::{Check, Options, Report, Script};

use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::package;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TestArgs {
    /// The component
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// What the upstream is asked and what it answers: TOML, or JSON by its ending
    #[arg(long, value_name = "FILE", default_value = "conformance.toml")]
    script: PathBuf,
    /// Only this check; may be given several times
    #[arg(long, value_name = "NAME")]
    check: Vec<String>,
    /// Only this case of the script; may be given several times
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Name the checks, and run none
    #[arg(long)]
    list: bool,
    /// A database server for tests: postgresql://USER:PASSWORD@HOST[:PORT]/NAME
    ///
    /// Users are made and dropped there, and the login's password is replaced and put back.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The authority (PEM) of that server; without one it is reached on loopback alone
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
}

/// Tests a component. Anything found is a failure.
pub(super) async fn run(args: TestArgs, form: Form) -> Result<(), Failure> {
    let Some(file) = args.file.as_ref().filter(|_| !args.list) else { return list(form) };
    let (component, script) = (package(file)?.component().to_vec(), script(&args.script)?);
    let options = options(&args)?;
    let progress = |next: &str| output::note(&format!("· {next}"));
    // As a gateway does it: a component that is tested need not be trusted.
    let program = CompilerProcess::this_program();
    let compiler = Compiler::Process(CompilerProcess::new(program, CompileLimits::default()));
    let tested = symbolon_kit::test(component, &script, &options, compiler, &progress);
    let report = Box::pin(tested).await.map_err(|error| Failure::of(&error))?;
    match form {
        Form::Json => output::value(&report.to_json(), form, &[])?,
        Form::Table => output::line(report.to_string().trim_end())?,
    }
    verdict(&report)
}

fn verdict(report: &Report) -> Result<(), Failure> {
    if report.passed() {
        return Ok(());
    }
    let failed: Vec<&str> = report.failed().into_iter().map(Check::name).collect();
    let Some(first) = failed.first() else {
        return Err(Failure::new("there was nothing to look at")
            .with_help("`symbolon plugin test --list` says what each check looks at"));
    };
    let names = failed.join(", ");
    Err(Failure::new(format!("the component does not conform: {names}"))
        .with_help(format!("to run one check alone: --check {first}")))
}

fn options(args: &TestArgs) -> Result<Options, Failure> {
    let check = |name: &String| {
        let unknown = || {
            Failure::new(format!("there is no check `{name}`"))
                .with_help("`symbolon plugin test --list` names them")
        };
        Check::named(name).ok_or_else(unknown)
    };
    Ok(Options {
        checks: args.check.iter().map(check).collect::<Result<_, _>>()?,
        cases: args.case.clone(),
        database: args.database.clone(),
        patience: None,
        database_authority: args.database_ca.as_deref().map(read).transpose()?,
    })
}

fn script(path: &Path) -> Result<Script, Failure> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::new(format!("{} is not text", path.display())))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let script = if is_json { Script::from_json(&text) } else { Script::from_toml(&text) };
    script.map_err(|error| {
        Failure::new(format!("{}: {error}", path.display())).with_help(
            "docs/conformance.md of a project that `plugin new` makes describes the format",
        )
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

fn list(form: Form) -> Result<(), Failure> {
    let row = |check: Check| json!({ "check": check.name(), "proves": check.proves() });
    let rows: Value = Check::all().into_iter().map(row).collect();
    output::value(&rows, form, &["check", "proves"])
}
