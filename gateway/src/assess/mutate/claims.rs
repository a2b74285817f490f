//! Dates, audience, issuer, the common claims, clients and owners.

use serde_json::{Value, json};
use symbolon_core::token::Form;

use super::{Kind, Mutation, Scene};
use crate::assess::draft::Draft;
use crate::assess::random::Random;
use crate::assess::sample::{put, seconds, take};

/// How far beyond a limit at most; and how far at least where the clock of the assessment goes on.
const FAR: i64 = 400 * 86_400;
const AHEAD: i64 = 3600;

/// The reasons for which a token without a usable subject is refused: the profile may need it first.
const NO_SUBJECT: &[&str] = &[
    "claim_missing",
    "claim_malformed",
    "attribute_missing",
    "attribute_type",
    "subject_form",
    "claims_disagree",
    "person",
    "owner",
    "issuer_unknown",
];

pub(super) const ALL: &[&Mutation] = &[
    &Mutation { kind: Kind::Dates, name: "expired", expected: &["expired"], make: expired },
    &Mutation {
        kind: Kind::Dates,
        name: "not valid yet",
        expected: &["not_yet_valid"],
        make: not_yet_valid,
    },
    &Mutation {
        kind: Kind::Dates,
        name: "issued in the future",
        expected: &["issued_in_future"],
        make: issued_in_future,
    },
    &Mutation {
        kind: Kind::Dates,
        name: "ends before it begins",
        expected: &["ends_before_it_begins", "expired"],
        make: backwards,
    },
    &Mutation {
        kind: Kind::Dates,
        name: "lives too long",
        expected: &["lifetime"],
        make: lifetime,
    },
    &Mutation {
        kind: Kind::Dates,
        name: "too old",
        expected: &["too_old", "lifetime"],
        make: too_old,
    },
    &Mutation {
        kind: Kind::Dates,
        name: "no date, or none that is a number",
        expected: &["claim_missing", "claim_malformed"],
        make: undated,
    },
    &Mutation {
        kind: Kind::Audience,
        name: "another audience",
        expected: &["audience", "issuer_unknown"],
        make: audience,
    },
    &Mutation {
        kind: Kind::Audience,
        name: "several audiences",
        expected: &["several_audiences"],
        make: several_audiences,
    },
    &Mutation {
        kind: Kind::Audience,
        name: "no audience",
        expected: &["claim_missing", "claim_malformed", "issuer_unknown"],
        make: no_audience,
    },
    &Mutation {
        kind: Kind::Issuer,
        name: "a look-alike of the issuer",
        expected: &["issuer_unknown", "claim_missing"],
        make: look_alike,
    },
    &Mutation {
        kind: Kind::Issuer,
        name: "another issuer's name over this one's key",
        expected: &[
            "algorithm",
            "token_type",
            "header_unknown",
            "key_mismatch",
            "signature",
            "issuer_unknown",
        ],
        make: other_issuer,
    },
    &Mutation {
        kind: Kind::Issuer,
        name: "no issuer",
        expected: &["claim_missing", "claim_malformed"],
        make: no_issuer,
    },
    &Mutation { kind: Kind::Claims, name: "no subject", expected: NO_SUBJECT, make: no_subject },
    &Mutation {
        kind: Kind::Claims,
        name: "a claim twice",
        expected: &["payload_json"],
        make: twice,
    },
    &Mutation { kind: Kind::Claims, name: "bound to a key", expected: &["bound"], make: bound },
    &Mutation {
        kind: Kind::Claims,
        name: "an id that is no text",
        expected: &["claim_malformed"],
        make: token_id,
    },
    &Mutation {
        kind: Kind::Claims,
        name: "an attribute of another type",
        expected: &["attribute_type", "owner", "client"],
        make: attribute_type,
    },
    &Mutation {
        kind: Kind::Claims,
        name: "no attribute that is required",
        expected: &["attribute_missing", "owner", "client"],
        make: attribute_missing,
    },
    &Mutation { kind: Kind::Client, name: "another client", expected: &["client"], make: client },
    &Mutation { kind: Kind::Owner, name: "another owner", expected: &["owner"], make: owner },
    &Mutation { kind: Kind::Owner, name: "no owner", expected: &["owner"], make: no_owner },
];

fn expired(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let life = draft.date("exp", scene.now) - draft.date("iat", scene.now);
    let end = scene.now - seconds(scene.issuer.rules.leeway) - random.seconds(FAR);
    draft.claim("iat", end - life) && draft.claim("exp", end)
}

fn not_yet_valid(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    draft.claim("nbf", scene.now + AHEAD + random.seconds(FAR))
}

fn issued_in_future(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let life = draft.date("exp", scene.now) - draft.date("iat", scene.now);
    let begin = scene.now + AHEAD + random.seconds(FAR);
    draft.claim("iat", begin) && draft.claim("exp", begin + life)
}

fn backwards(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let begin = draft.date("iat", scene.now);
    draft.claim("exp", begin + 1 - random.seconds(60))
}

fn lifetime(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let begin = draft.date("iat", scene.now);
    draft.claim("exp", begin + seconds(scene.issuer.rules.max_lifetime) + random.seconds(FAR))
}

fn too_old(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let rules = &scene.issuer.rules;
    let Some(age) = rules.max_age else { return false };
    let begin = scene.now - seconds(age) - seconds(rules.leeway) - random.seconds(FAR);
    draft.claim("iat", begin) && draft.claim("exp", scene.now + AHEAD)
}

fn undated(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let name = if random.below(2) == 0 { "iat" } else { "exp" };
    let values = [Some(Value::Null), Some(json!(scene.now.to_string())), Some(json!([])), None];
    match random.pick(&values) {
        Some(Some(value)) => draft.claim(name, value.clone()),
        Some(None) | None => draft.claims.remove(name).is_some(),
    }
}

fn audience(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let own = draft.text("aud").to_owned();
    let mut others = vec![
        "https://other.example".to_owned(),
        format!("https://{}.example", random.hex()),
        "sts.amazonaws.com".to_owned(),
        "api://AzureADTokenExchange".to_owned(),
    ];
    others.extend(alike(&own));
    let ours: Vec<_> = scene.issuers.iter().flat_map(|issuer| &issuer.rules.audiences).collect();
    others.retain(|other| !ours.contains(&other));
    random.pick(&others).is_some_and(|other| draft.claim("aud", other.as_str()))
}

fn several_audiences(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let own = draft.text("aud").to_owned();
    let other = format!("https://{}.example", random.hex());
    let both = if random.below(2) == 0 { json!([own, other]) } else { json!([other, own]) };
    scene.issuer.rules.single_audience && draft.claim("aud", both)
}

fn no_audience(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    let own = draft.text("aud").to_owned();
    let values = [Some(json!([])), Some(json!(7)), Some(json!([own, own])), None];
    match random.pick(&values) {
        Some(Some(value)) => draft.claim("aud", value.clone()),
        Some(None) | None => draft.claims.remove("aud").is_some(),
    }
}

/// Of a trust domain the subject says it, of everybody else the issuer.
fn look_alike(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let mut others = alike(&scene.issuer.rules.issuer);
    others.push(format!("https://{}.example", random.hex()));
    others.retain(|other| !scene.issuers.iter().any(|issuer| issuer.rules.issuer == *other));
    let Some(other) = random.pick(&others) else { return false };
    if scene.issuer.rules.form == Form::Spiffe {
        let subject = draft.text("sub").replacen(&scene.issuer.rules.issuer, other, 1);
        // A slash more than the issuer's name is no other trust domain.
        return !subject.starts_with(&format!("{}/", scene.issuer.rules.issuer))
            && draft.claim("sub", subject);
    }
    draft.claim("iss", other.as_str())
}

fn other_issuer(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let own = &scene.issuer.rules;
    // Where there are no keys it is the cluster that says whose it is.
    let others = scene.issuers.iter().filter(|issuer| issuer.keyed).map(|issuer| &issuer.rules);
    let others: Vec<_> =
        others.filter(|rules| rules.issuer != own.issuer && rules.form != Form::Spiffe).collect();
    own.form != Form::Spiffe
        && random.pick(&others).is_some_and(|other| draft.claim("iss", other.issuer.as_str()))
}

fn no_issuer(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    if scene.issuer.rules.form == Form::Spiffe {
        return false;
    }
    let name = scene.issuer.rules.issuer.as_str();
    let values = [Some(json!([name])), Some(json!(7)), Some(Value::Null), None];
    match random.pick(&values) {
        Some(Some(value)) => draft.claim("iss", value.clone()),
        Some(None) | None => draft.claims.remove("iss").is_some(),
    }
}

fn no_subject(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    let odd = format!("{}\u{0}", draft.text("sub"));
    let values = [Some(json!(7)), Some(json!("")), Some(json!(odd)), Some(json!(["a"])), None];
    match random.pick(&values) {
        Some(Some(value)) => draft.claim("sub", value.clone()),
        Some(None) | None => draft.claims.remove("sub").is_some(),
    }
}

fn twice(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    let names: Vec<_> = draft.claims.keys().cloned().collect();
    let Some(name) = random.pick(&names) else { return false };
    let value = random.pick(&[json!("other"), json!(7)]).cloned().unwrap_or_default();
    draft.tail = format!(",{}:{value}", json!(name));
    true
}

fn bound(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    draft.claim("cnf", json!({ "jkt": random.hex() }))
}

fn token_id(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    random
        .pick(&[json!(7), json!(["a"]), json!({}), Value::Null])
        .is_some_and(|value| draft.claim("jti", value.clone()))
}

/// An attribute that is neither the subject nor a name of the platform: those have mutations of their
/// own.
fn attribute_type(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let rules: Vec<_> = scene.issuer.rules.attributes.rules().collect();
    let Some(rule) = random.pick(&rules) else { return false };
    put(&mut draft.claims, rule.claim.as_str(), json!({ "not": "that" }));
    true
}

fn attribute_missing(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let rules = scene.issuer.rules.attributes.rules().filter(|rule| rule.required);
    let rules: Vec<_> = rules.collect();
    let Some(rule) = random.pick(&rules) else { return false };
    take(&mut draft.claims, rule.claim.as_str());
    true
}

fn client(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    !scene.issuer.rules.clients.is_empty() && draft.claim("client_id", random.hex())
}

fn owner(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let Some(owner) = random.pick(&scene.issuer.rules.owners) else { return false };
    let mut others = vec![random.digits(), random.hex()];
    others.extend(owner.allowed.iter().flat_map(|own| alike(own)));
    others.retain(|other| !owner.allowed.contains(other));
    let Some(other) = random.pick(&others) else { return false };
    put(&mut draft.claims, owner.claim.as_str(), json!(other));
    true
}

fn no_owner(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let Some(owner) = random.pick(&scene.issuer.rules.owners) else { return false };
    take(&mut draft.claims, owner.claim.as_str());
    true
}

/// What an eye, a careless comparison or a normalisation takes for the same name.
fn alike(name: &str) -> Vec<String> {
    let mut all = vec![
        format!("{name}/"),
        format!("{name}."),
        format!("{name}#"),
        format!("{name}?"),
        format!(" {name}"),
        format!("{name}.evil.example"),
        format!("{name}/../x"),
        name.to_uppercase(),
        name.replacen("https://", "http://", 1),
        name.replacen("https://", "", 1),
        name.replace('e', "\u{435}"),
        name.trim_end_matches('/').to_owned(),
        name.chars().skip(1).collect(),
    ];
    all.retain(|other| other != name && !other.is_empty());
    all
}
