//! The guests, in the order of the table.

use super::Outcome::{Answers, Differs, Traps};
use super::{Guest, NOW};

/// What becomes of a resource that was never given, by a number that it might have.
const FORGED: &str = "unknown handle index";

const AT_MOST: &str = "randomness, at most 4 KiB at a time";
const NO_FILES: &str = "nothing: no directory is opened, so no file can be named";
const NO_SOCKETS: &str = "nothing: no socket is made and no name is resolved";
const NO_TERMINAL: &str = "nothing: there is no terminal";
const SINK: &str = "nothing: what is written goes nowhere";

/// `access-denied` of sockets, as a refusal.
const ACCESS_DENIED: u64 = 101;
/// `permanent-resolver-failure` of sockets, for a name that every machine resolves.
const UNRESOLVED: u64 = 120;
/// `closed` of streams, as a refusal.
const CLOSED: u64 = 101;
/// `last-operation-failed` of streams.
const FAILED: u64 = 100;
/// `HTTP-request-denied`.
const REQUEST_DENIED: u64 = 15;

const INTO: &str = "(param i32)";
const ANSWERS: &str = "(result i32)";

/// Writes two bytes into a body that has room for one; leaves the stream's error at 24.
macro_rules! overflow {
    () => {
        "(local.set $n (call $fields))
        (call $append (local.get $n) (i32.const 300) (i32.const 14) (i32.const 314) (i32.const 1)
            (i32.const 16))
        (call $body (call $request (local.get $n)) (i32.const 16))
        (call $stream (call $given) (i32.const 16))
        (local.set $n (call $given))
        (call $room (local.get $n) (i32.const 16))
        (local.set $t (i64.load (i32.const 24)))
        (call $write (local.get $n) (i32.const 100) (i32.const 2) (i32.const 16)) "
    };
}

/// What that needs.
macro_rules! overflowing {
    ($([$($more:literal),*]),*) => {
        &[
            ["wasi:http/types", "[constructor]fields", "fields", ANSWERS],
            ["wasi:http/types", "[method]fields.append", "append", "(param i32 i32 i32 i32 i32 i32)"],
            ["wasi:http/types", "[constructor]outgoing-request", "request", "(param i32) (result i32)"],
            ["wasi:http/types", "[method]outgoing-request.body", "body", "(param i32 i32)"],
            ["wasi:http/types", "[method]outgoing-body.write", "stream", "(param i32 i32)"],
            ["wasi:io/streams", "[method]output-stream.check-write", "room", "(param i32 i32)"],
            ["wasi:io/streams", "[method]output-stream.write", "write", "(param i32 i32 i32 i32)"],
            $([$($more),*]),*
        ]
    };
}

pub(super) const GUESTS: &[Guest] = &[
    Guest {
        rows: &["symbolon:plugin/types"],
        gives: "types only",
        imports: &[SQL],
        // The kind of the error.
        run: "(call $execute (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 16)) (i64.load8_u (i32.const 24))",
        outcome: Answers(PERMISSION_DENIED),
    },
    Guest {
        rows: &["symbolon:plugin/log"],
        gives: "bounded, escaped lines to the operator's log",
        imports: &[["symbolon:plugin/log", "log", "log", "(param i32 i32 i32 i32 i32)"]],
        run: "(call $log (i32.const 0) (i32.const 200) (i32.const 9) (i32.const 0) (i32.const 0))
            (i64.const 1)",
        outcome: Answers(1),
    },
    Guest {
        rows: &["symbolon:plugin/config"],
        gives: "the backend's configuration",
        imports: &[["symbolon:plugin/config", "get", "get", INTO]],
        // `{}`.
        run: "(call $get (i32.const 16)) (i64.load16_u (i32.load (i32.const 16)))",
        outcome: Answers(0x7d7b),
    },
    Guest {
        rows: &["symbolon:plugin/sql"],
        gives: "statements to the database that the operator grants",
        imports: &[SQL],
        // The code of the error.
        run: "(call $execute (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 16)) (i64.load (i32.load (i32.const 28)))",
        outcome: Answers(u64::from_le_bytes(*b"no_datab")),
    },
    Guest {
        rows: &["wasi:http/types"],
        gives: "requests, responses and bodies",
        imports: overflowing!(),
        run: concat!(overflow!(), "(call $refusal)"),
        outcome: Answers(FAILED),
    },
    Guest {
        rows: &["wasi:http/outgoing-handler"],
        gives: "requests to what plugin and operator agree on",
        imports: &[
            ["wasi:http/types", "[constructor]fields", "fields", ANSWERS],
            [
                "wasi:http/types",
                "[constructor]outgoing-request",
                "request",
                "(param i32) (result i32)",
            ],
            ["wasi:http/types", "[method]outgoing-request.set-authority", "to", TEXT],
            ["wasi:http/types", "[method]outgoing-request.set-path-with-query", "at", TEXT],
            ["wasi:http/outgoing-handler", "handle", "handle", "(param i32 i32 i32 i32)"],
            [
                "wasi:http/types",
                "[method]future-incoming-response.subscribe",
                "subscribe",
                "(param i32) (result i32)",
            ],
            ["wasi:io/poll", "[method]pollable.block", "block", "(param i32)"],
            ["wasi:http/types", "[method]future-incoming-response.get", "get", "(param i32 i32)"],
        ],
        run: r#"(local.set $n (call $request (call $fields)))
            (drop (call $to (local.get $n) (i32.const 1) (i32.const 200) (i32.const 9)))
            (drop (call $at (local.get $n) (i32.const 1) (i32.const 400) (i32.const 1)))
            (call $handle (local.get $n) (i32.const 0) (i32.const 0) (i32.const 16))
            (local.set $n (i32.load (i32.const 24)))
            (call $block (call $subscribe (local.get $n)))
            (call $get (local.get $n) (i32.const 16))
            (i64.load8_u (i32.const 40))"#,
        outcome: Answers(REQUEST_DENIED),
    },
    Guest {
        rows: &["wasi:io/error"],
        gives: "error texts of streams",
        imports: overflowing!([
            "wasi:io/error",
            "[method]error.to-debug-string",
            "said",
            "(param i32 i32)"
        ]),
        run: concat!(
            overflow!(),
            "(call $said (i32.load (i32.const 24)) (i32.const 16))
            (i64.load (i32.load (i32.const 16)))"
        ),
        outcome: Answers(u64::from_le_bytes(*b"ErrorCod")),
    },
    Guest {
        rows: &["wasi:io/poll"],
        gives: "waiting, within the call's deadline",
        imports: &[
            MONOTONIC,
            [
                "wasi:clocks/monotonic-clock",
                "subscribe-duration",
                "after",
                "(param i64) (result i32)",
            ],
            ["wasi:io/poll", "[method]pollable.block", "block", "(param i32)"],
        ],
        run: "(local.set $t (call $now))
            (call $block (call $after (i64.const 1000000)))
            (i64.extend_i32_u
                (i64.ge_u (i64.sub (call $now) (local.get $t)) (i64.const 1000000)))",
        outcome: Answers(1),
    },
    Guest {
        rows: &["wasi:io/streams"],
        gives: "streams of HTTP bodies",
        imports: overflowing!(),
        // There is room in the stream of a body.
        run: concat!(overflow!(), "(i64.extend_i32_u (i64.ne (local.get $t) (i64.const 0)))"),
        outcome: Answers(1),
    },
    Guest {
        rows: &["wasi:clocks/monotonic-clock"],
        gives: "a clock that only grows",
        imports: &[MONOTONIC],
        run: "(local.set $t (call $now))
            (i64.extend_i32_u (i64.le_u (local.get $t) (call $now)))",
        outcome: Answers(1),
    },
    Guest {
        rows: &["wasi:clocks/wall-clock"],
        gives: "the time of day",
        imports: &[["wasi:clocks/wall-clock", "now", "now", INTO]],
        run: "(call $now (i32.const 16)) (i64.load (i32.const 16))",
        outcome: Answers(NOW as u64),
    },
    Guest {
        rows: &["wasi:random/random"],
        gives: AT_MOST,
        imports: &[["wasi:random/random", "get-random-u64", "draw", "(result i64)"]],
        run: "(call $draw)",
        outcome: Differs,
    },
    Guest {
        rows: &["wasi:random/random"],
        gives: AT_MOST,
        imports: &[["wasi:random/random", "get-random-bytes", "draw", "(param i64 i32)"]],
        run: "(call $draw (i64.const 4096) (i32.const 16)) (call $length)",
        outcome: Answers(4096),
    },
    Guest {
        rows: &["wasi:random/random"],
        gives: AT_MOST,
        imports: &[["wasi:random/random", "get-random-bytes", "draw", "(param i64 i32)"]],
        run: "(call $draw (i64.const 4097) (i32.const 16)) (call $length)",
        outcome: Traps("exceeds limit"),
    },
    Guest {
        rows: &["wasi:random/insecure"],
        gives: AT_MOST,
        imports: &[["wasi:random/insecure", "get-insecure-random-u64", "draw", "(result i64)"]],
        run: "(call $draw)",
        outcome: Differs,
    },
    Guest {
        rows: &["wasi:random/insecure"],
        gives: AT_MOST,
        imports: &[[
            "wasi:random/insecure",
            "get-insecure-random-bytes",
            "draw",
            "(param i64 i32)",
        ]],
        run: "(call $draw (i64.const 4097) (i32.const 16)) (call $length)",
        outcome: Traps("exceeds limit"),
    },
    Guest {
        rows: &["wasi:random/insecure-seed"],
        gives: "a random seed",
        imports: &[["wasi:random/insecure-seed", "insecure-seed", "seed", INTO]],
        run: "(call $seed (i32.const 16)) (i64.load (i32.const 16))",
        outcome: Differs,
    },
    Guest {
        rows: &["wasi:cli/environment"],
        gives: "nothing: no variables, no arguments, no directory",
        imports: &[["wasi:cli/environment", "get-environment", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $length)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/environment"],
        gives: "nothing: no variables, no arguments, no directory",
        imports: &[["wasi:cli/environment", "get-arguments", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $length)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/environment"],
        gives: "nothing: no variables, no arguments, no directory",
        imports: &[["wasi:cli/environment", "initial-cwd", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/exit"],
        gives: "the end of the call, as a trap",
        imports: &[["wasi:cli/exit", "exit", "exit", "(param i32)"]],
        run: "(call $exit (i32.const 0)) (i64.const 0)",
        outcome: Traps("exit status 0"),
    },
    Guest {
        rows: &["wasi:cli/stdin"],
        gives: "nothing: closed",
        imports: &[
            ["wasi:cli/stdin", "get-stdin", "in", ANSWERS],
            [
                "wasi:io/streams",
                "[method]input-stream.blocking-read",
                "read",
                "(param i32 i64 i32)",
            ],
        ],
        run: "(call $read (call $in) (i64.const 1) (i32.const 16)) (call $refusal)",
        outcome: Answers(CLOSED),
    },
    Guest {
        rows: &["wasi:cli/stdout"],
        gives: SINK,
        imports: &[["wasi:cli/stdout", "get-stdout", "out", ANSWERS], PUT],
        run: "(call $put (call $out) (i32.const 100) (i32.const 18) (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/stderr"],
        gives: SINK,
        imports: &[["wasi:cli/stderr", "get-stderr", "out", ANSWERS], PUT],
        run: "(call $put (call $out) (i32.const 100) (i32.const 18) (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/terminal-input"],
        gives: NO_TERMINAL,
        imports: &[[
            "wasi:cli/terminal-input",
            "[resource-drop]terminal-input",
            "drop",
            "(param i32)",
        ]],
        run: "(call $drop (i32.const 1)) (i64.const 0)",
        outcome: Traps(FORGED),
    },
    Guest {
        rows: &["wasi:cli/terminal-output"],
        gives: NO_TERMINAL,
        imports: &[[
            "wasi:cli/terminal-output",
            "[resource-drop]terminal-output",
            "drop",
            "(param i32)",
        ]],
        run: "(call $drop (i32.const 1)) (i64.const 0)",
        outcome: Traps(FORGED),
    },
    Guest {
        rows: &["wasi:cli/terminal-stdin"],
        gives: NO_TERMINAL,
        imports: &[["wasi:cli/terminal-stdin", "get-terminal-stdin", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/terminal-stdout"],
        gives: NO_TERMINAL,
        imports: &[["wasi:cli/terminal-stdout", "get-terminal-stdout", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:cli/terminal-stderr"],
        gives: NO_TERMINAL,
        imports: &[["wasi:cli/terminal-stderr", "get-terminal-stderr", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $tag)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:filesystem/preopens"],
        gives: NO_FILES,
        imports: &[["wasi:filesystem/preopens", "get-directories", "of", INTO]],
        run: "(call $of (i32.const 16)) (call $length)",
        outcome: Answers(0),
    },
    Guest {
        rows: &["wasi:filesystem/types"],
        gives: NO_FILES,
        imports: &[["wasi:filesystem/types", "[method]descriptor.sync", "sync", "(param i32 i32)"]],
        run: "(call $sync (i32.const 1) (i32.const 16)) (i64.const 0)",
        outcome: Traps(FORGED),
    },
    Guest {
        rows: &["wasi:filesystem/types"],
        gives: NO_FILES,
        imports: overflowing!([
            "wasi:filesystem/types",
            "filesystem-error-code",
            "code",
            "(param i32 i32)"
        ]),
        // The error of a stream is none of a file.
        run: concat!(
            overflow!(),
            "(call $code (i32.load (i32.const 24)) (i32.const 16)) (call $tag)"
        ),
        outcome: Answers(0),
    },
    Guest {
        rows: &[
            "wasi:sockets/network",
            "wasi:sockets/instance-network",
            "wasi:sockets/ip-name-lookup",
        ],
        gives: NO_SOCKETS,
        imports: &[
            ["wasi:sockets/instance-network", "instance-network", "network", ANSWERS],
            [
                "wasi:sockets/ip-name-lookup",
                "resolve-addresses",
                "resolve",
                "(param i32 i32 i32 i32)",
            ],
        ],
        run: "(call $resolve (call $network) (i32.const 200) (i32.const 9) (i32.const 16))
            (call $refusal)",
        outcome: Answers(UNRESOLVED),
    },
    Guest {
        rows: &["wasi:sockets/tcp"],
        gives: NO_SOCKETS,
        imports: &[[
            "wasi:sockets/tcp",
            "[method]tcp-socket.is-listening",
            "of",
            "(param i32) (result i32)",
        ]],
        run: "(drop (call $of (i32.const 1))) (i64.const 0)",
        outcome: Traps(FORGED),
    },
    Guest {
        rows: &["wasi:sockets/tcp-create-socket"],
        gives: NO_SOCKETS,
        imports: &[[
            "wasi:sockets/tcp-create-socket",
            "create-tcp-socket",
            "create",
            "(param i32 i32)",
        ]],
        run: "(call $create (i32.const 0) (i32.const 16)) (call $refusal)",
        outcome: Answers(ACCESS_DENIED),
    },
    Guest {
        rows: &["wasi:sockets/udp"],
        gives: NO_SOCKETS,
        imports: &[[
            "wasi:sockets/udp",
            "[method]udp-socket.address-family",
            "of",
            "(param i32) (result i32)",
        ]],
        run: "(drop (call $of (i32.const 1))) (i64.const 0)",
        outcome: Traps(FORGED),
    },
    Guest {
        rows: &["wasi:sockets/udp-create-socket"],
        gives: NO_SOCKETS,
        imports: &[[
            "wasi:sockets/udp-create-socket",
            "create-udp-socket",
            "create",
            "(param i32 i32)",
        ]],
        run: "(call $create (i32.const 1) (i32.const 16)) (call $refusal)",
        outcome: Answers(ACCESS_DENIED),
    },
];

/// `permission-denied`, a kind of error of the contract.
const PERMISSION_DENIED: u64 = 3;
const SQL: [&str; 4] =
    ["symbolon:plugin/sql", "execute", "execute", "(param i32 i32 i32 i32 i32 i32)"];
const PUT: [&str; 4] = [
    "wasi:io/streams",
    "[method]output-stream.blocking-write-and-flush",
    "put",
    "(param i32 i32 i32 i32)",
];
const MONOTONIC: [&str; 4] = ["wasi:clocks/monotonic-clock", "now", "now", "(result i64)"];
/// Sets an optional text of a request.
const TEXT: &str = "(param i32 i32 i32 i32) (result i32)";
