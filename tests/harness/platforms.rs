//! The tokens of each platform, as `wire-formats.md` §1 has them: one sample a platform, with the
//! block that accepts it, whom it proves, and a condition of a policy that it fulfils.
//!
//! Everybody who needs a platform's claims takes them from here: attacks, generators of what must be
//! denied, examples.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One platform's tokens.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    /// The alias of its issuer in tests.
    pub alias: &'static str,
    /// The profile.
    pub profile: &'static str,
    /// The issuer.
    pub issuer: &'static str,
    /// More lines of the issuer's block.
    pub lines: &'static str,
    /// The algorithm of the sample.
    pub algorithm: &'static str,
    /// `typ` of the sample's header, if there is one.
    pub media_type: Option<&'static str>,
    /// The claims, with dates relative to now and `"AUDIENCE"` for the audience.
    claims: &'static str,
    /// The subject of the principal.
    pub subject: &'static str,
    /// A condition on the principal's attributes that the sample fulfils.
    pub condition: &'static str,
}

/// The sample of a cluster of Kubernetes.
///
/// # Panics
/// Never: it is among [`PLATFORMS`].
#[must_use]
pub fn cluster() -> &'static Platform {
    PLATFORMS.iter().find(|platform| platform.alias == "kubernetes").expect("a cluster")
}

/// The status of a `TokenReview` by which a cluster vouches for that sample, for `audience`.
#[must_use]
pub fn vouched(audience: &str) -> Value {
    json!({
        "authenticated": true,
        "user": {
            "username": "system:serviceaccount:billing:api",
            "uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "extra": {
                "authentication.kubernetes.io/pod-name": ["api-7b94444f8d-hws2b"],
                "authentication.kubernetes.io/pod-uid": ["778a530c-b3f4-47c0-9cd5-ab018fb64f33"],
                "authentication.kubernetes.io/node-name": ["node-1"],
                "authentication.kubernetes.io/node-uid": ["58456cb0-dd00-45ed-b797-5578fdceaced"],
            },
        },
        "audiences": [audience],
    })
}

impl Platform {
    /// The claims of a good token, issued at `now` (seconds) for `audience`.
    #[must_use]
    pub fn claims(&self, audience: &str, now: i64) -> Value {
        let text = self.claims.replace("AUDIENCE", audience).replace("ISSUER", self.issuer);
        let mut claims: Value = serde_json::from_str(&text).expect("claims");
        for name in ["iat", "nbf", "exp"] {
            if let Some(date) = claims.get_mut(name) {
                *date = json!(now + date.as_i64().expect("seconds"));
            }
        }
        claims
    }

    /// The header of a good token, signed by [`Signer`].
    #[must_use]
    pub fn header(&self) -> Value {
        let mut header = json!({ "alg": self.algorithm, "kid": self.algorithm });
        if let Some(media_type) = self.media_type {
            header["typ"] = json!(media_type);
        }
        header
    }

    /// The block of its issuer, with the keys of `signer` in it.
    #[must_use]
    pub fn block(&self, signer: &Signer) -> String {
        format!(
            "\n[issuers.{}]\nprofile = \"{}\"\nissuer = \"{}\"\nkeys = {{ inline = {} }}\n{}\n",
            self.alias,
            self.profile,
            self.issuer,
            signer.inline(self.profile),
            self.lines,
        )
    }

    /// A policy that lets the sample do anything, by its attributes.
    #[must_use]
    pub fn policy(&self) -> String {
        format!(
            "@id(\"{0}\")\npermit (principal in Issuer::\"{0}\", action, resource)\nwhen {{ {1} }};\n",
            self.alias, self.condition
        )
    }
}

/// Keys of every kind that platforms sign with. `kid` is the algorithm.
#[derive(Debug)]
pub struct Signer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
}

impl Default for Signer {
    fn default() -> Self {
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).expect("a key");
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
            p256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
        }
    }
}

impl Signer {
    /// The key set, or bundle of SPIFFE.
    #[must_use]
    pub fn key_set(&self, profile: &str) -> Value {
        let purpose = if profile == "spiffe" { "jwt-svid" } else { "sig" };
        let modulus = self.rsa.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let modulus = URL_SAFE_NO_PAD.encode(modulus);
        let mut keys = vec![
            json!({ "kty": "RSA", "kid": "RS256", "use": purpose, "n": modulus, "e": "AQAB" }),
        ];
        for (kid, curve, pair) in [("ES256", "P-256", &self.p256), ("ES384", "P-384", &self.p384)] {
            let (x, y) = coordinates(pair);
            keys.push(
                json!({ "kty": "EC", "kid": kid, "use": purpose, "crv": curve, "x": x, "y": y }),
            );
        }
        json!({ "keys": keys })
    }

    /// The key set as an inline table of the configuration.
    #[must_use]
    pub fn inline(&self, profile: &str) -> String {
        toml_of(&self.key_set(profile))
    }

    /// Signs as `algorithm` demands; anything but the names of our keys is signed with RSA.
    #[must_use]
    pub fn sign(&self, algorithm: &str, message: &str) -> String {
        let random = SystemRandom::new();
        let signature = match algorithm {
            "ES256" => {
                self.p256.sign(&random, message.as_bytes()).expect("a signature").as_ref().to_vec()
            }
            "ES384" => {
                self.p384.sign(&random, message.as_bytes()).expect("a signature").as_ref().to_vec()
            }
            _ => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let message = message.as_bytes();
                let signed = self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.expect("a signature");
                signature
            }
        };
        URL_SAFE_NO_PAD.encode(signature)
    }

    /// A token of this header and these claims.
    #[must_use]
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(header["alg"].as_str().unwrap_or_default(), &message);
        format!("{message}.{signature}")
    }
}

fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

/// JSON as an inline value of TOML: strings, numbers, lists and tables are written alike.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| format!("{name} = {}", toml_of(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// A service account's claims, as every cluster makes them.
const SERVICE_ACCOUNT: &str = r#"{
    "aud": ["AUDIENCE"], "exp": 600, "iat": 0, "nbf": 0, "iss": "ISSUER",
    "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
    "kubernetes.io": {
        "namespace": "billing",
        "node": { "name": "node-1", "uid": "58456cb0-dd00-45ed-b797-5578fdceaced" },
        "pod": { "name": "api-7b94444f8d-hws2b", "uid": "778a530c-b3f4-47c0-9cd5-ab018fb64f33" },
        "serviceaccount": { "name": "api", "uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af" },
        "warnafter": 1793523607
    },
    "sub": "system:serviceaccount:billing:api"
}"#;
const API: &str = "system:serviceaccount:billing:api";
const IN_BILLING: &str =
    "principal has kubernetes.namespace && principal.kubernetes.namespace == \"billing\"";

/// Every platform whose proof is a token.
pub const PLATFORMS: [Platform; 11] = [
    Platform {
        alias: "aws",
        profile: "aws",
        issuer: "https://a103a2cc-b461-473d-84fe-6c4f6d45af88.tokens.sts.global.api.aws",
        lines: r#"owners = [{ claim = "/https:~1~1sts.amazonaws.com~1/aws_account", values = ["123456789012"] }]"#,
        algorithm: "ES384",
        media_type: Some("JWT"),
        claims: r#"{
            "iss": "ISSUER", "aud": "AUDIENCE",
            "sub": "arn:aws:iam::123456789012:role/DataProcessingRole",
            "iat": 0, "exp": 300, "jti": "7d0e7b4a-9fbb-4a55-9c39-6f1b6c6d3b59",
            "https://sts.amazonaws.com/": {
                "aws_account": "123456789012", "source_region": "eu-west-1",
                "org_id": "o-abc1234567", "ou_path": "o-abc1234567/r-ab12/ou-ab12-11111111/",
                "principal_tags": { "team": "billing" },
                "lambda_source_function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:job",
                "request_tags": { "job-id": "42" }
            }
        }"#,
        subject: "arn:aws:iam::123456789012:role/DataProcessingRole",
        condition: "principal has aws.account && principal.aws.account == \"123456789012\"",
    },
    Platform {
        alias: "eks",
        profile: "aws",
        issuer: "https://oidc.eks.us-east-2.amazonaws.com/id/2F331C82755EF3E43731C8D6E299FAEF",
        lines: "",
        algorithm: "RS256",
        media_type: None,
        claims: SERVICE_ACCOUNT,
        subject: API,
        condition: IN_BILLING,
    },
    Platform {
        alias: "google",
        profile: "gcp",
        issuer: "https://accounts.google.com",
        lines: r#"owners = [{ claim = "/google/compute_engine/project_id", values = ["acme-prod"] }]"#,
        algorithm: "RS256",
        media_type: Some("JWT"),
        claims: r#"{
            "aud": "AUDIENCE", "azp": "112179062720391305885",
            "email": "837509470220-compute@developer.gserviceaccount.com", "email_verified": true,
            "exp": 3600, "iat": 0,
            "google": { "compute_engine": {
                "instance_confidentiality": 1, "instance_creation_timestamp": 1793500000,
                "instance_id": "2407269007706814584", "instance_name": "iam-1",
                "project_id": "acme-prod", "project_number": 837509470220,
                "zone": "us-central1-a"
            } },
            "iss": "ISSUER", "sub": "112179062720391305885"
        }"#,
        subject: "112179062720391305885",
        condition: "principal has gcp.project_number && principal.gcp.project_number == 837509470220",
    },
    Platform {
        alias: "gke",
        profile: "gcp",
        issuer: "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
        lines: "",
        algorithm: "RS256",
        media_type: None,
        claims: SERVICE_ACCOUNT,
        subject: API,
        condition: IN_BILLING,
    },
    Platform {
        alias: "entra-v1",
        profile: "azure",
        issuer: "https://sts.windows.net/f2a33211-e46a-4c92-b84d-aff06c2cd13f/",
        lines: "",
        algorithm: "RS256",
        media_type: Some("JWT"),
        claims: r#"{
            "aud": "AUDIENCE", "iss": "ISSUER", "iat": 0, "nbf": 0, "exp": 86700,
            "appid": "ebdab26b-8a80-402c-821f-d5d203342fc2", "appidacr": "2",
            "idp": "ISSUER", "idtyp": "app",
            "oid": "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb",
            "sub": "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb",
            "tid": "f2a33211-e46a-4c92-b84d-aff06c2cd13f",
            "uti": "sdmF4KgzXUu6N0IKMbQBAA", "ver": "1.0",
            "xms_mirid": "/subscriptions/662a4fee-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.Compute/virtualMachines/vm1"
        }"#,
        subject: "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb",
        condition: "principal has azure.resource_id && principal.azure.resource_id like \"*/providers/microsoft.compute/virtualmachines/vm1\"",
    },
    Platform {
        alias: "entra-v2",
        profile: "azure",
        issuer: "https://login.microsoftonline.com/f2a33211-e46a-4c92-b84d-aff06c2cd13f/v2.0",
        lines: "",
        algorithm: "RS256",
        media_type: Some("JWT"),
        claims: r#"{
            "aud": "AUDIENCE", "iss": "ISSUER", "iat": 0, "nbf": 0, "exp": 86700,
            "azp": "ebdab26b-8a80-402c-821f-d5d203342fc2", "azpacr": "2", "idtyp": "app",
            "oid": "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb",
            "sub": "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb", "roles": ["Secrets.Read"],
            "tid": "f2a33211-e46a-4c92-b84d-aff06c2cd13f",
            "uti": "sdmF4KgzXUu6N0IKMbQBAA", "ver": "2.0"
        }"#,
        subject: "b0f31bfd-1a79-4a2c-ba43-fd65c3666fdb",
        condition: "principal has azure.roles && principal.azure.roles.contains(\"Secrets.Read\")",
    },
    Platform {
        alias: "aks",
        profile: "azure",
        issuer: "https://westeurope.oic.prod-aks.azure.com/f2a33211-e46a-4c92-b84d-aff06c2cd13f/5f0b1d5e-1111-2222-3333-444455556666/",
        lines: "",
        algorithm: "RS256",
        media_type: None,
        claims: SERVICE_ACCOUNT,
        subject: API,
        condition: IN_BILLING,
    },
    Platform {
        alias: "kubernetes",
        profile: "kubernetes",
        issuer: "https://kubernetes.default.svc",
        lines: "",
        algorithm: "ES256",
        media_type: None,
        claims: SERVICE_ACCOUNT,
        subject: API,
        condition: IN_BILLING,
    },
    Platform {
        alias: "github",
        profile: "github-actions",
        issuer: "https://token.actions.githubusercontent.com",
        lines: r#"owners = [{ claim = "/repository_owner_id", values = ["123456"] }]"#,
        algorithm: "RS256",
        media_type: Some("JWT"),
        claims: r#"{
            "jti": "6f4762ed-0c6a-4f7d-8f6e-2f6c2b0f4c4d",
            "sub": "repo:acme@123456/pay@456789:environment:prod", "aud": "AUDIENCE",
            "iss": "ISSUER", "iat": 0, "nbf": -600, "exp": 300,
            "repository": "acme/pay", "repository_id": "456789", "repository_owner": "acme",
            "repository_owner_id": "123456", "ref": "refs/heads/main", "ref_type": "branch",
            "event_name": "push", "environment": "prod",
            "job_workflow_ref": "acme/ci/.github/workflows/deploy.yml@refs/heads/main",
            "runner_environment": "github-hosted", "run_id": "1234567890", "run_attempt": "1",
            "actor_id": "99", "repository_visibility": "private",
            "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc"
        }"#,
        subject: "repo:acme@123456/pay@456789:environment:prod",
        condition: "principal has github.repository_id && principal.github.repository_id == \"456789\"",
    },
    Platform {
        alias: "gitlab",
        profile: "gitlab",
        issuer: "https://gitlab.com",
        lines: r#"owners = [{ claim = "/namespace_id", values = ["72"] }]"#,
        algorithm: "RS256",
        media_type: Some("JWT"),
        claims: r#"{
            "namespace_id": "72", "namespace_path": "my-group", "project_id": "20",
            "project_path": "my-group/my-project", "user_id": "1", "user_login": "u",
            "user_email": "u@example.com", "pipeline_id": "574", "pipeline_source": "push",
            "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
            "ref_protected": "true", "environment": "prod", "environment_protected": "true",
            "deployment_tier": "production", "environment_action": "start", "runner_id": 1,
            "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "project_visibility": "private",
            "ci_config_ref_uri": "gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
            "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "groups_direct": ["mygroup/sub"], "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
            "iss": "ISSUER", "iat": 0, "nbf": -5, "exp": 3600,
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "aud": "AUDIENCE"
        }"#,
        subject: "project_id:20:ref_type:branch:ref:main",
        condition: "principal has gitlab.ref_protected && principal.gitlab.ref_protected == \"true\" && principal has gitlab.runner_id && principal.gitlab.runner_id == 1",
    },
    Platform {
        alias: "spiffe",
        profile: "spiffe",
        issuer: "spiffe://acme.example",
        lines: "",
        algorithm: "ES256",
        media_type: Some("JWT"),
        claims: r#"{
            "sub": "spiffe://acme.example/ns/billing/sa/api", "aud": ["AUDIENCE"],
            "exp": 300, "iat": 0
        }"#,
        subject: "spiffe://acme.example/ns/billing/sa/api",
        condition: "principal has spiffe.path && principal.spiffe.path like \"/ns/billing/*\"",
    },
];
