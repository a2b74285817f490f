//! `symbolon target`: where assertions go, what to create there, and what to paste here.
//!
//! What is printed comes from the configuration in force, or from a file: issuer, audience and subject
//! are those of the assertions, so that what is created believes them and nothing else.

mod configure;
mod trust;

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};
use symbolon_client::Admin;
use symbolon_core::id::TargetName;

use super::failure::Failure;
use super::output::{self, Form};
use crate::app::targets::{TargetView, described};
use crate::config::{ADMIN_SOCKET, Config};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The targets, and whom their assertions name
    #[command(after_help = "Examples:
  symbolon target ls
  symbolon target ls --config symbolon.toml
  symbolon target ls --output json")]
    Ls(SourceArgs),
    /// Print what to paste where a cloud's own library runs
    #[command(after_help = "Examples:
  symbolon target configure aws-deploy --for aws-sdk
  symbolon target configure gcp-deploy --for google-auth --config symbolon.toml
  symbolon target configure azure-deploy --for azure-identity")]
    Configure {
        /// The target
        target: TargetName,
        /// The library
        #[arg(long = "for", value_name = "LIBRARY", value_enum)]
        library: configure::Library,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Print what to create in the cloud, so that it believes the target's assertions
    ///
    /// A target with subject = "caller" has a subject for each caller: name those that the cloud is to
    /// believe.
    #[command(after_help = "Examples:
  symbolon target trust aws-deploy
  symbolon target trust gcp-deploy --config symbolon.toml
  symbolon target trust aws-team --caller k8s/system:serviceaccount:shop:api")]
    Trust {
        /// The target
        target: TargetName,
        /// A caller that is to be believed, where assertions name callers
        #[arg(long, value_name = "ISSUER/SUBJECT", value_parser = caller)]
        caller: Vec<String>,
        #[command(flatten)]
        source: SourceArgs,
    },
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// The admin socket of the running gateway [default: /run/symbolon/admin.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A configuration file, in place of what is in force; no gateway has to run
    #[arg(long, short, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

fn caller(text: &str) -> Result<String, String> {
    let identity = text.split_once('/').filter(|(issuer, subject)| {
        symbolon_core::id::IssuerAlias::parse(issuer).is_ok() && !subject.is_empty()
    });
    identity.map(|_| text.to_owned()).ok_or_else(|| "is not ISSUER/SUBJECT".to_owned())
}

impl SourceArgs {
    async fn targets(&self) -> Result<Vec<TargetView>, Failure> {
        if let Some(file) = &self.config {
            return Ok(described(&Config::load(file)?));
        }
        let socket = self.socket.clone().unwrap_or_else(|| PathBuf::from(ADMIN_SOCKET));
        let mut answer = Admin::at(socket).call(Method::GET, "/v1/targets", None).await?;
        let targets = answer.get_mut("targets").map(Value::take).unwrap_or_default();
        serde_json::from_value(targets).map_err(|_| {
            Failure::new("the gateway's list of targets is not understood")
                .with_help("is the gateway of the same version as this command?")
        })
    }

    async fn target(&self, name: &TargetName) -> Result<TargetView, Failure> {
        let mut targets = self.targets().await?;
        let found = targets.iter().position(|view| view.target == name.as_str());
        found.map(|at| targets.swap_remove(at)).ok_or_else(|| {
            Failure::new(format!("there is no target `{name}`"))
                .with_help("`symbolon target ls` shows them")
        })
    }
}

pub(super) async fn run(command: Command, form: Option<Form>) -> Result<(), Failure> {
    let form = form.unwrap_or(Form::Table);
    match command {
        Command::Ls(source) => list(&source.targets().await?, form),
        Command::Configure { target, library, source } => {
            print(&configure::steps(&source.target(&target).await?, library)?, form)
        }
        Command::Trust { target, caller, source } => {
            print(&trust::steps(&source.target(&target).await?, &caller)?, form)
        }
    }
}

fn list(targets: &[TargetView], form: Form) -> Result<(), Failure> {
    let row = |view: &TargetView| match form {
        Form::Json => json!(view),
        Form::Table => json!({
            "target": view.target,
            "state": view.state,
            "plugin": view.plugin,
            "audience": view.audience,
            "subject": view.subject.to_string(),
            "assertion": if view.delivers_assertion { "delivered" } else { "kept" },
            "ttl": format!("{} s", view.ttl_seconds),
            "reason": view.reason,
        }),
    };
    let columns = ["target", "state", "plugin", "audience", "subject", "assertion", "ttl"];
    output::value(&targets.iter().map(row).collect(), form, &columns)
}

/// Something to do: a command to run, or a file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Text for a shell.
    Run { why: &'static str, command: String },
    /// Text for a file.
    Write { why: &'static str, file: String, text: String },
}

impl Step {
    fn text(&self) -> String {
        match self {
            Self::Run { why, command } => format!("# {why}\n{command}\n"),
            Self::Write { why, file, text } => format!("# {why}: {file}\n{text}\n"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Run { why, command } => json!({ "why": why, "command": command }),
            Self::Write { why, file, text } => {
                let content = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                json!({ "why": why, "file": file, "content": content })
            }
        }
    }
}

fn print(steps: &[Step], form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => output::value(&steps.iter().map(Step::json).collect(), form, &[]),
        Form::Table => {
            let texts: Vec<String> = steps.iter().map(Step::text).collect();
            output::line(texts.join("\n").trim_end())
        }
    }
}

/// A word for a shell, whatever stands in it.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@=,+%".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a plugin is told under `key`, which this cannot do without.
fn told<'a>(view: &'a TargetView, key: &str) -> Result<&'a str, Failure> {
    view.config
        .get(key)
        .map(String::as_str)
        .ok_or_else(|| Failure::new(format!("targets.{}.config has no `{key}`", view.target)))
}

/// The clouds whose plugins are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    Aws,
    Google,
    Azure,
}

impl Cloud {
    fn of(view: &TargetView) -> Option<Self> {
        match view.plugin.as_str() {
            "aws" => Some(Self::Aws),
            "gcp" => Some(Self::Google),
            "azure" => Some(Self::Azure),
            _ => None,
        }
    }
}

#[cfg(test)]
fn view(plugin: &str, config: &[(&str, &str)]) -> TargetView {
    use crate::app::targets::Subject;

    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TargetView {
        target: "deploy".to_owned(),
        plugin: plugin.to_owned(),
        state: None,
        reason: None,
        gateway: "https://gw.example.com".to_owned(),
        issuer: "https://gw.example.com/assertions".to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        subject: Subject::Gateway("gateway:deploy".to_owned()),
        aws_claims: false,
        attributes: Vec::new(),
        delivers_assertion: false,
        ttl_seconds: 900,
        is_chained: false,
        config: config.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        for (word, expected) in [
            ("gateway:deploy", "gateway:deploy"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm)", "'$(rm)'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_caller_has_an_issuer_and_a_subject() {
        assert!(caller("k8s/system:serviceaccount:shop:api").is_ok());
        for bad in ["k8s", "k8s/", "/a", "K8S/a"] {
            assert!(caller(bad).is_err(), "{bad}");
        }
    }
}
