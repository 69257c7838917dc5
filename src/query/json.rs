//! Values as JSON, and as a person reads them.

use sea_orm::Value;
use sea_orm::sea_query::sea_value_to_json_value;
use serde::Serialize;
use serde_json::Value as Json;

/// Bytes that are shown; the rest is counted.
const SHOWN: usize = 16;

/// A value as a model that has it is serialized: bytes as numbers, dates and times of chrono as ISO 8601,
/// decimals as text, which keeps their digits. What has no such form here (times of `time`, addresses,
/// ranges) is the text that stands for it in SQL.
///
/// SeaORM's own [`sea_value_to_json_value`] panics at bytes that are no text, has the quotes of SQL around
/// times, and decimals as floats.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Bytes(Some(bytes)) => bytes.as_slice().into(),
        Value::Decimal(Some(decimal)) => decimal.to_string().into(),
        Value::ChronoDate(Some(date)) => of(date),
        Value::ChronoTime(Some(time)) => of(time),
        Value::ChronoDateTime(Some(time)) => of(time),
        Value::ChronoDateTimeUtc(Some(time)) => of(time),
        Value::ChronoDateTimeLocal(Some(time)) => of(time),
        Value::ChronoDateTimeWithTimeZone(Some(time)) => of(time),
        Value::Array(_, Some(items)) => items.iter().map(json).collect(),
        Value::String(_)
        | Value::Enum(_)
        | Value::Char(_)
        | Value::Uuid(_)
        | Value::Float(_)
        | Value::Double(_) => sea_value_to_json_value(value),
        other => match sea_value_to_json_value(other) {
            Json::String(_) => unquoted(&other.to_string()).into(),
            // A decimal of another crate; a text keeps its digits.
            Json::Number(number) if number.is_f64() => unquoted(&other.to_string()).into(),
            json => json,
        },
    }
}

fn of(time: &impl Serialize) -> Json {
    serde_json::to_value(time).unwrap_or_default()
}

/// A literal of SQL without its quotes.
fn unquoted(literal: &str) -> &str {
    let inner = literal.strip_prefix('\'');
    let inner = inner.and_then(|inner| inner.strip_suffix('\''));
    inner.unwrap_or(literal)
}

/// A value as a person reads it: text in quotes, anything else plain, long bytes cut.
pub(super) fn shown(value: &Value) -> String {
    match value {
        value if crate::keys::is_null(value) => "nothing".to_owned(),
        Value::String(Some(text)) => format!("{text:?}"),
        Value::Bytes(Some(bytes)) => hex(bytes),
        // JSON has neither NaN nor an infinity.
        Value::Float(Some(number)) if !number.is_finite() => number.to_string(),
        Value::Double(Some(number)) if !number.is_finite() => number.to_string(),
        value => match json(value) {
            Json::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes
        .iter()
        .take(SHOWN)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match bytes.len() > SHOWN {
        true => format!("0x{digits}… ({} bytes)", bytes.len()),
        false => format!("0x{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::ArrayType;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_as_a_model_has_them() {
        let time = "2024-03-01T12:00:00.5Z";
        let moment: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
        let decimal = "1.234567890123456789";
        let two = |bytes: &[u8]| Value::Bytes(Some(bytes.to_vec()));
        for (value, expected, text) in [
            (two(&[0xff, 0xd8]), json!([255, 216]), "0xffd8"),
            (
                Value::Array(
                    ArrayType::Bytes,
                    Some(Box::new(vec![two(&[0xff]), two(b"a")])),
                ),
                json!([[255], [97]]),
                "[[255],[97]]",
            ),
            (
                moment.date_naive().into(),
                json!("2024-03-01"),
                "2024-03-01",
            ),
            (moment.time().into(), json!("12:00:00.500"), "12:00:00.500"),
            (
                moment.naive_utc().into(),
                json!("2024-03-01T12:00:00.500"),
                "2024-03-01T12:00:00.500",
            ),
            (
                moment.into(),
                json!("2024-03-01T12:00:00.500Z"),
                "2024-03-01T12:00:00.500Z",
            ),
            (
                decimal.parse::<sea_orm::prelude::Decimal>().unwrap().into(),
                json!(decimal),
                decimal,
            ),
            (
                sea_orm::prelude::TimeDate::MIN.into(),
                json!("-9999-01-01"),
                "-9999-01-01",
            ),
            (json!({"a": [1]}).into(), json!({"a": [1]}), r#"{"a":[1]}"#),
            ("it's".into(), json!("it's"), r#""it's""#),
            (Value::Bytes(None), Json::Null, "nothing"),
            (1.5.into(), json!(1.5), "1.5"),
            (f64::NAN.into(), Json::Null, "NaN"),
            (i64::MIN.into(), json!(i64::MIN), "-9223372036854775808"),
        ] {
            assert_eq!(super::json(&value), expected);
            assert_eq!(shown(&value), text);
        }
    }

    #[test]
    fn long_bytes_are_cut_where_a_person_reads_them() {
        let value = Value::Bytes(Some(vec![0xab; 17]));
        assert_eq!(shown(&value), format!("0x{}… (17 bytes)", "ab".repeat(16)));
    }
}
