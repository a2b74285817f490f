//! Entra's token endpoint and a Key Vault, as far as the gateway uses them, on one port. Strict in the
//! same way as the fake of Google: nothing is believed that the issuer's published keys do not bear
//! out, and what is not as the interface says is refused.
//!
//! Microsoft's own clients judge whether it is faithful (`e2e/azure.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use serde_json::{Value, json};

use super::assertion::{Doubt, Expected, Witness};
use super::google::is_type;
use super::scene::Cloud;
use super::server::{Reply, Server};
use super::web::Identity;

pub(in crate::e2e) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(in crate::e2e) const CLIENT: &str = "aaaaaaaa-0000-0000-0000-bbbbbbbbbbbb";

const LOGIN: &str = "login.microsoftonline.com";
const VAULT: &str = "acme-prod.vault.azure.net";
const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";
/// The stable versions of the vault's interface.
const VERSIONS: [&str; 5] = ["7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];

#[derive(Debug)]
struct State {
    witness: Witness,
    /// A certificate and its key, in PEM.
    pem: String,
    tokens: Mutex<BTreeSet<String>>,
}

/// The services, until dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Entra {
    server: Server,
    state: Arc<State>,
}

impl Entra {
    /// The services of a tenant whose application has a federated credential for this subject.
    pub(in crate::e2e) async fn believing(subject: &str) -> Self {
        let names = [LOGIN, VAULT, "localhost", "127.0.0.1"];
        let identity = Identity::of(&names.map(str::to_owned));
        let read = |file: std::path::PathBuf| std::fs::read_to_string(file).expect("a file");
        let state = Arc::new(State {
            witness: Witness::of(Self::expected(subject)),
            pem: format!("{}{}", read(identity.key()), read(identity.certificate())),
            tokens: Mutex::default(),
        });
        let asked = state.clone();
        let server = Server::start(identity, move |head, body| asked.answer(head, body)).await;
        Self { server, state }
    }

    /// The assertion that the application's federated credential names.
    fn expected(subject: &str) -> Expected {
        let audience = "api://AzureADTokenExchange".to_owned();
        Expected { subject: subject.to_owned(), audience }
    }

    /// The gateway's configuration: the target `azure` for this client, with these lines.
    pub(in crate::e2e) fn target(&self, lines: &str, client: &str) -> String {
        format!(
            r#"
            [targets.azure]
            plugin = "azure"
            {lines}
            config = {{ tenant = "{TENANT}", client_id = "{client}" }}
            {}
            "#,
            self.server.egress("targets.azure", LOGIN, "POST", &format!("/{TENANT}/")),
        )
    }

    /// The backends `vault`, and `files`, which gives certificates as they are kept.
    pub(in crate::e2e) fn backends(&self) -> String {
        let backend = |name: &str, more: &str| {
            format!(
                r#"
                [backends.{name}]
                plugin = "azure"
                config = {{ vault = "https://{VAULT}", {more} }}
                credentials = {{ target = "azure" }}
                {}{}
                "#,
                self.server.egress(&format!("backends.{name}"), VAULT, "GET", "/secrets"),
                self.server.egress(&format!("backends.{name}"), VAULT, "GET", "/deletedsecrets"),
            )
        };
        let files = backend("files", r#"certificates = "pkcs12""#);
        format!("{}{files}", backend("vault", "tell_deleted = true"))
    }
}

impl Cloud for Entra {
    const SCRIPT: &'static str = include_str!("azure.py");

    fn witness(&self) -> &Witness {
        &self.state.witness
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn environment(&self, assertion: &Path, secret: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_TENANT_ID", TENANT.to_owned()),
            ("AZURE_CLIENT_ID", CLIENT.to_owned()),
            ("AZURE_FEDERATED_TOKEN_FILE", assertion.display().to_string()),
            ("SECRET", secret.to_owned()),
        ]
    }
}

impl State {
    fn answer(&self, head: &Parts, body: &Bytes) -> Reply {
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default().to_owned();
        let is_at = |name: &str| host == name || host.starts_with("localhost:");
        let path = head.uri.path().to_owned();
        match head.method {
            Method::POST if is_at(LOGIN) && path == format!("/{TENANT}/oauth2/v2.0/token") => {
                self.login(head, body)
            }
            Method::GET if is_at(VAULT) => self.vault(head, &host, body),
            _ => self.refuse(404, "NotFound", "another place"),
        }
    }

    fn login(&self, head: &Parts, body: &Bytes) -> Reply {
        let form = url::form_urlencoded::parse(body).into_owned().collect::<Vec<_>>();
        let mut fields: BTreeMap<_, _> = form.iter().cloned().collect();
        let is_once = fields.len() == form.len();
        // Microsoft's client says that it can deal with continuous access evaluation.
        fields.remove("claims");
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let names =
            ["client_assertion", "client_assertion_type", "client_id", "grant_type", "scope"];
        let jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let is_proper = is_type(head, "application/x-www-form-urlencoded")
            && is_once
            && fields.keys().eq(names)
            && field("grant_type") == "client_credentials"
            && field("client_assertion_type") == jwt;
        if !is_proper {
            return self.refuse_login("invalid_request", 900_144, "the form of the login");
        }
        if field("client_id") != CLIENT {
            return self.refuse_login("unauthorized_client", 700_016, "the application");
        }
        if field("scope") != "https://vault.azure.net/.default" {
            return self.refuse_login("invalid_scope", 70_011, "the scope");
        }
        if let Some(doubt) = self.witness.doubt(field("client_assertion")) {
            let number = match doubt {
                Doubt::Malformed => 50_027,
                Doubt::Signature => 700_027,
                Doubt::Time => 700_024,
                Doubt::Issuer => 700_211,
                Doubt::Audience => 700_212,
                Doubt::Subject => 700_213,
            };
            return self.refuse_login("invalid_client", number, "the assertion");
        }
        self.witness.note("logged in");
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("eyJ0eXAiOiJKV1QiLCJub.{}", tokens.len());
        tokens.insert(token.clone());
        Reply::json(&json!({
            "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token,
        }))
    }

    fn refuse_login(&self, error: &str, number: u32, what: &str) -> Reply {
        self.witness.note(format!("refused: {what}"));
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: words about {what}"),
            "error_codes": [number],
            "timestamp": "2026-11-01 10:00:00Z",
            "trace_id": "t",
            "correlation_id": "c",
        });
        Reply::refusal(if error == "invalid_client" { 401 } else { 400 }, &body)
    }

    fn refuse(&self, status: u16, code: &str, inner: &str) -> Reply {
        self.witness.note(format!("refused: {code} {inner}"));
        let mut error = json!({ "code": code, "message": format!("words about {inner}") });
        if status == 403 {
            error["innererror"] = json!({ "code": inner });
        }
        Reply::refusal(status, &json!({ "error": error }))
    }

    fn vault(&self, head: &Parts, host: &str, body: &Bytes) -> Reply {
        let bearer = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.tokens.lock().unwrap().contains(token) {
            let authority = if host == VAULT { LOGIN } else { host };
            let challenge = format!(
                r#"Bearer authorization="https://{authority}/{TENANT}", resource="https://vault.azure.net""#
            );
            let reply = self.refuse(401, "Unauthorized", "a token");
            return reply.with("www-authenticate", &challenge);
        }
        let query: BTreeMap<_, _> = head
            .uri
            .query()
            .map(|query| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
            .unwrap_or_default();
        let version = query.get("api-version").map_or("", String::as_str);
        if !VERSIONS.contains(&version) || !body.is_empty() {
            return self.refuse(400, "BadParameter", "the version of the interface");
        }
        let converts = match query.get("outContentType").map(String::as_str) {
            None => false,
            Some("application/x-pem-file") if version >= "2025" && version.len() > 3 => true,
            Some(_) => return self.refuse(400, "BadParameter", "the conversion"),
        };
        let segments: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
        match *segments {
            ["secrets"] => self.list(host, &query),
            ["secrets", name] => self.secret(host, name, NEW, converts),
            ["secrets", name, version] => self.secret(host, name, version, converts),
            ["deletedsecrets", "dropped"] => {
                Reply::json(&json!({ "recoveryId": "r", "deletedDate": 1, "attributes": {} }))
            }
            _ => self.refuse(404, "SecretNotFound", "the secret"),
        }
    }

    fn secret(&self, host: &str, name: &str, version: &str, converts: bool) -> Reply {
        if ![OLD, NEW].contains(&version) {
            return self.refuse(404, "SecretNotFound", "the version");
        }
        let id = format!("https://{host}/secrets/{name}/{version}");
        let attributes =
            |ends: u64| json!({ "enabled": true, "created": 1, "updated": 1, "exp": ends });
        let bundle = match (name, version) {
            ("db-password", OLD) => json!({ "value": "first", "contentType": "text/plain" }),
            ("db-password", _) => json!({ "value": "s3cr3t", "contentType": "text/plain",
                "attributes": attributes(4_000_000_000), "tags": { "env": "prod" } }),
            ("expired", _) => json!({ "value": "old", "attributes": attributes(1_600_000_000) }),
            ("web-pem", _) => json!({ "value": self.pem, "managed": true, "kid": "k",
                "contentType": "application/x-pem-file", "attributes": attributes(4_000_000_000) }),
            ("web-pfx", _) if converts => json!({ "value": self.pem, "managed": true, "kid": "k",
                "contentType": "application/x-pem-file" }),
            ("web-pfx", _) => json!({ "value": "MIIK", "managed": true, "kid": "k",
                "contentType": "application/x-pkcs12" }),
            ("disabled", _) => return self.refuse(403, "Forbidden", "SecretDisabled"),
            ("not-ours", _) => return self.refuse(403, "Forbidden", "ForbiddenByRbac"),
            ("walled", _) => return self.refuse(403, "Forbidden", "ForbiddenByFirewall"),
            ("busy", _) => {
                let reply = self.refuse(429, "Throttled", "the rate");
                return reply.with("retry-after", "60");
            }
            _ => return self.refuse(404, "SecretNotFound", "the secret"),
        };
        self.witness.note(format!("read {name}"));
        let Value::Object(mut bundle) = bundle else { unreachable!("an object") };
        bundle.insert("id".to_owned(), json!(id));
        Reply::json(&Value::Object(bundle))
    }

    fn list(&self, host: &str, query: &BTreeMap<String, String>) -> Reply {
        self.witness.note("listed");
        let named = |name: &str| json!({ "id": format!("https://{host}/secrets/{name}"), "attributes": {} });
        let page = match query.get("$skiptoken").map(String::as_str) {
            None => {
                let next =
                    format!("https://{host}/secrets?api-version=7.6&$skiptoken=eyJ&maxresults=25");
                json!({ "value": [named("db-password"), named("disabled")], "nextLink": next })
            }
            Some("eyJ") => json!({ "value": [named("web-pem")], "nextLink": null }),
            Some(_) => return self.refuse(400, "BadParameter", "the page"),
        };
        Reply::json(&page)
    }
}
