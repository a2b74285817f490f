//! Microsoft Entra: tokens of managed identities and of applications, version 1 and 2
//! (`wire-formats.md` §1.3).
//!
//! One block a tenant: the endpoints that all tenants share are no issuers. Any application of the
//! tenant can get a token for our audience, so policies must name who is meant.

use super::{
    COMMON, ClusterHost, Form, KeyPlace, MINUTE, RS256, Terms, host_and_path, is_region, is_uuid,
    text,
};
use crate::principal::{Attribute, Attributes};
use crate::token::json::Object;
use crate::token::mapping::AttributeName;
use crate::token::mapping::AttributeType::{String, Strings};
use crate::token::refusal::Refusal;

/// The version of a token, which the resource's manifest decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `ver` is `1.0`.
    V1,
    /// `ver` is `2.0`.
    V2,
}

const V2_TERMS: Terms = Terms {
    record: "azure",
    algorithms: RS256,
    untyped: false,
    // A day, and the five minutes by which Entra antedates: the metadata service hands out tokens
    // that are hours old.
    lifetime: DAY_AND_MORE,
    longest: DAY_AND_MORE,
    subjects: &["/oid"],
    foreign: &[
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.windows.net/",
        "https://vault.azure.net",
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/",
        "https://storage.azure.com/",
        "api://AzureADTokenExchange",
    ],
    attributes: &[
        ("tenant_id", "/tid", String, true),
        ("object_id", "/oid", String, true),
        ("app_id", "/azp", String, true),
        ("roles", "/roles", Strings, false),
    ],
    derived: &[("resource_id", String)],
    ..COMMON
};
const DAY_AND_MORE: std::time::Duration = MINUTE.saturating_mul(24 * 60 + 10);

static V2: Terms = V2_TERMS;
static V1: Terms = Terms {
    attributes: &[
        ("tenant_id", "/tid", String, true),
        ("object_id", "/oid", String, true),
        ("app_id", "/appid", String, true),
        ("roles", "/roles", Strings, false),
    ],
    ..V2_TERMS
};

impl Version {
    pub(super) fn terms(self) -> &'static Terms {
        match self {
            Self::V1 => &V1,
            Self::V2 => &V2,
        }
    }
}

pub(super) fn form(issuer: &str) -> Option<Form> {
    if let Some((version, _)) = tenant(issuer) {
        return Some(Form::Entra(version));
    }
    let (host, path) = host_and_path(issuer)?;
    let region = host.strip_suffix(".oic.prod-aks.azure.com")?;
    let (tenant, cluster) = path.strip_suffix('/')?.split_once('/')?;
    let fits = is_region(region) && is_uuid(tenant) && is_uuid(cluster);
    fits.then_some(Form::Kubernetes(ClusterHost::Aks))
}

/// Version and tenant id, by the issuer's name.
fn tenant(issuer: &str) -> Option<(Version, &str)> {
    let v1 =
        issuer.strip_prefix("https://sts.windows.net/").and_then(|rest| rest.strip_suffix('/'));
    let v2 = issuer
        .strip_prefix("https://login.microsoftonline.com/")
        .and_then(|rest| rest.strip_suffix("/v2.0"));
    let found = v1.map(|tenant| (Version::V1, tenant)).or(v2.map(|tenant| (Version::V2, tenant)));
    found.filter(|(_, tenant)| is_uuid(tenant))
}

pub(super) fn keys(version: Version, issuer: &str) -> KeyPlace {
    let tenant = tenant(issuer).map_or("", |(_, tenant)| tenant);
    let path = match version {
        Version::V1 => "discovery/keys",
        Version::V2 => "discovery/v2.0/keys",
    };
    KeyPlace::Url(format!("https://login.microsoftonline.com/{tenant}/{path}"))
}

/// An application's token, of this version and tenant.
pub(super) fn check(claims: &Object, version: Version, issuer: &str) -> Result<(), Refusal> {
    let expected = match version {
        Version::V1 => "1.0",
        Version::V2 => "2.0",
    };
    let tenant = tenant(issuer).map(|(_, tenant)| tenant);
    if text(claims, "ver") != Some(expected) || text(claims, "tid") != tenant {
        return Err(Refusal::Disagreement);
    }
    let is_app = claims.get("idtyp").is_none_or(|kind| kind.as_str() == Some("app"));
    // For a person, `sub` is a pairwise name and not `oid`, and `scp` says what was delegated.
    let is_itself = claims.get("sub") == claims.get("oid");
    if is_app && is_itself && !claims.has("scp") { Ok(()) } else { Err(Refusal::Person) }
}

/// `xms_mirid` is an ARM id, which Azure compares without regard to case: policies get it in lower
/// case.
pub(super) fn derive(claims: &Object, attributes: &mut Attributes) -> Result<(), Refusal> {
    const NAME: &str = "resource_id";
    let Some(claim) = claims.get("xms_mirid") else { return Ok(()) };
    let wrong = || AttributeName::parse(NAME).map_or(Refusal::Disagreement, Refusal::AttributeType);
    let id = claim.as_str().ok_or_else(wrong)?.to_ascii_lowercase();
    attributes.insert(NAME.to_owned(), Attribute::String(id));
    Ok(())
}
