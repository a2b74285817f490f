use std::time::Duration;

use super::super::testing::Fixed;
use super::*;
use crate::testing::context;

fn destination(text: &str) -> Destination {
    Destination::parse(&text.parse().unwrap()).unwrap()
}

fn injections(all: Vec<(&str, Form, Arc<Fixed>)>) -> Injections {
    let one = |(reach, form, source): (&str, Form, Arc<Fixed>)| {
        Injection::new(Reach::parse(reach).unwrap(), form, source)
    };
    Injections::new(all.into_iter().map(one).collect())
}

fn vault_token() -> Form {
    Form::Header { name: HeaderName::from_static("x-vault-token"), prefix: String::new() }
}

async fn apply(
    injections: &Injections,
    uri: &str,
) -> Result<(Request<Bytes>, Applied), EgressError> {
    let mut request = Request::new(Bytes::new());
    let deadline = Instant::now() + Duration::from_secs(5);
    let moment = Moment { now: Timestamp::from_seconds(1_440_938_160), deadline };
    let applied = injections.apply(&destination(uri), &mut request, (&context(), moment)).await?;
    Ok((request, applied))
}

#[tokio::test]
async fn each_form_writes_its_header_and_marks_it_sensitive() {
    let password = Credential::Password {
        user: String::from("u"),
        password: Secret::from(String::from("p:w")),
    };
    let conjur = Form::Header { name: header::AUTHORIZATION, prefix: String::from("Token ") };
    for (form, source, name, expected) in [
        (Form::Bearer, Fixed::token("abc"), "authorization", "Bearer abc"),
        (vault_token(), Fixed::token("hvs.abc"), "x-vault-token", "hvs.abc"),
        (conjur, Fixed::token("abc"), "authorization", "Token abc"),
        (Form::Basic, Fixed::new(password), "authorization", "Basic dTpwOnc="),
    ] {
        let bound = injections(vec![("https://a.example/", form, source)]);
        let (request, _) = apply(&bound, "https://a.example/x").await.unwrap();
        let value = &request.headers()[name];
        assert_eq!((value.to_str().unwrap(), value.is_sensitive()), (expected, true));
    }
}

#[tokio::test]
async fn a_credential_goes_where_its_reach_covers_and_nowhere_else() {
    let bound = injections(vec![("https://a.example/v1", Form::Bearer, Fixed::token("secret"))]);
    let (request, _) = apply(&bound, "https://a.example/v1/x").await.unwrap();
    assert!(request.headers().contains_key("authorization"));
    for elsewhere in [
        "https://a.example/v2",
        "https://a.example/v1x",
        "https://b.example/v1",
        "http://a.example/v1",
        "https://a.example:8443/v1",
    ] {
        let (request, _) = apply(&bound, elsewhere).await.unwrap();
        assert!(request.headers().is_empty(), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_credential_of_another_kind_or_that_is_no_header_value_is_refused() {
    let password = || Credential::Password {
        user: String::from("a:b"),
        password: Secret::from(String::from("p")),
    };
    for (form, source) in [
        (Form::Bearer, Fixed::new(password())),
        (Form::Basic, Fixed::new(password())),
        (Form::Basic, Fixed::token("abc")),
        (Form::ClientCertificate, Fixed::token("abc")),
        (
            Form::SigV4 { region: String::from("r"), service: String::from("s") },
            Fixed::token("abc"),
        ),
        (Form::Bearer, Fixed::token("abc\r\nx-evil: 1")),
    ] {
        let bound = injections(vec![("https://a.example/", form, source)]);
        let refused = apply(&bound, "https://a.example/").await.unwrap_err();
        assert!(matches!(refused, EgressError::CredentialKind), "{refused}");
    }
}

#[tokio::test]
async fn the_first_binding_of_a_header_decides_and_different_headers_add_up() {
    let bound = injections(vec![
        ("https://a.example/", Form::Bearer, Fixed::token("first")),
        ("https://a.example/", Form::Bearer, Fixed::token("second")),
        ("https://a.example/", vault_token(), Fixed::token("third")),
    ]);
    let (request, _) = apply(&bound, "https://a.example/").await.unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer first");
    assert_eq!(request.headers()["x-vault-token"], "third");
}

#[test]
fn a_guests_own_credentials_are_refused_on_every_path_of_a_guarded_host() {
    let api_key =
        Form::Header { name: HeaderName::from_static("x-api-key"), prefix: String::new() };
    let bound = injections(vec![("https://a.example/v1", api_key, Fixed::token("secret"))]);
    for name in
        ["authorization", "cookie", "host", "proxy-authorization", "x-vault-token", "x-api-key"]
    {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("own"));
        for guarded in ["https://a.example/v1", "https://a.example/elsewhere"] {
            let refused = bound.guard(&destination(guarded), &mut headers).unwrap_err();
            assert!(matches!(&refused, EgressError::ReservedHeader(found) if found == name));
        }
        assert!(bound.guard(&destination("https://b.example/"), &mut headers).is_ok(), "{name}");
    }
    let mut plain = HeaderMap::new();
    plain.insert("accept", HeaderValue::from_static("*/*"));
    assert!(bound.guard(&destination("https://a.example/v1"), &mut plain).is_ok());
}

#[tokio::test]
async fn another_authorization_is_refused_though_signatures_are_replaced() {
    let keys = Credential::Aws {
        access_key_id: String::from("AKIDEXAMPLE"),
        secret_access_key: Secret::from(String::from("wJalrXUtnFEMI")),
        session_token: None,
    };
    let form = Form::SigV4 { region: String::from("eu-west-1"), service: String::from("ssm") };
    let bound = injections(vec![("https://ssm.example/", form, Fixed::new(keys))]);
    let here = destination("https://ssm.example/");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer own"));
    assert!(bound.guard(&here, &mut headers).is_err());
    headers.insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=x"));
    bound.guard(&here, &mut headers).unwrap();
    assert!(headers.is_empty());
    let (request, _) = apply(&bound, "https://ssm.example/").await.unwrap();
    let value = request.headers()["authorization"].to_str().unwrap();
    assert!(value.contains("AKIDEXAMPLE/20150830/eu-west-1/ssm/aws4_request"), "{value}");
}

#[tokio::test]
async fn echoes_and_cookies_do_not_come_back_and_a_refusal_is_reported() {
    let source = Fixed::token("very-secret");
    let bound = injections(vec![("https://a.example/", Form::Bearer, Arc::clone(&source))]);
    let (_, applied) = apply(&bound, "https://a.example/").await.unwrap();
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    for (name, value) in
        [("x-echo", "got Bearer very-secret!"), ("set-cookie", "a=b"), ("x-other", "very-secre")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    applied.receive(&context(), &mut response);
    assert_eq!(response.headers()["x-echo"], "redacted");
    assert_eq!(response.headers()["x-other"], "very-secre");
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(*source.complaints.lock().unwrap(), [StatusCode::UNAUTHORIZED]);
}
