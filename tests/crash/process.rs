//! A gateway in a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock as _;
use symbolon_host::egress::{EgressClient, EgressError, FetchLimits};
use symbolon_tests::harness::{Issuer, ORIGIN, Setup, client, lay_out};
use tempfile::TempDir;

/// Longest that a start, an end or a line of the log is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// The binary that `cargo xtask test` names, or the one beside the tests.
fn binary() -> PathBuf {
    let beside = || {
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().parent().unwrap().join("symbolon")
    };
    let binary = symbolon::config::variable("SYMBOLON_BIN").map_or_else(beside, PathBuf::from);
    assert!(binary.exists(), "{} is not built: run through `cargo xtask test`", binary.display());
    binary
}

/// What outlives each process: configuration, store, audit log.
pub(crate) struct Home {
    directory: TempDir,
    issuer: Issuer,
    address: SocketAddr,
}

impl Home {
    /// A directory with the backend `demo`, and more `blocks` of the configuration.
    pub(crate) fn new(blocks: &str) -> Self {
        Self::serving(blocks, "")
    }

    /// The same, with more lines of `[server]`.
    pub(crate) fn serving(blocks: &str, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let issuer = Issuer::new("https://idp.example.test");
        let demo = "[backends.demo]\nplugin = \"static\"\nconfig = { secrets = { \"app/text\" = \"plain\" } }\n";
        let rate = "{ rate = 1000000, burst = 1000000 }";
        let limits = format!("[limits]\nper_principal = {rate}\nper_issuer = {rate}\n");
        let blocks = format!("{limits}{demo}{blocks}");
        let setup = Setup { blocks, server: server.to_owned(), ..Setup::default() };
        let file = lay_out(directory.path(), &issuer, &setup);
        // A port that was free a moment ago: the address has to be known before the process is.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:0", &address.to_string())).unwrap();
        Self { directory, issuer, address }
    }

    /// Runs a command of the binary against the admin socket, to its end.
    pub(crate) async fn command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(binary());
        command.args(arguments).arg("--socket").arg(self.path().join("admin.sock"));
        command.kill_on_drop(true).stdin(Stdio::null()).output().await.unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A good token.
    pub(crate) fn token(&self) -> String {
        let now = SystemClock::start().now().seconds();
        self.issuer.token_of(&Issuer::header(), &self.issuer.claims("alice", ORIGIN, now))
    }

    /// Starts the binary and waits until it is ready.
    pub(crate) async fn start(&self) -> Running {
        let mut running = self.spawn();
        running.ready().await;
        running
    }

    /// Starts the binary and waits for nothing.
    pub(crate) fn spawn(&self) -> Running {
        self.spawn_with(&[])
    }

    /// The same with more variables in its environment.
    pub(crate) fn spawn_with(&self, environment: &[(&str, &str)]) -> Running {
        let log = self.path().join("log");
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(self.path().join("symbolon.toml"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let home = self.path().to_owned();
        Running { child, address: self.address, home, log }
    }
}

/// One process; killed if it is dropped.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
    home: PathBuf,
    log: PathBuf,
}

/// One client with connections of its own.
#[derive(Clone)]
pub(crate) struct Client {
    client: Arc<EgressClient>,
    port: u16,
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client { client: client(&self.home, self.address), port: self.address.port() }
    }

    /// The same: each call makes a client without connections.
    pub(crate) fn fresh_client(&self) -> Client {
        self.client()
    }

    pub(crate) async fn read(
        &self,
        token: &str,
        secret: &str,
    ) -> Result<(u16, String, String), EgressError> {
        self.client().read(token, secret).await
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        let ready = async {
            while !self.is_ready().await {
                assert!(self.is_running(), "{}", self.log());
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
    }

    async fn is_ready(&self) -> bool {
        let answer = self.client().get("/readyz", None).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// The memory that it has, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }

    /// Asks it to stop and sees that it does so in order.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has written `text`.
    pub(crate) async fn logged(&self, text: &str) {
        let logged = async {
            while !self.log().contains(text) {
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::time::timeout(PATIENCE, logged).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    /// Status, request id and value.
    pub(crate) async fn read(
        &self,
        token: &str,
        secret: &str,
    ) -> Result<(u16, String, String), EgressError> {
        let answer = self.get(&format!("/v1/secrets/{secret}"), Some(token)).await?;
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        let value = body["value"].as_str().unwrap_or_default().to_owned();
        Ok((answer.status().as_u16(), id, value))
    }

    /// Asks anything; status and JSON.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<(u16, Value), EgressError> {
        let url = format!("https://localhost:{}{path}", self.port);
        let request = Request::builder().method(method).uri(url);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let limits = FetchLimits { deadline: Duration::from_secs(30), max_body: 1 << 20 };
        let answer = Box::pin(self.client.fetch(request, limits)).await?;
        let json = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok((answer.status().as_u16(), json))
    }

    async fn get(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Result<http::Response<Bytes>, EgressError> {
        let url = format!("https://localhost:{}{path}", self.port);
        let mut request = Request::builder().uri(url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let limits = FetchLimits { deadline: Duration::from_secs(30), max_body: 1 << 20 };
        Box::pin(self.client.fetch(request.body(Bytes::new()).unwrap(), limits)).await
    }
}
