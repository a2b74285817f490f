//! From the certificate of a connection to a principal.
//!
//! The handshake has shown that the peer has the key. The chain is verified here, against the
//! authorities of the issuer that its name belongs to, at the time of each request: a certificate
//! that expires on an open connection proves nothing from then on, and an authority that is withdrawn
//! vouches for nobody.

use std::net::IpAddr;
use std::sync::Arc;

use symbolon_core::certificate::{CertificateRefusal, Chain};
use symbolon_core::principal::Principal;
use symbolon_core::token::{IssuerRules, KeySet};

use super::{Authenticator, Unproven, Verified};
use crate::listen::ClientCertificates;

impl Authenticator {
    pub(super) async fn prove_certificate(
        &self,
        shown: &ClientCertificates,
        source: Option<IpAddr>,
    ) -> Result<Arc<Verified>, Unproven> {
        let fingerprint = shown.fingerprint();
        if let Some(verified) = self.recall(&fingerprint) {
            return Ok(verified);
        }
        let chain = Chain::parse(shown.chain())?;
        let mut candidates = Vec::new();
        for rules in chain.candidates(&self.issuers)? {
            // Keys are waited for before a turn is taken, never within one.
            let keys = self.keys.get(&rules.alias).ok_or(Unproven::NoKeys)?;
            candidates.push((rules, keys.first().await.ok_or(Unproven::NoKeys)?));
        }
        let _turn = self.turns.take(source).await.ok_or(Unproven::Crowded)?;
        let verified = Arc::new(self.vouched(&chain, &candidates)?);
        self.verified.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    /// Verifies the chain against the authorities of each issuer that may vouch for it. Two that do
    /// would make two principals of one certificate, and make none.
    fn vouched(
        &self,
        chain: &Chain<'_>,
        candidates: &[(&IssuerRules, Arc<KeySet>)],
    ) -> Result<Verified, CertificateRefusal> {
        let mut refused = CertificateRefusal::UnknownIssuer;
        let mut found = Vec::new();
        for (rules, set) in candidates {
            match chain.verify(rules, set, self.standing.clock.now()) {
                Ok(principal) => found.push(self.verified_by(principal, set, rules)),
                Err(refusal) => refused = refusal,
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(verified), true) => Ok(Verified { one_shot: false, ..verified }),
            (Some(_), false) => Err(CertificateRefusal::UnknownIssuer),
            (None, _) => Err(refused),
        }
    }

    /// Whom these certificates proved a moment ago.
    pub(super) fn known_certificate(&self, shown: &ClientCertificates) -> Option<Arc<Principal>> {
        self.recall(&shown.fingerprint()).map(|verified| verified.principal.clone())
    }
}
