//! A caller's secret, left wherever a guest can leave one, and somebody who looks for it there.
#![expect(unsafe_code, reason = "asks for handles that it never got")]

use std::hint::black_box;

use symbolon_plugin::{Error, Secret, Selector, http};
use wasip2::http::types::Fields;

use crate::answer::said;
use crate::config::{Config, needed};
use crate::{compute, memory, resources};

type Outcome = Result<Secret, Error>;

/// How often a secret is left in memory, and in handles.
const COPIES: usize = 4096;
const HANDLES: usize = 32;
/// Pages of memory that a guest did not have when it began.
const FRESH: usize = 64;

/// `plant/<end>/<secret>`: leaves the secret of the path, the one of the configuration and what the server
/// answers all over its memory and in handles, waits at the server's gate, and ends as it is told.
pub(crate) fn plant(config: &Config, selector: &Selector) -> Outcome {
    let mut parts = selector.path.split('/').skip(1);
    let (Some(end), Some(secret)) = (parts.next(), parts.next()) else {
        return Err(Error::absent());
    };
    let confided = needed(config.confided.as_ref(), "confided")?;
    let told = wait(config, "tell", secret)?;
    for text in [secret, &confided, &told] {
        leave(text);
    }
    let left = [secret, &confided, &told].iter().all(|text| memory::occurs(&reversed(text)));
    match end {
        "trap" => compute::trap(),
        "spin" => compute::spin(),
        "hang" => resources::hang_clock(),
        _ => {}
    }
    said(selector, if left { "planted" } else { "survived: nothing was planted" }.to_owned())
}

/// `hunt/<secret, back to front>/…`: looks for each of them in all of its memory, and for anything in memory
/// that is new to it; then waits at the gate.
pub(crate) fn hunt(config: &Config, selector: &Selector) -> Outcome {
    let mut sought = selector.path.split('/').skip(1);
    let found = sought.any(|secret| memory::occurs(secret.as_bytes()));
    let dirty = memory::grows_dirty(FRESH);
    wait(config, "hunt", "nothing")?;
    let words = match (found, dirty) {
        (true, _) => "survived: found",
        (false, true) => "survived: its new pages are not empty",
        (false, false) => "clean",
    };
    said(selector, words.to_owned())
}

/// `guess/<number>`: uses a handle of that number, as if it had been given one.
pub(crate) fn guess(selector: &Selector) -> Outcome {
    let number = selector.path.split('/').nth(1).and_then(|text| text.parse().ok());
    let handle: u32 = number.ok_or_else(Error::absent)?;
    // SAFETY: a handle is a number that the host looks up; if there is none of it, the host says so.
    let fields = unsafe { Fields::from_handle(handle) };
    let entries = fields.entries();
    said(selector, format!("survived: {} headers", entries.len()))
}

fn wait(config: &Config, what: &str, secret: &str) -> Result<String, Error> {
    let url = format!("{}/gate/{what}", needed(config.server.as_ref(), "server")?);
    let answer = http::get(url).header("x-secret", secret).send()?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

fn leave(text: &str) {
    std::mem::forget(black_box(text.repeat(COPIES)));
    for _ in 0..HANDLES {
        let fields = Fields::from_list(&[("x-secret".to_owned(), text.as_bytes().to_vec())]);
        std::mem::forget(black_box(fields));
    }
}

fn reversed(text: &str) -> Vec<u8> {
    text.bytes().rev().collect()
}
