//! Google's Security Token Service, IAM Credentials and Secret Manager, as far as the gateway uses
//! them, on one port. Strict: an assertion is verified by the keys that its issuer publishes, a token
//! is one that was given here and for this, and a request that is not as Google's interface says is
//! refused and remembered.
//!
//! Google's own clients judge whether it is faithful (`e2e/google.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use serde_json::{Value, json};

use super::assertion::{Doubt, Expected, Witness};
use super::scene::Cloud;
use super::server::{Reply, Server};
use super::web::Identity;

pub(in crate::e2e) const PROVIDER: &str =
    "projects/837509470220/locations/global/workloadIdentityPools/gw-pool/providers/symbolon";
pub(in crate::e2e) const ACCOUNT: &str = "billing@acme-prod.iam.gserviceaccount.com";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const IAM: &str = "https://www.googleapis.com/auth/iam";

const STS: &str = "sts.googleapis.com";
const CREDENTIALS: &str = "iamcredentials.googleapis.com";
const SECRETS: &str = "secretmanager.googleapis.com";
const REGIONAL: &str = "secretmanager.europe-west3.rep.googleapis.com";

/// Versions of the secrets of the project, oldest first: state, and value with its checksum.
type Versions = &'static [(&'static str, &'static [u8], u32)];
const STORED: &[(&str, Versions)] = &[
    (
        "db-password",
        &[
            ("ENABLED", b"123456789", 3_808_858_755),
            ("DISABLED", b"", 0),
            ("DESTROYED", b"", 0),
            ("ENABLED", b"hunter2", 1_736_498_283),
        ],
    ),
    ("damaged", &[("ENABLED", b"hunter3", 1_736_498_283)]),
    ("not-ours", &[]),
];

/// A token that was given: what it is good for, and whose it is.
#[derive(Clone, Debug)]
struct Given {
    scopes: Vec<String>,
    is_account: bool,
}

#[derive(Debug)]
struct State {
    witness: Witness,
    tokens: Mutex<BTreeMap<String, Given>>,
}

/// The services, until dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Google {
    server: Server,
    state: Arc<State>,
}

impl Google {
    /// The services of a project whose provider believes assertions of this subject.
    pub(in crate::e2e) async fn believing(subject: &str) -> Self {
        let names = [STS, CREDENTIALS, SECRETS, REGIONAL, "localhost", "127.0.0.1"];
        let identity = Identity::of(&names.map(str::to_owned));
        let witness = Witness::of(Self::expected(subject));
        let state = Arc::new(State { witness, tokens: Mutex::default() });
        let asked = state.clone();
        let server = Server::start(identity, move |head, body| asked.answer(head, body)).await;
        Self { server, state }
    }

    /// The assertion that the provider believes.
    fn expected(subject: &str) -> Expected {
        let audience = format!("https://iam.googleapis.com/{PROVIDER}");
        Expected { subject: subject.to_owned(), audience }
    }

    /// The line of a target that says for whom its assertions are.
    pub(in crate::e2e) fn audience() -> String {
        format!("audience = \"https://iam.googleapis.com/{PROVIDER}\"")
    }

    /// The gateway's configuration: a target, with these lines and `more` keys of its `config`.
    pub(in crate::e2e) fn target(&self, name: &str, lines: &str, more: &str) -> String {
        let of = format!("targets.{name}");
        format!(
            r#"
            [{of}]
            plugin = "gcp"
            {lines}
            config = {{ provider = "{PROVIDER}", {more} }}
            {}{}
            "#,
            self.egress(&of, STS, "POST", "/v1/token"),
            self.egress(&of, CREDENTIALS, "POST", "/v1/projects/-/serviceAccounts/"),
        )
    }

    /// A backend that reads with tokens of `target`.
    pub(in crate::e2e) fn backend(&self, name: &str, target: &str) -> String {
        self.store(name, target, "", SECRETS)
    }

    /// A backend that reads secrets of a region with tokens of `target`.
    pub(in crate::e2e) fn regional(&self, name: &str, target: &str) -> String {
        self.store(name, target, ", location = \"europe-west3\"", REGIONAL)
    }

    fn store(&self, name: &str, target: &str, more: &str, host: &str) -> String {
        format!(
            r#"
            [backends.{name}]
            plugin = "gcp"
            config = {{ project = "acme-prod"{more} }}
            credentials = {{ target = "{target}" }}
            {}
            "#,
            self.egress(&format!("backends.{name}"), host, "GET", "/v1/projects/acme-prod/"),
        )
    }

    fn egress(&self, of: &str, host: &str, method: &str, prefix: &str) -> String {
        self.server.egress(of, host, method, prefix)
    }
}

impl Cloud for Google {
    const SCRIPT: &'static str = include_str!("google.py");

    fn witness(&self) -> &Witness {
        &self.state.witness
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn environment(&self, assertion: &Path, secret: &str) -> Vec<(&'static str, String)> {
        let credential = json!({
            "type": "external_account",
            "audience": format!("//iam.googleapis.com/{PROVIDER}"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("https://{STS}/v1/token"),
            "service_account_impersonation_url":
                format!("https://{CREDENTIALS}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"),
            "credential_source": { "file": assertion },
        });
        vec![
            ("CREDENTIAL", credential.to_string()),
            ("SECRET", format!("projects/acme-prod/secrets/{secret}")),
            ("NO_GCE_CHECK", "true".to_owned()),
        ]
    }
}

impl State {
    fn answer(&self, head: &Parts, body: &Bytes) -> Reply {
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default().to_owned();
        let is_at = |name: &str| host == name || host.starts_with("localhost:");
        let path = head.uri.path();
        let account = path.strip_prefix("/v1/projects/-/serviceAccounts/");
        match (&head.method, account) {
            (&Method::POST, _) if is_at(STS) && path == "/v1/token" => self.exchange(head, body),
            (&Method::POST, Some(rest)) if is_at(CREDENTIALS) => self.impersonate(head, rest, body),
            (&Method::GET, None) if is_at(SECRETS) => {
                self.secrets(head, "/v1/projects/acme-prod/secrets", body)
            }
            (&Method::GET, None) if is_at(REGIONAL) => {
                self.secrets(head, "/v1/projects/acme-prod/locations/europe-west3/secrets", body)
            }
            (_, _) => self.refuse(404, "NOT_FOUND", "another place"),
        }
    }

    /// As `google.rpc` has it.
    fn refuse(&self, status: u16, code: &str, what: &str) -> Reply {
        self.witness.note(format!("refused: {what}"));
        let error =
            json!({ "code": status, "message": format!("words about {what}"), "status": code });
        Reply::refusal(status, &json!({ "error": error }))
    }

    fn refuse_exchange(&self, error: &str, what: &str) -> Reply {
        self.witness.note(format!("refused: {what}"));
        let body = json!({ "error": error, "error_description": format!("words about {what}") });
        Reply::refusal(400, &body)
    }

    fn exchange(&self, head: &Parts, body: &Bytes) -> Reply {
        let form = url::form_urlencoded::parse(body).into_owned().collect::<Vec<_>>();
        let fields: BTreeMap<_, _> = form.iter().cloned().collect();
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let names = [
            "audience",
            "grant_type",
            "requested_token_type",
            "scope",
            "subject_token",
            "subject_token_type",
        ];
        let token_type = |kind: &str| format!("urn:ietf:params:oauth:token-type:{kind}");
        let is_form = is_type(head, "application/x-www-form-urlencoded");
        let is_proper = is_form
            && form.len() == names.len()
            && fields.keys().eq(names)
            && !head.headers.contains_key(header::AUTHORIZATION)
            && field("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
            && field("requested_token_type") == token_type("access_token")
            && field("subject_token_type") == token_type("jwt");
        if !is_proper {
            return self.refuse_exchange("invalid_request", "the form of the exchange");
        }
        if field("audience") != format!("//iam.googleapis.com/{PROVIDER}") {
            return self.refuse_exchange("invalid_target", "the provider");
        }
        let scopes: Vec<String> = field("scope").split(' ').map(str::to_owned).collect();
        if !scopes.iter().all(|scope| [CLOUD_PLATFORM, IAM].contains(&scope.as_str())) {
            return self.refuse_exchange("invalid_scope", "the scope");
        }
        if let Some(doubt) = self.witness.doubt(field("subject_token")) {
            // Whom the issuer vouches for is believed, and may still be nobody here.
            let error =
                if doubt == Doubt::Subject { "unauthorized_client" } else { "invalid_grant" };
            return self.refuse_exchange(error, "the assertion");
        }
        self.witness.note("federated");
        Reply::json(&json!({
            "access_token": self.give("ya29.d.", Given { scopes, is_account: false }),
            "issued_token_type": token_type("access_token"),
            "token_type": "Bearer",
            "expires_in": 3599,
        }))
    }

    fn impersonate(&self, head: &Parts, rest: &str, body: &Bytes) -> Reply {
        let Some(given) = self.bearer(head) else {
            return self.refuse(401, "UNAUTHENTICATED", "the token");
        };
        if given.is_account || rest != format!("{ACCOUNT}:generateAccessToken") {
            return self.refuse(403, "PERMISSION_DENIED", "the account");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let scopes = body["scope"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let scopes: Vec<String> = scopes.map(str::to_owned).collect();
        let lifetime = body["lifetime"].as_str().and_then(|text| text.strip_suffix('s'));
        let lifetime = lifetime.and_then(|seconds| seconds.parse::<u64>().ok());
        let fits = lifetime.is_some_and(|seconds| (1..=3600).contains(&seconds))
            && is_type(head, "application/json")
            && !scopes.is_empty();
        if !fits {
            return self.refuse(400, "INVALID_ARGUMENT", "the lifetime or the scopes");
        }
        self.witness.note("impersonated");
        Reply::json(&json!({
            "accessToken": self.give("ya29.c.", Given { scopes, is_account: true }),
            "expireTime": "2099-01-01T00:00:00Z",
        }))
    }

    fn give(&self, prefix: &str, given: Given) -> String {
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("{prefix}{}", tokens.len());
        tokens.insert(token.clone(), given);
        token
    }

    fn bearer(&self, head: &Parts) -> Option<Given> {
        let value = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        self.tokens.lock().unwrap().get(value.strip_prefix("Bearer ")?).cloned()
    }

    fn secrets(&self, head: &Parts, parent: &str, body: &Bytes) -> Reply {
        let Some(given) = self.bearer(head) else {
            return self.refuse(401, "UNAUTHENTICATED", "the token");
        };
        if !given.scopes.iter().any(|scope| scope == CLOUD_PLATFORM) {
            return self.refuse(403, "PERMISSION_DENIED", "the token's scope");
        }
        let path = head.uri.path();
        let Some(rest) = path.strip_prefix(parent).filter(|_| body.is_empty()) else {
            return self.refuse(403, "PERMISSION_DENIED", "the project");
        };
        let query = head.uri.query().unwrap_or_default();
        if rest.is_empty() {
            return self.list(query);
        }
        // What Google's client adds.
        if !["", "%24alt=json%3Benum-encoding%3Dint"].contains(&query) {
            return self.refuse(400, "INVALID_ARGUMENT", "the query");
        }
        let found = rest.strip_prefix('/').and_then(|rest| rest.split_once("/versions/"));
        let Some((name, version)) = found else {
            return self.refuse(404, "NOT_FOUND", "the path");
        };
        self.version(name, version)
    }

    fn version(&self, name: &str, version: &str) -> Reply {
        let Some((_, versions)) = STORED.iter().find(|(stored, _)| *stored == name) else {
            return self.refuse(404, "NOT_FOUND", "the secret");
        };
        if name == "not-ours" {
            return self.refuse(403, "PERMISSION_DENIED", "the secret");
        }
        let (version, access) = match version.strip_suffix(":access") {
            Some(version) => (version, true),
            None => (version, false),
        };
        let number = match version {
            "latest" => versions.len(),
            "first" => 1,
            number => number.parse().unwrap_or_default(),
        };
        let Some((state, value, checksum)) = number.checked_sub(1).and_then(|at| versions.get(at))
        else {
            return self.refuse(404, "NOT_FOUND", "the version");
        };
        let full = format!("projects/837509470220/secrets/{name}/versions/{number}");
        if !access {
            self.witness.note("described");
            return Reply::json(&json!({ "name": full, "state": state }));
        }
        if *state != "ENABLED" {
            return self.refuse(400, "FAILED_PRECONDITION", "the state");
        }
        self.witness.note(format!("read {name} {number}"));
        let payload = json!({ "data": STANDARD.encode(value), "dataCrc32c": checksum.to_string() });
        Reply::json(&json!({ "name": full, "payload": payload }))
    }

    /// Two to a page, whatever is asked for.
    fn list(&self, query: &str) -> Reply {
        let pairs: BTreeMap<_, _> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let at = match pairs.get("pageToken").map(String::as_str) {
            None => 0,
            Some("page/2=") => 2,
            Some(_) => return self.refuse(400, "INVALID_ARGUMENT", "the page"),
        };
        self.witness.note("listed");
        let names =
            STORED.iter().skip(at).take(2).map(
                |(name, _)| json!({ "name": format!("projects/837509470220/secrets/{name}") }),
            );
        let mut page = json!({ "secrets": names.collect::<Vec<_>>(), "totalSize": STORED.len() });
        if at == 0 {
            page["nextPageToken"] = json!("page/2=");
        }
        Reply::json(&page)
    }
}

/// Whether a body is said to be of this media type.
pub(super) fn is_type(head: &Parts, media_type: &str) -> bool {
    let value = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(';').next() == Some(media_type))
}
