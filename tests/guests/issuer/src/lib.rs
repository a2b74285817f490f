//! A component that issues credentials of nothing, as it is told to: for tests of leases and for
//! benches, which want an issuer that answers at once.
//!
//! The class of recovery is a part of the manifest, so that there are three of these components, one
//! a class, from the same source.

mod behaviour;

use behaviour::Config;

struct Issuer;

impl symbolon_plugin::Plugin for Issuer {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<symbolon_plugin::Report, symbolon_plugin::Error> {
        behaviour::validate(config)
    }
}

behaviour::credentials!(Issuer);

symbolon_plugin::export!(Issuer: credentials);
