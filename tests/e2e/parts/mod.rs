//! Real parts, each a process of its own on loopback that ends with its test: those that benches want
//! too are in the harness.

mod assertion;
mod aws;
mod endpoint;
pub(super) mod entra;
mod front;
pub(super) mod google;
mod kmock;
mod provider;
mod python;
mod server;
mod sts;

pub(super) use assertion::{Doubt, Expected, assertion};
pub(super) use aws::{ACCOUNT, Ministack, Moto, REGION};
pub(super) use endpoint::Endpoint;
pub(super) use entra::Entra;
pub(super) use google::Google;
pub(super) use kmock::Kmock;
pub(super) use provider::Provider;
pub(super) use python::python;
pub(super) use server::{Reply, Server};
pub(super) use sts::Sts;
pub(super) use symbolon_tests::harness::parts::bao::{AUDIENCE, Bao};
pub(super) use symbolon_tests::harness::parts::process::{free_port, part};
use symbolon_tests::harness::parts::{process, web};
pub(super) use symbolon_tests::harness::postgres::{self, Postgres};
pub(super) use web::{Identity, Web};
