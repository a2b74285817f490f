use super::*;

fn explain(bundle: &Bundle, who: &Subject, what: &str) -> Explanation {
    bundle.explain(who, Binding::None, &ask(what), &HERE)
}

#[test]
fn a_permit_is_explained_by_the_policies_that_gave_it() {
    let bundle = load("\n\n@id(\"x\")\n@ttl_max(\"5m\")\npermit (principal, action, resource);");
    let why = explain(&bundle, &subject("k8s", "web", &[env("prod")]), "issue db:app");
    assert!(why.permitted);
    assert_eq!((why.code, why.ttl_ceiling_seconds), ("permitted", Some(300)));
    let [cited] = &why.policies[..] else { panic!("{why}") };
    assert_eq!((cited.id.as_str(), cited.file.as_str(), cited.line), ("x", "p.cedar", 3));
    assert!(cited.text.contains("permit (principal, action, resource)"));
    let text = why.to_string();
    for part in
        ["permitted", "Workload::\"k8s/web\"", "principal.oidc.env = \"prod\"", "at most    5m"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_denial_shows_what_came_near_and_what_to_do() {
    let bundle = load(
        "@id(\"near\") permit (principal in Issuer::\"k8s\", action == Action::\"read\", resource in Folder::\"kv/a\")
           when { principal has oidc && principal.oidc has env && principal.oidc.env == \"prod\" };
         @id(\"far\") permit (principal in Issuer::\"hub\", action, resource in Folder::\"kv/a\");
         @id(\"listing\") permit (principal, action == Action::\"list\", resource in Folder::\"kv/b\");",
    );
    let web = subject("k8s", "web", &[env("dev")]);
    let near = explain(&bundle, &web, "read kv/a/x");
    assert_eq!(near.code, "no_rule");
    assert_eq!(near.near.iter().map(|cited| cited.id.as_str()).collect::<Vec<_>>(), ["near"]);
    assert_eq!(near.inside, ["Issuer::\"k8s\"", "Folder::\"kv/a\"", "Backend::\"kv\""]);
    assert!(near.to_string().contains("condition false in `near` at p.cedar:1"), "{near}");
    let nothing = explain(&bundle, &web, "read kv/z");
    assert!(nothing.near.is_empty() && nothing.hint.contains("entity ids"), "{nothing}");
    let roles = load("permit (principal, action == Action::\"renew\", resource is Role);");
    let other = explain(&roles, &web, "issue db:app");
    assert_eq!(other.hint, "permitted here: renew, but not issue");
}

#[test]
fn forbids_errors_and_strangers_are_explained() {
    let bundle = load(
        "@id(\"all\") permit (principal, action, resource);
         @id(\"no\") forbid (principal, action == Action::\"read\", resource in Folder::\"kv/a\");
         @id(\"broken\") forbid (principal, action == Action::\"read\", resource in Folder::\"kv/b\")
           when { (if context.binding == \"none\" then 9223372036854775807 else 0) + 1 == 0 };",
    );
    let web = subject("k8s", "web", &[]);
    let forbidden = explain(&bundle, &web, "read kv/a/x");
    assert_eq!((forbidden.code, forbidden.policies[0].id.as_str()), ("rule_deny", "no"));
    let erred = explain(&bundle, &web, "read kv/b/x");
    assert_eq!(erred.code, "policy_error");
    assert_eq!(erred.errors[0].policy.as_ref().unwrap().id, "broken");
    let mismatch =
        explain(&bundle, &subject("k8s", "x", &[("env", Attribute::Long(1))]), "read kv/c");
    assert_eq!((mismatch.code, mismatch.hint.contains("\"env\"")), ("subject_mismatch", true));
    assert_eq!(explain(&bundle, &subject("nope", "x", &[]), "read kv/c").code, "issuer_unknown");
}

#[test]
fn an_explanation_is_the_decision() {
    let bundle =
        load("permit (principal, action == Action::\"read\", resource in Folder::\"kv/a\");");
    let web = subject("k8s", "web", &[]);
    for what in ["read kv/a/b", "read kv/b", "read nope/x", "issue db:app", "issue kv/a"] {
        assert_eq!(explain(&bundle, &web, what).code, answer(&bundle, &web, what), "{what}");
    }
}

#[test]
fn an_explanation_serialises() {
    let why = explain(&load(""), &subject("k8s", "web", &[]), "read kv/a");
    let json = serde_json::to_value(&why).unwrap();
    assert_eq!((&json["permitted"], &json["code"]), (&false.into(), &"no_rule".into()));
}
