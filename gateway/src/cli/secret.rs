//! `symbolon secret get`: a read, as a workload makes it.

use symbolon_client::SecretAnswer;
use symbolon_core::ask::Version;
use symbolon_core::field::Field;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;

use super::face::FaceArgs;
use super::failure::Failure;
use super::output::{self, Form};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read one secret; its bytes go to standard output as they are
    ///
    /// The platform token comes from --token-file, SYMBOLON_TOKEN, SYMBOLON_TOKEN_FILE or
    /// /var/run/secrets/symbolon/token, in this order.
    #[command(after_help = "Examples:
  symbolon secret get kv prod/db --url https://gateway.example.com
  symbolon secret get kv prod/db --field password
  symbolon secret get kv prod/db --field /tls/key
  symbolon secret get billing db-password
  symbolon secret get kv prod/db --version 3 --output json
  SYMBOLON_URL=https://gateway.example.com symbolon secret get kv prod/db --token-file token.jwt")]
    Get(Box<GetArgs>),
}

#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct GetArgs {
    /// The backend, or the first word of an alias
    backend: BackendName,
    /// The path of the secret there, or the rest of the alias
    path: String,
    /// Only this field: a name where the secret is a map, or a JSON pointer, of which only the part leaves the gateway
    #[arg(long, short, value_name = "FIELD")]
    field: Option<String>,
    /// Only this version, where the backend has versions
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    face: FaceArgs,
}

pub(super) async fn run(command: Command, form: Option<Form>) -> Result<(), Failure> {
    match command {
        Command::Get(args) => get(*args, form).await,
    }
}

async fn get(args: GetArgs, form: Option<Form>) -> Result<(), Failure> {
    let path = SecretPath::parse(&args.path).map_err(|error| Failure::of(&error))?;
    let version = args.version.as_deref().map(Version::parse).transpose();
    let version = version.map_err(|error| Failure::of(&error))?;
    let (gateway, token) = args.face.open()?;
    let (pointer, name) = match args.field {
        Some(field) if field.starts_with('/') => {
            (Some(Field::parse(&field).map_err(|error| Failure::of(&error))?), None)
        }
        name => (None, name),
    };
    let part = (version.as_ref(), pointer.as_ref());
    let answer = gateway.read_secret(&token, &args.backend, &path, part).await?;
    match (name, form) {
        (Some(field), _) => show_field(&answer, &field),
        (None, Some(Form::Json)) => output::bytes(answer.json.expose()),
        (None, Some(Form::Table) | None) => output::bytes(answer.value.expose()),
    }
}

fn show_field(answer: &SecretAnswer, field: &str) -> Result<(), Failure> {
    match answer.fields.get(field) {
        Some(value) => output::bytes(value.expose()),
        None => Err(no_field(field, answer.fields.keys())),
    }
}

/// What there is instead.
pub(super) fn no_field<'a>(field: &str, names: impl Iterator<Item = &'a String>) -> Failure {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let help = match names.is_empty() {
        true => "it has no fields; leave --field out".to_owned(),
        false => format!("its fields: {}", names.join(", ")),
    };
    Failure::new(format!("there is no field `{field}`")).with_help(help)
}
