//! Database credentials issued a second by a whole gateway over TLS, beside OpenBao's on the same server,
//! and both beside the bare statements that make a user.
//!
//! OpenBao is no development server: it has raft's storage and a file for its audit, on the same disk.
//! It makes the same users with as many connections to the database, and its callers have a token of
//! its own, so that it verifies no signature.

use std::time::Duration;

use http::Method;
use serde_json::json;
use symbolon_tests::harness::Gateway;
use symbolon_tests::harness::parts::bao::Bao;
use symbolon_tests::harness::postgres::{ADMIN, Postgres};
use tokio::runtime::Runtime;

use super::database::{self, Run};
use crate::load::Load;
use crate::report::{Report, Row, Unit, median};

const WINDOW: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    for connections in [16, 64] {
        let server = runtime.block_on(database::server());
        let bao = runtime.block_on(openbao(&server, connections));
        let gateway = runtime.block_on(database::gateway(&server, connections));
        let rates = measure(&server, &gateway, (&bao.0, &bao.1), connections);
        let row = |case: String, value, floor, aim| Row {
            bench: "lease-openbao",
            case: format!("{connections} connections, {case}"),
            unit: Unit::PerSecond("leases/s"),
            value,
            floor,
            aim,
        };
        let [ours, bao, bare] = rates;
        report.add(&row("beside OpenBao".to_owned(), ours, bao, Some(5.0)));
        report.add(&row("beside the bare statements".to_owned(), ours, bare, None));
        report.add(&row("OpenBao beside the bare statements".to_owned(), bao, bare, None));
        runtime.block_on(gateway.stop());
    }
}

/// Rates of the gateway, of OpenBao and of the bare statements.
fn measure(
    server: &Postgres,
    gateway: &Gateway,
    (bao, token): (&Bao, &str),
    connections: usize,
) -> [f64; 3] {
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let (ours, theirs) = (Load::new(gateway.directory.path()), Load::new(bao.directory()));
    let request = format!(
        "GET /v1/database/creds/app HTTP/1.1\r\nhost: localhost\r\nx-vault-token: {token}\r\n\r\n"
    );
    let mut of_gateway = ours.connect(gateway.address, &database::requests(gateway, connections));
    let mut of_bao = theirs.connect(bao.address(), &vec![request; connections]);
    for _ in 0..ROUNDS {
        let (rate, back) = ours.drive(of_gateway, WINDOW);
        of_gateway = back;
        rates[0].push(rate);
        let (rate, back) = theirs.drive(of_bao, WINDOW);
        of_bao = back;
        rates[1].push(rate);
        let run = Run::Seconds(WINDOW.as_secs());
        rates[2].push(database::pgbench(server, &database::issue_script(), connections, &run));
    }
    rates.map(median)
}

/// OpenBao with the role `app`, and a token that may ask for it.
async fn openbao(server: &Postgres, connections: usize) -> (Bao, String) {
    let bao = Bao::audited().await;
    let mount = json!({ "type": "database" });
    bao.expect(Method::POST, "/v1/sys/mounts/database", &mount).await;
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/app?sslmode=require",
        server.port()
    );
    let connection = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": url,
        "username": ADMIN.0, "password": ADMIN.1,
        "max_open_connections": connections, "max_idle_connections": connections,
    });
    bao.expect(Method::POST, "/v1/database/config/pg", &connection).await;
    let create = "CREATE ROLE \"{{name}}\" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE app_readonly";
    let role = json!({
        "db_name": "pg", "default_ttl": "30m", "max_ttl": "30m", "creation_statements": [create],
        "revocation_statements": ["DROP ROLE IF EXISTS \"{{name}}\""],
    });
    bao.expect(Method::POST, "/v1/database/roles/app", &role).await;
    let policy = json!({ "policy": "path \"database/creds/app\" { capabilities = [\"read\"] }" });
    bao.expect(Method::PUT, "/v1/sys/policies/acl/app", &policy).await;
    let wish = json!({ "policies": ["app"], "ttl": "1h" });
    let token = bao.expect(Method::POST, "/v1/auth/token/create", &wish).await;
    let token = token["auth"]["client_token"].as_str().expect("a token").to_owned();
    (bao, token)
}
