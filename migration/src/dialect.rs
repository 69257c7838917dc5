//! What differs between databases. No other file branches on one, except those in `dialect/`.

pub(crate) mod partitions;

use sea_orm::sea_query::extension::postgres::{Type, TypeCreateStatement};
use sea_orm::sea_query::{
    ColumnType, Expr, ExprTrait, Func, IntoTableRef, Query, RcOrArc, TableRef,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, TransactionTrait};

pub(crate) mod alter;
pub(crate) mod inspect;
pub(crate) mod types;

use crate::description::TableName;

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
        ColumnType::Enum { name, .. } => Ok(ColumnType::custom(quoted(
            &name.to_string(),
            DbBackend::Postgres,
        ))),
        ColumnType::Array(element) => Ok(ColumnType::Array(RcOrArc::new(postgres_type(element)?))),
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

/// A name in the quotes of the database. SeaORM casts to an enum's quoted name, so that is how it has
/// to be created.
pub(crate) fn quoted(name: &str, backend: DbBackend) -> String {
    let quote = if backend == DbBackend::MySql {
        "`"
    } else {
        "\""
    };
    format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)))
}

/// A table's name in quotes, with its schema where that is given.
pub(crate) fn quoted_table(table: &TableName, backend: DbBackend) -> String {
    let name = quoted(&table.name, backend);
    match &table.schema {
        Some(schema) => format!("{}.{name}", quoted(schema, backend)),
        None => name,
    }
}

/// Runs statements that change the schema: all or none, but for MySQL, where each commits.
pub(crate) async fn run<C>(db: &C, script: &[String]) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    if script.is_empty() {
        return Ok(());
    }
    let backend = db.get_database_backend();
    if backend == DbBackend::MySql {
        for statement in script {
            db.execute_unprepared(statement).await?;
        }
        return Ok(());
    }
    let transaction = db.begin().await?;
    for statement in before_creation(backend).iter().chain(script) {
        transaction.execute_unprepared(statement).await?;
    }
    sea_orm::TransactionSession::commit(transaction).await
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
            Some((quoted(&name.to_string(), backend), create))
        }
        ColumnType::Array(element) => native_enum(element, backend),
        _ => None,
    }
}

/// Whether PostgreSQL finds a type of this name on its search path.
pub(crate) async fn has_type<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, DbErr> {
    let found = Func::cust("to_regtype").arg(name);
    let select = Query::select()
        .expr_as(Expr::from(found).is_not_null(), "found")
        .take();
    match db.query_one(&select).await? {
        Some(row) => row.try_get("", "found"),
        None => Ok(false),
    }
}

/// Whether `CREATE TABLE` makes the indexes too. Only MySQL's can; there, SeaORM's own statements
/// miss a table of another schema.
pub(crate) fn has_indexes_in_table(backend: DbBackend) -> bool {
    backend == DbBackend::MySql
}

/// What to run first. A connection of SQLite that knows the schema as it was says of a table or index
/// that another has dropped that it exists; a read brings it up to date.
pub(crate) fn before_creation(backend: DbBackend) -> Option<String> {
    match backend {
        DbBackend::Sqlite => Some("SELECT 1 FROM sqlite_master LIMIT 0".to_owned()),
        _ => None,
    }
}

/// The table of an index. sea-query panics on a schema's name there, but for PostgreSQL.
pub(crate) fn index_table(table: &TableName, backend: DbBackend) -> TableRef {
    match backend {
        DbBackend::Postgres => table.clone().into_table_ref(),
        _ => table.name.clone().into_table_ref(),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{
        Alias, ColumnDef, IntoIden, MysqlQueryBuilder, PostgresQueryBuilder, SqliteQueryBuilder,
        StringLen, Table,
    };

    use super::*;

    fn every_type() -> Vec<ColumnType> {
        let mut types = vec![
            ColumnType::Char(None),
            ColumnType::Char(Some(3)),
            ColumnType::String(StringLen::None),
            ColumnType::String(StringLen::Max),
            ColumnType::String(StringLen::N(9)),
            ColumnType::Text,
            ColumnType::Blob,
            ColumnType::TinyInteger,
            ColumnType::SmallInteger,
            ColumnType::Integer,
            ColumnType::BigInteger,
            ColumnType::TinyUnsigned,
            ColumnType::SmallUnsigned,
            ColumnType::Unsigned,
            ColumnType::BigUnsigned,
            ColumnType::Float,
            ColumnType::Double,
            ColumnType::Decimal(None),
            ColumnType::Decimal(Some((40, 20))),
            ColumnType::DateTime,
            ColumnType::Timestamp,
            ColumnType::TimestampWithTimeZone,
            ColumnType::Time,
            ColumnType::Date,
            ColumnType::Year,
            ColumnType::Interval(None, None),
            ColumnType::Binary(16),
            ColumnType::VarBinary(StringLen::None),
            ColumnType::VarBinary(StringLen::Max),
            ColumnType::Bit(None),
            ColumnType::Bit(Some(3)),
            ColumnType::VarBit(3),
            ColumnType::Boolean,
            ColumnType::Money(None),
            ColumnType::Money(Some((40, 20))),
            ColumnType::Json,
            ColumnType::JsonBinary,
            ColumnType::Uuid,
            ColumnType::custom("citext"),
            ColumnType::Enum {
                name: "mood".into_iden(),
                variants: vec!["good".into_iden()],
            },
            ColumnType::Vector(None),
            ColumnType::Cidr,
            ColumnType::Inet,
            ColumnType::MacAddr,
            ColumnType::LTree,
        ];
        let arrays: Vec<_> = types
            .iter()
            .map(|ty| ColumnType::Array(RcOrArc::new(ty.clone())))
            .collect();
        types.extend(arrays);
        types
    }

    /// Where sea-query would panic, or write what is no type, the column is refused.
    #[test]
    fn every_type_is_written_or_refused() {
        let mut refused = [0; 3];
        for (ty, (at, backend)) in every_type().into_iter().flat_map(|ty| {
            let backends = [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql];
            backends
                .into_iter()
                .enumerate()
                .map(move |backend| (ty.clone(), backend))
        }) {
            let Ok(ty) = column_type(&ty, backend) else {
                refused[at] += 1;
                continue;
            };
            let mut table = Table::create();
            table
                .table(Alias::new("t"))
                .col(ColumnDef::new_with_type("c", ty));
            let sql = match backend {
                DbBackend::Sqlite => table.to_string(SqliteQueryBuilder),
                DbBackend::Postgres => table.to_string(PostgresQueryBuilder),
                _ => table.to_string(MysqlQueryBuilder),
            };
            assert!(!sql.contains("unsupported"), "{sql}");
        }
        // Besides all 45 arrays on SQLite and MySQL, and those of refused types on PostgreSQL.
        assert_eq!(refused, [45 + 10, 2 + 2, 45 + 6]);
    }
}
