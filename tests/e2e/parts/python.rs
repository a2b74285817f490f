//! Programs of others in Python: the clouds' own clients.

use std::process::Stdio;
use std::time::Duration;

use super::process::part;

/// How long a script may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a script by the Python of a part, which has its libraries, and answers the JSON that it prints.
/// `environment` is all that it has of one.
pub(in crate::e2e) async fn python(
    part_with_libraries: &str,
    script: &str,
    environment: &[(&str, String)],
) -> serde_json::Value {
    let mut command = tokio::process::Command::new(part(part_with_libraries));
    command.arg("-I").arg("-c").arg(script).env_clear().kill_on_drop(true);
    command.env("HOME", "/nonexistent");
    command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    let running = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).output());
    let output = running.await.expect("an end").expect("a program");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{text}\n{}", said()))
}
