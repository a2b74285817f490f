//! Who must not act for whom, though both of them are good.

use serde_json::{Value, json};

use super::Kind;
use crate::assess::random::Random;
use crate::assess::sample::Claims;

/// One way in which a subject's token lets nobody, or not this one, act.
pub(in crate::assess) struct Mutation {
    pub(in crate::assess) kind: Kind,
    pub(in crate::assess) name: &'static str,
    /// The audit codes of which one must be the reason.
    pub(in crate::assess) expected: &'static [&'static str],
    /// Changes the claims of the subject.
    pub(in crate::assess) make: fn(&mut Claims, &mut Random),
}

pub(in crate::assess) const ALL: &[Mutation] = &[
    Mutation {
        kind: Kind::Actor,
        name: "somebody else than who may act",
        expected: &["actor"],
        make: |claims, random| {
            claims.insert("may_act".to_owned(), json!({ "sub": random.uuid() }));
        },
    },
    Mutation {
        kind: Kind::Actor,
        name: "an actor where nobody is named who may act",
        expected: &["actor", "claim_malformed"],
        make: |claims, random| {
            let nobody = [json!({}), json!(null), json!("anybody"), json!([])];
            let nobody = random.pick(&nobody).cloned().unwrap_or_default();
            claims.insert("may_act".to_owned(), nobody);
        },
    },
    Mutation {
        kind: Kind::Actor,
        name: "more actors than are carried on",
        // An actor by a JWT-SVID has no issuer that could be carried on.
        expected: &["actors_too_many", "claim_missing"],
        make: |claims, random| {
            let more = 4 + random.below(3);
            let chain = (0..more).fold(None, |prior: Option<Value>, _| {
                let mut act = json!({ "sub": random.hex() });
                if let Some((act, prior)) = act.as_object_mut().zip(prior) {
                    act.insert("act".to_owned(), prior);
                }
                Some(act)
            });
            claims.insert("act".to_owned(), chain.unwrap_or_default());
        },
    },
    Mutation {
        kind: Kind::Actor,
        name: "an actor of whom nothing is said",
        expected: &["claim_malformed"],
        make: |claims, random| {
            let none = [json!({}), json!({ "sub": 7 }), json!({ "sub": "" }), json!("somebody")];
            claims.insert("act".to_owned(), random.pick(&none).cloned().unwrap_or_default());
        },
    },
];
