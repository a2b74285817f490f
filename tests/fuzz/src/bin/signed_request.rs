//! Fuzz target: signed requests, as text and as the bytes that the text encodes.

use std::process::ExitCode;

use symbolon_core::signed::{Answer, SignedRequest};
use symbolon_fuzz::{Target, drive};

const REQUEST: &str = "eyJtZXRob2QiOiJQT1NUIiwidXJsIjoiaHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8iLCJib2R5IjoiQWN0aW9uPUdldENhbGxlcklkZW50aXR5JlZlcnNpb249MjAxMS0wNi0xNSIsImhlYWRlcnMiOnt9fQ";
const XML: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/a</Arn><UserId>AIDAEXAMPLEID1234567</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"#;
const JSON: &str = r#"{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:user/a","UserId":"AIDAEXAMPLEID1234567"}}}"#;
const WORDS: &[&str] = &[
    "<!DOCTYPE a>",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&#0;",
    "<Account>",
    "</Account>",
    "<?xml version=\"1.0\"?>",
    "\"Account\":",
    "arn:aws:sts::",
    ":root",
];

fn main() -> ExitCode {
    let seeds = [REQUEST, XML, JSON].map(|text| text.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "signed_request", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let text = std::str::from_utf8(input).unwrap_or_default();
    let request = SignedRequest::parse(text).is_ok();
    let answers = ["text/xml", "application/json"].map(|kind| Answer::parse(kind, input).is_ok());
    request || answers.contains(&true)
}
