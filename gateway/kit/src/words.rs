//! Everything that a plugin says to people, gathered over one run, and searched for what must not be
//! in it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine};
use tracing_subscriber::fmt::MakeWriter;

use crate::compare::cut;
use crate::misbehaviour::WORDS;

/// What the host writes in place of a secret that it told the plugin itself.
const CUT_OUT: &str = "****";

/// Where something was said, and what.
pub(crate) type Said = (&'static str, String);

/// The first thing said that holds a secret or a word of the upstream.
pub(crate) fn leak<'a>(said: &[Said], secrets: impl Iterator<Item = &'a str>) -> Option<String> {
    let secrets: Vec<(&str, String)> =
        secrets.map(|secret| (secret, BASE64_STANDARD.encode(secret))).collect();
    said.iter().find_map(|(place, text)| {
        let holds = |(plain, encoded): &&(&str, String)| {
            !plain.is_empty() && (text.contains(plain) || text.contains(encoded.as_str()))
        };
        if let Some((secret, _)) = secrets.iter().find(holds) {
            return Some(format!("the {place} holds a secret ({})", cut(secret)));
        }
        if text.contains(CUT_OUT) {
            return Some(format!("the {place} held a secret, which the host cut out"));
        }
        text.contains(WORDS).then(|| format!("the {place} quotes the upstream"))
    })
}

/// What plugins log, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// A subscriber that writes here what plugins log, and nothing else.
    pub(crate) fn dispatch(&self) -> tracing::Dispatch {
        use tracing_subscriber::layer::SubscriberExt as _;
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(self.clone());
        let plugins = tracing_subscriber::filter::filter_fn(|of| of.target() == "plugin");
        let layer = tracing_subscriber::Layer::with_filter(layer, plugins);
        tracing::Dispatch::new(tracing_subscriber::registry().with(layer))
    }

    /// What was logged.
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_words_are_found_however_they_are_written() {
        let leak = |text: &str| leak(&[("message", text.to_owned())], ["canary", ""].into_iter());
        assert_eq!(leak("nothing"), None);
        for text in ["a canary", "Y2FuYXJ5", "****", "said words-of-the-upstream-4d1f"] {
            assert!(leak(text).is_some(), "{text}");
        }
    }

    #[test]
    fn only_what_plugins_log_is_gathered() {
        let log = Log::default();
        tracing::dispatcher::with_default(&log.dispatch(), || {
            tracing::info!(target: "plugin", "heard");
            tracing::info!("not heard");
        });
        assert!(log.text().contains(" heard") && !log.text().contains("not heard"));
    }
}
