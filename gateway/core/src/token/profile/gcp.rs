//! Google: tokens of service accounts (`wire-formats.md` §1.2).
//!
//! One issuer for all of Google: who is ours stands among the owners. People get tokens of the same
//! issuer and are refused.

use super::{COMMON, ClusterHost, Form, RS256, Terms, sub, text};
use crate::token::json::{Object, Value};
use crate::token::mapping::AttributeType::{Long, String};
use crate::token::refusal::Refusal;

const GOOGLE: &str = "https://accounts.google.com";
const GKE: &str = "https://container.googleapis.com/v1/projects/";

pub(super) static TERMS: Terms = Terms {
    record: "gcp",
    algorithms: RS256,
    untyped: false,
    longest: super::HOUR,
    owners: &[
        "/sub",
        "/email",
        "/google/compute_engine/project_id",
        "/google/compute_engine/project_number",
    ],
    attributes: &[
        ("service_account_id", "/sub", String, true),
        ("email", "/email", String, false),
        ("project_id", "/google/compute_engine/project_id", String, false),
        ("project_number", "/google/compute_engine/project_number", Long, false),
        ("zone", "/google/compute_engine/zone", String, false),
        ("instance_id", "/google/compute_engine/instance_id", String, false),
        ("instance_name", "/google/compute_engine/instance_name", String, false),
        (
            "instance_creation_timestamp",
            "/google/compute_engine/instance_creation_timestamp",
            Long,
            false,
        ),
        (
            "instance_confidentiality",
            "/google/compute_engine/instance_confidentiality",
            Long,
            false,
        ),
    ],
    ..COMMON
};

pub(super) fn form(issuer: &str) -> Option<Form> {
    if issuer == GOOGLE {
        return Some(Form::Google);
    }
    let parts: Vec<_> = issuer.strip_prefix(GKE)?.split('/').collect();
    match parts.as_slice() {
        [project, "locations", location, "clusters", cluster]
            if [project, location, cluster].iter().all(|part| is_name(part)) =>
        {
            Some(Form::Kubernetes(ClusterHost::Gke))
        }
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// A service account's token: its own client, and none of what only people's tokens have.
pub(super) fn check(claims: &Object) -> Result<(), Refusal> {
    let id = sub(claims)?;
    if !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::SubjectForm);
    }
    let of_people = ["hd", "at_hash", "nonce"].iter().any(|name| claims.has(name));
    if of_people || text(claims, "azp") != Some(id) {
        return Err(Refusal::Person);
    }
    // Owners and policies may go by the address, so that an unverified one must not be there.
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    if claims.has("email") && !is_verified { Err(Refusal::Unverified) } else { Ok(()) }
}
