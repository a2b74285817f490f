//! `symbolon policy`: are the policies valid, and what would they say?

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use symbolon_core::ask::{Action, Ask, Resource};
use symbolon_core::clock::Clock;
use symbolon_core::id::{BackendName, IssuerAlias, RoleName, TargetName};
use symbolon_core::path::SecretPath;
use symbolon_core::policy::{Circumstances, Explanation};
use symbolon_core::principal::Binding;
use symbolon_core::token::hypothetical;

use super::ConfigArgs;
use super::failure::Failure;
use super::output::{self, Form};
use crate::config::Config;
use crate::time::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the policies of a configuration against what is configured
    #[command(after_help = "Examples:
  symbolon policy check --config symbolon.toml")]
    Check(ConfigArgs),
    /// Say what the policies would decide about claims, and why; nothing is proven by it
    #[command(after_help = "Examples:
  symbolon policy explain --config symbolon.toml --issuer ci --claims claims.json \\
      --action read --resource kv/prod/db
  symbolon policy explain --issuer ci --claims claims.json --action list --resource kv/")]
    Explain(Box<ExplainArgs>),
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The issuer's alias
    #[arg(long, value_name = "ALIAS")]
    issuer: IssuerAlias,
    /// A JSON file with the claims that a token would have
    #[arg(long, value_name = "FILE")]
    claims: PathBuf,
    /// What is to be done
    #[arg(long, value_parser = parse_action)]
    action: Action,
    /// To what: backend/path, backend/folder/, backend/ or target:name
    #[arg(long)]
    resource: String,
    /// Where the request would come from
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// To what the token would be bound
    #[arg(long, value_parser = parse_binding, default_value = "none")]
    binding: Binding,
}

pub(super) fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check(&args, form),
        Command::Explain(args) => explain(&args, form),
    }
}

fn check(args: &ConfigArgs, form: Form) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let bundle = crate::app::world::bundle(&config)?;
    if form == Form::Json {
        let answer = json!({
            "policies": bundle.policy_count(),
            "digest": bundle.digest(),
            "warnings": bundle.warnings(),
        });
        return output::value(&answer, form, &[]);
    }
    bundle.warnings().iter().for_each(|warning| output::note(&warning.to_string()));
    output::line(&format!(
        "{} policies, no faults; bundle {}",
        bundle.policy_count(),
        bundle.digest()
    ))
}

fn explain(args: &ExplainArgs, form: Form) -> Result<(), Failure> {
    let config = Config::load(&args.config.config)?;
    let bundle = crate::app::world::bundle(&config)?;
    let issuer = config.issuers.get(&args.issuer).ok_or_else(|| {
        Failure::new(format!("no issuer `{}` is configured", args.issuer))
            .with_help("the alias is the name after `issuers.`")
    })?;
    let claims = claims(&args.claims)?;
    let subject = hypothetical(&claims, &issuer.rules).map_err(|refusal| {
        Failure::new(format!("a token with these claims would be refused: {refusal}"))
            .with_help("there would be no principal to decide about")
    })?;
    let ask = ask(args.action, &args.resource)?;
    let now = SystemClock::start().now();
    let circumstances = Circumstances { now, source_address: args.source };
    let explanation = bundle.explain(&subject, args.binding, &ask, &circumstances);
    show(&explanation, form)
}

fn show(explanation: &Explanation, form: Form) -> Result<(), Failure> {
    match form {
        Form::Table => output::line(&explanation.to_string()),
        Form::Json => {
            let value = serde_json::to_value(explanation).map_err(|error| Failure::of(&error))?;
            output::value(&value, form, &[])
        }
    }
}

fn claims(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |reason: String| Failure::new(format!("{}: {reason}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes);
    parsed.map_err(|error| failed(format!("is not JSON: {error}")))?;
    Ok(bytes)
}

fn parse_action(text: &str) -> Result<Action, String> {
    let known = Action::ALL.map(Action::as_str).join(", ");
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    found.ok_or_else(|| format!("expected one of {known}"))
}

fn parse_binding(text: &str) -> Result<Binding, String> {
    let all = [Binding::None, Binding::Dpop, Binding::Mtls];
    let found = all.into_iter().find(|binding| binding.as_str() == text);
    found.ok_or_else(|| "expected one of none, dpop, mtls".to_owned())
}

/// As [`Resource`] is displayed. What `backend/name` means depends on the action.
fn ask(action: Action, text: &str) -> Result<Ask, Failure> {
    let resource = match (text.strip_prefix("target:"), text.split_once('/')) {
        (Some(target), _) => Resource::Target(named(TargetName::parse(target))?),
        (None, Some((backend, rest))) => below(action, named(BackendName::parse(backend))?, rest)?,
        (None, None) if text == "gateway" => Resource::Gateway,
        (None, None) => {
            return Err(Failure::new(format!("`{text}` names no resource"))
                .with_help("write backend/path, backend/folder/, backend/ or target:name"));
        }
    };
    Ok(Ask::of(action, resource))
}

fn below(action: Action, backend: BackendName, rest: &str) -> Result<Resource, Failure> {
    let path = |text: &str| named(SecretPath::parse(text));
    match action {
        Action::Issue | Action::Renew | Action::Revoke => {
            Ok(Resource::Role { backend, role: named(RoleName::parse(rest))? })
        }
        Action::List => {
            let folder = rest.strip_suffix('/').unwrap_or(rest);
            let folder = if folder.is_empty() { None } else { Some(path(folder)?) };
            Ok(Resource::Folder { backend, folder })
        }
        Action::Read | Action::Exchange | Action::Administer => {
            Ok(Resource::Secret { backend, path: path(rest)? })
        }
    }
}

fn named<T, E: std::error::Error>(parsed: Result<T, E>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::of(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_written_as_they_are_displayed() {
        for (action, text) in [
            (Action::Read, "kv/prod/db"),
            (Action::List, "kv/"),
            (Action::List, "kv/prod/"),
            (Action::Issue, "db/readonly"),
            (Action::Exchange, "target:aws"),
            (Action::Administer, "gateway"),
        ] {
            let ask = ask(action, text).unwrap();
            assert_eq!(ask.resource.to_string(), text);
        }
        for text in ["kv", "kv/..", "KV/a", "target:", ""] {
            assert!(ask(Action::Read, text).is_err(), "{text}");
        }
    }
}
