//! The issuer of `../issuer`, of the recovery class `expires`.

#[path = "../../issuer/src/behaviour.rs"]
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
