//! What is recorded of values that are not to be read: that they changed.
//!
//! A keyed hash stands for the value, over the column, the key of the row and the value itself, so
//! that equal values of two rows or columns do not match. It has the same length for all of them,
//! NULL among them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::Value;
use sea_orm::sea_query::OptionEnum;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::keys::{Key, is_null};

/// What a record keeps of a redacted column: a keyed hash, as 64 hexadecimal digits, which says
/// whether the value is another than in the record before, and nothing else.
///
/// The field of a column that is marked `#[recorded(redact)]` is an `Option` of it; `None` is what was
/// [blanked](crate::erase), or recorded before the column was. A value that is NULL has a hash like
/// others. `Debug` does not show it; comparing two of one row and column tells whether the value
/// changed. [`Recorder::redaction_key`](crate::Recorder::redaction_key) has an example, and the chapter
/// [erasure](crate::book::erasure) the rest.
#[derive(
    Clone, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType, Serialize, Deserialize,
)]
#[sea_orm(column_type = "String(sea_orm::sea_query::StringLen::N(64))")]
pub struct Redacted(String);

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redacted")
    }
}

/// How long a hash is, as text.
pub(crate) const WIDTH: u32 = 64;

/// The shortest key: as long as the hash is.
const SHORTEST: usize = 32;

/// Makes hashes by one key.
#[derive(Clone)]
pub(crate) struct Redactor(Hmac<Sha256>);

impl Redactor {
    /// Or what is wrong with the key.
    pub(crate) fn new(key: &[u8]) -> Result<Self, String> {
        if key.len() < SHORTEST {
            return Err(format!(
                "its redaction key has {} bytes; give at least {SHORTEST}, as random ones",
                key.len()
            ));
        }
        let keyed = Hmac::new_from_slice(key).map_err(|error| error.to_string())?;
        Ok(Self(keyed))
    }

    /// The hash of a value of a row; none for values of a type that is not known here.
    pub(crate) fn redact(
        &self,
        entity: &str,
        column: &str,
        key: &Key,
        value: &Value,
    ) -> Option<Value> {
        let mut canonical = Canonical(b"sea-orm-record 1".to_vec());
        canonical.part(b't', entity.as_bytes());
        canonical.part(b'c', column.as_bytes());
        for value in key {
            canonical.value(value)?;
        }
        canonical.value(value)?;
        let mut mac = self.0.clone();
        mac.update(&canonical.0);
        let hash = mac.finalize().into_bytes();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(hash.into())
    }
}

/// Bytes that are the same for the same value, whatever the width of its type: each part has a tag,
/// its length and what it is.
struct Canonical(Vec<u8>);

impl Canonical {
    fn part(&mut self, tag: u8, bytes: &[u8]) -> Option<()> {
        self.0.push(tag);
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        Some(())
    }

    fn value(&mut self, value: &Value) -> Option<()> {
        if is_null(value) {
            return self.part(b'0', b"");
        }
        match value {
            Value::Bool(Some(it)) => self.part(b'b', &[u8::from(*it)]),
            Value::TinyInt(Some(it)) => self.integer(*it),
            Value::SmallInt(Some(it)) => self.integer(*it),
            Value::Int(Some(it)) => self.integer(*it),
            Value::BigInt(Some(it)) => self.integer(*it),
            Value::TinyUnsigned(Some(it)) => self.integer(*it),
            Value::SmallUnsigned(Some(it)) => self.integer(*it),
            Value::Unsigned(Some(it)) => self.integer(*it),
            Value::BigUnsigned(Some(it)) => self.integer(*it),
            Value::Float(Some(it)) => self.float(f64::from(*it)),
            Value::Double(Some(it)) => self.float(*it),
            Value::Decimal(Some(it)) => self.part(b'd', it.normalize().to_string().as_bytes()),
            Value::String(Some(it)) => self.part(b's', it.as_bytes()),
            Value::Char(Some(it)) => self.part(b's', it.to_string().as_bytes()),
            Value::Enum(OptionEnum::Some(it)) => self.part(b's', it.value.as_bytes()),
            Value::Bytes(Some(it)) => self.part(b'x', it),
            Value::Uuid(Some(it)) => self.part(b'u', it.as_bytes()),
            Value::Json(Some(it)) => self.json(it),
            Value::Array(_, Some(items)) => {
                self.part(b'[', &(items.len() as u64).to_be_bytes());
                items.iter().try_for_each(|item| self.value(item))
            }
            time => self.time(time),
        }
    }

    fn integer(&mut self, it: impl Into<i128>) -> Option<()> {
        self.part(b'i', &it.into().to_be_bytes())
    }

    /// Zero has two signs and NaN many bits.
    fn float(&mut self, it: f64) -> Option<()> {
        let it = match it {
            0.0 => 0.0,
            nan if nan.is_nan() => f64::NAN,
            it => it,
        };
        self.part(b'f', &it.to_bits().to_be_bytes())
    }

    /// Objects in the order of their keys; numbers as they are written.
    fn json(&mut self, it: &serde_json::Value) -> Option<()> {
        match it {
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                self.part(b'{', &(entries.len() as u64).to_be_bytes());
                entries.into_iter().try_for_each(|(key, value)| {
                    self.part(b's', key.as_bytes());
                    self.json(value)
                })
            }
            serde_json::Value::Array(items) => {
                self.part(b'[', &(items.len() as u64).to_be_bytes());
                items.iter().try_for_each(|item| self.json(item))
            }
            serde_json::Value::String(text) => self.part(b's', text.as_bytes()),
            other => self.part(b'j', other.to_string().as_bytes()),
        }
    }

    /// Moments in UTC, all to the microsecond, which is what databases keep.
    fn time(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::ChronoDate(Some(it)) => self.date(*it),
            Value::ChronoTime(Some(it)) => self.clock(*it),
            Value::ChronoDateTime(Some(it)) => self.local(*it),
            Value::ChronoDateTimeUtc(Some(it)) => self.moment(it.timestamp_micros()),
            Value::ChronoDateTimeLocal(Some(it)) => self.moment(it.timestamp_micros()),
            Value::ChronoDateTimeWithTimeZone(Some(it)) => self.moment(it.timestamp_micros()),
            Value::TimeDate(Some(it)) => self.date(date(*it)?),
            Value::TimeTime(Some(it)) => self.clock(clock(it.as_hms_nano())?),
            Value::TimeDateTime(Some(it)) => {
                let (date, clock) = (date(it.date())?, clock(it.as_hms_nano())?);
                self.local(date.and_time(clock))
            }
            Value::TimeDateTimeWithTimeZone(Some(it)) => {
                let utc = DateTime::from_timestamp(it.unix_timestamp(), it.nanosecond())?;
                self.moment(utc.timestamp_micros())
            }
            _ => None,
        }
    }

    fn date(&mut self, it: NaiveDate) -> Option<()> {
        self.part(b'D', it.to_string().as_bytes())
    }

    fn clock(&mut self, it: NaiveTime) -> Option<()> {
        let micros = u64::from(it.num_seconds_from_midnight()) * 1_000_000;
        let micros = micros + u64::from(it.nanosecond() / 1_000);
        self.part(b'C', &micros.to_be_bytes())
    }

    fn local(&mut self, it: NaiveDateTime) -> Option<()> {
        self.part(b'L', &it.and_utc().timestamp_micros().to_be_bytes())
    }

    fn moment(&mut self, micros: i64) -> Option<()> {
        self.part(b'M', &micros.to_be_bytes())
    }
}

type DateOfTime = sea_orm::prelude::TimeDate;

fn date(it: DateOfTime) -> Option<NaiveDate> {
    NaiveDate::from_yo_opt(it.year(), u32::from(it.ordinal()))
}

fn clock((hour, minute, second, nano): (u8, u8, u8, u32)) -> Option<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(&[7; 32]).unwrap()
    }

    fn hash(value: impl Into<Value>) -> Value {
        let key = vec![1.into()];
        let redacted = redactor().redact("person", "name", &key, &value.into());
        redacted.unwrap()
    }

    /// The hash of a value stays the same from one version of this crate to the next: another one
    /// would record every row once more.
    #[test]
    fn hashes_do_not_change() {
        let text = hash("Zaphod");
        let Value::String(Some(text)) = text else {
            panic!("a hash is text")
        };
        assert_eq!(text.len(), WIDTH as usize);
        assert_eq!(text, PINNED);
    }

    /// Worked out by Python's `hmac`.
    const PINNED: &str = "d60838ce3048bf35a52df5e8dfdb52a3171665d575dd2b82bf55956ed66960fc";

    /// Those of one group are the same value, whatever type has it.
    #[test]
    fn values_of_every_type_have_hashes_that_differ_where_they_do() {
        use sea_orm::prelude::{Decimal, TimeDate, Uuid};
        use sea_orm::sea_query::{ArrayType, Enum, OptionEnum};

        let day = NaiveDate::from_ymd_opt(2026, 2, 3).unwrap();
        let noon = NaiveTime::from_hms_micro_opt(12, 0, 0, 7).unwrap();
        let moment = day.and_time(noon).and_utc();
        let same_day = date_of_time(day);
        let same_noon = sea_orm::prelude::TimeTime::from_hms_micro(12, 0, 0, 7).unwrap();
        let bytes = Uuid::from_u128(5).as_bytes().to_vec();
        let array = |items: &[i32]| {
            let items = items.iter().map(|it| (*it).into()).collect();
            Value::Array(ArrayType::Int, Some(Box::new(items)))
        };
        let groups: Vec<Vec<Value>> = vec![
            vec![Value::Int(None), Value::String(None)],
            vec![true.into()],
            vec![
                5i8.into(),
                5i16.into(),
                5i32.into(),
                5i64.into(),
                5u8.into(),
                5u16.into(),
                5u32.into(),
                5u64.into(),
            ],
            vec![0.0f32.into(), (-0.0f64).into()],
            vec![f64::NAN.into(), (-f64::NAN).into()],
            vec![Decimal::new(50, 1).into(), Decimal::new(5, 0).into()],
            vec![
                "5".into(),
                '5'.into(),
                Value::Enum(OptionEnum::Some(Box::new(Enum {
                    type_name: "digit".into(),
                    value: "5".into(),
                }))),
            ],
            vec![Uuid::from_u128(5).into()],
            vec![bytes.into()],
            vec![
                serde_json::json!({"a": [1, "x"], "b": null}).into(),
                serde_json::json!({"b": null, "a": [1, "x"]}).into(),
            ],
            vec![array(&[1, 2])],
            vec![array(&[2, 1])],
            vec![day.into(), same_day.into()],
            vec![noon.into(), same_noon.into()],
            vec![
                day.and_time(noon).into(),
                sea_orm::prelude::TimeDateTime::new(same_day, same_noon).into(),
            ],
            vec![
                moment.into(),
                moment.fixed_offset().into(),
                moment.with_timezone(&chrono::Local).into(),
                sea_orm::prelude::TimeDateTime::new(same_day, same_noon)
                    .assume_utc()
                    .into(),
            ],
        ];
        let mut hashes = std::collections::HashSet::new();
        for group in groups {
            let of_group: Vec<_> = group
                .iter()
                .map(|value| format!("{:?}", hash(value.clone())))
                .collect();
            assert!(
                of_group.iter().all(|hash| *hash == of_group[0]),
                "{group:?}"
            );
            assert!(hashes.insert(of_group[0].clone()), "{group:?}");
        }

        fn date_of_time(day: NaiveDate) -> TimeDate {
            use chrono::Datelike;
            TimeDate::from_ordinal_date(day.year(), day.ordinal() as u16).unwrap()
        }
    }

    #[test]
    fn equal_values_match_in_one_row_and_column_alone() {
        let with = |entity: &str, column: &str, key: i32| {
            let key = vec![key.into()];
            redactor()
                .redact(entity, column, &key, &"Zaphod".into())
                .unwrap()
        };
        let one = with("person", "name", 1);
        assert_eq!(one, with("person", "name", 1));
        let others = [
            with("person", "name", 2),
            with("person", "nick", 1),
            with("people", "name", 1),
            // What stands between the parts cannot be moved from one to the other.
            with("personn", "ame", 1),
            Redactor::new(&[8; 32])
                .unwrap()
                .redact("person", "name", &vec![1.into()], &"Zaphod".into())
                .unwrap(),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn a_value_is_the_same_in_all_its_forms() {
        assert_eq!(hash(7_i32), hash(7_i64));
        assert_eq!(hash(7_u32), hash(7_i16));
        assert_eq!(hash(0.0), hash(-0.0));
        assert_eq!(hash(f64::NAN), hash(-f64::NAN));
        assert_eq!(hash(0.5_f32), hash(0.5_f64));
        let decimal = |text: &str| text.parse::<sea_orm::prelude::Decimal>().unwrap();
        assert_eq!(hash(decimal("1.50")), hash(decimal("1.5")));
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(
            hash(json(r#"{"a":1,"b":2}"#)),
            hash(json(r#"{"b":2,"a":1}"#))
        );
        assert_ne!(hash(json(r#"["a","b"]"#)), hash(json(r#"["ab"]"#)));
        let at: DateTime<chrono::FixedOffset> = "2024-01-01T12:00:00+02:00".parse().unwrap();
        assert_eq!(hash(at), hash(at.to_utc()));
        assert_ne!(hash(at), hash(at.naive_utc()));
    }

    #[test]
    fn nothing_is_something_else_than_what_says_the_least() {
        let nothing = hash(None::<String>);
        assert_eq!(nothing, hash(None::<i32>));
        for other in [
            hash(""),
            hash(0),
            hash(false),
            hash(serde_json::Value::Null),
        ] {
            assert_ne!(other, nothing);
        }
    }

    #[test]
    fn neither_a_short_key_nor_debug_tells_anything() {
        assert!(Redactor::new(&[7; 31]).is_err() && Redactor::new(&[]).is_err());
        assert_eq!(format!("{:?}", Redacted("0f".repeat(32))), "Redacted");
    }
}
