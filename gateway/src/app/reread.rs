//! A token in a file that somebody else replaces, as the kubelet does with those of service accounts.
//!
//! INVARIANT: a token that was replaced is used a minute later at the latest, and at once after the
//! old one was refused. What cannot be read is not answered by what was read before it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use symbolon_core::clock::Clock;
use symbolon_core::secret::Secret;
use symbolon_host::CallContext;
use symbolon_host::egress::{BoxFuture, Credential, CredentialSource, SourceError};
use tokio::time::Instant;

use crate::config::{self, SecretRef};

/// How long what was read is taken for what the file holds.
const FRESH: Duration = Duration::from_secs(60);

/// A token and where it was read.
#[derive(Debug)]
pub(super) struct Reread {
    place: SecretRef,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<Credential>,
    /// When it was read; never, once it was refused.
    read_at: Option<Duration>,
}

/// The file of a credential that is one token in one file.
pub(super) fn file(source: &config::CredentialSource) -> Option<&SecretRef> {
    let place = match source {
        config::CredentialSource::Bearer(place)
        | config::CredentialSource::Header { value: place, .. } => place,
        config::CredentialSource::Target { .. }
        | config::CredentialSource::Basic { .. }
        | config::CredentialSource::SigV4(_)
        | config::CredentialSource::Jwt(_) => return None,
    };
    matches!(place, SecretRef::File(_)).then_some(place)
}

impl Reread {
    /// What `place` holds now is `credential`.
    pub(super) fn new(place: SecretRef, credential: Credential, clock: Arc<dyn Clock>) -> Self {
        let read_at = Some(clock.elapsed());
        let held = Mutex::new(Held { credential: Arc::new(credential), read_at });
        Self { place, clock, held }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Arc<Credential>> {
        let held = self.held();
        let age = self.clock.elapsed().saturating_sub(held.read_at?);
        (age < FRESH).then(|| held.credential.clone())
    }

    fn is_held(&self, credential: &Arc<Credential>) -> bool {
        Arc::ptr_eq(&self.held().credential, credential)
    }

    async fn current(&self) -> Result<Arc<Credential>, SourceError> {
        if let Some(credential) = self.fresh() {
            return Ok(credential);
        }
        let place = self.place.clone();
        let read = tokio::task::spawn_blocking(move || place.load()).await;
        let secret = read.map_err(|error| SourceError::Unavailable(Arc::new(error)))?;
        let secret = secret.map_err(|error| SourceError::Unavailable(Arc::new(error)))?;
        Ok(self.keep(secret))
    }

    /// One that is the same stays the one that it was, so that a late complaint about it is known for
    /// what it is; and one that was refused stays refused until the file has another.
    fn keep(&self, secret: Secret) -> Arc<Credential> {
        let mut held = self.held();
        let now = self.clock.elapsed();
        let is_same = matches!(&*held.credential, Credential::Token(known) if known.expose() == secret.expose());
        if is_same {
            held.read_at = held.read_at.map(|_| now);
        } else {
            held.credential = Arc::new(Credential::Token(secret));
            held.read_at = Some(now);
        }
        held.credential.clone()
    }
}

impl CredentialSource for Reread {
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        _: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(self.current())
    }

    /// A 403 is also what a lack of permission looks like, and says nothing of the token. After a 401
    /// the file is read at once, so that the answer is true: it is small, and its disk at hand.
    fn invalidate(&self, _: &CallContext, used: &Arc<Credential>, status: StatusCode) -> bool {
        tracing::warn!(%status, "the upstream does not take the configured credential");
        if status == StatusCode::UNAUTHORIZED && self.is_held(used) {
            self.held().read_at = None;
            if let Ok(secret) = self.place.load() {
                self.keep(secret);
            }
        }
        !self.is_held(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::nobody;
    use symbolon_core::clock::{ManualClock, Timestamp};

    struct Scene {
        directory: tempfile::TempDir,
        clock: Arc<ManualClock>,
        source: Reread,
    }

    fn write(directory: &tempfile::TempDir, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = directory.path().join("token");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn scene() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "one");
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
        let place = SecretRef::File(directory.path().join("token"));
        let credential = Credential::Token(place.load().unwrap());
        let source = Reread::new(place, credential, clock.clone());
        Scene { directory, clock, source }
    }

    async fn text(source: &Reread) -> String {
        let credential = source.current().await.unwrap();
        let Credential::Token(token) = &*credential else { panic!("{credential:?}") };
        token.expose_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_replaced_token_is_used_within_a_minute() {
        let scene = scene();
        write(&scene.directory, "two");
        assert_eq!(text(&scene.source).await, "one");
        scene.clock.advance(FRESH);
        assert_eq!(text(&scene.source).await, "two");
    }

    #[tokio::test]
    async fn a_refused_token_is_read_again_at_once() {
        let scene = scene();
        let used = scene.source.current().await.unwrap();
        write(&scene.directory, "two");
        assert!(
            !scene.source.invalidate(&nobody(), &used, StatusCode::FORBIDDEN),
            "it is not what is wrong"
        );
        assert_eq!(text(&scene.source).await, "one");
        assert!(scene.source.invalidate(&nobody(), &used, StatusCode::UNAUTHORIZED));
        assert_eq!(text(&scene.source).await, "two");
        write(&scene.directory, "three");
        assert!(
            scene.source.invalidate(&nobody(), &used, StatusCode::UNAUTHORIZED),
            "an old complaint"
        );
        assert_eq!(text(&scene.source).await, "two");
    }

    #[tokio::test]
    async fn one_that_stays_refused_is_looked_for_again_each_time() {
        let scene = scene();
        let used = scene.source.current().await.unwrap();
        assert!(
            !scene.source.invalidate(&nobody(), &used, StatusCode::UNAUTHORIZED),
            "the file has no other"
        );
        assert_eq!(text(&scene.source).await, "one");
        write(&scene.directory, "two");
        assert_eq!(text(&scene.source).await, "two");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_no_credential() {
        let scene = scene();
        std::fs::remove_file(scene.directory.path().join("token")).unwrap();
        scene.clock.advance(FRESH);
        let error = scene.source.current().await.expect_err("no file");
        assert!(matches!(error, SourceError::Unavailable(_)));
    }
}
