//! Amazon Web Services: tokens of one account's outbound identity federation.
//!
//! The issuer proves an account and nothing else, so the account stands among the owners. What the
//! caller chooses (`request_tags`) is not mapped.

use super::{
    COMMON, ClusterHost, Form, HOUR, Terms, host_and_path, is_hex, is_region, is_uuid, sub,
};
use crate::arn::{Arn, ResourceKind};
use crate::token::algorithm::Algorithm;
use crate::token::json::{Object, Value};
use crate::token::mapping::AttributeType::String;
use crate::token::refusal::Refusal;

/// The claim that holds everything of Amazon's own.
const CLAIMS: &str = "https://sts.amazonaws.com/";

/// Tokens of `sts:GetWebIdentityToken` (`wire-formats.md` §1.1.3).
pub(super) static TOKEN: Terms = Terms {
    record: "aws",
    algorithms: &[Algorithm::Rs256, Algorithm::Es384],
    several_audiences: true,
    longest: HOUR,
    max_subject_bytes: 2048,
    owners: &["/https:~1~1sts.amazonaws.com~1/aws_account"],
    foreign: FOREIGN,
    attributes: &[
        ("account", "/https:~1~1sts.amazonaws.com~1/aws_account", String, true),
        ("arn", "/sub", String, true),
        ("region", "/https:~1~1sts.amazonaws.com~1/source_region", String, false),
        ("org_id", "/https:~1~1sts.amazonaws.com~1/org_id", String, false),
        ("ou_path", "/https:~1~1sts.amazonaws.com~1/ou_path", String, false),
        ("source_identity", "/https:~1~1sts.amazonaws.com~1/source_identity", String, false),
        ("ec2_instance", "/https:~1~1sts.amazonaws.com~1/ec2_source_instance_arn", String, false),
        ("ec2_vpc", "/https:~1~1sts.amazonaws.com~1/ec2_instance_source_vpc", String, false),
        (
            "lambda_function",
            "/https:~1~1sts.amazonaws.com~1/lambda_source_function_arn",
            String,
            false,
        ),
    ],
    ..COMMON
};

/// Signed `sts:GetCallerIdentity` requests (§1.1.2): the claims are what STS answered.
pub(super) static SIGNED: Terms = Terms {
    record: "aws",
    owners: &["/account"],
    max_subject_bytes: 2048,
    attributes: &[
        ("account", "/account", String, true),
        ("arn", "/arn", String, true),
        ("kind", "/kind", String, true),
        ("name", "/name", String, true),
        ("unique_id", "/unique_id", String, false),
        ("session", "/session", String, false),
    ],
    ..COMMON
};

/// What AWS itself takes tokens for: a token that it takes must not lie around here.
pub(super) const FOREIGN: &[&str] = &["sts.amazonaws.com", "pods.eks.amazonaws.com"];

pub(super) fn form(issuer: &str) -> Option<Form> {
    let (host, path) = host_and_path(issuer)?;
    if let Some(id) = host.strip_suffix(".tokens.sts.global.api.aws") {
        return (is_uuid(id) && issuer.ends_with(host)).then_some(Form::AwsToken);
    }
    let region = host.strip_prefix("oidc.eks.")?;
    let region = region.strip_suffix(".amazonaws.com").or(region.strip_suffix(".amazonaws.com.cn"));
    let id = path.strip_prefix("id/")?.to_ascii_lowercase();
    (is_region(region?) && is_hex(&id, 32)).then_some(Form::Kubernetes(ClusterHost::Eks))
}

/// The subject is a role or a user, of the account that the token says. An account's root is no
/// workload.
pub(super) fn check(claims: &Object) -> Result<(), Refusal> {
    let arn = Arn::parse(sub(claims)?).ok_or(Refusal::SubjectForm)?;
    let is_workload =
        arn.service == "iam" && matches!(arn.kind(), Some(ResourceKind::Role | ResourceKind::User));
    let account = claims.get(CLAIMS).and_then(Value::as_object);
    let account = account.and_then(|claims| claims.get("aws_account")).and_then(Value::as_str);
    match account {
        _ if !is_workload => Err(Refusal::SubjectForm),
        Some(account) if account != arn.account => Err(Refusal::Disagreement),
        // Missing or not a text: the attribute that requires it says so.
        Some(_) | None => Ok(()),
    }
}
