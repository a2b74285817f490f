//! `symbolon plugin run`: a development gateway for a plugin that is being written.
//!
//! The gateway is that of [`super::dev`]; its one backend or target is the plugin's. Whoever calls says
//! when the plugin has changed, and what it is now. What was built is put in force by a reload, as an
//! operator does it, so that what a vendor sees here is what an operator will see: a component that is
//! refused is told with the reason, and the one before goes on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::PluginName;
use tokio_util::sync::CancellationToken;

use super::dev::{Kit, Scene};
use super::{App, Signals, StartError, chain};
use crate::time::SystemClock;

/// How often the project is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A plugin, as it is now.
#[derive(Debug)]
pub struct Draft {
    /// Its name, and that of its backend or target.
    pub name: PluginName,
    /// Where its component is, alone.
    pub plugins: PathBuf,
    /// The backend or target, as the configuration has it.
    pub blocks: String,
    /// What can be asked of it.
    pub face: Face,
}

/// How callers come by what a plugin has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Face {
    /// They read.
    Secrets,
    /// They ask for a credential of this role.
    Credentials(String),
    /// They exchange their token.
    Target,
}

/// Looks whether the plugin has changed, and makes it again; blocks as long as that takes. `None`:
/// nothing has changed. An error is for the vendor to read.
pub type Look = Box<dyn FnMut() -> Option<Result<Draft, String>> + Send>;

/// Runs the gateway until SIGINT or SIGTERM.
///
/// # Errors
/// [`StartError`] if it does not start.
pub async fn workbench(
    (draft, look): (Draft, Look),
    listen: SocketAddr,
    mut signals: Signals,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let kit = Kit::lay_out(&draft.scene(), listen)?;
    let Some(bound) = Box::pin(kit.open(clock.clone(), &mut signals)).await? else {
        return Ok(());
    };
    let address = bound.addresses().first().copied().unwrap_or(listen);
    let (app, stop) = (bound.app.clone(), CancellationToken::new());
    let serving = bound.run(stop.clone());
    let visit = async {
        for degraded in app.degraded() {
            let said = |key| degraded.get(key).and_then(Value::as_str).unwrap_or_default();
            say(&format!("degraded: {}: {}", said("backend"), said("reason")));
        }
        let welcomed = draft.welcome(&kit, address, clock.now()).map(|text| say(&text));
        if welcomed.is_ok() {
            tokio::select! {
                () = follow(&app, &kit, (look, listen), say) => {}
                () = signals.stop() => {}
            }
        }
        stop.cancel();
        welcomed
    };
    let ((), result) = tokio::join!(Box::pin(serving), Box::pin(visit));
    result
}

/// Puts in force what the project becomes, for as long as somebody looks.
async fn follow(
    app: &App,
    kit: &Kit,
    (mut look, listen): (Look, SocketAddr),
    say: &mut (dyn FnMut(&str) + Send),
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = tokio::task::spawn_blocking(move || {
            let seen = look();
            (look, seen)
        });
        let Ok((back, seen)) = looked.await else { return };
        look = back;
        match seen {
            None => {}
            Some(Err(fault)) => say(&format!("not built, the one before goes on: {fault}")),
            Some(Ok(draft)) => say(&take_up(app, kit, &draft, listen).await),
        }
    }
}

/// What became of the new component, in words.
async fn take_up(app: &App, kit: &Kit, draft: &Draft, listen: SocketAddr) -> String {
    let reloaded = match kit.configure(&draft.scene(), listen) {
        Ok(()) => Box::pin(app.reload()).await,
        Err(error) => Err(error),
    };
    match reloaded {
        Ok(reloaded) => {
            let outcomes = reloaded.plugins.iter();
            let lines: Vec<_> =
                outcomes.map(|(name, became)| format!("{name}: {became}")).collect();
            lines.join("\n")
        }
        Err(error) => format!("not taken, the one before goes on: {}", chain(&error)),
    }
}

impl Draft {
    fn scene(&self) -> Scene {
        let name = self.name.as_str();
        let resource = match self.face {
            Face::Secrets | Face::Credentials(_) => format!("resource in Backend::\"{name}\""),
            Face::Target => format!("resource == Target::\"{name}\""),
        };
        Scene {
            plugins: self.plugins.clone(),
            unsigned: name.to_owned(),
            blocks: self.blocks.clone(),
            policy: format!(
                "@id(\"whoever-develops\")\npermit (principal in Issuer::\"dev\", action, {resource});\n"
            ),
        }
    }

    fn welcome(
        &self,
        kit: &Kit,
        address: SocketAddr,
        now: Timestamp,
    ) -> Result<String, StartError> {
        let token = kit.token("workload/shop", now)?;
        let token = token.expose_str().unwrap_or_default();
        let (directory, name) = (kit.path().display(), &self.name);
        let bearer = format!("-H 'Authorization: Bearer {token}'");
        let (path, rest) = match &self.face {
            Face::Secrets => (format!("v1/secrets/{name}/PATH"), bearer),
            Face::Credentials(role) => {
                (format!("v1/credentials/{name}/{role}"), format!("-X POST {bearer}"))
            }
            Face::Target => ("oauth2/token".to_owned(), exchange(name.as_str(), token)),
        };
        Ok(format!(
            "A gateway with {name} listens on https://{address}\n  \
             its configuration, store and audit log: {directory}\n\n\
             Ask it, for an hour:\n\n\
             curl --cacert {directory}/tls.pem https://localhost:{}/{path} \\\n  {rest}\n\n\
             How it is:  symbolon backend probe {name} --socket {directory}/admin.sock\n\
             When a file of the project changes, it is built and loaded again. End it with Ctrl-C.\n",
            address.port()
        ))
    }
}

fn exchange(name: &str, token: &str) -> String {
    format!(
        "-d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\\n  \
         -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \\\n  \
         -d audience={name} -d subject_token={token}"
    )
}
