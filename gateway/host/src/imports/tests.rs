//! What the table lets through, and what is linked.

mod calls;

use super::*;

#[test]
fn patches_of_a_track_resolve_and_nothing_else_does() {
    for good in ["wasi:io/poll@0.2.0", "wasi:io/poll@0.2.12", "symbolon:plugin/log@0.1.0"] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in [
        "wasi:io/poll",
        "wasi:io/poll@0.2.0-rc-2023-11-10",
        "wasi:io/poll@0.3.0",
        "wasi:io/poll@0.20.0",
        "symbolon:plugin/log@0.1.1",
        "symbolon:plugin/sql@0.2.0",
        "wasi:keyvalue/store@0.2.0",
        "wasi:http/incoming-handler@0.2.0",
        "env",
    ] {
        assert!(matches!(check(bad), Err(AdmitError::Import { .. })), "{bad}");
    }
}

#[test]
fn what_the_table_gives_is_linked_and_what_it_does_not_give_is_not() {
    let engine = Engine::default();
    let linker = linker(&engine).unwrap();
    let links = |name: &str, function: &str| {
        let text = format!(r#"(component (import "{name}" (instance (export {function}))))"#);
        let bytes = wat::parse_str(text).unwrap();
        let component = wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
        linker.instantiate_pre(&component).is_ok()
    };
    let pairs = "(result (list (tuple string string)))";
    for (name, function) in [
        ("symbolon:plugin/config@0.1.0", r#""get" (func (result string))"#.to_owned()),
        ("wasi:cli/environment@0.2.0", format!(r#""get-environment" (func {pairs})"#)),
        ("wasi:cli/environment@0.2.30", format!(r#""get-environment" (func {pairs})"#)),
        ("wasi:cli/exit@0.2.3", r#""exit" (func (param "status" (result)))"#.to_owned()),
        ("wasi:random/random@0.2.3", r#""get-random-u64" (func (result u64))"#.to_owned()),
        ("wasi:clocks/monotonic-clock@0.2.3", r#""now" (func (result u64))"#.to_owned()),
    ] {
        assert!(links(name, &function), "{name}");
        assert!(check(name).is_ok(), "{name}");
    }
    assert!(!links("wasi:keyvalue/store@0.2.0", r#""f" (func)"#));
}
