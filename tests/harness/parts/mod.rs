//! Real parts, each a process of its own on loopback that ends with its test.
//!
//! A part that was not fetched fails its tests and says how to get it: a test that skips itself
//! proves nothing.

pub mod bao;
pub mod process;
pub mod web;
