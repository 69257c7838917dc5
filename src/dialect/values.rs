//! Which values a database keeps as they are. What it would alter is refused.

use std::mem::discriminant;

use chrono::{Datelike, Timelike};
use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
use sea_orm::Value;
use sea_orm::prelude::Decimal;
use sea_orm::sea_query::{ArrayType, ColumnType, OptionEnum, StringLen};

use super::{Dialect, bind_time};

impl Dialect {
    /// A value in the form that is compared and written: JSON with its keys in order, so that
    /// comparing its text is comparing by value; an array of JSON as one JSON value, as SeaORM's
    /// `save_as` makes it; times in a form that covers all years.
    pub(crate) fn canonical(self, value: Value) -> Value {
        match value {
            Value::Json(Some(json)) => Value::Json(Some(Box::new(sorted(*json)))),
            Value::Array(ArrayType::Json, Some(items)) => {
                let items = items.into_iter().map(|item| match item {
                    Value::Json(Some(json)) => sorted(*json),
                    _ => serde_json::Value::Null,
                });
                Value::Json(Some(Box::new(items.collect())))
            }
            Value::ChronoDateTimeUtc(Some(at)) => bind_time(at),
            Value::ChronoDateTimeLocal(Some(at)) => at.fixed_offset().into(),
            Value::TimeDateTimeWithTimeZone(Some(at)) if self.0 == MySql => {
                let utc = chrono::DateTime::from_timestamp(at.unix_timestamp(), at.nanosecond());
                utc.map_or(Value::TimeDateTimeWithTimeZone(Some(at)), bind_time)
            }
            other => other,
        }
    }

    /// Why a column of this type would alter `value`, or refuse it in a way that loses the column's
    /// name.
    pub(crate) fn alters(self, ty: &ColumnType, value: &Value) -> Option<&'static str> {
        match value {
            Value::Array(_, items) => self.alters_array(ty, items.as_deref()),
            Value::Float(Some(x)) => self.alters_float(f64::from(*x)),
            Value::Double(Some(x)) => self.alters_float(*x),
            Value::Decimal(Some(decimal)) => self.alters_decimal(ty, decimal),
            Value::BigUnsigned(Some(n)) if self.0 != MySql && i64::try_from(*n).is_err() => {
                Some("it is above 9,223,372,036,854,775,807, the largest integer here")
            }
            Value::String(Some(text)) => self.alters_text(ty, text),
            Value::Bytes(Some(bytes)) => match (self.0, ty) {
                (MySql, ColumnType::Blob) if bytes.len() > MYSQL_TEXT => {
                    Some("MySQL's `blob` holds 65,535 bytes")
                }
                _ => None,
            },
            Value::Enum(OptionEnum::Some(name)) => self.alters_text(ty, &name.value),
            Value::Char(Some(c)) => self.alters_text(ty, c.encode_utf8(&mut [0; 4])),
            Value::Json(Some(json)) if self.0 == Postgres && has_nul(json) => {
                Some("PostgreSQL has no NUL character in JSON")
            }
            time => self.alters_time(time),
        }
    }

    /// Whether values can travel as arrays.
    pub(crate) fn has_arrays(self) -> bool {
        self.0 == Postgres
    }

    /// Cells, row by row, in as few values as rows of any number can be bound by: an array for each
    /// column, or one JSON text for all of them; or the cells again, where they do not go so.
    pub(crate) fn arrays(self, cells: Vec<Value>, rows: usize) -> Result<Vec<Value>, Vec<Value>> {
        match self.0 {
            Postgres => arrays(cells, rows),
            MySql => json_rows(cells, rows),
            _ => Err(cells),
        }
    }

    fn alters_array(self, ty: &ColumnType, items: Option<&Vec<Value>>) -> Option<&'static str> {
        match self.0 {
            Sqlite => return Some("SQLite has no arrays"),
            MySql => return Some("MySQL has no arrays"),
            _ => {}
        }
        let of = match ty {
            ColumnType::Array(of) => of,
            other => other,
        };
        items?.iter().find_map(|item| self.alters(of, item))
    }

    fn alters_float(self, x: f64) -> Option<&'static str> {
        match self.0 {
            Sqlite if x.is_nan() => Some("SQLite turns NaN into NULL"),
            MySql if !x.is_finite() => Some("MySQL has no NaN and no infinities"),
            _ => None,
        }
    }

    fn alters_decimal(self, ty: &ColumnType, decimal: &Decimal) -> Option<&'static str> {
        match (self.0, ty) {
            (Sqlite, _) if !survives_double(decimal) => {
                Some("SQLite keeps decimals as doubles, which hold 15 digits")
            }
            (MySql | Postgres, ColumnType::Decimal(Some((_, scale))))
                if decimal.normalize().scale() > *scale =>
            {
                Some("it has more decimals than the column, which would round it")
            }
            (MySql | Postgres, ColumnType::Decimal(Some((precision, scale))))
                if whole_digits(decimal) > precision.saturating_sub(*scale) as usize =>
            {
                Some("it has more digits before the point than the column holds")
            }
            _ => None,
        }
    }

    fn alters_text(self, ty: &ColumnType, text: &str) -> Option<&'static str> {
        match (self.0, ty) {
            (Postgres, _) if text.contains('\0') => Some("PostgreSQL has no NUL character in text"),
            (MySql | Postgres, ty)
                if declared_length(ty).is_some_and(|most| is_longer(text, most)) =>
            {
                Some("it has more characters than the column is declared to hold")
            }
            (MySql, ColumnType::Char(_)) if text.ends_with(' ') => {
                Some("MySQL cuts spaces off the end of a `char`; use a `varchar`")
            }
            // In the derived table of the statement even a strict MariaDB cuts it off silently.
            (MySql, ColumnType::Text) if text.len() > MYSQL_TEXT => {
                Some("MySQL's `text` holds 65,535 bytes")
            }
            _ => None,
        }
    }

    /// What a driver cannot encode must be refused as well: sea-query would leave it out, and the
    /// values after it would take its place.
    fn alters_time(self, value: &Value) -> Option<&'static str> {
        match self.0 {
            Sqlite => return unwritable_in_rfc3339(value),
            MySql if year(value).is_some_and(|year| !(0..=9999).contains(&year)) => {
                return Some("MySQL's years end at 9999, and begin at 0");
            }
            _ if year(value).is_some_and(|year| year < -4712) => {
                return Some("PostgreSQL's years begin at 4713 BC");
            }
            _ => {}
        }
        match nanosecond(value)? {
            leap if leap >= 1_000_000_000 => Some("it is a leap second, which no column holds"),
            part if part % 1_000 != 0 => {
                Some("it has parts of a microsecond; cut them off, as with `trunc_subsecs(6)`")
            }
            _ => None,
        }
    }
}

/// What a `text` or a `blob` of MySQL holds.
const MYSQL_TEXT: usize = 65_535;

/// The characters that a column of this type holds at most, where that is declared.
pub(crate) fn declared_length(ty: &ColumnType) -> Option<u32> {
    match ty {
        ColumnType::Char(length) => *length,
        ColumnType::String(StringLen::N(length)) => Some(*length),
        _ => None,
    }
}

/// Whether a text has more characters; most are found to be short by their bytes.
fn is_longer(text: &str, most: u32) -> bool {
    let most = most as usize;
    text.len() > most && text.chars().nth(most).is_some()
}

/// How many digits stand before the point.
fn whole_digits(decimal: &Decimal) -> usize {
    match decimal.trunc().abs() {
        zero if zero.is_zero() => 0,
        whole => whole.normalize().to_string().len(),
    }
}

fn survives_double(decimal: &Decimal) -> bool {
    let double: Result<f64, _> = (*decimal).try_into();
    double.is_ok_and(|double| Decimal::try_from(double).is_ok_and(|back| back == *decimal))
}

/// SQLite keeps times as texts, which hold nanoseconds; sqlx writes those of `time` as RFC 3339.
fn unwritable_in_rfc3339(value: &Value) -> Option<&'static str> {
    match value {
        Value::TimeDateTimeWithTimeZone(Some(at))
            if !(0..=9999).contains(&at.year()) || at.offset().seconds_past_minute() != 0 =>
        {
            Some(
                "RFC 3339, in which SQLite keeps it, has years of four digits and offsets of minutes",
            )
        }
        _ => None,
    }
}

fn year(value: &Value) -> Option<i32> {
    match value {
        Value::ChronoDate(date) => date.map(|date| date.year()),
        Value::ChronoDateTime(time) => time.map(|time| time.year()),
        Value::ChronoDateTimeWithTimeZone(time) => time.map(|time| time.naive_utc().year()),
        Value::TimeDate(date) => date.map(|date| date.year()),
        Value::TimeDateTime(time) => time.map(|time| time.year()),
        Value::TimeDateTimeWithTimeZone(time) => time.map(|time| time.to_utc().year()),
        _ => None,
    }
}

/// Chrono's leap seconds have a billion more.
fn nanosecond(value: &Value) -> Option<u32> {
    match value {
        Value::ChronoTime(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTime(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTimeWithTimeZone(time) => time.map(|time| time.nanosecond()),
        Value::TimeTime(time) => time.map(|time| time.nanosecond()),
        Value::TimeDateTime(time) => time.map(|time| time.nanosecond()),
        Value::TimeDateTimeWithTimeZone(time) => time.map(|time| time.nanosecond()),
        _ => None,
    }
}

fn has_nul(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn sorted(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// Not where sea-query (1.0) has no arrays of such values, nor with a NULL.
fn arrays(cells: Vec<Value>, rows: usize) -> Result<Vec<Value>, Vec<Value>> {
    let width = cells.len() / rows.max(1);
    let (first, _) = cells.split_at(width);
    let types: Vec<ArrayType> = first.iter().map(Value::array_type).collect();
    let fits = |(place, cell): (usize, &Value)| {
        discriminant(cell) == discriminant(&first[place % width]) && *cell != cell.as_null()
    };
    if !types.iter().all(travels_in_arrays) || !cells.iter().enumerate().all(fits) {
        return Err(cells);
    }
    let mut columns = vec![Vec::with_capacity(rows); width];
    for (place, cell) in cells.into_iter().enumerate() {
        columns[place % width].push(cell);
    }
    let columns = types.into_iter().zip(columns);
    let array = |(ty, cells)| Value::Array(ty, Some(Box::new(cells)));
    Ok(columns.map(array).collect())
}

/// Of integers alone: a text would come back with a collation, which a column's need not agree with.
fn json_rows(cells: Vec<Value>, rows: usize) -> Result<Vec<Value>, Vec<Value>> {
    let integers: Option<Vec<i64>> = cells.iter().map(integer).collect();
    let Some(integers) = integers else {
        return Err(cells);
    };
    let mut json = String::with_capacity(integers.len() * 8);
    for row in integers.chunks(cells.len() / rows.max(1)) {
        let mut before = if json.is_empty() { "[[" } else { ",[" };
        for integer in row {
            json.push_str(before);
            json.push_str(&integer.to_string());
            before = ",";
        }
        json.push(']');
    }
    json.push(']');
    Ok(vec![json.into()])
}

fn integer(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Bool(Some(is)) => i64::from(*is),
        Value::TinyInt(Some(n)) => i64::from(*n),
        Value::SmallInt(Some(n)) => i64::from(*n),
        Value::Int(Some(n)) => i64::from(*n),
        Value::BigInt(Some(n)) => *n,
        Value::TinyUnsigned(Some(n)) => i64::from(*n),
        Value::SmallUnsigned(Some(n)) => i64::from(*n),
        Value::Unsigned(Some(n)) => i64::from(*n),
        Value::BigUnsigned(Some(n)) => i64::try_from(*n).ok()?,
        _ => return None,
    })
}

/// Whether an array of such values has the type, element for element, that they have by themselves.
fn travels_in_arrays(ty: &ArrayType) -> bool {
    matches!(
        ty,
        ArrayType::Bool
            | ArrayType::SmallInt
            | ArrayType::Int
            | ArrayType::BigInt
            | ArrayType::Float
            | ArrayType::Double
            | ArrayType::String
            | ArrayType::Bytes
            | ArrayType::Uuid
            | ArrayType::Decimal
            | ArrayType::ChronoDate
            | ArrayType::ChronoTime
            | ArrayType::ChronoDateTime
            | ArrayType::ChronoDateTimeWithTimeZone
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_integers_go_to_mysql_as_one_text_and_others_as_they_came() {
        let mysql = Dialect(MySql);
        let integers = vec![u32::MAX.into(), true.into(), 1_i8.into(), i64::MIN.into()];
        let json = "[[4294967295,1],[1,-9223372036854775808]]";
        assert_eq!(mysql.arrays(integers, 2), Ok(vec![json.into()]));
        for other in [Value::Int(None), "1".into(), 1.5.into(), u64::MAX.into()] {
            let cells = vec![1.into(), other];
            assert_eq!(mysql.arrays(cells.clone(), 2), Err(cells));
        }
    }
}
