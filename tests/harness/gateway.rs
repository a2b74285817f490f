//! A whole gateway in this process, with real listeners on free ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use symbolon::app::{App, Bound, Surroundings};
use symbolon::config::Config;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock;
use symbolon_host::egress::{
    ClientIdentity, ClientLimits, EgressClient, FetchLimits, Grant, Methods, Network, Reach, Trust,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Issuer, binary};

/// The gateway's name for itself in every test: the audience of its tokens.
pub const ORIGIN: &str = "https://gw.example.test";

/// Where the built components are, as `cargo xtask test` says.
#[must_use]
pub fn plugins() -> PathBuf {
    let named = symbolon::config::variable("SYMBOLON_PLUGINS").map(PathBuf::from);
    named.expect("SYMBOLON_PLUGINS is set by `cargo xtask test`: run the tests through it")
}

/// What a test wants of its gateway, on top of the least that one needs.
#[derive(Debug, Default)]
pub struct Setup {
    /// More blocks of the configuration: backends, targets, issuers, limits.
    pub blocks: String,
    /// Policies in place of the default, which permits everything to everybody of the issuer.
    pub policies: Option<String>,
    /// A clock in place of the system's.
    pub clock: Option<Arc<dyn Clock>>,
    /// More lines of `[server]`.
    pub server: String,
    /// More lines of `[issuers.test]`.
    pub issuer: String,
    /// More lines of `[policies]`.
    pub decision: String,
    /// More lines of `[audit]`; `directory` is set unless it is among them.
    pub audit: String,
    /// A network in place of the system's: another resolver, other roots.
    pub network: Option<Network>,
    /// A directory of components in place of the built ones.
    pub plugins: Option<PathBuf>,
    /// Lines of `[plugins]` in place of those that let every component there be unsigned.
    pub trust: Option<String>,
}

/// A running gateway with one issuer, `test`.
pub struct Gateway {
    /// The gateway.
    pub app: Arc<App>,
    /// The issuer registered as `test`.
    pub issuer: Issuer,
    /// Its listener.
    pub address: SocketAddr,
    /// Its discovery-only listener, if one was asked for.
    pub discovery: Option<SocketAddr>,
    /// Its directory: configuration, store, audit log, `tls.pem`.
    pub directory: TempDir,
    clock: Arc<dyn Clock>,
    client: Arc<EgressClient>,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

/// An answer of the gateway.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as JSON; null if it is none.
    pub json: Value,
    /// The body.
    pub body: Bytes,
}

impl Gateway {
    /// Starts a gateway. Its issuer's keys are in the configuration; attribute `team` is mapped.
    pub async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::start_in(directory, Issuer::new("https://idp.example.test"), setup).await
    }

    /// Starts a gateway in a directory that may hold the state of an earlier one.
    pub async fn start_in(directory: TempDir, issuer: Issuer, setup: Setup) -> Self {
        let clock: Arc<dyn Clock> = match &setup.clock {
            Some(clock) => clock.clone(),
            None => Arc::new(SystemClock::start()),
        };
        let file = lay_out(directory.path(), &issuer, &setup);
        let config = Config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
        let network = setup.network.unwrap_or_else(|| Network::system().expect("roots"));
        let surroundings = Surroundings { clock: clock.clone(), network, compiler: binary() };
        let bound = Box::pin(Bound::start(config, surroundings)).await;
        let bound = bound.unwrap_or_else(|error| panic!("{}", symbolon::app::chain(&error)));
        let address = *bound.addresses().first().expect("a listener");
        let discovery = bound.discovery_addresses().first().copied();
        let app = bound.app.clone();
        let stop = CancellationToken::new();
        let running = Some(tokio::spawn(bound.run(stop.clone())));
        let client = client(directory.path(), address);
        Self { app, issuer, address, discovery, directory, clock, client, stop, running }
    }

    /// A good token for `subject`.
    #[must_use]
    pub fn token(&self, subject: &str) -> String {
        let claims = self.issuer.claims(subject, ORIGIN, self.clock.now().seconds());
        self.issuer.token_of(&Issuer::header(), &claims)
    }

    /// Asks with a bearer token, over TLS.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, Some(token), Bytes::new()).await
    }

    /// Asks anything, over TLS.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Answer {
        self.ask_with(&self.client, (method, path), token, body).await
    }

    /// Asks as [`Gateway::ask`] does, through another client of this gateway.
    pub async fn ask_with(
        &self,
        client: &Arc<EgressClient>,
        asked: (Method, &str),
        token: Option<&str>,
        body: Bytes,
    ) -> Answer {
        self.send(client, asked, &bearer(token), body).await
    }

    /// Asks with any `Authorization`.
    pub async fn ask_as(&self, path: &str, authorization: &str) -> Answer {
        let headers = [(header::AUTHORIZATION, authorization.to_owned())];
        self.send(&self.client, (Method::GET, path), &headers, Bytes::new()).await
    }

    async fn send(
        &self,
        client: &Arc<EgressClient>,
        (method, path): (Method, &str),
        headers: &[(header::HeaderName, String)],
        body: Bytes,
    ) -> Answer {
        let url = format!("https://localhost:{}{path}", self.address.port());
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).expect("a request");
        let limits = FetchLimits { deadline: Duration::from_secs(60), max_body: 16 << 20 };
        let response = Box::pin(client.fetch(request, limits)).await.expect("an answer");
        let (head, body) = response.into_parts();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: head.status, headers: head.headers, json, body }
    }

    /// Posts a form, over TLS; with a bearer token, if one is given.
    pub async fn form(&self, path: &str, token: Option<&str>, form: &[(&str, &str)]) -> Answer {
        let encoded = form.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = Bytes::from(encoded.collect::<Vec<_>>().join("&"));
        let mut headers = bearer(token);
        let kind = "application/x-www-form-urlencoded".to_owned();
        headers.push((header::CONTENT_TYPE, kind));
        self.send(&self.client, (Method::POST, path), &headers, body).await
    }

    /// The whole lines of the audit log so far, as JSON. A last one without its end is being written
    /// just now, and nobody has an answer for it yet.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let directory = self.app.config().audit.directory.clone();
        let files = symbolon::audit::files_in_order(&directory).expect("the log");
        let text = files.iter().map(|file| std::fs::read_to_string(file).expect("a file"));
        let text = text.collect::<String>();
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line")).collect()
    }

    /// The closing line of the request that `answer` names.
    #[must_use]
    pub fn closing(&self, answer: &Answer) -> Value {
        let id = answer.headers.get("x-request-id").expect("a request id").to_str().expect("text");
        let is_it = |line: &Value| line["kind"] == "request.close" && line["request"] == id;
        self.audit().into_iter().find(is_it).unwrap_or_else(|| panic!("no closing of {id}"))
    }

    /// The metrics page.
    #[must_use]
    pub fn metrics(&self) -> String {
        String::from_utf8(self.app.foundation.telemetry.page()).expect("text")
    }

    /// Drains and stops; gives the directory back, for another start.
    pub async fn stop(mut self) -> (TempDir, Issuer) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.await.expect("an orderly end");
        }
        (self.directory, self.issuer)
    }
}

fn bearer(token: Option<&str>) -> Vec<(header::HeaderName, String)> {
    token.map(|token| (header::AUTHORIZATION, format!("Bearer {token}"))).into_iter().collect()
}

/// Every byte that is not a letter or a digit, escaped.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Everything permitted to everybody: for tests that are about something else.
const PERMIT_ALL: &str = r#"@id("test-permits-all")
permit (principal in Issuer::"test", action, resource);
"#;

/// Writes everything that a gateway needs to start and answers its configuration file.
#[must_use]
pub fn lay_out(directory: &Path, issuer: &Issuer, setup: &Setup) -> PathBuf {
    let tls = directory.join("tls.pem");
    if !tls.exists() {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(&tls, made.cert.pem()).expect("tls.pem");
        private(&directory.join("tls.key"), &made.signing_key.serialize_pem());
    }
    let policies = setup.policies.as_deref().unwrap_or(PERMIT_ALL);
    std::fs::write(directory.join("test.cedar"), policies).expect("policies");
    let audit = match setup.audit.contains("directory") {
        true => setup.audit.clone(),
        false => format!("directory = \"audit\"\n{}", setup.audit),
    };
    let components = setup.plugins.clone().unwrap_or_else(plugins);
    let text = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
public_origin = "{ORIGIN}"
tls = {{ certificate = "tls.pem", key = "file:tls.key" }}
{server}

[store]
path = "store"
cache = "16MiB"

[seal]
key = "file:seal.key"

[audit]
reserve = "1MiB"
{audit}

[admin]
socket = "admin.sock"

[plugins]
directory = "{plugins}"
{trust}

[policies]
files = ["test.cedar"]
{decision}

[issuers.test]
issuer = "{issuer}"
keys = {{ inline = {keys} }}
{issuer_lines}

[issuers.test.attributes]
team = {{ claim = "/team", type = "string" }}

{blocks}
"#,
        server = setup.server,
        decision = setup.decision,
        plugins = components.display(),
        trust = setup.trust.clone().unwrap_or_else(|| unsigned(&components)),
        issuer = issuer.name,
        keys = issuer.inline(),
        issuer_lines = setup.issuer,
        blocks = setup.blocks,
    );
    let file = directory.join("symbolon.toml");
    std::fs::write(&file, text).expect("symbolon.toml");
    file
}

/// The line that lets every component of a directory be unsigned: as built here, each file has the
/// name of its plugin.
#[must_use]
pub fn unsigned(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).map(|files| files.filter_map(Result::ok));
    let paths = files.into_iter().flatten().map(|file| file.path());
    let built = paths.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let names = built.filter_map(|path| Some(format!("{:?}", path.file_stem()?)));
    format!("unsigned = [{}]", names.collect::<Vec<_>>().join(", "))
}

/// Writes a file that only its owner can read.
pub fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// A client of the gateway at `address` whose certificate is in `directory`.
#[must_use]
pub fn client(directory: &Path, address: SocketAddr) -> Arc<EgressClient> {
    client_as(directory, address, None)
}

/// A client of the gateway that shows a certificate: chain and key in one PEM.
#[must_use]
pub fn certificate_client(gateway: &Gateway, pem: &str) -> Arc<EgressClient> {
    let key = symbolon_core::secret::Secret::from(pem.to_owned());
    let identity = ClientIdentity::from_pem(pem.as_bytes(), &key).expect("a chain and its key");
    client_as(gateway.directory.path(), gateway.address, Some(Arc::new(identity)))
}

fn client_as(
    directory: &Path,
    address: SocketAddr,
    identity: Option<Arc<ClientIdentity>>,
) -> Arc<EgressClient> {
    let pem = std::fs::read(directory.join("tls.pem")).expect("tls.pem");
    let reach = Reach::parse(&format!("https://localhost:{}", address.port())).expect("a reach");
    let methods = Methods::parse(["GET", "POST", "PUT", "DELETE"]).expect("methods");
    let grant = Grant::new(reach, methods).resolve_to(address).expect("an address");
    let mut grant = grant.trusting(Trust::from_pem(&pem).expect("roots"));
    if let Some(identity) = identity {
        grant = grant.presenting(identity);
    }
    let limits = ClientLimits { exchanges: 512, connections: 512, ..ClientLimits::default() };
    EgressClient::new(Network::system().expect("roots"), vec![grant], limits)
}
