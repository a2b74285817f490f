//! The files that a vendor goes on from, one set an interface.
//!
//! Rust sources are as they are written; only what names the plugin is filled in. That each set builds,
//! passes its tests and loads is held by `tests/vendors`.

use symbolon_core::id::PluginName;

use super::{File, Kind};

macro_rules! template {
    ($kind:literal, $name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/plugin/", $kind, "/", $name))
    };
}

macro_rules! of_kind {
    ($kind:literal) => {
        [
            ("manifest.json", template!($kind, "manifest.json")),
            ("src/config.rs", template!($kind, "config.rs")),
            ("src/lib.rs", template!($kind, "lib.rs")),
            ("src/tests.rs", template!($kind, "tests.rs")),
            ("conformance.toml", template!($kind, "conformance.toml")),
            ("dev.toml", template!($kind, "dev.toml")),
        ]
    };
}

const COMMON: [(&str, &str); 3] = [
    ("Cargo.toml", template!("common", "Cargo.toml")),
    (".gitignore", template!("common", "gitignore")),
    ("README.md", template!("common", "README.md")),
];

pub(super) fn files(name: &PluginName, kind: Kind) -> Vec<File> {
    let (what, own) = match kind {
        Kind::Secrets => ("secrets that are there and are read", of_kind!("secrets")),
        Kind::Exchange => {
            ("an assertion of the gateway in, a foreign token out", of_kind!("exchange"))
        }
        Kind::Credentials => {
            ("credentials that are made on demand and must end", of_kind!("credentials"))
        }
    };
    let filled = |text: &str| {
        text.replace("{{name}}", name.as_str())
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{what}}", what)
    };
    let all = COMMON.into_iter().chain(own);
    all.map(|(path, text)| File { path: path.to_owned(), text: filled(text) }).collect()
}
