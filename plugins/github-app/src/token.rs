//! The request for a token, and its answer.
//!
//! INVARIANT: a token that can do more than was asked for is refused, and `message` of a refusal is
//! read nowhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use symbolon_plugin::http::{self, Request, Response};
use symbolon_plugin::{Error, Timestamp, Token, oauth, time};

use crate::config::Config;
use crate::wanted::Wanted;

/// 500 repositories, each with all that GitHub says about one.
const LIMIT: usize = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct Given {
    token: String,
    expires_at: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    repository_selection: String,
    repositories: Option<Vec<Repository>>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    name: String,
}

/// Asks for a token. The host adds the app's own.
pub(crate) fn request(config: &Config, wanted: &Wanted) -> Result<Request, Error> {
    let url = format!("{}/app/installations/{}/access_tokens", config.base()?, config.installation);
    Ok(http::post(url)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header("user-agent", "symbolon")
        .json(wanted)
        .limit(LIMIT))
}

/// The token in the answer. GitHub fixes its life to an hour, and says so; the host uses it for `ttl` at
/// most.
pub(crate) fn token(
    answer: &Response,
    wanted: &Wanted,
    (ttl, now): (u64, Timestamp),
) -> Result<Token, Error> {
    if answer.status != 201 {
        return Err(refusal(answer, now));
    }
    let given: Given = answer.json()?;
    if !is_within(&given, wanted) {
        return Err(Error::internal("token_too_wide", "the token can do more than was asked for"));
    }
    let ends_at = time::parse(&given.expires_at)
        .ok_or_else(|| Error::malformed_answer("the token's end is no time"))?;
    oauth::bearer(given.token, ends_at, (ttl, now))
}

fn is_within(given: &Given, wanted: &Wanted) -> bool {
    let asked = |repository: &Repository| {
        wanted.repository_ids.contains(&repository.id)
            || wanted.repositories.iter().any(|name| name.eq_ignore_ascii_case(&repository.name))
    };
    given.repository_selection == "selected"
        && given.permissions.iter().all(|(name, level)| wanted.has(name, level))
        && given.repositories.as_ref().is_none_or(|all| all.iter().all(asked))
}

/// The table of refusals.
fn refusal(answer: &Response, now: Timestamp) -> Error {
    let error = match answer.status {
        401 => Error::unauthenticated(
            "app_refused",
            "GitHub does not accept the app's token: its key, its id or the clock is wrong",
        ),
        403 | 429 if is_over_rate(answer) => {
            Error::rate_limited("rate_limit", "GitHub's rate limit is used up")
                .retry_after(until_reset(answer, now))
        }
        403 => Error::permission_denied("suspended", "the installation or the app is suspended"),
        404 => Error::invalid_config("unknown_installation", "the app has no such installation"),
        422 => Error::invalid_config(
            "not_granted",
            "the installation does not have a repository or permission of the target",
        ),
        _ => Error::of(answer),
    };
    error.answered(answer)
}

/// GitHub says 403 both to who may not and to who asked too often.
fn is_over_rate(answer: &Response) -> bool {
    answer.status == 429
        || answer.header("retry-after").is_some()
        || answer.header("x-ratelimit-remaining") == Some("0")
}

fn until_reset(answer: &Response, now: Timestamp) -> Option<u64> {
    let reset: u64 = answer.header("x-ratelimit-reset")?.parse().ok()?;
    Some(reset.saturating_sub(now).clamp(1, 3600) * 1000)
}
