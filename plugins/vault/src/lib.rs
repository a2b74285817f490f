//! HashiCorp Vault and OpenBao: login by JWT, and the secrets of a KV version 2 engine.
//!
//! `exchange` shows the gateway's assertion to the JWT auth method and answers the token, which the
//! host keeps and adds to every later request; `secrets` never sees it.
//!
//! INVARIANT: words of the server (`errors`, `warnings`) are read nowhere, since they may quote what
//! was asked or stored.

mod config;
mod kv;
mod login;
mod refusal;
mod request;
mod time;

use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets, Selector,
    Token, clock,
};

use config::Config;

struct Vault;

impl Plugin for Vault {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        Ok(Report { remarks: Vec::new(), metadata: Vec::new() })
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let version = refusal::health(request::health(&call.config)?.send()?)?;
        Ok(Report { remarks: Vec::new(), metadata: vec![("version".to_owned(), version)] })
    }
}

impl Exchange for Vault {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        let answer = request::login(&call.config, &request.assertion)?.send()?;
        login::token(answer, request.ttl, clock::now())
    }
}

impl Secrets for Vault {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let version = kv::version(selector.version.as_deref())?;
        let answer = request::read(&call.config, &selector.path, version)?.send()?;
        kv::secret(answer, &selector.path, version)
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let answer = request::list(&call.config, folder.as_deref())?.send()?;
        kv::listing(answer, next.as_deref())
    }
}

symbolon_plugin::export!(Vault: exchange, secrets);

#[cfg(test)]
mod tests;
