//! The file that keeps room on the disk for closing what is open.
//!
//! It is allocated when the journal starts. When the disk is full it is given back piece by piece,
//! as much as the closings need, so that whoever filled the disk does not get all of it at once.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

/// How much is given back at a time, at least.
const PIECE: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Reserve {
    file: File,
    size: u64,
    held: u64,
}

impl Reserve {
    /// Opens the file. It holds what it held before; [`Reserve::fill`] makes it whole.
    pub(super) fn open(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() > size {
            file.set_len(size)?;
        }
        let held = 0;
        Ok(Self { file, size, held })
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.held == self.size
    }

    /// Takes the whole size again.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        // Where the file system cannot preallocate, the blocks are taken by writing them.
        match fallocate(&self.file, FallocateFlags::empty(), 0, self.size) {
            Err(rustix::io::Errno::OPNOTSUPP) => self.write_out()?,
            other => other?,
        }
        self.file.sync_all()?;
        self.held = self.size;
        Ok(())
    }

    /// Gives at least `bytes` back to the file system; `false` if nothing was left to give.
    pub(super) fn release(&mut self, bytes: u64) -> io::Result<bool> {
        let held = self.file.metadata()?.len();
        if held == 0 {
            return Ok(false);
        }
        self.held = held.saturating_sub(bytes.max(PIECE));
        self.file.set_len(self.held)?;
        // ext4 hands blocks out again only when the transaction that freed them is committed.
        self.file.sync_all()?;
        Ok(true)
    }

    fn write_out(&self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let piece = vec![0xA5; usize::try_from(PIECE).unwrap_or(1 << 16)];
        let mut at = 0;
        while at < self.size {
            let length = usize::try_from(self.size - at).unwrap_or(usize::MAX).min(piece.len());
            self.file.write_all_at(piece.get(..length).unwrap_or(&piece), at)?;
            at = at.saturating_add(u64::try_from(length).unwrap_or(PIECE));
        }
        Ok(())
    }
}
