//! Moments as PostgreSQL reads them, whatever its `DateStyle` and time zone.

use crate::{Timestamp, time};

/// The text of a moment: `2026-11-01 11:00:00+00`. After the year 9999, its last second.
#[must_use]
pub fn timestamp(moment: Timestamp) -> String {
    let ([year, month, day], [hour, minute, second]) = time::pieces(moment);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_full() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00+00"),
            (951_868_799, "2000-02-29 23:59:59+00"),
            (951_868_800, "2000-03-01 00:00:00+00"),
            (1_790_812_800, "2026-10-01 00:00:00+00"),
            (1_798_761_599, "2026-12-31 23:59:59+00"),
            (253_402_300_799, "9999-12-31 23:59:59+00"),
            (u64::MAX, "9999-12-31 23:59:59+00"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
