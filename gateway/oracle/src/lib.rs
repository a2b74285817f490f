//! What must be denied, said a second time and naively: the reference against which the gateway's own
//! verdicts are counted.
//!
//! It is written from RFC 7515, RFC 7519 and the documented meaning of an issuer's block, slowly and
//! without regard to speed, and shares no code with `symbolon-core`: its manifest names neither that
//! crate nor the library that verifies tokens there.
//!
//! INVARIANT: it says *deny* only where it is certain. Silence is no permission; it means that an
//! attempt does not count.

mod json;
mod platform;
mod scopes;
mod signature;
mod token;

pub use platform::Platform;
pub use scopes::{Policies, Thing};
pub use token::{AttributeKind, Mapped, Terms, must_deny};
