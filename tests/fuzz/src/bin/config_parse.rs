//! Fuzz target: the configuration's parser. Whatever comes, it answers with a configuration or with
//! faults that have places in the text.

use std::path::Path;
use std::process::ExitCode;

use symbolon::config::{Config, diff};
use symbolon_fuzz::{Target, drive};

const DOCUMENTATION: &str = include_str!("../../../../gateway/docs/configuration.md");
const WORDS: &[&str] = &[
    "[server]\n",
    "[issuers.a]\n",
    "[backends.b]\n",
    "[[backends.b.egress]]\n",
    "[limits]\n",
    "[backends.b.database]\n",
    "[backends.b.roles.r]\n",
    "ttl = \"30m\"\n",
    "= ",
    "\n",
    "\"",
    "\"\"\"",
    "'''",
    "{ ",
    " }",
    "[",
    "]",
    "#",
    "true",
    "1979-05-27T07:32:00Z",
    "0x",
    "1_000",
    "\"file:k\"",
    "\"1GiB\"",
    "\"10.0.0.0/8\"",
    "\"https://a.example\"",
    ".",
    "inf",
];

fn main() -> ExitCode {
    let blocks = DOCUMENTATION.split("```toml\n").skip(1);
    let seeds = blocks.filter_map(|block| block.split("```").next());
    let seeds = seeds.map(|text| text.as_bytes().to_vec()).collect();
    drive(&Target { name: "config_parse", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    match Config::parse(text, Path::new("/fuzz/symbolon.toml")) {
        Ok(config) => {
            assert!(diff(&config, &config).is_empty(), "a configuration equals itself");
            true
        }
        Err(faults) => {
            assert!(faults.count() > 0, "a refusal says why");
            let lines = text.matches('\n').count() + 1;
            let placed = faults.iter().all(|fault| {
                fault.place.is_none_or(|(line, column)| (1..=lines).contains(&line) && column >= 1)
            });
            assert!(placed, "a fault is in the text");
            false
        }
    }
}
