//! Debian's packages, for what comes no other way.
//!
//! INVARIANT: one `apt-get` of this tool runs at a time; parts are fetched beside the compiler, and
//! the lock on the package lists is one that `apt-get` does not wait for.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use crate::Error;
use crate::program::{expect, output};

static TURN: Mutex<()> = Mutex::new(());

/// Whether packages can be installed.
///
/// # Errors
/// [`Error`] if that cannot be asked.
pub fn is_root() -> Result<bool, Error> {
    Ok(output(Command::new("id").arg("-u"))? == "0")
}

/// Installs packages into the system.
///
/// # Errors
/// [`Error`] if `apt-get` fails.
pub fn install(packages: &[&str]) -> Result<(), Error> {
    let _turn = TURN.lock();
    expect("apt-get update", apt().arg("update"))?;
    let mut install = apt();
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    expect("apt-get install", &mut install)
}

/// Without root: what an installation would bring, unpacked below `top`.
pub(crate) fn unpack(packages: &[&str], top: &Path) -> Result<(), Error> {
    let plan = output(apt().args(["install", "-s", "--no-install-recommends"]).args(packages))?;
    let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let downloads = top.join("packages");
    let faulty = |source| Error::Directory { path: downloads.clone(), source };
    fs::create_dir_all(&downloads).map_err(faulty)?;
    let mut download = apt();
    download.current_dir(&downloads).arg("download").args(names);
    expect("apt-get download", &mut download)?;
    for package in fs::read_dir(&downloads).map_err(faulty)? {
        let mut unpack = Command::new("dpkg");
        unpack.arg("-x").arg(package.map_err(faulty)?.path()).arg(top);
        expect("dpkg -x", &mut unpack)?;
    }
    fs::remove_dir_all(&downloads).map_err(faulty)
}

/// Where Debian puts the libraries of this machine.
pub(crate) fn machine_libraries() -> String {
    format!("usr/lib/{}-linux-gnu", env::consts::ARCH)
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["-q", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=600"]);
    apt
}
