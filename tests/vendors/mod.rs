//! What a vendor does, from nothing: the guide's own commands, and the projects that `plugin new` makes.
//!
//! They run with what CI has compiled for the plugins (the same target directory, no network), so that
//! what is compiled anew is a project and its copy of the SDK.

mod guide;
mod projects;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use symbolon_tests::harness::process::binary;

/// Longest that a build or a start is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A command of bash, as somebody types it in `directory`, with the gateway's program on the path.
fn typed(line: &str, directory: &Path) -> Command {
    let program = binary();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", line]).current_dir(directory).stdin(Stdio::null());
    command.env("PATH", path).env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", compiled());
    for meant_for_this_build in ["RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS", "RUSTFLAGS", "CARGO"] {
        command.env_remove(meant_for_this_build);
    }
    command
}

/// Where the plugins were compiled.
fn compiled() -> PathBuf {
    let plugins = symbolon::config::variable("SYMBOLON_PLUGINS");
    let plugins = PathBuf::from(plugins.expect("SYMBOLON_PLUGINS: run through `cargo xtask test`"));
    plugins.parent().unwrap().join("wasm")
}

/// Runs it to its end and expects success; answers what it printed.
fn done(line: &str, directory: &Path) -> String {
    let output = typed(line, directory).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}\n{out}\n{err}");
    out.into_owned()
}

/// A command that goes on until it is told to end.
struct Going {
    child: Child,
    log: PathBuf,
}

impl Going {
    fn start(line: &str, directory: &Path) -> Self {
        let log = directory.join("going.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = typed(&format!("exec {line}"), directory);
        let child =
            command.stdout(file.try_clone().unwrap()).stderr(file).spawn().expect("bash starts");
        Self { child, log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said this.
    fn until(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {words:?}: {ended:?}\n{}", self.said());
            assert!(Instant::now() < deadline, "{words:?} was not said\n{}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As Ctrl-C ends it.
    fn end(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.said());
        self.said()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
