//! The demonstration: what the gateway is for, in three steps over the real listener.
//!
//! A secret is read, another is denied and the denial explained, and the audit log of both is
//! verified. Each step checks what it shows, so that the demonstration fails when the gateway does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::Value;
use symbolon_core::ask::Ask;
use symbolon_core::audit::Verdict;
use symbolon_core::id::{BackendName, IssuerAlias};
use symbolon_core::path::SecretPath;
use symbolon_core::policy::Circumstances;
use symbolon_core::principal::{Attribute, Binding, Identity, Subject};
use symbolon_host::egress::{
    ClientLimits, EgressClient, FetchLimits, Grant, Methods, Network, Reach, Trust,
};

use super::dev::Kit;
use super::foundation::read_anchor;
use super::{App, StartError};
use crate::audit::{files_in_order, verify_files};

const WORKLOAD: &str = "workload/shop";

/// Says a line to whoever watches.
type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Runs the demonstration against the gateway at `address`.
pub(super) async fn demo(
    app: &Arc<App>,
    kit: &Kit,
    address: SocketAddr,
    say: Say<'_>,
) -> Result<(), StartError> {
    let client = Visitor::new(kit, address)?;
    let token = kit.token(WORKLOAD, app.foundation.clock.now())?;
    let token = token.expose_str().unwrap_or_default();
    say("Symbolon, in three steps. A gateway runs on this machine with a temporary store.\n");
    Box::pin(read(&client, token, say)).await?;
    let request_id = Box::pin(denied(&client, token, say)).await?;
    explain(app, say)?;
    Box::pin(audit(app, &request_id, say)).await
}

async fn read(client: &Visitor, token: &str, say: Say<'_>) -> Result<(), StartError> {
    say("1. A workload shows its platform's token and reads the secret it may have:");
    say("   GET /v1/secrets/demo/shop/greeting");
    let (status, body) = client.ask("/v1/secrets/demo/shop/greeting", token).await?;
    let value = body.get("value").and_then(Value::as_str).unwrap_or_default();
    expect(status == StatusCode::OK && value == "hello from the other side", "the read")?;
    say(&format!("   {status}: {value:?}"));
    say("   Its signature was checked, a policy permitted it, a sandboxed component answered.\n");
    Ok(())
}

async fn denied(client: &Visitor, token: &str, say: Say<'_>) -> Result<String, StartError> {
    say("2. The same workload asks for what no policy gives it:");
    say("   GET /v1/secrets/demo/bank/master-key");
    let (status, body) = client.ask("/v1/secrets/demo/bank/master-key", token).await?;
    expect(status == StatusCode::FORBIDDEN && body.get("value").is_none(), "the denial")?;
    let title = body.get("title").and_then(Value::as_str).unwrap_or_default();
    let request_id = body.get("request_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    say(&format!("   {status}: {title:?}, request {request_id}"));
    say("   It learns no more than that: not even whether the secret exists.\n");
    Ok(request_id)
}

/// What `symbolon policy explain` tells the operator, from the same bundle.
fn explain(app: &App, say: Say<'_>) -> Result<(), StartError> {
    say("   The operator may know why (symbolon policy explain):");
    let world = app.line.world.load();
    let issuer = IssuerAlias::parse("dev").map_err(|_| StartError::Interrupted)?;
    let team = Attribute::String("payments".to_owned());
    let subject = Subject {
        identity: Identity { issuer, subject: WORKLOAD.to_owned() },
        profile: "oidc",
        attributes: [("team".to_owned(), team)].into(),
    };
    let backend = BackendName::parse("demo").map_err(|_| StartError::Interrupted)?;
    let path = SecretPath::parse("bank/master-key").map_err(|_| StartError::Interrupted)?;
    let ask = Ask::read(backend, path, None);
    let circumstances =
        Circumstances { now: app.foundation.clock.now(), source_address: Some(LOOPBACK) };
    let explanation =
        world.bundle.explain(&subject, Binding::None, &ask, &circumstances).to_string();
    for line in explanation.lines() {
        say(&format!("   | {line}"));
    }
    say("");
    Ok(())
}

async fn audit(app: &App, request_id: &str, say: Say<'_>) -> Result<(), StartError> {
    say("3. Both are on record, in a chain that shows any change (symbolon audit verify):");
    let anchor = read_anchor(app.foundation.store.as_ref()).await?;
    let directory = &app.config().audit.directory;
    let failed = |source| StartError::Write { path: directory.clone(), source };
    let files = files_in_order(directory).map_err(failed)?;
    let report = verify_files(&files, anchor).map_err(failed)?;
    for line in report.to_string().lines() {
        say(&format!("   | {line}"));
    }
    expect(report.verdict() == Verdict::Intact, "the audit chain")?;
    let text = files.iter().map(std::fs::read_to_string).collect::<Result<String, _>>();
    let text = text.map_err(failed)?;
    let record = text.lines().filter(|line| line.contains(request_id));
    let lines: Vec<_> = record.collect();
    expect(lines.len() == 2, "the record of the denial")?;
    say(
        "   The record of the denial, opened before it was decided and closed before it was answered:",
    );
    for line in lines {
        say(&format!("   | {line}"));
    }
    say("\nThat is all. Try `symbolon dev` for a gateway to play with.");
    Ok(())
}

fn expect(holds: bool, what: &'static str) -> Result<(), StartError> {
    if holds { Ok(()) } else { Err(StartError::Demo(what)) }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A client of the gateway, with the development certificate as its only root.
struct Visitor {
    client: Arc<EgressClient>,
    origin: String,
}

impl Visitor {
    fn new(kit: &Kit, address: SocketAddr) -> Result<Self, StartError> {
        let path = kit.path().join("tls.pem");
        let pem = std::fs::read(&path).map_err(|source| StartError::Write { path, source })?;
        let origin = format!("https://localhost:{}", address.port());
        let grant = || {
            let reach = Reach::parse(&origin)?;
            let methods = Methods::parse(["GET"])?;
            Grant::new(reach, methods).resolve_to(address)
        };
        let grant = grant().map_err(|error| StartError::Collector(error.to_string()))?;
        let grant = grant.trusting(Trust::from_pem(&pem)?);
        let network = Network::system()?;
        let client = EgressClient::new(network, vec![grant], ClientLimits::default());
        Ok(Self { client, origin })
    }

    async fn ask(&self, path: &str, token: &str) -> Result<(StatusCode, Value), StartError> {
        let request = Request::get(format!("{}{path}", self.origin))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Bytes::new())
            .map_err(|_| StartError::Demo("the request"))?;
        let limits = FetchLimits { deadline: Duration::from_secs(10), max_body: 1 << 20 };
        let response: Response<Bytes> = Box::pin(self.client.fetch(request, limits)).await?;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        Ok((response.status(), body))
    }
}
