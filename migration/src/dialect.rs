//! What differs between databases. No other file branches on one.

use sea_orm::DbBackend;
use sea_orm::sea_query::extension::postgres::{Type, TypeCreateStatement};
use sea_orm::sea_query::{ColumnType, RcOrArc};

/// What a column of this type is in a record table, or why it cannot be.
pub(crate) fn column_type(ty: &ColumnType, backend: DbBackend) -> Result<ColumnType, String> {
    match backend {
        DbBackend::MySql => mysql_type(ty),
        DbBackend::Postgres => postgres_type(ty),
        _ => sqlite_type(ty),
    }
}

/// A bare `decimal` is `decimal(10, 0)`, and `timestamp` and `time` have whole seconds (MySQL
/// manual, 11.1.3 and 11.2.6).
fn mysql_type(ty: &ColumnType) -> Result<ColumnType, String> {
    match ty {
        ColumnType::DateTime | ColumnType::Timestamp | ColumnType::TimestampWithTimeZone => {
            Ok(ColumnType::custom("datetime(6)"))
        }
        ColumnType::Time => Ok(ColumnType::custom("time(6)")),
        // `rust_decimal` has 96 bits, so up to 29 digits, of which up to 28 are decimals.
        ColumnType::Decimal(None) | ColumnType::Money(None) => {
            Ok(ColumnType::Decimal(Some((57, 28))))
        }
        // sea-query panics, or writes `unsupported`.
        ColumnType::Array(_)
        | ColumnType::Vector(_)
        | ColumnType::Cidr
        | ColumnType::Inet
        | ColumnType::MacAddr
        | ColumnType::LTree
        | ColumnType::Interval(_, _) => Err(lacks("MySQL", ty)),
        _ => Ok(ty.clone()),
    }
}

fn postgres_type(ty: &ColumnType) -> Result<ColumnType, String> {
    match ty {
        ColumnType::Enum { name, .. } => Ok(ColumnType::custom(quoted(&name.to_string()))),
        ColumnType::Array(element) => {
            Ok(ColumnType::Array(RcOrArc::new(postgres_type(element)?)))
        }
        // sea-query panics.
        ColumnType::Year => Err(lacks("PostgreSQL", ty)),
        ColumnType::Money(Some(_)) => {
            Err("is `money` with a precision, which PostgreSQL lacks; use a decimal".to_owned())
        }
        _ => Ok(ty.clone()),
    }
}

fn sqlite_type(ty: &ColumnType) -> Result<ColumnType, String> {
    match ty {
        // sea-query panics.
        ColumnType::Array(_)
        | ColumnType::Vector(_)
        | ColumnType::Cidr
        | ColumnType::Inet
        | ColumnType::MacAddr
        | ColumnType::LTree
        | ColumnType::Interval(_, _)
        | ColumnType::Year
        | ColumnType::Bit(_)
        | ColumnType::VarBit(_) => Err(lacks("SQLite", ty)),
        _ => Ok(ty.clone()),
    }
}

fn lacks(database: &str, ty: &ColumnType) -> String {
    let name = match ty {
        ColumnType::Array(_) => "an array",
        ColumnType::Vector(_) => "a vector",
        ColumnType::Cidr => "a `cidr`",
        ColumnType::Inet => "an `inet`",
        ColumnType::MacAddr => "a `macaddr`",
        ColumnType::LTree => "an `ltree`",
        ColumnType::Interval(_, _) => "an interval",
        ColumnType::Year => "a `year`",
        _ => "a bit string",
    };
    format!("is {name}, which {database} lacks; record it in another type, as a property")
}

/// SeaORM casts to the quoted name, so that is how it has to be created.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The native enum type that a column needs: its name, as `to_regtype` reads it, and how it is made.
pub(crate) fn native_enum(
    ty: &ColumnType,
    backend: DbBackend,
) -> Option<(String, TypeCreateStatement)> {
    match ty {
        _ if backend != DbBackend::Postgres => None,
        ColumnType::Enum { name, variants } => {
            let mut create = Type::create();
            create.as_enum(name.clone()).values(variants.clone());
            Some((quoted(&name.to_string()), create))
        }
        ColumnType::Array(element) => native_enum(element, backend),
        _ => None,
    }
}

/// Whether `CREATE TABLE` makes the indexes too. Only MySQL's can; there, SeaORM's own statements
/// miss a table of another schema.
pub(crate) fn has_indexes_in_table(backend: DbBackend) -> bool {
    backend == DbBackend::MySql
}
