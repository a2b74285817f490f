//! Claims that an issuer's block accepts, made from the block: its platform's shape, its owners, its
//! clients, its attributes.

use serde_json::{Map, Value, json};
use symbolon_core::token::{AttributeType, EntraVersion, Form, IssuerRules};

use super::random::Random;

pub(super) type Claims = Map<String, Value>;

/// Claims of one workload without dates and `jti`: whose they are is decided here.
pub(super) fn workload(rules: &IssuerRules, random: &mut Random) -> Claims {
    let mut claims = shape(rules, random);
    for owner in &rules.owners {
        let Some(value) = random.pick(&owner.allowed) else { continue };
        let kind = rules.attributes.rules().find(|rule| rule.claim == owner.claim);
        let number = value
            .parse::<i64>()
            .ok()
            .filter(|_| kind.is_some_and(|rule| rule.kind == AttributeType::Long));
        put(&mut claims, owner.claim.as_str(), number.map_or(json!(value), Value::from));
    }
    if let Some(client) = random.pick(&rules.clients) {
        let name = if claims.contains_key("appid") { "/appid" } else { "/azp" };
        put(&mut claims, name, json!(client));
    }
    for rule in rules.attributes.rules().filter(|rule| rule.required) {
        if find(&claims, rule.claim.as_str()).is_none() {
            put(&mut claims, rule.claim.as_str(), some(rule.kind));
        }
    }
    if find(&claims, rules.subject_claim.as_str()).is_none() {
        put(&mut claims, rules.subject_claim.as_str(), json!(random.hex()));
    }
    agree(rules, &mut claims);
    claims
}

/// The claims with dates around `now` (seconds) and an id of their own.
pub(super) fn fresh(
    rules: &IssuerRules,
    workload: &Claims,
    now: i64,
    random: &mut Random,
) -> Claims {
    let lifetime = seconds(rules.max_lifetime).min(300);
    let age = rules.max_age.map_or(lifetime, seconds).min(lifetime).min(10) / 2;
    let issued = now.saturating_sub(random.seconds(age.saturating_add(1)).saturating_sub(1));
    let mut claims = workload.clone();
    for (name, value) in [
        ("iat", json!(issued)),
        ("exp", json!(issued.saturating_add(lifetime))),
        ("jti", json!(random.uuid())),
        ("aud", json!(random.pick(&rules.audiences))),
    ] {
        claims.insert(name.to_owned(), value);
    }
    if rules.form != Form::Spiffe {
        claims.insert("iss".to_owned(), json!(rules.issuer));
    }
    claims
}

pub(super) fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The claim that a pointer names.
pub(super) fn find<'a>(claims: &'a Claims, pointer: &str) -> Option<&'a Value> {
    let mut names = steps(pointer);
    let mut found = claims.get(&names.next()?)?;
    for name in names {
        found = found.get(&name)?;
    }
    Some(found)
}

/// Sets the claim that a pointer names; what is on the way becomes an object.
pub(super) fn put(claims: &mut Claims, pointer: &str, value: Value) {
    let mut names: Vec<_> = steps(pointer).collect();
    let Some(last) = names.pop() else { return };
    if let Some(folder) = folder(claims, &names) {
        folder.insert(last, value);
    }
}

/// Takes away the claim that a pointer names.
pub(super) fn take(claims: &mut Claims, pointer: &str) {
    let mut names: Vec<_> = steps(pointer).collect();
    let Some(last) = names.pop() else { return };
    if let Some(folder) = folder(claims, &names) {
        folder.remove(&last);
    }
}

fn folder<'a>(claims: &'a mut Claims, names: &[String]) -> Option<&'a mut Claims> {
    let Some((first, rest)) = names.split_first() else { return Some(claims) };
    let inner = claims.entry(first.clone()).or_insert_with(|| json!({}));
    if !inner.is_object() {
        *inner = json!({});
    }
    folder(inner.as_object_mut()?, rest)
}

fn steps(pointer: &str) -> impl Iterator<Item = String> {
    let names = pointer.strip_prefix('/').unwrap_or(pointer).split('/');
    names.map(|name| name.replace("~1", "/").replace("~0", "~"))
}

fn some(kind: AttributeType) -> Value {
    match kind {
        AttributeType::String => json!("some"),
        AttributeType::Long => json!(1),
        AttributeType::Bool => json!(true),
        AttributeType::Strings => json!(["some"]),
    }
}

/// The claims of a platform's workload (`wire-formats.md` §1).
fn shape(rules: &IssuerRules, random: &mut Random) -> Claims {
    let claims = match rules.form {
        Form::Oidc | Form::AwsSigned | Form::Certificate => {
            json!({ "sub": format!("workload-{}", random.hex()) })
        }
        Form::AwsToken => json!({
            "sub": format!("arn:aws:iam::123456789012:role/role-{}", random.hex()),
            "https://sts.amazonaws.com/": {
                "aws_account": "123456789012", "source_region": "eu-west-1",
                "org_id": "o-abc1234567", "principal_tags": { "team": "billing" }
            }
        }),
        Form::Entra(version) => entra(rules, version, random),
        Form::Google => json!({
            "sub": random.digits(), "email": "job@acme.iam.gserviceaccount.com",
            "email_verified": true
        }),
        Form::Kubernetes(_) => cluster(rules, random),
        Form::Github => github(random),
        Form::Gitlab => json!({
            "namespace_id": random.digits(), "namespace_path": "acme", "project_id": random.digits(),
            "project_path": "acme/pay", "ref": "main", "ref_type": "branch",
            "ref_protected": "true", "runner_id": 1, "pipeline_source": "push"
        }),
        Form::Spiffe => json!({ "sub": format!("{}/ns/billing/{}", rules.issuer, random.hex()) }),
    };
    claims.as_object().cloned().unwrap_or_default()
}

fn entra(rules: &IssuerRules, version: EntraVersion, random: &mut Random) -> Value {
    let (name, number) = match version {
        EntraVersion::V1 => ("appid", "1.0"),
        EntraVersion::V2 => ("azp", "2.0"),
    };
    let id = random.uuid();
    json!({
        "tid": rules.issuer.split('/').nth(3), "oid": id, "sub": id, name: random.uuid(),
        "ver": number, "idtyp": "app", "roles": ["Secrets.Read"]
    })
}

fn cluster(rules: &IssuerRules, random: &mut Random) -> Value {
    let mut claims = json!({ "kubernetes.io": {
        "namespace": "billing",
        "serviceaccount": { "name": format!("api-{}", random.hex()), "uid": random.uuid() }
    } });
    let kind = rules.bindings.first().map_or("none", |binding| binding.as_str());
    if kind != "none"
        && let Some(objects) = claims.get_mut("kubernetes.io").and_then(Value::as_object_mut)
    {
        let object = json!({ "name": format!("{kind}-1"), "uid": random.uuid() });
        objects.insert(kind.to_owned(), object);
    }
    claims
}

fn github(random: &mut Random) -> Value {
    json!({
        "repository": format!("acme/pay-{}", random.hex()), "repository_id": random.digits(),
        "repository_owner": "acme", "repository_owner_id": random.digits(),
        "repository_visibility": "private", "ref": "refs/heads/main", "ref_type": "branch",
        "event_name": "push", "environment": "prod", "actor_id": "99"
    })
}

/// Makes the claims agree with each other after owners and clients have been set.
fn agree(rules: &IssuerRules, claims: &mut Claims) {
    let text = |claims: &Claims, pointer: &str| {
        find(claims, pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let owned = |pointer: &str| rules.owners.iter().any(|owner| owner.claim.as_str() == pointer);
    match rules.form {
        Form::AwsToken if !owned("/sub") => {
            let account = text(claims, "/https:~1~1sts.amazonaws.com~1/aws_account");
            let subject = text(claims, "/sub").replace("123456789012", &account);
            put(claims, "/sub", json!(subject));
        }
        Form::Entra(_) => {
            let (from, to) = if owned("/oid") { ("/oid", "/sub") } else { ("/sub", "/oid") };
            put(claims, to, json!(text(claims, from)));
        }
        Form::Google => {
            let by_client = !rules.clients.is_empty();
            let (from, to) = if by_client { ("/azp", "/sub") } else { ("/sub", "/azp") };
            put(claims, to, json!(text(claims, from)));
        }
        Form::Kubernetes(_) => {
            let namespace = text(claims, "/kubernetes.io/namespace");
            let name = text(claims, "/kubernetes.io/serviceaccount/name");
            put(claims, "/sub", json!(format!("system:serviceaccount:{namespace}:{name}")));
        }
        Form::Github => {
            let repository = text(claims, "/repository");
            let owner = repository.split('/').next().unwrap_or_default().to_owned();
            put(claims, "/repository_owner", json!(owner));
            put(claims, "/sub", json!(format!("repo:{repository}:environment:prod")));
        }
        Form::Gitlab => {
            let path = text(claims, "/project_path");
            put(claims, "/sub", json!(format!("project_path:{path}:ref_type:branch:ref:main")));
        }
        Form::AwsToken | Form::Oidc | Form::AwsSigned | Form::Spiffe | Form::Certificate => {}
    }
}
