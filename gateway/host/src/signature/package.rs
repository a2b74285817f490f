//! A component as it comes: bytes, and the file of those who signed them.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::file::{Claim, MAX_SIGNATURE_FILE_BYTES, Signatures};
use super::trust::{Endorsement, Trust, Verdict};
use crate::admit::AdmitError;
use crate::manifest::{Digest, Inspection};
use crate::private;

/// What is read from a disk or a socket. Nothing of it is believed.
///
/// INVARIANT: `digest` is that of `component`. It is taken once; the bytes do not change afterwards.
#[derive(Clone, PartialEq, Eq)]
pub struct Package {
    component: Vec<u8>,
    digest: Digest,
    signatures: Option<Vec<u8>>,
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = self.signatures.is_some();
        write!(f, "Package({} bytes, with signatures: {signed})", self.component.len())
    }
}

impl Package {
    /// A component, and the signature file that came with it, if one did.
    #[must_use]
    pub fn new(component: Vec<u8>, signatures: Option<Vec<u8>>) -> Self {
        let digest = Digest::of(&component);
        Self { component, digest, signatures }
    }

    /// The component's bytes.
    #[must_use]
    pub fn component(&self) -> &[u8] {
        &self.component
    }

    /// What the component is known by: SHA-256 of its bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes of the signature file, if there is one.
    #[must_use]
    pub fn signatures(&self) -> Option<&[u8]> {
        self.signatures.as_deref()
    }

    /// Reads `component` and the signature file beside it. Of each no more is read than shows that
    /// it is too large.
    ///
    /// # Errors
    /// If one of them cannot be read; that there is no signature file is no error.
    pub fn read(component: &Path, max_bytes: usize) -> io::Result<Self> {
        let signatures = Self::read_signatures(component)?;
        Ok(Self::new(read(component, max_bytes)?, signatures))
    }

    /// Reads the signature file beside `component`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_signatures(component: &Path) -> io::Result<Option<Vec<u8>>> {
        match read(&Self::signature_file(component), MAX_SIGNATURE_FILE_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// This component with the signatures of `kept` beside its own: what is known of it is not lost
    /// when it comes again with less. Of `kept` nothing is taken if it claims anything else than
    /// `claim`, nor what `trust` knows to be wrong.
    #[must_use]
    pub fn with_kept(self, kept: Option<&[u8]>, claim: &Claim, trust: &Trust) -> Self {
        let kept = kept.and_then(|kept| Signatures::parse(kept).ok());
        let Some(mut kept) = kept.filter(|kept| kept.claim() == claim) else { return self };
        trust.strike_wrong(&mut kept);
        let own = self
            .signatures
            .as_deref()
            .map_or_else(|| Ok(Signatures::new(claim.clone())), Signatures::parse);
        // One that cannot be read is refused as it is.
        let Ok(mut joined) = own else { return self };
        let before = joined.keys().count();
        joined.join(kept);
        match joined.keys().count() > before {
            true => Self { signatures: Some(joined.to_string().into_bytes()), ..self },
            false => self,
        }
    }

    /// Where the signatures of the component at `path` are: `X.wasm.sig` beside `X.wasm`.
    #[must_use]
    pub fn signature_file(path: &Path) -> PathBuf {
        let mut file = path.as_os_str().to_owned();
        file.push(".sig");
        file.into()
    }

    /// The first steps of admission: size, digest, signatures, static parse.
    ///
    /// # Errors
    /// [`Refused`] with the step that refuses.
    pub fn examine(self, trust: &Trust, max_bytes: usize) -> Result<Examined, Refused> {
        let Self { component, digest, signatures } = self;
        if component.len() > max_bytes {
            return Err(AdmitError::TooLarge { bytes: component.len(), max: max_bytes }.into());
        }
        let verdict = trust.judge(digest, signatures.as_deref())?;
        let inspection = Inspection::known_by(digest, &component)?;
        match endorsement(verdict, trust, &inspection) {
            Ok(endorsement) => Ok(Examined { component, inspection, endorsement }),
            Err(error) => Err(Refused { error, inspection: Some(Box::new(inspection)) }),
        }
    }
}

fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    // Opening a pipe would otherwise wait for whoever writes to it.
    let no_wait = private::flags(OFlags::NONBLOCK)?;
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
    let known = file.metadata()?;
    if !known.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let expected = usize::try_from(known.len().min(most)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was claimed must be what the component says of itself.
fn endorsement(
    verdict: Verdict,
    trust: &Trust,
    inspection: &Inspection,
) -> Result<Endorsement, AdmitError> {
    let manifest = &inspection.manifest;
    let (claim, endorsement) = match verdict {
        Verdict::Signed(claim, keys) => (claim, Endorsement::Signed(keys)),
        Verdict::Waived(claim) => (claim, Endorsement::Unsigned),
        Verdict::Bare if trust.may_be_unsigned(&manifest.name) => return Ok(Endorsement::Unsigned),
        Verdict::Bare => return Err(AdmitError::Unsigned(manifest.name.clone())),
    };
    if claim.name != manifest.name {
        Err(AdmitError::SignedAs("name"))
    } else if claim.version != manifest.version {
        Err(AdmitError::SignedAs("version"))
    } else {
        Ok(endorsement)
    }
}

/// A component whose signatures and form were found good: the proof that compiling needs.
#[derive(Debug)]
pub struct Examined {
    component: Vec<u8>,
    inspection: Inspection,
    endorsement: Endorsement,
}

impl Examined {
    /// What is known of it.
    #[must_use]
    pub const fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Who vouches for it.
    #[must_use]
    pub const fn endorsement(&self) -> &Endorsement {
        &self.endorsement
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Inspection, Endorsement) {
        (self.component, self.inspection, self.endorsement)
    }
}

/// A component that was refused, and what is known of it all the same.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Why.
    pub error: AdmitError,
    /// What it says of itself, for the operator, where it was parsed.
    pub inspection: Option<Box<Inspection>>,
}

impl From<AdmitError> for Refused {
    fn from(error: AdmitError) -> Self {
        Self { error, inspection: None }
    }
}
