//! Random bundles and requests: the slice decides as the whole does, and fewer claims never get
//! more.

use std::collections::HashSet;

use cedar_policy::{Entities, Entity, EntityUid, PolicySet};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::decide::Verdict;
use crate::policy::entity::{entities, request};
use crate::policy::needs::Needs;
use crate::policy::question::Question;

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal is Workload",
    "principal == Workload::\"k8s/a\"",
    "principal in Workload::\"k8s/b\"",
    "principal == Workload::\"hub/a\"",
    "principal in Issuer::\"k8s\"",
    "principal is Workload in Issuer::\"hub\"",
    "principal in Issuer::\"other\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action == Action::\"read\"",
    "action in Action::\"read\"",
    "action in [Action::\"read\", Action::\"list\"]",
    "action == Action::\"list\"",
    "action in [Action::\"issue\", Action::\"renew\", Action::\"exchange\"]",
];
const RESOURCES: &[&str] = &[
    "resource",
    "resource is Secret",
    "resource is Role",
    "resource == Secret::\"kv/a/b\"",
    "resource in Secret::\"kv/a/b\"",
    "resource in Folder::\"kv/a\"",
    "resource == Folder::\"kv/a\"",
    "resource is Secret in Folder::\"kv/a/b\"",
    "resource is Folder in Folder::\"kv/a\"",
    "resource in Backend::\"kv\"",
    "resource == Backend::\"kv\"",
    "resource is Role in Backend::\"db\"",
    "resource == Role::\"db/app\"",
    "resource == Target::\"aws\"",
];
/// With `ENV`, `GROUPS` for guarded claims; some grant by absence, one errs at times.
const CONDITIONS: &[&str] = &[
    "",
    "",
    "when { principal has oidc.env && principal.oidc.env == \"prod\" }",
    "unless { principal has oidc.env && principal.oidc.env == \"prod\" }",
    "when { principal has oidc && !(principal.oidc has env) }",
    "when { principal has oidc.groups && principal.oidc.groups.contains(\"ops\") }",
    "unless { principal has oidc && principal.oidc has groups && principal.oidc.groups.contains(\"ops\") }",
    "when { principal has oidc.level && principal.oidc.level + 9223372036854775806 > 0 }",
    "when { principal has github.ref && principal.github.ref like \"refs/*\" }",
    "when { if principal has oidc.env then principal.oidc.env == \"dev\" else true }",
    "when { principal == Workload::\"k8s/a\" || (principal has oidc.trusted && principal.oidc.trusted) }",
    "when { principal in Issuer::\"k8s\" }",
];
const ASKS: &[&str] = &[
    "read kv/a/b",
    "read kv/a/c",
    "read kv/a/b/c",
    "read kv/ab",
    "read db/a/b",
    "list kv/",
    "list kv/a/",
    "list kv/a/b/",
    "issue db:app",
    "renew db:slow",
    "exchange aws",
];

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    (effect, select(PRINCIPALS), select(ACTIONS), select(RESOURCES), select(CONDITIONS)).prop_map(
        |(effect, principal, action, resource, condition)| {
            format!("{effect} ({principal}, {action}, {resource}) {condition};\n")
        },
    )
}

fn who() -> impl Strategy<Value = Subject> {
    let env = proptest::option::of(select(&["prod", "dev"][..]));
    let groups = proptest::option::of(select(&["ops", "dev"][..]));
    let level = proptest::option::of(select(&[1_i64, 2][..]));
    let trusted = proptest::option::of(any::<bool>());
    (select(&["k8s", "hub"][..]), select(&["a", "b", "c"][..]), env, groups, (level, trusted))
        .prop_map(|(issuer, name, env, groups, (level, trusted))| {
            let text = |t: &str| Attribute::String(t.to_owned());
            let attributes: Vec<(&str, Attribute)> = if issuer == "hub" {
                env.map(|e| ("ref", text(&format!("refs/{e}")))).into_iter().collect()
            } else {
                [
                    env.map(|e| ("env", text(e))),
                    groups.map(|g| ("groups", Attribute::Strings(vec![g.to_owned()]))),
                    level.map(|l| ("level", Attribute::Long(l))),
                    trusted.map(|t| ("trusted", Attribute::Bool(t))),
                ]
                .into_iter()
                .flatten()
                .collect()
            };
            subject(issuer, name, &attributes)
        })
}

fn bundle(policies: &[String]) -> Bundle {
    let vocabulary = Vocabulary { max_unscoped: 1000, ..world() };
    let text = policies.concat();
    match Bundle::load(&[source("p", &text)], &vocabulary) {
        Ok(bundle) => bundle,
        Err(faults) => panic!("{}\n{text}", shown(&faults)),
    }
}

/// The hierarchy as a reader of the policies thinks of it: every container is an entity too, each
/// lies in the next one only, and Cedar finds out the rest.
fn spelled_out(bundle: &Bundle, question: &Question<'_>) -> Entities {
    let ours = entities(&bundle.names, question, Needs::ALL).unwrap();
    let containers = question.resource.containers();
    let containers: Vec<_> = containers.map(|(kind, id)| bundle.names.uid(kind, id)).collect();
    let resource = bundle.names.uid(question.resource.kind, &question.resource.id);
    let nearest = |parents: &[EntityUid]| parents.first().cloned().into_iter().collect();
    let all = ours.iter().cloned().map(|entity| {
        if entity.uid() != resource {
            return entity;
        }
        let (uid, attributes, _) = entity.into_inner();
        Entity::new(uid, attributes, nearest(&containers)).unwrap()
    });
    let above = (0..containers.len()).map(|at| {
        let parents: HashSet<_> = nearest(&containers[at + 1..]);
        Entity::new_no_attrs(containers[at].clone(), parents)
    });
    Entities::from_entities(all.chain(above), None).unwrap()
}

/// What Cedar says when it is given every policy and the whole hierarchy.
fn evaluate_all(bundle: &Bundle, question: &Question<'_>) -> Verdict {
    let all =
        PolicySet::from_policies(bundle.rules.iter().map(|rule| rule.policy.clone())).unwrap();
    let request = request(&bundle.names, question, Needs::ALL).unwrap();
    let entities = spelled_out(bundle, question);
    let mut verdict = Verdict::default();
    bundle.note(&mut verdict, &bundle.authorizer.is_authorized(&request, &all, &entities));
    verdict.permits.sort_unstable();
    verdict.forbids.sort_unstable();
    verdict.errors.sort();
    verdict
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_slice_decides_as_the_whole(
        policies in proptest::collection::vec(policy(), 0..24),
        who in who(),
    ) {
        let bundle = bundle(&policies);
        for what in ASKS {
            let ask = ask(what);
            let question =
                Question::of_ask(&bundle.vocabulary, (&who, Binding::None), &ask, &HERE).unwrap();
            let sliced = bundle.evaluate(&question);
            let whole = evaluate_all(&bundle, &question);
            prop_assert_eq!(bundle.settle(&sliced), bundle.settle(&whole), "{} {:?}", what, who);
            prop_assert_eq!(sliced.errors, whole.errors);
        }
    }

    #[test]
    fn fewer_claims_never_get_more(
        policies in proptest::collection::vec(policy(), 1..8),
        who in who(),
    ) {
        // Policies that open where a claim is missing are warned of; the promise is for the rest.
        let closed: Vec<String> = policies
            .into_iter()
            .filter(|one| bundle(std::slice::from_ref(one)).warnings().iter().all(|w| !w.message.contains("claim")))
            .filter(|one| !one.contains("922337"))
            .collect();
        let bundle = bundle(&closed);
        for what in ASKS {
            let before = decide(&bundle, &who, what).is_ok();
            for name in who.attributes.keys() {
                let mut fewer = who.clone();
                fewer.attributes.remove(name);
                let after = decide(&bundle, &fewer, what).is_ok();
                prop_assert!(before || !after, "{} without {}: {:?}", what, name, closed);
            }
        }
    }

    #[test]
    fn a_claim_that_no_policy_names_changes_nothing(
        policies in proptest::collection::vec(policy(), 1..8),
        who in who(),
    ) {
        let named = |name: &str| policies.iter().any(|policy| policy.contains(name));
        let bundle = bundle(&policies);
        for what in ASKS {
            for name in who.attributes.keys().filter(|name| !named(name)) {
                let mut fewer = who.clone();
                fewer.attributes.remove(name);
                prop_assert_eq!(answer(&bundle, &who, what), answer(&bundle, &fewer, what));
            }
        }
    }

    #[test]
    fn any_subject_whatever_is_only_itself(text in "\\PC{0,20}|[\\\\\"\n/*:k8sweb]{0,12}") {
        prop_assume!(text != "web");
        let bundle = load("permit (principal == Workload::\"k8s/web\", action, resource);");
        prop_assert_eq!(answer(&bundle, &subject("k8s", &text, &[]), "read kv/a"), "no_rule");
    }
}
