//! Commands to a running gateway, over its admin socket.

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};
use symbolon_client::Admin;

use super::SocketArgs;
use super::failure::Failure;
use super::output::{self, Form};
use crate::config::{ADMIN_SOCKET, Config};

/// To whom something applies.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct WhomArgs {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    gateway: SocketArgs,
}

#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// One principal
    #[arg(long, value_name = "ISSUER/SUBJECT")]
    principal: Option<String>,
    /// Every principal of one issuer
    #[arg(long, value_name = "ALIAS")]
    issuer: Option<String>,
    /// Everybody
    #[arg(long)]
    everybody: bool,
}

/// What `symbolon lock` takes: nobody to show the locks, or somebody to lock.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct LockArgs {
    /// One principal
    #[arg(long, value_name = "ISSUER/SUBJECT", conflicts_with = "issuer")]
    principal: Option<String>,
    /// Every principal of one issuer
    #[arg(long, value_name = "ALIAS")]
    issuer: Option<String>,
    #[command(flatten)]
    gateway: SocketArgs,
}

impl Whom {
    fn to_json(&self) -> Value {
        match (&self.principal, &self.issuer) {
            (Some(principal), _) => json!({ "principal": principal }),
            (None, Some(issuer)) => json!({ "issuer": issuer }),
            (None, None) => json!({ "everybody": self.everybody }),
        }
    }
}

impl SocketArgs {
    /// The gateway that is meant.
    pub(super) fn admin(&self) -> Result<Admin, Failure> {
        let socket = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(file)) => Config::load(file)?.admin.socket,
            (None, None) => PathBuf::from(ADMIN_SOCKET),
        };
        Ok(Admin::at(socket))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(self.admin()?.call(Method::GET, path, None).await?)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        Ok(self.admin()?.call(Method::POST, path, Some(body)).await?)
    }
}

pub(super) async fn reload(args: &SocketArgs, form: Form) -> Result<(), Failure> {
    let answer = args.post("/v1/reload", &json!({})).await?;
    if form == Form::Json {
        return output::value(&answer, form, &[]);
    }
    let changes = answer.get("changes").and_then(Value::as_array);
    match changes.map_or(0, Vec::len) {
        0 => output::line("reloaded; no key changed")?,
        number => output::line(&format!("reloaded; {number} keys changed"))?,
    }
    changes.into_iter().flatten().filter_map(Value::as_str).try_for_each(output::line)?;
    let plugins = answer.get("plugins").and_then(Value::as_object);
    let line = |(backend, outcome): (&String, &Value)| {
        output::line(&format!("{backend}: {}", outcome.as_str().unwrap_or_default()))
    };
    plugins.into_iter().flatten().try_for_each(line)
}

pub(super) async fn status(args: &SocketArgs, form: Form) -> Result<(), Failure> {
    output::value(
        &args.get("/v1/status").await?,
        form,
        &["backend", "reason", "kind", "id", "stage"],
    )
}

pub(super) async fn metrics(args: &SocketArgs) -> Result<(), Failure> {
    output::bytes(&args.admin()?.metrics().await?)
}

pub(super) async fn lock(args: &LockArgs, form: Form) -> Result<(), Failure> {
    let body = match (&args.principal, &args.issuer) {
        (None, None) => {
            let locks = args.gateway.get("/v1/locks").await?;
            return output::value(&locks, form, &["principal", "issuer", "locked_at"]);
        }
        (Some(principal), _) => json!({ "principal": principal }),
        (None, Some(issuer)) => json!({ "issuer": issuer }),
    };
    output::value(&args.gateway.post("/v1/locks", &body).await?, form, &[])
}

pub(super) async fn unlock(args: &WhomArgs, form: Form) -> Result<(), Failure> {
    let body = args.whom.to_json();
    let answer = args.gateway.admin()?.call(Method::DELETE, "/v1/locks", Some(&body)).await?;
    output::value(&answer, form, &[])
}

pub(super) async fn revoke_sessions(args: &WhomArgs, form: Form) -> Result<(), Failure> {
    let answer = args.gateway.post("/v1/sessions:revoke", &args.whom.to_json()).await?;
    output::value(&answer, form, &[])
}

pub(super) async fn rotate_keys(args: &SocketArgs, form: Form) -> Result<(), Failure> {
    output::value(&args.post("/v1/keys:rotate", &json!({})).await?, form, &[])
}
