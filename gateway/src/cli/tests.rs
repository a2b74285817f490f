use clap::error::ErrorKind;

use super::*;

fn parsed(line: &str) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_that_does_something_has_examples() {
    fn visit(command: &clap::Command) {
        let leaf = command.get_subcommands().next().is_none();
        if leaf && command.get_name() != "help" {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{} has no examples", command.get_name());
        }
        command.get_subcommands().for_each(visit);
    }
    visit(&Cli::command());
}

#[test]
fn every_example_parses() {
    fn visit(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help
            .replace("\\\n      ", "")
            .lines()
            .filter(|line| line.trim().starts_with("symbolon"))
        {
            let typed = line.trim().split("   ").next().unwrap_or_default();
            let typed = typed.split(['|', '>', '<']).next().unwrap_or_default();
            let words = typed.split_whitespace();
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        command.get_subcommands().for_each(visit);
    }
    visit(&Cli::command());
}

#[test]
fn nobody_is_named_by_accident() {
    for (line, expected) in [
        ("symbolon revoke-sessions", Some(ErrorKind::MissingRequiredArgument)),
        ("symbolon revoke-sessions --everybody", None),
        ("symbolon revoke-sessions --everybody --issuer ci", Some(ErrorKind::ArgumentConflict)),
        ("symbolon unlock", Some(ErrorKind::MissingRequiredArgument)),
        ("symbolon lock --issuer ci --principal ci/a", Some(ErrorKind::ArgumentConflict)),
        ("symbolon secret get KV prod/db", Some(ErrorKind::ValueValidation)),
    ] {
        assert_eq!(parsed(line).err(), expected, "{line}");
    }
}

#[tokio::test]
async fn a_faulty_configuration_is_exit_code_64_and_a_missing_gateway_1() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("symbolon.toml");
    std::fs::write(&file, "[server]\n").unwrap();
    for (line, code) in [
        (format!("symbolon check --config {}", file.display()), 64),
        (format!("symbolon status --config {}", file.display()), 64),
        (format!("symbolon status --socket {}/none.sock", directory.path().display()), 1),
    ] {
        let cli = parsed(&line).unwrap();
        let failure = Box::pin(cli.command.run(None)).await.unwrap_err();
        assert_eq!(failure.code, code, "{line}: {failure}");
    }
}
