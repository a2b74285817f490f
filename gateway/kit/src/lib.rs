//! The conformance kit: is a compiled plugin what the contract says a plugin is?
//!
//! A vendor describes in a [`Script`] what the upstream is asked and what it answers. The kit admits
//! the component into the gateway's own host, puts a server of the script's behind every name, and
//! runs each case: as written, once more, with less time than the upstream gives, and with an upstream
//! that misbehaves at each of its answers. What is tested is what runs: the engine, the egress client,
//! injection, limits and the re-checking of answers are the gateway's.
//!
//! INVARIANT: the verdict is the host's view, never the guest's word: requests are counted by the
//! server that got them, secrets are canaries that are searched for, ends are held against a clock
//! that stands still.
//!
//! What it does not prove: that the script is true of the real service. That takes the service.

mod asked;
mod check;
mod compare;
mod database;
mod judge;
mod misbehaviour;
mod outcome;
mod place;
mod reply;
mod report;
mod run;
mod script;
mod suite;
mod terms;
mod upstream;
mod words;

use std::time::Duration;

use symbolon_core::id::{LeaseId, RequestId};
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::engine::EngineSettings;
use symbolon_host::{AdmitError, Admitted, Compiler, Host, Inspection, Package, Trust};

pub use check::Check;
pub use misbehaviour::Misbehaviour;
pub use place::KitError;
pub use report::{Finding, Report};
pub use script::{Script, ScriptError};

use database::Database;
use place::Identity;
use run::Bench;
use script::Case;
use suite::Cases;
use terms::Terms;

/// What is tested, and with what.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these checks; all of them if none.
    pub checks: Vec<Check>,
    /// Only these cases, by name; all of them if none.
    pub cases: Vec<String>,
    /// A server for tests, for plugins of databases:
    /// `postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE`.
    pub database: Option<String>,
    /// The authority (PEM) of that server; without one it is reached on loopback alone, in the clear.
    pub database_authority: Option<Vec<u8>>,
    /// How long a call may take whose upstream says nothing; 400 ms if none.
    pub patience: Option<Duration>,
}

/// What a call may take whose upstream says nothing.
const PATIENCE: Duration = Duration::from_millis(400);

impl Options {
    fn wants(&self, check: Check) -> bool {
        let of_all_runs = [
            Check::NoHang,
            Check::NoRetries,
            Check::RequestSent,
            Check::NoLeaks,
            Check::Limits,
            Check::AnswerRules,
        ];
        self.checks.is_empty()
            || self.checks.contains(&check)
            || self.checks.iter().any(|wanted| of_all_runs.contains(wanted))
    }

    fn wants_case(&self, case: &Case) -> bool {
        self.cases.is_empty() || self.cases.contains(&case.name)
    }
}

/// Tests a component, which `compiler` compiles. `progress` is told what is done next.
///
/// Drop the future to stop: servers and calls end with it. In a database, what cases have made may
/// then be left.
///
/// # Errors
/// [`KitError`] if the kit cannot do its work: that says nothing about the plugin.
pub async fn test(
    component: Vec<u8>,
    script: &Script,
    options: &Options,
    compiler: Compiler,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, KitError> {
    let mut report = Report::default();
    if let Some(unknown) = options.cases.iter().find(|name| script.case(name).is_none()) {
        return Err(KitError::new(format!("the script has no case \"{unknown}\"")));
    }
    progress("admission");
    let settings = EngineSettings { instances: 32, ..EngineSettings::default() };
    let host = Host::start(&settings, compiler, None, MAX_COMPONENT_BYTES);
    let host = host.map_err(KitError::new)?;
    match Box::pin(admit(&host, component)).await {
        Ok(plugin) => {
            report.look(Check::Admission);
            let (manifest, digest) = (plugin.manifest(), plugin.inspection().digest);
            report.plugin =
                Some((manifest.name.to_string(), manifest.version.clone(), digest.to_string()));
            Box::pin(admitted(&plugin, script, options, progress, &mut report)).await?;
        }
        Err(refused) => report.judge(Check::Admission, "component", Some(refused.to_string())),
    }
    report.only(&options.checks);
    Ok(report)
}

/// Admits a component as an operator would who lets it be unsigned: whose hands it came through is
/// not what is tested.
async fn admit(host: &Host, component: Vec<u8>) -> Result<Admitted, AdmitError> {
    let name = Inspection::of(&component, MAX_COMPONENT_BYTES)?.manifest.name;
    let package = Package::new(component, None);
    Box::pin(host.admit(package, &Trust::default().with_unsigned([name]))).await
}

async fn admitted(
    plugin: &Admitted,
    script: &Script,
    options: &Options,
    progress: &(dyn Fn(&str) + Sync),
    report: &mut Report,
) -> Result<(), KitError> {
    let bench = bench(plugin, script, options)?;
    progress("configuration");
    suite::describe(&bench, report).await?;
    suite::cover(plugin, script, report);
    let wants = |check| options.wants(check);
    let mut cases = Cases::new(&bench, &wants);
    let wanted: Vec<&Case> = script.cases.iter().filter(|case| options.wants_case(case)).collect();
    for (number, case) in (1_usize..).zip(&wanted) {
        progress(&format!("case {number} of {}: {}", wanted.len(), case.name));
        if bench.is_of_database(case) && bench.database.is_none() {
            let why = "no server is named: it takes `--database URL`";
            report.judge(Check::Database, &format!("case \"{}\"", case.name), Some(why.to_owned()));
        } else {
            Box::pin(cases.case(case, report)).await?;
        }
    }
    cases.tidy().await?;
    progress("misbehaviour");
    cases.misbehaving(report).await
}

fn bench<'a>(
    plugin: &'a Admitted,
    script: &'a Script,
    options: &Options,
) -> Result<Bench<'a>, KitError> {
    let signature = terms::random("canary").map_err(KitError::new)?;
    let terms = Terms {
        canaries: place::canaries(script)?,
        // A JWT by its form; nobody in here reads it.
        assertion: format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.{signature}"),
        reservation: LeaseId::new(terms::now(), run::number()?),
        request: RequestId::new(terms::now(), run::number()?),
        ttl: 0,
    };
    let database = options.database.as_ref();
    let authority = options.database_authority.as_deref();
    let database = database.map(|url| Database::named(url, authority)).transpose()?;
    let (identity, patience) = (Identity::new(script)?, options.patience.unwrap_or(PATIENCE));
    Ok(Bench { plugin, script, identity, terms, database, patience })
}
