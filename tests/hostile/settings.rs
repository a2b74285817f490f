//! The backends of the scene: one for each way in which a hostile component can be set up.

use super::bombs::Bomb;
use super::calls::EXCHANGES;
use super::scene::{CREDENTIAL, KNOWN, reversed};

/// The neighbour, and limits on callers that no test comes to.
pub(super) const WELL_BEHAVED: &str = r#"
[backends.neighbour]
plugin = "static"
config = { secrets = { "app/text" = "plain" } }

[limits]
per_principal = { rate = 1000000, burst = 1000000 }
per_issuer = { rate = 1000000, burst = 1000000 }
"#;

/// All of them, with the well-behaved neighbour.
pub(super) fn blocks(port: u16, elsewhere: u16) -> String {
    let parts =
        [main(port, elsewhere), target(port), names(port, elsewhere), upstreams(port), checks()];
    format!("{WELL_BEHAVED}{}", parts.concat())
}

/// A hostile backend whose limits are reached soon.
fn backend(name: &str, config: &str, egress: &str) -> String {
    format!(
        "[backends.{name}]\nplugin = \"hostile\"\nlimits = {{ cpu = \"200ms\", timeout = \"1500ms\" }}\n\
         [backends.{name}.config]\n{config}\n{egress}\n"
    )
}

fn grant(backend: &str, lines: &str) -> String {
    format!("[[backends.{backend}.egress]]\nmethods = [\"GET\", \"POST\"]\n{lines}\n")
}

/// A grant of plain HTTP that names loopback.
fn loopback(backend: &str, host: &str, port: u16) -> String {
    let addresses = "addresses = [\"127.0.0.0/8\"]";
    grant(backend, &format!("scheme = \"http\"\nhost = \"{host}\"\nport = {port}\n{addresses}"))
}

/// `hostile`, with nothing of the host's, and `bound`, with a credential for its server.
fn main(port: u16, elsewhere: u16) -> String {
    let config = |secret: &str| {
        format!(
            "server = \"http://server.test:{port}\"\nelsewhere = \"http://elsewhere.test:{elsewhere}\"\n\
             undeclared = \"http://elsewhere.test:{elsewhere}/\"\ncanary_reversed = \"{}\"",
            reversed(secret)
        )
    };
    // Even a grant that names it does not open the way to a metadata service.
    let metadata = loopback("hostile", "169.254.169.254", 80);
    let granted = loopback("hostile", "server.test", port) + &metadata;
    let bound = "[backends.bound.credentials]\nbearer = \"file:credential\"\n";
    [
        backend("hostile", &config(KNOWN), &granted),
        backend("bound", &config(CREDENTIAL), &loopback("bound", "server.test", port)),
        bound.to_owned(),
    ]
    .concat()
}

/// The hostile target.
pub(super) const TARGET: &str = "cloud";

/// A target whose tokens are whatever its scope says.
fn target(port: u16) -> String {
    let scopes: Vec<_> = EXCHANGES.iter().map(|(name, _)| *name).collect();
    format!(
        "[targets.{TARGET}]\nplugin = \"hostile\"\naudience = \"https://cloud.example.test\"\n\
         scopes = {scopes:?}\nmax_leases = 100\nconfig = {{ server = \"http://server.test:{port}\" }}\n\
         [[targets.{TARGET}.egress]]\nscheme = \"http\"\nhost = \"server.test\"\nport = {port}\n\
         methods = [\"GET\"]\naddresses = [\"127.0.0.0/8\"]\n"
    )
}

/// Names that lead inside, with and without a grant that says so.
fn names(port: u16, elsewhere: u16) -> String {
    let named = format!("rebinding = \"http://inside.test:{port}\"");
    let mut blocks =
        backend("inside-named", &named, &loopback("inside-named", "inside.test", port));
    for (name, host, addresses) in [
        ("inside-unnamed", "inside.test", ""),
        ("metadata-unnamed", "metadata.test", ""),
        ("metadata-named", "metadata.test", "addresses = [\"169.254.0.0/16\"]"),
    ] {
        let config = format!("rebinding = \"https://{host}:{elsewhere}\"");
        let lines = format!("host = \"{host}\"\nport = {elsewhere}\n{addresses}");
        blocks += &backend(name, &config, &grant(name, &lines));
    }
    blocks
}

/// Upstreams that do not behave, by the first segment of the path; nobody listens on port 1.
fn upstreams(port: u16) -> String {
    let at = |name: &str, host: &str, port: u16| {
        let config = format!("server = \"http://{host}:{port}/{name}\"");
        backend(name, &config, &loopback(name, host, port))
    };
    let behaving = ["shorter", "longer", "two-lengths", "not-http", "status-503"];
    let lying: String = behaving.iter().map(|name| at(name, "server.test", port)).collect();
    let bombs: String = Bomb::ALL.iter().map(|bomb| at(bomb.name, "server.test", port)).collect();
    lying + &bombs + &at("down", "server.test", 1) + &at("nameless", "unknown.test", 1)
}

/// Components that misbehave already when their configuration is checked.
fn checks() -> String {
    let check = |behaviour: &&str| {
        let known = reversed(KNOWN);
        let config = format!("at_check = \"{behaviour}\"\ncanary_reversed = \"{known}\"");
        backend(&format!("check-{behaviour}"), &config, "")
    };
    ["spin", "trap", "secret-in-error"].iter().map(check).collect()
}
