//! Secrets from the configuration itself: for development, demonstrations and tests.
//!
//! It asks nobody and imports no WASI. A value is text, or an object with `text`, `base64` or
//! `fields`; several versions of one secret are a list, oldest first.
//!
//! Not for production: what stands in a configuration is at rest in a file.

mod config;

use symbolon_plugin::{Call, Error, Listing, Plugin, Report, Secret, Secrets, Selector, folder};

use config::Config;

struct Static;

impl Plugin for Static {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        for (path, versions) in &config.secrets {
            for value in versions.oldest_first() {
                value.secret(path)?;
            }
        }
        Ok(Report::sound().remark(config.size()))
    }
}

impl Secrets for Static {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let versions = call.config.secrets.get(&selector.path).ok_or_else(absent)?;
        let value = versions.find(selector.version.as_deref()).ok_or_else(absent)?;
        value.secret(&selector.path)
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let beginning = folder::beginning("", folder.as_deref());
        let direct = |path: &String| folder::direct(path, &beginning);
        let names = call.config.secrets.keys().filter_map(direct).collect();
        Ok(Listing::page(names, next.as_deref()))
    }
}

fn absent() -> Error {
    Error::absent().sent(false)
}

symbolon_plugin::export!(Static: secrets);

#[cfg(test)]
mod tests;
