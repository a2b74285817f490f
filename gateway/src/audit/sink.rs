//! Where groups of lines go.
//!
//! INVARIANT: [`Sink::append`] either makes the whole group durable or leaves nothing of it that a
//! later append would stand behind: a failed group is taken off before anything else is written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use super::error::StartError;
use super::files::{CURRENT, RESERVE, closed_name};
use super::reserve::Reserve;

/// Takes groups of lines. Its methods block, and are called by the writer's thread alone.
pub trait Sink: Send + 'static {
    /// Writes `group` and makes it durable.
    ///
    /// # Errors
    /// Nothing of the group counts as written.
    fn append(&mut self, group: &[u8]) -> io::Result<()>;

    /// Whether the next group belongs into a new file.
    fn is_long(&self) -> bool {
        false
    }

    /// Begins a new file, whose first line will be `next_seq`, and says what the old one is called.
    ///
    /// # Errors
    /// The sink goes on in the old file, or fails.
    fn rotate(&mut self, next_seq: u64) -> io::Result<String> {
        Ok(format!("before {next_seq}"))
    }

    /// Gives room of at least `bytes` back to the disk; `false` if none is held any more.
    ///
    /// # Errors
    /// What the file system reports.
    fn release_reserve(&mut self, bytes: u64) -> io::Result<bool> {
        let _ = bytes;
        Ok(false)
    }

    /// Takes the room again that was given back.
    ///
    /// # Errors
    /// Typically that the disk is still full.
    fn restore_reserve(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Whether all of the reserve is held.
    fn holds_reserve(&self) -> bool {
        true
    }
}

/// The log's directory, locked: one process at a time writes a log.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    pub(super) fn lock(path: &Path) -> Result<Self, StartError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(StartError::file("create", path))?;
        let handle = File::open(path).map_err(StartError::file("open", path))?;
        flock(&handle, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StartError::InUse { path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// The log as files of a directory.
#[derive(Debug)]
pub struct FileSink {
    directory: Directory,
    file: File,
    /// Where the last durable group ends.
    end: u64,
    /// Something may stand behind `end`.
    dirty: bool,
    /// The file's name may not be durable.
    nameless: bool,
    first_seq: u64,
    rotate_bytes: u64,
    /// At which size the next rotation is tried.
    rotate_at: u64,
    reserve: Reserve,
}

/// Where writing goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) end: u64,
    pub(super) first_seq: u64,
}

impl FileSink {
    /// Opens the current file at `position`; what stands behind is taken off with the first append.
    pub(super) fn open(
        directory: Directory,
        position: Position,
        rotate_bytes: u64,
        reserve_bytes: u64,
    ) -> Result<Self, StartError> {
        let path = directory.path().join(CURRENT);
        let file = open_log(&path, false).map_err(StartError::file("open", &path))?;
        let path = directory.path().join(RESERVE);
        let reserve =
            Reserve::open(&path, reserve_bytes).map_err(StartError::file("open", &path))?;
        let Position { end, first_seq } = position;
        Ok(Self {
            directory,
            file,
            end,
            dirty: true,
            nameless: true,
            first_seq,
            rotate_bytes,
            rotate_at: rotate_bytes,
            reserve,
        })
    }

    /// Takes off what stands behind the last durable group, and makes sure of the file's name.
    fn clean(&mut self) -> io::Result<()> {
        if self.nameless {
            self.directory.sync()?;
            self.nameless = false;
        }
        if self.dirty {
            self.file.set_len(self.end)?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn open_log(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .create_new(new)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

impl Sink for FileSink {
    fn append(&mut self, group: &[u8]) -> io::Result<()> {
        self.clean()?;
        self.dirty = true;
        let written = self.file.write_all_at(group, self.end).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // At once, so that no reader meets lines that were refused. Should this fail too, the
            // next append repeats it first.
            let _ = self.clean();
            return Err(error);
        }
        self.dirty = false;
        self.end = self.end.saturating_add(u64::try_from(group.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.end >= self.rotate_at
    }

    fn rotate(&mut self, next_seq: u64) -> io::Result<String> {
        // A rotation that fails is not tried again with every group.
        self.rotate_at = self.end.saturating_add(self.rotate_bytes / 16);
        self.clean()?;
        self.file.sync_all()?;
        let name = closed_name(self.first_seq);
        let (current, closed) =
            (self.directory.path().join(CURRENT), self.directory.path().join(&name));
        // Never over a file that is there: it would be a part of the log.
        renameat_with(CWD, &current, CWD, &closed, RenameFlags::NOREPLACE)?;
        let file = match open_log(&current, true) {
            Ok(file) => file,
            Err(error) => {
                // The old file goes on under its old name; a start would find it under either.
                let _ = std::fs::rename(&closed, &current);
                return Err(error);
            }
        };
        (self.file, self.end, self.first_seq) = (file, 0, next_seq);
        (self.nameless, self.rotate_at) = (true, self.rotate_bytes);
        Ok(name)
    }

    fn release_reserve(&mut self, bytes: u64) -> io::Result<bool> {
        self.reserve.release(bytes)
    }

    fn restore_reserve(&mut self) -> io::Result<()> {
        self.reserve.fill()
    }

    fn holds_reserve(&self) -> bool {
        self.reserve.is_whole()
    }
}
