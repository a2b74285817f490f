//! Strict JSON: what is refused, what is read, where the limits are.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits { depth: 8, top: 64, members: 128, items: 256, string: 4096 };

fn read(text: &str) -> Result<Object, Fault> {
    object(text.as_bytes(), LIMITS)
}

#[test]
fn what_parsers_disagree_on_is_refused_by_name() {
    for (text, expected) in [
        ("", Fault::Syntax),
        (" ", Fault::Syntax),
        ("[]", Fault::NotAnObject),
        ("null", Fault::NotAnObject),
        ("1", Fault::NotAnObject),
        (r#""x""#, Fault::NotAnObject),
        ("\u{feff}{}", Fault::Syntax),
        ("{} {}", Fault::Trailing),
        ("{}\0", Fault::Trailing),
        ("{}//c", Fault::Trailing),
        ("{/*c*/}", Fault::Syntax),
        (r#"{"a":1,}"#, Fault::Syntax),
        (r#"{"a":[1,]}"#, Fault::Syntax),
        (r#"{,"a":1}"#, Fault::Syntax),
        (r#"{"a" 1}"#, Fault::Syntax),
        (r#"{"a":1 "b":1}"#, Fault::Syntax),
        (r#"{'a':1}"#, Fault::Syntax),
        (r"{a:1}", Fault::Syntax),
        (r#"{"a":NaN}"#, Fault::Syntax),
        (r#"{"a":Infinity}"#, Fault::Syntax),
        (r#"{"a":+1}"#, Fault::Syntax),
        (r#"{"a":01}"#, Fault::Syntax),
        (r#"{"a":1.}"#, Fault::Syntax),
        (r#"{"a":.1}"#, Fault::Syntax),
        (r#"{"a":1e}"#, Fault::Syntax),
        (r#"{"a":0x1}"#, Fault::Syntax),
        (r#"{"a":tru}"#, Fault::Syntax),
        (r#"{"a":"\x"}"#, Fault::Syntax),
        (r#"{"a":"\u+123"}"#, Fault::Syntax),
        (r#"{"a":"\u12"}"#, Fault::Syntax),
        ("{\"a\":\"\n\"}", Fault::Syntax),
        (r#"{"a":"b"#, Fault::Syntax),
        (r#"{"a":"\ud800"}"#, Fault::Surrogate),
        (r#"{"a":"\ud800x"}"#, Fault::Surrogate),
        (r#"{"a":"\ud800\u0041"}"#, Fault::Surrogate),
        (r#"{"a":"\udc00"}"#, Fault::Surrogate),
        (r#"{"a":1,"a":1}"#, Fault::Duplicate),
        (r#"{"sub":1,"\u0073ub":1}"#, Fault::Duplicate),
        (r#"{"x":{"y":[{"a":1,"a":2}]}}"#, Fault::Duplicate),
    ] {
        assert_eq!(read(text).unwrap_err(), expected, "{text:?}");
    }
}

#[test]
fn limits_hold() {
    let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    let wide = |n: usize| {
        let members: Vec<_> = (0..n).map(|i| format!("\"k{i}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let items = |n: usize| format!("{{\"a\":[{}]}}", vec!["1"; n].join(","));
    let string = |n: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(n));
    for (good, bad, expected) in [
        (deep(7), deep(8), Fault::Depth),
        (deep(7), deep(10_000), Fault::Depth),
        (wide(64), wide(65), Fault::Entries),
        (format!("{{\"a\":{}}}", wide(128)), format!("{{\"a\":{}}}", wide(129)), Fault::Entries),
        (items(256), items(257), Fault::Entries),
        (string(4096), string(4097), Fault::Length),
        (string(4096), string(1 << 20), Fault::Length),
        (
            format!("{{\"a\":{}}}", "9".repeat(64)),
            format!("{{\"a\":{}}}", "9".repeat(1_000_000)),
            Fault::Length,
        ),
    ] {
        assert!(read(&good).is_ok());
        assert_eq!(read(&bad).unwrap_err(), expected);
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for bytes in [b"{\"a\":\"\xff\"}".as_slice(), b"\xff\xfe{\0}\0", b"{\"a\":\"\xed\xa0\x80\"}"] {
        assert_eq!(object(bytes, LIMITS).unwrap_err(), Fault::Utf8);
    }
}

#[test]
fn escapes_mean_what_they_say() {
    let object = read(r#" { "\u0061" : "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00" } "#).unwrap();
    let expected = "\"\\/\u{8}\u{c}\n\r\té😀";
    assert_eq!(object.get("a").and_then(Value::as_str), Some(expected));
}

#[test]
fn dates_are_read_without_floating_point() {
    for (literal, expected) in [
        ("0", Some(0)),
        ("1793520300", Some(1_793_520_300_000)),
        ("1793520300.5", Some(1_793_520_300_500)),
        ("1793520300.0019999", Some(1_793_520_300_001)),
        ("9007199254740991", Some(9_007_199_254_740_991_000)),
        ("9007199254740992", None),
        ("9223372036854775808", None),
        ("18446744073709551616", None),
        ("-1", None),
        ("-0", None),
        ("1e10", None),
        ("1E2", None),
        ("1.5e3", None),
    ] {
        assert_eq!(Number(literal.to_owned()).as_date(), expected, "{literal}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _verdict = object(&bytes, LIMITS);
    }

    #[test]
    fn what_is_read_is_what_an_independent_parser_reads(
        text in r#"[ \{\}\[\]",:0-9a-c.eE\\u+-]{0,24}"#,
    ) {
        let text = format!("{{\"a\":{text}}}");
        if read(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok()
                || text.contains(['e', 'E']), "{}", text);
        }
    }
}
