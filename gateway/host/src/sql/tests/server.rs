//! A PostgreSQL of its own for one test, and a wire between that can be cut.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::egress::Trust;

/// The name in the server's certificate.
pub(super) const HOST: &str = "db.example.test";
pub(super) const SUPERUSER: (&str, &str) = ("postgres", "super secret");
/// PostgreSQL refuses root; this user owns nothing.
const NOBODY: u32 = 65_534;
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, killed when dropped.
pub(super) struct Server {
    process: Child,
    directory: TempDir,
    certificate: String,
    pub(super) port: u16,
}

/// The programs that `cargo xtask test` names in `variable`.
fn programs(variable: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let missing = || panic!("{variable} is not set: `cargo xtask test` fetches the part it names");
    named.unwrap_or_else(missing)
}

fn is_root() -> bool {
    let probe = TempDir::new().unwrap();
    chown(probe.path(), Some(NOBODY), Some(NOBODY)).is_ok()
}

/// A command as somebody that PostgreSQL runs for.
fn command(program: &Path, log: &Path) -> Command {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

impl Server {
    /// Starts one with the programs that `variable` names.
    pub(super) async fn start(variable: &str) -> Self {
        let (programs, directory) = (programs(variable), TempDir::new().unwrap());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let certificate = identity(directory.path());
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("password"), SUPERUSER.1).unwrap();
        own(directory.path());
        let made = command(&programs.join("initdb"), &at("log"))
            .args(["-A", "scram-sha-256", "-U", SUPERUSER.0, "-E", "UTF8", "--locale=C"])
            .arg("--no-sync")
            .arg(format!("--pwfile={}", at("password").display()))
            .arg("-D")
            .arg(at("data"))
            .status()
            .unwrap();
        assert!(made.success(), "{}", std::fs::read_to_string(at("log")).unwrap());
        let process = command(&programs.join("postgres"), &at("log"))
            .arg("-D")
            .arg(at("data"))
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "ssl=on"])
            .args(["-c", "log_statement=all", "-c", "log_min_error_statement=debug5"])
            .arg(format!("--ssl-cert-file={}", at("server.pem").display()))
            .arg(format!("--ssl-key-file={}", at("server.key").display()))
            .spawn()
            .unwrap();
        let server = Self { process, directory, certificate, port };
        server.is_ready().await;
        server
    }

    async fn is_ready(&self) {
        let superuser = self.pool(SUPERUSER, 1);
        let ready = async {
            while ask(&superuser, "SELECT 1").await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("{}", self.log()));
    }

    /// What it wrote to its log.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub(super) fn verified(&self) -> Transport {
        Transport::Verified(Some(Trust::from_pem(self.certificate.as_bytes()).unwrap()))
    }

    /// A pool over TLS.
    pub(super) fn pool(&self, login: (&str, &str), connections: usize) -> Pool {
        pool((HOST, self.port), self.verified(), login, connections)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn identity(directory: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![HOST.to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = directory.join("server.key");
    std::fs::write(&path, key.serialize_pem()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, private).unwrap();
    std::fs::write(directory.join("server.pem"), certificate.pem()).unwrap();
    certificate.pem()
}

/// Gives the directory and what is in it to whom the server runs as.
fn own(directory: &Path) {
    if !is_root() {
        return;
    }
    for entry in std::fs::read_dir(directory).unwrap() {
        chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// When a wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// When the client sends this, before the server sees it.
    Before(&'static str),
    /// When the client sends this; the server sees it and its answer is lost.
    After(&'static str),
}

/// A wire to a server, in the clear, that is cut at a word.
pub(super) struct Wire {
    pub(super) port: u16,
    pub(super) cut: Arc<Mutex<Option<Cut>>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(super) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, mut tasks) = (Arc::<Mutex<Option<Cut>>>::default(), JoinSet::new());
        let shared = Arc::clone(&cut);
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                wires.spawn(carry(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, cut, _tasks: tasks }
    }
}

async fn carry(mut client: TcpStream, server: u16, cut: Arc<Mutex<Option<Cut>>>) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let (mut up, mut down) = ([0; 16 << 10], [0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let said = String::from_utf8_lossy(&up[..read]).into_owned();
                let now = *cut.lock().unwrap();
                match now {
                    Some(Cut::Before(word)) if said.contains(word) => return,
                    Some(Cut::After(word)) if said.contains(word) => {
                        server.write_all(&up[..read]).await.unwrap();
                        // The answer comes, and goes no further.
                        let _ = server.read(&mut down).await;
                        return;
                    }
                    Some(_) | None => server.write_all(&up[..read]).await.unwrap(),
                }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&down[..read]).await.is_err() { return }
            }
        }
    }
}
