//! A data directory made once and copied for each test.
//!
//! It lies beside the program that runs the tests, under a name that follows from the server's exact
//! version and from what is done to it here; a change of either makes another. Tests that need it at
//! the same time may each make one: the first that is whole stays.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ADMIN, DATABASE, SUPERUSER, Version, close, hand_over};

const INIT: [&str; 6] = [
    "--auth=scram-sha-256",
    "--locale=C",
    "--encoding=UTF8",
    "--no-sync",
    "--no-instructions",
    "--wal-segsize=1",
];

/// Over TLS and with a password, or not at all.
const ACCESS: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

const ROLES: &str = include_str!("roles.sql");
const TABLES: &str = include_str!("tables.sql");

/// What an operator grants from version 16 on: there CREATEROLE alone gives no membership in roles
/// that others have made. Membership without INHERIT and SET, so that the administrator itself can
/// read nothing.
const ADMIN_OPTIONS: &str = "
GRANT app_readonly, app_readwrite TO symbolon WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
";

/// Copies the directory of `version` to `data`.
pub(super) fn copy(version: Version, data: &Path) {
    let template = find(version);
    expect(Command::new("cp").arg("-a").arg(&template).arg(data), "");
}

fn find(version: Version) -> PathBuf {
    let mut hash = DefaultHasher::new();
    let exact = expect(version.program("postgres").arg("--version"), "");
    (exact, INIT, ACCESS, setup(version), TABLES).hash(&mut hash);
    let tests = std::env::current_exe().expect("this program");
    let templates = tests.parent().expect("its directory").join("postgres-templates");
    fs::create_dir_all(&templates).expect("a directory");
    let template = templates.join(format!("{version:?}-{:016x}", hash.finish()));
    if !template.exists() {
        let made = make(version);
        let whole = tempfile::tempdir_in(&templates).expect("a directory");
        let whole = whole.path().join("data");
        expect(Command::new("cp").arg("-a").arg(made.path().join("data")).arg(&whole), "");
        // Fails if another test was faster.
        let _ = fs::rename(&whole, &template);
    }
    template
}

/// In a directory that the server's user can enter, wherever the tests lie.
fn make(version: Version) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, password) = (directory.path().join("data"), directory.path().join("password"));
    fs::write(&password, SUPERUSER.1).expect("a password");
    for path in [directory.path(), &password] {
        hand_over(path);
    }
    let mut init = version.program("initdb");
    init.arg("-D").arg(&data).args(INIT).args(["-U", SUPERUSER.0]);
    expect(init.arg("--pwfile").arg(&password), "");
    let access = data.join("pg_hba.conf");
    fs::write(&access, ACCESS).expect("pg_hba.conf");
    tell(version, &data, "postgres", &setup(version));
    tell(version, &data, DATABASE, TABLES);
    close(&data);
    directory
}

fn setup(version: Version) -> String {
    let options = match version {
        Version::V15 => "",
        Version::V18 => ADMIN_OPTIONS,
    };
    let password = format!("\nALTER ROLE {} PASSWORD '{}';\n", ADMIN.0, ADMIN.1);
    [ROLES, options, &password].concat()
}

/// Has a server without network carry out statements, one after the other.
fn tell(version: Version, data: &Path, database: &str, statements: &str) {
    let mut single = version.program("postgres");
    single.args(["--single", "-j", "-D"]).arg(data).arg(database);
    let said = expect(&mut single, &statements.replace(";\n", ";\n\n"));
    assert!(!said.contains("ERROR"), "{said}");
}

/// Runs to the end, answers what was said, and expects success.
fn expect(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("its input");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}
