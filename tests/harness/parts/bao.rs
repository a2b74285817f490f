//! A real OpenBao over TLS, with a KV version 2 engine at `secret/`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Gateway, ORIGIN};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::process::{Process, free_port, part, until};
use super::web::{Identity, Web};

/// The name under which the gateway knows it; only `resolve` says where that is.
pub const HOST: &str = "bao.example.test";
/// The audience of assertions to it.
pub const AUDIENCE: &str = "https://bao.example.test";

/// A server, unsealed.
#[derive(Debug)]
pub struct Bao {
    process: Option<Process>,
    port: u16,
    identity: Identity,
    web: Web,
    root: String,
    unseal: String,
}

impl Bao {
    /// Starts, initialises and unseals one.
    pub async fn start() -> Self {
        Self::with(|_| String::new()).await
    }

    /// The same, with a file for its audit beside its storage, which is raft's, on the disk.
    pub async fn audited() -> Self {
        let file = |directory: &Path| directory.join("audit.log").display().to_string();
        let block =
            |path| format!("audit \"file\" \"file\" {{ options {{ file_path = \"{path}\" }} }}");
        Self::with(|directory| block(file(directory))).await
    }

    /// With more blocks of its configuration, which may name its directory.
    async fn with(blocks: impl FnOnce(&Path) -> String) -> Self {
        let (port, identity) = (free_port(), Identity::new(HOST));
        let directory = identity.directory();
        let blocks = blocks(directory);
        let config = format!(
            r#"
            api_addr = "https://localhost:{port}"
            cluster_addr = "https://127.0.0.1:{cluster}"
            storage "raft" {{
              path = "{directory}/data"
              node_id = "only"
            }}
            listener "tcp" {{
              address = "127.0.0.1:{port}"
              tls_cert_file = "{certificate}"
              tls_key_file = "{key}"
            }}
            {blocks}
            "#,
            cluster = free_port(),
            directory = directory.display(),
            certificate = identity.certificate().display(),
            key = identity.key().display(),
        );
        std::fs::create_dir(directory.join("data")).expect("a directory");
        std::fs::write(directory.join("bao.hcl"), config).expect("bao.hcl");
        let web = Web::new(port, &identity.certificate());
        let (root, unseal) = (String::new(), String::new());
        let mut bao = Self { process: None, port, identity, web, root, unseal };
        bao.run().await;
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let keys = bao.expect(Method::PUT, "/v1/sys/init", &shares).await;
        bao.root = text(&keys["root_token"]);
        bao.unseal = text(&keys["keys"][0]);
        bao.unseal().await;
        let kv = json!({ "type": "kv", "options": { "version": "2" } });
        bao.expect(Method::POST, "/v1/sys/mounts/secret", &kv).await;
        bao
    }

    /// Where it listens, over TLS, with the certificate `tls.pem` of its directory.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.identity.directory()
    }

    async fn run(&mut self) {
        let mut command = Command::new(part("SYMBOLON_BAO"));
        command.arg("server").arg(format!("-config={}", self.file("bao.hcl").display()));
        self.process = Some(Process::start(&mut command, &self.file("bao.log")));
        let asked = async || self.call(Method::GET, "/v1/sys/health", &Value::Null).await.ok();
        self.until(asked).await;
    }

    /// Waits for an answer of a server that has to be running.
    async fn until<T>(&self, ready: impl AsyncFn() -> Option<T>) -> T {
        until(&self.file("bao.log"), self.process.as_ref(), ready).await
    }

    async fn unseal(&self) {
        let key = json!({ "key": self.unseal });
        self.expect(Method::PUT, "/v1/sys/unseal", &key).await;
        let active = async || {
            let health = self.call(Method::GET, "/v1/sys/health", &Value::Null).await;
            health.ok().filter(|(status, _)| *status == StatusCode::OK)
        };
        self.until(active).await;
    }

    /// Kills it. What it holds stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub async fn resume(&mut self) {
        self.run().await;
        self.unseal().await;
    }

    /// Seals it: it runs, and gives nothing.
    pub async fn seal(&self) {
        self.expect(Method::PUT, "/v1/sys/seal", &json!({})).await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.identity.directory().join(name)
    }

    /// Asks as root.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), symbolon_host::egress::EgressError> {
        self.call_as(&self.root, method, path, body).await
    }

    async fn call_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), symbolon_host::egress::EgressError> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path);
        let request = request.header("x-vault-token", token).body(body).expect("a request");
        let response = self.web.send(request).await?;
        let json = serde_json::from_slice(response.body()).unwrap_or_default();
        Ok((response.status(), json))
    }

    /// Asks as root; anything but success is a fault of the test.
    pub async fn expect(&self, method: Method, path: &str, body: &Value) -> Value {
        // A new KV engine answers 400 while it upgrades itself, for some milliseconds.
        let asked = async || {
            let (status, json) = self.call(method.clone(), path, body).await.expect("an answer");
            let upgrading = json.to_string().contains("Upgrading from non-versioned");
            assert!(status.is_success() || upgrading, "{path}: {status} {json}");
            status.is_success().then_some(json)
        };
        self.until(asked).await
    }

    /// Writes a version of a secret.
    pub async fn put(&self, path: &str, data: &Value) {
        let path = format!("/v1/secret/data/{path}");
        self.expect(Method::POST, &path, &json!({ "data": data })).await;
    }

    /// Accessors of the tokens that logins of the gateway gave and that are still good.
    pub async fn logins(&self) -> Vec<String> {
        let path = "/v1/auth/token/accessors?list=true";
        let keys = self.expect(Method::GET, path, &Value::Null).await["data"]["keys"].clone();
        let mut logins = Vec::new();
        for accessor in keys.as_array().expect("a list").iter().map(text) {
            let asked = json!({ "accessor": accessor });
            let path = "/v1/auth/token/lookup-accessor";
            let token = self.expect(Method::POST, path, &asked).await;
            if token["data"]["path"] == "auth/symbolon/login" {
                logins.push(accessor);
            }
        }
        logins
    }

    /// Revokes every token that logins of the gateway gave.
    pub async fn revoke_logins(&self) {
        for accessor in self.logins().await {
            let asked = json!({ "accessor": accessor });
            self.expect(Method::POST, "/v1/auth/token/revoke-accessor", &asked).await;
        }
    }

    /// Makes it believe `gateway`'s assertions, by the URL of its key set.
    pub async fn trust(&self, gateway: &Gateway) {
        let (port, issuer) = (gateway.address.port(), ORIGIN);
        let pem = std::fs::read_to_string(gateway.directory.path().join("tls.pem"));
        self.trust_by(&json!({
            "jwks_url": format!("https://localhost:{port}/assertions/.well-known/jwks.json"),
            "jwks_ca_pem": pem.expect("tls.pem"),
            "bound_issuer": format!("{issuer}/assertions"),
        }))
        .await;
    }

    /// Makes it believe assertions by this configuration of its `jwt` method, and permits whom it
    /// believes to read what is below `secret/app`.
    pub async fn trust_by(&self, config: &Value) {
        self.expect(Method::POST, "/v1/sys/auth/symbolon", &json!({ "type": "jwt" })).await;
        self.expect(Method::POST, "/v1/auth/symbolon/config", config).await;
        let policy = r#"
            path "secret/data/app/*" { capabilities = ["read"] }
            path "secret/metadata/app/*" { capabilities = ["list"] }
        "#;
        let policy = json!({ "policy": policy });
        self.expect(Method::PUT, "/v1/sys/policies/acl/app", &policy).await;
        self.role("gateway", &["app"]).await;
    }

    /// A role of its `jwt` method, for the gateway's own name only.
    pub async fn role(&self, name: &str, policies: &[&str]) {
        let role = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [AUDIENCE],
            "bound_subject": "gateway:bao",
            "token_policies": policies,
            "token_ttl": "10m",
        });
        self.expect(Method::POST, &format!("/v1/auth/symbolon/role/{name}"), &role).await;
    }

    /// Makes it an issuer of tokens signed by `algorithm`, and answers one for each audience, of a user
    /// `name`, who is made.
    pub async fn issue(&self, algorithm: &str, audiences: [&str; 2], name: &str) -> [String; 2] {
        let config = json!({ "issuer": format!("https://localhost:{}", self.port) });
        self.expect(Method::POST, "/v1/identity/oidc/config", &config).await;
        let key = json!({ "algorithm": algorithm, "allowed_client_ids": ["*"] });
        self.expect(Method::POST, "/v1/identity/oidc/key/workloads", &key).await;
        let rules = r#"path "identity/oidc/token/*" { capabilities = ["read"] }"#;
        let rules = json!({ "policy": rules });
        self.expect(Method::PUT, "/v1/sys/policies/acl/workloads", &rules).await;
        let entity = json!({ "name": name, "policies": ["workloads"] });
        let entity = self.expect(Method::POST, "/v1/identity/entity", &entity).await;
        let user = self.login(name, &text(&entity["data"]["id"])).await;
        let [ours, other] = audiences;
        [
            self.identity_token(&user, "ours", ours).await,
            self.identity_token(&user, "other", other).await,
        ]
    }

    /// A signed token for `audience` of who holds `user`, by a role of its own.
    async fn identity_token(&self, user: &str, role: &str, audience: &str) -> String {
        let template = r#"{ "workload": {{identity.entity.name}} }"#;
        let asked = json!({
            "key": "workloads", "client_id": audience, "ttl": "5m", "template": template,
        });
        self.expect(Method::POST, &format!("/v1/identity/oidc/role/{role}"), &asked).await;
        let path = format!("/v1/identity/oidc/token/{role}");
        let said = self.call_as(user, Method::GET, &path, &Value::Null).await;
        text(&said.expect("an answer").1["data"]["token"])
    }

    /// A token of its own for a user who is this entity.
    async fn login(&self, name: &str, entity: &str) -> String {
        let kind = json!({ "type": "userpass" });
        self.expect(Method::POST, "/v1/sys/auth/userpass", &kind).await;
        let password = json!({ "password": "a long password" });
        self.expect(Method::POST, &format!("/v1/auth/userpass/users/{name}"), &password).await;
        let methods = self.expect(Method::GET, "/v1/sys/auth", &Value::Null).await;
        let accessor = text(&methods["userpass/"]["accessor"]);
        let alias = json!({ "name": name, "canonical_id": entity, "mount_accessor": accessor });
        self.expect(Method::POST, "/v1/identity/entity-alias", &alias).await;
        let login = format!("/v1/auth/userpass/login/{name}");
        text(&self.expect(Method::POST, &login, &password).await["auth"]["client_token"])
    }

    /// The gateway's configuration for it as the issuer `bao` of tokens signed by `algorithm`.
    pub fn issuer(&self, algorithm: &str) -> String {
        format!(
            r#"
            [issuers.bao]
            issuer = "https://localhost:{port}/v1/identity/oidc"
            keys = {{ discovery = true }}
            algorithms = ["{algorithm}"]
            ca = "{ca}"
            addresses = ["127.0.0.0/8"]
            resolve = {{ "localhost" = "127.0.0.1:{port}" }}

            [issuers.bao.attributes]
            workload = {{ claim = "/workload", required = true }}
            "#,
            port = self.port,
            ca = self.identity.certificate().display(),
        )
    }

    /// What the holder of `token` reads at `path` of the KV engine.
    pub async fn read_as(&self, token: &str, path: &str) -> (StatusCode, Value) {
        let path = format!("/v1/secret/data/{path}");
        let answer = self.call_as(token, Method::GET, &path, &Value::Null).await;
        let (status, json) = answer.expect("an answer");
        let read = if status.is_success() { &json["data"]["data"] } else { &json["errors"] };
        (status, read.clone())
    }

    /// A role `callers` for whoever an assertion names, and for each `name` the right to read what lies
    /// under it, and that alone.
    pub async fn callers(&self, names: &[&str]) {
        let role = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [AUDIENCE],
            "token_ttl": "10m",
        });
        self.expect(Method::POST, "/v1/auth/symbolon/role/callers", &role).await;
        let methods = self.expect(Method::GET, "/v1/sys/auth", &Value::Null).await;
        let accessor = text(&methods["symbolon/"]["accessor"]);
        for name in names {
            let rules =
                format!(r#"path "secret/data/callers/{name}" {{ capabilities = ["read"] }}"#);
            let policy = format!("/v1/sys/policies/acl/reads-{name}");
            self.expect(Method::PUT, &policy, &json!({ "policy": rules })).await;
            let entity = json!({ "name": name, "policies": [format!("reads-{name}")] });
            let entity = self.expect(Method::POST, "/v1/identity/entity", &entity).await;
            let alias = json!({
                "name": format!("test/{name}"),
                "canonical_id": text(&entity["data"]["id"]),
                "mount_accessor": accessor,
            });
            self.expect(Method::POST, "/v1/identity/entity-alias", &alias).await;
        }
    }

    /// The gateway's configuration for it: the target `bao`, logging in as `role`, and the backend
    /// `kv`, whose credential that target is.
    pub fn blocks(&self, role: &str) -> String {
        let (port, ca) = (self.port, self.identity.certificate());
        let egress = |of: &str, methods: &str, prefix: &str| {
            format!(
                r#"
                [[{of}.egress]]
                host = "{HOST}"
                port = {port}
                methods = {methods}
                path_prefix = "{prefix}"
                ca = "{ca}"
                addresses = ["127.0.0.0/8"]
                resolve = {{ "{HOST}" = "127.0.0.1:{port}" }}
                "#,
                ca = ca.display(),
            )
        };
        format!(
            r#"
            [targets.bao]
            plugin = "vault"
            audience = "{AUDIENCE}"
            config = {{ address = "https://{HOST}:{port}", role = "{role}", auth_mount = "symbolon" }}
            {login}
            [backends.kv]
            plugin = "vault"
            config = {{ address = "https://{HOST}:{port}" }}
            credentials = {{ target = "bao" }}
            {read}
            "#,
            login = egress("targets.bao", r#"["POST"]"#, "/v1/auth/symbolon/"),
            read = egress("backends.kv", r#"["GET"]"#, "/v1/secret/"),
        )
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
