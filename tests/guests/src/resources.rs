//! What the host keeps for a guest: handles, log lines, random bytes, waits.

use std::hint::black_box;

use symbolon_plugin::log;
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::Fields;
use wasip2::random::random;

/// How often a flood is repeated; every sane limit is below.
const FLOOD: u32 = 1_000_000;

const DAY_NANOS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Waits for a day inside a host call, where no epoch interrupts.
pub(crate) fn hang_clock() {
    monotonic_clock::subscribe_duration(DAY_NANOS).block();
}

/// Writes more lines, and longer ones, than a log may have.
pub(crate) fn flood_log() {
    let line = "x".repeat(64 * 1024);
    for _ in 0..20_000 {
        log!(Error, &line, "field" => &line);
    }
}

/// Writes lines that would look like other lines, if nobody escaped them.
pub(crate) fn forge_log() {
    log!(Info, "harmless\n{\"level\":\"INFO\",\"forged\":true}", "a\nb" => "\u{1b}[2J\u{0}\r\n");
    log!(Warn, "\u{202e}backwards\u{7}", "" => "");
}

/// Makes handles and never gives one back.
pub(crate) fn many_handles() {
    for _ in 0..FLOOD {
        std::mem::forget(black_box(Fields::new()));
    }
}

/// Makes timers and never gives one back.
pub(crate) fn many_pollables() {
    for _ in 0..FLOOD {
        std::mem::forget(black_box(monotonic_clock::subscribe_duration(DAY_NANOS)));
    }
}

/// Asks for a gigabyte that the host would have to make.
pub(crate) fn huge_random() {
    black_box(random::get_random_bytes(1 << 30));
}
