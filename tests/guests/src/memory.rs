//! What a guest can find in its own memory: nothing of an earlier call, nothing of the host.
//!
//! What is looked for stands nowhere in the guest forwards, so that it does not find itself.
#![expect(unsafe_code, reason = "looks at all of the memory that it has")]

use std::hint::black_box;

use symbolon_plugin::http;

use crate::config::{Config, needed};

/// The mark of `remember`, back to front.
const MARK_REVERSED: &[u8] = b"llits-ereh-saw-I";

/// Leaves its mark all over the memory.
pub(crate) fn remember() -> String {
    let mut mark: Vec<u8> = MARK_REVERSED.iter().rev().copied().collect();
    mark.resize(64, 0);
    std::mem::forget(black_box(mark.repeat(16 * 1024)));
    let found = occurs(MARK_REVERSED);
    if found { "planted" } else { "survived: nothing was planted" }.to_owned()
}

/// Looks for the mark of an earlier call.
pub(crate) fn recall() -> String {
    if occurs(MARK_REVERSED) { "survived: found" } else { "clean" }.to_owned()
}

/// Makes the host use its credential, then looks for it.
pub(crate) fn search(config: &Config) -> String {
    let (Some(server), Some(canary)) = (config.server.as_ref(), config.canary_reversed.as_ref())
    else {
        return "survived: `server` and `canary_reversed` are needed".to_owned();
    };
    let sent = needed(Some(server), "server").and_then(|url| http::get(format!("{url}/")).send());
    let status = sent.map_or(0, |answer| answer.status);
    let found = occurs(canary.as_bytes());
    if found { "survived: found".to_owned() } else { format!("clean {status}") }
}

/// Whether the reverse of `reversed` stands anywhere in memory.
pub(crate) fn occurs(reversed: &[u8]) -> bool {
    let Some((first, rest)) = reversed.split_last() else { return false };
    let end = size();
    (1..end.saturating_sub(reversed.len())).any(|at| {
        byte(at) == *first
            && rest.iter().rev().enumerate().all(|(after, wanted)| byte(at + 1 + after) == *wanted)
    })
}

/// Whether any of so many pages is not empty that the memory grows by.
pub(crate) fn grows_dirty(pages: usize) -> bool {
    let begin = size();
    grow(pages);
    (begin..size()).any(|at| byte(at) != 0)
}

#[cfg(target_arch = "wasm32")]
fn grow(pages: usize) {
    core::arch::wasm32::memory_grow(0, pages);
}

#[cfg(not(target_arch = "wasm32"))]
fn grow(_: usize) {}

#[cfg(target_arch = "wasm32")]
fn size() -> usize {
    core::arch::wasm32::memory_size(0) * 65_536
}

#[cfg(not(target_arch = "wasm32"))]
fn size() -> usize {
    0
}

fn byte(at: usize) -> u8 {
    // SAFETY: every address below `size` is memory of this instance, and bytes have no bad values.
    unsafe { std::ptr::read_volatile(at as *const u8) }
}
