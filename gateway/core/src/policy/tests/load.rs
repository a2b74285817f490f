use super::*;

/// The faults of one policy file, as they are shown.
fn faults(text: &str) -> String {
    shown(&try_load(text).map_or_else(|faults| faults, |bundle| bundle.warnings().to_vec()))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults, a few lines each")]
fn each_fault_names_its_place_and_the_way_out() {
    for (text, expected) in [
        ("permit (principal, action, resource)", "p.cedar:1:"),
        ("permit (principal, action, resource);\n\n  permit (oops);", "p.cedar:3:"),
        (
            "permit (principal, action, resource in Backend::\"kw\");",
            "p.cedar:1:40: fault: there is no backend \"kw\"\n  help: did you mean `kv`?",
        ),
        (
            "// resource in Backend::\"nope\"\npermit (principal, action, resource in\n Backend::\"nope\");",
            "p.cedar:3:2: fault: there is no backend \"nope\"\n  help: configured: `db`, `kv`",
        ),
        (
            "permit (principal in Issuer::\"hubb\", action, resource);",
            "no issuer \"hubb\"\n  help: did you mean `hub`?",
        ),
        (
            "permit (principal == Workload::\"k8z/x\", action, resource);",
            "no issuer \"k8z\"\n  help: did you mean `k8s`?",
        ),
        (
            "permit (principal == Workload::\"k8s\", action, resource);",
            "its issuer and its subject",
        ),
        (
            "permit (principal == Workload::\"k8s/\", action, resource);",
            "its issuer and its subject",
        ),
        ("permit (principal, action, resource == Role::\"db/ap\");", "did you mean `app`?"),
        ("permit (principal, action, resource == Role::\"db\");", "<backend>/<role>"),
        ("permit (principal, action, resource == Target::\"awz\");", "did you mean `aws`?"),
        ("permit (principal, action, resource in Folder::\"kv\");", "resource in Backend::"),
        ("permit (principal, action, resource in Folder::\"kv/a/\");", "segment is empty"),
        ("permit (principal, action, resource in Folder::\"kv/../a\");", "`.` or `..`"),
        ("permit (principal, action, resource == Secret::\"vk/a\");", "no backend \"vk\""),
        ("permit (principal == Admin::\"root\", action, resource);", "uid:<number>"),
        ("permit (principal == Admin::\"uid:00\", action, resource);", "uid:<number>"),
        ("permit (principal, action, resource == Gateway::\"x\");", "one gateway"),
        ("permit (principal, action == Action::\"raed\", resource);", "raed"),
        ("permit (principal == Workloaf::\"k8s/x\", action, resource);", "Workloaf"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        (
            "@ttl_max(\"soon\") permit (principal, action, resource);",
            "`@ttl_max` is not a duration",
        ),
        ("@ttl_max(\"0s\") permit (principal, action, resource);", "longer than zero"),
        ("@ttl_max permit (principal, action, resource);", "`@ttl_max` is not a duration"),
        ("@max_ttl(\"5m\") permit (principal, action, resource);", "did you mean `@ttl_max`?"),
        ("@id(\"a b\") permit (principal, action, resource);", "`@id` is not an id"),
        ("@id(\"builtin:admin\") permit (principal, action, resource);", "`@id` is not an id"),
        (
            "@id(\"x\") permit (principal, action, resource);\n@id(\"x\") forbid (principal, action, resource);",
            "p.cedar:2:1: fault: policy id `x` is taken by p.cedar:1",
        ),
        (
            "permit (principal, action, resource) when { principal.oidc.env == \"x\" };",
            "unable to guarantee safety of access to optional attribute",
        ),
        (
            "permit (principal, action, resource) when { principal has oidc && principal.oidc has emv };",
            "fault: there is no mapped claim \"oidc.emv\"\n  help: did you mean `oidc.env`?",
        ),
        (
            "permit (principal, action == Action::\"read\", resource) when { context.binding == 1 };",
            "p.cedar:1:",
        ),
        ("permit (principal, action == Action::\"read\", resource is Role);", "warning"),
        (
            "forbid (principal, action, resource) when { principal has gitlab };",
            "no mapped claim \"gitlab\"",
        ),
        (
            "forbid (principal, action, resource) when { principal has oidc && principal.oidc has env };",
            "warning: policy `p.cedar:1` grants more when a claim is missing",
        ),
    ] {
        let found = faults(text);
        assert!(found.contains(expected), "{text}\n--- found\n{found}\n--- expected\n{expected}");
    }
}

#[test]
fn all_faults_of_all_files_are_found_at_once() {
    let sources = [
        source("b.cedar", "permit (principal, action, resource in Backend::\"kw\");"),
        source("a.cedar", "permit (oops);"),
        source("c.cedar", "@ttl_max(\"x\") permit (principal, action, resource);"),
    ];
    let faults = Bundle::load(&sources, &world()).unwrap_err();
    let mut files: Vec<&str> = faults.iter().map(|fault| fault.file.as_str()).collect();
    files.dedup();
    assert_eq!(files, ["a.cedar", "b.cedar", "c.cedar"], "{}", shown(&faults));
}

#[test]
fn other_annotations_are_the_operators_own() {
    assert_eq!(faults("@owner(\"team-a\") permit (principal, action, resource);"), "");
}

#[test]
fn a_policy_without_an_id_is_named_by_file_and_place() {
    let text = "permit (principal, action == Action::\"list\", resource);\npermit (principal, action == Action::\"read\", resource);";
    let permit = decide(&load(text), &subject("k8s", "x", &[]), "read kv/a").unwrap();
    assert_eq!(ids(permit.policies()), ["p.cedar:2"]);
}

#[test]
fn issuers_that_share_a_profile_agree_on_types() {
    let mut vocabulary = world();
    let other = vocabulary.issuers.get_mut("other").unwrap();
    other.attributes.insert(String::from("level"), AttributeType::String);
    let found = shown(&Bundle::load(&[], &vocabulary).unwrap_err());
    assert!(
        found.contains("`level` is a Long of issuer `k8s` and a String of issuer `other`"),
        "{found}"
    );
}

#[test]
fn an_attribute_name_cannot_break_out_of_the_schema() {
    for name in ["", "a-b", "a\": String }; entity X; //", "1a", "ä", &"a".repeat(64)] {
        let mut vocabulary = world();
        let hub = vocabulary.issuers.get_mut("hub").unwrap();
        hub.attributes.insert(name.to_owned(), AttributeType::String);
        let found = shown(&Bundle::load(&[], &vocabulary).unwrap_err());
        assert!(found.contains("is not a name"), "{name}: {found}");
    }
}

#[test]
fn attributes_with_the_names_of_keywords_can_be_used() {
    let mut vocabulary = world();
    let hub = vocabulary.issuers.get_mut("hub").unwrap();
    hub.attributes.insert(String::from("in"), AttributeType::String);
    let text = "permit (principal, action == Action::\"read\", resource) when { principal has github && principal.github has \"in\" && principal.github[\"in\"] == \"x\" };";
    assert!(Bundle::load(&[source("p", text)], &vocabulary).is_ok());
}

#[test]
fn policies_without_a_scope_are_capped() {
    let vocabulary = Vocabulary { max_unscoped: 2, ..world() };
    let one = "permit (principal, action == Action::\"read\", resource is Secret);\n";
    let scoped = "permit (principal in Issuer::\"k8s\", action, resource);\n";
    assert!(Bundle::load(&[source("p", &format!("{one}{one}{scoped}"))], &vocabulary).is_ok());
    let faults = Bundle::load(&[source("p", &one.repeat(3))], &vocabulary).unwrap_err();
    assert_eq!((faults.len(), faults[0].line), (1, 3), "{}", shown(&faults));
}

#[test]
fn the_digest_follows_what_can_change_an_answer_and_nothing_else() {
    let (a, b) = (source("a", "permit (principal, action, resource);"), source("b", ""));
    let digest = |sources: &[Source], vocabulary: &Vocabulary| {
        Bundle::load(sources, vocabulary).unwrap().digest().to_owned()
    };
    let first = digest(&[a.clone(), b.clone()], &world());
    assert_eq!(first.len(), 64);
    assert_eq!(first, digest(&[b.clone(), a.clone()], &world()));
    assert_ne!(first, digest(std::slice::from_ref(&a), &world()));
    assert_ne!(
        first,
        digest(&[a.clone(), b.clone()], &Vocabulary { service_uid: None, ..world() })
    );
    let ttl_max = Duration::from_secs(60);
    assert_ne!(first, digest(&[a, b], &Vocabulary { ttl_max, ..world() }));
}

#[test]
fn the_schema_reads_as_documented() {
    let schema = load("").schema().to_owned();
    for part in [
        "entity Workload in [Issuer] = {",
        "oidc?: {",
        "\"groups\"?: Set<String>,",
        "entity Folder in [Folder, Backend]",
        "action \"administer\" appliesTo {\n    principal: [Admin, Workload],",
    ] {
        assert!(schema.contains(part), "{part}\n{schema}");
    }
}
