use super::*;

fn administer(bundle: &Bundle, uid: u32, operation: &str) -> Result<Vec<String>, &'static str> {
    let permit = bundle.decide_administration(&Administrator::from_peer(uid), operation, NOW);
    match permit {
        Ok(permit) => Ok(permit.policies().iter().map(|id| id.to_string()).collect()),
        Err(denial) => Err(denial.code()),
    }
}

#[test]
fn root_and_the_service_itself_are_the_first_administrators() {
    let bundle = load("");
    let builtin = || Ok(vec![String::from("builtin:admin")]);
    assert_eq!(administer(&bundle, 0, "reload"), builtin());
    assert_eq!(administer(&bundle, 1000, "reload"), builtin());
    assert_eq!(administer(&bundle, 1001, "reload"), Err("no_rule"));
}

#[test]
fn without_a_known_service_user_only_root_is_admitted() {
    let bundle = Bundle::load(&[], &Vocabulary { service_uid: None, ..world() }).unwrap();
    assert!(administer(&bundle, 0, "reload").is_ok());
    assert_eq!(administer(&bundle, 1000, "reload"), Err("no_rule"));
}

#[test]
fn operators_admit_others_by_operation_and_forbid_even_root() {
    let bundle = load(
        "@id(\"viewers\") permit (principal == Admin::\"uid:7\", action == Action::\"administer\", resource)
         when { context.operation == \"status\" };
         @id(\"frozen\") forbid (principal, action == Action::\"administer\", resource)
         when { context.operation == \"reload\" };",
    );
    assert_eq!(administer(&bundle, 7, "status"), Ok(vec![String::from("viewers")]));
    assert_eq!(administer(&bundle, 7, "lock"), Err("no_rule"));
    assert_eq!(administer(&bundle, 0, "reload"), Err("rule_deny"));
}

#[test]
fn a_principal_administers_only_where_a_policy_says_so() {
    let who = proven(subject("k8s", "ops", &[]), Binding::Mtls);
    let administrator = Administrator::proven(Arc::clone(&who));
    assert_eq!(administrator.to_string(), "k8s/ops");
    let decide = |text: &str| load(text).decide_administration(&administrator, "status", NOW);
    assert!(decide("").is_err());
    let allowed =
        "permit (principal == Workload::\"k8s/ops\", action == Action::\"administer\", resource);";
    assert_eq!(decide(allowed).unwrap().operation(), "status");
}

#[test]
fn only_a_permit_that_names_the_action_opens_administration() {
    let pod = Administrator::proven(proven(subject("k8s", "pod", &[]), Binding::None));
    for (action, pod_may, peer_may) in [
        ("action", false, false),
        ("action == Action::\"read\"", false, false),
        ("action == Action::\"administer\"", true, true),
        ("action in [Action::\"read\", Action::\"administer\"]", true, true),
    ] {
        let bundle = load(&format!("permit (principal, {action}, resource);"));
        let decided = bundle.decide_administration(&pod, "status", NOW);
        assert_eq!(decided.is_ok(), pod_may, "{action}");
        assert_eq!(administer(&bundle, 1001, "status").is_ok(), peer_may, "{action}");
    }
}

#[test]
fn a_forbid_of_everything_forbids_administration_too() {
    let bundle = load("forbid (principal == Admin::\"uid:0\", action, resource);");
    assert_eq!(administer(&bundle, 0, "status"), Err("rule_deny"));
    assert!(administer(&bundle, 1000, "status").is_ok());
}
