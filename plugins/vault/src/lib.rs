//! HashiCorp Vault and OpenBao: login by JWT, the secrets of a KV version 2 engine, and credentials
//! of dynamic engines.
//!
//! `exchange` shows the gateway's assertion to the JWT auth method and answers the token, which the
//! host keeps and adds to every later request; `secrets` and `credentials` never see it.
//!
//! INVARIANT: words of the server (`errors`, `warnings`) are read nowhere, since they may quote what
//! was asked or stored.

mod certificate;
mod config;
mod creds;
mod kv;
mod login;
mod refusal;
mod request;
mod role;

use symbolon_plugin::{
    Call, Credentials, Error, Exchange, ExchangeRequest, IssueRequest, Issued, Listing, Plugin,
    Reference, Report, Seconds, Secret, Secrets, Selector, State, Timestamp, Token, clock,
};

use config::Config;
use creds::Asked;
use role::{Handle, Role};

struct Vault;

impl Plugin for Vault {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        for (name, role) in symbolon_plugin::role::all::<Role>()? {
            role.sound(&name)?;
        }
        Ok(Report::sound())
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let version = refusal::health(request::health(&call.config)?.send()?)?;
        Ok(Report::sound().version(version))
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

impl Credentials for Vault {
    fn issue(call: &Call<Config>, request: IssueRequest) -> Result<Issued, Error> {
        let (config, role) = (&call.config, Role::of(&request)?);
        let now = clock::now();
        let token = request::own_token(config)?.send().map_err(|error| error.sent(false))?;
        let token_ends_at = creds::token_ends(&token, now)?;
        let (reservation, ttl) = (request.reservation.as_str(), request.ttl);
        let asked = Asked { reservation, ttl, now, token_ends_at };
        match role {
            Role::Database(role) => creds::issue(config, &role, &asked),
            Role::Pki(role) => {
                let answer = request::sign(config, &role, ttl)?.send()?;
                certificate::issued(&answer, &role, &asked)
            }
        }
    }

    fn renew(call: &Call<Config>, reference: Reference, ttl: Seconds) -> Result<Timestamp, Error> {
        match Handle::of(&reference)? {
            Handle::Lease { id, token_ends_at } => {
                let now = clock::now();
                let answer = request::renew_lease(&call.config, &id, ttl)?.send()?;
                creds::renewed(&answer, now, ttl, token_ends_at)
            }
            Handle::Certificate { .. } => {
                Err(Error::unsupported("renew_unsupported", "a certificate has a fixed end"))
            }
        }
    }

    fn revoke(call: &Call<Config>, reference: Reference) -> Result<(), Error> {
        let config = &call.config;
        match Handle::of(&reference)? {
            Handle::Lease { id, .. } => {
                creds::revoked(&request::revoke_lease(config, &id)?.send()?)
            }
            Handle::Certificate { ends_at, .. } if ends_at <= clock::now() => Ok(()),
            Handle::Certificate { mount, serial, certificate, .. } => {
                let certificate = certificate.as_deref();
                let revoke = request::revoke_certificate(config, &mount, &serial, certificate)?;
                certificate::revoked(&revoke.send()?)
            }
        }
    }

    fn verify(call: &Call<Config>, reference: Reference) -> Result<State, Error> {
        match Handle::of(&reference)? {
            Handle::Lease { id, .. } => {
                creds::state(&request::find_lease(&call.config, &id)?.send()?)
            }
            Handle::Certificate { mount, serial, ends_at, .. } => {
                let find = request::find_certificate(&call.config, &mount, &serial)?;
                certificate::state(&find.send()?, ends_at, clock::now())
            }
        }
    }
}

symbolon_plugin::export!(Vault: exchange, secrets, credentials);

#[cfg(test)]
mod tests;
