//! The traps of each platform (`wire-formats.md` §1), one row each.

use serde_json::{Value, json};
use symbolon_tests::harness::ORIGIN;
use symbolon_tests::harness::platforms::{PLATFORMS, Platform, Signer};

use super::{Bench, NOW, changed};

fn platform(alias: &str) -> &'static Platform {
    PLATFORMS.iter().find(|platform| platform.alias == alias).expect("a platform")
}

/// Which platform, which claim, why it is refused, and what the claim becomes. `CLUSTER` stands for
/// each of those that have the tokens of Kubernetes, `NOW+n` for a date.
const TRAPS: &str = r#"
# Another account's role, another account, an account's root, what is no role or user.
aws /sub claims_disagree "arn:aws:iam::210987654321:role/DataProcessingRole"
aws /https:~1~1sts.amazonaws.com~1/aws_account owner "210987654321"
aws /sub subject_form "arn:aws:iam::123456789012:root"
aws /sub subject_form "arn:aws:iam::123456789012:group/a"
aws /sub subject_form "arn:aws:sts::123456789012:assumed-role/a/b"
aws /sub subject_form "DataProcessingRole"
aws /exp lifetime NOW+3601
# People, other projects, an address nobody verified, an issuer without scheme.
google /azp person "32555940559.apps.googleusercontent.com"
google /hd person "acme.example"
google /at_hash person "x"
google /nonce person "x"
google /email_verified email_unverified false
google /email_verified email_unverified "true"
google /google/compute_engine/project_id owner "evil"
google /google owner {}
google /iss issuer_unknown "accounts.google.com"
google /sub subject_form "alice"
google /google/compute_engine/project_number attribute_type "837509470220"
google /google/compute_engine/instance_id attribute_type 2407269007706814584
# Another tenant, another version, a person, what was delegated.
entra-v1 /tid claims_disagree "9188040d-6c67-4c5b-b112-36a304b66dad"
entra-v1 /ver claims_disagree "2.0"
entra-v1 /idtyp person "user"
entra-v1 /scp person "user_impersonation"
entra-v1 /sub person "pairwise"
entra-v1 /exp lifetime NOW+90000
entra-v1 /iss issuer_unknown "https://sts.windows.net/f2a33211-e46a-4c92-b84d-aff06c2cd13f"
entra-v2 /ver claims_disagree "1.0"
entra-v2 /tid claims_disagree "9188040d-6c67-4c5b-b112-36a304b66dad"
entra-v2 /scp person "access_as_user"
entra-v2 /aud audience "https://graph.microsoft.com"
# Other owners, other repositories, templates that leave the repository out.
github /repository_owner_id owner "654321"
github /repository_owner_id attribute_type 123456
github /repository claims_disagree "acme/other"
github /repository_id claims_disagree "1"
github /repository_owner claims_disagree "evil"
github /sub claims_disagree "repo:acme/other:environment:prod"
github /sub claims_disagree "repo:acme@1/pay@456789:environment:prod"
github /sub subject_form "repository_owner:acme:repository_visibility:private"
github /sub subject_form "environment:prod"
github /aud audience "https://github.com/acme"
github /iss issuer_unknown "https://token.actions.githubusercontent.com/acme"
github /exp lifetime NOW+901
# Other namespaces, a project whose path begins like ours.
gitlab /namespace_id owner "73"
gitlab /namespace_id attribute_type 72
gitlab /project_path claims_disagree "my-group/my-project-2"
gitlab /sub claims_disagree "project_path:my-group/evil:ref_type:branch:ref:main"
gitlab /sub subject_form "ref:main"
gitlab /ref_protected attribute_type true
gitlab /runner_id attribute_type "1"
gitlab /exp lifetime NOW+3601
# Other domains, and what is no SPIFFE ID in its one form: then there is no domain at all.
spiffe /sub claim_missing "spiffe://evil.example/ns/billing/sa/api"
spiffe /sub claim_missing "spiffe://acme.example"
spiffe /sub claim_missing "spiffe://acme.example/"
spiffe /sub claim_missing "spiffe://acme.example//a"
spiffe /sub claim_missing "spiffe://acme.example/ns/../a"
spiffe /sub claim_missing "spiffe://acme.example/%61"
spiffe /sub claim_missing "spiffe://acme.example:443/a"
spiffe /sub claim_missing "spiffe://u@acme.example/a"
spiffe /sub claim_missing "spiffe://ACME.example/a"
spiffe /sub claim_missing "spiffe://acme.example.evil/a"
spiffe /sub claim_missing "spiffe://acme.example/a?b"
spiffe /cnf bound {"jwk": {}}
CLUSTER /sub claims_disagree "system:serviceaccount:kube-system:api"
CLUSTER /sub claims_disagree "system:serviceaccount:billing:admin"
CLUSTER /sub claims_disagree "system:node:node-1"
CLUSTER /kubernetes.io/namespace claims_disagree "other"
CLUSTER /kubernetes.io/serviceaccount/name claims_disagree "other"
CLUSTER /kubernetes.io attribute_missing {}
CLUSTER /kubernetes.io/pod unbound {"name": "api"}
CLUSTER /kubernetes.io/pod attribute_type "api"
CLUSTER /kubernetes.io/pod unbound {"name": "api", "uid": ""}
CLUSTER /kubernetes.io/node unbound {"uid": "1"}
CLUSTER /kubernetes.io/secret attribute_type "s"
CLUSTER /aud audience ["https://kubernetes.default.svc"]
CLUSTER /aud audience ["sts.amazonaws.com"]
CLUSTER /aud several_audiences ["ORIGIN", "sts.amazonaws.com"]
CLUSTER /iss issuer_unknown "kubernetes/serviceaccount"
# A year-long token of a legacy client; clouds give a day at most.
kubernetes /exp lifetime NOW+3601
eks /exp lifetime NOW+86401
gke /exp lifetime NOW+86401
aks /exp lifetime NOW+86401
"#;

const CLUSTERS: [&str; 4] = ["eks", "gke", "aks", "kubernetes"];

pub(super) fn traps() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let lines = TRAPS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.flat_map(|line| {
        let [alias, pointer, code, value] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("not a row: {line}")
        };
        let value = match value.strip_prefix("NOW+") {
            Some(seconds) => json!(NOW + seconds.parse::<i64>().expect("seconds")),
            None => serde_json::from_str(&value.replace("ORIGIN", ORIGIN)).expect("a value"),
        };
        let aliases = if alias == "CLUSTER" { CLUSTERS.to_vec() } else { vec![alias] };
        aliases.into_iter().map(move |alias| (alias, pointer, value.clone(), code))
    });
    rows.collect()
}

#[tokio::test]
async fn every_trap_of_every_platform_is_refused_for_its_own_reason() {
    let bench = Bench::start().await;
    for (alias, pointer, value, code) in traps() {
        let platform = platform(alias);
        let claims = changed(&platform.claims(ORIGIN, NOW), pointer, Some(value.clone()));
        let proven = bench.of(&platform.header(), &claims).await;
        assert_eq!(proven, Err(code), "{alias}: {pointer} = {value}");
    }
    bench.gateway.stop().await;
}

/// What becomes of a header member; `*` is every platform.
const HEADERS: [(&str, &str, &str, &str); 9] = [
    ("*", "/typ", r#""wit+jwt""#, "token_type"),
    ("*", "/typ", r#""at+jwt""#, "token_type"),
    ("*", "/kid", r#""RSA_0""#, "key_unknown"),
    ("*", "/jwk", "{}", "header_embedded_key"),
    ("*", "/alg", r#""HS256""#, "algorithm"),
    ("spiffe", "/x5t", r#""a""#, "header_unknown"),
    ("spiffe", "/extra", "1", "header_unknown"),
    ("spiffe", "/cty", r#""text""#, "header_unknown"),
    ("spiffe", "/alg", r#""EdDSA""#, "algorithm"),
];

#[tokio::test]
async fn every_deviation_of_a_header_is_refused_for_its_own_reason() {
    let bench = Bench::start().await;
    for (alias, pointer, value, code) in HEADERS {
        let value: Value = serde_json::from_str(value).expect("a value");
        for platform in PLATFORMS.iter().filter(|p| alias == "*" || p.alias == alias) {
            let header = changed(&platform.header(), pointer, Some(value.clone()));
            let proven = bench.of(&header, &platform.claims(ORIGIN, NOW)).await;
            assert_eq!(proven, Err(code), "{}: {pointer} = {value}", platform.alias);
        }
    }
    for alias in ["google", "entra-v1", "entra-v2", "github"] {
        let platform = platform(alias);
        let header = changed(&platform.header(), "/typ", None);
        let proven = bench.of(&header, &platform.claims(ORIGIN, NOW)).await;
        assert_eq!(proven, Err("token_type"), "{alias} without `typ`");
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_platform_signs_with_its_own_algorithms_though_the_set_has_other_keys() {
    let bench = Bench::start().await;
    for platform in PLATFORMS {
        let allowed: &[&str] = match platform.alias {
            "aws" => &["RS256", "ES384"],
            "kubernetes" => &["RS256", "ES256"],
            "spiffe" => &["RS256", "ES256", "ES384"],
            _ => &["RS256"],
        };
        for algorithm in ["RS256", "ES256", "ES384"] {
            let mut header = platform.header();
            (header["alg"], header["kid"]) = (json!(algorithm), json!(algorithm));
            let proven = bench.of(&header, &platform.claims(ORIGIN, NOW)).await;
            let refused = proven.err();
            let expected = (!allowed.contains(&algorithm)).then_some("algorithm");
            assert_eq!(refused, expected, "{}: {algorithm}", platform.alias);
        }
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn the_same_kid_of_another_issuer_verifies_nothing() {
    let bench = Bench::start().await;
    let other = Signer::default();
    for platform in PLATFORMS {
        let token = other.token(&platform.header(), &platform.claims(ORIGIN, NOW));
        assert_eq!(bench.prove(&token).await, Err("signature"), "{}", platform.alias);
    }
    bench.gateway.stop().await;
}
