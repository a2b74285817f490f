//! `symbolon plugin keygen`: a key with which components are signed.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;
use symbolon_core::secret::Secret;
use symbolon_host::signature::{PrivateKey, Scheme};

use super::super::failure::Failure;
use super::super::output::{self, Form};

/// How the key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Algorithm {
    /// Ed25519
    Ed25519,
    /// ECDSA on P-256 with SHA-256
    EcdsaP256,
}

impl From<Algorithm> for Scheme {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::EcdsaP256 => Self::EcdsaP256,
        }
    }
}

pub(super) fn run(out: &Path, algorithm: Algorithm, form: Form) -> Result<(), Failure> {
    let (key, pem) = PrivateKey::generate(algorithm.into()).map_err(|error| Failure::of(&error))?;
    write_new(out, &pem)?;
    let public = key.public();
    let shown = json!({
        "file": out,
        "algorithm": public.scheme().as_str(),
        "key": public.id().to_string(),
        "public_key": public.to_string(),
    });
    output::value(&shown, form, &[])?;
    output::note(&format!(
        "keep {} secret; to let it count, add to the configuration:\n\n\
         [plugins.keys.NAME]\npublic_key = \"{public}\"",
        out.display()
    ));
    Ok(())
}

/// A key that is overwritten is lost, and with it all that it was to sign.
fn write_new(out: &Path, pem: &Secret) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
    let written = file.and_then(|mut file| {
        file.write_all(pem.expose())?;
        file.sync_all()
    });
    written.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Failure::new(format!(
                "{} is there already and is not overwritten",
                out.display()
            ))
            .with_help("name another file, or remove this one if no key is needed of it");
        }
        Failure::new(format!("cannot write {}: {error}", out.display()))
    })
}
