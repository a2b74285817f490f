//! Names of issuers, subjects and bindings, by tables; the tokens themselves go through the gateway
//! in `tests/attacks/platforms`.

use super::*;
use crate::id::IssuerAlias;
use crate::token::json::{self, Limits};
use crate::token::{MappingError, Owner};

fn object(text: &str) -> Object {
    let limits = Limits { depth: 8, top: 64, members: 64, items: 64, string: 4096 };
    json::object(text.as_bytes(), limits).unwrap()
}

fn rules(profile: Profile, issuer: &str) -> Result<IssuerRules, RulesError> {
    let alias = IssuerAlias::parse("a").unwrap();
    let mut rules = IssuerRules::of(profile, alias, issuer, vec!["https://gw".to_owned()])?;
    let owners = rules.form.terms().owners;
    rules.owners = owners
        .first()
        .map(|claim| Owner { claim: Pointer::parse(claim).unwrap(), allowed: vec!["1".to_owned()] })
        .into_iter()
        .collect();
    Ok(rules)
}

const TENANT: &str = "f2a33211-e46a-4c92-b84d-aff06c2cd13f";

#[test]
fn every_profile_has_the_issuers_of_its_platform_and_no_look_alikes() {
    let v1 = format!("https://sts.windows.net/{TENANT}/");
    let v2 = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let aks = format!("https://westeurope.oic.prod-aks.azure.com/{TENANT}/{TENANT}/");
    let aws = format!("https://{TENANT}.tokens.sts.global.api.aws");
    let eks = "https://oidc.eks.us-east-2.amazonaws.com/id/2F331C82755EF3E43731C8D6E299FAEF";
    let gke = "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c";
    let github = "https://token.actions.githubusercontent.com";
    for (profile, issuer, form) in [
        (Profile::Aws, aws.as_str(), Form::AwsToken),
        (Profile::Aws, eks, Form::Kubernetes(ClusterHost::Eks)),
        (Profile::Gcp, "https://accounts.google.com", Form::Google),
        (Profile::Gcp, gke, Form::Kubernetes(ClusterHost::Gke)),
        (Profile::Azure, &v1, Form::Entra(EntraVersion::V1)),
        (Profile::Azure, &v2, Form::Entra(EntraVersion::V2)),
        (Profile::Azure, &aks, Form::Kubernetes(ClusterHost::Aks)),
        (Profile::GithubActions, github, Form::Github),
        (Profile::GithubActions, &format!("{github}/acme"), Form::Github),
        (Profile::GithubActions, "https://token.actions.acme.ghe.com", Form::Github),
        (Profile::GithubActions, "https://ghes.acme.example/_services/token", Form::Github),
        (Profile::Gitlab, "https://gitlab.example.com", Form::Gitlab),
        (Profile::Kubernetes, "kubernetes/cluster", Form::Kubernetes(ClusterHost::Other)),
        (Profile::Spiffe, "spiffe://acme.example", Form::Spiffe),
    ] {
        assert_eq!(profile.form(issuer), Ok(form), "{issuer}");
        assert_eq!(rules(profile, issuer).unwrap().check().map_err(|e| e.to_string()), Ok(()));
    }
    for (profile, issuer) in [
        (Profile::Aws, "https://evil.tokens.sts.global.api.aws".to_owned()),
        (Profile::Aws, format!("{aws}/")),
        (Profile::Aws, format!("{aws}.evil.example")),
        (Profile::Aws, format!("http://{TENANT}.tokens.sts.global.api.aws")),
        (Profile::Aws, format!("{eks}/")),
        (Profile::Aws, "https://oidc.eks.evil.example/x.amazonaws.com/id/a".to_owned()),
        (Profile::Gcp, "accounts.google.com".to_owned()),
        (Profile::Gcp, "https://accounts.google.com/".to_owned()),
        (Profile::Gcp, format!("{gke}/extra")),
        (Profile::Azure, "https://login.microsoftonline.com/common/v2.0".to_owned()),
        (Profile::Azure, "https://login.microsoftonline.com/organizations/v2.0".to_owned()),
        (Profile::Azure, "https://sts.windows.net/common/".to_owned()),
        (Profile::Azure, v1.trim_end_matches('/').to_owned()),
        (Profile::Azure, format!("{v2}/")),
        (Profile::Azure, aks.trim_end_matches('/').to_owned()),
        (Profile::GithubActions, format!("{github}.evil.example")),
        (Profile::GithubActions, format!("{github}/a/b")),
        (Profile::GithubActions, "https://evil.ghe.com".to_owned()),
        (Profile::Gitlab, "http://gitlab.example.com".to_owned()),
        (Profile::Spiffe, "spiffe://Acme.example".to_owned()),
        (Profile::Spiffe, "spiffe://acme.example/".to_owned()),
        (Profile::Spiffe, "spiffe://acme.example:8443".to_owned()),
    ] {
        assert!(matches!(profile.form(&issuer), Err(RulesError::Name(_))), "{issuer}");
    }
}

#[test]
fn a_profile_is_narrowed_and_never_widened() {
    type Change = fn(&mut IssuerRules);
    let github = || rules(Profile::GithubActions, "https://token.actions.githubusercontent.com");
    let looser: [(Change, &str); 6] = [
        (|r| r.algorithms.push(Algorithm::Es256), "algorithms"),
        (|r| r.types.push("at+jwt".to_owned()), "types"),
        (|r| r.untyped = true, "untyped"),
        (|r| r.single_audience = false, "single_audience"),
        (|r| r.max_lifetime = HOUR, "max_lifetime"),
        (|r| r.subject_claim = Pointer::to_claim("actor"), "subject"),
    ];
    for (change, key) in looser {
        let mut rules = github().unwrap();
        change(&mut rules);
        assert_eq!(rules.check(), Err(RulesError::Looser(key)));
    }
    let mut narrow = github().unwrap();
    narrow.max_lifetime = MINUTE;
    narrow.max_age = Some(MINUTE);
    assert_eq!(narrow.check(), Ok(()));
}

#[test]
fn what_strangers_share_needs_an_owner_that_says_whose_it_is() {
    let owner = |claim: &str| Owner {
        claim: Pointer::parse(claim).unwrap(),
        allowed: vec!["1".to_owned()],
    };
    for (profile, issuer) in [
        (Profile::GithubActions, "https://ghes.acme.example/_services/token"),
        (Profile::Gcp, "https://accounts.google.com"),
        (Profile::Gitlab, "https://gitlab.com"),
        (Profile::Oidc, "https://app.terraform.io"),
        (Profile::Aws, "https://f2a33211-e46a-4c92-b84d-aff06c2cd13f.tokens.sts.global.api.aws"),
    ] {
        let mut rules = rules(profile, issuer).unwrap();
        rules.owners.clear();
        assert!(matches!(rules.check(), Err(RulesError::SharedWithoutOwners(_))), "{issuer}");
        rules.owners = vec![owner("/ref")];
        assert!(matches!(rules.check(), Err(RulesError::OwnerClaim(_))), "{issuer}");
    }
    let mut common = rules(Profile::Oidc, "https://login.microsoftonline.com/common/v2.0").unwrap();
    common.owners = vec![owner("/tid")];
    assert_eq!(common.check(), Err(RulesError::Tenantless));
    let mut foreign = rules(Profile::Kubernetes, "https://k8s.example").unwrap();
    foreign.audiences = vec!["sts.amazonaws.com".to_owned()];
    assert_eq!(foreign.check(), Err(RulesError::ForeignAudience));
    let mut bound = rules(Profile::Oidc, "https://idp.example").unwrap();
    bound.types = vec!["wit+jwt".to_owned()];
    assert_eq!(bound.check(), Err(RulesError::BoundType));
}

#[test]
fn own_attributes_stand_beside_those_of_the_profile_and_never_replace_them() {
    let rule = |name: &str, claim: &str, required| AttributeRule {
        name: AttributeName::parse(name).unwrap(),
        claim: Pointer::parse(claim).unwrap(),
        kind: AttributeType::String,
        required,
    };
    let mapping = || Form::Github.mapping();
    let environment = mapping().with(vec![rule("environment", "/environment", true)]).unwrap();
    let find = |name: &str| environment.rules().find(|rule| rule.name.as_str() == name).cloned();
    assert!(find("environment").unwrap().required);
    assert!(find("repository_id").unwrap().required);
    let taken = mapping().with(vec![rule("environment", "/head_ref", false)]);
    assert!(matches!(taken, Err(MappingError::Taken(_))));
    assert!(mapping().with(vec![rule("repo_tier", "/repo_property_tier", true)]).is_ok());
}

#[test]
fn every_mapped_attribute_of_every_profile_is_a_rule() {
    for form in [
        Form::AwsToken,
        Form::AwsSigned,
        Form::Entra(EntraVersion::V1),
        Form::Entra(EntraVersion::V2),
        Form::Github,
        Form::Gitlab,
        Form::Google,
        Form::Kubernetes(ClusterHost::Other),
        Form::Kubernetes(ClusterHost::Eks),
        Form::Certificate,
    ] {
        assert_eq!(form.mapping().rules().count(), form.terms().attributes.len(), "{form:?}");
        assert!(!form.terms().attributes.is_empty());
    }
}

#[test]
fn both_forms_of_a_github_subject_are_one_principal_and_others_are_nobody() {
    let claims = object(
        r#"{"repository":"acme/pay","repository_id":"456789","repository_owner":"acme","repository_owner_id":"123456"}"#,
    );
    let stable = "repo:acme@123456/pay@456789:environment:prod";
    for subject in [stable, "repo:acme/pay:environment:prod"] {
        assert_eq!(github::subject(subject, &claims).as_deref(), Ok(stable));
    }
    for (subject, refusal) in [
        ("repo:acme/pay", Refusal::SubjectForm),
        ("repo:acme/pay:", Refusal::SubjectForm),
        ("repository_owner:acme:environment:prod", Refusal::SubjectForm),
        ("environment:prod", Refusal::SubjectForm),
        ("repo:acme/other:environment:prod", Refusal::Disagreement),
        ("repo:evil@1/pay@456789:environment:prod", Refusal::Disagreement),
        ("repo:acme@123456/pay@1:environment:prod", Refusal::Disagreement),
    ] {
        assert_eq!(github::subject(subject, &claims), Err(refusal), "{subject}");
    }
    let other = object(
        r#"{"repository":"acme/pay","repository_id":"456789","repository_owner":"evil","repository_owner_id":"123456"}"#,
    );
    assert_eq!(github::subject(stable, &other), Err(Refusal::Disagreement));
}

#[test]
fn a_gitlab_subject_has_the_id_of_its_project() {
    let claims = object(r#"{"project_id":"20","project_path":"my-group/my-project"}"#);
    assert_eq!(
        gitlab::subject("project_path:my-group/my-project:ref_type:branch:ref:main", &claims)
            .as_deref(),
        Ok("project_id:20:ref_type:branch:ref:main")
    );
    for (subject, refusal) in [
        ("project_path:my-group/my-project", Refusal::Disagreement),
        ("project_path:my-group/my-project:", Refusal::SubjectForm),
        ("project_path:my-group/my-project-2:ref_type:branch:ref:main", Refusal::Disagreement),
        ("ref:main", Refusal::SubjectForm),
    ] {
        assert_eq!(gitlab::subject(subject, &claims), Err(refusal), "{subject}");
    }
}

#[test]
fn row_25_a_spiffe_id_has_one_form() {
    let id = SpiffeId::parse("spiffe://td.example/ns/a/sa/b").unwrap();
    assert_eq!((id.domain(), id.path()), ("td.example", "/ns/a/sa/b"));
    assert_eq!(id.issuer(), "spiffe://td.example");
    for text in [
        "spiffe://TD/a",
        "SPIFFE://td/a",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td//a",
        "spiffe://td/a/",
        "spiffe://td/../a",
        "spiffe://td/./a",
        "spiffe://td/%61",
        "spiffe://td:80/a",
        "spiffe://u@td/a",
        "spiffe://td/a?b",
        "spiffe://td/a#b",
        "spiffe:///a",
        "https://td/a",
        "spiffe://td/\u{e9}",
    ] {
        assert_eq!(SpiffeId::parse(text), None, "{text}");
    }
    let long = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    assert!(SpiffeId::parse(&long).is_some() && SpiffeId::parse(&format!("{long}a")).is_none());
    let domain = "d".repeat(256);
    assert_eq!(SpiffeId::parse(&format!("spiffe://{domain}/a")), None);
}
