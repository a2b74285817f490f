//! Databases: what a plugin says to one, and everything that it must not have for that.
//!
//! The host owns address, TLS, connections and the admin login; it makes the names and passwords of
//! issued users. A plugin hands over statements in pieces and gets rows back.
//!
//! ```text
//! fragments → statement (quoted, one, no transaction control) → a connection that is empty and
//! alive → extended protocol, within the deadline → rows, capped and converted
//! ```
//!
//! INVARIANT: a value becomes an identifier, a literal or a bind parameter and nothing else
//! (`statement`); neither a password nor its verifier is ever in a guest's memory (`material`);
//! whether something may have been done is never guessed too low (`run`).
//!
//! What it does not judge: what a statement does with the rights of the login. That is the
//! operator's grant, which is why the login should not be a superuser's.

mod connect;
mod error;
mod guest;
mod issued;
mod lexer;
mod login;
mod material;
mod pool;
mod run;
mod statement;
mod value;

#[cfg(test)]
mod tests;

pub use connect::{ServerSettings, Transport};
pub use error::{ServerError, SqlError};
pub(crate) use guest::Tap;
pub use issued::{IssuedLogins, Trial};
pub use login::{FixedLogin, Login, LoginSource};
pub use material::{MARK, NoRandomness, password, username, verifier};
pub use pool::{Pool, PoolLimits};
pub use statement::StatementFault;
pub(crate) use statement::VERIFIER;
