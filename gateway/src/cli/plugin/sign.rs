//! `symbolon plugin sign`: adds a signature to those of a component.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::signature::{Claim, PrivateKey, Signatures};
use symbolon_host::{Inspection, Package};

use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::package;
use crate::config::SecretRef;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SignArgs {
    /// The component
    file: PathBuf,
    /// The private key: PKCS#8 in PEM, mode 0600
    #[arg(long, short, value_name = "FILE")]
    key: PathBuf,
    /// Begin a new signature file if the one that is there is of another build
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(args: &SignArgs, form: Form) -> Result<(), Failure> {
    let key = SecretRef::File(args.key.clone()).load().map_err(|error| Failure::of(&error))?;
    let key = PrivateKey::from_pem(&key)
        .map_err(|error| Failure::new(format!("{} {error}", args.key.display())))?;
    let package = package(&args.file)?;
    let inspection = Inspection::of(package.component(), MAX_COMPONENT_BYTES)
        .map_err(|error| Failure::of(&error))?;
    let place = Package::signature_file(&args.file);
    let mut file = begun(&Claim::of(&inspection), package.signatures(), &place, args.replace)?;
    file.sign(&key).map_err(|error| Failure::of(&error))?;
    write(&place, &file.to_string())
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", place.display())))?;
    let claim = file.claim();
    let shown = json!({
        "file": place,
        "name": claim.name.as_str(),
        "version": claim.version,
        "digest": claim.digest.to_string(),
        "key": key.public().id().to_string(),
        "signatures": file.keys().count(),
    });
    output::value(&shown, form, &[])
}

/// The signatures so far, if they are of these bytes.
fn begun(
    claim: &Claim,
    there: Option<&[u8]>,
    place: &Path,
    replace: bool,
) -> Result<Signatures, Failure> {
    let Some(bytes) = there else { return Ok(Signatures::new(claim.clone())) };
    match Signatures::parse(bytes) {
        Ok(file) if file.claim() == claim => Ok(file),
        Ok(_) | Err(_) if replace => Ok(Signatures::new(claim.clone())),
        Ok(file) => Err(Failure::new(format!(
            "{} is of another component: {}",
            place.display(),
            file.claim()
        ))
        .with_help(
            "after a new build, begin anew with --replace; who else signed has to sign again",
        )),
        Err(error) => Err(Failure::new(format!("{}: {error}", place.display()))
            .with_help("begin anew with --replace")),
    }
}

/// Written beside and renamed, so that nobody reads half of a file.
fn write(place: &Path, text: &str) -> std::io::Result<()> {
    let mut draft = place.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    let draft = PathBuf::from(draft);
    let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft);
    options.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })?;
    std::fs::rename(&draft, place)
}
