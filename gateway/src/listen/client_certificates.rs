//! The certificates that clients show in the handshake.
//!
//! The handshake asks for one and does not insist, and shows that the client has its key. Whether
//! anybody vouches for it is not asked here: each issuer has authorities of its own, and a request
//! that brings a token may come with a certificate that is nobody's here.
//!
//! INVARIANT: [`ClientCertificates`] are made of a connection's handshake and of nothing else; no
//! header stands for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use http::request::Parts;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// What a client has shown, the leaf first. Possession of the leaf's key is proven, nothing else.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    chain: Arc<[CertificateDer<'static>]>,
    fingerprint: [u8; 32],
    thumbprint: [u8; 32],
}

impl ClientCertificates {
    pub(crate) fn of(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let chain = chain.filter(|chain| !chain.is_empty())?;
        let chain: Arc<[_]> = chain.iter().map(|der| der.clone().into_owned()).collect();
        // Lengths keep two chains of the same bytes apart.
        let parts = chain.iter().flat_map(|der| [der.len().to_be_bytes().to_vec(), der.to_vec()]);
        let fingerprint = digest(std::iter::once(b"client certificate".to_vec()).chain(parts));
        let thumbprint = digest(chain.first().map(|leaf| leaf.to_vec()).into_iter());
        Some(Self { chain, fingerprint, thumbprint })
    }

    /// The chain of a request, if its connection has one.
    #[must_use]
    pub fn of_request(head: &Parts) -> Option<&Self> {
        head.extensions.get()
    }

    /// The certificates, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// A digest of the whole chain: the key under which it may be remembered as verified.
    #[must_use]
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// SHA-256 of the leaf: `x5t#S256` of RFC 8705 §3.1 before it is encoded.
    #[must_use]
    pub const fn thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }
}

fn digest(parts: impl Iterator<Item = Vec<u8>>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.for_each(|part| context.update(&part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Asks clients for a certificate, or not, as the configuration in force needs it.
#[derive(Debug)]
pub(super) struct Asking {
    provider: Arc<CryptoProvider>,
    asks: AtomicBool,
}

impl Asking {
    /// Asks nobody until it is told to.
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, asks: AtomicBool::new(false) }
    }

    pub(super) fn ask(&self, asks: bool) {
        self.asks.store(asks, Ordering::Relaxed);
    }
}

impl ClientCertVerifier for Asking {
    fn offer_client_auth(&self) -> bool {
        self.asks.load(Ordering::Relaxed)
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Whose it is, is asked where a request needs to know: see the module's description.
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
