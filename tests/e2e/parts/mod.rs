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
mod scene;
mod server;
mod sts;

pub(super) use assertion::Doubt;
pub(super) use aws::{ACCOUNT, Keys, Ministack, Moto, REGION};
pub(super) use endpoint::Endpoint;
pub(super) use entra::Entra;
pub(super) use google::Google;
pub(super) use kmock::Kmock;
pub(super) use provider::Provider;
pub(super) use python::python;
pub(super) use scene::{Cloud, Scene};
pub(super) use server::{Reply, Server};
pub(super) use sts::Sts;
pub(super) use symbolon_tests::harness::parts::bao::{AUDIENCE, Bao};
use symbolon_tests::harness::parts::process::until;
pub(super) use symbolon_tests::harness::parts::process::{free_port, part};
use symbolon_tests::harness::parts::{process, web};
pub(super) use symbolon_tests::harness::postgres::{self, Postgres};
pub(super) use web::{Identity, Web};

/// Waits until a file is there that another process writes as a whole.
pub(super) async fn until_there(file: &std::path::Path) {
    until(file, None, async || file.exists().then_some(())).await;
}
