//! What must be denied, said a second time and naively: the reference against which the gateway's own
//! verdicts are counted.
//!
//! It is written from RFC 7515, RFC 7519 and the documented meaning of an issuer's block, slowly and
//! without regard to speed, and shares no code with `symbolon-core`: its manifest names neither that
//! crate nor the libraries that verify tokens and certificates there.
//!
//! INVARIANT: it says *deny* only where it is certain. Silence is no permission; it means that an
//! attempt does not count.

mod certificate;
mod delegation;
mod json;
mod platform;
mod scopes;
mod signature;
mod signed;
mod token;

pub use certificate::{Vouching, must_deny_certificate};
pub use delegation::{must_deny_actor, must_deny_reviewed};
pub use platform::Platform;
pub use scopes::{Policies, Thing};
pub use signed::{Asking, Said, must_deny_signed};
pub use token::{AttributeKind, Mapped, Terms, must_deny};
