//! The line over its real listener, with the `static` component behind it.

mod aliases;
mod barred;
mod bounds;
mod commands;
mod components;
mod exchanges;
pub(crate) mod leases;
mod leaving;
mod operating;
mod pages;
mod reads;
mod sharing;
mod sidecar;
mod telemetry;
mod tidying;
pub(crate) mod tokens;
mod trust;
