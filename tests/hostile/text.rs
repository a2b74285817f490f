//! Components written as text: for what no compiler of a language emits, and for claims that no SDK makes.

use symbolon_tests::harness::component::with_manifest;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// A component that says one name in its code and in its manifest, and reads what `read` says.
pub(super) struct Text {
    pub(super) name: &'static str,
    /// Body of `describe`; leaves the address of a descriptor.
    pub(super) describe: &'static str,
    /// Further items of the core module.
    pub(super) items: &'static str,
    /// Body of `read`; leaves the address of a result. `(call $say (i32.const 0))` answers `clean`,
    /// `(i32.const 8)` in its place `found`. Its parameters 5 and 6 are the path.
    pub(super) read: &'static str,
    /// What the contract is believed to be: a text of it, and another in its place.
    pub(super) contract: (&'static str, &'static str),
    /// The world that it is of.
    pub(super) world: &'static str,
}

/// A body of `describe` that says what the manifest says.
pub(super) const GOOD: &str = "(i32.const 1024)";

impl Default for Text {
    fn default() -> Self {
        Self {
            name: "text",
            describe: GOOD,
            items: "",
            read: "(call $say (i32.const 0))",
            contract: ("", ""),
            world: "secrets-plugin",
        }
    }
}

/// Layouts of `wit/0.1.0`, by the canonical ABI. The smoke call reads a whole descriptor, and every test a
/// whole secret: both would notice a mistake.
const SHARED: &str = r#"
(memory (export "memory") 1)
(global $heap (mut i32) (i32.const 32768))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get 3))))
(func (export "symbolon:plugin/check@0.1.0#validate") (result i32) (i32.const 4096))
(func (export "symbolon:plugin/check@0.1.0#probe")
    (param i32 i32 i64 i32 i32) (result i32) (i32.const 4096))
"#;

const SECRETS: &str = r#"
(data (i32.const 300) "clean\00\00\00found\00\00\00text/plain")
(func $say (param $word i32) (result i32)
    (i32.store (i32.const 2076) (i32.const 316))
    (i32.store (i32.const 2080) (i32.const 10))
    (i32.store (i32.const 2088) (i32.add (i32.const 300) (local.get $word)))
    (i32.store (i32.const 2092) (i32.const 5))
    (i32.const 2048))
(func (export "symbolon:plugin/secrets@0.1.0#read-many")
    (param i32 i32 i64 i32 i32 i32 i32) (result i32) (i32.const 4096))
(func (export "symbolon:plugin/secrets@0.1.0#list")
    (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 4096))
"#;

impl Text {
    fn core(&self) -> Vec<u8> {
        let Self { name, describe, items, read, .. } = self;
        let length = name.len();
        let secrets = match self.world {
            "base" => String::new(),
            _ => format!(
                r#"{SECRETS}(func (export "symbolon:plugin/secrets@0.1.0#read")
                (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i32.store (i32.const 2056) (local.get 5))
                (i32.store (i32.const 2060) (local.get 6))
                {read})"#
            ),
        };
        let text = format!(
            r#"(module {SHARED} {items} {secrets}
            (func (export "symbolon:plugin/describe@0.1.0#describe") (result i32) {describe})
            (data (i32.const 100) "0.1.0in text{{}}") (data (i32.const 200) "{name}")
            (data (i32.const 1024) "\c8\00\00\00\{length:02x}\00\00\00" "\64\00\00\00\05\00\00\00"
                "\69\00\00\00\07\00\00\00" "\70\00\00\00\02\00\00\00"))"#
        );
        wat::parse_str(text).expect("a core module")
    }

    /// The component, with the manifest that says what its code says.
    pub(super) fn component(&self) -> Vec<u8> {
        let mut core = self.core();
        let resolve = self.believed();
        let package = resolve.packages.iter().next().expect("the contract").0;
        let world = resolve.select_world(&[package], Some(self.world)).expect("a world");
        let encoding = StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut core, &resolve, world, encoding, false)
            .expect("metadata");
        let mut encoder = ComponentEncoder::default();
        let encoder = encoder.module(&core).expect("a module").validate(true);
        let component = encoder.encode().expect("a component");
        with_manifest(component, &self.manifest())
    }

    fn manifest(&self) -> serde_json::Value {
        serde_json::json!({
            "contract": "0.1.0", "name": self.name, "version": "0.1.0", "summary": "in text",
            "config_schema": {}, "egress": [], "recovery": null, "metadata": {}
        })
    }

    fn believed(&self) -> Resolve {
        let directory = tempfile::tempdir().expect("a directory");
        for file in std::fs::read_dir(CONTRACT).expect("the contract") {
            let file = file.expect("a file");
            let text = std::fs::read_to_string(file.path()).expect("text");
            let (from, to) = self.contract;
            let text = if from.is_empty() { text } else { text.replace(from, to) };
            std::fs::write(directory.path().join(file.file_name()), text).expect("a copy");
        }
        let mut resolve = Resolve::default();
        resolve.push_path(directory.path()).expect("WIT");
        resolve
    }
}

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1.0");
