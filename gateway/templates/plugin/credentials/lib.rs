//! Logins of a JSON API: made for a lease, ended with it.
//!
//! A login is named after the reservation, which the host has written down before it asks for one:
//! whatever crashes in between, the login can be found and ended (`recovery = named`). Making one is a
//! `PUT` to its name, so that asking twice does not make two.

mod config;

use serde::{Deserialize, Serialize};
use symbolon_plugin::http::{self, Response};
use symbolon_plugin::{
    Call, Credentials, Error, ErrorKind, IssueRequest, Issued, Plugin, Reference, Report, State,
    Timestamp, clock, role,
};

use config::{Config, Role};

struct Backend;

impl Plugin for Backend {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.logins()?;
        role::all::<Role>().map(|_| Report::sound())
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let answer = http::get(call.config.logins()?).send()?;
        Report::of_listing(&answer, "may not list").ok_or_else(|| Error::of(&answer))
    }
}

#[derive(Serialize)]
struct Wanted<'a> {
    group: &'a str,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

impl Credentials for Backend {
    fn issue(call: &Call<Config>, asked: IssueRequest) -> Result<Issued, Error> {
        let role: Role = role::parse(&asked.role, &asked.role_config)?;
        let expires_at = clock::now().saturating_add(asked.ttl);
        let wanted = Wanted {
            group: &role.group,
            expires_at,
        };
        let url = call.config.login(&asked.reservation)?;
        let answer = http::request("PUT", url).json(&wanted).send()?;
        issued(&answer, asked, expires_at)
    }

    fn revoke(call: &Call<Config>, reference: Reference) -> Result<(), Error> {
        let url = call.config.login(&reference.reservation)?;
        ended(http::request("DELETE", url).send()?)
    }

    fn verify(call: &Call<Config>, reference: Reference) -> Result<State, Error> {
        state(&http::get(call.config.login(&reference.reservation)?).send()?)
    }
}

fn issued(answer: &Response, asked: IssueRequest, expires_at: Timestamp) -> Result<Issued, Error> {
    if !matches!(answer.status, 200 | 201) {
        return Err(refusal(answer));
    }
    let login: Login = answer.json()?;
    Ok(Issued {
        reservation: asked.reservation,
        fields: vec![
            ("username".to_owned(), login.user.into_bytes()),
            ("password".to_owned(), login.password.into_bytes()),
        ],
        expires_at,
        renewable: false,
        revocable: true,
        // The name says it all; a handle is for what cannot be derived.
        handle: Vec::new(),
        metadata: Vec::new(),
    })
}

/// One that is not there is ended.
fn ended(answer: Response) -> Result<(), Error> {
    match answer.status {
        404 | 410 => Ok(()),
        _ => answer.success().map(drop),
    }
}

fn state(answer: &Response) -> Result<State, Error> {
    match answer.status {
        200 => Ok(State::Usable),
        404 | 410 => Ok(State::Gone),
        _ => Err(Error::of(answer)),
    }
}

/// A group that is not there is a mistake of the operator, not a secret that is not there.
fn refusal(answer: &Response) -> Error {
    let error = Error::of(answer);
    if error.kind == ErrorKind::NotFound {
        return Error::invalid_config("no_group", "the server has no such group").answered(answer);
    }
    error
}

symbolon_plugin::export!(Backend: credentials);

#[cfg(test)]
mod tests;
