//! What the outside is told, word by word: clients depend on it.

use std::fmt::Write as _;

use symbolon_core::error::Kind;

#[test]
fn each_kind_has_its_status_code_and_title() {
    let mut table = String::new();
    for kind in Kind::ALL {
        let public = kind.public();
        let retry = public.retry_after.map_or(String::new(), |s| format!(" (retry after {s} s)"));
        writeln!(table, "{kind:?}: {} {} \"{}\"{retry}", public.status, public.code, public.title)
            .expect("text");
    }
    assert_eq!(
        table,
        r#"Malformed: 400 malformed "the request is malformed"
Unauthenticated: 401 unauthenticated "no acceptable proof of identity"
Denied: 403 denied "not permitted, or nothing is there"
Absent: 403 denied "not permitted, or nothing is there"
NoRoute: 404 no_route "no such route or method"
Conflict: 409 conflict "the current state does not allow this"
Exhausted: 429 exhausted "a limit is reached, try again later" (retry after 1 s)
Provider: 502 provider "the backend did not give a usable answer"
Unavailable: 503 unavailable "temporarily unavailable, try again later" (retry after 1 s)
Internal: 500 internal "internal error"
"#
    );
}
