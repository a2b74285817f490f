//! Whom the client believes when a gateway says who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::ClientError;

/// Certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's.
    #[default]
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

impl Roots {
    /// The TLS configuration: aws-lc-rs, TLS 1.2 or 1.3, HTTP/2 preferred.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, ClientError> {
        let roots = match self {
            Self::System => system()?,
            Self::File(path) => from_file(path)?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn unusable(&self, reason: String) -> ClientError {
        let origin = match self {
            Self::System => "the system".to_owned(),
            Self::File(path) => path.display().to_string(),
        };
        ClientError::Roots { origin, reason }
    }
}

fn system() -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match added {
        0 => Err(Roots::System.unusable("none are installed".to_owned())),
        _ => Ok(roots),
    }
}

fn from_file(path: &Path) -> Result<RootCertStore, ClientError> {
    let unusable = |reason: String| Roots::File(path.to_owned()).unusable(reason);
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(unusable("it has no certificate".to_owned())),
        false => Ok(roots),
    }
}
