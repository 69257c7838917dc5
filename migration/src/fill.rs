//! Values for records from before a column was required: as a migration writes them, and as texts.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use sea_orm::Value;
use sea_orm::sea_query::OptionEnum;

/// The value in Rust's words; none where there are no such.
pub(crate) fn source(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(Some(value)) => value.to_string(),
        Value::TinyInt(Some(value)) => value.to_string(),
        Value::SmallInt(Some(value)) => value.to_string(),
        Value::Int(Some(value)) => value.to_string(),
        Value::BigInt(Some(value)) => format!("{value}i64"),
        Value::TinyUnsigned(Some(value)) => value.to_string(),
        Value::SmallUnsigned(Some(value)) => value.to_string(),
        Value::Unsigned(Some(value)) => format!("{value}u32"),
        Value::BigUnsigned(Some(value)) => format!("{value}u64"),
        Value::Float(Some(value)) if value.is_finite() => format!("{value:?}f32"),
        Value::Double(Some(value)) if value.is_finite() => format!("{value:?}"),
        other => format!("{:?}", text(other)?),
    })
}

/// The value as a text that each database reads as such a value; none of values that are no texts.
pub(crate) fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(Some(text)) => text.clone(),
        Value::Enum(OptionEnum::Some(it)) => it.value.to_string(),
        Value::Char(Some(text)) => text.to_string(),
        Value::Decimal(Some(value)) => value.to_string(),
        Value::Uuid(Some(value)) => value.to_string(),
        Value::Json(Some(value)) => value.to_string(),
        Value::ChronoDate(Some(date)) => date.to_string(),
        Value::ChronoTime(Some(time)) => time.format("%T%.f").to_string(),
        Value::ChronoDateTime(Some(at)) => at.format("%F %T%.f").to_string(),
        Value::ChronoDateTimeUtc(Some(at)) => moment(&at.fixed_offset()),
        Value::ChronoDateTimeLocal(Some(at)) => moment(&at.fixed_offset()),
        Value::ChronoDateTimeWithTimeZone(Some(at)) => moment(at),
        _ => return None,
    })
}

/// In UTC, as records have theirs.
fn moment(at: &DateTime<FixedOffset>) -> String {
    at.with_timezone(&Utc)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A value of a column's type; none where it is no such value, or no type to make values up of.
#[cfg(feature = "cli")]
pub(crate) fn parsed(text: &str, ty: &sea_orm::sea_query::ColumnType) -> Option<Value> {
    use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
    use sea_orm::prelude::{Decimal, Json, Uuid};
    use sea_orm::sea_query::ColumnType as T;

    match ty {
        T::TinyInteger
        | T::SmallInteger
        | T::Integer
        | T::BigInteger
        | T::TinyUnsigned
        | T::SmallUnsigned
        | T::Unsigned
        | T::BigUnsigned => text.parse::<i64>().ok().map(Value::from),
        T::Float | T::Double => {
            let number = text.parse::<f64>().ok()?;
            number.is_finite().then(|| number.into())
        }
        T::Boolean => text.parse::<bool>().ok().map(Value::from),
        T::Char(_) | T::String(_) | T::Text | T::Enum { .. } => Some(Value::from(text)),
        T::Decimal(_) | T::Money(_) => text.parse::<Decimal>().ok().map(Value::from),
        T::Date => text.parse::<NaiveDate>().ok().map(Value::from),
        T::Time => text.parse::<NaiveTime>().ok().map(Value::from),
        T::DateTime | T::Timestamp => {
            let at = text.replacen(' ', "T", 1);
            at.parse::<NaiveDateTime>().ok().map(Value::from)
        }
        T::TimestampWithTimeZone => {
            let at = DateTime::parse_from_rfc3339(text).ok()?;
            Some(at.with_timezone(&Utc).into())
        }
        T::Uuid => text.parse::<Uuid>().ok().map(Value::from),
        T::Json | T::JsonBinary => text.parse::<Json>().ok().map(Value::from),
        _ => None,
    }
}

/// How `parsed` wants it, for who wrote it otherwise.
#[cfg(feature = "cli")]
pub(crate) fn written(ty: &sea_orm::sea_query::ColumnType) -> &'static str {
    use sea_orm::sea_query::ColumnType as T;

    match ty {
        T::Float | T::Double | T::Decimal(_) | T::Money(_) => "it is a number, such as 12.5",
        T::Boolean => "it is `true` or `false`",
        T::Date => "it is a date, such as 2026-01-31",
        T::Time => "it is a time of day, such as 12:30:00",
        T::DateTime | T::Timestamp => "it is a date and time, such as 2026-01-31T12:30:00",
        T::TimestampWithTimeZone => "it is a moment, such as 2026-01-31T12:30:00Z",
        T::Uuid => "it is a UUID",
        T::Json | T::JsonBinary => "it is JSON",
        T::Binary(_) | T::VarBinary(_) | T::Blob | T::Array(_) => {
            "for bytes and arrays write the migration by hand, or make the column nullable"
        }
        _ => "it is a whole number, or of a type that only a migration by hand can fill",
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use sea_orm::sea_query::{ColumnType as T, StringLen};

    use super::{parsed, source};

    #[test]
    fn what_is_given_is_read_as_its_type_and_written_as_a_migration_has_it() {
        for (ty, given, written) in [
            (T::Integer, "7", "7i64"),
            (T::Double, "1.5", "1.5"),
            (T::Boolean, "true", "true"),
            (T::String(StringLen::None), "it's", "\"it's\""),
            (T::Decimal(Some((12, 2))), "12.50", "\"12.50\""),
            (T::Date, "2026-01-31", "\"2026-01-31\""),
            (T::Time, "12:30:00", "\"12:30:00\""),
            (
                T::DateTime,
                "2026-01-31 12:30:00",
                "\"2026-01-31 12:30:00\"",
            ),
            (
                T::TimestampWithTimeZone,
                "2026-01-31T12:30:00+01:00",
                "\"2026-01-31T11:30:00+00:00\"",
            ),
            (T::Json, "[1, 2]", "\"[1,2]\""),
        ] {
            let value = parsed(given, &ty);
            let text = value.as_ref().and_then(source);
            assert_eq!(text.as_deref(), Some(written), "{ty:?}");
        }
        for (ty, given) in [
            (T::Integer, "many"),
            (T::Double, "NaN"),
            (T::Decimal(None), "1,5"),
            (T::Date, "31.1.2026"),
            (T::TimestampWithTimeZone, "2026-01-31T12:30:00"),
            (T::Uuid, "7"),
            (T::Json, "{"),
            (T::Blob, "00"),
        ] {
            assert_eq!(parsed(given, &ty), None, "{ty:?}");
        }
    }
}
