//! A PostgreSQL that keeps what it is told, a gateway in front of it, and its own load generator, which
//! sends the bare statements of the plugin: the least that it can be.

use std::fmt::Write as _;
use std::process::Command;

use symbolon_tests::harness::postgres::{ADMIN, DATABASE, HOST, Postgres, Version};
use symbolon_tests::harness::{Gateway, Issuer, Setup};

use crate::load;

/// As a server has it that is not there for tests: every commit is on the disk, and the log is quiet.
const SETTINGS: [&str; 4] =
    ["fsync=on", "log_statement=none", "log_connections=off", "shared_buffers=128MB"];

/// A verifier, as the host would make one.
const VERIFIER: &str = "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$zHCdol2044/ZyWzPLi7oxApCkamKw9Z+E4U/QApd/5Y=:dd5peBOitVnLNFu7VmwP+HiDaaw4OUCv396eVCWhYiE=";
const ATTRIBUTES: &str =
    "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";

pub(super) async fn server() -> Postgres {
    Postgres::start_with(Version::V15, &SETTINGS).await
}

/// A gateway whose pool has so many connections. Nobody is slowed down.
pub(super) async fn gateway(server: &Postgres, connections: usize) -> Gateway {
    let role = "ttl = \"30m\"\nconfig = { member_of = \"app_readonly\" }";
    let blocks = server.blocks("db", &[("reader", role)]);
    let plugin = "plugin = \"postgresql\"\n";
    let limits = format!("{plugin}limits = {{ concurrency = 256, timeout = \"30s\" }}\n");
    let database = "[backends.db.database]\n";
    let pool = format!("{database}connections = {connections}\n");
    let blocks = blocks.replace(plugin, &limits).replace(database, &pool);
    let rate = "{ rate = 10000000, burst = 10000000 }";
    let limits = format!(
        "[limits]\nper_principal = {rate}\nper_issuer = {rate}\nleases_per_principal = 1000000\n"
    );
    let setup = Setup {
        blocks: format!("{limits}{blocks}"),
        server: "max_connections_per_source = 4096".to_owned(),
        ..Setup::default()
    };
    let issuer = Issuer::new("https://idp.example.test");
    Box::pin(Gateway::start_in(load::directory(), issuer, setup)).await
}

/// The request for a credential that each connection sends again and again.
pub(super) fn requests(gateway: &Gateway, connections: usize) -> Vec<String> {
    let request = |n: usize| {
        let token = gateway.token(&format!("load-{n}"));
        format!(
            "POST /v1/credentials/db/reader HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
        )
    };
    (0..connections).map(request).collect()
}

/// What the plugin asks and does for an issuance.
pub(super) fn issue_script() -> String {
    let name = "sy_reader_bench_:id";
    let mut script = "\\set id random(1, 9000000000000000000)\n".to_owned();
    let transaction = [
        look(name),
        "BEGIN".to_owned(),
        format!(
            "CREATE ROLE \"{name}\" {ATTRIBUTES} PASSWORD '{VERIFIER}' VALID UNTIL '2099-01-01' IN ROLE app_readonly"
        ),
        format!("COMMENT ON ROLE \"{name}\" IS 'symbolon mark=symbolon reservation={name}'"),
        "COMMIT".to_owned(),
    ];
    statements(&mut script, &transaction);
    script
}

/// What it asks and does for a revocation and its proof. The n-th of a client's transactions ends the
/// n-th of its users.
pub(super) fn revoke_script() -> String {
    let name = "sy_reader_bench_:id";
    let mut script = "\\set n :n + 1\n\\set id :client_id * 1000000 + :n\n".to_owned();
    let ending = [
        format!("ALTER ROLE \"{name}\" NOLOGIN VALID UNTIL '-infinity'"),
        format!(
            "SELECT 'user' AS kind, oid::bigint AS oid, NULL::boolean AS ended, NULL::text AS gid FROM pg_roles WHERE rolname = '{name}' UNION ALL SELECT 'session', NULL, pg_terminate_backend(pid, 1000), NULL FROM pg_stat_activity WHERE usename = '{name}' AND pid <> pg_backend_pid() UNION ALL SELECT 'prepared', NULL, NULL, gid::text FROM pg_prepared_xacts WHERE owner = '{name}'"
        ),
        format!("DROP ROLE IF EXISTS \"{name}\""),
        format!(
            "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = '{name}') AS users, (SELECT count(*) FROM pg_stat_activity WHERE usesysid = 1) AS sessions"
        ),
        look(name),
    ];
    statements(&mut script, &ending);
    script
}

fn look(name: &str) -> String {
    format!(
        "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint AS now, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super, r.oid IS NOT NULL AS there, coalesce(r.rolcanlogin, false) AS login, coalesce(r.rolvaliduntil <= clock_timestamp(), false) AS ended, coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment FROM (SELECT 1) AS one LEFT JOIN pg_roles AS r ON r.rolname = '{name}'"
    )
}

fn statements(script: &mut String, statements: &[String]) {
    for statement in statements {
        writeln!(script, "{statement};").expect("room");
    }
}

/// The users that [`revoke_script`] ends: so many for each client.
pub(super) async fn make_users(server: &Postgres, clients: usize, each: usize) {
    let last = clients - 1;
    let made = format!(
        "DO $do$ BEGIN FOR c IN 0..{last} LOOP FOR n IN 1..{each} LOOP EXECUTE format($q$CREATE ROLE %I {ATTRIBUTES} PASSWORD '{VERIFIER}' VALID UNTIL '2099-01-01' IN ROLE app_readonly$q$, 'sy_reader_bench_' || c * 1000000 + n); END LOOP; END LOOP; END $do$"
    );
    server.sql_as(ADMIN, DATABASE, &made).await.expect("users");
}

/// How long the load generator runs.
pub(super) enum Run {
    /// So many seconds.
    Seconds(u64),
    /// So many transactions a client.
    Each(usize),
}

/// Transactions a second of so many clients.
pub(super) fn pgbench(server: &Postgres, script: &str, clients: usize, run: &Run) -> f64 {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), script).expect("a script");
    let mut pgbench = Command::new(server.version.programs().join("pgbench"));
    pgbench.env_clear().env("PGHOSTADDR", "127.0.0.1").env("PGPASSWORD", ADMIN.1);
    pgbench.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", server.certificate());
    pgbench.args(["-n", "-M", "simple", "-D", "n=0", "-h", HOST, "-U", ADMIN.0]);
    pgbench.args(["-p", &server.port().to_string(), "-c", &clients.to_string(), "-f"]);
    pgbench.arg(file.path());
    match run {
        Run::Seconds(seconds) => pgbench.args(["-T", &seconds.to_string()]),
        Run::Each(number) => pgbench.args(["-t", &number.to_string()]),
    };
    let output = pgbench.arg(DATABASE).output().expect("pgbench");
    let said = String::from_utf8_lossy(&output.stdout);
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    let failed = || panic!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr));
    tps.filter(|_| output.status.success()).and_then(|tps| tps.parse().ok()).unwrap_or_else(failed)
}
