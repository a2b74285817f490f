//! Service accounts of Kubernetes clusters, also those of EKS, GKE and AKS (`wire-formats.md` §1.4).
//!
//! Keys alone cannot show that a pod is gone; what a token is bound to is at least demanded, and the
//! online review asks the cluster.

use std::time::Duration;

use super::{COMMON, HOUR, Terms, sub};
use crate::token::algorithm::Algorithm;
use crate::token::json::{Object, Value};
use crate::token::mapping::AttributeType::String;
use crate::token::refusal::Refusal;

/// Who runs the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Amazon.
    Eks,
    /// Google.
    Gke,
    /// Microsoft.
    Aks,
    /// Anybody else.
    Other,
}

/// An object with which a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// A pod.
    Pod,
    /// A node, and no pod.
    Node,
    /// A secret.
    Secret,
    /// None: the token lives until it expires.
    Nothing,
}

impl Binding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pod, Self::Node, Self::Secret, Self::Nothing];

    /// The name in the configuration and, but for `none`, in the claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Secret => "secret",
            Self::Nothing => "none",
        }
    }
}

const OTHER_TERMS: Terms = Terms {
    record: "kubernetes",
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    several_audiences: true,
    longest: DAY,
    max_subject_bytes: 512,
    subjects: &["/sub", "/kubernetes.io/serviceaccount/uid"],
    foreign: &[
        "https://kubernetes.default.svc",
        "https://kubernetes.default.svc.cluster.local",
        "sts.amazonaws.com",
        "pods.eks.amazonaws.com",
        "api://AzureADTokenExchange",
    ],
    attributes: &[
        ("namespace", "/kubernetes.io/namespace", String, true),
        ("service_account", "/kubernetes.io/serviceaccount/name", String, true),
        ("service_account_uid", "/kubernetes.io/serviceaccount/uid", String, true),
        ("pod", "/kubernetes.io/pod/name", String, false),
        ("pod_uid", "/kubernetes.io/pod/uid", String, false),
        ("node", "/kubernetes.io/node/name", String, false),
        ("node_uid", "/kubernetes.io/node/uid", String, false),
        ("secret", "/kubernetes.io/secret/name", String, false),
        ("secret_uid", "/kubernetes.io/secret/uid", String, false),
    ],
    ..COMMON
};
const DAY: Duration = HOUR.saturating_mul(24);

static OTHER: Terms = OTHER_TERMS;
/// The clouds' clusters sign with RSA, and their agents ask for tokens of a day.
static CLOUD: Terms = Terms { algorithms: super::RS256, lifetime: DAY, ..OTHER_TERMS };

impl Host {
    pub(super) fn terms(self) -> &'static Terms {
        match self {
            Self::Eks | Self::Gke | Self::Aks => &CLOUD,
            Self::Other => &OTHER,
        }
    }
}

/// The subject is the service account of the claims, and the token is bound as it must be.
pub(super) fn check(claims: &Object, allowed: &[Binding]) -> Result<(), Refusal> {
    let Some(cluster) = claims.get("kubernetes.io").and_then(Value::as_object) else {
        // The attributes that require what is in it say what is missing.
        return Ok(());
    };
    let account = cluster.get("serviceaccount").and_then(Value::as_object);
    let name = account.and_then(|account| account.get("name")).and_then(Value::as_str);
    if let (Some(namespace), Some(name)) = (cluster.get("namespace").and_then(Value::as_str), name)
        && sub(claims)? != format!("system:serviceaccount:{namespace}:{name}")
    {
        return Err(Refusal::Disagreement);
    }
    let bound = binding(cluster)?;
    if allowed.contains(&bound) { Ok(()) } else { Err(Refusal::Unbound) }
}

/// To what the token is bound: each object that is named has a name and a uid.
fn binding(cluster: &Object) -> Result<Binding, Refusal> {
    let mut found = Binding::Nothing;
    for kind in [Binding::Node, Binding::Secret, Binding::Pod] {
        let Some(object) = cluster.get(kind.as_str()) else { continue };
        let part = |name| object.as_object().and_then(|object| object.get(name)?.as_str());
        let is_whole = ["name", "uid"].iter().all(|name| part(name).is_some_and(|t| !t.is_empty()));
        if !is_whole {
            return Err(Refusal::Unbound);
        }
        found = kind;
    }
    Ok(found)
}
