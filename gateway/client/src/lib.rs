//! Symbolon's API client: the workload's side of the gateway, and the operator's.
//!
//! [`Gateway`] asks the native face for secrets and credentials with a platform token; [`Admin`] speaks to the
//! admin socket of a gateway on the same machine. Both make one connection a call: what needs a pool
//! keeps one, this does not.
//!
//! Promises: a token is sent over TLS or to loopback only, and to no other host than the one named
//! (redirects are not followed); secret bytes travel in [`Secret`]; every error says what happened,
//! where, and what to look at next.
//!
//! [`Secret`]: symbolon_core::secret::Secret

mod admin;
mod answer;
mod error;
mod gateway;
mod identity;
mod leases;
mod roots;
#[cfg(test)]
mod testing;
mod tokens;
mod transport;

pub use admin::Admin;
pub use answer::SecretAnswer;
pub use error::{ClientError, Problem};
pub use gateway::Gateway;
pub use identity::{IdentityError, KUBERNETES_TOKEN, TokenSource};
pub use leases::{CredentialAnswer, Lease, Leases};
pub use roots::Roots;
pub use tokens::{AwsKeys, TokenAnswer, TokenType};
