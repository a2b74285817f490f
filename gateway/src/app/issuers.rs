//! The operations of the admin listener on issuers, carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::token::{IssuerRules, Outline};

use super::App;
use crate::admin::issuers::Verb;
use crate::admin::{Answer, OperationError};
use crate::line::authenticate::{Examination, Freshness, Keys, Step, Verdict};

impl App {
    pub(super) async fn on_issuer(&self, verb: Verb) -> Result<Answer, OperationError> {
        match verb {
            Verb::Show(alias) => self.issuer(&alias),
            Verb::Test(token) => {
                let world = self.line.world.load_full();
                let examination = Box::pin(world.authenticator.examine(token.expose())).await;
                Ok(explained(&examination))
            }
        }
    }

    /// Every issuer in a line.
    pub(super) fn issuer_list(&self) -> Value {
        let world = self.line.world.load();
        let mut issuers: Vec<_> = world.authenticator.keys().values().map(line_of).collect();
        issuers.sort_by_key(|issuer| issuer["alias"].to_string());
        json!({ "issuers": issuers })
    }

    fn issuer(&self, alias: &IssuerAlias) -> Result<Answer, OperationError> {
        let world = self.line.world.load();
        let Some(keys) = world.authenticator.keys().get(alias) else {
            let detail = format!("there is no issuer `{alias}`; `symbolon issuer ls` shows them");
            return Err(OperationError { kind: Kind::Malformed, code: "issuer_unknown", detail });
        };
        let mut shown = line_of(keys);
        let rules = rules_of(keys.rules());
        if let (Some(shown), Some(rules)) = (shown.as_object_mut(), rules.as_object()) {
            shown.extend(rules.clone());
        }
        Ok(Answer::Json(shown, BTreeMap::new()))
    }
}

fn line_of(keys: &Arc<Keys>) -> Value {
    let current = keys.current();
    let ids = current.iter().flat_map(|set| set.key_ids().map(|id| id.unwrap_or("-").to_owned()));
    let age = match keys.freshness() {
        Freshness::Held(age) => Some(age.as_secs()),
        Freshness::Missing => None,
    };
    let rules = keys.rules();
    json!({
        "alias": rules.alias,
        "issuer": rules.issuer,
        "profile": rules.form.record(),
        "audiences": rules.audiences,
        "keys": ids.collect::<Vec<_>>(),
        "keys_age_seconds": age,
        "usable": current.is_some(),
    })
}

fn rules_of(rules: &IssuerRules) -> Value {
    let owners = rules
        .owners
        .iter()
        .map(|owner| json!({ "claim": owner.claim.as_str(), "values": owner.allowed }));
    let attributes = rules.attribute_types().map(|(name, kind)| {
        json!({ "attribute": format!("{}.{name}", rules.form.record()), "type": kind.as_str() })
    });
    json!({
        "algorithms": rules.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>(),
        "types": rules.types,
        "untyped": rules.untyped,
        "single_audience": rules.single_audience,
        "max_lifetime_seconds": rules.max_lifetime.as_secs(),
        "max_age_seconds": rules.max_age.map(|age| age.as_secs()),
        "leeway_seconds": rules.leeway.as_secs(),
        "one_shot": rules.one_shot,
        "subject": rules.subject_claim.as_str(),
        "clients": rules.clients,
        "owners": owners.collect::<Vec<_>>(),
        "attributes": attributes.collect::<Vec<_>>(),
    })
}

/// What is on record of a test: whose token, and which check refused. The token is on no line.
fn explained(examination: &Examination) -> Answer {
    let refused = examination.steps.iter().find_map(|step| match &step.verdict {
        Verdict::Refused(code, _) => Some(*code),
        Verdict::Passed | Verdict::NotReached | Verdict::NotMade(_) => None,
    });
    let mut details = BTreeMap::from([("result", refused.unwrap_or("accepted").to_owned())]);
    if let Some(issuer) = &examination.issuer {
        details.insert("issuer", issuer.clone());
    }
    let answer = json!({
        "accepted": refused.is_none(),
        "issuer": examination.issuer,
        "principal": examination.principal,
        "attributes": examination.attributes,
        "token": examination.outline.as_ref().map(outline_of),
        "checks": examination.steps.iter().map(step_of).collect::<Vec<_>>(),
    });
    Answer::Json(answer, details)
}

fn step_of(step: &Step) -> Value {
    let (result, code, reason) = match &step.verdict {
        Verdict::Passed => ("ok", None, None),
        Verdict::Refused(code, reason) => ("failed", Some(*code), Some(reason.as_str())),
        Verdict::NotReached => ("not reached", None, None),
        Verdict::NotMade(reason) => ("not made", None, Some(*reason)),
    };
    json!({ "check": step.name, "result": result, "code": code, "reason": reason })
}

fn outline_of(outline: &Outline) -> Value {
    let [issued_at, not_before, expires_at] = &outline.dates;
    json!({
        "alg": outline.algorithm,
        "kid": outline.key_id,
        "typ": outline.media_type,
        "iss": outline.issuer,
        "sub": outline.subject,
        "aud": outline.audiences,
        "iat": issued_at,
        "nbf": not_before,
        "exp": expires_at,
    })
}
