//! A gateway, in this process or in one of its own, an issuer, a database, a secret store, and what
//! they need.

pub mod component;
mod gateway;
mod issuer;
pub mod parts;
pub mod platforms;
pub mod postgres;
pub mod process;
mod reading;
mod upstream;

pub use gateway::{
    Answer, Gateway, ORIGIN, Setup, certificate_client, client, lay_out, plugins, private,
};
pub use issuer::Issuer;
pub use process::binary;
pub use upstream::{Asked, Upstream};
