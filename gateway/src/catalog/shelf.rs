//! The directory of installed components: `<digest>.wasm`, and `<digest>.wasm.sig` beside it.
//!
//! INVARIANT: directory and files are the service's own (0700, 0600); a file gets its name when it is
//! whole and flushed; what is read is what its name says, or refused.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::{Digest, Package};

/// Why bytes are not kept or given.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The system refuses.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may enter the directory.
    #[error("{0} is open to others: `chmod 700` it")]
    Open(PathBuf),
    /// There are no bytes of this digest.
    #[error("the bytes of {0} are missing; install it again, or remove its record")]
    Missing(Digest),
    /// What is there is something else.
    #[error("{path} is not what its name says; install it again, or remove its record")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The process is ending.
    #[error("interrupted")]
    Interrupted,
}

impl ShelfError {
    /// The code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "components_io",
            Self::Open(_) => "components_open_to_others",
            Self::Missing(_) => "component_missing",
            Self::Damaged { .. } => "component_damaged",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    directory: Arc<PathBuf>,
    /// Held by whoever writes: a draft has one author.
    turn: Arc<Mutex<()>>,
}

impl Shelf {
    /// Nothing is made before something is put there.
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory: Arc::new(directory), turn: Arc::default() }
    }

    /// The digests of which there is a file. Whether it is what its name says is seen when it is read.
    pub(super) async fn present(&self) -> BTreeSet<Digest> {
        self.blocking(|shelf| {
            let Ok(entries) = fs::read_dir(&*shelf.directory) else { return Ok(BTreeSet::new()) };
            let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
            let digest = |name: String| Digest::from_hex(name.strip_suffix(".wasm")?);
            Ok(entries.filter_map(Result::ok).filter_map(name).filter_map(digest).collect())
        })
        .await
        .unwrap_or_default()
    }

    pub(super) async fn read(&self, digest: Digest) -> Result<Package, ShelfError> {
        self.blocking(move |shelf| shelf.read_now(digest)).await
    }

    pub(super) async fn write(&self, package: Package) -> Result<(), ShelfError> {
        self.blocking(move |shelf| shelf.write_now(&package)).await
    }

    pub(super) async fn remove(&self, digest: Digest) -> Result<(), ShelfError> {
        self.blocking(move |shelf| shelf.remove_now(digest)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, ShelfError> + Send + 'static,
    ) -> Result<T, ShelfError> {
        let shelf = self.clone();
        let done = tokio::task::spawn_blocking(move || work(shelf)).await;
        done.unwrap_or(Err(ShelfError::Interrupted))
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.directory.join(format!("{}.wasm", digest.hex()))
    }

    fn read_now(&self, digest: Digest) -> Result<Package, ShelfError> {
        let path = self.file(digest);
        match Package::read(&path, MAX_COMPONENT_BYTES) {
            Ok(package) if package.digest() == digest => Ok(package),
            Ok(_) => Err(ShelfError::Damaged { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ShelfError::Missing(digest))
            }
            Err(source) => Err(ShelfError::Io { path, source }),
        }
    }

    fn write_now(&self, package: &Package) -> Result<(), ShelfError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.make()?;
        let path = self.file(package.digest());
        // Signatures first: bytes without theirs would be refused after a crash.
        match package.signatures() {
            Some(signatures) => self.put(&Package::signature_file(&path), signatures)?,
            None => gone(&Package::signature_file(&path))?,
        }
        let is_there = self.read_now(package.digest()).is_ok();
        if is_there { Ok(()) } else { self.put(&path, package.component()) }
    }

    fn make(&self) -> Result<(), ShelfError> {
        let directory: &Path = &self.directory;
        let failed = |source| ShelfError::Io { path: directory.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mode = fs::symlink_metadata(directory).map_err(failed)?.permissions().mode();
        if mode & 0o077 == 0 { Ok(()) } else { Err(ShelfError::Open(directory.to_owned())) }
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), ShelfError> {
        let failed = |source| ShelfError::Io { path: path.to_owned(), source };
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let draft = PathBuf::from(draft);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&draft, path).map_err(failed)?;
        self.flush()
    }

    fn remove_now(&self, digest: Digest) -> Result<(), ShelfError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.file(digest);
        gone(&path)?;
        gone(&Package::signature_file(&path))?;
        if self.directory.exists() { self.flush() } else { Ok(()) }
    }

    /// Makes names durable.
    fn flush(&self) -> Result<(), ShelfError> {
        let flushed = fs::File::open(&*self.directory).and_then(|directory| directory.sync_all());
        flushed.map_err(|source| ShelfError::Io { path: self.directory.to_path_buf(), source })
    }
}

fn gone(path: &Path) -> Result<(), ShelfError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ShelfError::Io { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
