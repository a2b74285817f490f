//! Real parts, each a process of its own on loopback that ends with its test.
//!
//! A part that was not fetched fails its tests and says how to get it: a test that skips itself
//! proves nothing.

mod aws;
mod bao;
mod endpoint;
mod front;
mod process;
mod provider;
mod web;

pub(super) use aws::{ACCOUNT, Ministack, Moto, REGION};
pub(super) use bao::{AUDIENCE, Bao};
pub(super) use endpoint::{Endpoint, Reply};
pub(super) use process::{free_port, part};
pub(super) use provider::Provider;
pub(super) use symbolon_tests::harness::postgres::{self, Postgres};
pub(super) use web::{Identity, Web};
