//! A real PostgreSQL on loopback, over TLS, in each version that is supported.
//!
//! Nothing here speaks for the gateway: the administrator's role is made as the documentation tells
//! an operator to make it, and what tests ask, they ask through `psql`.
//!
//! INVARIANT: a server ends with its test, however the test ends: it is told to when it is dropped,
//! and by the kernel if the test's thread dies.

mod client;
mod template;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use client::{Rows, Session};

/// The name in the server's certificate, beside `localhost`; only `resolve` says where that is.
pub const HOST: &str = "db.example.test";
/// The database with tables, and the one that roles of tests may connect to.
pub const DATABASE: &str = "app";
/// Who may do anything. The gateway never knows it.
pub const SUPERUSER: (&str, &str) = ("superuser", "superuser-password");
/// The gateway's login: CREATEROLE, no superuser.
pub const ADMIN: (&str, &str) = ("symbolon", "symbolon-password");

/// How long a server may take to start or end, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);
/// How often another port is tried, if somebody else was faster.
const TRIES: usize = 5;

/// What every test wants, unless it says otherwise: nothing here survives a loss of power, and no
/// test takes the power away.
const SETTINGS: [&str; 11] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "ssl=on",
    "log_statement=all",
    "log_connections=on",
    "log_line_prefix=%m [%p] %u@%d ",
    "max_connections=200",
    "max_prepared_transactions=10",
    "shared_buffers=16MB",
    "fsync=off",
    "jit=off",
];

/// A major version. Their rules for CREATEROLE differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Debian 12's. CREATEROLE is nearly everything.
    V15,
    /// With 16, CREATEROLE reaches only what ADMIN OPTION was given for.
    V18,
}

impl Version {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::V15, Self::V18];

    /// The directory of its programs, as `cargo xtask test` says.
    #[must_use]
    pub fn programs(self) -> PathBuf {
        let variable = match self {
            Self::V15 => "SYMBOLON_PG15",
            Self::V18 => "SYMBOLON_PG18",
        };
        let named = symbolon::config::variable(variable).map(PathBuf::from);
        let missing =
            || panic!("{variable} is not set: `cargo xtask parts` says what it has to be");
        let programs = named.unwrap_or_else(missing);
        let server = programs.join("postgres");
        assert!(server.exists(), "{variable}: {} is not there", server.display());
        programs
    }

    /// One of its programs, as somebody whom it does not refuse to run for, and with its libraries.
    fn program(self, name: &str) -> Command {
        let programs = self.programs();
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=QUIT");
        if let Some(user) = stand_in() {
            let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
            command.args([user, group, "--clear-groups".to_owned()]);
        }
        let libraries = programs.join("../lib");
        if libraries.join("libpq.so.5").exists() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.arg(programs.join(name));
        command
    }
}

/// Whom root lets run a server, since it refuses to run as root: nobody.
fn stand_in() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(65534)
}

/// Makes a file or directory the server's.
fn hand_over(path: &Path) {
    if let Some(user) = stand_in() {
        std::os::unix::fs::chown(path, Some(user), Some(user)).expect("its owner");
    }
}

/// A running server, with the database `app`.
///
/// In it: tables `orders` (three rows, readable by `app_readonly`, writable by `app_readwrite`) and
/// `payments` (readable by neither), the schema `work` in which `app_readwrite` creates, and the role
/// `app_leftovers` to which the administrator can reassign what it finds.
#[derive(Debug)]
pub struct Postgres {
    /// Its version.
    pub version: Version,
    directory: TempDir,
    settings: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    /// Starts one.
    pub async fn start(version: Version) -> Self {
        Self::start_with(version, &[]).await
    }

    /// Starts one with more settings, as `name=value`.
    pub async fn start_with(version: Version, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        hand_over(directory.path());
        template::copy(version, &directory.path().join("data"));
        let settings = SETTINGS.iter().chain(settings).map(|&setting| setting.to_owned()).collect();
        let mut server = Self { version, directory, settings, port: 0, process: None };
        server.certify();
        for _ in 0..TRIES {
            server.port = free_port();
            match server.run().await {
                Ok(()) => return server,
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("PostgreSQL did not start:\n{log}"),
            }
        }
        panic!("no port that stayed free");
    }

    /// Makes its certificate: that of clients in `tls.pem`, its own where it looks for it.
    fn certify(&self) {
        let names = [HOST, "localhost", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        fs::write(self.certificate(), made.cert.pem()).expect("tls.pem");
        let (certificate, key) = (self.data("server.crt"), self.data("server.key"));
        fs::write(&certificate, made.cert.pem()).expect("server.crt");
        super::private(&key, &made.signing_key.serialize_pem());
        hand_over(&key);
        super::private(&self.password_file(), ADMIN.1);
    }

    /// Starts the process; answers the log if that fails.
    async fn run(&mut self) -> Result<(), String> {
        let log = fs::File::options().create(true).append(true).open(self.file("log"));
        let log = log.expect("a log");
        let mut command = self.version.program("postgres");
        command.arg("-D").arg(self.data("")).args(["-p", &self.port.to_string()]);
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        let mut process = command.process_group(0).spawn().expect("setpriv");
        let ready = async {
            while !self.is_ready(process.id()) {
                if process.try_wait().expect("its state").is_some() {
                    return Err(self.log());
                }
                tokio::time::sleep(STEP).await;
            }
            Ok(())
        };
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        self.process = Some(process);
        ready.unwrap_or_else(|_| Err(self.log()))
    }

    /// What the server itself says about it.
    fn is_ready(&self, process: u32) -> bool {
        let state = fs::read_to_string(self.data("postmaster.pid")).unwrap_or_default();
        let lines: Vec<_> = state.lines().map(str::trim).collect();
        lines.first() == Some(&process.to_string().as_str()) && lines.get(7) == Some(&"ready")
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the certificate that clients trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.file("tls.pem")
    }

    /// The file with the administrator's first password.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.file("admin-password")
    }

    /// Everything that it has logged: each statement among it.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.file("data").join(name)
    }

    /// The gateway's configuration for it: the backend `name` with these `roles`, each the inside of
    /// its block.
    #[must_use]
    pub fn blocks(&self, name: &str, roles: &[(&str, &str)]) -> String {
        let block =
            |(role, lines): &(&str, &str)| format!("[backends.{name}.roles.{role}]\n{lines}\n");
        format!(
            r#"
[backends.{name}]
plugin = "postgresql"

[backends.{name}.database]
host = "{HOST}"
port = {port}
name = "{DATABASE}"
user = "{user}"
password = "file:{password}"
ca = "{ca}"
addresses = ["127.0.0.0/8"]
resolve = "127.0.0.1:{port}"

{roles}"#,
            port = self.port,
            user = ADMIN.0,
            password = self.password_file().display(),
            ca = self.certificate().display(),
            roles = roles.iter().map(block).collect::<String>(),
        )
    }

    /// Kills it: sessions break, what was committed stays.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
        // Sessions that outlive their parent for a moment would keep the directory locked.
        let mut patience = PATIENCE;
        while !self.backends_of_the_dead().is_empty() && !patience.is_zero() {
            std::thread::sleep(STEP);
            patience = patience.saturating_sub(STEP);
        }
    }

    /// Starts it again where it was.
    pub async fn resume(&mut self) {
        self.run().await.unwrap_or_else(|log| panic!("PostgreSQL did not start again:\n{log}"));
    }

    /// Stops it in the middle of whatever it does: connections stay, and nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        self.signal_sessions(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal_sessions(Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            let _ = kill_process(Pid::from_child(process), signal);
        }
    }

    /// Each session is a process of its own, in a group of its own.
    fn signal_sessions(&self, signal: Signal) {
        let Some(process) = &self.process else { return };
        let id = process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        for child in children.filter_map(Pid::from_raw) {
            let _ = kill_process(child, signal);
        }
    }

    /// Processes that still use its directory.
    fn backends_of_the_dead(&self) -> Vec<PathBuf> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let data = self.data("");
        let uses = |process: &PathBuf| {
            fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == data)
        };
        processes.flatten().map(|entry| entry.path()).filter(uses).collect()
    }

    /// Waits for the end of its process, not for ever.
    fn wait(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let mut patience = PATIENCE;
        while process.try_wait().is_ok_and(|status| status.is_none()) {
            if patience.is_zero() {
                let _ = process.kill();
            }
            std::thread::sleep(STEP);
            patience = patience.saturating_sub(STEP);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its own way to end at once, sessions too; killed, it would leave them to find out.
        self.signal(Signal::QUIT);
        self.thaw();
        self.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its number").port()
}

/// Readable by nobody but its owner.
fn close(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("its mode");
}
