//! Outgoing requests: the only way from a plugin to the network, and the way the gateway itself
//! fetches key sets.
//!
//! One request walks one line. Each step hands on a value that only it can make:
//!
//! ```text
//! URI → Destination → admit (a Grant covers it) → inject (credentials) → resolve → check every
//! address → dial the checked one → TLS on the URI's name → capped answer
//! ```
//!
//! INVARIANT: everything is refused unless a [`Grant`] covers the final URI, in the one unambiguous
//! form that [`Destination`] accepts; no address is dialled that was not classified by [`address`];
//! cloud metadata is never dialled; nothing follows a redirect or reads a proxy from the
//! environment. Tests use grants with loopback `addresses` like any operator would: there is no
//! other door.
//!
//! INVARIANT: a connection belongs to one grant of one scope ([`EgressClient`]), so that what one
//! backend may reach (or authenticates as, by client certificate) never serves another.
//!
//! It does not judge what a plugin says to a host it may talk to, and it does not hide secrets that
//! an upstream echoes in a body: only response headers are redacted.

use std::future::Future;
use std::pin::Pin;

pub mod address;
mod allowance;
mod body;
mod client;
mod connect;
mod destination;
mod error;
mod grant;
mod hooks;
mod inject;
mod meter;
mod resolver;
mod sigv4;
mod tls;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use body::Inbound;
pub(crate) use connect::{addresses, dial, server_name, tls_error};
pub(crate) use error::find_source;
pub(crate) use tls::client_config;

pub use client::{ClientLimits, EgressClient, FetchLimits, Network};
pub use destination::{Destination, Host, Scheme, UriError};
pub use error::{Cause, EgressError, MissingGrant};
pub use grant::{Grant, GrantError, HostPattern, Intersection, Methods, Reach, intersect};
pub use hooks::{Attempt, EgressObserver, Outgoing, Terms};
pub use inject::{
    Credential, CredentialSource, FixedCredential, Form, InCallersName, Injection, Injections,
    SourceError,
};
pub use meter::{CallLimits, Record};
pub use resolver::{Resolver, SystemResolver};
pub use tls::{ClientIdentity, Trust};

/// A boxed future, for the traits of this module that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
