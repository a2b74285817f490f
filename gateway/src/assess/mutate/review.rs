//! What a cluster may say of a good token so that it must be refused all the same.

use serde_json::{Value, json};
use symbolon_oracle::Said;

use super::Kind;
use crate::assess::random::Random;
use crate::assess::sample::{Claims, find};

/// One answer that must refuse.
pub(in crate::assess) struct Mutation {
    pub(in crate::assess) kind: Kind,
    pub(in crate::assess) name: &'static str,
    /// The audit codes of which one must be the reason.
    pub(in crate::assess) expected: &'static [&'static str],
    make: fn(&mut Draft, &mut Random) -> Option<()>,
}

/// An answer in the making.
#[derive(Clone, Debug)]
pub(in crate::assess) struct Draft {
    status: u16,
    answer: Value,
}

impl Mutation {
    /// Makes the answer another; `false` if that is not possible for this token.
    pub(in crate::assess) fn spoil(&self, draft: &mut Draft, random: &mut Random) -> bool {
        (self.make)(draft, random).is_some()
    }
}

impl Draft {
    /// What a cluster says of a token of its own with these claims.
    pub(in crate::assess) fn of(claims: &Claims) -> Self {
        let claim = |pointer: &str| find(claims, pointer).cloned().unwrap_or_default();
        let mut extra = json!({});
        for (key, pointer) in [
            ("authentication.kubernetes.io/pod-name", "/kubernetes.io/pod/name"),
            ("authentication.kubernetes.io/pod-uid", "/kubernetes.io/pod/uid"),
            ("authentication.kubernetes.io/node-name", "/kubernetes.io/node/name"),
            ("authentication.kubernetes.io/node-uid", "/kubernetes.io/node/uid"),
        ] {
            if let Some((extra, value)) = extra.as_object_mut().zip(find(claims, pointer)) {
                extra.insert(key.to_owned(), json!([value]));
            }
        }
        let answer = json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {},
            "spec": {},
            "status": {
                "authenticated": true,
                "audiences": [claim("/aud")],
                "user": {
                    "username": claim("/sub"),
                    "uid": claim("/kubernetes.io/serviceaccount/uid"),
                    "groups": ["system:serviceaccounts", "system:authenticated"],
                    "extra": extra,
                },
            },
        });
        Self { status: 201, answer }
    }

    pub(in crate::assess) fn said(&self) -> Said {
        let body = self.answer.to_string();
        Said { status: self.status, media_type: "application/json", body }
    }

    fn status(&mut self) -> Option<&mut Claims> {
        self.answer.get_mut("status")?.as_object_mut()
    }

    fn set(&mut self, pointer: &str, value: impl Into<Value>) -> Option<()> {
        *self.answer.pointer_mut(pointer)? = value.into();
        Some(())
    }
}

pub(in crate::assess) const ALL: &[Mutation] = &[
    Mutation {
        kind: Kind::Answer,
        name: "a cluster that does not vouch, as when a pod is gone",
        expected: &["not_vouched"],
        make: |draft, random| {
            let reasons = [
                "[invalid bearer token, service account token has been invalidated]",
                "pod \"pod-1\" not found",
                "service account billing/api has been deleted",
            ];
            let reason = *random.pick(&reasons)?;
            draft.set("/status", json!({ "authenticated": false, "error": reason }))
        },
    },
    Mutation {
        kind: Kind::Answer,
        name: "a cluster that does not say whether it vouches",
        expected: &["not_vouched"],
        make: |draft, random| {
            let values = [None, Some(json!("true")), Some(json!(1)), Some(Value::Null)];
            let status = draft.status()?;
            status.remove("authenticated");
            if let Some(value) = random.pick(&values)?.clone() {
                status.insert("authenticated".to_owned(), value);
            }
            Some(())
        },
    },
    Mutation {
        kind: Kind::Answer,
        name: "a cluster that vouches for another audience, or for none",
        expected: &["not_vouched_for_us"],
        make: |draft, random| {
            let other = format!("https://{}.example", random.hex());
            let values = [None, Some(json!([])), Some(json!([other])), Some(json!("all"))];
            let status = draft.status()?;
            status.remove("audiences");
            if let Some(value) = random.pick(&values)?.clone() {
                status.insert("audiences".to_owned(), value);
            }
            Some(())
        },
    },
    Mutation {
        kind: Kind::Answer,
        name: "a cluster that means somebody else",
        expected: &["claims_disagree"],
        make: |draft, random| {
            let places = ["/status/user/username", "/status/user/uid"];
            draft.set(random.pick(&places)?, random.uuid())
        },
    },
    Mutation {
        kind: Kind::Answer,
        name: "a cluster that means another pod",
        expected: &["claims_disagree"],
        make: |draft, random| {
            let places = ["name", "uid"];
            let place = format!(
                "/status/user/extra/authentication.kubernetes.io~1pod-{}",
                random.pick(&places)?
            );
            draft.set(&place, json!([random.uuid()]))
        },
    },
    Mutation {
        kind: Kind::Answer,
        name: "an answer that is no review, or a refusal to review",
        expected: &["online_answer", "online_status"],
        make: |draft, random| match random.below(4) {
            0 => draft.set("/kind", "SubjectAccessReview"),
            1 => draft.set("/apiVersion", "authentication.k8s.io/v1beta1"),
            2 => draft.set("/status", json!([])),
            _ => {
                draft.status = *random.pick(&[401, 403, 404])?;
                Some(())
            }
        },
    },
];
