//! The decision: may this principal have this?
//!
//! Policies are written in Cedar, by the operator, against a schema that is generated from the
//! configuration ([`Vocabulary`]). A [`Bundle`] is the loaded whole: every policy parsed, strictly
//! validated and indexed. [`Bundle::decide`] turns a principal and an ask into a [`Permit`] or a
//! [`Denial`], and nothing else in the program can make a [`Permit`].
//!
//! INVARIANT: what no policy permits is denied; what any policy forbids is denied; where any policy
//! that applies cannot be evaluated, the answer is a denial. (Cedar itself skips a policy that errs:
//! a broken `forbid` would turn into a permission.)
//!
//! INVARIANT: the same bundle gives the same principal and the same ask the same answer. Time and
//! address come in as [`Circumstances`]; the answer names the deciding policies and the bundle's
//! digest.
//!
//! This module does not authenticate (it takes a [`crate::principal::Principal`], which is proof
//! already), does not know revocation (epochs and locks are checked before), reads no file and no
//! clock.
//!
//! # Writing policies
//!
//! ```cedar
//! // The web shop's pods may read below kv/prod/shop, but not what merely begins alike
//! // (kv/prod/shopkeeper): `in` respects folders.
//! @id("shop-reads-its-secrets")
//! permit (
//!     principal == Workload::"prod-cluster/system:serviceaccount:shop:web",
//!     action in [Action::"read", Action::"list"],
//!     resource in Folder::"kv/prod/shop"
//! );
//!
//! // A workflow on the main branch may have a database login for fifteen minutes.
//! @id("deploy-gets-a-login")
//! @ttl_max("15m")
//! permit (
//!     principal in Issuer::"github",
//!     action == Action::"issue",
//!     resource == Role::"orders-db/migrate"
//! ) when {
//!     principal has github && principal.github has ref &&
//!     principal.github.ref == "refs/heads/main"
//! };
//!
//! // Nobody has production secrets with a token that whoever holds it may use. Say what must hold
//! // in `unless`: a `forbid … when` over a claim stops working where the claim is missing.
//! @id("production-needs-bound-tokens")
//! forbid (principal, action == Action::"read", resource in Folder::"kv/prod")
//! unless { context.binding == "dpop" || context.binding == "mtls" };
//! ```
//!
//! Entity ids: `Workload::"<issuer>/<subject>"`, `Issuer::"<alias>"`, `Backend::"<name>"`,
//! `Folder::"<backend>/<path>"`, `Secret::"<backend>/<path>"`, `Role::"<backend>/<role>"`,
//! `Target::"<name>"`, `Gateway::"gateway"`, `Admin::"uid:<number>"`.
//!
//! # Only this module makes a permit
//!
//! ```compile_fail,E0451
//! use symbolon_core::policy::Permit;
//! fn forge(honest: Permit) -> Permit {
//!     Permit { ttl_ceiling: std::time::Duration::MAX, ..honest }
//! }
//! ```
//!
//! And only a permit says on whose behalf something is done
//!
//! ```compile_fail,E0423
//! use symbolon_core::{policy::OnBehalf, principal::Principal};
//! fn pose(as_whom: std::sync::Arc<Principal>) -> OnBehalf {
//!     OnBehalf(as_whom)
//! }
//! ```

mod administration;
mod bundle;
mod check;
mod claims;
mod decide;
mod entity;
mod explain;
mod fault;
mod names;
mod needs;
mod question;
mod schema;
mod slice;
mod source;
mod vocabulary;

pub use administration::{AdminPermit, Administrator};
pub use bundle::Bundle;
pub use decide::{Circumstances, Denial, OnBehalf, Permit};
pub use explain::{Cited, Erred, Explanation};
pub use fault::{Fault, Severity};
pub use source::Source;
pub use vocabulary::{AttributeType, BackendTerms, IssuerTerms, Vocabulary};

#[cfg(test)]
mod tests;
