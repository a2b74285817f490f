//! Leases: how fast they are made and ended, what a restart with many costs, and whether a storm at one
//! backend is felt at the others.

mod database;
pub(crate) mod growth;
pub(crate) mod issue;
pub(crate) mod openbao;
pub(crate) mod restart;
pub(crate) mod revoke;
mod seed;
pub(crate) mod storm;
