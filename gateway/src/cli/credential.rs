//! `symbolon credential`: credentials that end, as a workload gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_client::{CredentialAnswer, TokenType};
use symbolon_core::clock::Clock as _;
use symbolon_core::id::{BackendName, LeaseId, RoleName, TargetName};
use symbolon_core::secret::Secret;
use zeroize::Zeroizing;

use super::face::FaceArgs;
use super::failure::Failure;
use super::output::{self, Form};
use super::secret::no_field;
use super::sidecar::{self, ServeArgs};
use crate::time::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Get a credential of a role; it ends with its lease
    ///
    /// The platform token comes from --token-file, SYMBOLON_TOKEN, SYMBOLON_TOKEN_FILE or
    /// /var/run/secrets/symbolon/token, in this order. The fields go to standard output, the lease to
    /// standard error.
    #[command(after_help = "Examples:
  symbolon credential get db reader --url https://gateway.example.com
  symbolon credential get db reader --ttl 10m --output json
  symbolon credential get db reader --field password")]
    Get(Box<GetArgs>),
    /// Print keys of AWS as `credential_process` takes them
    ///
    /// In ~/.aws/config:
    ///
    ///   [profile deploy]
    ///   credential_process = symbolon credential aws aws-deploy --url https://gateway.example.com
    ///
    /// Nothing else goes to standard output; what fails goes to standard error, with a code that is not
    /// 0. The platform token is found as for `get`.
    #[command(
        verbatim_doc_comment,
        after_help = "Examples:
  symbolon credential aws aws-deploy --url https://gateway.example.com"
    )]
    Aws {
        /// The target
        target: TargetName,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Print a subject token as Google's `external_account` takes it of an executable
    ///
    /// The target delivers its assertions (`assertion = "deliver"`). The libraries run it only with
    /// GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1; `symbolon target configure` prints the rest.
    #[command(after_help = "Examples:
  symbolon credential google gcp-deploy --url https://gateway.example.com")]
    Google {
        /// The target
        target: TargetName,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Serve tokens of targets on loopback, as the libraries of clouds ask for them
    ///
    /// /credentials/TARGET has keys of AWS as containers get them, or a bearer token;
    /// /assertions/TARGET a subject token for Google's `external_account`. The lines for the environment
    /// are printed. Who asks shows the token of the authorization file.
    #[command(after_help = "Examples:
  symbolon credential serve aws-deploy --url https://gateway.example.com
  symbolon credential serve aws-deploy --listen 127.0.0.1:9911 --authorization-file ./authorization
  symbolon credential serve --assertion-file azure-deploy=/run/azure/token")]
    Serve(Box<ServeArgs>),
    /// The leases of whoever asks
    #[command(after_help = "Examples:
  symbolon credential ls --url https://gateway.example.com")]
    Ls(FaceArgs),
    /// Extend a lease of one's own
    #[command(after_help = "Examples:
  symbolon credential renew 01JBX7K2M9P4QRSTVWXYZ01234 --ttl 10m")]
    Renew {
        /// The lease
        #[arg(value_parser = LeaseId::parse)]
        id: LeaseId,
        /// How long it is to last from now [default: as the role says]
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        ttl: Option<Duration>,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// End a lease of one's own
    #[command(after_help = "Examples:
  symbolon credential revoke 01JBX7K2M9P4QRSTVWXYZ01234")]
    Revoke {
        /// The lease
        #[arg(value_parser = LeaseId::parse)]
        id: LeaseId,
        #[command(flatten)]
        face: FaceArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct GetArgs {
    /// The backend
    backend: BackendName,
    /// The role there
    role: RoleName,
    /// How long it is to last [default: as the role says]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Only this field
    #[arg(long, short, value_name = "FIELD")]
    field: Option<String>,
    #[command(flatten)]
    face: FaceArgs,
}

pub(super) async fn run(command: Command, form: Option<Form>) -> Result<(), Failure> {
    let shown = form.unwrap_or(Form::Table);
    match command {
        Command::Get(args) => get(*args, form).await,
        Command::Aws { target, face } => aws(&target, face).await,
        Command::Google { target, face } => google(&target, face).await,
        Command::Serve(args) => sidecar::serve(*args, shown).await,
        Command::Ls(face) => list(face, shown).await,
        Command::Renew { id, ttl, face } => {
            let (gateway, token) = face.open()?;
            output::value(&json!(gateway.renew_lease(&token, id, ttl).await?), shown, &[])
        }
        Command::Revoke { id, face } => {
            let (gateway, token) = face.open()?;
            output::value(&json!(gateway.revoke_lease(&token, id).await?), shown, &[])
        }
    }
}

async fn get(args: GetArgs, form: Option<Form>) -> Result<(), Failure> {
    let (gateway, token) = args.face.open()?;
    let answer = gateway.issue_credential(&token, (&args.backend, &args.role), args.ttl).await?;
    match (args.field, form) {
        (Some(field), _) => show_field(&answer, &field),
        (None, Some(Form::Json)) => output::bytes(answer.json.expose()),
        (None, Some(Form::Table) | None) => {
            let ends = answer.lease.expires_at.as_deref().unwrap_or("unknown");
            output::note(&format!("lease {} ends {ends}", answer.lease.id));
            output::bytes(&lines(&answer.fields))
        }
    }
}

/// The gateway's text is what `credential_process` takes; it is looked at all the same, so that a
/// library is never given anything else.
async fn aws(target: &TargetName, face: FaceArgs) -> Result<(), Failure> {
    let (gateway, token) = face.open()?;
    let answer = gateway.exchange_token(&token, target, None).await?;
    answer.aws().map_err(|why| {
        Failure::new(format!("the token of `{target}` cannot be used: {why}"))
            .with_help("does the target's plugin give keys of AWS?")
    })?;
    output::bytes(answer.token.expose())
}

async fn google(target: &TargetName, face: FaceArgs) -> Result<(), Failure> {
    let (gateway, token) = face.open()?;
    let now = SystemClock::start().now();
    let answer = gateway.exchange_token(&token, target, Some(TokenType::Jwt)).await?;
    let shown = sidecar::subject(&answer, now.plus(answer.lasts)).map_err(Failure::new)?;
    output::bytes(&shown)
}

fn show_field(answer: &CredentialAnswer, field: &str) -> Result<(), Failure> {
    match answer.fields.get(field) {
        Some(value) => output::bytes(value.expose()),
        None => Err(no_field(field, answer.fields.keys())),
    }
}

/// Name and value of each field on a line of their own, in one allocation that is wiped.
fn lines(fields: &BTreeMap<String, Secret>) -> Zeroizing<Vec<u8>> {
    let width = fields.keys().map(String::len).max().unwrap_or(0).saturating_add(2);
    let line = |value: &Secret| value.expose().len().saturating_add(width).saturating_add(1);
    let size = fields.values().map(line).fold(0, usize::saturating_add);
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in fields {
        text.extend_from_slice(format!("{name:<width$}").as_bytes());
        text.extend_from_slice(value.expose());
        text.push(b'\n');
    }
    text
}

async fn list(face: FaceArgs, form: Form) -> Result<(), Failure> {
    let (gateway, token) = face.open()?;
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = gateway.leases(&token, next).await?;
        all.extend(page.leases);
        next = page.next.as_deref().and_then(|id| LeaseId::parse(id).ok());
        if next.is_none() {
            let columns = ["id", "state", "backend", "role", "expires_at", "ends_by"];
            return output::value(
                &Value::Array(all.iter().map(|l| json!(l)).collect()),
                form,
                &columns,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_lines() {
        let field = |name: &str, value: &str| (name.to_owned(), Secret::from(value.to_owned()));
        let fields = BTreeMap::from([field("username", "sy_reader_1"), field("password", "x y")]);
        let text = lines(&fields);
        assert_eq!(text.as_slice(), b"password  x y\nusername  sy_reader_1\n");
        assert_eq!(text.capacity(), text.len());
    }
}
