//! `gateway/docs/vendors.md`: every command in it is run, in order, in an empty folder.

use std::path::{Path, PathBuf};

use super::{Going, done};

/// A block of commands.
struct Block {
    lines: Vec<String>,
    /// It goes on, in a terminal of its own.
    background: bool,
}

fn blocks() -> Vec<Block> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/docs/vendors.md");
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in std::fs::read_to_string(guide).unwrap().lines() {
        match (line, &mut open) {
            ("```", _) => blocks.extend(open.take()),
            (_, Some(block)) => block.lines.push(line.to_owned()),
            ("```sh", None) => open = Some(Block { lines: Vec::new(), background: false }),
            ("```sh background", None) => {
                open = Some(Block { lines: Vec::new(), background: true });
            }
            (other, None) => {
                assert!(!other.starts_with("```"), "a block that no test runs: {other}");
            }
        }
    }
    blocks
}

#[test]
fn every_command_of_the_guide_does_what_it_should() {
    let place = tempfile::tempdir().unwrap();
    let mut here: PathBuf = place.path().to_owned();
    let mut ran = 0;
    for block in blocks() {
        for line in &block.lines {
            if let Some(directory) = line.strip_prefix("cd ") {
                here = here.join(directory);
            } else if block.background {
                let mut going = Going::start(line, &here);
                going.until("curl --cacert");
                let said = going.end();
                assert!(!said.contains("degraded"), "{said}");
            } else {
                done(line, &here);
            }
            ran += 1;
        }
    }
    assert!(ran >= 9, "the guide has lost its commands: {ran}");
    let signatures = std::fs::read_to_string(here.join("dist/acme-store.wasm.sig")).unwrap();
    assert!(signatures.contains("\"name\": \"acme-store\""), "{signatures}");
}
