//! The file of the seal: who may read it, what it holds, how it comes to be.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::OFlags;
use symbolon_core::secret::Secret;

use super::blob::SealKey;
use super::{Seal, SealError, Source};

const HEADING: &str = "# The seal of a Symbolon store. Without it the store cannot be read; back it up apart from it.\n";
/// Longest file that is read: a hundred keys and their comments.
const MAX_BYTES: u64 = 16 * 1024;

/// Opens, checks and parses; `None` if there is no such file and we may make it.
pub(super) fn read(source: &Source) -> Result<Option<Seal>, SealError> {
    let path = source.path();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(custom(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    let file = match (options.open(path), source) {
        (Err(error), Source::File(_)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        (opened, _) => opened.map_err(|e| io(path, "read", e))?,
    };
    check(source, &file)?;
    let mut text = Vec::with_capacity(1024);
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(|e| io(path, "read", e))?;
    parse(path, &Secret::new(text)).map(Some)
}

/// Makes the file with one new key. It exists completely and durably, or not at all.
pub(super) fn create(source: &Source) -> Result<Seal, SealError> {
    let Source::File(path) = source else {
        return Err(SealError::Lost { path: source.path().into() });
    };
    let keys = [SealKey::generate()?];
    // The final name is taken by a hard link, which fails if somebody else has taken it meanwhile.
    let fresh = write_beside(path, &render(&keys)?)?;
    let linked = std::fs::hard_link(&fresh, path);
    let removed = std::fs::remove_file(&fresh);
    linked.and(removed).and_then(|()| sync_parent(path)).map_err(|e| io(path, "write", e))?;
    tracing::warn!(path = %path.display(), "made a new seal: back it up apart from the store");
    assemble(path, Vec::from(keys))
}

/// Puts a new key first. The file is replaced in one step.
pub(super) fn rotate(source: &Source) -> Result<Seal, SealError> {
    let Source::File(path) = source else {
        return Err(SealError::ReadOnly { path: source.path().into() });
    };
    let seal = read(source)?.ok_or_else(|| SealError::Lost { path: path.clone() })?;
    let mut keys = vec![SealKey::generate()?, seal.current];
    keys.extend(seal.former);
    let fresh = write_beside(path, &render(&keys)?)?;
    std::fs::rename(&fresh, path)
        .and_then(|()| sync_parent(path))
        .map_err(|e| io(path, "write", e))?;
    assemble(path, keys)
}

/// The text of a seal.
pub(super) fn render(keys: &[SealKey]) -> Result<Secret, SealError> {
    // Enough for all, so that no smaller buffer with key material in it is left behind.
    let mut text =
        String::with_capacity(HEADING.len().saturating_add(keys.len().saturating_mul(64)));
    text.push_str(HEADING);
    for key in keys {
        URL_SAFE_NO_PAD.encode_string(key.bytes.expose(), &mut text);
        text.push('\n');
    }
    if keys.is_empty() { Err(SealError::Crypto) } else { Ok(Secret::from(text)) }
}

/// A file of our own belongs to us and nobody else may touch it. systemd's belong to us or root, and
/// may be readable by a group: that is how it shows an access control list.
fn check(source: &Source, file: &File) -> Result<(), SealError> {
    let path = source.path();
    let metadata = file.metadata().map_err(|e| io(path, "read", e))?;
    let us = rustix::process::geteuid().as_raw();
    let (forbidden, owners) = match source {
        Source::File(_) => (0o077, [us, us]),
        Source::Credential(_) => (0o037, [us, 0]),
    };
    let exposed = |fault, fix: String| Err(SealError::Exposed { path: path.into(), fault, fix });
    let shown = path.display();
    if !metadata.is_file() {
        return exposed("is not a regular file", String::from("name the file itself"));
    }
    if !owners.contains(&metadata.uid()) {
        return exposed("belongs to another user", format!("run `chown {us} {shown}`"));
    }
    if metadata.mode() & forbidden != 0 {
        return exposed(
            "can be read or changed by others",
            format!("run `chmod 600 {shown}`; if others have read it, rotate it too"),
        );
    }
    Ok(())
}

fn parse(path: &Path, text: &Secret) -> Result<Seal, SealError> {
    let text = text.expose_str().ok_or_else(|| malformed(path, 1))?;
    let lines = text.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line.trim()));
    let keys = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| parse_key(line).ok_or_else(|| malformed(path, number)))
        .collect::<Result<Vec<_>, _>>()?;
    assemble(path, keys)
}

fn parse_key(line: &str) -> Option<SealKey> {
    let bytes = Secret::new(URL_SAFE_NO_PAD.decode(line).ok()?);
    SealKey::new(bytes)
}

fn assemble(path: &Path, keys: Vec<SealKey>) -> Result<Seal, SealError> {
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(|| SealError::Empty { path: path.into() })?;
    Ok(Seal { current, former: keys.collect() })
}

/// Writes `text` durably to a new file of mode 0600 next to `path`.
fn write_beside(path: &Path, text: &Secret) -> Result<PathBuf, SealError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| SealError::Crypto)?;
    let fresh = path.with_extension(format!("new-{}", hex::encode(random)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(custom(OFlags::NOFOLLOW));
    let mut file = options.open(&fresh).map_err(|e| io(path, "write", e))?;
    file.write_all(text.expose())
        .and_then(|()| file.sync_all())
        .map_err(|e| io(path, "write", e))?;
    Ok(fresh)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn custom(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn malformed(path: &Path, line: usize) -> SealError {
    SealError::Malformed { path: path.into(), line }
}

fn io(path: &Path, doing: &'static str, source: std::io::Error) -> SealError {
    SealError::Io { path: path.into(), doing, source }
}
