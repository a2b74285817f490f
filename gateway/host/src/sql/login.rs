//! As whom the host logs in.
//!
//! The configured login is where it begins; one that was rotated takes its place, and while a
//! rotation is not settled there are two of which one works. The pool tries them in order and says
//! which it was.

use std::fmt;

use symbolon_core::secret::Secret;

/// A login: a user and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Which login this is: another number after every change. Connections of another are not used
    /// again.
    pub generation: u64,
}

/// Where the login of a database comes from.
pub trait LoginSource: Send + Sync + fmt::Debug {
    /// The logins to try, the likeliest first; never none. Must not block.
    fn candidates(&self) -> Vec<Login>;

    /// The server took the login of this generation. Must not block.
    fn proven(&self, generation: u64) {
        let _ = generation;
    }
}

/// A login that never changes.
#[derive(Clone, Debug)]
pub struct FixedLogin(Login);

impl FixedLogin {
    /// The login of `user`.
    #[must_use]
    pub const fn new(user: String, password: Secret) -> Self {
        Self(Login { user, password, generation: 0 })
    }
}

impl LoginSource for FixedLogin {
    fn candidates(&self) -> Vec<Login> {
        vec![self.0.clone()]
    }
}
