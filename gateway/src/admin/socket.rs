//! The Unix socket of the admin listener.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listen::{Handler, Limits, Local, Peer, serve_stream};

/// Most admin connections at a time.
const MAX_CONNECTIONS: usize = 32;

/// The socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something that is no socket is in the way.
    #[error("{0} exists and is not a socket; remove it or set `admin.socket` to another path")]
    InTheWay(PathBuf),
    /// Another process listens there.
    #[error("another process listens on {0}; stop it or set `admin.socket` to another path")]
    InUse(PathBuf),
    /// Anything else.
    #[error("cannot listen on {path}; its directory must exist and be writable for the service")]
    Bind {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The bound socket. Its file goes with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds `path` for the service's user alone. A socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// [`SocketError`] says what is in the way.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        clear(path)?;
        let failed = |source| SocketError::Bind { path: path.to_owned(), source };
        // Bound under another name first, so that there is no moment in which others can connect.
        let hidden = path.with_extension(format!("new-{}", std::process::id()));
        // What a crash between the two steps left behind.
        let _ = fs::remove_file(&hidden);
        let listener = UnixListener::bind(&hidden).map_err(failed)?;
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        fs::rename(&hidden, path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Accepts until `stop`, then waits as long as the drain may take for what runs: an operation may
    /// take longer than that, and is then left behind with its `begun` on record.
    pub async fn run<H: Handler>(
        self,
        handler: Arc<H>,
        limits: Limits,
        (stop, drain): (CancellationToken, Duration),
    ) {
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            let Some((stream, uid, place)) = accepted else { continue };
            let local = Local {
                handler: handler.clone(),
                limits,
                tracker: connections.clone(),
                peer: Peer::User(uid),
            };
            let stop = stop.clone();
            connections.spawn(async move {
                serve_stream(stream, local, &stop).await;
                drop(place);
            });
        }
        connections.close();
        let _ = tokio::time::timeout(drain, connections.wait()).await;
    }

    async fn accept(&self, places: &Arc<Semaphore>) -> Option<Accepted> {
        let place = places.clone().acquire_owned().await.ok()?;
        let accepted = self.listener.accept().await;
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, mostly: trying again at once would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return None;
        };
        // Who it is comes from the kernel (SO_PEERCRED), as of the moment of connecting.
        let uid = stream.peer_cred().ok()?.uid();
        Some((stream, uid, place))
    }
}

type Accepted = (tokio::net::UnixStream, u32, tokio::sync::OwnedSemaphorePermit);

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn clear(path: &Path) -> Result<(), SocketError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::InTheWay(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = AdminSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse(_))));
        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InTheWay(_))));
    }
}
