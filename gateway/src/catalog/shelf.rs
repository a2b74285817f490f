//! The directory of installed components: `<digest>.wasm`, and `<digest>.wasm.sig` beside it.
//!
//! INVARIANT: directory and files are the service's own (0700, 0600), which is looked at before each
//! use; a file gets its name when it is whole and flushed ([`private`]); what is read is what its name
//! says, or refused.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::{Digest, Package, private};

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
    #[error("{0} is a link, or belongs to or is open to others: `chmod 700` it, or remove it")]
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
}

impl Shelf {
    /// Nothing is made before something is put there.
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory: Arc::new(directory) }
    }

    /// The digests of which there is a file. Whether it is what its name says is seen when it is read.
    /// A directory that cannot be used is an empty one.
    pub(super) async fn present(&self) -> BTreeSet<Digest> {
        self.blocking(|shelf| shelf.present_now()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "installed components cannot be read");
            BTreeSet::new()
        })
    }

    pub(super) async fn read(&self, digest: Digest) -> Result<Package, ShelfError> {
        self.blocking(move |shelf| shelf.read_now(digest)).await
    }

    /// The file of those who signed it, if there is one.
    pub(super) async fn signatures(&self, digest: Digest) -> Result<Option<Vec<u8>>, ShelfError> {
        self.blocking(move |shelf| shelf.signatures_now(digest)).await
    }

    pub(super) async fn write(&self, package: Package) -> Result<(), ShelfError> {
        self.blocking(move |shelf| shelf.write_now(&package)).await
    }

    pub(super) async fn remove(&self, digest: Digest) -> Result<(), ShelfError> {
        self.blocking(move |shelf| shelf.remove_now(digest)).await
    }

    /// Removes drafts without an author.
    pub(super) async fn sweep(&self) -> Result<(), ShelfError> {
        self.blocking(|shelf| shelf.sweep_now()).await
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

    fn present_now(&self) -> Result<BTreeSet<Digest>, ShelfError> {
        if !self.is_there()? {
            return Ok(BTreeSet::new());
        }
        let entries = fs::read_dir(&*self.directory).map_err(|source| self.failed(source))?;
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        let digest = |name: String| Digest::from_hex(name.strip_suffix(".wasm")?);
        Ok(entries.filter_map(Result::ok).filter_map(name).filter_map(digest).collect())
    }

    fn read_now(&self, digest: Digest) -> Result<Package, ShelfError> {
        if !self.is_there()? {
            return Err(ShelfError::Missing(digest));
        }
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

    fn signatures_now(&self, digest: Digest) -> Result<Option<Vec<u8>>, ShelfError> {
        if !self.is_there()? {
            return Ok(None);
        }
        let path = self.file(digest);
        let failed = |source| ShelfError::Io { path: Package::signature_file(&path), source };
        Package::read_signatures(&path).map_err(failed)
    }

    fn write_now(&self, package: &Package) -> Result<(), ShelfError> {
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
        self.ours(private::make(&self.directory).map_err(|source| self.failed(source))?)
    }

    /// Whether there is a directory. One that is not the service's own is not used.
    fn is_there(&self) -> Result<bool, ShelfError> {
        match private::is_private(&self.directory) {
            Ok(is_private) => self.ours(is_private).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn ours(&self, is_private: bool) -> Result<(), ShelfError> {
        if is_private { Ok(()) } else { Err(ShelfError::Open(self.directory.to_path_buf())) }
    }

    fn failed(&self, source: io::Error) -> ShelfError {
        ShelfError::Io { path: self.directory.to_path_buf(), source }
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), ShelfError> {
        let failed = |source| ShelfError::Io { path: path.to_owned(), source };
        private::put(path, &[bytes]).map_err(failed)?;
        self.flush()
    }

    fn remove_now(&self, digest: Digest) -> Result<(), ShelfError> {
        if !self.is_there()? {
            return Ok(());
        }
        let path = self.file(digest);
        gone(&path)?;
        gone(&Package::signature_file(&path))?;
        self.flush()
    }

    fn sweep_now(&self) -> Result<(), ShelfError> {
        if !self.is_there()? {
            return Ok(());
        }
        private::sweep(&self.directory).map(drop).map_err(|source| self.failed(source))
    }

    /// Makes names durable.
    fn flush(&self) -> Result<(), ShelfError> {
        let flushed = fs::File::open(&*self.directory).and_then(|directory| directory.sync_all());
        flushed.map_err(|source| self.failed(source))
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
