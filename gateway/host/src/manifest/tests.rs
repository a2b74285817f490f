use super::*;
use crate::testing::MANIFEST;

fn parsed(text: &str) -> Result<Manifest, AdmitError> {
    parse::manifest(&[text.as_bytes().to_vec()])
}

#[test]
fn a_manifest_is_read_strictly() {
    assert!(parsed(MANIFEST).is_ok());
    for (from, to, word) in [
        ("\"name\":\"guest\"", "\"name\":\"Guest\"", "name"),
        ("1.2.3", "1.2", "version"),
        ("1.2.3", "1.02.3", "version"),
        ("1.2.3", "latest", "version"),
        ("a guest", "two\\nlines", "summary"),
        ("a guest", "", "summary"),
        ("\"config_schema\":{}", "\"config_schema\":[]", "config_schema"),
        ("\"metadata\":{}", "\"metadata\":{\"A\":\"b\"}", "metadata"),
        ("\"metadata\":{}", "\"extra\":1", "extra"),
        ("\"recovery\":null", "\"recovery\":\"maybe\"", "maybe"),
        ("\"egress\":[],", "", "egress"),
        ("\"name\":\"guest\",", "\"name\":\"guest\",\"name\":\"other\",", "name"),
    ] {
        let text = MANIFEST.replacen(from, to, 1);
        assert_ne!(text, MANIFEST);
        let refused = parsed(&text).unwrap_err();
        assert_eq!(refused.code(), "plugin_manifest", "{to}");
        assert!(refused.to_string().contains(word), "{to}: {refused}");
    }
}

#[test]
fn wanted_egress_has_a_grammar() {
    let with =
        |entry: &str| parsed(&MANIFEST.replace("\"egress\":[]", &format!("\"egress\":[{entry}]")));
    let entry = |scheme: &str, host: &str, method: &str, prefix: &str| {
        format!(
            r#"{{"scheme":"{scheme}","host":"{host}","methods":["{method}"],"path_prefix":"{prefix}"}}"#
        )
    };
    for host in [
        "api.example.com",
        "*.example.com",
        "{url}",
        "{vault.url}",
        "{service}.{region}.example.com",
        "api.{region}.example.com",
    ] {
        assert!(with(&entry("https", host, "GET", "/")).is_ok(), "{host}");
    }
    for bad in [
        entry("ftp", "a", "GET", "/"),
        entry("https", "", "GET", "/"),
        entry("https", "*", "GET", "/"),
        entry("https", "{}", "GET", "/"),
        entry("https", "a/b", "GET", "/"),
        entry("https", "{region}.com", "GET", "/"),
        entry("https", "api.{domain}.com", "GET", "/"),
        entry("https", "api.example.{tld}", "GET", "/"),
        entry("https", "{a}{b}", "GET", "/"),
        entry("https", "api-{region}.example.com", "GET", "/"),
        entry("https", "{a.b}.example.com", "GET", "/"),
        entry("https", "Upper", "GET", "/"),
        entry("https", "a", "get", "/"),
        entry("https", "a", "GET", "v1"),
    ] {
        assert!(with(&bad).is_err(), "{bad}");
    }
}

#[test]
fn another_contract_is_named_even_if_its_manifest_has_another_form() {
    let refused = parsed(r#"{"contract":"2.0.0","who":"knows"}"#).unwrap_err();
    assert_eq!(refused, AdmitError::Contract { found: "2.0.0".to_owned() });
    assert!(refused.to_string().contains("2.0.0") && refused.to_string().contains("0.1.0"));
}

#[test]
fn interfaces_are_found_by_what_is_exported() {
    let exports = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let base = ["symbolon:plugin/check@0.1.0", "symbolon:plugin/describe@0.1.0"];
    let found = parse::interfaces(&exports(&[base[0], base[1], "wasi:cli/run@0.2.3"])).unwrap();
    assert_eq!(found, [Interface::Describe, Interface::Check]);
    let refused = parse::interfaces(&exports(&base[..1])).unwrap_err();
    assert_eq!(refused, AdmitError::Missing(Interface::Describe));
    let newer = exports(&[base[0], base[1], "symbolon:plugin/secrets@0.2.0"]);
    assert_eq!(
        parse::interfaces(&newer).unwrap_err(),
        AdmitError::Contract { found: "0.2.0".to_owned() }
    );
}

#[test]
fn size_is_checked_before_anything_is_read() {
    let refused = Inspection::of(&[0; 11], 10).unwrap_err();
    assert_eq!(refused, AdmitError::TooLarge { bytes: 11, max: 10 });
}

#[test]
fn what_is_no_component_is_refused_in_one_line() {
    // The parser's own text of the first has nine lines.
    for bytes in [&b"root:x:0:0:root"[..], b"", b"\0asm\r\0\x01\0\xff"] {
        let refused = Inspection::of(bytes, 1 << 20).unwrap_err();
        assert_eq!(refused.code(), "plugin_not_component", "{refused}");
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
}
