//! A component that misbehaves in every way that the host must withstand.
//!
//! What it does is chosen by what it is asked for: the first segment of the path of a secret (some read
//! on in the others), the first scope of an exchange, the folder of a listing. `list` without a folder names every behaviour of `read`, `list`
//! of `exchange`, `many` and `list` those of the others, so that a test can walk all of them and
//! fails over one that it does not know.
//!
//! Answers of what did not stop the guest are text that begins with `survived`: a test that reads
//! that where the host should have stepped in has found a hole.

mod answer;
mod canary;
mod compute;
mod config;
mod exchange;
mod memory;
mod network;
mod resources;

use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Listing, Plugin, Report, Secret, Secrets, Selector,
    Token,
};

use config::Config;

struct Hostile;

/// What one behaviour does. The name by which it is asked for stands beside it.
type Behaviour = (&'static str, fn(&Config, &Selector) -> Result<Secret, Error>);

/// Every behaviour of `read`. A new one without a test fails the test that walks this list.
const READ: &[Behaviour] = &[
    ("ok", |_, s| Ok(Secret::text(&s.path, "fine").version(s.version.clone()))),
    ("spin", |_, s| survived(s, compute::spin)),
    ("allocate", |_, s| survived(s, compute::allocate)),
    ("recurse", |_, s| survived(s, compute::recurse)),
    ("recurse-in-memory", |_, s| survived(s, compute::recurse_in_memory)),
    ("trap", |_, s| survived(s, compute::trap)),
    ("panic", |_, s| survived(s, compute::panic)),
    ("hang-clock", |_, s| survived(s, resources::hang_clock)),
    ("flood-log", |_, s| survived(s, resources::flood_log)),
    ("forge-log", |_, s| survived(s, resources::forge_log)),
    ("many-handles", |_, s| survived(s, resources::many_handles)),
    ("many-pollables", |_, s| survived(s, resources::many_pollables)),
    ("huge-random", |_, s| survived(s, resources::huge_random)),
    ("remember", |_, s| answer::said(s, memory::remember())),
    ("recall", |_, s| answer::said(s, memory::recall())),
    ("search", |c, s| answer::said(s, memory::search(c))),
    ("huge", |_, s| Ok(answer::huge(s))),
    ("many-fields", |_, s| Ok(answer::many_fields(s))),
    ("duplicate-fields", |_, s| Ok(answer::duplicate_fields(s))),
    ("forged-field", |_, s| Ok(answer::forged_field(s))),
    ("wrong-id", |_, s| Ok(answer::wrong_id(s))),
    ("wrong-version", |_, s| Ok(answer::wrong_version(s))),
    ("forged-version", |_, s| Ok(answer::forged_version(s))),
    ("forged-metadata", |_, s| Ok(answer::forged_metadata(s))),
    ("many-metadata", |_, s| Ok(answer::many_metadata(s))),
    ("bad-content-type", |_, s| Ok(answer::bad_content_type(s))),
    ("not-utf8", |_, s| Ok(answer::not_utf8(s))),
    ("expired", |_, s| Ok(answer::expires(s, 1))),
    ("never-expires", |_, s| Ok(answer::expires(s, u64::MAX))),
    ("secret-in-error", |c, s| Err(answer::secret_in_error(c, s))),
    ("forged-error", |_, _| Err(answer::forged_error())),
    ("endless-retry", |_, _| Err(answer::endless_retry())),
    ("plant", |c, s| canary::plant(c, s)),
    ("hunt", |c, s| canary::hunt(c, s)),
    ("guess", |_, s| canary::guess(s)),
    ("fetch", network::fetch),
    ("take", network::take),
    ("post", network::post),
    ("hang-request", network::hang_request),
    ("hang-body", network::hang_body),
    ("endless-body", network::endless_body),
    ("endless-request", network::endless_request),
    ("many-requests", network::many_requests),
    ("undeclared-host", network::undeclared_host),
    ("ungranted-host", network::ungranted_host),
    ("rebinding", network::rebinding),
    ("metadata-address", network::metadata_address),
    ("redirect", network::redirect),
    ("own-authorization", network::own_authorization),
    ("own-host", network::own_host),
    ("absolute-form", network::absolute_form),
    ("wrong-length", network::wrong_length),
    ("huge-header", network::huge_header),
    ("zero-timeout", network::zero_timeout),
    ("forbidden-method", network::forbidden_method),
];

/// Every behaviour of `read-many`, by the path of the first selector.
const MANY: &[&str] = &["too-few", "too-many", "swapped"];

/// Every behaviour of `list`, by folder.
const LIST: &[&str] = &["endless", "forged-names", "too-long", "trapping"];

fn survived(selector: &Selector, deed: fn()) -> Result<Secret, Error> {
    deed();
    answer::said(selector, "survived".to_owned())
}

fn behave(config: &Config, selector: &Selector) -> Result<Secret, Error> {
    let asked = selector.path.split('/').next();
    let (_, behaviour) =
        READ.iter().find(|(name, _)| Some(*name) == asked).ok_or_else(Error::absent)?;
    behaviour(config, selector)
}

impl Plugin for Hostile {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        if let Some(path) = &config.at_check {
            behave(config, &Selector { path: path.clone(), version: None })?;
        }
        Ok(Report { remarks: Vec::new(), metadata: Vec::new() })
    }
}

impl Secrets for Hostile {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        behave(&call.config, &selector)
    }

    fn read_many(
        call: &Call<Config>,
        selectors: Vec<Selector>,
    ) -> Result<Vec<Result<Secret, Error>>, Error> {
        let first = selectors.first().map(|selector| selector.path.clone());
        let plain = |s: &Selector| answer::said(s, "fine".to_owned());
        let mut outcomes: Vec<_> = selectors.iter().map(plain).collect();
        match first.as_deref() {
            Some("too-few") => outcomes.truncate(outcomes.len().saturating_sub(1)),
            Some("too-many") => outcomes.extend(selectors.first().map(plain)),
            Some("swapped") => outcomes.reverse(),
            Some(_) | None => {
                outcomes = selectors.iter().map(|s| behave(&call.config, s)).collect();
            }
        }
        Ok(outcomes)
    }

    fn list(
        _: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match folder.as_deref() {
            None => Ok(page(READ.iter().map(|(name, _)| (*name).to_owned()).collect())),
            Some("exchange") => Ok(page(owned(exchange::BEHAVIOURS))),
            Some("many") => Ok(page(owned(MANY))),
            Some("list") => Ok(page(owned(LIST))),
            Some("endless") => {
                Ok(Listing { names: vec![String::new()], next: next.or(Some("x".into())) })
            }
            Some("forged-names") => Ok(page(owned(&["../up", "a\r\nb", "a//b", "\u{0}", "a/b/c"]))),
            Some("too-long") => Ok(page((0..100_000).map(|n| format!("name-{n}")).collect())),
            Some("trapping") => {
                compute::trap();
                Ok(page(Vec::new()))
            }
            Some(_) => Err(Error::absent()),
        }
    }
}

fn page(names: Vec<String>) -> Listing {
    Listing { names, next: None }
}

impl Exchange for Hostile {
    fn exchange(call: &Call<Config>, request: ExchangeRequest) -> Result<Token, Error> {
        exchange::behave(&call.config, &request)
    }
}

symbolon_plugin::export!(Hostile: exchange, secrets);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_behaviours_have_one_name() {
        let mut names: Vec<_> = READ.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), READ.len());
    }

    #[test]
    fn an_answer_is_about_the_path_asked_unless_it_is_the_point() {
        let selector = Selector { path: "ok".to_owned(), version: None };
        let secret = behave(&Config::default(), &selector).expect("a secret");
        assert_eq!(secret.path, "ok");
        assert!(matches!(secret.value, symbolon_plugin::Value::Opaque(_)));
    }
}
