//! What stands in a column that holds nothing and cannot be NULL.

use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
use sea_orm::sea_query::{ColumnType, DynIden};

use super::Dialect;

impl Dialect {
    /// The neutral value of a type, as SQL; `None` for types that have none, or that this database
    /// does not have.
    ///
    /// PostgreSQL gives a literal in quotes the type of what stands beside it.
    pub(crate) fn neutral(self, ty: &ColumnType) -> Option<String> {
        use ColumnType as Of;
        let is_postgres = self.0 == Postgres;
        Some(match ty {
            Of::Char(_) | Of::String(_) | Of::Text => "''".to_owned(),
            Of::Boolean if is_postgres => "'false'".to_owned(),
            Of::TinyInteger
            | Of::SmallInteger
            | Of::Integer
            | Of::BigInteger
            | Of::TinyUnsigned
            | Of::SmallUnsigned
            | Of::Unsigned
            | Of::BigUnsigned
            | Of::Decimal(_)
            | Of::Money(_)
            | Of::Boolean => self.number_literal("0"),
            Of::Float | Of::Double => self.number_literal("0.0"),
            Of::Date => "'1970-01-01'".to_owned(),
            Of::Time => "'00:00:00'".to_owned(),
            Of::DateTime => "'1970-01-01 00:00:00'".to_owned(),
            Of::Timestamp | Of::TimestampWithTimeZone => match self.0 {
                // Its `timestamp` begins a second later.
                MySql => "'1970-01-02 00:00:00'".to_owned(),
                Sqlite => "'1970-01-01T00:00:00+00:00'".to_owned(),
                _ => "'1970-01-01 00:00:00+00'".to_owned(),
            },
            Of::Blob | Of::VarBinary(_) if is_postgres => r"'\x'".to_owned(),
            Of::Blob | Of::VarBinary(_) => "X''".to_owned(),
            Of::Binary(_) if is_postgres => r"'\x'".to_owned(),
            Of::Binary(width) => format!("X'{}'", "00".repeat(*width as usize)),
            Of::Uuid if is_postgres => "'00000000-0000-0000-0000-000000000000'".to_owned(),
            Of::Uuid => format!("X'{}'", "00".repeat(16)),
            Of::Json | Of::JsonBinary => "'null'".to_owned(),
            Of::Array(_) if is_postgres => "'{}'".to_owned(),
            Of::Enum { variants, .. } => quoted(variants.first()?),
            _ => return None,
        })
    }

    fn number_literal(self, number: &str) -> String {
        match self.0 {
            Postgres => format!("'{number}'"),
            _ => number.to_owned(),
        }
    }
}

fn quoted(variant: &DynIden) -> String {
    format!("'{}'", variant.to_string().replace('\'', "''"))
}
