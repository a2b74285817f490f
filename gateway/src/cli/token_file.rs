//! Tokens that operators hand to a command: from a file or standard input.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;

/// Longest token that is read.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// A token on the command line would be seen by everybody who can list processes.
pub(super) fn read(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut token = Zeroizing::new(String::new());
    let read = match file == Path::new("-") {
        true => std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_string(&mut token),
        false => std::fs::File::open(file)
            .and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut token)),
    };
    read.map_err(|error| Failure::new(format!("cannot read the token: {error}")))?;
    Ok(Zeroizing::new(token.trim().to_owned()))
}
