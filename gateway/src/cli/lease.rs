//! `symbolon lease`: what was issued and must end, from the operator's side.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_core::id::{BackendName, LeaseId};

use super::SocketArgs;
use super::confirm::confirm;
use super::failure::Failure;
use super::output::{self, Form};
use super::token_file;

/// Most leases that one call of the admin API answers.
const PAGE: usize = 1000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List leases, the oldest first; those that are over only with --state revoked
    #[command(after_help = "Examples:
  symbolon lease ls
  symbolon lease ls --backend db --state revoking
  symbolon lease ls --principal ci/repo:acme/pay --output json
  symbolon lease ls --carrier 01JBX7K2M9P4QRSTVWXYZ01234
  symbolon lease ls --damaged")]
    Ls(Box<LsArgs>),
    /// Show one lease
    #[command(after_help = "Examples:
  symbolon lease show 01JBX7K2M9P4QRSTVWXYZ01234")]
    Show {
        /// Its id
        #[arg(value_parser = LeaseId::parse)]
        id: LeaseId,
        #[command(flatten)]
        gateway: SocketArgs,
    },
    /// Extend a lease, never beyond what was permitted when it was issued
    #[command(after_help = "Examples:
  symbolon lease renew 01JBX7K2M9P4QRSTVWXYZ01234
  symbolon lease renew 01JBX7K2M9P4QRSTVWXYZ01234 --ttl 10m")]
    Renew {
        /// Its id
        #[arg(value_parser = LeaseId::parse)]
        id: LeaseId,
        /// How long it is to last from now [default: as the role says]
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        ttl: Option<Duration>,
        #[command(flatten)]
        gateway: SocketArgs,
    },
    /// End leases; what was decided is durable when this returns, and is tried until it is done
    ///
    /// Without an id the number of leases is shown first, and has to be confirmed.
    #[command(after_help = "Examples:
  symbolon lease revoke 01JBX7K2M9P4QRSTVWXYZ01234
  symbolon lease revoke --prefix db/reader
  symbolon lease revoke --principal ci/repo:acme/pay --yes
  symbolon lease revoke --backend db --dry-run
  symbolon lease revoke --token - --yes < token.jwt
  symbolon lease revoke --everything")]
    Revoke(Box<RevokeArgs>),
    /// Stop trying to end a lease: you answer for its being gone
    ///
    /// Only a lease that is being ended can be forced. The backend is not asked again: check there
    /// that the credential is gone. The reason goes on record.
    #[command(after_help = "Examples:
  symbolon lease force 01JBX7K2M9P4QRSTVWXYZ01234 --reason decommissioned")]
    Force {
        /// Its id
        #[arg(value_parser = LeaseId::parse)]
        id: LeaseId,
        /// Why you know that it is gone
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        gateway: SocketArgs,
    },
    /// Confirm that this store is the living one and the clock is right, after a restore or a jump
    ///
    /// Until then nothing is issued and nothing revoked. What was due meanwhile ends at once.
    #[command(after_help = "Examples:
  symbolon lease status
  symbolon lease resume")]
    Resume {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        gateway: SocketArgs,
    },
    /// How the ending of leases goes: backends, orders under way, counts, and whether it is held
    #[command(after_help = "Examples:
  symbolon lease status
  symbolon lease status --output json")]
    Status(SocketArgs),
}

/// Which leases, of one kind.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
struct Scope {
    /// Those of a backend or of a role: BACKEND/ or BACKEND/ROLE
    #[arg(long, value_name = "BACKEND/[ROLE]", group = "what")]
    prefix: Option<String>,
    /// Those of a backend
    #[arg(long, value_name = "NAME", group = "what")]
    backend: Option<BackendName>,
    /// Those of one principal
    #[arg(long, value_name = "ISSUER/SUBJECT", group = "what")]
    principal: Option<String>,
    /// Those of everyone an issuer vouches for
    #[arg(long, value_name = "ALIAS", group = "what")]
    issuer: Option<String>,
    /// Those that share the credential of a lease
    #[arg(long, value_name = "ID", group = "what", value_parser = LeaseId::parse)]
    carrier: Option<LeaseId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LsArgs {
    #[command(flatten)]
    scope: Scope,
    /// Only those in this state
    #[arg(long, value_parser = ["reserved", "active", "revoking", "revoked"])]
    state: Option<String>,
    /// Records that could not be read and were set aside, instead of leases
    #[arg(long, conflicts_with_all = ["what", "state"])]
    damaged: bool,
    /// Most leases that are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// Only those behind this one
    #[arg(long, value_name = "ID", value_parser = LeaseId::parse)]
    after: Option<LeaseId>,
    #[command(flatten)]
    gateway: SocketArgs,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct RevokeArgs {
    /// One lease
    #[arg(group = "what", value_parser = LeaseId::parse)]
    id: Option<LeaseId>,
    #[command(flatten)]
    scope: Scope,
    /// Those that one token asked for; the token is in this file, or `-` for standard input
    #[arg(long, value_name = "FILE", group = "what")]
    token: Option<PathBuf>,
    /// All there are
    #[arg(long, group = "what")]
    everything: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only say how many there are
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    gateway: SocketArgs,
}

impl Scope {
    /// As the admin API writes it.
    fn text(&self) -> Option<String> {
        let backend = self.backend.as_ref().map(|backend| format!("{backend}/"));
        let prefix = self.prefix.as_ref().map(|prefix| match prefix.contains('/') {
            true => prefix.clone(),
            false => format!("{prefix}/"),
        });
        let principal = self.principal.as_ref().map(|who| format!("principal:{who}"));
        let issuer = self.issuer.as_ref().map(|alias| format!("issuer:{alias}"));
        let carrier = self.carrier.map(|id| format!("carrier:{id}"));
        backend.or(prefix).or(principal).or(issuer).or(carrier)
    }
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Ls(args) if args.damaged => damaged(&args, form).await,
        Command::Ls(args) => list(&args, form).await,
        Command::Show { id, gateway } => {
            output::value(&gateway.get(&format!("/v1/leases/{id}")).await?, form, &[])
        }
        Command::Renew { id, ttl, gateway } => {
            let body = ttl.map_or_else(|| json!({}), |ttl| json!({ "ttl": ttl.as_secs() }));
            output::value(&gateway.post(&format!("/v1/leases/{id}/renew"), &body).await?, form, &[])
        }
        Command::Revoke(args) => revoke(&args, form).await,
        Command::Force { id, reason, gateway } => {
            let body = json!({ "reason": reason });
            output::value(&gateway.post(&format!("/v1/leases/{id}/force"), &body).await?, form, &[])
        }
        Command::Resume { yes, gateway } => resume(yes, &gateway, form).await,
        Command::Status(gateway) => {
            let columns = ["backend", "under_way", "window", "failures", "oldest_due_seconds"];
            output::value(&gateway.get("/v1/leases:status").await?, form, &columns)
        }
    }
}

/// The columns of a list for eyes; programs get every member.
const COLUMNS: [&str; 8] = [
    "id",
    "state",
    "backend",
    "role",
    "principal",
    "remaining_seconds",
    "late_seconds",
    "attempts",
];

async fn list(args: &LsArgs, form: Form) -> Result<(), Failure> {
    let mut leases = Vec::new();
    let mut after = args.after.map(|id| id.to_string());
    while leases.len() < args.limit {
        let wanted = args.limit.saturating_sub(leases.len()).min(PAGE);
        let page = args.gateway.get(&page_of(args, wanted, after.as_deref())).await?;
        leases.extend(page.get("leases").and_then(Value::as_array).into_iter().flatten().cloned());
        after = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    if let (Form::Table, Some(next)) = (form, &after) {
        output::note(&format!("there are more: --after {next}"));
    }
    match form {
        Form::Table => {
            output::value(&Value::Array(leases.iter().map(brief).collect()), form, &COLUMNS)
        }
        Form::Json => output::value(&json!({ "leases": leases, "next": after }), form, &[]),
    }
}

async fn damaged(args: &LsArgs, form: Form) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &args.limit.min(PAGE).to_string());
    query.extend_pairs(args.after.map(|id| ("after", id.to_string())));
    let page = args.gateway.get(&format!("/v1/leases:damaged?{}", query.finish())).await?;
    if form == Form::Json {
        return output::value(&page, form, &[]);
    }
    if let Some(next) = page.get("next").and_then(Value::as_str) {
        output::note(&format!("there are more: --after {next}"));
    }
    let records = page.get("damaged").cloned().unwrap_or_default();
    output::value(&records, form, &["id", "state", "bytes"])
}

fn page_of(args: &LsArgs, limit: usize, after: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    let scope = args.scope.text();
    let all = [("scope", scope.as_deref()), ("state", args.state.as_deref()), ("after", after)];
    for (name, value) in all {
        query.extend_pairs(value.map(|value| (name, value)));
    }
    format!("/v1/leases?{}", query.finish())
}

fn brief(lease: &Value) -> Value {
    let members = COLUMNS.iter().map(|name| {
        let value = lease.get(*name).cloned().unwrap_or_default();
        ((*name).to_owned(), value)
    });
    Value::Object(members.collect())
}

async fn revoke(args: &RevokeArgs, form: Form) -> Result<(), Failure> {
    let path = "/v1/leases:revoke";
    let body = match (&args.id, &args.token, args.scope.text()) {
        (Some(id), ..) => json!({ "lease": id.to_string() }),
        (None, Some(file), _) => json!({ "token": token_file::read(file)?.as_str() }),
        (None, None, Some(scope)) => json!({ "scope": scope }),
        (None, None, None) => json!({ "scope": "everything" }),
    };
    if args.id.is_none() || args.dry_run {
        let counted = args.gateway.post(path, &only_counted(body.clone())).await?;
        if args.dry_run {
            return output::value(&counted, form, &[]);
        }
        confirm(&ending(&counted), args.yes)?;
    }
    output::value(&args.gateway.post(path, &body).await?, form, &[])
}

/// The same, to be counted and not done.
fn only_counted(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert("dry_run".to_owned(), json!(true));
    }
    body
}

fn ending(counted: &Value) -> String {
    let number = counted.get("would_end").and_then(Value::as_u64).unwrap_or_default();
    let scope = counted.get("scope").and_then(Value::as_str).unwrap_or_default();
    let noun = if number == 1 { "lease" } else { "leases" };
    format!("this ends {number} {noun} ({scope})")
}

async fn resume(yes: bool, gateway: &SocketArgs, form: Form) -> Result<(), Failure> {
    let status = gateway.get("/v1/leases:status").await?;
    if let Some(reason) = status.get("held").and_then(Value::as_str) {
        confirm(&resuming(reason, &status), yes)?;
    }
    output::value(&gateway.post("/v1/leases:resume", &json!({})).await?, form, &[])
}

fn resuming(reason: &str, status: &Value) -> String {
    let count = |state: &str| {
        let counts = status.get("counts").and_then(|counts| counts.get(state));
        counts.and_then(Value::as_u64).unwrap_or_default()
    };
    let why = match reason {
        "restored" => {
            "the store looks restored or copied: no other gateway may run on another copy"
        }
        _ => "the clock has jumped since the last run: check what it shows",
    };
    let (active, revoking) = (count("active"), count("revoking"));
    format!(
        "{why}; {active} leases are active and {revoking} are being ended; those that are due end at once"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn exactly_one_thing_is_revoked() {
        let id = "01JBX7K2M9P4QRSTVWXYZ01234";
        for (line, usable) in [
            (format!("revoke {id}"), true),
            ("revoke --backend db --yes".to_owned(), true),
            ("revoke --prefix db/reader --dry-run".to_owned(), true),
            ("revoke --everything".to_owned(), true),
            ("revoke --token -".to_owned(), true),
            ("revoke".to_owned(), false),
            ("revoke --yes".to_owned(), false),
            (format!("revoke {id} --everything"), false),
            ("revoke --backend db --principal ci/a".to_owned(), false),
            ("revoke everything".to_owned(), false),
            (format!("revoke --carrier {id}"), true),
            (format!("ls --carrier {id}"), true),
            ("ls --damaged --limit 5".to_owned(), true),
            ("ls --damaged --backend db".to_owned(), false),
            ("ls --damaged --state active".to_owned(), false),
            (format!("force {id}"), false),
            (format!("force {id} --reason gone"), true),
        ] {
            let words = format!("symbolon lease {line}");
            assert_eq!(Cli::try_parse_from(words.split(' ')).is_ok(), usable, "{line}");
        }
    }

    #[test]
    fn a_page_is_asked_for_with_its_scope() {
        let args = LsArgs {
            scope: Scope {
                prefix: None,
                backend: None,
                principal: Some("ci/repo:acme/pay".to_owned()),
                issuer: None,
                carrier: None,
            },
            damaged: false,
            state: Some("active".to_owned()),
            limit: 100,
            after: None,
            gateway: SocketArgs { socket: None, config: None },
        };
        assert_eq!(
            page_of(&args, 7, Some("01JB")),
            "/v1/leases?limit=7&scope=principal%3Aci%2Frepo%3Aacme%2Fpay&state=active&after=01JB"
        );
        let of = |prefix: &str| Scope { prefix: Some(prefix.to_owned()), ..no_scope() };
        assert_eq!(of("everything").text().as_deref(), Some("everything/"));
        assert_eq!(of("db/reader").text().as_deref(), Some("db/reader"));
        assert_eq!(no_scope().text(), None);
    }

    fn no_scope() -> Scope {
        Scope { prefix: None, backend: None, principal: None, issuer: None, carrier: None }
    }

    #[test]
    fn what_is_confirmed_says_how_many() {
        let counted = json!({ "scope": "db/", "would_end": 12 });
        assert_eq!(ending(&counted), "this ends 12 leases (db/)");
        let status = json!({ "counts": { "active": 3, "revoking": 1 } });
        assert!(resuming("restored", &status).contains("3 leases are active"));
    }
}
