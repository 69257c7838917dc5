//! How numbers are aggregated without loss, and read.
//!
//! Integers and decimals travel as text, which every database writes in full; floats as doubles.
//! A plain SUM of floats drifts: a million times 0.1 is off by one part in 10^11. SQLite's
//! compensates (3.43). Elsewhere what a decimal holds of each float is summed exactly, and the rest,
//! which is tiny, beside it.

use std::str::FromStr;

use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
use sea_orm::prelude::Decimal;
use sea_orm::sea_query::ColumnType;
use sea_orm::{DbErr, QueryResult};

use super::Dialect;
use crate::Number;

/// What kind of number a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Integer,
    Decimal,
    Float,
}

impl NumberKind {
    /// Nothing for columns of something else.
    pub(crate) fn of(ty: &ColumnType) -> Option<Self> {
        match ty {
            ColumnType::TinyInteger
            | ColumnType::SmallInteger
            | ColumnType::Integer
            | ColumnType::BigInteger
            | ColumnType::TinyUnsigned
            | ColumnType::SmallUnsigned
            | ColumnType::Unsigned
            | ColumnType::BigUnsigned => Some(Self::Integer),
            ColumnType::Decimal(_) | ColumnType::Money(_) => Some(Self::Decimal),
            ColumnType::Float | ColumnType::Double => Some(Self::Float),
            _ => None,
        }
    }
}

impl Dialect {
    /// A column's number; NaN, which PostgreSQL alone has, as NULL.
    pub(crate) fn number(self, kind: NumberKind, column: &str) -> String {
        match (self.0, kind) {
            (_, NumberKind::Integer) | (MySql, NumberKind::Decimal) => column.to_owned(),
            (Postgres, NumberKind::Decimal) => format!("NULLIF(CAST({column} AS numeric), 'NaN')"),
            (Postgres, NumberKind::Float) => format!("NULLIF({}, 'NaN')", self.double(column)),
            _ => self.double(column),
        }
    }

    /// A number as a double.
    pub(crate) fn double(self, number: &str) -> String {
        let double = match self.0 {
            Postgres => "double precision",
            MySql => "double",
            _ => "real",
        };
        format!("CAST({number} AS {double})")
    }

    /// A number in the form that [`read_number`](Self::read_number) reads.
    pub(crate) fn written(self, kind: NumberKind, number: &str) -> String {
        match (self.0, kind) {
            (_, NumberKind::Float) | (Sqlite, NumberKind::Decimal) => number.to_owned(),
            (MySql, _) => format!("CAST({number} AS char)"),
            _ => format!("CAST({number} AS text)"),
        }
    }

    pub(crate) fn read_number(
        self,
        kind: NumberKind,
        row: &QueryResult,
        name: &str,
    ) -> Result<Option<Number>, DbErr> {
        match (self.0, kind) {
            (_, NumberKind::Float) => Ok(double_in(row, name)?.map(Number::Float)),
            (Sqlite, NumberKind::Decimal) => {
                let decimal = double_in(row, name)?.map(Decimal::try_from).transpose();
                let decimal = decimal.map_err(|_| too_long())?;
                Ok(decimal.map(Number::Decimal))
            }
            (_, NumberKind::Decimal) => {
                let text: Option<String> = row.try_get("", name)?;
                let decimal = text.map(|text| exact_decimal(&text)).transpose()?;
                Ok(decimal.map(Number::Decimal))
            }
            (_, NumberKind::Integer) => Ok(text_in(row, name)?.map(Number::Integer)),
        }
    }

    /// The sum of numbers, as two expressions that [`read_sum`](Self::read_sum) puts together.
    pub(crate) fn sum(self, kind: NumberKind, number: &str) -> [String; 2] {
        let exact = |sum: String| self.written(kind, &sum);
        let nothing = || "NULL".to_owned();
        match (self.0, kind) {
            // SUM fails there beyond 64 bits.
            (Sqlite, NumberKind::Integer) => [
                exact(format!("SUM({number} >> 32)")),
                exact(format!("SUM({number} & 4294967295)")),
            ],
            (Sqlite, _) => [format!("SUM({number})"), nothing()],
            (_, NumberKind::Integer | NumberKind::Decimal) => {
                [exact(format!("SUM({number})")), nothing()]
            }
            (_, NumberKind::Float) => {
                let part = self.decimal_part(number);
                let rest = format!("SUM({number} - {})", self.double(&part));
                [
                    self.written(NumberKind::Decimal, &format!("SUM({part})")),
                    rest,
                ]
            }
        }
    }

    /// What a decimal holds of a double: 15 digits, on MariaDB 12 digits after the point.
    fn decimal_part(self, double: &str) -> String {
        match self.0 {
            Postgres => format!(
                "CASE WHEN {double} IN ('Infinity', '-Infinity') THEN 0 ELSE CAST({double} AS numeric) END"
            ),
            _ => format!(
                "CASE WHEN ABS({double}) < 1e40 THEN CAST({double} AS decimal(65, 12)) ELSE 0 END"
            ),
        }
    }

    pub(crate) fn read_sum(
        self,
        kind: NumberKind,
        row: &QueryResult,
        names: [&str; 2],
    ) -> Result<Option<Number>, DbErr> {
        let [name, rest] = names;
        match (self.0, kind) {
            (Sqlite, NumberKind::Integer) => {
                let high: Option<i128> = text_in(row, name)?;
                let low: Option<i128> = text_in(row, rest)?;
                let sum = high.zip(low).map(|(high, low)| (high << 32) + low);
                Ok(sum.map(Number::Integer))
            }
            (Postgres | MySql, NumberKind::Float) => {
                let part: Option<f64> = text_in(row, name)?;
                let sum = part.zip(double_in(row, rest)?);
                Ok(sum.map(|(part, rest)| Number::Float(part + rest)))
            }
            _ => self.read_number(kind, row, name),
        }
    }

    /// The same as a double, which also holds sums that a decimal does not.
    pub(crate) fn read_double_sum(
        self,
        kind: NumberKind,
        row: &QueryResult,
        names: [&str; 2],
    ) -> Result<Option<f64>, DbErr> {
        match (self.0, kind) {
            (Sqlite, NumberKind::Decimal) => double_in(row, names[0]),
            (_, NumberKind::Decimal) => text_in(row, names[0]),
            _ => Ok(self.read_sum(kind, row, names)?.map(Number::to_f64)),
        }
    }

    /// The microseconds from one record's time to another's.
    pub(crate) fn micros_between(self, from: &str, to: &str) -> String {
        match self.0 {
            Postgres => {
                format!("CAST(ROUND(EXTRACT(EPOCH FROM ({to} - {from})) * 1000000) AS bigint)")
            }
            MySql => format!("TIMESTAMPDIFF(MICROSECOND, {from}, {to})"),
            _ => format!("({} - {})", sqlite_micros(to), sqlite_micros(from)),
        }
    }
}

/// The microseconds since 1970 of the RFC 3339 text `t`, as sqlx binds it. SQLite's date functions
/// round to milliseconds, so they get whole seconds alone.
fn sqlite_micros(t: &str) -> String {
    format!(
        "(CAST(strftime('%s', substr({t}, 1, 19)) AS integer) * 1000000 \
         + CAST(substr(substr({t}, 21, max(length({t}) - 26, 0)) || '000000', 1, 6) AS integer))"
    )
}

fn double_in(row: &QueryResult, name: &str) -> Result<Option<f64>, DbErr> {
    row.try_get("", name)
}

fn text_in<T: FromStr>(row: &QueryResult, name: &str) -> Result<Option<T>, DbErr> {
    let text: Option<String> = row.try_get("", name)?;
    let number = text.map(|text| text.parse()).transpose();
    number.map_err(|_| too_long())
}

/// Without the zeros that a column's scale adds, of which a decimal need not have room for all.
fn exact_decimal(text: &str) -> Result<Decimal, DbErr> {
    let digits = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    let decimal = Decimal::from_str_exact(text).or_else(|_| Decimal::from_str_exact(digits));
    decimal.map_err(|_| too_long())
}

/// Whoever knows the column says what to do.
fn too_long() -> DbErr {
    DbErr::Type("it has more digits than Rust's types of numbers hold".to_owned())
}
