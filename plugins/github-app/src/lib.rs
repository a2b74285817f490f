//! GitHub Apps: tokens of one installation, narrowed to named repositories and permissions.
//!
//! GitHub takes no assertion of ours: the app proves itself by a token under its own key, which the
//! host signs and adds (`credentials = { jwt = … }`). The key is the crown jewel of the app, and no
//! plugin sees it.

mod config;
mod token;
mod wanted;

use symbolon_plugin::{Call, Error, Exchange, ExchangeRequest, Plugin, Report, Token, clock};

use config::Config;
use wanted::Wanted;

struct GithubApp;

impl Plugin for GithubApp {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        Ok(Report::sound())
    }
}

impl Exchange for GithubApp {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        let wanted = Wanted::of(&call.config, &request.scopes)?;
        let answer = token::request(&call.config, &wanted)?.send()?;
        token::token(&answer, &wanted, (request.ttl, clock::now()))
    }
}

symbolon_plugin::export!(GithubApp: exchange);

#[cfg(test)]
mod tests;
