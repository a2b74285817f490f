//! Public keys that verify what their owner never signed, or whose private half anyone can compute.
//!
//! Ed25519 keys of small order: under them one signature fits a share of all messages, and the
//! library accepts them. RSA moduli of the ROCA kind (CVE-2017-15361) can be factored; refusing
//! them is recommended rather than required, costs microseconds per key, and a sound modulus meets
//! the fingerprint about once in 2^27, so they are refused here.

/// Whether an Ed25519 public key has small order or is not in its one canonical encoding.
pub(super) fn is_weak_ed25519(key: &[u8; 32]) -> bool {
    let mut point = *key;
    if let Some(last) = point.last_mut() {
        *last &= 0x7f; // The sign of x: both points with this y are of the same order.
    }
    SMALL_ORDER.contains(&point) || is_beyond_the_field(&point)
}

/// The `y` of the points of order 8 (two), 4, 2 and 1, little-endian.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [0; 32],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
];

/// Whether `y >= 2^255 - 19`.
fn is_beyond_the_field(point: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = point;
    *last == 0x7f && middle.iter().all(|b| *b == 0xff) && *first >= 0xed
}

/// The primes modulo which a ROCA modulus is always a power of 65537.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether an RSA modulus (big-endian) has the fingerprint of CVE-2017-15361.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        is_power_of_65537(rest, prime)
    })
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 1..prime {
        if power == value {
            return true;
        }
        power = power * 65_537 % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_point_is_sound_and_points_of_small_order_are_not() {
        let mut base = [0x66; 32];
        base[0] = 0x58;
        assert!(!is_weak_ed25519(&base));
        for point in SMALL_ORDER {
            let mut negative = point;
            negative[31] |= 0x80;
            assert!(is_weak_ed25519(&point) && is_weak_ed25519(&negative));
        }
    }

    #[test]
    fn encodings_beyond_the_field_are_weak() {
        let mut point = [0xff; 32];
        for first in 0xed..=0xff {
            point[0] = first;
            assert!(is_weak_ed25519(&point), "{first:x}");
        }
    }

    #[test]
    fn powers_of_65537_have_the_fingerprint() {
        assert!(is_roca(&[1]));
        assert!(is_roca(&[1, 0, 1]));
        assert!(!is_roca(&[2]));
    }
}
