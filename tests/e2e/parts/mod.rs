//! Real parts, each a process of its own on loopback that ends with its test: those that benches want
//! too are in the harness.

mod aws;
mod endpoint;
mod front;
mod provider;

pub(super) use aws::{ACCOUNT, Ministack, Moto, REGION};
pub(super) use endpoint::{Endpoint, Reply};
pub(super) use provider::Provider;
pub(super) use symbolon_tests::harness::parts::bao::{AUDIENCE, Bao};
pub(super) use symbolon_tests::harness::parts::process::{free_port, part};
use symbolon_tests::harness::parts::{process, web};
pub(super) use symbolon_tests::harness::postgres::{self, Postgres};
pub(super) use web::{Identity, Web};
