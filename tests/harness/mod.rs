//! A gateway, an issuer, a database, and what they need.

mod gateway;
mod issuer;
pub mod postgres;

pub use gateway::{Answer, Gateway, ORIGIN, Setup, client, lay_out, plugins, private};
pub use issuer::Issuer;
