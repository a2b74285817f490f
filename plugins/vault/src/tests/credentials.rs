//! Dynamic engines: what an answer becomes, and what a lease is found by afterwards.

use symbolon_plugin::{Issued, Reference, State};

use super::*;

fn asked(ttl: u64, token_ends_at: u64) -> Asked<'static> {
    Asked { reservation: "01K3QZ8M5N7R2T4V6X8Y0ABCDE", ttl, now: 1000, token_ends_at }
}

fn creds_answer(lease_duration: u64, renewable: bool) -> Response {
    let body = serde_json::json!({
        "lease_id": "database/creds/app/x", "lease_duration": lease_duration,
        "renewable": renewable, "data": { "username": "v-app", "password": "p", "port": 5432 },
        "auth": null, "warnings": ["hunter2"],
    });
    answer(200, &body.to_string())
}

fn issued(lease_duration: u64, ttl: u64, token_ends_at: u64) -> Issued {
    let leased = creds::leased(&creds_answer(lease_duration, true)).expect("a credential");
    creds::issued(leased, &asked(ttl, token_ends_at))
}

fn reference(handle: &[u8]) -> Reference {
    Reference {
        reservation: "01K3QZ8M5N7R2T4V6X8Y0ABCDE".to_owned(),
        role: "reader".to_owned(),
        role_config: "{}".to_owned(),
        handle: handle.to_vec(),
    }
}

#[test]
fn a_credential_ends_with_whatever_ends_first() {
    for (lease, ttl, token_ends_at, ends, renewable) in [
        (600, 1800, 9000, 1600, true),
        (3600, 1800, 9000, 2800, true),
        (3600, 1800, 2000, 2000, false),
        (600, 1800, u64::MAX, 1600, true),
    ] {
        let issued = issued(lease, ttl, token_ends_at);
        assert_eq!((issued.expires_at, issued.renewable), (ends, renewable), "{lease} {ttl}");
        assert!(issued.revocable);
        let handle = Handle::of(&reference(&issued.handle)).expect("a handle");
        let id = "database/creds/app/x".to_owned();
        assert_eq!(handle, Handle::Lease { id, token_ends_at });
    }
    let fields = issued(600, 600, 9000).fields;
    assert_eq!(fields.len(), 3);
    assert!(fields.contains(&("port".to_owned(), b"5432".to_vec())));
}

#[test]
fn a_token_ends_by_its_own_account() {
    let told = |ttl: u64| answer(200, &format!(r#"{{"data":{{"ttl":{ttl},"type":"service"}}}}"#));
    assert_eq!(creds::token_ends(&told(300), 1000).expect("an end"), 1300);
    assert_eq!(creds::token_ends(&told(0), 1000).expect("no end"), u64::MAX);
    let refused = creds::token_ends(&answer(403, "{}"), 1000).expect_err("refused");
    assert_eq!((refused.kind, refused.request_sent), (ErrorKind::PermissionDenied, false));
}

#[test]
fn what_is_no_credential_is_refused() {
    for (status, body, code) in [
        (400, r#"{"errors":["unknown role: hunter2"]}"#, "unknown_role"),
        (404, "{}", "unknown_role"),
        (403, "{}", "forbidden"),
        (500, "{}", "server_failed"),
        (
            200,
            r#"{"lease_id":"","lease_duration":60,"renewable":true,"data":{}}"#,
            "malformed_answer",
        ),
        (
            200,
            r#"{"lease_id":"x","lease_duration":0,"renewable":true,"data":{}}"#,
            "malformed_answer",
        ),
        (200, r#"{"lease_id":"x","lease_duration":60,"renewable":true}"#, "malformed_answer"),
        (200, "{}", "malformed_answer"),
    ] {
        let error = creds::leased(&answer(status, body)).err().expect("refused");
        assert_eq!(error.code, code, "{status} {body}");
        assert!(error.request_sent && !error.message.contains("hunter2"));
    }
}

#[test]
fn a_renewal_is_never_past_what_was_asked_nor_past_the_token() {
    let renewed = |lease: u64, token: u64| {
        creds::renewed(&creds_answer(lease, true), 1000, 600, token).expect("renewed")
    };
    assert_eq!((renewed(600, 9000), renewed(60, 9000)), (1600, 1060));
    assert_eq!((renewed(9000, 9000), renewed(600, 1200)), (1600, 1200));
    let gone = creds::renewed(&answer(400, "{}"), 1000, 600, 9000).expect_err("gone");
    assert_eq!((gone.kind, gone.code.as_str()), (ErrorKind::NotFound, "absent"));
}

#[test]
fn what_the_server_does_not_know_is_gone() {
    for status in [200, 204] {
        assert!(creds::revoked(&answer(status, "")).is_ok());
    }
    for (status, code) in [(400, "revocation_failed"), (500, "server_failed")] {
        assert_eq!(creds::revoked(&answer(status, "")).expect_err("failed").code, code);
    }
    for (status, state) in [(200, State::Usable), (400, State::Gone), (404, State::Gone)] {
        assert_eq!(creds::state(&answer(status, "{}")).expect("a state"), state);
    }
    assert_eq!(creds::state(&answer(403, "")).expect_err("refused").code, "forbidden");
}

fn pki_role() -> role::Certificate {
    let text =
        r#"{"engine":"pki","role":"web","common_name":"a.example","alt_names":["b.example"]}"#;
    let Role::Pki(certificate) = symbolon_plugin::role::parse("web", text).expect("a role") else {
        panic!("another engine")
    };
    certificate
}

fn pki_answer(lease_id: &str, certificate: &str) -> Response {
    let body = serde_json::json!({ "lease_id": lease_id, "data": {
        "certificate": certificate, "private_key": "KEY", "ca_chain": ["ONE", "TWO"],
        "serial_number": "aa:bb", "expiration": 1600, "not_before": null,
    }});
    answer(200, &body.to_string())
}

#[test]
fn a_certificate_ends_by_its_date_or_with_the_token_that_it_hangs_on() {
    for (lease_id, token_ends_at, ends) in [("", 1200, 1600), ("pki/issue/web/x", 1200, 1200)] {
        let answer = pki_answer(lease_id, "PEM");
        let issued = certificate::issued(&answer, &pki_role(), &asked(600, token_ends_at));
        let issued = issued.expect("a certificate");
        assert_eq!((issued.expires_at, issued.renewable, issued.revocable), (ends, false, true));
        assert_eq!(issued.fields.len(), 5);
        assert!(issued.fields.contains(&("ca_chain".to_owned(), b"ONE\nTWO".to_vec())));
    }
}

#[test]
fn a_handle_holds_the_certificate_if_it_fits_and_never_the_key() {
    for (length, fits) in [(1000, true), (4096, false)] {
        let pem = "x".repeat(length);
        let issued = certificate::issued(&pki_answer("", &pem), &pki_role(), &asked(600, 9000));
        let handle = issued.expect("a certificate").handle;
        assert!(handle.len() <= 4096 && !String::from_utf8_lossy(&handle).contains("KEY"));
        let Handle::Certificate { serial, certificate, ends_at, mount } =
            Handle::of(&reference(&handle)).expect("a handle")
        else {
            panic!("a lease")
        };
        assert_eq!((serial.as_str(), ends_at, mount.as_str()), ("aa:bb", 1600, "pki"));
        assert_eq!(certificate.is_some(), fits);
    }
}

#[test]
fn a_certificate_is_usable_revoked_or_past_its_date() {
    let told = |time: u64| answer(200, &format!(r#"{{"data":{{"revocation_time":{time}}}}}"#));
    for (answer, now, state) in [
        (told(0), 1000, State::Usable),
        (told(1500), 1000, State::Disabled),
        (answer(404, ""), 1000, State::Usable),
        (told(0), 1600, State::Gone),
        (answer(500, ""), 1600, State::Gone),
    ] {
        assert_eq!(certificate::state(&answer, 1600, now).expect("a state"), state);
    }
    let unknown = certificate::revoked(&answer(400, "{}")).expect_err("unknown");
    assert_eq!(unknown.code, "not_revocable");
    assert!(certificate::revoked(&answer(200, "{}")).is_ok());
}

#[test]
fn without_a_handle_nothing_is_found() {
    for handle in ["", "{}", "x", r#"{"lease":{"id":"x"}}"#] {
        let error = Handle::of(&reference(handle.as_bytes())).expect_err("nothing");
        assert_eq!((error.code.as_str(), error.request_sent), ("not_findable", false));
    }
}

#[test]
fn a_role_is_sound_or_its_fault_is_named() {
    let check = |text: &str| {
        symbolon_plugin::role::parse::<Role>("reader", text)?.sound("reader").map(drop)
    };
    for good in [
        r#"{"engine":"database","role":"app"}"#,
        r#"{"engine":"database","mount":"team/db","role":"app-1"}"#,
        r#"{"engine":"pki","role":"web","common_name":"a.example","uri_sans":["spiffe://a/b"]}"#,
    ] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in [
        "{}",
        r#"{"engine":"ssh","role":"x"}"#,
        r#"{"engine":"database"}"#,
        r#"{"engine":"database","role":"a","common_name":"b"}"#,
        r#"{"engine":"database","role":"a/../b"}"#,
        r#"{"engine":"database","role":"a/b"}"#,
        r#"{"engine":"database","role":"a?b=c"}"#,
        r#"{"engine":"database","mount":"../sys","role":"a"}"#,
        r#"{"engine":"database","mount":"","role":"a"}"#,
        r#"{"engine":"pki","role":"web"}"#,
        r#"{"engine":"pki","role":"web","common_name":""}"#,
        r#"{"engine":"pki","role":"web","common_name":"a","alt_names":["b,c"]}"#,
        r#"{"engine":"pki","role":"web","common_name":"a","ip_sans":["a\nb"]}"#,
    ] {
        let error = check(bad).expect_err(bad);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::InvalidConfig, "role_unsound"));
        assert!(error.message.contains("`reader`"));
    }
}

#[test]
fn requests_name_what_they_are_about() {
    let config = config(r#"{"address":"https://h:8200","namespace":"n"}"#);
    let url = |request: Result<symbolon_plugin::http::Request, Error>| {
        format!("{:?}", request.expect("a request"))
    };
    let creds = role::Creds { mount: "team/db".to_owned(), role: "app".to_owned() };
    for (request, expected) in [
        (url(request::own_token(&config)), "GET https://h:8200/v1/auth/token/lookup-self ["),
        (url(request::creds(&config, &creds)), "GET https://h:8200/v1/team/db/creds/app ["),
        (url(request::find_lease(&config, "x")), "POST https://h:8200/v1/sys/leases/lookup ["),
        (url(request::renew_lease(&config, "x", 1)), "POST https://h:8200/v1/sys/leases/renew ["),
        (url(request::revoke_lease(&config, "x")), "POST https://h:8200/v1/sys/leases/revoke ["),
        (url(request::sign(&config, &pki_role(), 1)), "POST https://h:8200/v1/pki/issue/web ["),
        (
            url(request::revoke_certificate(&config, "pki", "aa:bb", None)),
            "POST https://h:8200/v1/pki/revoke [",
        ),
        (
            url(request::find_certificate(&config, "pki", "aa:bb/../x")),
            "GET https://h:8200/v1/pki/cert/aa%3Abb%2F..%2Fx [",
        ),
    ] {
        assert!(request.starts_with(expected), "{request}");
        assert!(request.contains("x-vault-namespace"));
    }
}
