//! Why there is no component.

use std::path::PathBuf;
use std::process::ExitStatus;

/// What went wrong, in words for whoever builds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program did not start.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended without success.
    #[error("{program}: {status}")]
    Ended {
        /// Which.
        program: String,
        /// How.
        status: ExitStatus,
    },
    /// A program printed what is not text.
    #[error("{0} printed what is not text")]
    NoText(String),
    /// Nothing here compiles to WebAssembly.
    #[error(
        "no way to compile to WebAssembly was found: run `rustup target add wasm32-unknown-unknown` or, \
         on Debian, install the packages rustc-web and rust-web-src"
    )]
    NoCompiler,
    /// The packages of Debian's compiler are not whole.
    #[error("rustc-web and rust-web-src do not give what they should in {0}")]
    Incomplete(PathBuf),
    /// Debian's compiler needs the toolchain's linker.
    #[error("the toolchain has no rust-lld: {0}")]
    NoLinker(String),
    /// A directory cannot be made, read or removed.
    #[error("cannot use {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What cargo says of a project is not what it says elsewhere.
    #[error("cargo's description of the project makes no sense")]
    Metadata(#[source] serde_json::Error),
    /// The manifest is not one.
    #[error("the manifest is faulty")]
    Manifest(#[source] serde_json::Error),
    /// What was compiled does not become a component. The text is the encoder's own.
    #[error("the module does not become a component: {0}")]
    Encode(String),
    /// The component wants what no host gives.
    #[error("imports {0}, which no host of this contract gives")]
    Import(String),
}
