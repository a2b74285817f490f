//! Whom TLS trusts and as whom it speaks.
//!
//! The provider is aws-lc-rs, named explicitly, so that no other one becomes the process's default
//! by accident. A CA bundle of a grant replaces the system's roots instead of joining them: who
//! runs a private CA does not want every public one to vouch for the same host.

use std::fmt;
use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::{RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use symbolon_core::secret::Secret;

use super::error::EgressError;

/// Sessions kept for resumption, per grant.
const SESSIONS: usize = 32;

/// The roots that a server's certificate must lead to.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// The system's roots.
    ///
    /// # Errors
    /// [`EgressError::Configuration`] if the system has none that can be read.
    pub fn native() -> Result<Self, EgressError> {
        Self::of(rustls_native_certs::load_native_certs().certs)
    }

    /// The certificates of a PEM bundle.
    ///
    /// # Errors
    /// [`EgressError::Configuration`] if there is none in it, or one that cannot be read.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, EgressError> {
        Self::of(certificates(bundle)?)
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, EgressError> {
        let mut roots = RootCertStore::empty();
        // The system's bundle may hold a certificate that rustls cannot read: skip it, the rest
        // still is what the system trusts.
        let (added, _unreadable) = roots.add_parsable_certificates(certificates);
        if added == 0 { Err(refused(NoCertificate)) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// A client certificate and its key.
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientIdentity {
    /// Reads a certificate chain and a private key, both PEM.
    ///
    /// # Errors
    /// [`EgressError::Configuration`] if either cannot be read.
    pub fn from_pem(chain: &[u8], key: &Secret) -> Result<Self, EgressError> {
        let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(refused)?;
        Ok(Self { chain: certificates(chain)?, key })
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// No certificate where one is needed.
#[derive(Debug, thiserror::Error)]
#[error("there is no usable certificate")]
struct NoCertificate;

fn certificates(bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, EgressError> {
    let all = CertificateDer::pem_slice_iter(bundle).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(refused)?;
    if all.is_empty() { Err(refused(NoCertificate)) } else { Ok(all) }
}

fn refused(cause: impl std::error::Error + Send + Sync + 'static) -> EgressError {
    EgressError::Configuration(Arc::new(cause))
}

/// A client configuration of its own: sessions resumed under it never carry another's identity.
pub(crate) fn client_config(
    trust: &Trust,
    identity: Option<&ClientIdentity>,
) -> Result<Arc<ClientConfig>, EgressError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(Arc::clone(&trust.0));
    let mut config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(refused)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}
