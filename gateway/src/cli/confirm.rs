//! A question before something that cannot be undone.

use std::io::{BufRead, IsTerminal};

use super::failure::Failure;
use super::output;

/// Goes on if `yes` was given, or if somebody at a terminal says so. A script has to say `--yes`.
pub(super) fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    let input = std::io::stdin();
    match (yes, input.is_terminal()) {
        (true, _) => {
            output::note(what);
            Ok(())
        }
        (false, true) => {
            output::note(&format!("{what}\ntype `yes` and Enter to go on:"));
            agreed(input.lock())
        }
        (false, false) => {
            Err(Failure::new(format!("{what}; nobody is there to confirm it"))
                .with_help("give --yes"))
        }
    }
}

fn agreed(mut input: impl BufRead) -> Result<(), Failure> {
    let mut answer = String::new();
    let read = input.read_line(&mut answer);
    match read {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        Ok(_) | Err(_) => Err(Failure::new("nothing was done")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(agreed("yes\n".as_bytes()).is_ok());
        for answer in ["", "\n", "y\n", "no\n", "yes please\n"] {
            assert!(agreed(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_script_has_to_say_so() {
        assert!(confirm("this ends 3 leases", true).is_ok());
    }
}
