//! The SDK and the contract, as this gateway was built beside them.
//!
//! The SDK is on no registry: a project gets its sources. They are in the binary, so that SDK, contract
//! and gateway are of one version, and nothing is fetched.
//!
//! INVARIANT: the lists are complete; a test compares them with the directories.

use toml::{Table, Value};

use super::File;

/// Where the SDK is in a project. The contract is two levels up from there, as in the gateway's own
/// sources, since the SDK's bindings are made from it.
const SDK: &str = "vendor/symbolon-plugin";

macro_rules! embedded {
    ($from:literal, $to:literal: $($name:literal)+) => {
        [$(($name, concat!($to, "/", $name), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $from, "/", $name)))),+]
    };
}

/// A file: its name below its directory, its path in a project, its text.
type Embedded = (&'static str, &'static str, &'static str);

pub(super) const SOURCES: [Embedded; 33] = embedded! { "plugins/sdk/src", "vendor/symbolon-plugin/src":
    "bindings.rs" "certificate.rs" "certificate/authority.pem" "certificate/leaf.pem"
    "certificate/tests.rs" "clock.rs" "encoding.rs" "error.rs" "exported.rs" "folder.rs" "heap.rs" "http/mod.rs"
    "http/url.rs" "http/wire.rs" "lib.rs" "listing.rs" "log.rs" "manifest.rs" "oauth.rs" "plugin.rs"
    "random.rs" "report.rs" "role.rs" "schema.rs" "secret.rs" "sql/mod.rs" "sql/name.rs"
    "sql/statement.rs" "sql/template.rs" "sql/template/lexer.rs" "sql/template/tests.rs" "sql/time.rs"
    "time.rs"
};

pub(super) const CONTRACT: [Embedded; 3] = embedded! { "wit/0.1.0", "wit/0.1.0":
    "host.wit" "types.wit" "worlds.wit"
};

/// What a vendor reads beside.
const DOCS: [Embedded; 2] = embedded! { "gateway/docs", "docs": "conformance.md" "vendors.md" };

const MANIFEST: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk/Cargo.toml"));
const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/Cargo.toml"));
const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/Cargo.lock"));
const CARGO: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/.cargo/config.toml"));

/// All of it, for a project.
pub(super) fn files() -> Result<Vec<File>, toml::de::Error> {
    let manifest = alone(&toml::from_str(MANIFEST)?, &toml::from_str(WORKSPACE)?);
    let made = [
        (format!("{SDK}/Cargo.toml"), manifest.to_string()),
        ("Cargo.lock".to_owned(), LOCK.to_owned()),
        (".cargo/config.toml".to_owned(), CARGO.to_owned()),
    ];
    let made = made.into_iter().map(|(path, text)| File { path, text });
    let copied = SOURCES.into_iter().chain(CONTRACT).chain(DOCS);
    let copied =
        copied.map(|(_, path, text)| File { path: path.to_owned(), text: text.to_owned() });
    Ok(made.chain(copied).collect())
}

/// A package's manifest without the workspace that it was in: what it took from there stands in it.
/// The lints stay behind; they are for who works on the SDK.
fn alone(manifest: &Table, workspace: &Table) -> Table {
    let shared = |table: &str| workspace.get("workspace").and_then(|shared| shared.get(table));
    let mut alone = manifest.clone();
    alone.remove("lints");
    for table in ["package", "dependencies"] {
        let (Some(Value::Table(mine)), Some(shared)) = (alone.get_mut(table), shared(table)) else {
            continue;
        };
        for (key, value) in mine.iter_mut() {
            if let Some(from) = shared.get(key) {
                *value = settled(value, from);
            }
        }
    }
    alone
}

/// `x.workspace = true` becomes what the workspace says of `x`, with what stands beside it.
fn settled(value: &Value, shared: &Value) -> Value {
    let Value::Table(mine) = value else { return value.clone() };
    if !mine.contains_key("workspace") {
        return value.clone();
    }
    let mut own = mine.clone();
    own.remove("workspace");
    match shared {
        Value::String(version) if !own.is_empty() => {
            own.insert("version".to_owned(), Value::from(version.as_str()));
            Value::Table(own)
        }
        Value::Table(table) => {
            let mut whole = table.clone();
            whole.extend(own);
            Value::Table(whole)
        }
        plain @ (Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)) => plain.clone(),
    }
}
