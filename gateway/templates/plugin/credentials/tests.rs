//! What is made of answers. What leaves the plugin is the conformance script's.

use super::*;

const END: Timestamp = 1_893_456_600;

fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn asked() -> IssueRequest {
    IssueRequest {
        reservation: "01JZ0000000000000000000000".to_owned(),
        role: "reader".to_owned(),
        role_config: r#"{ "group": "readers" }"#.to_owned(),
        ttl: 600,
        principal: ("dev".to_owned(), "workload/shop".to_owned()),
        materials: Vec::new(),
        metadata: Vec::new(),
    }
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_unsound_configuration_is_refused() {
    let config: Config = serde_json::from_str(r#"{ "address": "https://h/path" }"#).unwrap();
    assert_eq!(
        Backend::validate(&config).err().unwrap().kind,
        ErrorKind::InvalidConfig
    );
    assert!(role::parse::<Role>("reader", r#"{ "member": "x" }"#).is_err());
}

#[test]
fn a_login_is_for_its_reservation_and_ends_when_it_should() {
    let login = issued(
        &answer(201, r#"{ "user": "u", "password": "p" }"#),
        asked(),
        END,
    )
    .unwrap();
    assert_eq!(login.reservation, asked().reservation);
    assert_eq!(login.expires_at, END);
    assert_eq!(login.fields.len(), 2);
}

#[test]
fn a_group_that_is_not_there_is_a_mistake_of_the_operator() {
    let error = issued(&answer(404, "hunter2"), asked(), END).err().unwrap();
    assert_eq!(
        (error.kind, error.upstream_status),
        (ErrorKind::InvalidConfig, Some(404))
    );
    assert!(!error.message.contains("hunter2"));
}

#[test]
fn what_is_not_there_is_ended() {
    assert!(ended(answer(204, "")).is_ok());
    assert!(ended(answer(404, "")).is_ok());
    assert_eq!(
        ended(answer(503, "")).unwrap_err().kind,
        ErrorKind::Unavailable
    );
}

#[test]
fn what_cannot_be_asked_is_not_gone() {
    assert!(matches!(state(&answer(200, "{}")), Ok(State::Usable)));
    assert!(matches!(state(&answer(404, "")), Ok(State::Gone)));
    assert!(state(&answer(500, "")).is_err());
}
