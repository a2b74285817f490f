//! A gateway, an issuer, and what they need.

mod gateway;
mod issuer;

pub use gateway::{Answer, Gateway, Setup, plugins};
pub use issuer::Issuer;
