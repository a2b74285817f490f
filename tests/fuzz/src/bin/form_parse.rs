//! Fuzz target: the parser of forms.

use std::process::ExitCode;

use symbolon_core::form::Form;
use symbolon_fuzz::{Target, drive};

const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token=eyJ.eyJ.AAAA&subject_token_type=urn:ietf:params:oauth:token-type:jwt\
    &audience=aws&audience=&scope=a+b&resource=https://gw.example.com/targets/aws";
const WORDS: &[&str] =
    &["&", "=", "%", "+", "%00", "%c3%a4", "%C2%85", "%ff", "audience=", "token=", "%26", "%3D"];

fn main() -> ExitCode {
    let seeds = vec![EXCHANGE.as_bytes().to_vec()];
    drive(&Target { name: "form_parse", seeds, words: WORDS, check })
}

/// What was read can be written and is read again as the same.
fn check(input: &[u8]) -> bool {
    let Ok(form) = Form::parse(input, &["audience", "resource"]) else { return false };
    for name in ["audience", "resource", "token", "scope"] {
        let written: Vec<String> =
            form.all(name).map(|value| format!("{name}={}", escaped(value))).collect();
        let again = Form::parse(written.join("&").as_bytes(), &["audience", "resource"]);
        let is_same = again.is_ok_and(|again| again.all(name).eq(form.all(name)));
        assert!(is_same, "{name} is read otherwise");
    }
    true
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
