//! What the claims of each platform must say of each other, as `issuers.md` documents it.

use serde_json::{Map, Value};

use crate::json::at;

/// Whose tokens an issuer's are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Anybody's.
    Plain,
    /// `sts:GetWebIdentityToken`.
    Aws,
    /// Entra: the version and the tenant in the issuer's name.
    Entra {
        /// `1.0` or `2.0`.
        version: &'static str,
        /// The tenant's id.
        tenant: String,
    },
    /// Google's service accounts.
    Google,
    /// A Kubernetes cluster, with the kinds of object a token may be bound to.
    Cluster {
        /// `pod`, `node`, `secret`, `none`.
        bindings: Vec<&'static str>,
    },
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// A SPIFFE trust domain.
    Spiffe,
}

type Claims = Map<String, Value>;

impl Platform {
    /// Whether the claims cannot be those of a workload of this platform.
    pub(crate) fn contradicts(&self, claims: &Claims, issuer: &str) -> bool {
        let text = |pointer: &str| at(claims, pointer).and_then(Value::as_str);
        let subject = text("/sub").unwrap_or_default();
        match self {
            Self::Plain => false,
            Self::Aws => aws(subject, text("/https:~1~1sts.amazonaws.com~1/aws_account")),
            Self::Entra { version, tenant } => {
                text("/ver") != Some(version)
                    || text("/tid") != Some(tenant)
                    || claims.contains_key("scp")
                    || text("/oid") != Some(subject)
                    || at(claims, "/idtyp").is_some_and(|kind| kind != "app")
            }
            Self::Google => {
                let of_people = ["hd", "at_hash", "nonce"];
                !subject.chars().all(|c| c.is_ascii_digit())
                    || text("/azp") != Some(subject)
                    || of_people.iter().any(|name| claims.contains_key(*name))
                    || claims.contains_key("email")
                        && at(claims, "/email_verified") != Some(&Value::Bool(true))
            }
            Self::Cluster { bindings } => cluster(claims, subject, bindings),
            Self::Github => github(subject, &text),
            Self::Gitlab => {
                let path = text("/project_path").unwrap_or_default();
                !subject.starts_with(&format!("project_path:{path}:"))
            }
            Self::Spiffe => !subject.starts_with(&format!("{issuer}/")),
        }
    }
}

/// A role or a user, of the account that the token says.
fn aws(subject: &str, account: Option<&str>) -> bool {
    // arn:partition:service:region:account:resource
    let parts: Vec<&str> = subject.splitn(6, ':').collect();
    let [arn, _, service, _, own, resource] = parts.as_slice() else { return true };
    let is_workload = resource.starts_with("role/") || resource.starts_with("user/");
    *arn != "arn" || *service != "iam" || !is_workload || Some(*own) != account
}

fn cluster(claims: &Claims, subject: &str, bindings: &[&str]) -> bool {
    let text = |name: &str| at(claims, &format!("/kubernetes.io/{name}")).and_then(Value::as_str);
    let account = text("namespace").zip(text("serviceaccount/name"));
    let Some((namespace, name)) = account else { return true };
    let has = |kind: &str| at(claims, &format!("/kubernetes.io/{kind}")).is_some();
    let is_torn = |kind: &&str| {
        let part = |name: &str| text(&format!("{kind}/{name}")).is_none_or(str::is_empty);
        has(kind) && (part("name") || part("uid"))
    };
    let kinds = ["pod", "secret", "node"];
    let bound = kinds.into_iter().find(|kind| has(kind)).unwrap_or("none");
    subject != format!("system:serviceaccount:{namespace}:{name}")
        || kinds.iter().any(is_torn)
        || !bindings.contains(&bound)
}

/// The subject is of the repository that the claims say, by name or with the ids.
fn github<'a>(subject: &str, text: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let claim = |name: &str| text(name).unwrap_or_default();
    let (owner, owner_id) = (claim("/repository_owner"), claim("/repository_owner_id"));
    let (repository, id) = (claim("/repository"), claim("/repository_id"));
    let name = repository.strip_prefix(&format!("{owner}/")).unwrap_or_default();
    let forms = [format!("repo:{repository}:"), format!("repo:{owner}@{owner_id}/{name}@{id}:")];
    name.is_empty() || !forms.iter().any(|form| subject.starts_with(form))
}
