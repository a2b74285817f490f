//! What the host makes for a database user: its name, its password, and what the server keeps of it.
//!
//! INVARIANT: the password leaves the gateway in one direction only, to whoever asked for the
//! credential. The server gets a verifier, from which the password cannot be computed, so that no
//! log of the server's has it; the plugin gets neither.
//!
//! INVARIANT: a name depends on role and reservation alone, so that it can be derived again after
//! the answer of a create was lost. The reservation's 80 random bits are in it.

use std::num::NonZeroU32;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use symbolon_core::id::LeaseId;
use symbolon_core::secret::Secret;
use zeroize::Zeroizing;

/// What names of issued users begin with: the gateway's mark.
pub const MARK: &str = "sy_";

const ROLE_CHARACTERS: usize = 20;
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
const SALT_BYTES: usize = 16;
/// 192 bits, which base 64 writes without padding.
const PASSWORD_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// The system gives no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;

/// The name of the user that is issued for `reservation` in `role`: at most 50 of `a-z 0-9 _`.
#[must_use]
pub fn username(role: &str, reservation: LeaseId) -> String {
    let plain = |c: char| match c {
        'a'..='z' | '0'..='9' | '_' => c,
        _ => '_',
    };
    let role: String = role.chars().take(ROLE_CHARACTERS).map(plain).collect();
    format!("{MARK}{role}_{}", reservation.to_string().to_ascii_lowercase())
}

/// A password of 192 random bits: 32 of `A-Z a-z 0-9 - _`, not beginning with `-`, so that no
/// shell, URI or command line has to quote it.
///
/// # Errors
/// [`NoRandomness`].
pub fn password() -> Result<Secret, NoRandomness> {
    loop {
        let mut bytes = Zeroizing::new([0; PASSWORD_BYTES]);
        random(bytes.as_mut_slice())?;
        let text = URL_SAFE_NO_PAD.encode(bytes.as_slice());
        if !text.starts_with('-') {
            return Ok(Secret::from(text));
        }
    }
}

/// What the server keeps of `password`: `SCRAM-SHA-256$4096:…`, with a fresh salt. The password must
/// be ASCII, so that preparing it (`SASLprep`) changes nothing.
///
/// # Errors
/// [`NoRandomness`].
pub fn verifier(password: &Secret) -> Result<Secret, NoRandomness> {
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    Ok(scram(password, salt))
}

fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    SystemRandom::new().fill(bytes).map_err(|_| NoRandomness)
}

/// RFC 5803, as PostgreSQL writes it.
fn scram(password: &Secret, salt: [u8; SALT_BYTES]) -> Secret {
    let mut salted = Zeroizing::new([0; KEY_BYTES]);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, ITERATIONS, &salt, password.expose(), salted.as_mut_slice());
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let [salt, stored, server] =
        [&salt[..], stored.as_ref(), server.as_ref()].map(|bytes| STANDARD.encode(bytes));
    Secret::from(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

/// Whether `text` is a verifier. The server takes everything else for a password in the clear.
pub(crate) fn is_verifier(text: &str) -> bool {
    let base64 = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    let key = |part: &str| part.len() == 44 && base64(part);
    let parts = || {
        let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored, server) = keys.split_once(':')?;
        let counts = !iterations.is_empty() && iterations.bytes().all(|b| b.is_ascii_digit());
        Some(counts && base64(salt) && key(stored) && key(server))
    };
    parts().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: &str = "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$zHCdol2044/ZyWzPLi7oxApCkamKw9Z+E4U/QApd/5Y=:dd5peBOitVnLNFu7VmwP+HiDaaw4OUCv396eVCWhYiE=";

    #[test]
    fn the_verifier_of_the_vector_is_computed() {
        let salt = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let found = scram(&Secret::from(String::from("pencil")), salt);
        assert_eq!(found.expose_str(), Some(VECTOR));
    }

    #[test]
    fn only_a_verifier_is_one() {
        assert!(is_verifier(VECTOR));
        assert!(is_verifier(verifier(&password().unwrap()).unwrap().expose_str().unwrap()));
        for bad in [
            "",
            "pencil",
            &VECTOR[..VECTOR.len() - 1],
            &VECTOR.replace("4096", ""),
            &VECTOR.replace("4096", "x"),
            &VECTOR.replace(':', "'"),
            &VECTOR.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
            &format!("{VECTOR}="),
            &format!(" {VECTOR}"),
            &VECTOR.replacen("AAEC", "AA'C", 1),
        ] {
            assert!(!is_verifier(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_is_derived_from_role_and_reservation() {
        let reservation = LeaseId::parse("01K3QZ8M5N7R2T4V6X8Y0ABCDE").unwrap();
        let other = LeaseId::parse("01K3QZ8M5N7R2T4V6X8Y0ABCDF").unwrap();
        for (role, expected) in [
            ("reader", "sy_reader_01k3qz8m5n7r2t4v6x8y0abcde"),
            ("a-b", "sy_a_b_01k3qz8m5n7r2t4v6x8y0abcde"),
            (
                "a-role-whose-name-is-very-long",
                "sy_a_role_whose_name_is_01k3qz8m5n7r2t4v6x8y0abcde",
            ),
            ("É\"; x", "sy_____x_01k3qz8m5n7r2t4v6x8y0abcde"),
        ] {
            assert_eq!(username(role, reservation), expected);
            assert_ne!(username(role, other), expected);
            assert!(expected.len() <= 50);
        }
    }

    #[test]
    fn passwords_are_plain_long_and_different() {
        let made: std::collections::BTreeSet<String> =
            (0..300).map(|_| password().unwrap().expose_str().unwrap().to_owned()).collect();
        assert_eq!(made.len(), 300);
        for text in made {
            assert_eq!(text.len(), 32);
            assert!(!text.starts_with('-'), "{text}");
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        }
    }
}
