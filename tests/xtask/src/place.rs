//! Where things are: the sources, and what is made of them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The directories that everything happens in.
pub(crate) struct Place {
    root: PathBuf,
    target: PathBuf,
}

impl Place {
    /// From what cargo says to the program that it runs.
    pub(crate) fn find() -> Result<Self> {
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
        let root = Path::new(&here).ancestors().nth(2).context("not in a workspace")?.to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root, target: std::path::absolute(target)? })
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace of the plugins.
    pub(crate) fn plugin_sources(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Where finished components are.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Where those are that other toolchains than Rust's have made.
    pub(crate) fn languages(&self) -> PathBuf {
        self.target.join("languages")
    }

    /// Where the gateway's binary is put.
    pub(crate) fn binary(&self) -> PathBuf {
        self.beside_binary("symbolon")
    }

    /// Another program of the same profile.
    pub(crate) fn beside_binary(&self, name: &str) -> PathBuf {
        self.target.join("ci").join(name)
    }

    /// Where fuzzing leaves what a target choked on.
    pub(crate) fn failures(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// What the plugins' workspace is compiled in: apart, so that the two compilers do not wait for
    /// each other's lock.
    pub(crate) fn wasm(&self) -> PathBuf {
        self.target.join("wasm")
    }

    /// Where what tests need of others is fetched to.
    pub(crate) fn parts(&self) -> PathBuf {
        self.target.join("parts")
    }
}
