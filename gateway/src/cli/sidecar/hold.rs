//! Tokens that are in hand until shortly before they end.
//!
//! INVARIANT: of one target one exchange at a time; who comes meanwhile waits for its outcome. A failure
//! is remembered for a moment, so that a library that tries again and again does not hammer the
//! gateway; meanwhile what is held is used as long as it has some life left.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use symbolon_client::{Gateway, TokenAnswer, TokenSource, TokenType};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::TargetName;
use tokio::sync::Mutex;

use crate::cli::failure::Failure;
use crate::cli::output;

/// A token is renewed when less than this part of its life is left.
const MARGIN: u32 = 5;
/// And never given out in its last seconds.
const LEAST: Duration = Duration::from_secs(10);
/// How long a failure is remembered.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a file waits for the next attempt when one has failed.
const RETRY: Duration = Duration::from_secs(5);

/// What is asked for of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The token that it gives.
    Credential,
    /// The gateway's assertion to it.
    Assertion,
}

/// A token, and when it ends.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) answer: TokenAnswer,
    pub(super) ends_at: Timestamp,
    since: Duration,
}

/// What there is, or why there is nothing.
pub(super) type Outcome = Result<Arc<Held>, String>;

#[derive(Debug, Default)]
struct Slot {
    held: Option<Arc<Held>>,
    failed: Option<(String, Duration)>,
}

/// The tokens of every target that is served.
#[derive(Debug)]
pub(super) struct Holds {
    gateway: Gateway,
    source: TokenSource,
    clock: Arc<dyn Clock>,
    slots: BTreeMap<(TargetName, What), Mutex<Slot>>,
}

impl Holds {
    pub(super) fn new(
        (gateway, source): (Gateway, TokenSource),
        targets: impl Iterator<Item = TargetName>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let both =
            |target: TargetName| [What::Credential, What::Assertion].map(|w| (target.clone(), w));
        let slots = targets.flat_map(both).map(|key| (key, Mutex::default())).collect();
        Self { gateway, source, clock, slots }
    }

    /// The token of a target; none if the target is not served. Cancelling it lets the next who waits
    /// make the exchange.
    pub(super) async fn take(&self, target: &TargetName, what: What) -> Option<Outcome> {
        let mut slot = self.slots.get(&(target.clone(), what))?.lock().await;
        let fresh = slot.held.as_ref().filter(|held| self.left(held) > margin(held));
        if let Some(held) = fresh {
            return Some(Ok(held.clone()));
        }
        let recent = slot.failed.as_ref().filter(|(_, at)| self.since(*at) < PAUSE);
        let why = match recent.map(|(why, _)| why.clone()) {
            Some(why) => why,
            None => match Box::pin(self.exchange(target, what)).await {
                Ok(held) => {
                    *slot = Slot { held: Some(held.clone()), failed: None };
                    return Some(Ok(held));
                }
                Err(failure) => {
                    let why = failure.to_string();
                    slot.failed = Some((why.clone(), self.clock.elapsed()));
                    why
                }
            },
        };
        let usable = slot.held.clone().filter(|held| self.left(held) > LEAST);
        Some(usable.ok_or(why))
    }

    fn since(&self, moment: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(moment)
    }

    async fn exchange(&self, target: &TargetName, what: What) -> Result<Arc<Held>, Failure> {
        // Blocks for the moment that a small file takes.
        let token = self.source.read()?;
        let wanted = match what {
            What::Credential => None,
            What::Assertion => Some(TokenType::Jwt),
        };
        let since = self.clock.elapsed();
        let now = self.clock.now();
        let answer = self.gateway.exchange_token(&token, target, wanted).await?;
        let ends_at = now.plus(answer.lasts);
        Ok(Arc::new(Held { answer, ends_at, since }))
    }

    /// How long a token lasts from now on, by the clock that says less.
    pub(super) fn left(&self, held: &Held) -> Duration {
        held.answer
            .lasts
            .saturating_sub(self.since(held.since))
            .min(held.ends_at.since(self.clock.now()))
    }
}

fn margin(held: &Held) -> Duration {
    (held.answer.lasts / MARGIN).max(LEAST)
}

/// Keeps a file with the assertion of each target, for ever.
pub(super) async fn keep_files(holds: &Holds, files: &[(TargetName, PathBuf)]) -> Failure {
    if files.is_empty() {
        return std::future::pending().await;
    }
    let kept = files.iter().map(|(target, file)| Box::pin(keep_file(holds, target, file)));
    select_all(kept).await.0
}

async fn keep_file(holds: &Holds, target: &TargetName, file: &Path) -> Failure {
    loop {
        let pause = match holds.take(target, What::Assertion).await {
            Some(Ok(held)) => {
                if let Err(error) = replace(file, held.answer.token.expose()) {
                    return Failure::new(format!("cannot write {}: {error}", file.display()));
                }
                holds.left(&held).saturating_sub(margin(&held)).max(LEAST / 10)
            }
            Some(Err(why)) => {
                output::note(&why);
                RETRY
            }
            None => return Failure::new(format!("`{target}` is not served")),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Replaces a file as a whole: who reads it finds the old text or the new one.
fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Made in mode 0600.
    let mut fresh = tempfile::NamedTempFile::new_in(directory.unwrap_or_else(|| Path::new(".")))?;
    fresh.write_all(text)?;
    fresh.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use symbolon_client::Roots;
    use symbolon_core::clock::ManualClock;
    use symbolon_core::secret::Secret;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const TOKEN: &str = r#"{"access_token":"t","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":600}"#;

    /// A gateway that counts, and refuses as long as it is told to.
    async fn serve(listener: TcpListener, asked: &AtomicUsize, refuses: &AtomicBool) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let _read = stream.read(&mut request).await.unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = match refuses.load(Ordering::SeqCst) {
                true => ("503 Away", "{}"),
                false => ("200 OK", TOKEN),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_token_is_kept_until_a_fifth_of_its_life_is_left_and_used_until_it_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Gateway::at(&url, &Roots::System).unwrap();
        let source = TokenSource::Value(Secret::from("a.b.c".to_owned()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
        let target: TargetName = "deploy".parse().unwrap();
        let served = [target.clone()].into_iter();
        let holds = Holds::new((gateway, source), served, clock.clone());
        let (asked, refuses) = (AtomicUsize::new(0), AtomicBool::new(false));
        let after = async |seconds: u64| {
            clock.advance(Duration::from_secs(seconds));
            let taken = holds.take(&target, What::Credential).await.expect("it is served");
            (taken.is_ok(), asked.load(Ordering::SeqCst))
        };
        let checks = async {
            assert_eq!(after(0).await, (true, 1));
            assert_eq!(after(470).await, (true, 1), "130 s are left");
            assert_eq!(after(20).await, (true, 2), "110 s were left");
            refuses.store(true, Ordering::SeqCst);
            assert_eq!(after(490).await, (true, 3), "what is held is used");
            assert_eq!(after(1).await, (true, 3), "it is not asked again at once");
            assert_eq!(after(2).await, (true, 4));
            assert_eq!(after(100).await, (false, 5), "7 s are left");
            assert_eq!(after(1).await, (false, 5), "the failure is remembered");
            refuses.store(false, Ordering::SeqCst);
            assert_eq!(after(2).await, (true, 6));
            let other = "other".parse().unwrap();
            assert!(holds.take(&other, What::Credential).await.is_none());
        };
        tokio::select! {
            () = checks => {}
            () = serve(listener, &asked, &refuses) => {}
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_of_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        for text in ["a longer one", "b"] {
            replace(&file, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
    }
}
