//! A way to compile to WebAssembly, wherever this runs.
//!
//! `rustup target add` is the normal way, and cannot reach its server everywhere. Debian ships a
//! second, newer compiler for its browsers, `rustc-web`, together with the sources of the standard
//! library; with those the library is built along, which takes about a minute once.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::program::{output, within};
use crate::{Error, debian};

/// What is compiled to.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// `rustup` may wait for a server that never answers.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);

/// Debian's packages: the compiler, and the library's sources.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// What is meant for the native compiler: a wrapper would be of another version, and flags would
/// replace those of the target.
const MEANT_FOR_THE_NATIVE: [&str; 4] =
    ["RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];

/// How a compiler is looked for.
pub struct Search<'a> {
    /// Take only the last way.
    pub forced: bool,
    /// Where Debian's packages may be fetched to by whoever cannot install them; they are neither
    /// installed nor fetched if there is no such place.
    pub fetch: Option<PathBuf>,
    /// Is told which way was taken.
    pub say: &'a dyn Fn(&str),
}

/// What was found.
pub enum Compiler {
    /// The toolchain's own, with the target installed.
    Own,
    /// Debian's, below a directory that is `/` if it is installed.
    Debian(PathBuf),
}

impl Compiler {
    /// Tries the ways in order and says which it took.
    ///
    /// # Errors
    /// [`Error::NoCompiler`] if there is none, others if Debian's cannot be fetched.
    pub fn find(search: &Search<'_>) -> Result<Self, Error> {
        let Search { forced, say, .. } = search;
        if !forced && has_target() {
            say("WebAssembly by the toolchain's own target");
            return Ok(Self::Own);
        }
        if !forced && within(RUSTUP_LIMIT, Command::new("rustup").args(["target", "add", TARGET])) {
            say("WebAssembly by the toolchain's own target, which rustup fetched");
            return Ok(Self::Own);
        }
        let top = search.debian()?;
        let why = if *forced { "as forced" } else { "since rustup cannot fetch the target" };
        say(&format!("WebAssembly by Debian's rustc-web, {why}"));
        Ok(Self::Debian(top))
    }

    /// Lets a call of cargo compile by this compiler, to the target and for release. The call has no
    /// arguments yet: what is added after this are more flags of `cargo build`.
    ///
    /// # Errors
    /// [`Error::NoLinker`] if the toolchain's linker is not there and is needed.
    pub fn build(&self, cargo: &mut Command) -> Result<(), Error> {
        for variable in MEANT_FOR_THE_NATIVE {
            cargo.env_remove(variable);
        }
        cargo.args(["build", "--release", "--target", TARGET]);
        let Self::Debian(top) = self else { return Ok(()) };
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", top.join("usr/bin/rustc"))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
        if let Some(paths) = libraries(top) {
            cargo.env("LD_LIBRARY_PATH", paths);
        }
        Ok(())
    }
}

fn has_target() -> bool {
    let mut query = Command::new("rustc");
    query.args(["--print", "target-libdir", "--target", TARGET]);
    output(&mut query).is_ok_and(|directory| Path::new(&directory).is_dir())
}

/// Debian's linker for the target is not among the packages; the toolchain brings one that fits.
fn linker() -> Result<PathBuf, Error> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Error::NoLinker("rustc does not name its host".to_owned()))?;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    if !linker.exists() {
        return Err(Error::NoLinker(format!("not at {}", linker.display())));
    }
    Ok(linker)
}

/// Where the compiler's own libraries are, if it is not installed but unpacked.
fn libraries(top: &Path) -> Option<OsString> {
    if top == Path::new("/") {
        return None;
    }
    let paths = [top.join("usr/lib"), top.join(debian::machine_libraries())];
    env::join_paths(paths).ok()
}

impl Search<'_> {
    /// The directory below which Debian's compiler is: installed, unpacked earlier, or fetched now.
    fn debian(&self) -> Result<PathBuf, Error> {
        let installed = PathBuf::from("/");
        let unpacked = self.fetch.as_ref().map(|place| place.join("rustc-web"));
        let known = [Some(&installed), unpacked.as_ref()];
        if let Some(top) = known.into_iter().flatten().find(|top| is_complete(top)) {
            return Ok(top.clone());
        }
        let unpacked = unpacked.ok_or(Error::NoCompiler)?;
        (self.say)("fetching Debian's rustc-web");
        let top = if debian::is_root()? {
            debian::install(&PACKAGES)?;
            installed
        } else {
            debian::unpack(&PACKAGES, &unpacked)?;
            unpacked
        };
        if is_complete(&top) { Ok(top) } else { Err(Error::Incomplete(top)) }
    }
}

/// Both are needed: a compiler that is some other package's has no sources beside it.
fn is_complete(top: &Path) -> bool {
    let sources = top.join("usr/lib/rustlib/src/rust/library/std");
    top.join("usr/bin/rustc").exists() && sources.is_dir()
}
