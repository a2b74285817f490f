//! The gateway's own certificate, replaced while connections are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use symbolon_core::secret::Secret;
use tokio_rustls::TlsAcceptor;

use super::client_certificates::Asking;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read or is not PEM.
    #[error("cannot read a certificate chain from {0}; expected PEM with the server's first")]
    Chain(PathBuf, #[source] rustls_pki_types::pem::Error),
    /// The key is not a private key in PEM.
    #[error("the private key is not PEM (PKCS#8, PKCS#1 or SEC1)")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// The key's algorithm is not supported, or it does not belong to the certificate.
    #[error("the private key does not belong to the certificate, or its kind is not supported")]
    Mismatch(#[source] rustls::Error),
}

/// A certificate chain with its key, and the acceptor that uses whichever is newest.
pub struct Certificate {
    current: Arc<Current>,
    asking: Arc<Asking>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Loads a chain from a PEM file and a key from PEM bytes.
    ///
    /// # Errors
    /// [`TlsError`] if either cannot be used.
    pub fn load(chain: &Path, key: &Secret) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let asking = Arc::new(Asking::new(provider.clone()));
        let current = Arc::new(Current(ArcSwap::from_pointee(certified(chain, key)?)));
        let builder = ServerConfig::builder_with_provider(provider);
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Mismatch)?
            .with_client_cert_verifier(asking.clone())
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { current, asking, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Whether clients are asked for a certificate, in handshakes from now on.
    pub fn ask_clients(&self, asks: bool) {
        self.asking.ask(asks);
    }

    /// Puts a new chain and key to use, for handshakes from now on. On an error the old ones stay.
    ///
    /// # Errors
    /// [`TlsError`] if either cannot be used.
    pub fn replace(&self, chain: &Path, key: &Secret) -> Result<(), TlsError> {
        self.current.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }

    /// The acceptor for new connections.
    #[must_use]
    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

fn certified(chain: &Path, key: &Secret) -> Result<CertifiedKey, TlsError> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::Chain(chain.to_owned(), error))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(TlsError::Key)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificates, key, &provider).map_err(TlsError::Mismatch)
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_replacement_leaves_the_old_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let chain = directory.path().join("tls.pem");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        let key = Secret::from(made.signing_key.serialize_pem());
        let certificate = Certificate::load(&chain, &key).unwrap();
        let before = certificate.current.0.load_full();

        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let foreign = Secret::from(other.signing_key.serialize_pem());
        let error = certificate.replace(&chain, &foreign).unwrap_err();
        assert!(matches!(error, TlsError::Mismatch(_)), "{error}");
        assert!(Arc::ptr_eq(&before, &certificate.current.0.load_full()));
    }
}
