//! Google Cloud: workload identity federation, and the secrets of Secret Manager.
//!
//! `exchange` shows the gateway's assertion to the Security Token Service and, where a service account
//! is configured, exchanges the federated token once more for one of that account. `secrets` reads
//! with whatever token the host adds.
//!
//! What Google calls a disabled version can be enabled again: it is `deleted` in the contract's words.

mod config;
mod refusal;
mod request;
mod secret;
mod token;

use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets, Selector,
    Token, clock,
};

use config::Config;

struct Gcp;

impl Plugin for Gcp {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        Ok(Report::sound())
    }

    /// A listing, which the gateway need not be allowed: what matters is who it is taken for.
    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        if call.config.project.is_none() {
            return Self::validate(&call.config);
        }
        let answer = request::probe(&call.config)?.send()?;
        let forbidden = "the identity may not list secrets, or there is no such project";
        Report::of_listing(&answer, forbidden).ok_or_else(|| refusal::of(&answer))
    }
}

impl Exchange for Gcp {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        let config = &call.config;
        let scopes = token::scopes(config, &request.scopes)?;
        let span = (request.ttl, clock::now());
        let answer = request::federate(config, &request.assertion, &scopes)?.send()?;
        let federated = token::federated(&answer, span)?;
        let Some(account) = &config.service_account else { return Ok(federated) };
        let bearer = token::text(&federated)?;
        match &config.id_token {
            Some(asked) => {
                let request = request::id_token(config, account, asked);
                token::identity(&request.bearer(bearer).send()?, span)
            }
            None => {
                let request = request::access_token(config, account, &scopes, request.ttl);
                token::impersonated(&request.bearer(bearer).send()?, span)
            }
        }
    }
}

impl Secrets for Gcp {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let (config, asked) = (&call.config, selector.version.as_deref());
        let (id, version) = (secret::id(&selector.path)?, secret::version(asked)?);
        let answer = request::access(config, id, version)?.send()?;
        if refusal::is_precondition(&answer) {
            let described = request::version(config, id, version)?.send()?;
            return Err(secret::closed(&answer, &described));
        }
        secret::opened(&answer, id, asked)
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        if folder.is_some() {
            return Ok(Listing::empty());
        }
        secret::listing(&request::list(&call.config, next.as_deref())?.send()?)
    }
}

symbolon_plugin::export!(Gcp: exchange, secrets);

#[cfg(test)]
mod tests;
