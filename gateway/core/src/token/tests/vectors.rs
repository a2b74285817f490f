//! The self-contained vectors V0 to V11.

use super::*;

const H: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0";
const P: &str = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjE3OTM1MjAzMDAsImp0aSI6ImoxIn0";
const S: &str =
    "ACABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4PPCNfTbTf_Xx6t_8v6yi6Int_Eig--PiT80o5a9mAEHQ";
const HIGH_S: &str =
    "ACABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4Mw9ygrksgAoeFSADQFNdF3Hgc2I5dZYF_25zxoBgMhNA";

fn v0() -> String {
    format!("{H}.{P}.{S}")
}

#[test]
fn v0_is_accepted_and_proves_what_it_says() {
    let principal = at(&v0(), &rules(), &k1(), NOW).unwrap();
    assert_eq!(principal.identity().to_string(), "idp/svc:a");
    assert_eq!(principal.subject().profile, "oidc");
    assert_eq!(principal.proof().issued_at, Some(Timestamp::from_seconds(ISSUED)));
    assert_eq!(principal.proof().expires_at, Timestamp::from_seconds(EXPIRES));
    assert_eq!(
        hex::encode(principal.proof().digest),
        "32370ca7f0327091741da2ca6c9b14354e51c31ae56b86c2ea48824dce80b6f0",
    );
}

#[test]
fn v1_a_second_valid_signature_has_the_same_replay_key_and_another_fingerprint() {
    let twin = format!("{H}.{P}.{HIGH_S}");
    let digest = |token| at(token, &rules(), &k1(), NOW).unwrap().proof().digest;
    assert_eq!(digest(&twin), digest(&v0()));
    assert_ne!(fingerprint(&twin), fingerprint(&v0()));
}

#[test]
fn v2_to_v10_are_refused_for_their_own_reason() {
    let der = "MEQCHyABSfrFkVy5WDKak8tpZxjnKKkcobl4GpcnAQq3c4MCIQDPCNfTbTf_Xx6t_8v6yi6Int_Eig--PiT80o5a9mAEHQ";
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEiLCJ0eXAiOiJKV1QifQ";
    let hmac = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0";
    let crit = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIiwiY3JpdCI6WyJleHAiXX0";
    let v0 = v0();
    for (name, token, expected) in [
        ("V2", format!("{}R", &v0[..v0.len() - 1]), Refusal::Encoding),
        ("V3", format!("{H}.{P}.{der}"), Refusal::Signature),
        ("V4", format!("{H}.{P}.{}", "A".repeat(86)), Refusal::Signature),
        ("V5 bare", format!("{none}.{P}."), Refusal::Algorithm),
        ("V5 signed", format!("{none}.{P}.{S}"), Refusal::Algorithm),
        (
            "V6",
            format!("{hmac}.{P}.REFb2cz_rxrt4L8nuFDDIOQpiMddR-b56nD6uHSexak"),
            Refusal::Algorithm,
        ),
        (
            "V7",
            format!(
                "{H}.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJzdWIiOiJzdmM6YWRtaW4iLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjE3OTM1MjAzMDAsImp0aSI6ImoxIn0.8OMnV737FLGG4L3ouH8-lAJyZDIiPVJwcM5VIDWXdujZWOzSR_tHCiiTCxp31jfvVRhtRsGneDWgIs9ZyCAc6Q"
            ),
            Refusal::PayloadJson(Fault::Duplicate),
        ),
        (
            "V8",
            format!(
                "{H}.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoic3ZjOmEiLCJhdWQiOiJodHRwczovL2d3LmV4YW1wbGUuY29tIiwiaWF0IjoxNzkzNTIwMDAwLCJleHAiOjFlNDAwLCJqdGkiOiJqMSJ9.raifY0oEWRtSYbnaRXjkWGrK6WW12wCRJDvTBDAs6yhJiXoeCrS8Udp8OiVl1hyb4gBfis785qe7djUdknQKXg"
            ),
            Refusal::MalformedClaim(Claim::ExpiresAt),
        ),
        (
            "V9",
            format!(
                "{crit}.{P}.JhpkvDkPYpHpTEk97KM_PQMJaE56_oHN75s7FnFgQe33nGMVFY1_zrKQVT2HjJ1S4jf3QsXh4yLNhcWs09aUVw"
            ),
            Refusal::Critical,
        ),
        ("V10 padding", format!("{v0}="), Refusal::Characters),
        ("V10 newline", v0.replacen('.', "\n.", 1), Refusal::Characters),
        ("V10 space", format!(" {v0}"), Refusal::Characters),
        ("V10 scheme", format!("Bearer {v0}"), Refusal::Characters),
        ("V10 fourth segment", format!("{v0}.{S}"), Refusal::Segments),
    ] {
        assert_eq!(refusal(&token, &rules(), &k1()), Some(expected), "{name}");
    }
}

#[test]
fn v11_the_ends_of_life_are_where_the_leeway_puts_them() {
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    for (now, expected) in [
        (EXPIRES + leeway + 1, Some(Refusal::Expired)),
        (EXPIRES + leeway, Some(Refusal::Expired)),
        (EXPIRES + leeway - 1, None),
        (ISSUED - leeway, None),
        (ISSUED - leeway - 1, Some(Refusal::IssuedInFuture)),
    ] {
        assert_eq!(at(&v0(), &rules(), &k1(), now).err(), expected, "{now}");
    }
}
