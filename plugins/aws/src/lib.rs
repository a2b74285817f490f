//! AWS: sessions of roles from the token service, and the secrets of Secrets Manager and SSM
//! Parameter Store.
//!
//! One component, three services; the configuration says which. As a target it exchanges the
//! gateway's assertion for keys (`AssumeRoleWithWebIdentity`), or the session of another target for
//! that of a further role (`AssumeRole`). As a backend it reads. Requests are signed by the host,
//! with the keys that a target gave: nothing here holds a key but `exchange`, which sees those that
//! it obtains.
//!
//! INVARIANT: of an answer that refuses the code is read, and once how the message begins; no word of
//! it goes anywhere: words of AWS may quote what was asked.

mod arn;
mod assumed;
mod config;
mod parameters;
mod policy;
mod refusal;
mod region;
mod secrets_manager;
mod sts;
mod value;
mod wire;

use symbolon_plugin::{
    Call, Error, ErrorKind, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets,
    Selector, Token, clock,
};

use assumed::Asked;
use config::{Config, Sts};
use sts::Wanted;

struct Aws;

impl Plugin for Aws {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        if !symbolon_plugin::role::all::<serde::de::IgnoredAny>()?.is_empty() {
            return Err(Error::invalid_config("no_roles", "this plugin issues nothing by roles"));
        }
        Ok(Report::sound())
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let asked = match &call.config {
            Config::Sts(_) => {
                let remark = "only an exchange shows whether the role is given";
                return Ok(Report::sound().remark(remark));
            }
            Config::SecretsManager(secrets) => secrets_manager::probe(secrets),
            Config::Ssm(parameters) => parameters::probe(parameters),
        };
        match asked {
            Ok(()) => Ok(Report::sound()),
            // The signature was taken, or there would be no question of permission.
            Err(error) if error.kind == ErrorKind::PermissionDenied => Ok(Report::sound()
                .remark("the keys are taken; listing, or this name, is not permitted")),
            Err(error) => Err(error),
        }
    }
}

impl Exchange for Aws {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        let Config::Sts(sts) = &call.config else {
            return Err(Error::unsupported("not_sts", "only the service `sts` exchanges"));
        };
        if !request.scopes.is_empty() {
            return Err(Error::invalid_request(
                "scopes_unsupported",
                "AWS has session policies, no scopes",
            ));
        }
        session(sts, &call.context.request_id, &request)
    }
}

fn session(sts: &Sts, request_id: &str, request: &ExchangeRequest) -> Result<Token, Error> {
    let now = clock::now();
    let wanted = Wanted::new(sts, request_id, request.ttl, now)?;
    let (action, ask) = match &sts.chain {
        None => {
            ("AssumeRoleWithWebIdentity", sts::with_assertion(sts, &wanted, &request.assertion)?)
        }
        Some(chain) => ("AssumeRole", sts::chained(sts, chain, &wanted, &request.attributes)?),
    };
    let session = sts.role()?.session(&wanted.name);
    assumed::token(&ask.send()?, &Asked { action, session, wanted: &wanted, now })
}

impl Secrets for Aws {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        match &call.config {
            Config::Sts(_) => Err(no_secrets()),
            Config::SecretsManager(secrets) => secrets_manager::read(secrets, &selector),
            Config::Ssm(parameters) => parameters::read(parameters, &selector),
        }
    }

    fn read_many(
        call: &Call<Config>,
        selectors: Vec<Selector>,
    ) -> Result<Vec<Result<Secret, Error>>, Error> {
        match &call.config {
            Config::Sts(_) => Err(no_secrets()),
            Config::SecretsManager(secrets) => secrets_manager::read_many(secrets, &selectors),
            Config::Ssm(parameters) => parameters::read_many(parameters, &selectors),
        }
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        match &call.config {
            Config::Sts(_) => Err(no_secrets()),
            Config::SecretsManager(secrets) => {
                secrets_manager::list(secrets, folder.as_deref(), next)
            }
            Config::Ssm(parameters) => parameters::list(parameters, folder.as_deref(), next),
        }
    }
}

fn no_secrets() -> Error {
    Error::unsupported("no_secrets", "the service `sts` holds no secrets")
}

symbolon_plugin::export!(Aws: exchange, secrets);

#[cfg(test)]
mod tests;
