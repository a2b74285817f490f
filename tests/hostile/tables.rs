//! Tables, globals and segments: what only a component in text can use up, or leave behind.

use futures_util::future::join_all;
use symbolon_tests::harness::component::{built, write};
use symbolon_tests::harness::{Gateway, Setup};
use tempfile::TempDir;

use super::scene::NEIGHBOUR;
use super::settings::WELL_BEHAVED;
use super::text::{GOOD, Text};
use super::trial::Fate::{self, Answered, Stopped};
use super::trial::beside;

/// Grows one table until it may not.
const GROWER: Text = Text {
    name: "grower",
    describe: GOOD,
    items: "(table $t 1 funcref)",
    read:
        "(loop (br_if 0 (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
        (call $say (i32.const 8))",
    contract: ("", ""),
    world: "secrets-plugin",
};

/// By the first letter of the path: leaves functions in a table, a number in a global and segments that
/// are gone (`p`), traps (`t`) or spins (`s`) then; or looks for any of that (`h`).
const LEAVER: Text = Text {
    name: "leaver",
    describe: GOOD,
    items: r#"
        (table $t 4 funcref)
        (func $f)
        (elem $e func $f)
        (data $d "d")
        (global $g (mut i32) (i32.const 7))
        (func $leave
            (table.fill $t (i32.const 0) (ref.func $f) (i32.const 4))
            (drop (table.grow $t (ref.func $f) (i32.const 4000)))
            (global.set $g (i32.const 8))
            (elem.drop $e)
            (data.drop $d))
        (func $is_clean (result i32)
            (memory.init $d (i32.const 8192) (i32.const 0) (i32.const 1))
            (if (i32.ne (global.get $g) (i32.const 7)) (then (return (i32.const 0))))
            (if (i32.ne (table.size $t) (i32.const 4)) (then (return (i32.const 0))))
            (if (i32.eqz (ref.is_null (table.get $t (i32.const 0)))) (then (return (i32.const 0))))
            (if (i32.eqz (ref.is_null (table.get $t (i32.const 3)))) (then (return (i32.const 0))))
            (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
            (i32.const 1))"#,
    read: r#"
        (if (i32.eq (i32.load8_u (local.get 5)) (i32.const 104))
            (then (if (call $is_clean) (then (return (call $say (i32.const 0)))))
                (return (call $say (i32.const 8)))))
        (call $leave)
        (if (i32.eq (i32.load8_u (local.get 5)) (i32.const 116)) (then (unreachable)))
        (if (i32.eq (i32.load8_u (local.get 5)) (i32.const 115)) (then (loop (br 0))))
        (call $say (i32.const 8))"#,
    contract: ("", ""),
    world: "secrets-plugin",
};

/// Each attempt that uses something up.
pub(super) const TABLE: &[(&str, &str, Fate)] = &[("grower", "any", Stopped("trap_table", 500))];

async fn start() -> (Gateway, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "static.wasm", &built("static"));
    let mut blocks = WELL_BEHAVED.to_owned();
    for text in [GROWER, LEAVER] {
        write(directory.path(), &format!("{}.wasm", text.name), &text.component());
        for backend in ["", "-first", "-other"].map(|end| format!("{}{end}", text.name)) {
            blocks += &format!(
                "[backends.{backend}]\nplugin = \"{}\"\nlimits = {{ cpu = \"50ms\" }}\n",
                text.name
            );
        }
    }
    let plugins = Some(directory.path().to_owned());
    (Gateway::start(Setup { blocks, plugins, ..Setup::default() }).await, directory)
}

/// Reads beside the neighbour, as somebody.
async fn meets(gateway: &Gateway, who: &str, (backend, path): (&str, &str), fate: Fate) {
    let token = gateway.token(who);
    let path = format!("/v1/secrets/{backend}/{path}");
    let tried = beside(gateway, NEIGHBOUR, gateway.get(&path, &token)).await;
    tried.meets(gateway, backend, fate).unwrap_or_else(|fault| panic!("{path}: {fault}"));
}

#[tokio::test]
async fn a_component_that_takes_tables_without_end_is_stopped_by_that_limit() {
    let (gateway, _directory) = start().await;
    for (backend, path, fate) in TABLE {
        meets(&gateway, "alice", (backend, path), *fate).await;
    }
    gateway.stop().await;
}

/// In the same slots: after each call exactly those are free that were before it.
#[tokio::test]
async fn nothing_of_one_callers_tables_globals_and_segments_is_there_for_the_next() {
    let (gateway, _directory) = start().await;
    let used = || gateway.app.foundation.host.runtime().used_slots().expect("a pool").tables;
    // More at once than later on: each of them runs until its time is spent, and lets the others run.
    let token = gateway.token("alice");
    join_all((0..8).map(|_| gateway.get("/v1/secrets/leaver-first/s", &token))).await;
    let before = used();
    for (left, fate) in
        [("p", Answered("found")), ("t", Stopped("trap", 500)), ("s", Stopped("trap_cpu", 500))]
    {
        for _ in 0..20 {
            meets(&gateway, "alice", ("leaver", left), fate).await;
            meets(&gateway, "bob", ("leaver", "h"), Answered("clean")).await;
            meets(&gateway, "bob", ("leaver-other", "h"), Answered("clean")).await;
        }
    }
    assert_eq!(used(), before, "a slot that nobody had used");
    gateway.stop().await;
}
