//! What tests and benches share: a whole gateway on loopback, an issuer whose tokens can be
//! anything, and the real parts that a run was given.
//!
//! Nothing here replaces a part of the gateway. It is started the way the binary starts it, over
//! real listeners, real files and real components; only the clock can be another.

pub mod harness;
