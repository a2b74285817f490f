//! Processes that do not outlive their test, and where their programs are.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// How long a part may take to start, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// The path that `cargo xtask test` gives in `variable`.
pub fn part(variable: &str) -> PathBuf {
    let named = symbolon::config::variable(variable).map(PathBuf::from);
    let missing = || panic!("{variable} is not set: `cargo xtask test` fetches the part it names");
    let path = named.unwrap_or_else(missing);
    assert!(path.exists(), "{variable} names {}, which is not there", path.display());
    path
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process(Mutex<Child>);

impl Process {
    /// Starts `command` with nothing on its standard input and its output in `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let errors = file.try_clone().expect("the log");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn();
        Self(Mutex::new(child.unwrap_or_else(|error| panic!("{command:?}: {error}"))))
    }

    fn has_ended(&self) -> bool {
        self.0.lock().unwrap().try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(child) = self.0.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `ready` answers something; `log` is shown if that never happens.
pub async fn until<T>(
    log: &Path,
    process: Option<&Process>,
    ready: impl AsyncFn() -> Option<T>,
) -> T {
    let asking = async {
        while !process.is_some_and(Process::has_ended) {
            if let Some(answer) = ready().await {
                return Some(answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await.ok().flatten();
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    answer.unwrap_or_else(|| panic!("ended, or not ready in {PATIENCE:?}; it said:\n{}", said()))
}
