//! From the guests of the archive, written as core modules, to components in text form.
//!
//! A component is made once, of the contract and by the encoder of its day, and printed; what is
//! archived is the print. [`keep`] never replaces one: old components are kept to be old.

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{PackageId, Resolve};

/// Digests of what is archived of a version, as `sha256sum` writes them.
pub(super) const SUMS: &str = "SHA256SUMS";

const COMMON: &str = include_str!("guests/common.wat");
const IMPORTS: &str = include_str!("guests/imports.wat");
const SQL: &str = include_str!("guests/sql.wat");

/// Each interface that is archived (those of `base` with each of them): whether it uses `sql`, and
/// its guest.
pub(super) const GUESTS: [(&str, bool, &str); 4] = [
    ("secrets", false, include_str!("guests/secrets.wat")),
    ("credentials", true, include_str!("guests/credentials.wat")),
    ("exchange", false, include_str!("guests/exchange.wat")),
    ("rotate", true, include_str!("guests/rotate.wat")),
];

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The contract of this version, as it is written.
pub(super) fn contract(version: &str) -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit").join(version)).expect("a contract");
    (resolve, package)
}

/// The guest of an interface as a component of this contract, in text form.
pub(super) fn component(mut resolve: Resolve, version: &str, interface: &str) -> String {
    let guest = GUESTS.iter().find(|(name, ..)| *name == interface);
    let (_, database, guest) = guest.expect("a guest of the interface");
    let (sql, import) = if *database {
        (SQL, format!("import symbolon:plugin/sql@{version};"))
    } else {
        ("", String::new())
    };
    let world = format!(
        "package symbolon:archive; world one {{ include symbolon:plugin/base@{version}; {import}
        export symbolon:plugin/{interface}@{version}; }}"
    );
    let package = resolve.push_str("one.wit", &world).expect("a package");
    let world = resolve.select_world(&[package], Some("one")).expect("the world");
    let text = format!("(module {IMPORTS} {sql} {guest} {COMMON})").replace("VERSION", version);
    let mut core = wat::parse_str(text).expect("a core module");
    let utf8 = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut core, &resolve, world, utf8, false)
        .expect("the world is in it");
    let encoded =
        ComponentEncoder::default().validate(true).module(&core).expect("a module").encode();
    wasmprinter::print_bytes(encoded.expect("a component")).expect("text")
}

/// Archives a component under this name, unless there is one.
pub(super) fn keep(directory: &Path, name: &str, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::create_dir_all(directory)?;
    std::fs::File::create_new(directory.join(name))?.write_all(text.as_bytes())?;
    let line = format!("{}  {name}\n", symbolon_host::Digest::of(text.as_bytes()).hex());
    let sums = directory.join(SUMS);
    std::fs::OpenOptions::new().append(true).create(true).open(sums)?.write_all(line.as_bytes())
}
