//! Where a secret comes from. The configuration only ever names the place.
//!
//! INVARIANT: a literal never becomes a [`SecretRef`], and no error here quotes what was written, so
//! a secret that was pasted by mistake is refused without spreading.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use symbolon_core::secret::Secret;

use super::environment;
use super::fault::Problem;
use super::parse::resolve;

/// More than any key or password needs; a path that names a disk image by mistake is not read.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:/path`: a file that only the gateway may read.
    File(PathBuf),
    /// `env:NAME`: a variable of the environment.
    Environment(String),
    /// `credential:name`: a credential that systemd passed (`LoadCredential=`).
    Credential(String),
}

/// Why a secret could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be opened or read.
    #[error("secret file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a directory, a device or a pipe.
    #[error("secret file {} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// Others may read or change the file.
    #[error("secret file {} has mode {mode:04o}, so others may read or change it; run `chmod 0600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to somebody else, who could change it at any time.
    #[error("secret file {} belongs to uid {owner}; it must belong to root or to the gateway's own user", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Larger than any secret.
    #[error("secret file {} is larger than 64 KiB", .0.display())]
    TooLarge(PathBuf),
    /// Nothing is there.
    #[error("secret `{0}` is empty")]
    Empty(SecretRef),
    /// The variable is not set.
    #[error("environment variable {0} is not set or is empty")]
    NoVariable(String),
    /// systemd passed no credentials at all.
    #[error(
        "credential `{0}` was asked for, but CREDENTIALS_DIRECTORY is not set; use `LoadCredential=` in the unit"
    )]
    NoCredentials(String),
}

impl SecretRef {
    /// Parses a reference; a relative path is resolved against the directory of `file`.
    pub(crate) fn parse(text: &str, file: &Path) -> Result<Self, Problem> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(resolve(file, path))),
            Some(("env", name)) if is_variable(name) => Ok(Self::Environment(name.to_owned())),
            Some(("env", _)) => Err(Problem::new("`env:` needs the name of a variable")
                .with_help("letters, digits and `_`: \"env:DB_PASSWORD\"")),
            Some(("credential", name)) if is_credential(name) => {
                Ok(Self::Credential(name.to_owned()))
            }
            Some(("credential", _)) => {
                Err(Problem::new("`credential:` needs the name of a credential")
                    .with_help("the name given to `LoadCredential=`: \"credential:seal\""))
            }
            _ => Err(literal()),
        }
    }

    /// Loads the secret; one trailing line break is not part of it. Blocks on the file system.
    ///
    /// # Errors
    /// [`SecretError`] says what is wrong and, for permissions, how to repair it.
    pub fn load(&self) -> Result<Secret, SecretError> {
        self.load_with(&environment::variable)
    }

    fn load_with(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, SecretError> {
        let bytes = match self {
            Self::File(path) => read_private(path)?,
            Self::Environment(name) => {
                variable(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?.into_bytes()
            }
            Self::Credential(name) => {
                let directory = variable("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                read_private(&Path::new(&directory).join(name))?
            }
        };
        match trimmed(bytes) {
            secret if secret.is_empty() => Err(SecretError::Empty(self.clone())),
            secret => Ok(secret),
        }
    }
}

/// As it is written in the configuration. It is a place, not a secret.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

fn literal() -> Problem {
    Problem::new("a secret is never written into the configuration").with_help(
        "put it into a file with mode 0600 and write \"file:/path\", or use \"env:NAME\" or \
         \"credential:name\" (systemd); what stands here now counts as disclosed, so replace it",
    )
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn is_credential(name: &str) -> bool {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits && !name.is_empty() && name.len() <= 255 && !name.starts_with('.')
}

/// Everything is checked on the opened file, so that it cannot be exchanged in between. Opening does
/// not wait (a pipe without a writer would block the start for ever).
fn read_private(path: &Path) -> Result<Vec<u8>, SecretError> {
    let unreadable =
        |source: std::io::Error| SecretError::Unreadable { path: path.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretError::NotRegular(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o027 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(SecretError::ForeignOwner { path: path.to_owned(), owner });
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    // One allocation of the right size: growing would leave copies behind that nobody wipes.
    let capacity = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
    let mut bytes = Vec::with_capacity(capacity);
    file.take(MAX_SECRET_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn trimmed(mut bytes: Vec<u8>) -> Secret {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Secret::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn written(directory: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn references_are_parsed_and_everything_else_is_a_literal() {
        let file = Path::new("/etc/symbolon/symbolon.toml");
        let path = SecretRef::File(PathBuf::from("/etc/symbolon/tls.key"));
        assert_eq!(SecretRef::parse("file:/etc/symbolon/tls.key", file).unwrap(), path);
        assert_eq!(SecretRef::parse("file:tls.key", file).unwrap(), path);
        for good in ["env:DB_PASSWORD", "credential:seal.key"] {
            assert_eq!(SecretRef::parse(good, file).unwrap().to_string(), good);
        }
        for bad in
            ["hunter2", "hvs.CAES", "file:", "env:", "env:A B", "credential:../x", "", "pass:word"]
        {
            let problem = SecretRef::parse(bad, file).unwrap_err();
            let shown = format!("{} {:?}", problem.message, problem.help);
            assert!(bad.len() < 6 || !shown.contains(bad), "{bad} is shown: {shown}");
        }
    }

    #[test]
    fn a_private_file_loads_without_its_line_break() {
        let directory = tempfile::tempdir().unwrap();
        for (content, expected) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret", "s3cret"),
            ("a\n\n", "a\n"),
        ] {
            let path = written(directory.path(), "key", content.as_bytes(), 0o600);
            let secret = SecretRef::File(path).load().unwrap();
            assert_eq!(secret.expose(), expected.as_bytes());
        }
    }

    #[test]
    fn a_file_that_others_may_touch_is_refused_with_the_repair() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, accepted) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o440, true),
            (0o644, false),
            (0o660, false),
            (0o602, false),
        ] {
            let path = written(directory.path(), &format!("{mode:o}"), b"x", mode);
            let outcome = SecretRef::File(path).load();
            assert_eq!(outcome.is_ok(), accepted, "{mode:o}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains("chmod 0600"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_not_a_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        for path in [pipe, directory.path().to_owned()] {
            assert!(matches!(SecretRef::File(path).load(), Err(SecretError::NotRegular(_))));
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let empty = written(directory.path(), "empty", b"\n", 0o600);
        assert!(matches!(SecretRef::File(empty).load(), Err(SecretError::Empty(_))));
        let huge = written(directory.path(), "huge", &vec![b'x'; 65 * 1024], 0o600);
        assert!(matches!(SecretRef::File(huge).load(), Err(SecretError::TooLarge(_))));
    }

    #[test]
    fn credentials_come_from_the_directory_of_systemd() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), "seal", b"k\n", 0o400);
        let place = directory.path().to_str().unwrap().to_owned();
        let environment = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| place.clone());
        let reference = SecretRef::Credential(String::from("seal"));
        assert_eq!(reference.load_with(&environment).unwrap().expose(), b"k");
        assert!(matches!(reference.load_with(&|_| None), Err(SecretError::NoCredentials(_))));
        let variable = SecretRef::Environment(String::from("SEAL"));
        assert!(matches!(variable.load_with(&environment), Err(SecretError::NoVariable(_))));
    }
}
