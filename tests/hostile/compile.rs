//! Components that are made to be hard to compile, and compilers that are not ours.
//!
//! Each bomb is a good component with one more core module, which nothing instantiates: it parses
//! like any other, and only compiling it costs.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use symbolon_core::id::PluginName;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::compiler::CompileLimit;
use symbolon_host::engine::EngineSettings;
use symbolon_host::{
    AdmitError, Admitted, CompileLimits, Compiler, CompilerProcess, Host, Package, Trust,
};
use symbolon_tests::harness::{Gateway, Setup, binary, plugins};

use super::components;

/// Far beyond what a good component needs, and soon reached.
const SMALL: CompileLimits = CompileLimits {
    memory: 1 << 30,
    cpu: Duration::from_secs(2),
    wall: Duration::from_secs(60),
    code: 64 << 20,
    children: 2,
};

fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(body.len()), body].concat()
}

/// A core module of `count` functions `(i32) -> i32` with this body.
fn module(count: usize, locals: usize, body: &[u8]) -> Vec<u8> {
    let types = [1, 0x60, 1, 0x7f, 1, 0x7f];
    let declared = [leb(count), vec![0; count]].concat();
    let code = [&[1][..], &leb(locals), &[0x7f], body, &[0x0b]].concat();
    let one = [leb(code.len()), code].concat();
    let code = [leb(count), one.repeat(count)].concat();
    [HEADER.to_vec(), section(1, &types), section(3, &declared), section(10, &code)].concat()
}

const HEADER: &[u8] = b"\0asm\x01\0\0\0";

fn good() -> Vec<u8> {
    std::fs::read(plugins().join("static.wasm")).unwrap()
}

/// `static` with one more core module.
fn bomb(module: &[u8]) -> Vec<u8> {
    [good(), section(1, module)].concat()
}

/// `local.get 0; i32.const 7; i32.mul; local.set 1`, and so on: much to compile in few bytes.
fn arithmetic(times: usize) -> Vec<u8> {
    let step = [0x20, 0, 0x41, 7, 0x6c, 0x20, 1, 0x6a, 0x21, 1];
    [step.repeat(times), vec![0x20, 1]].concat()
}

/// Blocks within blocks.
fn nested(depth: usize) -> Vec<u8> {
    [[0x02, 0x40].repeat(depth), vec![0x0b; depth], vec![0x20, 0]].concat()
}

/// A branch table with an entry for each of so many blocks, again and again.
fn tables(depth: usize, times: usize) -> Vec<u8> {
    let targets: Vec<u8> = (0..depth).flat_map(leb).collect();
    let table = [&[0x02, 0x40, 0x20, 0, 0x0e][..], &leb(depth), &targets, &[0, 0x0b]].concat();
    [[0x02, 0x40].repeat(depth), table.repeat(times), vec![0x0b; depth], vec![0x20, 0]].concat()
}

/// Loops within loops around a use of so many locals: each is a parameter of each loop.
fn loops(depth: usize, locals: usize) -> Vec<u8> {
    let step = |local| [&[0x20][..], &leb(local), &[0x41, 1, 0x6a, 0x21], &leb(local)].concat();
    let steps: Vec<u8> = (1..locals).flat_map(step).collect();
    let ends = [0x20, 0, 0x0d, 0, 0x0b].repeat(depth);
    [[0x03, 0x40].repeat(depth), steps, ends, vec![0x20, 0]].concat()
}

fn host(program: PathBuf, limits: CompileLimits) -> Host {
    let settings = EngineSettings { instances: 16, ..EngineSettings::default() };
    let compiler = Compiler::Process(CompilerProcess::new(program, limits));
    Host::start(&settings, compiler, None, MAX_COMPONENT_BYTES).unwrap()
}

async fn admit(host: &Host, component: Vec<u8>) -> Result<Admitted, AdmitError> {
    let trust = Trust::default().with_unsigned([PluginName::parse("static").unwrap()]);
    Box::pin(host.admit(Package::new(component, None), &trust)).await
}

#[tokio::test]
async fn every_compile_bomb_meets_its_limit_and_the_next_component_compiles() {
    let many = || bomb(&module(60_000, 8, &arithmetic(40)));
    let cases: [(&str, Vec<u8>, CompileLimits, CompileLimit); 4] = [
        ("many functions", many(), SMALL, CompileLimit::Cpu(SMALL.cpu)),
        (
            "a huge function",
            bomb(&module(1, 50, &arithmetic(700_000))),
            CompileLimits { memory: 256 << 20, cpu: Duration::from_secs(60), ..SMALL },
            CompileLimit::Memory(256 << 20),
        ),
        (
            "many functions, by the clock",
            many(),
            CompileLimits { wall: Duration::from_millis(500), ..SMALL },
            CompileLimit::Wall(Duration::from_millis(500)),
        ),
        (
            "much code",
            bomb(&module(10_000, 8, &arithmetic(40))),
            CompileLimits { code: 3 << 20, cpu: Duration::from_secs(60), ..SMALL },
            CompileLimit::Code(3 << 20),
        ),
    ];
    for (case, component, limits, limit) in cases {
        let host = host(binary(), limits);
        let refused = admit(&host, component).await.unwrap_err();
        assert_eq!(refused, AdmitError::CompileLimit(limit), "{case}");
        assert_eq!(refused.step(), "compile", "{case}");
        let again = admit(&host, good()).await;
        assert!(again.is_ok() || limits.wall < Duration::from_secs(1), "{case}: {again:?}");
    }
}

/// What a bomb is called, the compiler's limits that it is sent to, itself, the code of the limit that ends
/// it, and what the operator is told.
type Bomb = (&'static str, &'static str, fn() -> Vec<u8>, (&'static str, &'static str));

const ROOMY: &str = r#"{ memory = "2GiB", cpu = "60s", timeout = "60s" }"#;

const SHORT: &str = r#"{ cpu = "2s", timeout = "60s" }"#;
const SMALL_MEMORY: &str = r#"{ memory = "256MiB", cpu = "60s", timeout = "60s" }"#;
const CPU: (&str, &str) = ("plugin_compile_cpu", "more than 2 s of CPU time");
const MEMORY: (&str, &str) = ("plugin_compile_memory", "more than 268435456 bytes of memory");

pub(super) const BOMBS: &[Bomb] = &[
    ("many-functions", SHORT, functions, CPU),
    (
        "many-functions-by-the-clock",
        r#"{ cpu = "60s", timeout = "2s" }"#,
        functions,
        ("plugin_compile_time", "more than 2 s"),
    ),
    ("huge-function", SMALL_MEMORY, one_function, MEMORY),
    ("deep-nesting", SHORT, nesting, CPU),
    ("wide-branches", SHORT, branching, CPU),
    ("many-locals", ROOMY, locals, ("plugin_compile", "too many locals")),
    ("many-types", ROOMY, types, ("plugin_compile", "types count exceeds limit of 1000000")),
    (
        "sparse-data",
        ROOMY,
        sparse,
        ("plugin_compile", "memory has a minimum byte size of 4294967296"),
    ),
    ("much-data", SMALL_MEMORY, data, MEMORY),
];

fn functions() -> Vec<u8> {
    with_functions(good())
}

/// The same component, which takes seconds to compile.
pub(crate) fn with_functions(component: Vec<u8>) -> Vec<u8> {
    [component, section(1, &module(60_000, 8, &arithmetic(40)))].concat()
}

fn one_function() -> Vec<u8> {
    bomb(&module(1, 50, &arithmetic(700_000)))
}

fn nesting() -> Vec<u8> {
    bomb(&module(1, 8, &nested(200_000)))
}

fn branching() -> Vec<u8> {
    bomb(&module(1, 8, &tables(900, 900)))
}

fn locals() -> Vec<u8> {
    bomb(&module(1, 50_001, &arithmetic(1)))
}

/// One more type than a module may have.
fn types() -> Vec<u8> {
    let one = [0x60, 0, 0];
    let body = [leb(1_000_001), one.repeat(1_000_001)].concat();
    bomb(&[HEADER, &section(1, &body)].concat())
}

/// A memory of 4 GiB with a byte at its beginning and one at its end: an image of it would be as large.
fn sparse() -> Vec<u8> {
    let memory = section(5, &[&[1, 0][..], &leb(65_536)].concat());
    let first = [0, 0x41, 0, 0x0b, 1, 7];
    // i32.const -1, read without a sign: the last byte.
    let last = [0, 0x41, 0x7f, 0x0b, 1, 7];
    let data = section(11, &[&[2][..], &first, &last].concat());
    bomb(&[HEADER, &memory, &data].concat())
}

/// 60 MiB of data.
fn data() -> Vec<u8> {
    const BYTES: usize = 60 << 20;
    let memory = section(5, &[&[1, 0][..], &leb(BYTES >> 16)].concat());
    let segment = [&[1, 0, 0x41, 0, 0x0b][..], &leb(BYTES), &vec![7; BYTES]].concat();
    bomb(&[HEADER, &memory, &section(11, &segment)].concat())
}

#[tokio::test]
async fn every_compile_bomb_that_is_sent_is_refused_by_its_limit_and_on_record() {
    let mut wrong = Vec::new();
    for (name, limits, bomb, (code, reason)) in BOMBS {
        let lines = format!("unsigned = [\"static\"]\ncompile = {limits}");
        let scene = components::Scene::with(&lines).await;
        if let Err(fault) = scene.send(&bomb()).await.refused(code, reason) {
            wrong.push(format!("{name}: {fault}"));
        }
        scene.gateway.stop().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_nests_deep_or_branches_wide_is_compiled_or_refused_and_harms_nobody() {
    for (case, body) in
        [("nested", nested(200_000)), ("branches", tables(900, 900)), ("locals", arithmetic(1))]
    {
        let locals = if case == "locals" { 49_000 } else { 8 };
        let host = host(binary(), SMALL);
        let outcome = admit(&host, bomb(&module(1, locals, &body))).await;
        if let Err(refused) = outcome {
            assert_eq!(refused.step(), "compile", "{case}: {refused}");
            assert!(!matches!(refused, AdmitError::Compiler(_)), "{case}: {refused}");
        }
        assert!(admit(&host, good()).await.is_ok(), "{case}");
    }
}

#[tokio::test]
async fn what_does_not_compile_is_refused_with_the_compilers_words() {
    let host = host(binary(), SMALL);
    // An addition of nothing.
    let refused = admit(&host, bomb(&module(1, 1, &[0x6a]))).await.unwrap_err();
    assert_eq!(refused.code(), "plugin_compile", "{refused}");
    assert!(refused.to_string().contains("type mismatch"), "{refused}");
}

/// A program that stands for the compiler.
fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("compiler");
    let draft = directory.join("draft");
    std::fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::rename(&draft, &path).unwrap();
    path
}

#[tokio::test]
async fn only_code_of_a_compiler_of_this_build_for_this_engine_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let ours = binary();
    let ours = ours.display();
    for (case, text, said) in [
        ("silent", "exit 0".to_owned(), "without an answer"),
        ("an echo", "exec /bin/cat".to_owned(), "without an answer"),
        ("endless", "exec /usr/bin/yes".to_owned(), "without an answer"),
        (
            "other settings",
            format!("exec {ours} \"$1\" \"$2\" \"$3\" \"$4\" narrow-reservation 1048576 \"$7\""),
            "another build",
        ),
        ("half an answer", format!("{ours} \"$@\" | /usr/bin/head -c 5000"), "without an answer"),
        ("an answer, then a failure", format!("{ours} \"$@\"; exit 3"), "without an answer"),
    ] {
        let host = host(script(directory.path(), &text), SMALL);
        let refused = admit(&host, good()).await.unwrap_err();
        assert_eq!(refused.code(), "plugin_compiler", "{case}: {refused}");
        assert!(refused.to_string().contains(said), "{case}: {refused}");
    }
    let gone = admit(&host(directory.path().join("none"), SMALL), good()).await.unwrap_err();
    assert!(gone.to_string().contains("does not start"), "{gone}");
    let noisy = format!("/usr/bin/yes noise | /usr/bin/head -c 1000000 >&2; exec {ours} \"$@\"");
    let host = host(script(directory.path(), &noisy), SMALL);
    assert!(admit(&host, good()).await.is_ok(), "what it says beside does not matter");
}

#[tokio::test]
async fn a_child_that_does_not_end_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let written = directory.path().join("pid");
    let text = format!("echo $$ >{}; exec /bin/sleep 600", written.display());
    let limits = CompileLimits { wall: Duration::from_secs(1), ..SMALL };
    let host = host(script(directory.path(), &text), limits);
    let refused = admit(&host, good()).await.unwrap_err();
    assert_eq!(refused, AdmitError::CompileLimit(CompileLimit::Wall(limits.wall)));
    let pid = std::fs::read_to_string(&written).unwrap();
    let command = PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
    // Gone, or dead and not buried yet.
    let lives = || std::fs::read(&command).is_ok_and(|words| !words.is_empty());
    let begun = std::time::Instant::now();
    while lives() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{pid} still runs");
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_child_limits_itself_and_keeps_nothing_that_it_was_handed() {
    let job =
        "exec 7</dev/null; exec \"$0\" compile-component 1000000000 33 5 on-demand 1048576 524288";
    let mut child = Command::new("/bin/sh")
        .args(["-c", job, binary().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let about = PathBuf::from(format!("/proc/{}", child.id()));
    let limits = || std::fs::read_to_string(about.join("limits")).unwrap();
    // The last limit that it sets.
    let begun = std::time::Instant::now();
    while !limits().lines().any(|line| line.starts_with("Max cpu time") && line.contains("33")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", limits());
        std::thread::yield_now();
    }
    let limits = limits();
    for (name, value) in [
        ("Max core file size", "0 "),
        ("Max file size", "0 "),
        ("Max open files", "16 "),
        ("Max address space", "1000000000 "),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values = line[name.len()..].trim_start();
        assert!(values.starts_with(value), "{line}");
    }
    let open = std::fs::read_dir(about.join("fd")).unwrap();
    let mut open: Vec<_> = open.map(|entry| entry.unwrap().file_name()).collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    // Five bytes that are no component: it says so, and ends.
    child.stdin.take().unwrap().write_all(b"\0asm\x0d").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(&output.stdout[..9], b"symcode1\x01");
}

#[test]
fn a_person_who_types_the_hidden_command_is_told() {
    let output = Command::new(binary())
        .args(["compile-component", "1", "2", "3", "no-shape", "5", "6"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("for the gateway itself"));
}

#[test]
fn a_bomb_that_is_given_to_the_conformance_kit_ends_with_the_limit_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bomb.wasm");
    std::fs::write(&file, bomb(&module(1, 40_000, &loops(3000, 40_000)))).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/static/conformance.toml");
    let tested =
        Command::new(binary()).args(["plugin", "test", "--script", script]).arg(file).output();
    let tested = tested.unwrap();
    let report = String::from_utf8_lossy(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1), "{report}");
    assert!(report.contains("compiling it takes more than 2147483648 bytes of memory"), "{report}");
}

#[tokio::test]
async fn a_bomb_in_the_plugin_directory_degrades_its_backend_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let built = plugins();
    std::fs::copy(built.join("static.wasm"), directory.path().join("static.wasm")).unwrap();
    let hostile = std::fs::read(built.join("hostile.wasm")).unwrap();
    let hostile = [hostile, section(1, &module(60_000, 8, &arithmetic(40)))].concat();
    std::fs::write(directory.path().join("hostile.wasm"), hostile).unwrap();
    let setup = Setup {
        blocks: "[backends.good]\nplugin = \"static\"\n\
                 config = { secrets = { \"app/text\" = \"plain\" } }\n\
                 [backends.bomb]\nplugin = \"hostile\"\n"
            .to_owned(),
        plugins: Some(directory.path().to_owned()),
        trust: Some(
            "unsigned = [\"static\", \"hostile\"]\ncompile = { cpu = \"2s\", timeout = \"60s\" }"
                .to_owned(),
        ),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    assert_eq!(gateway.get("/v1/secrets/good/app/text", &token).await.json["value"], "plain");
    let bomb = gateway.get("/v1/secrets/bomb/ok", &token).await;
    assert_eq!(bomb.status, 503);
    assert_eq!(gateway.closing(&bomb)["code"], "backend_degraded");
    let entries = format!("{:?}", gateway.app.line.world.load().dispatcher.catalog().entries());
    assert!(entries.contains("compile: compiling it takes more than 2 s of CPU time"), "{entries}");
    gateway.stop().await;
}
