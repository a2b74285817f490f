//! The name of a database user, from what a lease is known by even if its answer was lost.
//!
//! INVARIANT: the same as the host's: `sy_`, at most 20 characters of the role in `a-z 0-9 _`, `_`,
//! the reservation in lower case. At most 50 bytes, so never cut by the server.

/// How much of the role's name a person needs to recognise it.
const ROLE_CHARACTERS: usize = 20;

/// The name of the user of a reservation.
#[must_use]
pub fn username(role: &str, reservation: &str) -> String {
    let role: String = role.chars().take(ROLE_CHARACTERS).map(plain).collect();
    let reservation: String = reservation.chars().map(|c| plain(c.to_ascii_lowercase())).collect();
    format!("sy_{role}_{reservation}")
}

fn plain(character: char) -> char {
    match character {
        'a'..='z' | '0'..='9' | '_' => character,
        _ => '_',
    }
}

/// Roles, reservations and the names they give. The host has the same list.
#[cfg(test)]
pub(crate) const VECTORS: [(&str, &str, &str); 7] = [
    ("reader", "01JBX7K2M9P4QRSTVWXYZ01234", "sy_reader_01jbx7k2m9p4qrstvwxyz01234"),
    ("App-Read.Only", "01JBX7K2M9P4QRSTVWXYZ01234", "sy__pp__ead__nly_01jbx7k2m9p4qrstvwxyz01234"),
    (
        "a-role-of-exactly-forty-characters-or-so",
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "sy_a_role_of_exactly_fo_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    ),
    ("r\u{f6}le", "00000000000000000000000000", "sy_r_le_00000000000000000000000000"),
    ("a-b", "01K3QZ8M5N7R2T4V6X8Y0ABCDE", "sy_a_b_01k3qz8m5n7r2t4v6x8y0abcde"),
    (
        "a-role-whose-name-is-very-long",
        "01K3QZ8M5N7R2T4V6X8Y0ABCDE",
        "sy_a_role_whose_name_is_01k3qz8m5n7r2t4v6x8y0abcde",
    ),
    ("\u{c9}\"; x", "01K3QZ8M5N7R2T4V6X8Y0ABCDE", "sy_____x_01k3qz8m5n7r2t4v6x8y0abcde"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_the_vectors() {
        for (role, reservation, name) in VECTORS {
            assert_eq!(username(role, reservation), name);
        }
    }

    #[test]
    fn a_name_is_plain_and_never_cut() {
        for role in ["", "x", "\"; DROP ROLE postgres; --", "\0", &"y".repeat(500), "ÄÖÜ"] {
            let name = username(role, "01JBX7K2M9P4QRSTVWXYZ01234");
            assert!(name.len() <= 50, "{name}");
            assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{name}");
        }
    }
}
