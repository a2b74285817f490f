//! Kubernetes: secrets of granted namespaces, read one by one.
//!
//! The service account's token and the cluster's authority are the host's (`credentials`, `ca`). Names
//! are listed only where the operator says so: who may list secrets in Kubernetes may read them all.

mod config;
mod place;
mod request;
mod secret;

use symbolon_plugin::{Call, Error, Listing, Plugin, Report, Secret, Secrets, Selector};

use config::Config;
use place::Place;

struct Kubernetes;

impl Plugin for Kubernetes {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        Ok(Report::sound())
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let version = secret::version(&request::version(&call.config)?.send()?)?;
        Ok(Report::sound().version(version))
    }
}

impl Secrets for Kubernetes {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let place = Place::of(&selector.path, &call.config)?;
        let answer = request::read(&call.config, place)?.send()?;
        secret::opened(&answer, &selector.path, place, selector.version.as_deref())
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let config = &call.config;
        if !config.list {
            return Err(Error::unsupported("list_not_allowed", "`list` is not set"));
        }
        match place::folder(folder.as_deref(), config)? {
            Some(namespace) => {
                secret::listing(&request::list(config, namespace, next.as_deref())?.send()?)
            }
            None => {
                let names = config.namespaces.iter().map(|name| format!("{name}/")).collect();
                Ok(Listing::page(names, next.as_deref()))
            }
        }
    }
}

symbolon_plugin::export!(Kubernetes: secrets);

#[cfg(test)]
mod tests;
