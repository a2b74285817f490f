//! Against a server that answers what a test tells it: what is sent, in which order, and what each
//! answer leads to. Real servers are in the tests of the gateway.

use std::cell::RefCell;
use std::collections::VecDeque;

use symbolon_plugin::ErrorKind;
use symbolon_plugin::sql::{Rows, Statement, Value};

use super::*;
use crate::config::Leftovers;

const ID: &str = "01K3QZ8M5N7R2T4V6X8Y0ABCDE";
const NAME: &str = "sy_reader_01k3qz8m5n7r2t4v6x8y0abcde";
const MARK: &str = "symbolon mark=symbolon reservation=01K3QZ8M5N7R2T4V6X8Y0ABCDE";

/// One answer: the beginning of the statement that it is for, and what comes back.
type Answer = (&'static str, Result<Rows, Error>);

#[derive(Default)]
struct Server {
    answers: RefCell<VecDeque<Answer>>,
    sent: RefCell<Vec<String>>,
}

impl Server {
    fn answers(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn answer(&self, database: Option<&str>, statements: &[Statement]) -> Result<Rows, Error> {
        let sent: Vec<String> = statements.iter().map(ToString::to_string).collect();
        let (begin, answer) = self.answers.borrow_mut().pop_front().expect("one more answer");
        assert!(sent[0].starts_with(begin), "{begin}: {sent:?}");
        let place = database.map(|name| format!("[{name}] ")).unwrap_or_default();
        self.sent.borrow_mut().extend(sent.into_iter().map(|text| format!("{place}{text}")));
        answer
    }

    fn users(&self) -> Users<'_, Self> {
        Users { sql: self, mark: "symbolon", now: 5000 }
    }

    /// What was sent; every answer must have been asked for.
    fn sent(&self) -> Vec<String> {
        assert!(self.answers.borrow().is_empty(), "answers are left over");
        self.sent.borrow().clone()
    }
}

impl Sql for Server {
    fn query(&self, database: Option<&str>, statement: Statement) -> Result<Rows, Error> {
        self.answer(database, &[statement])
    }

    fn transaction(
        &self,
        database: Option<&str>,
        statements: Vec<Statement>,
    ) -> Result<Vec<u64>, Error> {
        self.answer(database, &statements).map(|_| vec![0; statements.len()])
    }

    fn execute(&self, database: Option<&str>, statement: Statement) -> Result<u64, Error> {
        self.answer(database, &[statement]).map(|_| 0)
    }
}

fn table(columns: &[&str], rows: Vec<Vec<Value>>) -> Result<Rows, Error> {
    Ok(Rows { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows })
}

fn fine() -> Result<Rows, Error> {
    table(&[], Vec::new())
}

fn failed(code: &str) -> Result<Rows, Error> {
    Err(Error::conflict(code, "the database answered"))
}

fn look(is_superuser: bool, user: Option<(bool, bool, &str)>) -> Answer {
    let (login, ended, comment) = user.unwrap_or((false, false, ""));
    let row = vec![
        Value::Integer(1000),
        Value::Boolean(is_superuser),
        Value::Boolean(user.is_some()),
        Value::Boolean(login),
        Value::Boolean(ended),
        Value::Text(comment.to_owned()),
    ];
    let columns = ["now", "super", "there", "login", "ended", "comment"];
    ("SELECT floor", table(&columns, vec![row]))
}

/// An answer to the end of sessions: the user, so many sessions, these prepared transactions.
fn sessions(sessions: usize, prepared: &[&str]) -> Answer {
    let row = |kind: &str, oid: Value, gid: Value| {
        vec![Value::Text(kind.to_owned()), oid, Value::Null, gid]
    };
    let mut rows = vec![row("user", Value::Integer(77), Value::Null)];
    rows.extend((0..sessions).map(|_| row("session", Value::Null, Value::Null)));
    let prepared = prepared.iter().map(|gid| Value::Text((*gid).to_owned()));
    rows.extend(prepared.map(|gid| row("prepared", Value::Null, gid)));
    ("SELECT 'user'", table(&["kind", "oid", "ended", "gid"], rows))
}

fn remains(users: i64, sessions: i64) -> Answer {
    let row = vec![Value::Integer(users), Value::Integer(sessions)];
    ("SELECT (SELECT count", table(&["users", "sessions"], vec![row]))
}

fn request(role: &str) -> IssueRequest {
    IssueRequest {
        reservation: ID.to_owned(),
        role: "reader".to_owned(),
        role_config: role.to_owned(),
        ttl: 1800,
        principal: ("issuer".to_owned(), "subject".to_owned()),
        materials: vec![("username".to_owned(), NAME.into())],
        metadata: Vec::new(),
    }
}

fn reference(role: &str, handle: &str) -> Reference {
    Reference {
        reservation: ID.to_owned(),
        role: "reader".to_owned(),
        role_config: role.to_owned(),
        handle: handle.as_bytes().to_vec(),
    }
}

fn role_of(text: &str) -> Role {
    sound("reader", text).expect("a sound role")
}

fn issue(server: &Server, role: &str) -> Result<Issued, Error> {
    server.users().issue(&request(role), &role_of(role))
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_user_is_made_in_one_transaction_and_ends_a_little_after_its_lease() {
    let server = Server::answers([look(false, None), ("CREATE ROLE", fine())]);
    let role = r#"{"member_of":"app_readonly","connection_limit":5}"#;
    let issued = issue(&server, role).expect("a user");
    assert_eq!((issued.expires_at, issued.renewable, issued.revocable), (6800, true, true));
    assert_eq!((issued.fields.len(), issued.handle.as_slice()), (0, b"{}".as_slice()));
    assert_eq!(
        server.sent()[1..],
        [
            format!(
                "CREATE ROLE <identifier {NAME}> LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE \
                 NOREPLICATION NOBYPASSRLS PASSWORD <material password_verifier> \
                 VALID UNTIL <literal 1970-01-01 00:46:45+00> CONNECTION LIMIT 5 \
                 IN ROLE <identifier app_readonly>"
            ),
            format!("ALTER ROLE <identifier {NAME}> SET ROLE TO <literal app_readonly>"),
            format!("COMMENT ON ROLE <identifier {NAME}> IS <literal {MARK}>"),
        ]
    );
}

#[test]
fn hostile_names_stay_names() {
    let server = Server::answers([look(false, None), ("CREATE ROLE", fine())]);
    let hostile = r#"a\"; DROP ROLE postgres; --"#;
    let role = format!(r#"{{"member_of":["{hostile}","b'c"],"set_role":true}}"#);
    issue(&server, &role).expect("a user");
    let sent = server.sent();
    assert!(
        sent[1].ends_with(r#"IN ROLE <identifier a"; DROP ROLE postgres; -->, <identifier b'c>"#)
    );
    assert!(sent[2].ends_with(r#"SET ROLE TO <literal a"; DROP ROLE postgres; -->"#));
}

#[test]
fn templates_stand_instead_of_the_statements_they_replace() {
    let server = Server::answers([look(false, None), ("CREATE USER", fine())]);
    let role = r#"{"creation":["CREATE USER {{name}} PASSWORD {{password_verifier}} VALID UNTIL {{expiration}};",
        "GRANT SELECT ON t TO {{name}}"]}"#;
    issue(&server, role).expect("a user");
    let sent = server.sent();
    assert_eq!(sent.len(), 4);
    assert!(sent[1].starts_with(&format!("CREATE USER <identifier {NAME}> PASSWORD <material")));
    assert_eq!(sent[2], format!("GRANT SELECT ON t TO <identifier {NAME}>"));
    assert!(sent[3].starts_with("COMMENT ON ROLE"), "the mark is always set");
}

#[test]
fn asking_again_gives_the_same_user_another_password() {
    let there = look(false, Some((true, false, MARK)));
    let server = Server::answers([there, ("ALTER ROLE", fine())]);
    issue(&server, r#"{"member_of":"g"}"#).expect("the user");
    let sent = server.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[1].contains("PASSWORD <material") && !sent[1].contains(" LOGIN"));
}

#[test]
fn what_must_not_be_issued_is_refused_before_anything_is_changed() {
    for (seen, code) in [
        (look(true, None), "login_is_superuser"),
        (look(false, Some((true, false, "someone else's"))), "name_taken"),
        (look(false, Some((true, false, ""))), "name_taken"),
        (look(false, Some((false, false, MARK))), "ended"),
        (look(false, Some((true, true, MARK))), "ended"),
    ] {
        let server = Server::answers([seen]);
        let error = issue(&server, r#"{"member_of":"g"}"#).expect_err(code);
        assert_eq!((error.code.as_str(), error.request_sent), (code, false));
        assert_eq!(server.sent().len(), 1);
    }
    let mut request = request(r#"{"member_of":"g"}"#);
    request.materials = vec![("username".to_owned(), b"sy_other".to_vec())];
    let server = Server::default();
    let error =
        server.users().issue(&request, &role_of(r#"{"member_of":"g"}"#)).expect_err("names");
    assert_eq!(error.code, "name_mismatch");
}

#[test]
fn only_a_user_that_is_usable_is_extended() {
    let role = role_of(r#"{"member_of":"g"}"#);
    let renew = |server: &Server| server.users().renew(&reference("{}", ""), &role, 600);
    let server = Server::answers([look(false, Some((true, false, MARK))), ("ALTER", fine())]);
    assert_eq!(renew(&server).expect("extended"), 5600);
    let until =
        format!("ALTER ROLE <identifier {NAME}> VALID UNTIL <literal 1970-01-01 00:26:45+00>");
    assert_eq!(server.sent()[1], until);
    for (user, code) in [
        (None, "absent"),
        (Some((false, false, MARK)), "ended"),
        (Some((true, true, MARK)), "ended"),
    ] {
        let server = Server::answers([look(false, user)]);
        assert_eq!(renew(&server).expect_err(code).code, code);
        assert_eq!(server.sent().len(), 1, "nothing is changed");
    }
}

fn revoke(server: &Server, role: &str, handle: &str) -> Result<(), Error> {
    server.users().revoke(&reference(role, handle))
}

#[test]
fn a_user_is_ended_in_order() {
    let server = Server::answers([
        ("ALTER ROLE", fine()),
        sessions(2, &[]),
        sessions(0, &[]),
        ("GRANT", fine()),
        ("REASSIGN", fine()),
        ("REASSIGN", fine()),
        ("REASSIGN", failed("sqlstate_3d000")),
        ("DROP ROLE", fine()),
        remains(0, 0),
    ]);
    let role = r#"{"member_of":"g","reassign_to":"app_owner","databases":["b","gone"]}"#;
    revoke(&server, role, "").expect("ended");
    let sent = server.sent();
    assert_eq!(sent[0], format!("ALTER ROLE <identifier {NAME}> NOLOGIN VALID UNTIL '-infinity'"));
    let reassign = format!("REASSIGN OWNED BY <identifier {NAME}> TO <identifier app_owner>");
    let drop_owned = format!("DROP OWNED BY <identifier {NAME}>");
    assert_eq!(sent[3], format!("GRANT <identifier {NAME}> TO CURRENT_USER"));
    assert_eq!(sent[4..6], [reassign.clone(), drop_owned]);
    assert_eq!(sent[6], format!("[b] {reassign}"));
    assert_eq!(sent[10], format!("DROP ROLE IF EXISTS <identifier {NAME}>"));
    assert!(sent[11].ends_with("usesysid = 77) AS sessions"));
}

#[test]
fn what_is_not_there_is_ended() {
    let server = Server::answers([("ALTER ROLE", failed("sqlstate_42704"))]);
    revoke(&server, "{}", "").expect("gone");
    server.sent();
    let gone = table(&["kind", "oid", "ended", "gid"], Vec::new());
    let server = Server::answers([("ALTER ROLE", fine()), ("SELECT 'user'", gone)]);
    revoke(&server, "{}", "").expect("gone meanwhile");
    server.sent();
}

#[test]
fn the_login_becomes_a_member_only_to_end_sessions() {
    let server = Server::answers([
        ("ALTER ROLE", fine()),
        ("SELECT 'user'", failed("sqlstate_42501")),
        ("GRANT", fine()),
        sessions(0, &[]),
        ("DROP ROLE", fine()),
        remains(0, 0),
    ]);
    revoke(&server, "{}", "").expect("ended");
    server.sent();
}

#[test]
fn what_hinders_the_end_is_said() {
    let disabled = || ("ALTER ROLE", fine());
    let hostile = "x'\r\n\u{202e}; DROP";
    for (answers, code, words) in [
        (vec![("ALTER ROLE", failed("sqlstate_42501"))], "sqlstate_42501", ""),
        (
            vec![disabled(), sessions(0, &["batch-7", hostile])],
            "prepared_transactions",
            "batch-7, xDROP",
        ),
        (
            vec![disabled(), sessions(0, &[]), ("DROP ROLE", failed("sqlstate_2bp01"))],
            "owns_objects",
            "reassign_to",
        ),
        (
            vec![disabled(), sessions(0, &[]), ("DROP ROLE", fine()), remains(0, 1)],
            "session_outlived",
            "pg_signal_backend",
        ),
        (
            vec![disabled(), sessions(0, &[]), ("DROP ROLE", fine()), remains(1, 0)],
            "still_there",
            "",
        ),
    ] {
        let server = Server::answers(answers);
        let error = revoke(&server, "{}", "").expect_err(code);
        assert_eq!(error.code, code);
        assert!(
            error.message.ends_with(words) || error.message.contains(words),
            "{}",
            error.message
        );
        assert!(error.request_sent);
        server.sent();
    }
    let stubborn = std::iter::repeat_with(|| sessions(1, &[])).take(8);
    let server = Server::answers(std::iter::once(disabled()).chain(stubborn));
    assert_eq!(revoke(&server, "{}", "").expect_err("sessions").code, "sessions_remain");
    server.sent();
}

#[test]
fn a_role_that_was_removed_is_known_from_the_lease() {
    let then = role_of(
        r#"{"member_of":"g","reassign_to":"owner","databases":["a"],
            "revocation":["REVOKE ALL ON t FROM {{name}}"]}"#,
    );
    let handle = then.leftovers().handle();
    assert_eq!(Leftovers::of("reader", "{}", &handle), then.leftovers());
    let now = r#"{"member_of":"g","reassign_to":"heir","databases":["b"]}"#;
    let both = Leftovers::of("reader", now, &handle);
    assert_eq!(both.reassign_to.as_deref(), Some("heir"));
    assert_eq!((both.databases.len(), both.revocation.len()), (2, 1));
    for broken in ["", "[]", "not json", "{\"revocation\":[\"'\"]}"] {
        assert_eq!(Leftovers::of("reader", "{}", broken.as_bytes()), Leftovers::default());
    }
}

#[test]
fn a_user_is_usable_disabled_or_gone() {
    for (user, state) in [
        (None, State::Gone),
        (Some((true, false, MARK)), State::Usable),
        (Some((false, false, MARK)), State::Disabled),
        (Some((true, true, MARK)), State::Disabled),
    ] {
        let server = Server::answers([look(false, user)]);
        let found = server.users().verify(&reference("{}", "")).expect("a state");
        assert_eq!(found, state);
    }
}

#[test]
fn users_with_the_mark_are_listed_by_page() {
    let row = |name: String, id: &str| {
        vec![Value::Text(name), Value::Text(format!("symbolon mark=symbolon reservation={id}"))]
    };
    let full = (0..1000).map(|n| row(format!("sy_{n:04}"), ID)).collect();
    let server = Server::answers([
        ("SELECT r.rolname", table(&["name", "comment"], full)),
        ("SELECT r.rolname", table(&["name", "comment"], vec![row("sy_x".to_owned(), ID)])),
    ]);
    let (ids, next) = server.users().list(None).expect("a page");
    assert_eq!((ids.len(), ids[0].as_str(), next.as_deref()), (1000, ID, Some("sy_0999")));
    let (ids, next) = server.users().list(next.as_deref()).expect("a page");
    assert_eq!((ids.len(), next), (1, None));
    let sent = server.sent();
    assert!(
        sent[0]
            .contains("starts_with(d.description, <literal symbolon mark=symbolon reservation=>)")
    );
    assert!(sent[1].contains("> <literal sy_0999>"));
}

#[test]
fn a_role_is_sound_or_its_fault_is_named() {
    for good in [
        r#"{"member_of":"g"}"#,
        r#"{"member_of":["g","pg_monitor"],"connection_limit":1,"set_role":false}"#,
        r#"{"member_of":"g","renewal":["SELECT f({{name}}, {{expiration}})"]}"#,
        r#"{"member_of":"g","revocation":["REVOKE ALL ON t FROM {{name}}"],"databases":["a"]}"#,
    ] {
        assert!(sound("reader", good).is_ok(), "{good}");
    }
    let long = "x".repeat(64);
    for (bad, words) in [
        ("{}", "`member_of` or `creation`"),
        (r#"{"member_of":[]}"#, "`member_of` or `creation`"),
        (r#"{"member_of":7}"#, "a name or a list of names"),
        (r#"{"member":"g"}"#, "unknown field"),
        (r#"{"member_of":""}"#, "63 bytes"),
        (r#"{"member_of":"a\u0000b"}"#, "control characters"),
        (&format!(r#"{{"member_of":"{long}"}}"#), "63 bytes"),
        (r#"{"member_of":"g","databases":[""]}"#, "63 bytes"),
        (r#"{"member_of":"pg_execute_server_program"}"#, "superuser"),
        (r#"{"member_of":"g","connection_limit":0}"#, "`connection_limit`"),
        (r#"{"member_of":"g","connection_limit":-1}"#, "invalid value"),
        (r#"{"creation":["CREATE ROLE {{name}}"]}"#, "{{password_verifier}}"),
        (
            r#"{"member_of":"g","creation":["X {{name}} {{password_verifier}} {{expiration}}"]}"#,
            "instead of",
        ),
        (r#"{"creation":["CREATE ROLE '{{name}}'"]}"#, "at character 14"),
        (r#"{"creation":["CREATE ROLE {{name}}; DROP TABLE t"]}"#, "at character 23"),
        (r#"{"member_of":"g","renewal":["SELECT 1"]}"#, "`renewal`"),
        (r#"{"member_of":"g","revocation":["X {{password_verifier}}"]}"#, "only `creation`"),
        (r#"{"member_of":"g","revocation":["X {{expiration}}"]}"#, "`revocation`"),
        (&format!(r#"{{"member_of":"g","revocation":["SELECT {}"]}}"#, "x".repeat(5000)), "4 KiB"),
    ] {
        let error = sound("reader", bad).expect_err(bad);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(
            error.message.contains(words) && error.message.contains("`reader`"),
            "{}",
            error.message
        );
    }
}

#[test]
fn the_mark_is_plain() {
    for (mark, sound) in
        [("symbolon", true), ("a-1", true), ("", false), ("A", false), ("a b", false)]
    {
        let config: Config =
            serde_json::from_value(serde_json::json!({ "mark": mark })).expect("one");
        assert_eq!(config.sound().is_ok(), sound, "{mark}");
    }
}

fn login(version: i64, superuser: bool, creates: bool, inherits: bool) -> Answer {
    let row = vec![
        Value::Integer(version),
        Value::Boolean(superuser),
        Value::Boolean(creates),
        Value::Boolean(inherits),
        Value::Boolean(false),
    ];
    let columns = ["version", "super", "creates", "inherits", "ends"];
    ("SELECT current_setting", table(&columns, vec![row]))
}

fn group(uses: bool, administers: bool) -> Answer {
    let row = [false, false, uses, administers].map(Value::Boolean).to_vec();
    ("SELECT rolsuper", table(&["super", "login", "uses", "administers"], vec![row]))
}

#[test]
fn a_login_that_is_too_mighty_or_too_weak_is_refused() {
    for (answer, code) in [
        (login(180_004, true, true, true), "login_is_superuser"),
        (login(180_004, false, false, true), "login_cannot_create"),
        (login(180_004, false, true, false), "login_inherits_nothing"),
        (login(130_000, false, true, true), "server_too_old"),
    ] {
        let server = Server::answers([answer]);
        assert_eq!(probe::probe(&server, &[]).expect_err(code).code, code);
    }
}

#[test]
fn a_group_that_cannot_be_granted_is_a_remark() {
    let roles = || {
        let role = role_of(r#"{"member_of":"app_readonly","reassign_to":"app_owner"}"#);
        vec![("reader".to_owned(), role)]
    };
    for (version, administers, uses, count) in
        [(150_018, false, true, 0), (180_004, false, true, 1), (180_004, true, false, 1)]
    {
        let answers =
            [login(version, false, true, true), group(true, administers), group(uses, false)];
        let server = Server::answers(answers);
        let report = probe::probe(&server, &roles()).expect("a report");
        assert_eq!(report.remarks.len(), count, "{:?}", report.remarks);
        assert!(report.remarks.iter().all(|remark| remark.starts_with("role `reader`: `app_")));
    }
    let missing = ("SELECT rolsuper", table(&["super"], Vec::new()));
    let server = Server::answers([login(150_018, false, true, true), missing, group(true, true)]);
    let report = probe::probe(&server, &roles()).expect("a report");
    assert_eq!(report.remarks, ["role `reader`: `app_readonly` is not there"]);
    assert_eq!(report.metadata, [("version".to_owned(), "15.18".to_owned())]);
}
