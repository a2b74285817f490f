//! The gateway between real parts: a token issuer that is not ours, a secret store that is not ours.

mod aws;
mod azure;
mod behalf;
mod callers;
mod clients;
mod documents;
mod github;
mod google;
pub(crate) mod hot_swap;
mod jwks;
mod key_ways;
mod kubernetes;
mod leases;
mod namespaces;
mod openbao;
pub(crate) mod parts;
mod postgres;
mod probes;
mod real_issuers;
mod reconcile;
mod root_login;
mod rotation;
mod sdks;
mod sharing;
mod signed;
mod story;
mod vault_leases;
