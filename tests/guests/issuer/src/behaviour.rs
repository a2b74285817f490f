//! What the issuer does, by configuration: that of the backend, and over it that of the role, so that
//! one backend can have a role for every behaviour.
//!
//! Without a `server` nothing is issued anywhere and every call answers at once; `verify` then says
//! `gone`. With one, what is issued is remembered there: `PUT`, `POST`, `DELETE` and `GET` of
//! `/issued/<reservation>`, where `GET` answers 200, 410 (there, but disabled) or 404, and `GET` of
//! `/issued` answers a JSON list of reservations.
//!
//! Answers of `issue`: `ok`; `refuse`, `before` and `after` fail (without an effect, before it, after
//! it); `hang`, `trap`; `late` and `late-before` wait for `delay_ms` after and before the effect;
//! `short`, `beyond` and `past` state another end than asked; `fixed`, `final`, `both` cannot be
//! renewed, revoked, either; `stranger` names another reservation; `bulky` has a handle that is too
//! large; `reserved` has fields that the host makes; `twice` has one field twice; `empty` has none.
//! Of the others: `ok`, `refuse`, `before`, `after`, `absent`, `unsupported`, `hang`, `trap`, `late`;
//! of `renew` also `short`, `beyond`, `past`; of `verify` also `usable`, `disabled`, `gone`; of
//! `list` also `endless`, `forged`.

use serde::Deserialize;
use symbolon_plugin::{
    Call, Error, ErrorKind, IssueRequest, Issued, Reference, Report, Seconds, State, Timestamp,
    clock, http,
};
use wasip2::clocks::monotonic_clock;

const DAY_NANOS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// How the functions behave; what is not said of a role is that of its backend.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    server: Option<String>,
    issue: Option<String>,
    renew: Option<String>,
    revoke: Option<String>,
    verify: Option<String>,
    list: Option<String>,
    delay_ms: Option<u64>,
}

impl Config {
    fn of(&self, name: &str, role: &str) -> Result<Self, Error> {
        Ok(self.under(symbolon_plugin::role::parse(name, role)?))
    }

    fn under(&self, role: Self) -> Self {
        Self {
            server: role.server.or_else(|| self.server.clone()),
            issue: role.issue.or_else(|| self.issue.clone()),
            renew: role.renew.or_else(|| self.renew.clone()),
            revoke: role.revoke.or_else(|| self.revoke.clone()),
            verify: role.verify.or_else(|| self.verify.clone()),
            list: role.list.or_else(|| self.list.clone()),
            delay_ms: role.delay_ms.or(self.delay_ms),
        }
    }

    fn wait(&self) {
        monotonic_clock::subscribe_duration(self.delay_ms.unwrap_or(0) * 1_000_000).block();
    }

    /// Whether the server knows it; none knows nothing.
    fn ask(&self, method: &'static str, reservation: &str) -> Result<u16, Error> {
        let Some(server) = &self.server else { return Ok(404) };
        let url = format!("{}/issued/{reservation}", server.trim_end_matches('/'));
        let answer = http::request(method, url).send()?;
        match answer.status {
            status @ (200..=299 | 404 | 410) => Ok(status),
            _ => Err(answer.success().err().unwrap_or_else(odd)),
        }
    }
}

fn odd() -> Error {
    Error::internal("odd", "an answer that cannot be")
}

/// Every role must parse; `at-check` as its behaviour of `issue` is a role that is not usable.
pub(crate) fn validate(config: &Config) -> Result<Report, Error> {
    for (name, role) in symbolon_plugin::role::all::<Config>()? {
        if config.under(role).issue.as_deref() == Some("at-check") {
            return Err(symbolon_plugin::role::unsound(&name, "as told"));
        }
    }
    Ok(Report { remarks: Vec::new(), metadata: Vec::new() })
}

/// What happens besides the effect, by the behaviour's name.
fn around<T>(
    config: &Config,
    behaviour: Option<&str>,
    effect: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match behaviour.unwrap_or("ok") {
        "refuse" => Err(Error::permission_denied("refused", "refused, as told").sent(false)),
        "before" => Err(Error::unavailable("before", "failed before, as told").sent(false)),
        "after" => {
            effect()?;
            Err(Error::unavailable("after", "failed after, as told"))
        }
        "absent" => Err(Error { kind: ErrorKind::NotFound, ..Error::absent() }),
        "unsupported" => Err(Error::unsupported("unsupported", "unsupported, as told")),
        "hang" => {
            monotonic_clock::subscribe_duration(DAY_NANOS).block();
            effect()
        }
        "trap" => std::process::abort(),
        "late" => {
            let outcome = effect();
            config.wait();
            outcome
        }
        "late-before" => {
            config.wait();
            effect()
        }
        _ => effect(),
    }
}

/// An end other than the one asked for, by the behaviour's name.
fn end(behaviour: Option<&str>, ttl: Seconds) -> Timestamp {
    match behaviour {
        Some("short") => clock::now() + ttl / 2,
        Some("beyond") => clock::now() + ttl * 10 + 3600,
        Some("past") => clock::now().saturating_sub(1),
        Some(_) | None => clock::now() + ttl,
    }
}

fn field(name: &str, value: String) -> (String, Vec<u8>) {
    (name.to_owned(), value.into_bytes())
}

fn fields(behaviour: Option<&str>, reservation: &str) -> Vec<(String, Vec<u8>)> {
    let token = || field("token", format!("issued-{reservation}"));
    match behaviour {
        Some("reserved") => vec![field("username", "root".into()), field("password", "x".into())],
        Some("twice") => vec![token(), token()],
        Some("empty") => Vec::new(),
        Some(_) | None => vec![token()],
    }
}

pub(crate) fn issue(call: &Call<Config>, request: &IssueRequest) -> Result<Issued, Error> {
    let config = call.config.of(&request.role, &request.role_config)?;
    let behaviour = config.issue.as_deref();
    around(&config, behaviour, || {
        config.ask("PUT", &request.reservation)?;
        let stranger = behaviour == Some("stranger");
        Ok(Issued {
            reservation: if stranger { "0".repeat(26) } else { request.reservation.clone() },
            fields: fields(behaviour, &request.reservation),
            expires_at: end(behaviour, request.ttl),
            renewable: !matches!(behaviour, Some("fixed" | "both")),
            revocable: !matches!(behaviour, Some("final" | "both")),
            handle: if behaviour == Some("bulky") { vec![0; 5000] } else { Vec::new() },
            metadata: Vec::new(),
        })
    })
}

pub(crate) fn renew(
    call: &Call<Config>,
    reference: &Reference,
    ttl: Seconds,
) -> Result<Timestamp, Error> {
    let config = call.config.of(&reference.role, &reference.role_config)?;
    let behaviour = config.renew.as_deref();
    around(&config, behaviour, || {
        let known = config.ask("POST", &reference.reservation)?;
        if config.server.is_some() && known != 200 {
            return Err(Error { kind: ErrorKind::NotFound, ..Error::absent() });
        }
        Ok(end(behaviour, ttl))
    })
}

pub(crate) fn revoke(call: &Call<Config>, reference: &Reference) -> Result<(), Error> {
    let config = call.config.of(&reference.role, &reference.role_config)?;
    around(&config, config.revoke.as_deref(), || {
        config.ask("DELETE", &reference.reservation).map(drop)
    })
}

pub(crate) fn verify(call: &Call<Config>, reference: &Reference) -> Result<State, Error> {
    let config = call.config.of(&reference.role, &reference.role_config)?;
    around(&config, config.verify.as_deref(), || match config.verify.as_deref() {
        Some("usable") => Ok(State::Usable),
        Some("disabled") => Ok(State::Disabled),
        Some("gone") => Ok(State::Gone),
        Some(_) | None => Ok(match config.ask("GET", &reference.reservation)? {
            404 => State::Gone,
            410 => State::Disabled,
            _ => State::Usable,
        }),
    })
}

/// A page of reservations, and where the next begins.
pub(crate) type Page = (Vec<String>, Option<String>);

pub(crate) fn list_issued(call: &Call<Config>, next: Option<&str>) -> Result<Page, Error> {
    let config = &call.config;
    let forged = || ["../up", "a\r\nb", "", "0"].map(str::to_owned).to_vec();
    around(config, config.list.as_deref(), || match (config.list.as_deref(), &config.server) {
        (Some("endless"), _) => Ok((Vec::new(), Some(next.unwrap_or("x").to_owned()))),
        (Some("forged"), _) => Ok((forged(), None)),
        (_, None) => Ok((Vec::new(), None)),
        (_, Some(server)) => {
            let url = format!("{}/issued", server.trim_end_matches('/'));
            Ok((http::get(url).send()?.success()?.json()?, None))
        }
    })
}

/// The interface, for the type that has the manifest.
macro_rules! credentials {
    ($issuer:ident) => {
        impl symbolon_plugin::Credentials for $issuer {
            fn issue(
                call: &symbolon_plugin::Call<Config>,
                request: symbolon_plugin::IssueRequest,
            ) -> Result<symbolon_plugin::Issued, symbolon_plugin::Error> {
                $crate::behaviour::issue(call, &request)
            }

            fn renew(
                call: &symbolon_plugin::Call<Config>,
                reference: symbolon_plugin::Reference,
                ttl: symbolon_plugin::Seconds,
            ) -> Result<symbolon_plugin::Timestamp, symbolon_plugin::Error> {
                $crate::behaviour::renew(call, &reference, ttl)
            }

            fn revoke(
                call: &symbolon_plugin::Call<Config>,
                reference: symbolon_plugin::Reference,
            ) -> Result<(), symbolon_plugin::Error> {
                $crate::behaviour::revoke(call, &reference)
            }

            fn verify(
                call: &symbolon_plugin::Call<Config>,
                reference: symbolon_plugin::Reference,
            ) -> Result<symbolon_plugin::State, symbolon_plugin::Error> {
                $crate::behaviour::verify(call, &reference)
            }

            fn list_issued(
                call: &symbolon_plugin::Call<Config>,
                next: Option<String>,
            ) -> Result<$crate::behaviour::Page, symbolon_plugin::Error> {
                $crate::behaviour::list_issued(call, next.as_deref())
            }
        }
    };
}

pub(crate) use credentials;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_speaks_before_its_backend() {
        let backend: Config = serde_json::from_str(r#"{"issue":"late","delay_ms":5}"#).expect("ok");
        let role = backend.of("late", r#"{"issue":"after"}"#).expect("a role");
        assert_eq!((role.issue.as_deref(), role.delay_ms), (Some("after"), Some(5)));
        assert!(backend.of("odd", r#"{"surprise":1}"#).is_err());
    }

    #[test]
    fn a_failure_after_the_effect_has_had_it() {
        let mut had = false;
        let failed = around(&Config::default(), Some("after"), || {
            had = true;
            Ok(())
        });
        assert!(failed.is_err_and(|error| error.request_sent) && had);
    }
}
