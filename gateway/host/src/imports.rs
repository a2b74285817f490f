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
mod tests;
