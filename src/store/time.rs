//! Times as text (RFC 3339) and as the databases' own: read, checked, written.
//!
//! Every time that leaves this room lies between the years 1 and 9999, so that anybody can print it.

use jiff::civil::DateTime;
use sqlx::{
    Decode, Postgres, Sqlite, Type, TypeInfo,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};

use crate::types::Timestamp;

/// 0001-01-01T00:00:00Z, the first moment that both databases know.
const FIRST_MILLIS: i64 = -62_135_596_800_000;
/// The last millisecond that jiff can print.
const LAST_MILLIS: i64 = 253_402_207_200_999;

/// Reads an RFC 3339 time, rounded down to the millisecond. `None` when it is anything else: without
/// an offset, without seconds, or of another notation that jiff alone would accept.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    let shape = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let zulu = text.ends_with(['Z', 'z']);
    let offset = text.len() >= 25 && is(text.len() - 6, b"+-") && is(text.len() - 3, b":");
    if !shape || !(zulu || offset) {
        return None;
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => {
            let millis = i64::try_from(moment.as_nanosecond().div_euclid(1_000_000)).ok()?;
            (millis >= FIRST_MILLIS).then(|| Timestamp::from_unix_millis(millis.min(LAST_MILLIS)))
        }
        // 9999-12-31T23:59:59Z is how many programs write "never", and is a day beyond jiff's range.
        Err(_) if text.starts_with("9999-12-3") => {
            let local = text.get(..19)?.parse::<DateTime>();
            local.is_ok().then(|| Timestamp::from_unix_millis(LAST_MILLIS))
        }
        Err(_) => None,
    }
}

/// Writes a time in the one form that regate stores: UTC, with `Z`, three digits of a second. Equal times
/// have equal texts, which is how an import sees that nothing changed, and earlier ones come first in the
/// alphabet, which is how SQLite orders them.
pub(super) fn to_text(time: Timestamp) -> String {
    let millis = time.unix_millis().clamp(FIRST_MILLIS, LAST_MILLIS);
    format!("{:.3}", jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
}

/// A time as a column holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }

    fn compatible(actual: &PgTypeInfo) -> bool {
        actual.name() == "TIMESTAMPTZ"
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        /// 2000-01-01T00:00:00Z, where Postgres begins to count microseconds.
        const BEGIN_MILLIS: i64 = 946_684_800_000;
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        // The ends of the range are `infinity`, which a constraint refuses, and read as what they say.
        let millis = micros.div_euclid(1000).saturating_add(BEGIN_MILLIS);
        Ok(Self(Timestamp::from_unix_millis(millis.clamp(FIRST_MILLIS, LAST_MILLIS))))
    }
}

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Decode<'_, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        // INVARIANT: what cannot be read as a time is long past. As an expiry it has expired.
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Ok(Self(parse(text).unwrap_or(Timestamp::from_unix_seconds(0))))
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, to_text};
    use crate::types::Timestamp;

    fn seconds(text: &str) -> Option<i64> {
        parse(text).map(Timestamp::unix_seconds)
    }

    #[test]
    fn reads_rfc_3339_in_any_offset_and_rounds_down() {
        assert_eq!(seconds("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(seconds("1970-01-01t01:00:01.999999999+01:00"), Some(1));
        assert_eq!(seconds("1969-12-31T23:59:59.5Z"), Some(-1));
        assert_eq!(seconds("1970-01-01 00:00:01-00:00"), Some(1));
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "now",
            "0",
            "2030",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00Z",
            "2030-02-30T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-01T25:00:00Z",
            "2030-01-01T00:00:00+00",
            "2030-01-01T00:00:00+00:00[UTC]",
            "2030-01-01T00:00:00Z ",
            " 2030-01-01T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "+12030-01-01T00:00:00Z",
            "٢٠٣٠-01-01T00:00:00Z",
            "9999-12-39T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn never_is_a_time_that_can_be_printed() {
        for never in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T00:00:00-12:00"] {
            let read = parse(never).unwrap();
            assert_eq!(parse(&to_text(read)), Some(read), "{never}");
        }
    }

    #[test]
    fn equal_times_have_equal_texts() {
        let texts = ["2030-01-01T00:00:00Z", "2030-01-01T02:00:00.000+02:00", "2029-12-31 23:00:00-01:00"];
        for text in texts {
            assert_eq!(to_text(parse(text).unwrap()), "2030-01-01T00:00:00.000Z");
        }
        assert_eq!(to_text(Timestamp::from_unix_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(to_text(Timestamp::from_unix_seconds(i64::MIN)), "0001-01-01T00:00:00.000Z");
    }
}
