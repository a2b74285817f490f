//! A gateway, an issuer, and what they need.

mod gateway;
mod issuer;

pub use gateway::{Answer, Gateway, ORIGIN, Setup, client, lay_out, plugins, private};
pub use issuer::Issuer;
