use super::*;

#[test]
fn each_scope_permits_what_it_says_and_no_more() {
    let web = subject("k8s", "web", &[]);
    for (scope, permitted, denied) in [
        (
            "principal == Workload::\"k8s/web\", action == Action::\"read\", resource == Secret::\"kv/a/b\"",
            &["read kv/a/b"][..],
            &["read kv/a/c", "read kv/a", "read kv/a/b/c", "read db/a/b", "list kv/a/"][..],
        ),
        (
            "principal == Workload::\"k8s/we\", action, resource",
            &[],
            &["read kv/a", "issue db:app", "list kv/"],
        ),
        (
            "principal, action == Action::\"read\", resource in Folder::\"kv/prod\"",
            &["read kv/prod/x", "read kv/prod/a/b/c"],
            &[
                "read kv/production",
                "read kv/production/x",
                "read kv/prod",
                "read kv/x/prod/y",
                "read db/prod/x",
            ],
        ),
        (
            "principal, action == Action::\"list\", resource in Folder::\"kv/prod\"",
            &["list kv/prod/", "list kv/prod/a/"],
            &["list kv/", "list kv/production/"],
        ),
        (
            "principal, action, resource in Backend::\"kv\"",
            &["read kv/x", "read kv/a/b/c", "list kv/", "list kv/a/"],
            &["read db/x", "issue db:app", "exchange aws"],
        ),
        (
            "principal in Issuer::\"k8s\", action in [Action::\"issue\", Action::\"renew\"], resource == Role::\"db/app\"",
            &["issue db:app", "renew db:app"],
            &["issue db:slow", "revoke db:app"],
        ),
        ("principal in Issuer::\"hub\", action, resource", &[], &["read kv/a", "issue db:app"]),
        (
            "principal, action == Action::\"exchange\", resource == Target::\"aws\"",
            &["exchange aws"],
            &["renew aws"],
        ),
        (
            "principal is Workload in Issuer::\"k8s\", action, resource is Secret in Backend::\"kv\"",
            &["read kv/a"],
            &["list kv/a/", "read db/a"],
        ),
    ] {
        let bundle = load(&format!("permit ({scope});"));
        for what in permitted {
            assert_eq!(answer(&bundle, &web, what), "permitted", "{scope}: {what}");
        }
        for what in denied {
            assert_eq!(answer(&bundle, &web, what), "no_rule", "{scope}: {what}");
        }
    }
}

#[test]
fn nothing_is_permitted_without_a_policy() {
    let bundle = load("");
    for what in ["read kv/a", "list kv/", "issue db:app", "exchange aws", "renew db:app"] {
        assert_eq!(answer(&bundle, &subject("k8s", "web", &[]), what), "no_rule");
    }
}

#[test]
fn what_is_not_configured_is_denied_whatever_the_policies_say() {
    let bundle = load("permit (principal, action, resource);");
    let web = subject("k8s", "web", &[]);
    for (what, code) in [
        ("read nope/a", "resource_unknown"),
        ("issue db:nope", "resource_unknown"),
        ("exchange nope", "resource_unknown"),
        ("read db:app", "action_inapplicable"),
        ("issue kv/a", "action_inapplicable"),
        ("administer gateway", "action_inapplicable"),
        ("read kv/a", "permitted"),
    ] {
        assert_eq!(answer(&bundle, &web, what), code, "{what}");
    }
    assert_eq!(answer(&bundle, &subject("nope", "web", &[]), "read kv/a"), "issuer_unknown");
}

#[test]
fn a_subject_that_differs_from_the_schema_is_denied() {
    let bundle = load("permit (principal, action, resource);");
    let wrong_profile = Subject { profile: "github", ..subject("k8s", "x", &[]) };
    for who in [
        subject("k8s", "x", &[("env", Attribute::Long(1))]),
        subject("k8s", "x", &[("unmapped", Attribute::Bool(true))]),
        subject("other", "x", &[("level", Attribute::Long(1))]),
        wrong_profile,
    ] {
        assert_eq!(answer(&bundle, &who, "read kv/a"), "subject_mismatch", "{who:?}");
    }
}

#[test]
fn attributes_of_every_type_reach_the_policies() {
    let bundle = load(
        "permit (principal, action == Action::\"read\", resource) when {
            principal has oidc && principal.oidc has env && principal.oidc.env == \"prod\" &&
            principal.oidc has level && principal.oidc.level >= 3 &&
            principal.oidc has trusted && principal.oidc.trusted &&
            principal.oidc has groups && principal.oidc.groups.contains(\"ops\") &&
            principal.issuer == \"k8s\" && principal.subject like \"we*\" &&
            resource.path == \"a/b\" && resource.name == \"b\"
        };",
    );
    let whole = [
        env("prod"),
        ("level", Attribute::Long(3)),
        ("trusted", Attribute::Bool(true)),
        ("groups", Attribute::Strings(vec![String::from("dev"), String::from("ops")])),
    ];
    assert_eq!(answer(&bundle, &subject("k8s", "web", &whole), "read kv/a/b"), "permitted");
    for missing in 0..whole.len() {
        let mut part = whole.to_vec();
        part.remove(missing);
        assert_eq!(answer(&bundle, &subject("k8s", "web", &part), "read kv/a/b"), "no_rule");
    }
}

#[test]
fn the_context_reaches_the_policies() {
    let with = |condition: &str| {
        load(&format!(
            "permit (principal, action == Action::\"issue\", resource) when {{ {condition} }};"
        ))
    };
    let address = |text: &str| Some(text.parse().unwrap());
    let ask = Arc::new(Ask { ttl: Some(Duration::from_secs(60)), ..ask("issue db:app") });
    for (condition, binding, source_address, permitted) in [
        ("context.binding == \"dpop\"", Binding::Dpop, None, true),
        ("context.binding == \"dpop\"", Binding::None, None, false),
        ("context.binding == \"mtls\"", Binding::Mtls, None, true),
        (
            "context has source_address && context.source_address.isInRange(ip(\"10.0.0.0/8\"))",
            Binding::None,
            address("10.1.2.3"),
            true,
        ),
        (
            "context has source_address && context.source_address.isInRange(ip(\"10.0.0.0/8\"))",
            Binding::None,
            address("::ffff:10.1.2.3"),
            true,
        ),
        (
            "context has source_address && context.source_address.isInRange(ip(\"10.0.0.0/8\"))",
            Binding::None,
            None,
            false,
        ),
        ("context has requested_ttl && context.requested_ttl == 60", Binding::None, None, true),
        ("context.time == datetime(\"2026-11-01T08:00:00Z\")", Binding::None, None, true),
        ("context.time < datetime(\"2026-11-01T08:00:00Z\")", Binding::None, None, false),
    ] {
        let who = proven(subject("k8s", "x", &[]), binding);
        let circumstances = Circumstances { now: NOW, source_address };
        let decision = with(condition).decide(who, Arc::clone(&ask), &circumstances);
        assert_eq!(decision.is_ok(), permitted, "{condition} {binding:?} {source_address:?}");
    }
}

#[test]
fn a_forbid_outweighs_every_permit_and_is_named() {
    let bundle = load(
        "@id(\"all\") permit (principal, action, resource);
         @id(\"no-db\") forbid (principal, action, resource in Backend::\"db\");
         @id(\"no-roles\") forbid (principal, action == Action::\"issue\", resource is Role);",
    );
    let web = subject("k8s", "web", &[]);
    let denial = decide(&bundle, &web, "issue db:app").unwrap_err();
    assert_eq!((denial.code(), ids(denial.policies())), ("rule_deny", vec!["no-db", "no-roles"]));
    assert_eq!(denial.kind(), crate::error::Kind::Denied);
    assert_eq!(answer(&bundle, &web, "read kv/a"), "permitted");
}

#[test]
fn a_policy_that_errs_denies_and_does_not_vanish() {
    const OVERFLOW: &str =
        "context has requested_ttl && context.requested_ttl * 9223372036854775807 > 0";
    let web = proven(subject("k8s", "web", &[]), Binding::None);
    for effect in ["forbid", "permit"] {
        let bundle = load(&format!(
            "@id(\"all\") permit (principal, action, resource);
             @id(\"broken\") {effect} (principal, action == Action::\"issue\", resource) when {{ {OVERFLOW} }};"
        ));
        let long = Arc::new(Ask { ttl: Some(Duration::from_secs(2)), ..ask("issue db:app") });
        let denial = bundle.decide(Arc::clone(&web), long, &HERE).unwrap_err();
        assert_eq!((denial.code(), ids(denial.policies())), ("policy_error", vec!["broken"]));
    }
}

#[test]
fn a_time_that_cedar_cannot_hold_denies() {
    let bundle = load(
        "permit (principal, action == Action::\"read\", resource) when { context.time > datetime(\"2020-01-01\") };",
    );
    let never = Circumstances { now: Timestamp::from_millis(i64::MAX), source_address: None };
    let who = proven(subject("k8s", "web", &[]), Binding::None);
    let denial = bundle.decide(who, Arc::new(ask("read kv/a")), &never).unwrap_err();
    assert_eq!(denial, Denial::Erred { policies: vec![] });
}

#[test]
fn the_smallest_ceiling_wins() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let web = subject("k8s", "web", &[]);
    for (annotations, what, expected) in [
        (&[""][..], "issue db:slow", 30),
        (&[""], "issue db:app", 20),
        (&[""], "exchange aws", 10),
        (&["@ttl_max(\"15m\")"], "issue db:app", 15),
        (&["@ttl_max(\"2h\")"], "issue db:app", 20),
        (&["@ttl_max(\"15m\")", "@ttl_max(\"300s\")", ""], "issue db:app", 5),
        (&["@ttl_max(\"1m\")"], "read kv/a", 1),
    ] {
        let text: String = annotations
            .iter()
            .map(|a| format!("{a} permit (principal, action, resource);\n"))
            .collect();
        let permit = decide(&load(&text), &web, what).unwrap();
        assert_eq!(permit.ttl_ceiling(), minutes(expected), "{annotations:?} {what}");
    }
}

#[test]
fn only_policies_that_permit_lower_the_ceiling() {
    let bundle = load(
        "permit (principal, action, resource);
         @ttl_max(\"1m\") permit (principal, action, resource in Backend::\"kv\");",
    );
    let permit = decide(&bundle, &subject("k8s", "web", &[]), "issue db:app").unwrap();
    assert_eq!(permit.ttl_ceiling(), Duration::from_secs(20 * 60));
}

#[test]
fn a_permit_says_who_what_why_and_by_which_bundle() {
    let bundle = load(
        "@id(\"z\") permit (principal, action, resource); @id(\"a\") permit (principal, action, resource in Backend::\"kv\");",
    );
    let web = subject("k8s", "web", &[]);
    let permit = decide(&bundle, &web, "read kv/a").unwrap();
    assert_eq!(permit.principal().subject(), &web);
    assert_eq!(**permit.ask(), ask("read kv/a"));
    assert_eq!(ids(permit.policies()), ["z", "a"], "in the order of the file");
    assert_eq!(&**permit.bundle_digest(), bundle.digest());
}

#[test]
fn a_hostile_subject_is_only_ever_itself() {
    let hostile = [
        "web\", action, resource); permit (principal",
        "web\\",
        "web\\\"",
        "web\n",
        "web\0",
        "we\u{200b}b",
        "\u{202e}bew",
        "ｗｅｂ",
        "web/",
        "/web",
        "web*",
        "*",
        "",
        "other/web",
        "k8s/web",
        "Workload::\"k8s/web\"",
        &"w".repeat(100_000),
    ];
    let named = load("permit (principal == Workload::\"k8s/web\", action, resource);");
    let of_other = load("permit (principal in Issuer::\"other\", action, resource);");
    for text in hostile {
        let who = subject("k8s", text, &[env(text)]);
        assert_eq!(answer(&named, &who, "read kv/a"), "no_rule", "{text:?}");
        assert_eq!(answer(&of_other, &who, "read kv/a"), "no_rule", "{text:?}");
        // The same text, properly quoted in a policy, matches it and nothing else.
        let literal = crate::policy::question::quoted(text);
        let shut = "when { principal.subject == SUBJECT }".replace("SUBJECT", &literal);
        let exact =
            load(&format!("permit (principal in Issuer::\"k8s\", action, resource) {shut};"));
        assert_eq!(answer(&exact, &who, "read kv/a"), "permitted", "{text:?}");
        assert_eq!(answer(&exact, &subject("k8s", "web", &[]), "read kv/a"), "no_rule", "{text:?}");
    }
}

#[test]
fn an_identity_cannot_be_spelt_across_the_slash() {
    let bundle = load("permit (principal == Workload::\"k8s/other/x\", action, resource);");
    assert_eq!(answer(&bundle, &subject("k8s", "other/x", &[]), "read kv/a"), "permitted");
    assert_eq!(answer(&bundle, &subject("other", "x", &[]), "read kv/a"), "no_rule");
}
