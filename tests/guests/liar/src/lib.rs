//! A component that keeps the contract but for one rule, by its configuration: each lie is found by
//! the check that is named for it, or the conformance kit has a check that cannot fail.

mod config;
mod credentials;
mod impatient;
mod upstream;

use serde::Deserialize;
use serde_json::json;
use symbolon_plugin::http::encode;
use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets, Selector,
    Token, clock, http,
};

use config::Config;

struct Liar;

/// A value, as the upstream gives it.
#[derive(Deserialize)]
struct Stored {
    value: String,
    version: u64,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_in: u64,
}

impl Plugin for Liar {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.sound()?;
        symbolon_plugin::role::all::<credentials::Role>()?;
        Ok(Report { remarks: Vec::new(), metadata: Vec::new() })
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let config = &call.config;
        let answer = upstream::send(config, http::get(config.url("/health")))?;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        let remarks = if config.lies("leaks-remark") { vec![said] } else { Vec::new() };
        Ok(Report { remarks, metadata: Vec::new() })
    }
}

impl Secrets for Liar {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let config = &call.config;
        if selector.path == "impossible" {
            let impossible = Error::invalid_request("impossible", "there is no such path");
            return Err(impossible.sent(config.lies("claims")));
        }
        let url = config.url(&format!("/secrets/{}", encode(&selector.path)));
        let url = if config.lies("other-request") { format!("{url}?more=1") } else { url };
        let stored: Stored = if config.lies("impatient") {
            impatient::get(&url, false)?.json()?
        } else if config.lies("half") {
            let answer = impatient::get(&url, true)?;
            let half = String::from_utf8_lossy(&answer.body).into_owned();
            let content = |error| if half.len() < 1000 { Ok(half.clone()) } else { Err(error) };
            match answer.json() {
                Ok(whole) => whole,
                Err(error) => Stored { value: content(error)?, version: 1 },
            }
        } else {
            upstream::parsed(config, &upstream::send(config, http::get(url))?)?
        };
        Ok(told(config, &selector.path, stored))
    }

    fn list(
        call: &Call<Config>,
        _: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let config = &call.config;
        let query = next.map(|next| format!("?next={}", encode(&next))).unwrap_or_default();
        let answer = upstream::send(config, http::get(config.url(&format!("/names{query}"))))?;
        let Names { mut names, next } = upstream::parsed(config, &answer)?;
        if config.lies("overlaps") && !query.is_empty() {
            names.push("first".to_owned());
        }
        Ok(Listing { names, next })
    }
}

/// The secret, or what becomes of it.
fn told(config: &Config, path: &str, stored: Stored) -> Secret {
    let Stored { mut value, version } = stored;
    if config.lies("cuts") {
        value.truncate(1000);
    }
    let path = if config.lies("wrong-path") { "another" } else { path };
    let secret = Secret::text(path, &value).version(Some(version.to_string()));
    if config.lies("changes") {
        let random = wasip2::random::random::get_random_u64();
        return secret.version(Some(random.to_string()));
    }
    if config.lies("leaks-metadata") { secret.described("value", &value) } else { secret }
}

impl Exchange for Liar {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        let config = &call.config;
        let body = json!({ "assertion": request.assertion, "ttl": request.ttl });
        let sent = upstream::send(config, http::post(config.url("/token")).json(&body));
        let answer = sent.map_err(|mut error| {
            if config.lies("leaks-assertion") {
                error.message = format!("{} was refused", request.assertion);
            }
            let denies = config.lies("denies");
            let sent = error.request_sent && !denies;
            error.sent(sent)
        })?;
        let granted: Granted = upstream::parsed(config, &answer)?;
        let lasts = match config.lies("lasts-longer") {
            true => granted.expires_in,
            false => granted.expires_in.min(request.ttl),
        };
        let mut token = Token::bearer(granted.token.clone(), clock::now() + lasts);
        if config.lies("leaks-handle") {
            token.handle = granted.token.into_bytes();
        }
        Ok(token)
    }
}

symbolon_plugin::export!(Liar: secrets, exchange, credentials);
