//! Symbolon, the federation gateway: the line of a request and everything it stands on.

pub mod admin;
pub mod app;
pub mod assess;
pub mod audit;
pub mod barriers;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod issuer;
pub mod keyring;
pub mod kill;
pub mod lease;
pub mod line;
pub mod listen;
pub mod root_login;
pub mod seal;
pub mod store;
pub mod telemetry;
pub mod time;
