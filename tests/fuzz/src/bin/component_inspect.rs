//! Fuzz target: what is learned of a component without running it.
//!
//! Whatever the bytes are, they are refused or known by their own digest, and what is known keeps the
//! rules of a manifest and of what may be imported.

use std::process::ExitCode;

use symbolon_fuzz::{Target, drive};
use symbolon_host::manifest::{Digest, SECTION};
use symbolon_host::{Inspection, imports};

const MOST: usize = 1 << 20;
const MANIFEST: &str = r#"{"contract":"0.1.0","name":"guest","version":"1.2.3","summary":"a guest","config_schema":{},"egress":[],"recovery":null,"metadata":{}}"#;
const WORDS: &[&str] = &[
    "\0asm\r\0\u{1}\0",
    "\0asm\u{1}\0\0\0",
    SECTION,
    MANIFEST,
    "symbolon:plugin/describe@0.1.0",
    "symbolon:plugin/check@0.1.0",
    "symbolon:plugin/secrets@0.1.0",
    "wasi:http/outgoing-handler@0.2.0",
    "wasi:sockets/tcp@0.2.0",
    "\u{0}\u{4}name",
    "\u{7}\u{1}B\u{0}",
    "\"egress\":[{\"scheme\":\"https\",\"host\":\"{url}\",\"port\":null,\"methods\":[\"GET\"],\"path_prefix\":\"/\"}]",
];

fn main() -> ExitCode {
    let mut seeds = vec![component(MANIFEST), component("{"), b"\0asm\r\0\x01\0".to_vec()];
    seeds.push(b"\0asm\x01\0\0\0".to_vec());
    drive(&Target { name: "component_inspect", seeds, words: WORDS, check })
}

/// The least that has a manifest: a header and the section.
fn component(manifest: &str) -> Vec<u8> {
    let mut name = vec![u8::try_from(SECTION.len()).unwrap_or(0)];
    name.extend_from_slice(SECTION.as_bytes());
    name.extend_from_slice(manifest.as_bytes());
    let mut bytes = b"\0asm\r\0\x01\0\0".to_vec();
    let size = name.len();
    let [low, high] = [size & 0x7f, size >> 7].map(|part| u8::try_from(part).unwrap_or(0));
    bytes.extend(if high == 0 { vec![low] } else { vec![low | 0x80, high] });
    bytes.extend(name);
    bytes
}

fn check(input: &[u8]) -> bool {
    let Ok(found) = Inspection::of(input, MOST) else { return false };
    assert_eq!(found.digest, Digest::of(input));
    assert_eq!(found.bytes, input.len());
    for import in &found.imports {
        let name = import.split('@').next().unwrap_or_default();
        assert!(imports::LINKED.iter().any(|row| row.name == name), "{import}");
    }
    true
}
