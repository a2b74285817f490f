//! GitLab CI (`wire-formats.md` §1.6).
//!
//! Paths are recycled, ids are not: `project_path:group/project:ref_type:branch:ref:main` becomes the
//! subject `project_id:20:ref_type:branch:ref:main`. At `gitlab.com` everybody has projects, so the
//! project's or the namespace's id stands among the owners. Truth values are texts there.

use std::time::Duration;

use super::{COMMON, RS256, Terms, text};
use crate::token::json::Object;
use crate::token::mapping::AttributeType::{Long, String, Strings};
use crate::token::refusal::Refusal;

pub(super) static TERMS: Terms = Terms {
    record: "gitlab",
    algorithms: RS256,
    longest: Duration::from_secs(24 * 3600),
    max_subject_bytes: 1024,
    attributes: &[
        ("namespace_id", "/namespace_id", String, true),
        ("namespace_path", "/namespace_path", String, true),
        ("project_id", "/project_id", String, true),
        ("project_path", "/project_path", String, true),
        ("project_visibility", "/project_visibility", String, false),
        ("ref", "/ref", String, true),
        ("ref_type", "/ref_type", String, true),
        ("ref_path", "/ref_path", String, false),
        ("ref_protected", "/ref_protected", String, false),
        ("environment", "/environment", String, false),
        ("environment_protected", "/environment_protected", String, false),
        ("deployment_tier", "/deployment_tier", String, false),
        ("pipeline_id", "/pipeline_id", String, false),
        ("pipeline_source", "/pipeline_source", String, false),
        ("job_id", "/job_id", String, false),
        ("user_id", "/user_id", String, false),
        ("runner_id", "/runner_id", Long, false),
        ("runner_environment", "/runner_environment", String, false),
        ("sha", "/sha", String, false),
        ("ci_config_ref_uri", "/ci_config_ref_uri", String, false),
        ("groups_direct", "/groups_direct", Strings, false),
    ],
    ..COMMON
};

/// The subject with the project's id for its path.
pub(super) fn subject(subject: &str, claims: &Object) -> Result<std::string::String, Refusal> {
    let claim = |name| text(claims, name).ok_or(Refusal::Disagreement);
    let (id, path) = (claim("project_id")?, claim("project_path")?);
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Disagreement);
    }
    let rest = subject.strip_prefix("project_path:").ok_or(Refusal::SubjectForm)?;
    let context = rest
        .strip_prefix(path)
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or(Refusal::Disagreement)?;
    if context.is_empty() {
        Err(Refusal::SubjectForm)
    } else {
        Ok(format!("project_id:{id}:{context}"))
    }
}
