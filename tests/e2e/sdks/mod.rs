//! Libraries of clouds for Python, as they are: they ask a process, a URL or a file, and know nothing of
//! the gateway.

mod aws;
mod federated;

use std::path::PathBuf;
use std::process::Stdio;

use symbolon_tests::harness::{Gateway, private};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::parts::part;

/// The binary that `cargo xtask test` names.
fn binary() -> PathBuf {
    part("SYMBOLON_BIN")
}

/// A workload beside a gateway.
struct Workload<'a> {
    gateway: &'a Gateway,
    subject: &'a str,
}

impl<'a> Workload<'a> {
    const fn of(gateway: &'a Gateway, subject: &'a str) -> Self {
        Self { gateway, subject }
    }

    /// The arguments by which a command finds the gateway, and who it is.
    fn face(&self) -> [String; 6] {
        let directory = self.gateway.directory.path();
        let token = directory.join(format!("token-of-{}", self.subject));
        private(&token, &self.gateway.token(self.subject));
        let url = format!("https://localhost:{}", self.gateway.address.port());
        let (ca, token) = (directory.join("tls.pem"), token.display().to_string());
        let ca = ca.display().to_string();
        ["--url", &url, "--ca", &ca, "--token-file", &token].map(str::to_owned)
    }

    /// What a library runs to get something of a target.
    fn command(&self, verb: &str, target: &str) -> String {
        format!("{} credential {verb} {target} {}", binary().display(), self.face().join(" "))
    }

    /// `symbolon credential serve`, and the variables that it prints, so many.
    async fn serve(&self, arguments: &[&str], lines: usize) -> (Child, Vec<(String, String)>) {
        let mut command = Command::new(binary());
        command.args(["credential", "serve"]).args(arguments).args(self.face());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut serving = command.spawn().expect("it runs");
        let mut said = BufReader::new(serving.stdout.take().expect("its output")).lines();
        let mut variables = Vec::new();
        while variables.len() < lines {
            let line = said.next_line().await.expect("a line").expect("a line");
            let (name, value) = line.split_once('=').expect("a variable");
            variables.push((name.to_owned(), value.to_owned()));
        }
        (serving, variables)
    }
}
