//! Microsoft Azure: workload identity federation with Entra, and the secrets and certificates of a
//! Key Vault.
//!
//! `exchange` shows the gateway's assertion to Entra in place of a client secret; `secrets` reads with
//! whatever token the host adds. A certificate's private key is the secret of the same name; where the
//! vault keeps it as PKCS#12, the vault itself is asked to take it apart.
//!
//! What is disabled can be enabled again: it is `deleted` in the contract's words, as is what was
//! deleted and can be recovered.

mod config;
mod login;
mod refusal;
mod request;
mod secret;

use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets, Selector,
    Token, clock,
};

use config::{Certificates, Config};
use secret::{Name, Opened};

struct Azure;

impl Plugin for Azure {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        Ok(Report::sound())
    }

    /// A listing, which the gateway need not be allowed: what matters is who it is taken for.
    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        if call.config.vault.is_none() {
            return Self::validate(&call.config);
        }
        let answer = request::list(&call.config, None)?.send()?;
        let forbidden = "the identity may not list secrets, or the firewall is closed";
        Report::of_listing(&answer, forbidden).ok_or_else(|| refusal::of(&answer, &call.config))
    }
}

impl Exchange for Azure {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        login::check_scopes(&call.config, &request.scopes)?;
        let answer = login::request(&call.config, &request.assertion)?.send()?;
        login::token(&answer, request.ttl, clock::now())
    }
}

impl Secrets for Azure {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let config = &call.config;
        let asked = Name::of(&selector.path, selector.version.as_deref())?;
        let answer = request::read(config, asked.name, asked.version)?.send()?;
        if answer.status == 404 && config.tell_deleted {
            let deleted = request::deleted(config, asked.name)?.send()?;
            if secret::is_deleted(&deleted) {
                return Err(Error::deleted().answered(&answer));
            }
        }
        match secret::opened(&answer, asked, config, clock::now())? {
            Opened::Whole(secret) => Ok(*secret),
            Opened::Packed(secret, _) if config.certificates == Some(Certificates::Pkcs12) => {
                Ok(*secret)
            }
            Opened::Packed(_, version) => {
                let asked = Name { version: Some(&version), ..asked };
                let answer = request::convert(config, asked.name, &version)?.send()?;
                secret::converted(secret::opened(&answer, asked, config, clock::now())?)
            }
        }
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        if folder.is_some() {
            return Ok(Listing::empty());
        }
        secret::listing(&request::list(&call.config, next.as_deref())?.send()?, &call.config)
    }
}

symbolon_plugin::export!(Azure: exchange, secrets);

#[cfg(test)]
mod tests;
