//! What is asked of the token service: a session of a role, for an assertion or for the session of
//! another role. The host signs the second kind, and never the first.

use symbolon_plugin::http::{self, Request};
use symbolon_plugin::{Error, Seconds, Timestamp};

use crate::config::{Chain, Sts, tags_fit};
use crate::policy;

const VERSION: &str = "2011-06-15";
/// A session token alone may have 8 KiB and more.
const LIMIT: usize = 64 * 1024;
/// The shortest session that AWS gives.
const SHORTEST: Seconds = 900;

/// One session, as it is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: String,
    /// When it ends at the latest.
    pub(crate) ends_at: Timestamp,
    seconds: Seconds,
    /// The inline session policy.
    policy: Option<String>,
}

impl Wanted {
    /// A session that has no rights after `ttl` seconds.
    pub(crate) fn new(
        sts: &Sts,
        request_id: &str,
        ttl: Seconds,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let seconds = ttl.clamp(SHORTEST, sts.duration);
        let ends_at = now.saturating_add(ttl.min(seconds));
        let early = (ttl < seconds).then_some(ends_at);
        Ok(Self {
            name: sts.session_name(request_id)?,
            ends_at,
            seconds,
            policy: policy::document(sts.policy.as_deref(), &sts.policy_arns, early)?,
        })
    }
}

/// Asks with an assertion.
pub(crate) fn with_assertion(
    sts: &Sts,
    wanted: &Wanted,
    assertion: &str,
) -> Result<Request, Error> {
    let mut form = Form::new("AssumeRoleWithWebIdentity", sts, wanted);
    form.push("WebIdentityToken", assertion);
    form.request(sts)
}

/// Asks with the session that the host signs with.
pub(crate) fn chained(
    sts: &Sts,
    chain: &Chain,
    wanted: &Wanted,
    attributes: &[(String, String)],
) -> Result<Request, Error> {
    let own = chain.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let callers = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let tags: Vec<_> = own.chain(callers).collect();
    if !tags_fit(tags.iter().copied()) {
        return Err(Error::invalid_request(
            "tags_unfit",
            "the attributes do not make session tags",
        ));
    }
    let mut form = Form::new("AssumeRole", sts, wanted);
    for (number, (key, value)) in (1..).zip(tags) {
        form.push(&format!("Tags.member.{number}.Key"), key);
        form.push(&format!("Tags.member.{number}.Value"), value);
    }
    form.members("TransitiveTagKeys.member", "", &chain.transitive_tags);
    for (name, value) in
        [("ExternalId", &chain.external_id), ("SourceIdentity", &chain.source_identity)]
    {
        if let Some(value) = value {
            form.push(name, value);
        }
    }
    form.request(sts)
}

/// The parameters of one request.
struct Form(Vec<(String, String)>);

impl Form {
    fn new(action: &str, sts: &Sts, wanted: &Wanted) -> Self {
        let mut form = Self(Vec::new());
        form.push("Action", action);
        form.push("Version", VERSION);
        form.push("RoleArn", &sts.role_arn);
        form.push("RoleSessionName", &wanted.name);
        form.push("DurationSeconds", &wanted.seconds.to_string());
        if let Some(policy) = &wanted.policy {
            form.push("Policy", policy);
        }
        form.members("PolicyArns.member", ".arn", &sts.policy_arns);
        form
    }

    fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// A list, as the query protocol counts it.
    fn members(&mut self, name: &str, part: &str, values: &[String]) {
        for (number, value) in (1..).zip(values) {
            let number: usize = number;
            self.push(&format!("{name}.{number}{part}"), value);
        }
    }

    fn request(&self, sts: &Sts) -> Result<Request, Error> {
        let pairs: Vec<_> = self.0.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Ok(http::post(sts.url()?).form(&pairs).limit(LIMIT))
    }
}
