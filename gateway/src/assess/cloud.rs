//! An issuer of signed requests as an assessment sees it: requests that a workload of AWS would sign,
//! with everything about them still open, and what STS would say to them.
//!
//! The signature itself is sixty-four digits of nothing: only STS could judge it, and here STS says
//! what the attempt wants it to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_core::clock::Timestamp;
use symbolon_core::signed::{BODY, SERVER_ID, hosts_of};
use symbolon_core::token::IssuerRules;
use symbolon_oracle::{Asking, Said};

use super::evidence::Evidence;
use super::random::Random;
use super::sample::seconds;

/// For how long a signed request is taken at most, in seconds (`issuers.md`).
const WINDOW: i64 = 300;

/// An issuer whose requests can be made.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) rules: Arc<IssuerRules>,
    pub(super) partition: &'static str,
    pub(super) terms: Asking,
}

/// A role, and who has assumed it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) role: String,
    /// Of the role, never given again.
    pub(super) id: String,
}

/// A request in the making.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: String,
    /// But for the authorization.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) day: String,
    pub(super) region: String,
    pub(super) service: &'static str,
    pub(super) signed: BTreeSet<String>,
    pub(super) signature: String,
    /// What stands there instead of an authorization.
    pub(super) authorization: Option<String>,
    /// Members beside the four.
    pub(super) more: BTreeMap<String, Value>,
    /// What STS says.
    pub(super) said: Said,
}

impl Cloud {
    pub(super) fn new(rules: &IssuerRules, partition: &'static str) -> Self {
        let owners = rules.owners.iter();
        let terms = Asking {
            partition: partition.to_owned(),
            servers: rules.audiences.clone(),
            window: rules.max_age.map_or(WINDOW, |age| seconds(age).min(WINDOW)),
            leeway: seconds(rules.leeway),
            owners: owners
                .map(|own| (own.claim.as_str().to_owned(), own.allowed.clone()))
                .collect(),
        };
        Self { rules: Arc::new(rules.clone()), partition, terms }
    }

    /// Somebody whom the owners of the block would let in.
    pub(super) fn caller(&self, random: &mut Random) -> Caller {
        let owned = |claim: &str, random: &mut Random| {
            let owner = self.rules.owners.iter().find(|owner| owner.claim.as_str() == claim);
            owner.and_then(|owner| random.pick(&owner.allowed).cloned())
        };
        let account = owned("/account", random).unwrap_or_else(|| random.digits());
        let role = owned("/name", random).unwrap_or_else(|| format!("role-{}", random.hex()));
        Caller { account, role, id: format!("AROA{}", random.hex().to_uppercase()) }
    }

    /// A good request of somebody, signed a moment before `now` (seconds).
    pub(super) fn draft(&self, caller: &Caller, now: i64, random: &mut Random) -> Draft {
        let hosts: Vec<_> = hosts_of(self.partition).collect();
        let host = random.pick(&hosts).copied().unwrap_or_default();
        let date = date(now - random.seconds(self.terms.window.min(10)) + 1);
        let server = random.pick(&self.terms.servers).cloned().unwrap_or_default();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("Host", host.to_owned()),
            ("X-Amz-Date", date.clone()),
            (SERVER_ID, server),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let signed = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        let mut draft = Draft {
            method: "POST",
            url: format!("https://{host}/"),
            body: BODY.to_owned(),
            headers: headers.into(),
            day: date.chars().take(8).collect(),
            region: region(host).to_owned(),
            service: "sts",
            signed,
            signature: [(); 4].map(|()| random.hex()).concat(),
            authorization: None,
            more: BTreeMap::new(),
            said: Said { status: 200, media_type: "application/json", body: String::new() },
        };
        draft.says(&self.answer(caller, &format!("i-{}", random.hex())));
        draft
    }

    /// What STS says of somebody, in a session of this name.
    pub(super) fn answer(&self, caller: &Caller, session: &str) -> Value {
        let Caller { account, role, id } = caller;
        let of = self.partition;
        json!({ "GetCallerIdentityResponse": {
            "GetCallerIdentityResult": {
                "Account": account,
                "Arn": format!("arn:{of}:sts::{account}:assumed-role/{role}/{session}"),
                "UserId": format!("{id}:{session}"),
            },
            "ResponseMetadata": { "RequestId": "01234567-89ab-cdef-0123-456789abcdef" }
        } })
    }
}

impl Draft {
    /// Has STS say this.
    pub(super) fn says(&mut self, answer: &Value) {
        self.said.body = answer.to_string();
    }

    /// What STS says, to be changed.
    pub(super) fn saying(&self) -> Value {
        serde_json::from_str(&self.said.body).unwrap_or_default()
    }

    /// Changes the value of a header.
    pub(super) fn head(&mut self, name: &str, value: impl Into<String>) -> Option<()> {
        self.headers.insert(name.to_owned(), value.into()).map(drop)
    }

    /// Dates the request, its scope included.
    pub(super) fn date(&mut self, at: i64) -> Option<()> {
        let date = date(at);
        self.day = date.chars().take(8).collect();
        self.head("X-Amz-Date", date)
    }

    /// The request as it is shown.
    pub(super) fn evidence(&self) -> Evidence {
        let authorization = self.authorization.clone().unwrap_or_else(|| self.authorized());
        let mut headers = json!(self.headers);
        if let Some(headers) = headers.as_object_mut() {
            headers.insert("Authorization".to_owned(), json!(authorization));
        }
        let mut request = json!({
            "method": self.method, "url": self.url, "body": self.body, "headers": headers,
        });
        if let Some(members) = request.as_object_mut() {
            members.extend(self.more.clone());
        }
        let text = URL_SAFE_NO_PAD.encode(request.to_string());
        Evidence::Signed { text, authorization, said: self.said.clone() }
    }

    /// The authorization that the parts make.
    pub(super) fn authorized(&self) -> String {
        let Self { day, region, service, signature, .. } = self;
        let signed: Vec<_> = self.signed.iter().map(String::as_str).collect();
        let signed = signed.join(";");
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDASSESSED/{day}/{region}/{service}/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        )
    }
}

/// The region in the name of an endpoint.
fn region(host: &str) -> &str {
    match host.split('.').nth(1) {
        Some("amazonaws") | None => "us-east-1",
        Some(region) => region,
    }
}

/// `yyyymmddThhmmssZ`.
fn date(seconds: i64) -> String {
    let text = Timestamp::from_seconds(seconds).to_string();
    let digits: String = text.chars().filter(|c| !"-:".contains(*c)).collect();
    digits.split(['.', 'Z']).next().unwrap_or_default().to_owned() + "Z"
}
