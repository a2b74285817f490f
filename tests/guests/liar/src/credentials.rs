//! Logins, known by their reservation.

use serde::Deserialize;
use serde_json::json;
use symbolon_plugin::sql::{Host, Sql as _};
use symbolon_plugin::{
    Call, Credentials, Error, ErrorKind, IssueRequest, Issued, Reference, Seconds, State,
    Timestamp, clock, http, role, sql,
};

use crate::config::Config;
use crate::{Liar, upstream};

/// There is nothing to say of a role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {}

#[derive(Deserialize)]
struct Made {
    password: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Extended {
    expires_in: u64,
}

fn url(config: &Config, reservation: &str) -> String {
    config.url(&format!("/logins/{reservation}"))
}

impl Credentials for Liar {
    fn issue(call: &Call<Config>, request: IssueRequest) -> Result<Issued, Error> {
        let config = &call.config;
        role::parse::<Role>(&request.role, &request.role_config)?;
        if config.lies("sql") {
            let failed = Host.query(None, sql!("SELECT 1")).err().unwrap_or_else(Error::absent);
            return Err(Error { kind: ErrorKind::Internal, ..failed });
        }
        let body = json!({ "ttl": request.ttl });
        let put = http::request("PUT", url(config, &request.reservation)).json(&body);
        let made: Made = upstream::parsed(config, &upstream::send(config, put)?)?;
        Ok(Issued {
            fields: vec![("password".to_owned(), made.password.into_bytes())],
            handle: request.reservation.clone().into_bytes(),
            reservation: request.reservation,
            expires_at: clock::now() + made.expires_in.min(request.ttl),
            renewable: true,
            revocable: true,
            metadata: Vec::new(),
        })
    }

    fn renew(call: &Call<Config>, of: Reference, ttl: Seconds) -> Result<Timestamp, Error> {
        let config = &call.config;
        let post = http::post(url(config, &of.reservation)).json(&json!({ "ttl": ttl }));
        let extended: Extended = upstream::parsed(config, &upstream::send(config, post)?)?;
        Ok(clock::now() + extended.expires_in.min(ttl))
    }

    fn revoke(call: &Call<Config>, of: Reference) -> Result<(), Error> {
        let config = &call.config;
        if config.lies("needs-handle") && of.handle.is_empty() {
            return Err(Error::unsupported("no_handle", "without a handle it is not found"));
        }
        let delete = http::request("DELETE", url(config, &of.reservation));
        match upstream::send(config, delete) {
            Err(gone) if gone.upstream_status == Some(404) => {
                let insists = config.lies("insists") && !of.handle.is_empty();
                if insists { Err(gone) } else { Ok(()) }
            }
            outcome => outcome.map(drop),
        }
    }

    fn verify(call: &Call<Config>, of: Reference) -> Result<State, Error> {
        let config = &call.config;
        match upstream::send(config, http::get(url(config, &of.reservation))) {
            Err(gone) if gone.upstream_status == Some(404) => Ok(State::Gone),
            outcome => outcome.map(|_| State::Usable),
        }
    }
}
