//! A gateway in a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::{Issuer, ORIGIN, Setup, client, lay_out};
use bytes::Bytes;
use http::{Request, header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock as _;
use symbolon_host::egress::{EgressClient, EgressError, FetchLimits};
use tempfile::TempDir;

/// Longest that a start, an end or a line of the log is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// The resident memory of a process, in KiB.
#[must_use]
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The binary that `cargo xtask test` names, or the one beside the tests.
#[must_use]
pub fn binary() -> PathBuf {
    let beside = || {
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().parent().unwrap().join("symbolon")
    };
    let binary = symbolon::config::variable("SYMBOLON_BIN").map_or_else(beside, PathBuf::from);
    assert!(binary.exists(), "{} is not built: run through `cargo xtask test`", binary.display());
    binary
}

/// What outlives each process: configuration, store, audit log.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
    issuer: Issuer,
    address: SocketAddr,
}

impl Home {
    /// A directory with the backend `demo`, and more `blocks` of the configuration.
    pub fn new(blocks: &str) -> Self {
        Self::serving(blocks, "")
    }

    /// The same, with more lines of `[server]`.
    pub fn serving(blocks: &str, server: &str) -> Self {
        Self::serving_in(tempfile::tempdir().unwrap(), blocks, server)
    }

    /// The same, in this directory.
    pub fn serving_in(directory: TempDir, blocks: &str, server: &str) -> Self {
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
    pub async fn command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(binary());
        command.args(arguments).arg("--socket").arg(self.path().join("admin.sock"));
        command.kill_on_drop(true).stdin(Stdio::null()).output().await.unwrap()
    }

    /// Where everything is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Compiled components are kept from one start to the next, as an operator has it who wants a
    /// restart to be quick.
    #[must_use]
    pub fn cached(self) -> Self {
        let file = self.path().join("symbolon.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("[plugins]\n", "[plugins]\ncache = \"code\"\n"))
            .unwrap();
        self
    }

    /// A copy of the store as it is now, beside it: what a test looks into leaves no trace in what
    /// the next start finds.
    #[must_use]
    pub fn copy_of_store(&self) -> PathBuf {
        let copy = self.path().join("copy-of-store");
        let _ = std::fs::remove_dir_all(&copy);
        let copied =
            Command::new("cp").arg("-a").arg(self.path().join("store")).arg(&copy).status();
        assert!(copied.unwrap().success(), "the store cannot be copied");
        copy
    }

    /// A good token of `alice`.
    #[must_use]
    pub fn token(&self) -> String {
        self.token_of("alice", Duration::ZERO)
    }

    /// A good token of `subject`, for a gateway whose clock is `ahead`.
    #[must_use]
    pub fn token_of(&self, subject: &str, ahead: Duration) -> String {
        let now = SystemClock::start().now().plus(ahead).seconds();
        self.issuer.token_of(&Issuer::header(), &self.issuer.claims(subject, ORIGIN, now))
    }

    /// Starts the binary and waits until it is ready.
    pub async fn start(&self) -> Running {
        let mut running = self.spawn();
        running.ready().await;
        running
    }

    /// Starts the binary and waits for nothing.
    pub fn spawn(&self) -> Running {
        self.spawn_with(&[])
    }

    /// The same with more variables in its environment.
    pub fn spawn_with(&self, environment: &[(&str, &str)]) -> Running {
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
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
    home: PathBuf,
    log: PathBuf,
}

/// One client with connections of its own.
#[derive(Clone, Debug)]
pub struct Client {
    client: Arc<EgressClient>,
    port: u16,
}

impl Running {
    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client { client: client(&self.home, self.address), port: self.address.port() }
    }

    /// The same: each call makes a client without connections.
    pub fn fresh_client(&self) -> Client {
        self.client()
    }

    /// Status, request id and value of a secret.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn read(
        &self,
        token: &str,
        secret: &str,
    ) -> Result<(u16, String, String), EgressError> {
        self.client().read(token, secret).await
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) {
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
    pub fn memory(&self) -> u64 {
        resident(self.child.id())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
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
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has written `text`.
    pub async fn logged(&self, text: &str) {
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
    /// Status, request id and value of a secret.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn read(
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
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn send(
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
