//! Claims of a platform that contradict each other.

use serde_json::json;
use symbolon_core::token::{Form, ObjectBinding};

use super::{Kind, Mutation, Scene};
use crate::assess::draft::Draft;
use crate::assess::random::Random;
use crate::assess::sample::{put, take};

pub(super) const ALL: &[&Mutation] = &[
    &Mutation {
        kind: Kind::Platform,
        name: "a subject of somewhere else",
        expected: &["claims_disagree", "subject_form", "person", "owner"],
        make: elsewhere,
    },
    &Mutation {
        kind: Kind::Platform,
        name: "a person's token",
        expected: &["person"],
        make: person,
    },
    &Mutation {
        kind: Kind::Platform,
        name: "an address that nobody verified",
        expected: &["email_unverified"],
        make: unverified,
    },
    &Mutation {
        kind: Kind::Platform,
        name: "bound to nothing that ends",
        expected: &["unbound"],
        make: unbound,
    },
    &Mutation {
        kind: Kind::Platform,
        name: "another version or tenant",
        expected: &["claims_disagree", "owner"],
        make: tenant,
    },
];

/// The subject says one account, namespace or repository and the claims another.
fn elsewhere(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let other = match scene.issuer.rules.form {
        Form::AwsToken => {
            let kind = random.pick(&["role/x", "root", "user/x"]).copied().unwrap_or("root");
            format!("arn:aws:iam::{}:{kind}", random.digits())
        }
        Form::Kubernetes(_) => format!("system:serviceaccount:kube-system:{}", random.hex()),
        Form::Github => format!("repo:acme/{}:environment:prod", random.hex()),
        Form::Gitlab => format!("project_path:acme/{}:ref_type:branch:ref:main", random.hex()),
        Form::Google => random.hex() + "x",
        Form::Entra(_) => random.uuid(),
        Form::Oidc | Form::AwsSigned | Form::Spiffe | Form::Certificate => return false,
    };
    draft.claim("sub", other)
}

fn person(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let members = match scene.issuer.rules.form {
        Form::Google => [("hd", "acme.example"), ("nonce", "n"), ("at_hash", "h")],
        Form::Entra(_) => [("scp", "user_impersonation"), ("idtyp", "user"), ("scp", "")],
        Form::Oidc
        | Form::AwsToken
        | Form::AwsSigned
        | Form::Github
        | Form::Gitlab
        | Form::Kubernetes(_)
        | Form::Spiffe
        | Form::Certificate => return false,
    };
    random.pick(&members).is_some_and(|(name, value)| draft.claim(name, *value))
}

fn unverified(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let values = [json!(false), json!("true"), json!(1)];
    scene.issuer.rules.form == Form::Google
        && draft.claims.contains_key("email")
        && random.pick(&values).is_some_and(|value| draft.claim("email_verified", value.clone()))
}

fn unbound(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let rules = &scene.issuer.rules;
    if !matches!(rules.form, Form::Kubernetes(_)) {
        return false;
    }
    let Some(kind) = rules.bindings.first().filter(|kind| **kind != ObjectBinding::Nothing) else {
        return false;
    };
    let place = format!("/kubernetes.io/{}", kind.as_str());
    if random.below(2) == 0 && !rules.bindings.contains(&ObjectBinding::Nothing) {
        take(&mut draft.claims, &place);
    } else {
        put(&mut draft.claims, &format!("{place}/uid"), json!(""));
    }
    true
}

fn tenant(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    match scene.issuer.rules.form {
        Form::Entra(_) if random.below(2) == 0 => draft.claim("tid", random.uuid()),
        Form::Entra(_) => draft.claim("ver", "3.0"),
        Form::Github => draft.claim("repository_owner", random.hex()),
        Form::Gitlab => draft.claim("project_path", format!("acme/{}", random.hex())),
        Form::Oidc
        | Form::AwsToken
        | Form::AwsSigned
        | Form::Google
        | Form::Kubernetes(_)
        | Form::Spiffe
        | Form::Certificate => false,
    }
}
