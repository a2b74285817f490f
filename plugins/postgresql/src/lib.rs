//! PostgreSQL: a user of its own for every lease, and rotation of the login that makes them.
//!
//! The host holds the connections and the login, makes the password, and quotes; this plugin knows
//! the statements. No password and no verifier passes through it.
//!
//! INVARIANT: users are found again by a name that comes from role and reservation alone.

mod config;
mod probe;
mod statements;
mod users;

use symbolon_plugin::sql::{Host, Sql};
use symbolon_plugin::{
    Call, Credentials, Error, IssueRequest, Issued, Materials, Plugin, Reference, Report, Rotate,
    Seconds, State, Timestamp, clock, role,
};

use config::{Config, Role};
use users::Users;

struct Postgresql;

fn users(config: &Config) -> Users<'_, Host> {
    Users { sql: &Host, mark: &config.mark, now: clock::now() }
}

fn sound(name: &str, text: &str) -> Result<Role, Error> {
    let role: Role = role::parse(name, text)?;
    role.sound(name)?;
    Ok(role)
}

impl Plugin for Postgresql {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        for (name, role) in role::all::<Role>()? {
            role.sound(&name)?;
        }
        Ok(Report::sound())
    }

    fn probe(_: &Call<Config>) -> Result<Report, Error> {
        probe::probe(&Host, &role::all()?)
    }
}

impl Credentials for Postgresql {
    fn issue(call: &Call<Config>, request: IssueRequest) -> Result<Issued, Error> {
        let role = sound(&request.role, &request.role_config)?;
        users(&call.config).issue(&request, &role)
    }

    /// A role that the operator removed says nothing of renewal, and what it issued ends when it ends.
    fn renew(call: &Call<Config>, reference: Reference, ttl: Seconds) -> Result<Timestamp, Error> {
        let role: Role = role::parse(&reference.role, &reference.role_config)?;
        users(&call.config).renew(&reference, &role, ttl)
    }

    fn revoke(call: &Call<Config>, reference: Reference) -> Result<(), Error> {
        users(&call.config).revoke(&reference)
    }

    fn verify(call: &Call<Config>, reference: Reference) -> Result<State, Error> {
        users(&call.config).verify(&reference)
    }

    fn list_issued(
        call: &Call<Config>,
        next: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        users(&call.config).list(next.as_deref())
    }
}

impl Rotate for Postgresql {
    fn rotate(_: &Call<Config>, _: Materials) -> Result<(), Error> {
        Host.execute(None, statements::rotation()).map(drop)
    }
}

symbolon_plugin::export!(Postgresql: credentials, rotate);

#[cfg(test)]
mod tests;
