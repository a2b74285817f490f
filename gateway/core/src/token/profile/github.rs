//! GitHub Actions (`wire-formats.md` §1.5).
//!
//! One issuer for everybody's jobs: the owner's or the repository's id stands among the owners.
//!
//! Names are recycled and repositories are on either of two forms of `sub`. The subject is the newer
//! form, which has the ids, whichever form the token has: `repo:acme/pay:ref:refs/heads/main` becomes
//! `repo:acme@123456/pay@456789:ref:refs/heads/main`. A template that leaves the repository out would
//! make subjects of different repositories collide, and is refused.

use super::{COMMON, Form, MINUTE, RS256, Terms, host_and_path, text};
use crate::token::json::Object;
use crate::token::mapping::AttributeType::String;
use crate::token::refusal::Refusal;

const PUBLIC: &str = "https://token.actions.githubusercontent.com";

pub(super) static TERMS: Terms = Terms {
    record: "github",
    algorithms: RS256,
    untyped: false,
    lifetime: MINUTE.saturating_mul(15),
    longest: MINUTE.saturating_mul(15),
    owners: &["/repository_owner_id", "/repository_id", "/enterprise_id"],
    attributes: &[
        ("repository", "/repository", String, true),
        ("repository_id", "/repository_id", String, true),
        ("repository_owner", "/repository_owner", String, true),
        ("repository_owner_id", "/repository_owner_id", String, true),
        ("repository_visibility", "/repository_visibility", String, false),
        ("enterprise_id", "/enterprise_id", String, false),
        ("ref", "/ref", String, false),
        ("ref_type", "/ref_type", String, false),
        ("head_ref", "/head_ref", String, false),
        ("base_ref", "/base_ref", String, false),
        ("sha", "/sha", String, false),
        ("environment", "/environment", String, false),
        ("event_name", "/event_name", String, false),
        ("workflow", "/workflow", String, false),
        ("workflow_ref", "/workflow_ref", String, false),
        ("workflow_sha", "/workflow_sha", String, false),
        ("job_workflow_ref", "/job_workflow_ref", String, false),
        ("job_workflow_sha", "/job_workflow_sha", String, false),
        ("runner_environment", "/runner_environment", String, false),
        ("actor_id", "/actor_id", String, false),
        ("run_id", "/run_id", String, false),
        ("run_attempt", "/run_attempt", String, false),
    ],
    ..COMMON
};

pub(super) fn form(issuer: &str) -> Option<Form> {
    let (host, path) = host_and_path(issuer)?;
    let is_slug = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_public = issuer == PUBLIC
        || issuer.strip_prefix(PUBLIC).and_then(|rest| rest.strip_prefix('/')).is_some_and(is_slug);
    let is_resident =
        host.starts_with("token.actions.") && host.ends_with(".ghe.com") && path.is_empty();
    let is_own = path == "_services/token";
    (is_public || is_resident || is_own).then_some(Form::Github)
}

/// The subject with the ids of owner and repository.
pub(super) fn subject(subject: &str, claims: &Object) -> Result<std::string::String, Refusal> {
    let claim = |name| text(claims, name).ok_or(Refusal::Disagreement);
    let (owner_id, id) = (claim("repository_owner_id")?, claim("repository_id")?);
    let (owner, name) = claim("repository")?.split_once('/').ok_or(Refusal::Disagreement)?;
    if owner != claim("repository_owner")? || !is_id(owner_id) || !is_id(id) {
        return Err(Refusal::Disagreement);
    }
    let (repository, context) = subject
        .strip_prefix("repo:")
        .and_then(|rest| rest.split_once(':'))
        .filter(|(_, context)| !context.is_empty())
        .ok_or(Refusal::SubjectForm)?;
    let stable = format!("{owner}@{owner_id}/{name}@{id}");
    if repository == stable || repository == format!("{owner}/{name}") {
        Ok(format!("repo:{stable}:{context}"))
    } else {
        Err(Refusal::Disagreement)
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
