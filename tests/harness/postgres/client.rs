//! What tests ask of the server: through `psql`, over TLS, with the server's name verified.

use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::{HOST, PATIENCE, Postgres, STEP, SUPERUSER, Version};

/// What a statement answered.
pub type Rows = Vec<Vec<String>>;

/// Between values, and between rows: characters that no value of a test has.
const SEPARATORS: [&str; 4] = ["-F", "\u{1f}", "-R", "\u{1e}"];

impl Postgres {
    /// Does something as the superuser; failure is a fault of the test.
    pub async fn sql(&self, database: &str, statement: &str) -> Rows {
        let rows = self.sql_as(SUPERUSER, database, statement).await;
        rows.unwrap_or_else(|said| panic!("{statement}: {said}"))
    }

    /// Does something as this user with this password.
    ///
    /// # Errors
    /// What `psql` said.
    pub async fn sql_as(
        &self,
        login: (&str, &str),
        database: &str,
        statement: &str,
    ) -> Result<Rows, String> {
        let output = self.psql(login, database, statement).output().await.expect("psql");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let said = String::from_utf8(output.stdout).expect("text");
        let said = said.trim_end_matches(['\u{1e}', '\n']);
        let row = |line: &str| line.split('\u{1f}').map(str::to_owned).collect();
        Ok(said.split('\u{1e}').filter(|line| !line.is_empty()).map(row).collect())
    }

    /// Logs in as this user and stays, as an application does.
    pub async fn session(&self, login: (&str, &str), database: &str) -> Session {
        let mut psql = self.psql(login, database, "SELECT pg_sleep(86400)");
        let process = psql.spawn().expect("psql");
        let mut session = Session { process };
        let seen = async {
            while self.sessions(login.0).await == 0 {
                if !session.is_open() {
                    panic!("no session: {}", session.ended().await);
                }
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("a session");
        session
    }

    /// How many sessions this user has.
    pub async fn sessions(&self, user: &str) -> usize {
        let asked = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'");
        let rows = self.sql("postgres", &asked).await;
        rows.first().and_then(|row| row.first()?.parse().ok()).expect("a count")
    }

    /// Whether there is a role of this name.
    pub async fn has_role(&self, name: &str) -> bool {
        let asked = format!("SELECT FROM pg_roles WHERE rolname = '{name}'");
        self.sql("postgres", &format!("SELECT EXISTS ({asked})")).await == [["t"]]
    }

    /// The roles whose names begin so.
    pub async fn roles(&self, prefix: &str) -> Vec<String> {
        let asked = format!("SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{prefix}')");
        self.sql("postgres", &format!("{asked} ORDER BY 1")).await.concat()
    }

    fn psql(&self, login: (&str, &str), database: &str, statement: &str) -> Command {
        // The package of version 18 has no client; that of 15 speaks with both.
        let mut psql = Command::new(Version::V15.programs().join("psql"));
        psql.env_clear().env("PGHOSTADDR", "127.0.0.1").env("PGCONNECT_TIMEOUT", "30");
        psql.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", self.certificate());
        psql.env("PGPASSWORD", login.1);
        psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]).args(SEPARATORS);
        psql.args(["-h", HOST, "-p", &self.port().to_string(), "-U", login.0, "-d", database]);
        psql.args(["-c", statement]);
        psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        psql.kill_on_drop(true);
        psql
    }
}

/// An open session. It ends when dropped, or when the server ends it.
#[derive(Debug)]
pub struct Session {
    process: Child,
}

impl Session {
    /// Whether nobody has ended it.
    pub fn is_open(&mut self) -> bool {
        self.process.try_wait().expect("its state").is_none()
    }

    /// Waits until the server has ended it; answers the reason.
    pub async fn ended(&mut self) -> String {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.expect("the session to end").expect("its end");
        let mut said = String::new();
        let errors = self.process.stderr.as_mut().expect("its words");
        errors.read_to_string(&mut said).await.expect("text");
        said.trim().to_owned()
    }
}
