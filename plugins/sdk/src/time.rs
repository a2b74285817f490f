//! Moments as backends write them: RFC 3339, in UTC, with or without a fraction.

use crate::Timestamp;

const DAY: u64 = 86_400;
/// The last second of the year 9999; later ones mean a mistake and are taken as this.
const LAST: Timestamp = 253_402_300_799;

/// Seconds since the Unix epoch; fractions are cut. None of what is not surely a moment in UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && is_digits(fraction);
    sound.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Seconds since the Unix epoch of a date as HTTP has it: `Sun, 01 Nov 2026 11:00:00 GMT`.
#[must_use]
pub fn parse_http(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let pieces: Vec<&str> = date.split(' ').collect();
    let [day, month, year, time, "GMT"] = *pieces else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

/// The text of a moment: `2026-11-01T11:00:00Z`.
#[must_use]
pub fn format(moment: Timestamp) -> String {
    let ([year, month, day], [hour, minute, second]) = pieces(moment);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Date and time of day of a moment.
pub(crate) fn pieces(moment: Timestamp) -> ([u64; 3], [u64; 3]) {
    let moment = moment.min(LAST);
    let (days, seconds) = (moment / DAY, moment % DAY);
    (date(days), [seconds / 3600, seconds / 60 % 60, seconds % 60])
}

/// Year, month and day, by counting years from March, so that the leap day is the last.
fn date(days: u64) -> [u64; 3] {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [year + era * 400 + u64::from(month <= 2), month, day]
}

fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[u64; 3]> {
    let mut pieces = text.split(separator);
    let mut numbers = [0; 3];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let piece = pieces.next().filter(|piece| piece.len() == length && is_digits(piece))?;
        *number = piece.parse().ok()?;
    }
    pieces.next().is_none().then_some(numbers)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Days since 1970, by counting years from March, so that the leap day is the last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(parse_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "7", ""] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_is_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-10-01T00:00:00.123456789Z", 1_790_812_800),
            ("9999-12-31T23:59:59.9Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(format(seconds), text.split('.').next().map(whole).unwrap_or_default());
        }
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59Z");
    }

    /// Without the fraction, which is cut.
    fn whole(text: &str) -> String {
        format!("{}Z", text.trim_end_matches('Z'))
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-10-01",
            "2026-10-01T00:00:00",
            "2026-10-01T00:00:00+00:00",
            "2026-13-01T00:00:00Z",
            "2026-10-01T24:00:00Z",
            "1969-12-31T00:00:00Z",
            "2026-10-01T00:00:00.Z",
            "26-10-01T00:00:00Z",
            "2026-10-01-1T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
