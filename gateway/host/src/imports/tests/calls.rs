//! What a guest gets that calls what is linked: each row of the table, held against its words.
//!
//! Guests are core modules, made components by the encoder that real ones go through, with what
//! they call of WASI in `wasi.wit`. A result in memory begins at 16.

mod guests;

use std::process::Command;
use std::sync::Arc;

use symbolon_core::clock::{ManualClock, Timestamp};
use wasmtime::component::Component;
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};

use self::guests::GUESTS;
use crate::engine::{EngineSettings, Runtime};
use crate::imports::{LINKED, linker};
use crate::testing::HEAP;

/// What the guests are told that the time is.
const NOW: u32 = 1_800_000_000;

/// What guests write to their output.
const WRITTEN: &str = "written-by-a-guest";

/// A guest, and the rows whose words it holds.
struct Guest {
    rows: &'static [&'static str],
    gives: &'static str,
    /// What it imports: interface, function, its name and its type in the module.
    imports: &'static [[&'static str; 4]],
    /// The body of its `run`.
    run: &'static str,
    outcome: Outcome,
}

/// What comes of a guest.
#[derive(Debug)]
enum Outcome {
    Answers(u64),
    /// A number that the next instance does not get.
    Differs,
    /// For a reason in which these words are.
    Traps(&'static str),
}

impl Guest {
    fn core(&self) -> Vec<u8> {
        let imports: String = self.imports.iter().map(import).collect();
        let text = format!(
            r#"(module {imports}
            {HEAP}
            (data (i32.const 16) "\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d\4d")
            (data (i32.const 100) "{WRITTEN}")
            (data (i32.const 200) "localhost")
            (data (i32.const 300) "content-length" "1")
            (data (i32.const 400) "/")
            (func $tag (result i64) (i64.load8_u (i32.const 16)))
            (func $length (result i64) (i64.load32_u (i32.const 20)))
            (func $given (result i32) (i32.load (i32.const 20)))
            (func $refusal (result i64)
                (i64.add (i64.mul (call $tag) (i64.const 100)) (i64.load8_u (i32.const 20))))
            (func (export "run") (result i64) (local $n i32) (local $t i64) {run}))"#,
            run = self.run,
        );
        wat::parse_str(text).unwrap()
    }

    fn component(&self) -> Vec<u8> {
        let mut resolve = wit_parser::Resolve::default();
        resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0")).unwrap();
        let package = resolve.push_str("wasi.wit", include_str!("wasi.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        let (mut core, text) = (self.core(), StringEncoding::UTF8);
        wit_component::embed_component_metadata(&mut core, &resolve, world, text, false).unwrap();
        ComponentEncoder::default().module(&core).unwrap().validate(true).encode().unwrap()
    }

    /// In an instance of its own.
    async fn run(&self) -> wasmtime::Result<u64> {
        let settings = EngineSettings { instances: 4, ..EngineSettings::default() };
        let runtime = Runtime::start(&settings).unwrap();
        let component = Component::from_binary(runtime.engine(), &self.component()).unwrap();
        let pre = linker(runtime.engine()).unwrap().instantiate_pre(&component).unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(NOW.into()));
        let mut store = crate::testing::store(&runtime, Arc::new(clock));
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        let run = instance.get_typed_func::<(), (u64,)>(&mut store, "run").unwrap();
        Ok(run.call_async(&mut store, ()).await?.0)
    }
}

fn import([interface, function, name, kind]: &[&str; 4]) -> String {
    let version = if interface.starts_with("wasi:") { "0.2.12" } else { "0.1.0" };
    format!(r#"(import "{interface}@{version}" "{function}" (func ${name} {kind}))"#)
}

/// Names of the interfaces that a component imports.
fn imported(component: &[u8]) -> Vec<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap() else {
        panic!("no component")
    };
    let keys = resolve.worlds[world].imports.keys();
    let names = keys.map(|key| resolve.name_world_key(key));
    names.map(|name| name.split('@').next().unwrap().to_owned()).collect()
}

#[test]
fn every_row_has_a_guest_that_imports_it_and_holds_its_words() {
    for row in LINKED {
        let holds = |guest: &&Guest| guest.rows.contains(&row.name) && guest.gives == row.gives;
        let guests: Vec<_> = GUESTS.iter().filter(holds).collect();
        assert!(!guests.is_empty(), "no guest for {:?}", row);
        for guest in guests {
            assert!(imported(&guest.component()).iter().any(|name| name == row.name), "{row:?}");
        }
    }
    let named = GUESTS.iter().flat_map(|guest| guest.rows);
    for name in named {
        assert!(LINKED.iter().any(|row| row.name == *name), "{name} is not linked");
    }
}

#[tokio::test]
async fn what_is_linked_does_what_the_table_says() {
    let mut surprises = Vec::new();
    for guest in GUESTS {
        let came = guest.run().await.map_err(|error| format!("{error:?}"));
        let as_said = match guest.outcome {
            Outcome::Answers(number) => came == Ok(number),
            Outcome::Differs => {
                came.is_ok() && came.as_ref().ok() != guest.run().await.ok().as_ref()
            }
            Outcome::Traps(words) => matches!(&came, Err(reason) if reason.contains(words)),
        };
        if !as_said {
            surprises.push((guest.rows, &guest.outcome, came));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}

/// Runs the test above as a program, since the output of this one is what could be written to.
#[test]
fn what_a_guest_writes_is_in_no_output_of_the_process() {
    let path = concat!(module_path!(), "::what_is_linked_does_what_the_table_says");
    let test = path.split_once("::").unwrap().1;
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--exact", test, "--nocapture"]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(!said.contains(WRITTEN), "{said}");
}
