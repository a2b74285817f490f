//! Who vouches for a component: detached signatures over the very bytes that are loaded.
//!
//! A component comes with a file beside it (`X.wasm.sig`) that says its digest, name and version
//! and holds one signature or several over exactly these ([`Signatures`]). The operator says which
//! keys count, for which plugins, and how many of them are needed ([`Trust`]); a component without
//! them loads only if the configuration names it as unsigned.
//!
//! INVARIANT: an [`Examined`] holds the bytes whose digest was signed, or a component that the
//! operator lets be unsigned by its name. Nothing of a signed component is parsed before its
//! signatures hold: name and version come from the signature file, and the manifest is held against
//! them after.
//!
//! What a signature does not say: that the component is good, or that it is the newest. The second
//! is [`crate::version`]'s.

mod file;
mod key;
mod package;
#[cfg(test)]
mod tests;
mod trust;

pub use file::{Claim, FileError, MAX_SIGNATURE_FILE_BYTES, MAX_SIGNATURES, Signatures};
pub use key::{KeyError, PrivateKey, PublicKey, Scheme};
pub use package::{Examined, Package, Refused};
pub use trust::{AnyOf, Endorsement, Policy, Trust, TrustError, TrustedKey};
