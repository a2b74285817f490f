//! Moments as PostgreSQL reads them, whatever its `DateStyle` and time zone.

use crate::Timestamp;

const DAY: u64 = 86_400;
/// The last second of the year 9999; later ones mean a mistake and are taken as this.
const LAST: Timestamp = 253_402_300_799;

/// The text of a moment: `2026-11-01 11:00:00+00`.
#[must_use]
pub fn timestamp(moment: Timestamp) -> String {
    let moment = moment.min(LAST);
    let (days, seconds) = (moment / DAY, moment % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00")
}

/// Year, month and day, by counting years from March, so that the leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
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
            (LAST, "9999-12-31 23:59:59+00"),
            (u64::MAX, "9999-12-31 23:59:59+00"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
