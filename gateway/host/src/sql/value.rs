//! Values on their way to the server and back, in PostgreSQL's binary form.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::error::SqlError;
use crate::bindings::sql::Value;

/// Microseconds from the Unix epoch to PostgreSQL's, the year 2000.
const EPOCH: i64 = 946_684_800_000_000;
const MICROSECONDS: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// A bind parameter.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl Bound<'_> {
    /// The type under which it is declared. That of NULL is for the server to infer.
    pub(super) const fn kind(&self) -> Type {
        match self.0 {
            Value::Null => Type::UNKNOWN,
            Value::Boolean(_) => Type::BOOL,
            Value::Integer(_) => Type::INT8,
            Value::Text(_) => Type::TEXT,
            Value::Bytes(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(value) => out.put_u8(u8::from(*value)),
            Value::Integer(value) => out.put_i64(*value),
            Value::Text(value) => out.put_slice(value.as_bytes()),
            Value::Bytes(value) => out.put_slice(value),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of a row, as it came.
pub(super) struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Raw<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.map_or(0, <[u8]>::len)
    }

    /// The value, by the type of its column.
    pub(super) fn value(&self, kind: &Type) -> Result<Value, SqlError> {
        let Some(raw) = self.0 else { return Ok(Value::Null) };
        decode(kind, raw).ok_or_else(|| {
            let name = kind.name().chars().filter(|c| c.is_ascii_graphic()).take(63).collect();
            SqlError::Column(name)
        })
    }
}

fn decode(kind: &Type, raw: &[u8]) -> Option<Value> {
    Some(match *kind {
        Type::BOOL => Value::Boolean(*raw.first()? != 0),
        Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => Value::Integer(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::CHAR => {
            Value::Text(std::str::from_utf8(raw).ok()?.to_owned())
        }
        Type::BYTEA => Value::Bytes(raw.to_vec()),
        Type::TIMESTAMPTZ => Value::Text(moment(i64::from_be_bytes(raw.try_into().ok()?))),
        // What `pg_sleep` and its like answer.
        Type::VOID => Value::Null,
        _ => return None,
    })
}

/// RFC 3339 in UTC with microseconds, or `infinity`, as PostgreSQL writes it.
fn moment(since_2000: i64) -> String {
    match since_2000 {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let micros = since_2000.saturating_add(EPOCH);
    let (seconds, fraction) = (micros.div_euclid(MICROSECONDS), micros.rem_euclid(MICROSECONDS));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// Year, month and day of a day since the Unix epoch, in the Gregorian calendar: counted in eras of
/// 400 years that begin in March, so that the leap day is the last of its year.
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (since_2000, expected) in [
            (0, "2000-01-01T00:00:00.000000Z"),
            (-EPOCH, "1970-01-01T00:00:00.000000Z"),
            (846_849_600_000_001, "2026-11-01T12:00:00.000001Z"),
            (5_097_600 * MICROSECONDS, "2000-02-29T00:00:00.000000Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (252_455_615_999_000_000, "9999-12-31T23:59:59.000000Z"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(moment(since_2000), expected);
        }
    }

    #[test]
    fn what_has_no_value_in_the_contract_names_its_type() {
        let refused = Raw(Some(&[0, 1])).value(&Type::NUMERIC).unwrap_err();
        assert!(matches!(refused, SqlError::Column(name) if name == "numeric"));
        // A server that sends an integer of three bytes is not believed either.
        assert!(Raw(Some(&[0, 1, 2])).value(&Type::INT4).is_err());
        assert!(Raw(Some(&[0xff])).value(&Type::TEXT).is_err());
        assert!(Raw(Some(&[])).value(&Type::BOOL).is_err());
    }
}
