//! What a component may import, and what it gets for it. The one table.
//!
//! A capability is what is linked. Four kinds of import are linked: the contract's own (`sql` among
//! them, which without a database refuses every call), outgoing HTTP (every request passes [`crate::egress`], and without a grant every request is refused),
//! clocks and randomness, and a remainder that language runtimes insist on and that holds nothing:
//! an empty environment, no arguments, closed input, output that goes nowhere, a file system
//! without a single directory, sockets that are never made. Everything else is refused at
//! admission, by name.
//!
//! The WASI imports are wasmtime's own implementation over an empty context, not stubs of ours, so
//! that components built by the usual SDKs for Rust, JavaScript and Python link unchanged.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::admit::AdmitError;
use crate::bindings;
use crate::state::State;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// Interface, without its version.
    pub name: &'static str,
    /// The versions that resolve: this one, or any patch of it.
    pub track: &'static str,
    /// What the component gets.
    pub gives: &'static str,
}

const fn row(name: &'static str, track: &'static str, gives: &'static str) -> Import {
    Import { name, track, gives }
}

const HOST: &str = "0.1.0";
const WASI: &str = "0.2";
const NO_FILES: &str = "nothing: no directory is opened, so no file can be named";
const NO_SOCKETS: &str = "nothing: no socket is made and no name is resolved";
const NO_TERMINAL: &str = "nothing: there is no terminal";
const SINK: &str = "nothing: what is written goes nowhere";

/// Everything that is linked.
pub const LINKED: &[Import] = &[
    row("symbolon:plugin/types", HOST, "types only"),
    row("symbolon:plugin/log", HOST, "bounded, escaped lines to the operator's log"),
    row("symbolon:plugin/config", HOST, "the backend's configuration"),
    row("symbolon:plugin/sql", HOST, "statements to the database that the operator grants"),
    row("wasi:http/types", WASI, "requests, responses and bodies"),
    row("wasi:http/outgoing-handler", WASI, "requests to what plugin and operator agree on"),
    row("wasi:io/error", WASI, "error texts of streams"),
    row("wasi:io/poll", WASI, "waiting, within the call's deadline"),
    row("wasi:io/streams", WASI, "streams of HTTP bodies"),
    row("wasi:clocks/monotonic-clock", WASI, "a clock that only grows"),
    row("wasi:clocks/wall-clock", WASI, "the time of day"),
    row("wasi:random/random", WASI, "randomness, at most 4 KiB at a time"),
    row("wasi:random/insecure", WASI, "randomness, at most 4 KiB at a time"),
    row("wasi:random/insecure-seed", WASI, "a random seed"),
    row("wasi:cli/environment", WASI, "nothing: no variables, no arguments, no directory"),
    row("wasi:cli/exit", WASI, "the end of the call, as a trap"),
    row("wasi:cli/stdin", WASI, "nothing: closed"),
    row("wasi:cli/stdout", WASI, SINK),
    row("wasi:cli/stderr", WASI, SINK),
    row("wasi:cli/terminal-input", WASI, NO_TERMINAL),
    row("wasi:cli/terminal-output", WASI, NO_TERMINAL),
    row("wasi:cli/terminal-stdin", WASI, NO_TERMINAL),
    row("wasi:cli/terminal-stdout", WASI, NO_TERMINAL),
    row("wasi:cli/terminal-stderr", WASI, NO_TERMINAL),
    row("wasi:filesystem/preopens", WASI, NO_FILES),
    row("wasi:filesystem/types", WASI, NO_FILES),
    row("wasi:sockets/network", WASI, NO_SOCKETS),
    row("wasi:sockets/instance-network", WASI, NO_SOCKETS),
    row("wasi:sockets/ip-name-lookup", WASI, NO_SOCKETS),
    row("wasi:sockets/tcp", WASI, NO_SOCKETS),
    row("wasi:sockets/tcp-create-socket", WASI, NO_SOCKETS),
    row("wasi:sockets/udp", WASI, NO_SOCKETS),
    row("wasi:sockets/udp-create-socket", WASI, NO_SOCKETS),
];

/// Refuses an import that is not in the table.
pub(crate) fn check(import: &str) -> Result<(), AdmitError> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let refused = |reason: String| {
        let import = crate::facade::escape(import, 128);
        Err(AdmitError::Import { import, reason })
    };
    match LINKED.iter().find(|row| row.name == name) {
        Some(row) if in_track(version, row.track) => Ok(()),
        Some(row) => refused(format!("this host offers version {} of it", row.track)),
        None => refused("it is not among what this host gives a plugin".to_owned()),
    }
}

/// Versions of one track are compatible in both directions; pre-releases match nothing.
fn in_track(version: &str, track: &str) -> bool {
    let patch = version.strip_prefix(track).and_then(|rest| rest.strip_prefix('.'));
    version == track
        || patch.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// A linker with everything in the table and nothing else.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    bindings::types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    bindings::log::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    bindings::config::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    bindings::sql::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineSettings, Runtime};

    #[test]
    fn patches_of_a_track_resolve_and_nothing_else_does() {
        for good in ["wasi:io/poll@0.2.0", "wasi:io/poll@0.2.12", "symbolon:plugin/log@0.1.0"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "wasi:io/poll",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.20.0",
            "symbolon:plugin/log@0.1.1",
            "symbolon:plugin/sql@0.2.0",
            "wasi:keyvalue/store@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "env",
        ] {
            assert!(matches!(check(bad), Err(AdmitError::Import { .. })), "{bad}");
        }
    }

    #[test]
    fn what_the_table_gives_is_linked_and_what_it_does_not_give_is_not() {
        let engine = Engine::default();
        let linker = linker(&engine).unwrap();
        let links = |name: &str, function: &str| {
            let text = format!(r#"(component (import "{name}" (instance (export {function}))))"#);
            let bytes = wat::parse_str(text).unwrap();
            let component = wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
            linker.instantiate_pre(&component).is_ok()
        };
        let pairs = "(result (list (tuple string string)))";
        for (name, function) in [
            ("symbolon:plugin/config@0.1.0", r#""get" (func (result string))"#.to_owned()),
            ("wasi:cli/environment@0.2.0", format!(r#""get-environment" (func {pairs})"#)),
            ("wasi:cli/environment@0.2.30", format!(r#""get-environment" (func {pairs})"#)),
            ("wasi:cli/exit@0.2.3", r#""exit" (func (param "status" (result)))"#.to_owned()),
            ("wasi:random/random@0.2.3", r#""get-random-u64" (func (result u64))"#.to_owned()),
            ("wasi:clocks/monotonic-clock@0.2.3", r#""now" (func (result u64))"#.to_owned()),
        ] {
            assert!(links(name, &function), "{name}");
            assert!(check(name).is_ok(), "{name}");
        }
        assert!(!links("wasi:keyvalue/store@0.2.0", r#""f" (func)"#));
    }

    /// What the stubs that are lists hold: how long each is.
    #[tokio::test]
    async fn the_environment_is_empty_and_there_are_no_arguments() {
        for (function, list) in [
            ("get-environment", "(list (tuple string string))"),
            ("get-arguments", "(list string)"),
        ] {
            let length = call(&counting("wasi:cli/environment@0.2.3", function, list)).await;
            assert_eq!(length, 0, "{function}");
        }
    }

    /// A component whose `run` answers how many members the list has that `function` answers.
    fn counting(interface: &str, function: &str, list: &str) -> Vec<u8> {
        let text = format!(
            r#"(component
                (import "{interface}" (instance $of (export "{function}" (func (result {list})))))
                (core module $memory
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
                (core instance $memory (instantiate $memory))
                (core func $ask (canon lower (func $of "{function}")
                    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
                (core module $main
                    (import "of" "ask" (func $ask (param i32)))
                    (import "of" "memory" (memory 1))
                    (func (export "run") (result i32)
                        (i32.store (i32.const 20) (i32.const 77))
                        (call $ask (i32.const 16))
                        (i32.load (i32.const 20))))
                (core instance $main (instantiate $main (with "of" (instance
                    (export "ask" (func $ask)) (export "memory" (memory $memory "memory"))))))
                (func (export "run") (result u32) (canon lift (core func $main "run"))))"#
        );
        wat::parse_str(text).unwrap()
    }

    async fn call(component: &[u8]) -> u32 {
        let settings = EngineSettings { instances: 4, ..EngineSettings::default() };
        let runtime = Runtime::start(&settings).unwrap();
        let component = wasmtime::component::Component::from_binary(runtime.engine(), component);
        let pre = linker(runtime.engine()).unwrap().instantiate_pre(&component.unwrap()).unwrap();
        let mut store = crate::testing::store(&runtime);
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run").unwrap();
        run.call_async(&mut store, ()).await.unwrap().0
    }
}
