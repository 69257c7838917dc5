//! Which values are the same: two of a column, and one and its copy.

use sea_orm::DbBackend;
use sea_orm::sea_query::ColumnType;

use super::{Dialect, Sql};

impl Dialect {
    /// Null-safe equality of two values of a recorded column.
    pub(crate) fn same(self, sql: &mut Sql, ty: &ColumnType, a: &str, b: &str) {
        let (left, operator, right) = match (self.0, ty) {
            // `json` has no equality operator (PostgreSQL, 8.14).
            (DbBackend::Postgres, ColumnType::Json) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS jsonb)")
            }
            // Beside `text`, which is what is bound, a padded value loses its padding.
            (DbBackend::Postgres, ColumnType::Char(_)) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS bpchar)")
            }
            // `varchar[]` has no equality with `text[]`, which is what is bound.
            (DbBackend::Postgres, ColumnType::Array(of)) if is_told_by_text(of) => (
                "CAST(",
                " IS NOT DISTINCT FROM ",
                " AS text[]) COLLATE \"C\"",
            ),
            // By bytes: `citext` and collations that are not deterministic hold other texts for the
            // same, and intervals a day for 24 hours. And what has no equality at all, as `xml`,
            // has a text.
            (DbBackend::Postgres, ty) if is_told_by_text(ty) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS text) COLLATE \"C\"")
            }
            (DbBackend::Postgres, _) => ("", " IS NOT DISTINCT FROM ", ""),
            // By value: MySQL's JSON_EXTRACT gives its normal form, and MariaDB, whose JSON is
            // text, runs what stands in its own comments.
            (DbBackend::MySql, ColumnType::Json | ColumnType::JsonBinary) => (
                "CAST(/*M!100700 JSON_NORMALIZE(*/JSON_EXTRACT(",
                " <=> ",
                ", '$')/*M!100700 )*/ AS BINARY)",
            ),
            // Text compares by collation otherwise, often without regard to case.
            (DbBackend::MySql, ty) if is_text(ty) => {
                ("CAST(CONVERT(", " <=> ", " USING utf8mb4) AS BINARY)")
            }
            (DbBackend::MySql, _) => ("", " <=> ", ""),
            // By bytes, whatever collation the column has.
            (DbBackend::Sqlite, ty) if is_text(ty) => ("", " COLLATE BINARY IS ", ""),
            _ => ("", " IS ", ""),
        };
        sql.push(left)
            .push(a)
            .push(right)
            .push(operator)
            .push(left)
            .push(b)
            .push(right);
    }

    /// Whether a value copied from table to table is the same that goes through Rust. SQLite's times,
    /// decimals and JSON may be written in several ways.
    pub(crate) fn copies(self, ty: &ColumnType) -> bool {
        self.0 != DbBackend::Sqlite
            || !matches!(
                ty,
                ColumnType::DateTime
                    | ColumnType::Timestamp
                    | ColumnType::TimestampWithTimeZone
                    | ColumnType::Time
                    | ColumnType::Date
                    | ColumnType::Decimal(_)
                    | ColumnType::Money(_)
                    | ColumnType::Json
                    | ColumnType::JsonBinary
            )
    }

    /// Whether such a copy cannot be [altered](Self::alters), whatever the value.
    pub(crate) fn copies_unseen(self, ty: &ColumnType) -> bool {
        self.0 != DbBackend::MySql
            && matches!(
                ty,
                ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text | ColumnType::Blob
            )
    }
}

/// Whether PostgreSQL tells two values apart by their texts alone.
fn is_told_by_text(ty: &ColumnType) -> bool {
    is_text(ty) || matches!(ty, ColumnType::Interval(_, _))
}

fn is_text(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Char(_)
            | ColumnType::String(_)
            | ColumnType::Text
            | ColumnType::Enum { .. }
            | ColumnType::Custom(_)
    )
}
