//! Directories of the service's own, and files that are written into them whole.
//!
//! INVARIANT: a file gets its name when it is complete and flushed. Until then it is a draft under a
//! name that nobody can foresee, made anew and never opened through a link, and locked for as long as
//! it has an author: so what a crash left is told from what is being written ([`sweep`]).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// How the name of a draft ends.
const DRAFT: &str = ".draft";

/// Makes `directory` (0700) if it is not there, and says whether it [is private](is_private).
///
/// # Errors
/// If it cannot be made or looked at.
pub fn make(directory: &Path) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    is_private(directory)
}

/// Whether `directory` is one, and no link, belongs to this process's user, and is closed to others.
///
/// # Errors
/// If it cannot be looked at.
pub fn is_private(directory: &Path) -> io::Result<bool> {
    let known = fs::symlink_metadata(directory)?;
    let is_ours = known.is_dir() && known.uid() == rustix::process::geteuid().as_raw();
    Ok(is_ours && known.mode() & 0o077 == 0)
}

/// Writes `parts` to `path` (0600), which is what it was until all of them are flushed. Blocks.
///
/// # Errors
/// If they cannot be written; nothing of them is left.
pub fn put(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let (draft, mut file) = draft_of(path)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part));
    let named = written.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, path));
    if named.is_err() {
        let _left_to_sweep = fs::remove_file(&draft);
    }
    named
}

fn draft_of(path: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let draft = path.with_file_name(draft_name(path)?);
        let file = create(&draft)?;
        // A file system without locks has drafts that are left alone.
        let _is_locked = file.lock();
        // Otherwise it was swept between the two.
        if file.metadata()?.nlink() > 0 {
            return Ok((draft, file));
        }
    }
}

fn draft_name(path: &Path) -> io::Result<OsString> {
    let mut fresh = [0; 8];
    aws_lc_rs::rand::fill(&mut fresh).map_err(io::Error::other)?;
    let mut name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    name.push(format!(".{}{DRAFT}", hex::encode(fresh)));
    Ok(name)
}

/// A file that was not there.
fn create(draft: &Path) -> io::Result<File> {
    let no_link = flags(OFlags::NOFOLLOW)?;
    OpenOptions::new().write(true).create_new(true).custom_flags(no_link).mode(0o600).open(draft)
}

/// Removes the drafts in `directory` that nobody is writing, and answers how many. Blocks.
///
/// # Errors
/// If the directory cannot be read. A draft that cannot be removed is left.
pub fn sweep(directory: &Path) -> io::Result<usize> {
    let is_draft = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(DRAFT.as_bytes());
    let paths = fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.path());
    Ok(paths.filter(is_draft).filter(|draft| swept(draft).is_ok()).count())
}

fn swept(draft: &Path) -> io::Result<()> {
    if fs::symlink_metadata(draft)?.is_symlink() {
        return fs::remove_file(draft);
    }
    let careful = flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)?;
    let file = OpenOptions::new().read(true).custom_flags(careful).open(draft)?;
    file.try_lock()?;
    // The lock is held until it is gone: whoever has just made it sees that.
    fs::remove_file(draft)
}

pub(crate) fn flags(flags: OFlags) -> io::Result<i32> {
    i32::try_from(flags.bits()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_and_private_and_leaves_no_draft() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        put(&path, &[b"one", b"two"]).unwrap();
        put(&path, &[b"three"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // A name that is taken by a directory.
        fs::create_dir(home.path().join("taken")).unwrap();
        put(&home.path().join("taken"), &[b"four"]).unwrap_err();
        assert_eq!(names(home.path()), ["file", "taken"]);
    }

    #[test]
    fn a_draft_is_made_anew_and_not_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (target, draft) = (home.path().join("target"), home.path().join("file.draft"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &draft).unwrap();
        assert_eq!(create(&draft).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        symlink(home.path().join("nowhere"), home.path().join("other")).unwrap();
        create(&home.path().join("other")).unwrap_err();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(!home.path().join("nowhere").exists());
    }

    #[test]
    fn a_draft_is_swept_when_its_author_is_gone_and_not_before() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let target = home.path().join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, home.path().join("link.draft")).unwrap();
        fs::write(home.path().join("file.1.draft"), "half").unwrap();
        let (draft, author) = draft_of(&path).unwrap();
        assert_eq!(sweep(home.path()).unwrap(), 2);
        assert!(draft.exists(), "it is being written");
        drop(author);
        assert_eq!(sweep(home.path()).unwrap(), 1);
        assert_eq!(names(home.path()), ["target"]);
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }
}
