//! Text, header, algorithm, key and signature.

use serde_json::{Value, json};
use symbolon_core::token::{Algorithm, Form};

use super::{Kind, Mutation, Scene};
use crate::assess::draft::{Draft, Spoil};
use crate::assess::random::Random;

pub(super) const ALL: &[&Mutation] = &[
    &Mutation {
        kind: Kind::Text,
        name: "no compact token",
        expected: &["token_segments", "token_characters", "token_encoding"],
        make: text,
    },
    &Mutation {
        kind: Kind::Header,
        name: "an extension, an encryption or a token within",
        expected: &["header_critical", "header_unencoded", "header_encrypted", "token_nested"],
        make: unusual,
    },
    &Mutation {
        kind: Kind::Header,
        name: "another type",
        expected: &["token_type"],
        make: media_type,
    },
    &Mutation {
        kind: Kind::Header,
        name: "a member that a JWT-SVID has not",
        expected: &["header_unknown"],
        make: not_bare,
    },
    &Mutation { kind: Kind::Algorithm, name: "no algorithm", expected: &["algorithm"], make: none },
    &Mutation {
        kind: Kind::Algorithm,
        name: "a symmetric algorithm",
        expected: &["algorithm"],
        make: symmetric,
    },
    &Mutation {
        kind: Kind::Algorithm,
        name: "an algorithm that the issuer has not",
        expected: &["algorithm"],
        make: not_allowed,
    },
    &Mutation {
        kind: Kind::Algorithm,
        name: "an algorithm that the key has not",
        expected: &["key_mismatch", "signature"],
        make: not_of_the_key,
    },
    &Mutation {
        kind: Kind::Key,
        name: "an unknown key",
        expected: &["key_unknown"],
        make: unknown_key,
    },
    &Mutation {
        kind: Kind::Key,
        name: "a stranger's key",
        expected: &["signature"],
        make: strangers_key,
    },
    &Mutation {
        kind: Kind::Key,
        name: "a key within the token",
        expected: &["header_embedded_key"],
        make: embedded_key,
    },
    &Mutation {
        kind: Kind::Signature,
        name: "a bit turned over",
        expected: &["signature"],
        make: bit,
    },
    &Mutation {
        kind: Kind::Signature,
        name: "no signature",
        expected: &["signature"],
        make: unsigned,
    },
    &Mutation {
        kind: Kind::Signature,
        name: "the signature of other claims",
        expected: &["signature"],
        make: other_claims,
    },
];

fn text(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    let ways = [Spoil::Segment, Spoil::Padding, Spoil::Alphabet];
    draft.spoil = random.pick(&ways).copied().unwrap_or(Spoil::Segment);
    true
}

fn unusual(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    let members = [
        ("crit", json!(["exp"])),
        ("crit", json!([random.hex()])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("p2c", json!(1_000_000)),
        ("cty", json!("JWT")),
        ("cty", json!("application/jwt")),
    ];
    random.pick(&members).is_some_and(|(name, value)| draft.head(name, value.clone()))
}

fn media_type(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let rules = &scene.issuer.rules;
    let names = ["dpop+jwt", "wit+jwt", "logout+jwt", "secevent+jwt", "at+jwt", "text/jwt"];
    let others = names.into_iter().filter(|name| !rules.types.iter().any(|own| own == name));
    let mut others: Vec<Option<&str>> = others.map(Some).collect();
    if !rules.untyped {
        others.push(None);
    }
    match random.pick(&others) {
        Some(Some(name)) => draft.head("typ", *name),
        Some(None) => draft.header.remove("typ").is_some(),
        None => false,
    }
}

fn not_bare(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    scene.issuer.rules.form == Form::Spiffe && draft.head("x5t", random.hex())
}

fn none(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    if random.below(2) == 0 {
        draft.spoil = Spoil::Unsigned;
    }
    random.pick(&["none", "None", "NONE", "nOnE", ""]).is_some_and(|name| draft.head("alg", *name))
}

fn symmetric(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    random.pick(&["HS256", "HS384", "HS512", "dir"]).is_some_and(|name| draft.head("alg", *name))
}

fn not_allowed(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let allowed = &scene.issuer.rules.algorithms;
    let others: Vec<_> =
        Algorithm::ALL.into_iter().filter(|other| !allowed.contains(other)).collect();
    random.pick(&others).is_some_and(|other| draft.head("alg", other.as_str()))
}

fn not_of_the_key(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    let (own, allowed) = (scene.issuer.signer.algorithm, &scene.issuer.rules.algorithms);
    let others: Vec<_> = allowed.iter().filter(|other| **other != own).collect();
    random.pick(&others).is_some_and(|other| draft.head("alg", other.as_str()))
}

fn unknown_key(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    draft.head("kid", random.hex())
}

fn strangers_key(draft: &mut Draft, _: &Scene<'_>, _: &mut Random) -> bool {
    draft.by_stranger = true;
    true
}

fn embedded_key(draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
    draft.by_stranger = true;
    let members: [(&str, Value); 4] = [
        ("jwk", scene.issuer.stranger.jwk.clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/x5c.pem")),
        ("x5c", json!(["MIIB"])),
    ];
    random.pick(&members).is_some_and(|(name, value)| draft.head(name, value.clone()))
}

fn bit(draft: &mut Draft, _: &Scene<'_>, random: &mut Random) -> bool {
    draft.spoil = Spoil::Bit(random.below(1 << 16));
    true
}

fn unsigned(draft: &mut Draft, _: &Scene<'_>, _: &mut Random) -> bool {
    draft.spoil = Spoil::Unsigned;
    true
}

fn other_claims(draft: &mut Draft, _: &Scene<'_>, _: &mut Random) -> bool {
    draft.spoil = Spoil::OtherClaims;
    true
}
