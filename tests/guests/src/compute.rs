//! Time, memory and stack without end.
#![expect(
    clippy::panic,
    unconditional_recursion,
    reason = "what the host must withstand is what nobody would write"
)]

use std::hint::black_box;

/// Never ends, and calls nobody.
pub(crate) fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
        if black_box(false) {
            return;
        }
    }
}

/// Takes and touches memory until there is none.
pub(crate) fn allocate() {
    let mut taken = Vec::new();
    while taken.len() < 1_000_000 {
        taken.push(black_box(vec![0xA5_u8; 1024 * 1024]));
    }
    black_box(taken);
}

/// Takes stack until there is none: frames of little memory, so that it is the host's stack that
/// ends first and not the guest's own in its memory.
pub(crate) fn recurse() {
    black_box(deeper(black_box(1)));
}

fn deeper(depth: u64) -> u64 {
    deeper(black_box(depth)).wrapping_add(1)
}

/// The same in the guest's own memory, over whose end it runs.
pub(crate) fn recurse_in_memory() {
    black_box(deeper_in_memory(black_box(1)));
}

fn deeper_in_memory(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    deeper_in_memory(depth.wrapping_add(1)).wrapping_add(page.first().copied().unwrap_or(0))
}

/// Ends the instance.
pub(crate) fn trap() {
    std::process::abort();
}

/// Ends the instance as a defect would.
pub(crate) fn panic() {
    panic!("a defect");
}
