use std::collections::BTreeSet;
use std::path::Path;

use symbolon_core::lease::OnRevoke;

use super::*;

const DOCUMENTATION: &str = include_str!("../../docs/configuration.md");
const FILE: &str = "/etc/symbolon/symbolon.toml";

/// A configuration without faults, to be added to.
const BASE: &str = r#"
[server]
listen = ["127.0.0.1:8443"]
public_origin = "https://gw.example.com"
insecure_loopback = true
"#;

fn parse(text: &str) -> Result<Config, Faults> {
    Config::parse(text, Path::new(FILE))
}

fn with(addition: &str) -> Result<Config, Faults> {
    parse(&format!("{BASE}{addition}"))
}

fn faults(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// `key: message` of each fault of the base with an addition.
fn complaints(addition: &str) -> Vec<String> {
    let faults = with(addition).unwrap_err();
    faults.iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect()
}

fn examples() -> Vec<&'static str> {
    let blocks = DOCUMENTATION.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_of_the_documentation_parses() {
    let examples = examples();
    assert!(examples.len() >= 3);
    for example in examples {
        if let Err(faults) = parse(example) {
            panic!("{faults}\n{example}");
        }
    }
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let rows = DOCUMENTATION.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_key =
        |row: &&str| row.bytes().all(|b| b.is_ascii_lowercase() || b"0123456789_.*[]".contains(&b));
    let documented: BTreeSet<String> = rows.filter(is_key).map(str::to_owned).collect();
    let read = Config::keys();
    let undocumented: Vec<_> = read.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&read).collect();
    assert!(undocumented.is_empty(), "not documented: {undocumented:#?}");
    assert!(invented.is_empty(), "documented and not read: {invented:#?}");
    assert!(read.len() > 100);
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let text = r#"[server]
listen = ["127.0.0.1:8443", "gateway:80", 7]
public_origin = "http://gw.example.com"
lisen = true
request_timeout = "soon"
max_body_bytes = 5
tls = { certificate = "tls.pem", key = "-----BEGIN PRIVATE KEY-----" }

[issuers.CI]
issuer = "https://idp.example"
keys = { discovery = true, url = "https://idp.example/jwks" }

[backends.kv]
plugin = "vault"

[[backends.kv.egress]]
host = "Bao.Example"
port = 70000
"#;
    let expected = "\
/etc/symbolon/symbolon.toml:2:29: server.listen[1]: `gateway:80` is not an address with a port
  help: write it as \"127.0.0.1:8443\" or \"[::]:8443\"; names are not resolved here
/etc/symbolon/symbolon.toml:2:43: server.listen[2]: expected a string, found an integer
/etc/symbolon/symbolon.toml:3:17: server.public_origin: plain http is only accepted for a loopback host
  help: use https
/etc/symbolon/symbolon.toml:4:1: server.lisen: unknown key
  help: did you mean `listen`?
/etc/symbolon/symbolon.toml:5:19: server.request_timeout: `soon` is not a duration
  help: write it as \"30s\", \"5m\" or \"1h30m\"
/etc/symbolon/symbolon.toml:6:18: server.max_body_bytes: expected a string, found an integer
  help: write it as \"64MiB\"
/etc/symbolon/symbolon.toml:7:40: server.tls.key: a secret is never written into the configuration
  help: put it into a file with mode 0600 and write \"file:/path\", or use \"env:NAME\" or \"credential:name\" (systemd); what stands here now counts as disclosed, so replace it
/etc/symbolon/symbolon.toml:9:10: issuers.CI: `CI` is not a name: use 1 to 63 of a-z, 0-9 and `-`, beginning with a letter and not ending with `-`
/etc/symbolon/symbolon.toml:11:8: issuers.CI.keys: only one of `discovery`, `url`, `inline`, `file` may be set
/etc/symbolon/symbolon.toml:16:1: backends.kv.egress[0].methods: is missing
  help: add `methods = …`
/etc/symbolon/symbolon.toml:17:8: backends.kv.egress[0].host: is not a host name in its one form
  help: write `bao.example`
/etc/symbolon/symbolon.toml:18:8: backends.kv.egress[0].port: expected an integer from 1 to 65535";
    assert_eq!(faults(text), expected);
}

#[test]
fn an_alias_leads_to_a_backend_and_stands_before_none() {
    let report = faults(
        r#"[server]
listen = ["127.0.0.1:8080"]
public_origin = "http://localhost:8080"
insecure_loopback = true

[backends.kv]
plugin = "vault"

[aliases]
"billing/db" = { backend = "kv", path = "prod/db", field = "/password", version = "3" }
"kv/db" = { backend = "kv", path = "prod/db" }
"billing" = { backend = "kv", path = "prod/db" }
"Billing/db" = { backend = "kv", path = "prod/db" }
"billing/../db" = { backend = "kv", path = "prod/db" }
"billing/lost" = { backend = "kw", path = "prod/db" }
"billing/odd" = { backend = "kv", path = "prod//db", field = "password", version = "a b" }
"#,
    );
    let expected = "\
/etc/symbolon/symbolon.toml:12:1: aliases.billing: has no `/`
  help: write it as \"billing/db-password\"
/etc/symbolon/symbolon.toml:13:1: aliases.Billing/db: begins with `Billing`, which no request can: `Billing` is not a name: use 1 to 63 of a-z, 0-9 and `-`, beginning with a letter and not ending with `-`
/etc/symbolon/symbolon.toml:14:1: aliases.billing/../db: a path segment is `.` or `..`
/etc/symbolon/symbolon.toml:16:42: aliases.billing/odd.path: a path segment is empty
/etc/symbolon/symbolon.toml:16:62: aliases.billing/odd.field: a field is a JSON pointer of 1 to 8 steps such as `/password` or `/tls/key`, of A-Z, a-z, 0-9, `._~-@:+=,$`
/etc/symbolon/symbolon.toml:16:84: aliases.billing/odd.version: a version is 1 to 128 of A-Z, a-z, 0-9, `.`, `_` and `-`";
    assert_eq!(report, expected);
    let report = faults(
        r#"[server]
listen = ["127.0.0.1:8080"]
public_origin = "http://localhost:8080"
insecure_loopback = true

[backends.kv]
plugin = "vault"

[aliases]
"kv/db" = { backend = "kv", path = "prod/db" }
"billing/lost" = { backend = "kw", path = "prod/db" }
"#,
    );
    assert!(report.contains("aliases.kv/db: begins with the name of the backend `kv`"), "{report}");
    let lost = "aliases.billing/lost.backend: there is no backend `kw`\n  help: did you mean `kv`?";
    assert!(report.contains(lost), "{report}");
}

#[test]
fn syntax_errors_are_all_reported_and_nothing_is_guessed_after_them() {
    let report = faults("[server]\npublic_origin = \n[store]\npath = 'x\ncache = \"1GiB\"\n");
    let places = [":2:", ":4:"].map(|line| report.contains(&format!("{FILE}{line}")));
    assert_eq!(places, [true, true], "{report}");
    assert!(!report.contains("is missing"), "{report}");
}

#[test]
fn an_empty_file_lacks_what_is_required() {
    let expected = "\
/etc/symbolon/symbolon.toml:1:1: server.listen: is missing
  help: add `listen = …`
/etc/symbolon/symbolon.toml:1:1: server.public_origin: is missing
  help: add `public_origin = …`
/etc/symbolon/symbolon.toml:1:1: server.tls: is missing
  help: add `tls = { certificate = \"…\", key = \"file:…\" }`; on loopback only, `insecure_loopback = true` does without";
    assert_eq!(faults(""), expected);
}

#[test]
fn a_file_that_is_not_there_is_one_fault() {
    let faults = Config::load(Path::new("/nowhere/symbolon.toml")).unwrap_err();
    assert_eq!(faults.count(), 1);
    assert!(faults.to_string().starts_with("/nowhere/symbolon.toml: cannot be read: "), "{faults}");
}

#[test]
fn defaults_are_the_documented_ones() {
    let config =
        with("[issuers.ci]\nissuer = \"https://idp.example\"\nkeys = { discovery = true }\n")
            .unwrap();
    assert_eq!(config.assertions.origin.as_str(), "https://gw.example.com/assertions");
    assert_eq!(config.store.cache, 1 << 30);
    assert_eq!(config.admin.socket, Path::new(ADMIN_SOCKET));
    let issuer = &config.issuers["ci"];
    assert_eq!(issuer.rules.audiences, ["https://gw.example.com"]);
    assert_eq!(issuer.keys, Keys::Discovery);
    assert!(issuer.rules.single_audience);
}

#[test]
fn paths_are_resolved_against_the_directory_of_the_file() {
    let config =
        with("[store]\npath = \"ledger\"\n[policies]\nfiles = [\"p/*.cedar\", \"/abs.cedar\"]\n")
            .unwrap();
    assert_eq!(config.store.path, Path::new("/etc/symbolon/ledger"));
    assert_eq!(
        config.policies.files,
        [Path::new("/etc/symbolon/p/*.cedar"), Path::new("/abs.cedar")]
    );
}

#[test]
fn transport_without_tls_stays_on_loopback() {
    for (listen, insecure, complaint) in [
        ("127.0.0.1:1", "true", None),
        ("[::1]:1", "true", None),
        ("127.0.0.1:1", "false", Some("server.tls: is missing")),
        ("0.0.0.0:1", "false", Some("server.tls: is missing")),
        (
            "0.0.0.0:1",
            "true",
            Some(
                "server.insecure_loopback: is for loopback only, but `0.0.0.0:1` is reachable from outside",
            ),
        ),
    ] {
        let text = format!(
            "[server]\nlisten = [\"{listen}\"]\npublic_origin = \"https://gw.example\"\ninsecure_loopback = {insecure}\n"
        );
        let found = parse(&text).err().map(|faults| {
            faults
                .iter()
                .map(|f| format!("{}: {}", f.key, f.message))
                .collect::<Vec<_>>()
                .join("\n")
        });
        assert_eq!(found.as_deref(), complaint, "{listen} {insecure}");
    }
}

const TARGET: &str = "[targets.a]\nplugin = \"p\"\naudience = \"a\"\n";
const EGRESS: &str = "egress = [{ host = \"a.example\", methods = [\"GET\"] }]\n";

#[test]
fn what_does_not_agree_is_refused() {
    let as_caller =
        |target: &str| target.replace("audience = \"a\"", "audience = \"a\"\nsubject = \"caller\"");
    let issuer = |alias: &str, name: &str| {
        format!(
            "[issuers.{alias}]\nissuer = \"{name}\"\nkeys = {{ url = \"https://k.example/\" }}\n"
        )
    };
    let target = |name: &str, from: &str| {
        format!(
            "[targets.{name}]\nplugin = \"p\"\naudience = \"a\"\n{EGRESS}credentials = {{ target = \"{from}\" }}\n"
        )
    };
    for (addition, expected) in [
        (issuer("a", "https://i.example") + &issuer("b", "https://i.example"), "issuers.b.issuer: is registered already, as `a`"),
        (issuer("a", "https://gw.example.com/assertions"), "issuers.a.issuer: is the gateway itself"),
        (issuer("a", "https://gw.example.com/"), "issuers.a.issuer: is the gateway itself"),
        (issuer("symbolon", "https://i.example"), "issuers.symbolon: is the name under which the gateway itself holds leases"),
        (issuer("gh", "https://token.actions.githubusercontent.com"), "issuers.gh.owners: strangers can get tokens of this issuer: `owners` must name the ids that are yours: one of `/repository_owner_id`, `/repository_id`, `/enterprise_id`"),
        ("[issuers.a]\nissuer = \"spiffe\"\nkeys = { discovery = true }\n".to_owned(), "issuers.a.keys.discovery: needs the issuer to be a URL, which it is not: `spiffe` is not a URL"),
        (format!("[backends.kv]\nplugin = \"p\"\n{EGRESS}credentials = {{ target = \"bao\" }}\n"), "backends.kv.credentials.target: there is no target `bao`"),
        (target("a", "b") + &target("b", "a"), "targets.a.credentials.target: goes in a circle: a → b → a"),
        (target("a", "a"), "targets.a.credentials.target: goes in a circle: a → a"),
        (as_caller(&target("a", "b")) + &as_caller(&target("b", "a")), "targets.a.credentials.target: goes in a circle: a → b → a"),
        (backend("target = \"a\"") + "[backends.kv.roles.r]\n" + &as_caller(TARGET), "backends.kv.credentials.target: the target `a` has subject = \"caller\", and the gateway ends what roles issue when no caller is there"),
        (target("b", "a") + &as_caller(TARGET), "targets.b.credentials.target: the target `a` has subject = \"caller\", and this one is the gateway's: no caller is behind its exchanges"),
        ("[server.discovery]\nlisten = [\"127.0.0.1:8443\"]\n".to_owned(), "server.discovery.listen[0]: `127.0.0.1:8443` is taken by `server.listen`"),
        ("[backends.kv]\nplugin = \"p\"\ncredentials = { bearer = \"env:T\" }\n".to_owned(), "backends.kv.credentials: no egress is granted that could carry a credential"),
        (format!("[backends.kv]\nplugin = \"p\"\n{EGRESS}credentials = {{ bearer = \"env:T\", host = \"b.example\" }}\n"), "backends.kv.credentials.host: is not a host that `egress` grants"),
        (format!("[backends.kv]\nplugin = \"p\"\n{EGRESS}credentials = {{ bearer = \"env:T\", basic = {{ user = \"u\", password = \"env:P\" }} }}\n"), "backends.kv.credentials: only one of `target`, `bearer`, `header`, `basic`, `sigv4`, `jwt` may be set"),
        (backend("target = \"a\", service = \"s3\"") + TARGET, "backends.kv.credentials.region: is missing"),
        (backend("target = \"a\", service = \"s3\", region = \"eu west\"") + TARGET, "backends.kv.credentials.region: is no service or region of AWS"),
        (backend("bearer = \"env:T\", region = \"eu-west-1\""), "backends.kv.credentials.region: belongs to a `target` that gives keys of AWS"),
        (backend("jwt = { key = \"file:app.pem\", issuer = \"1\", lifetime = \"11m\" }"), "backends.kv.credentials.jwt.lifetime: must be from 1m to 10m"),
        (backend("jwt = { key = \"file:app.pem\" }"), "backends.kv.credentials.jwt.issuer: is missing"),
        ("[backends.kv]\nplugin = \"p\"\nlimits = { rate = { rate = 0, burst = 1 } }\n".to_owned(), "backends.kv.limits.rate.rate: expected an integer from 1 to 10000000"),
        ("[backends.kv]\nplugin = \"p\"\negress = [{ scheme = \"http\", host = \"a.example\", methods = [\"GET\"], addresses = [\"10.0.0.0/8\"] }]\n".to_owned(), "backends.kv.egress[0].scheme: plain http is only granted to loopback networks"),
        ("[issuer]\norigin = \"https://gw.example.com\"\n".to_owned(), "issuer.origin: is `server.public_origin`, the issuer of access tokens"),
        ("[issuer]\norigin = \"https://gw.example.com/v1/secrets/kv\"\n".to_owned(), "issuer.origin: `/v1` is a path of the gateway's own"),
        ("[issuer]\norigin = \"https://gw.example.com/a/../b\"\n".to_owned(), "issuer.origin: the path of an issuer URL is made of plain segments"),
        ("[issuer]\norigin = \"https://gw.example.com/a//b\"\n".to_owned(), "issuer.origin: the path of an issuer URL is made of plain segments"),
        ("[issuer]\norigin = \"https://gw.example.com/a%2fb\"\n".to_owned(), "issuer.origin: the path of an issuer URL is made of plain segments"),
        ("[seal]\nkey = \"env:SEAL\"\n".to_owned(), "seal.key: the seal cannot come from the environment"),
        ("[limits]\ntoken_cache = \"5m\"\n".to_owned(), "limits.token_cache: must be from 0s to 1m"),
        ("[limits]\naccess_token = \"1h\"\n".to_owned(), "limits.access_token: must be from 30s to 15m"),
        ("[backends.a]\nplugin = \"p\"\n[targets.a]\nplugin = \"p\"\naudience = \"x\"\n".to_owned(), "targets.a: is the name of a backend too"),
        ("[backends.a]\nplugin = \"p\"\n[backends.a.roles.token-exchange]\n".to_owned(), "backends.a.roles.token-exchange: stands for tokens of targets: give the role another name"),
        ("[targets.a]\nplugin = \"p\"\naudience = \"x\"\nattributes = [\"team\"]\n".to_owned(), "targets.a.attributes: no issuer maps an attribute `team`"),
        ("[targets.a]\nplugin = \"p\"\naudience = \"x\"\nscopes = [\"a\", \"a\"]\n".to_owned(), "targets.a.scopes: names `a` twice"),
        ("[targets.a]\nplugin = \"p\"\naudience = \"x\"\nmax_subject = 40\nlong_subject = \"hash\"\n".to_owned(), "targets.a.max_subject: a hash of a subject has 50 bytes"),
    ] {
        assert_eq!(complaints(&addition), [expected], "{addition}");
    }
}

#[test]
fn what_is_wrong_with_an_issuer_of_a_profile_is_named() {
    let github = "[issuers.a]\nprofile = \"github-actions\"\nissuer = \"https://token.actions.githubusercontent.com\"\n";
    let owned =
        format!("{github}owners = [{{ claim = \"/repository_owner_id\", values = [\"1\"] }}]\n");
    let cluster = |alias: &str, lines: &str| {
        format!(
            "[issuers.{alias}]\nprofile = \"kubernetes\"\nissuer = \"https://kubernetes.default.svc\"\nkeys = {{ url = \"https://k.example/jwks\" }}\n{lines}\n"
        )
    };
    let strangers = "strangers can get tokens of this issuer: `owners` must";
    let claims = "one of `/repository_owner_id`, `/repository_id`, `/enterprise_id`";
    for (addition, expected) in [
        (github.to_owned(), format!("issuers.a.owners: {strangers} name the ids that are yours: {claims}")),
        (format!("{github}owners = [{{ claim = \"/ref\", values = [\"main\"] }}]\n"), format!("issuers.a.owners: {strangers} have {claims}")),
        (format!("{owned}max_lifetime = \"1h\"\n"), "issuers.a.max_lifetime: is looser than the profile allows".to_owned()),
        (format!("{owned}algorithms = [\"ES256\"]\n"), "issuers.a.algorithms: is looser than the profile allows".to_owned()),
        (format!("{owned}untyped = true\n"), "issuers.a.untyped: is looser than the profile allows".to_owned()),
        (format!("{owned}[issuers.a.attributes]\nref = {{ claim = \"/head_ref\" }}\n"), "issuers.a.attributes: the attribute `ref` is the profile's: another name is needed".to_owned()),
        ("[issuers.a]\nprofile = \"spiffe\"\nissuer = \"https://acme.example\"\nkeys = { url = \"https://k.example/b\" }\n".to_owned(), "issuers.a.issuer: the profile's issuers are `spiffe://<trust domain>`".to_owned()),
        ("[issuers.a]\nprofile = \"spiffe\"\nissuer = \"spiffe://acme.example\"\n".to_owned(), "issuers.a: has no `keys`".to_owned()),
        ("[issuers.a]\nprofile = \"x509\"\n".to_owned(), "issuers.a.authorities: is missing".to_owned()),
        ("[issuers.a]\nprofile = \"x509\"\nauthorities = \"ca.pem\"\n".to_owned(), "issuers.a.profile: needs `server.tls`: clients show certificates in TLS".to_owned()),
        ("[issuers.a]\nprofile = \"aws-signed\"\n".to_owned(), format!("issuers.a.owners: {strangers} name the ids that are yours: one of `/account`")),
        ("[issuers.a]\nissuer = \"https://i.example\"\nkeys = { discovery = true }\nreview = { url = \"https://k.example\", credential = \"env:T\" }\n".to_owned(), "issuers.a.review: is for service accounts of Kubernetes".to_owned()),
        (cluster("a", "") + &cluster("b", ""), "issuers.b.issuer: is registered already, as `a`".to_owned()),
        (cluster("a", "audiences = [\"sts.amazonaws.com\"]"), "issuers.a.audiences: a token for this audience is a credential somewhere else: have one issued for the gateway".to_owned()),
        (cluster("a", "bindings = [\"pod\", \"cluster\"]"), "issuers.a.bindings[1]: expected one of `pod`, `node`, `secret`, `none`".to_owned()),
    ] {
        assert_eq!(complaints(&addition), [expected], "{addition}");
    }
    let two =
        cluster("a", "audiences = [\"https://a\"]") + &cluster("b", "audiences = [\"https://b\"]");
    assert_eq!(with(&two).unwrap().issuers.len(), 2);
    let config = with(&owned).unwrap();
    assert_eq!(config.issuers["a"].keys, Keys::Discovery);
    assert_eq!(config.issuers["a"].rules.max_lifetime.as_secs(), 900);
}

const DATABASE: &str = "[backends.db]\nplugin = \"postgresql\"\ndatabase = { host = \"db.internal\", name = \"app\", user = \"symbolon\", password = \"env:P\"";

#[test]
fn a_database_and_its_roles_have_the_documented_defaults() {
    let text = format!(
        "{DATABASE} }}\nttl_max = \"20m\"\n[backends.db.roles.plain]\n[backends.db.roles.short]\nttl_max = \"5m\"\n[backends.db.roles.long]\nttl = \"15m\"\nmax_leases = 3\nconfig = {{ member_of = \"app\" }}\n"
    );
    let config = with(&text).unwrap();
    let backend = &config.backends["db"];
    let database = backend.database.as_ref().unwrap();
    assert_eq!((database.port, database.connections), (5432, 8));
    assert_eq!(database.tls, DatabaseTls::VerifyFull);
    assert!(database.addresses.is_empty() && database.resolve.is_none() && database.ca.is_none());
    let minutes = |role: &str| {
        let role = &backend.roles[role];
        (role.ttl.as_secs() / 60, role.ttl_max.as_secs() / 60)
    };
    assert_eq!([minutes("plain"), minutes("short"), minutes("long")], [(20, 30), (5, 5), (15, 30)]);
    let long = &backend.roles["long"];
    assert_eq!(long.max_leases, Some(3));
    let shared = with(&format!(
        "{DATABASE} }}\n[backends.db.roles.a]\nshared = true\n[backends.db.roles.b]\nshared = true\non_revoke = \"end\"\n[backends.db.roles.c]\nshared = false\n"
    ));
    let shared: Vec<_> =
        shared.unwrap().backends["db"].roles.values().map(|role| role.shared).collect();
    assert_eq!(shared, [Some(OnRevoke::Rotate), Some(OnRevoke::End), None]);
    assert_eq!(*long.settings.as_json(), serde_json::json!({ "member_of": "app" }));
    assert_eq!((backend.max_leases, config.limits.leases_per_principal), (None, 1000));
    let secrets: Vec<String> = config.secrets().into_iter().map(|(key, _)| key).collect();
    assert_eq!(secrets, ["seal.key", "backends.db.database.password"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one row a fault")]
fn what_is_wrong_with_a_database_or_role_is_named() {
    let long = "n".repeat(64);
    let role =
        |keys: &str| format!("[backends.db]\nplugin = \"p\"\n[backends.db.roles.r]\n{keys}\n");
    for (addition, expected) in [
        (
            "[backends.db]\nplugin = \"p\"\n[backends.db.database]\n".to_owned(),
            "backends.db.database.host: is missing|backends.db.database.name: is missing|backends.db.database.user: is missing|backends.db.database.password: is missing",
        ),
        (
            format!("{DATABASE}, tls = \"disable\" }}\n"),
            "backends.db.database.tls: a database is only reached without TLS on loopback",
        ),
        (
            format!(
                "{DATABASE}, tls = \"disable\", addresses = [\"127.0.0.1\", \"10.0.0.0/8\"] }}\n"
            ),
            "backends.db.database.tls: a database is only reached without TLS on loopback",
        ),
        (
            format!(
                "{DATABASE}, tls = \"disable\", addresses = [\"127.0.0.1\"], resolve = \"10.0.0.1:5432\" }}\n"
            ),
            "backends.db.database.tls: a database is only reached without TLS on loopback",
        ),
        (
            format!("{DATABASE}, tls = \"prefer\" }}\n"),
            "backends.db.database.tls: expected one of `verify-full`, `disable`",
        ),
        (
            format!("{DATABASE}, connections = 0 }}\n"),
            "backends.db.database.connections: expected an integer from 1 to 1000",
        ),
        (
            format!("{DATABASE}, resolve = \"db:5432\" }}\n"),
            "backends.db.database.resolve: `db:5432` is not an address with a port",
        ),
        (
            DATABASE.replace("symbolon", &long) + " }\n",
            "backends.db.database.user: is longer than 63 bytes",
        ),
        (
            role("ttl = \"31m\"\nttl_max = \"30m\""),
            "backends.db.roles.r.ttl: is longer than `ttl_max`",
        ),
        (
            "[backends.db]\nplugin = \"p\"\nttl_max = \"5m\"\nroles = { r = { ttl = \"6m\" } }\n"
                .to_owned(),
            "backends.db.roles.r.ttl: is longer than the backend's `ttl_max`",
        ),
        (role("ttl = \"2d\""), "backends.db.roles.r.ttl: must be from 1s to 1day"),
        (
            role("max_leases = 0"),
            "backends.db.roles.r.max_leases: expected an integer from 1 to 100000000",
        ),
        (
            role("on_revoke = \"end\""),
            "backends.db.roles.r.on_revoke: says what becomes of a shared credential, and none is shared",
        ),
        (
            role("shared = true\non_revoke = \"stop\""),
            "backends.db.roles.r.on_revoke: expected one of `rotate`, `keep`, `end`",
        ),
        (role("config = 1"), "backends.db.roles.r.config: expected a table, found an integer"),
        (
            "[backends.db]\nplugin = \"p\"\nroles = { R = { } }\n".to_owned(),
            "backends.db.roles.R: `R` is not a name: use 1 to 63 of a-z, 0-9 and `-`, beginning with a letter and not ending with `-`",
        ),
        (
            "[limits]\nleases_per_principal = 0\n".to_owned(),
            "limits.leases_per_principal: expected an integer from 1 to 100000000",
        ),
    ] {
        assert_eq!(complaints(&addition).join("|"), expected, "{addition}");
    }
}

#[test]
fn loopback_alone_may_do_without_tls() {
    let text = format!(
        "{DATABASE}, tls = \"disable\", addresses = [\"127.0.0.0/8\", \"::1\"], resolve = \"127.0.0.1:5433\" }}\n"
    );
    assert!(with(&text).is_ok());
}

#[test]
fn chains_of_targets_that_end_are_accepted() {
    let text = format!(
        "[targets.a]\nplugin = \"p\"\naudience = \"a\"\n{EGRESS}credentials = {{ target = \"b\" }}\n[targets.b]\nplugin = \"p\"\naudience = \"b\"\n"
    );
    assert!(with(&text).is_ok());
}

#[test]
fn a_literal_is_refused_in_every_secret_place_and_never_shown() {
    const LITERAL: &str = "hvs.literal-9f2c";
    let key = format!("{{ certificate = \"c.pem\", key = \"{LITERAL}\" }}");
    let places = [
        format!("[seal]\nkey = \"{LITERAL}\"\n"),
        format!("[server.discovery]\nlisten = [\"127.0.0.1:1\"]\ntls = {key}\n"),
        backend(&format!("bearer = \"{LITERAL}\"")),
        backend(&format!("header = {{ name = \"x\", value = \"{LITERAL}\" }}")),
        backend(&format!("basic = {{ user = \"u\", password = \"{LITERAL}\" }}")),
        backend(&format!("jwt = {{ key = \"{LITERAL}\", issuer = \"1\" }}")),
        DATABASE.replace("env:P", LITERAL) + " }\n",
        backend(&format!(
            "sigv4 = {{ access_key_id = \"{LITERAL}\", secret_access_key = \"{LITERAL}\", session_token = \"{LITERAL}\", region = \"r\", service = \"s\" }}"
        )),
        format!(
            "[backends.kv]\nplugin = \"p\"\negress = [{{ host = \"a.example\", methods = [\"GET\"], client_certificate = {key} }}]\n"
        ),
    ];
    for place in places {
        let faults = with(&place).unwrap_err();
        let expected = place.matches(LITERAL).count();
        let refusals = faults.iter().filter(|f| f.message.contains("never written")).count();
        assert_eq!(refusals, expected, "{faults}");
        assert!(!format!("{faults} {faults:?}").contains(LITERAL), "{faults}");
    }
}

fn backend(credentials: &str) -> String {
    format!("[backends.kv]\nplugin = \"p\"\n{EGRESS}credentials = {{ {credentials} }}\n")
}

#[test]
fn every_secret_is_listed_with_its_key() {
    let text = backend(
        "sigv4 = { access_key_id = \"env:A\", secret_access_key = \"file:k\", region = \"r\", service = \"s\" }",
    );
    let config = with(&text).unwrap();
    let listed: Vec<String> =
        config.secrets().iter().map(|(key, place)| format!("{key} {place}")).collect();
    assert_eq!(
        listed,
        [
            "seal.key file:/var/lib/symbolon/seal.key",
            "backends.kv.credentials.sigv4.access_key_id env:A",
            "backends.kv.credentials.sigv4.secret_access_key file:/etc/symbolon/k",
        ]
    );
}

#[test]
fn settings_of_a_plugin_do_not_show_in_debug_output() {
    let config = with("[backends.dev]\nplugin = \"static\"\nconfig = { values = { password = \"hunter2\" }, n = 0x10, on = true }\n").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let json = config.backends["dev"].settings.as_json();
    assert_eq!(
        *json,
        serde_json::json!({ "values": { "password": "hunter2" }, "n": 16, "on": true })
    );
}

#[test]
fn a_diff_names_keys_and_never_values() {
    let old = with("[limits]\ntoken_cache = \"10s\"\n[backends.dev]\nplugin = \"static\"\nconfig = { password = \"hunter2\" }\n").unwrap();
    let new = with("[audit]\nwindow = \"5s\"\n[backends.dev]\nplugin = \"static\"\nconfig = { password = \"correct horse\" }\n").unwrap();
    let changes = diff(&old, &new);
    let shown: Vec<String> = changes.iter().map(Change::to_string).collect();
    assert_eq!(shown, ["+ audit.window", "~ backends.dev.config.password", "- limits.token_cache"]);
    let restart: Vec<bool> = changes.iter().map(Change::needs_restart).collect();
    assert_eq!(restart, [true, false, false]);
    assert!(diff(&new, &new).is_empty());
}

/// What the documentation marks with R, or names as a whole section, is what a reload refuses.
#[test]
fn what_needs_a_restart_is_what_the_documentation_says() {
    let sections = ["server", "issuer", "store", "seal", "audit", "admin", "telemetry"];
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`');
    let rows: Vec<_> = DOCUMENTATION.lines().filter_map(row).collect();
    let is_marked =
        |rest: &str| rest.split('|').nth(2).is_some_and(|t| t.trim().starts_with("R. "));
    let marked: Vec<&str> =
        rows.iter().filter(|(_, r)| is_marked(r)).map(|(key, _)| *key).collect();
    assert!(marked.len() > 5, "{marked:?}");
    for (key, _) in &rows {
        let change = Change { key: (*key).to_owned(), kind: ChangeKind::Changed };
        let below = |top: &str| *key == top || key.starts_with(&format!("{top}."));
        let expected = marked.iter().chain(&sections).any(|top| below(top));
        assert_eq!(change.needs_restart(), expected, "{key}");
    }
}

#[test]
fn a_key_with_a_dot_or_a_quote_finds_its_place() {
    let complaint = complaints(
        "[issuers.a]\nissuer = \"https://i.example\"\nkeys = { discovery = true }\nresolve = { \"i.example\" = \"nowhere\" }\n",
    );
    assert_eq!(complaint, ["issuers.a.resolve.i.example: `nowhere` is not an address with a port"]);
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&deep).is_err());
}

const ED25519: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
const OTHER: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[test]
fn nothing_is_trusted_that_is_not_named() {
    let trust = with("").unwrap().plugins.trust;
    assert_eq!(trust, symbolon_host::Trust::default());
    let named = with("[plugins]\nunsigned = [\"static\"]").unwrap().plugins.trust;
    let may = |name: &str| named.may_be_unsigned(&name.parse().unwrap());
    assert!(may("static") && !may("stati") && !may("static-2"));
}

#[test]
fn keys_of_plugins_and_what_is_demanded_of_them_must_make_sense() {
    let one = format!("[plugins.keys.one]\npublic_key = \"{ED25519}\"\n");
    let two = format!("{one}[plugins.keys.two]\npublic_key = \"{OTHER}\"\n");
    let policy = |lines: &str| format!("{two}[plugins.signatures]\n{lines}\n");
    for good in [
        one.clone(),
        format!("{one}plugins = [\"vault\", \"aws\"]\n"),
        policy("all_of = [\"one\", \"two\"]"),
        policy("any_of = { minimum = 1, keys = [\"one\", \"two\"] }"),
        policy("all_of = [\"one\"]\nany_of = { minimum = 1, keys = [\"two\"] }"),
    ] {
        assert!(with(&good).is_ok(), "{good}");
    }
    for (bad, key, word) in [
        ("[plugins]\nunsigned = [\"*\"]".to_owned(), "plugins.unsigned[0]", "name"),
        ("[plugins.keys.one]\n".to_owned(), "plugins.keys.one.public_key", "missing"),
        (
            "[plugins.keys.one]\npublic_key = \"file:key\"".to_owned(),
            "plugins.keys.one.public_key",
            "base64",
        ),
        (format!("{one}plugins = []"), "plugins.keys.one.plugins", "names no plugin"),
        (format!("{one}plugins = [\"*\"]"), "plugins.keys.one.plugins[0]", "name"),
        (two.clone(), "plugins.keys", "all_of"),
        (two.replace(OTHER, ED25519), "plugins.keys.two", "same public key as `one`"),
        (policy(""), "plugins.signatures", "needed"),
        (policy("all_of = [\"three\"]"), "plugins.signatures", "no key `three`"),
        (policy("all_of = [\"one\", \"one\"]"), "plugins.signatures.all_of", "twice"),
        (policy("any_of = { minimum = 3, keys = [\"one\", \"two\"] }"), "plugins.signatures", "2"),
        (
            policy("any_of = { minimum = 0, keys = [\"one\"] }"),
            "plugins.signatures.any_of.minimum",
            "from 1",
        ),
        (policy("any_of = { minimum = 1 }"), "plugins.signatures.any_of.keys", "missing"),
    ] {
        let said = complaints(&bad);
        let expected = |said: &String| said.starts_with(&format!("{key}: ")) && said.contains(word);
        assert!(said.iter().any(expected), "{bad}\n{said:#?}");
    }
}

#[test]
fn a_wildcard_is_granted_below_a_name_of_two_labels_and_carries_nothing() {
    let granting = |host: &str, more: &str| {
        format!(
            "[backends.kv]\nplugin = \"p\"\n{more}\n[[backends.kv.egress]]\nmethods = [\"GET\"]\nhost = \"{host}\"\n"
        )
    };
    for host in ["*.example.com", "*.a.example.com", "vault.example.com", "10.0.0.1", "[::1]"] {
        assert!(with(&granting(host, "")).is_ok(), "{host}: {:?}", with(&granting(host, "")));
    }
    for host in [
        "*",
        "*.",
        "*.com",
        "a.*.example.com",
        "*a.example.com",
        "*.*.example.com",
        "*.Example.com",
        "*.10.0.0.1",
        "*.[::1]",
        "**.example.com",
        "*.example.com.",
        "*.-.example.com:443",
    ] {
        let said = complaints(&granting(host, ""));
        assert!(said[0].starts_with("backends.kv.egress[0].host: "), "{host}: {said:?}");
    }
    let carried = "credentials = { bearer = \"env:T\" }";
    let said = complaints(&granting("*.example.com", carried));
    assert!(said[0].contains("no egress is granted that could carry"), "{said:?}");
    let named = "credentials = { bearer = \"env:T\", host = \"a.example.com\" }";
    let said = complaints(&granting("*.example.com", named));
    assert!(said[0].contains("is not a host that `egress` grants"), "{said:?}");
    for line in [
        "resolve = { \"a.example.com\" = \"10.0.0.1:443\" }",
        "client_certificate = { certificate = \"c.pem\", key = \"file:c.key\" }",
    ] {
        let said = complaints(&(granting("*.example.com", "") + line));
        assert!(said[0].contains("belongs to one host"), "{said:?}");
    }
}
