//! Fuzz target: the configuration's parser on one input from standard input. Whatever comes, it
//! answers with a configuration or with faults that have places in the text.

use std::io::Read as _;
use std::path::Path;

use symbolon::config::{Config, diff};

fn main() {
    let mut input = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut input).is_err() {
        return;
    }
    let Ok(text) = std::str::from_utf8(&input) else { return };
    match Config::parse(text, Path::new("/fuzz/symbolon.toml")) {
        Ok(config) => assert!(diff(&config, &config).is_empty(), "a configuration equals itself"),
        Err(faults) => {
            assert!(faults.count() > 0, "a refusal says why");
            let lines = text.matches('\n').count() + 1;
            let placed = faults.iter().all(|fault| {
                fault.place.is_none_or(|(line, column)| (1..=lines).contains(&line) && column >= 1)
            });
            assert!(placed, "a fault is in the text");
        }
    }
}
