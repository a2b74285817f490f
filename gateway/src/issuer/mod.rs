//! issuer.
