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

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::place::Place;
use crate::step::{Cargo, output, say, timed, within};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// `rustup` may wait for a server that never answers.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);

/// Debian's packages: the compiler, and the library's sources.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Set to anything but nothing, only the last way is tried.
const FORCED: &str = "SYMBOLON_WASM_FALLBACK";

/// What was found.
pub(crate) enum Compiler {
    /// The toolchain's own, with the target installed.
    Own,
    /// Debian's, below a directory that is `/` if it is installed.
    Debian(PathBuf),
}

impl Compiler {
    /// Tries the ways in order and says which it took.
    pub(crate) fn find(place: &Place) -> Result<Self> {
        let forced = env::var_os(FORCED).is_some_and(|value| !value.is_empty());
        if !forced && has_target() {
            say("WebAssembly by the toolchain's own target");
            return Ok(Self::Own);
        }
        if !forced && within(RUSTUP_LIMIT, Command::new("rustup").args(["target", "add", TARGET])) {
            say("WebAssembly by the toolchain's own target, which rustup fetched");
            return Ok(Self::Own);
        }
        let top = find_debian(place).context("no way to compile to WebAssembly was found")?;
        let why = if forced { "as forced" } else { "since rustup cannot fetch the target" };
        say(&format!("WebAssembly by Debian's rustc-web, {why}"));
        Ok(Self::Debian(top))
    }

    /// A build of the plugins by this compiler.
    pub(crate) fn build(&self, place: &Place) -> Result<Cargo> {
        let build = Cargo::plugins(place).unwrapped().args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
        ]);
        let Self::Debian(top) = self else { return Ok(build) };
        let build = build
            .args(["-Zbuild-std=std,panic_abort"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", top.join("usr/bin/rustc"))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
        Ok(match libraries(top) {
            Some(paths) => build.env("LD_LIBRARY_PATH", paths),
            None => build,
        })
    }
}

fn has_target() -> bool {
    let mut query = Command::new("rustc");
    query.args(["--print", "target-libdir", "--target", TARGET]);
    output(&mut query).is_ok_and(|directory| Path::new(&directory).is_dir())
}

/// Debian's linker for the target is not among the packages; the toolchain brings one that fits.
fn linker() -> Result<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("no host")?;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    if !linker.exists() {
        bail!("the toolchain has no rust-lld at {}", linker.display());
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

/// The directory below which Debian's compiler is: installed, unpacked earlier, or fetched now.
fn find_debian(place: &Place) -> Result<PathBuf> {
    let (installed, unpacked) = (PathBuf::from("/"), place.parts().join("rustc-web"));
    if let Some(top) = [&installed, &unpacked].into_iter().find(|top| is_complete(top)) {
        return Ok(top.clone());
    }
    let is_root = debian::is_root()?;
    let top = if is_root { installed } else { unpacked };
    let fetch =
        || if is_root { debian::install(&PACKAGES) } else { debian::unpack(&PACKAGES, &top) };
    timed("Debian's rustc-web", fetch)?;
    if !is_complete(&top) {
        bail!("rustc-web and rust-web-src do not give what they should in {}", top.display());
    }
    Ok(top)
}

/// Both are needed: a compiler that is some other package's has no sources beside it.
fn is_complete(top: &Path) -> bool {
    let sources = top.join("usr/lib/rustlib/src/rust/library/std");
    top.join("usr/bin/rustc").exists() && sources.is_dir()
}
