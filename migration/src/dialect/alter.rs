//! From a table as it is to one as it is to be.

mod mysql;
mod sqlite;

use chrono::DateTime;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{
    ColumnType, Expr, MysqlQueryBuilder, PostgresQueryBuilder, Query, SqliteQueryBuilder,
};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement, TransactionSession, TransactionTrait, Value,
};

use super::types::{canonical, portable, widens};
use super::{before_creation, inspect, quoted, quoted_table};
use crate::change::{Target, TargetColumn};
use crate::description::TableName;
use crate::fill;
use crate::found::{Found, FoundColumn};

/// Whether a record has no value there.
pub(crate) async fn has_null<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
    column: &str,
) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let (table, column) = (quoted_table(table, backend), quoted(column, backend));
    let select = format!("SELECT 1 FROM {table} WHERE {column} IS NULL LIMIT 1");
    let found = db.query_one_raw(Statement::from_string(backend, select));
    Ok(found.await?.is_some())
}

/// Makes of a table what it is to be; all or nothing.
pub(crate) async fn alter<C>(db: &C, found: &Found, target: &Target) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let edits = Edits::new(found, target);
    if edits.is_empty() {
        return Ok(());
    }
    match db.get_database_backend() {
        DbBackend::MySql => mysql::change(db, &edits).await,
        backend => {
            let transaction = db.begin().await?;
            match backend {
                DbBackend::Postgres => postgres(&transaction, &edits).await?,
                _ => sqlite::change(&transaction, &edits).await?,
            }
            transaction.commit().await
        }
    }
}

/// What is to be done.
struct Edits<'t> {
    found: &'t Found,
    target: &'t Target,
    added: Vec<&'t TargetColumn>,
    dropped: Vec<&'t FoundColumn>,
    /// Columns that get another type, or other nulls.
    changed: Vec<(&'t FoundColumn, &'t TargetColumn)>,
    renamed: Vec<(&'t FoundColumn, &'t TargetColumn)>,
    /// Columns that have a default, or are added by one, and are to have none: else records would go
    /// on saying what was made up for those from before.
    undefaulted: Vec<&'t TargetColumn>,
}

impl<'t> Edits<'t> {
    fn new(found: &'t Found, target: &'t Target) -> Self {
        let kept: Vec<_> = target
            .columns
            .iter()
            .filter_map(|it| Some((found.column(it.origin.as_deref()?)?, it)))
            .collect();
        let has_default = |column: &&TargetColumn| {
            let found = column.origin.as_deref().and_then(|it| found.column(it));
            column.no_default && found.is_none_or(FoundColumn::has_default)
        };
        let stays = |column: &&FoundColumn| !kept.iter().any(|(it, _)| it.name == column.name);
        Self {
            found,
            target,
            added: target
                .columns
                .iter()
                .filter(|it| it.origin.is_none())
                .collect(),
            dropped: found.columns.iter().filter(stays).collect(),
            undefaulted: target.columns.iter().filter(has_default).collect(),
            changed: kept
                .iter()
                .filter(|(was, is)| is.ty.is_some() || was.nullable != is.nullable)
                .copied()
                .collect(),
            renamed: kept
                .into_iter()
                .filter(|(was, is)| was.name != is.name)
                .collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.dropped.is_empty()
            && self.changed.is_empty()
            && self.renamed.is_empty()
            && self.undefaulted.is_empty()
            && self.target.new_indexes.is_empty()
            && self.target.dropped_indexes.is_empty()
    }

    /// Values for records that have none, by the names that the columns have at the time.
    fn fills(&self, backend: DbBackend, renamed: bool) -> Vec<String> {
        let table = quoted_table(&self.found.name, backend);
        let fill = |name: &str, column: &TargetColumn| {
            let (value, name) = (filling(column, backend)?, quoted(name, backend));
            Some(format!(
                "UPDATE {table} SET {name} = {value} WHERE {name} IS NULL"
            ))
        };
        let changed = self.changed.iter();
        changed
            .filter_map(|(was, is)| fill(if renamed { &is.name } else { &was.name }, is))
            .collect()
    }
}

/// What takes the place of NULL, as a statement writes it.
fn filling(column: &TargetColumn, backend: DbBackend) -> Option<String> {
    let value = column.fill.as_ref()?;
    let value = match fill::text(value) {
        Some(text) => stored(text, &portable(&column.text, backend), backend),
        None => value.clone(),
    };
    Some(literal(value, backend))
}

/// A text as a column of this type has it: UUIDs are bytes but on PostgreSQL, and MySQL's times have
/// no offset.
fn stored(text: String, ty: &ColumnType, backend: DbBackend) -> Value {
    match (ty, backend) {
        (_, DbBackend::Postgres) => text.into(),
        (ColumnType::Uuid, _) => match text.parse::<Uuid>() {
            Ok(uuid) => uuid.into_bytes().to_vec().into(),
            Err(_) => text.into(),
        },
        (ColumnType::TimestampWithTimeZone, DbBackend::MySql) => {
            match DateTime::parse_from_rfc3339(&text) {
                Ok(at) => at.naive_utc().format("%F %T%.f").to_string().into(),
                Err(_) => text.into(),
            }
        }
        _ => text.into(),
    }
}

/// A value as a statement writes it.
fn literal(value: Value, backend: DbBackend) -> String {
    let select = Query::select().expr(Expr::val(value)).take();
    let sql = match backend {
        DbBackend::MySql => select.to_string(MysqlQueryBuilder),
        DbBackend::Postgres => select.to_string(PostgresQueryBuilder),
        _ => select.to_string(SqliteQueryBuilder),
    };
    sql.trim_start_matches("SELECT ").to_owned()
}

fn list(columns: &[String], backend: DbBackend) -> String {
    let quoted: Vec<_> = columns.iter().map(|name| quoted(name, backend)).collect();
    quoted.join(", ")
}

/// `name type`, with NOT NULL and the value for records from before where there is one.
fn added(column: &TargetColumn, backend: DbBackend) -> Result<String, DbErr> {
    let (name, ty) = (quoted(&column.name, backend), column.sql(backend)?);
    let mut definition = match filling(column, backend) {
        // In parentheses, as MySQL gives a text one.
        Some(fill) => format!("{name} {ty} NOT NULL DEFAULT ({fill})"),
        None => format!("{name} {ty} NULL"),
    };
    if let Some(extra) = &column.extra {
        definition = format!("{definition} {extra}");
    }
    if let (Some(comment), DbBackend::MySql) = (&column.comment, backend) {
        let comment = literal(comment.as_str().into(), backend);
        definition = format!("{definition} COMMENT {comment}");
    }
    Ok(definition)
}

/// Refuses a narrower type that some values do not fit, which databases cut short or round silently:
/// PostgreSQL all of them, MySQL numbers and times, and blanks at the end of texts. (It refuses the
/// others; SQLite leaves them as they are.)
async fn unaltered<C: ConnectionTrait>(db: &C, edits: &Edits<'_>) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let table = quoted_table(&edits.found.name, backend);
    for (was, is) in edits.changed.iter().filter(|(_, is)| is.ty.is_some()) {
        let (column, old, new) = (quoted(&was.name, backend), &was.ty, is.sql(backend)?);
        if widens(old, &canonical(&new, backend)) {
            continue;
        }
        let altered = match backend {
            DbBackend::Postgres => format!("{column}::{new}::{old} IS DISTINCT FROM {column}"),
            DbBackend::MySql => match mysql::altered(&column, old, &canonical(&new, backend)) {
                Some(altered) => altered,
                None => continue,
            },
            _ => continue,
        };
        let select = format!("SELECT 1 FROM {table} WHERE {altered} LIMIT 1");
        let found = db.query_one_raw(Statement::from_string(backend, select));
        if found.await?.is_some() {
            return Err(edits.found.name.error(format_args!(
                "has values in `{}` that {new} would alter; nothing was changed",
                was.name
            )));
        }
    }
    Ok(())
}

/// Whether a type is of texts.
fn has_collation(ty: &str) -> bool {
    let texts = ["varchar", "character", "char", "text", "longtext", "enum("];
    texts.iter().any(|text| ty.starts_with(text))
}

async fn postgres<C: ConnectionTrait>(db: &C, edits: &Edits<'_>) -> Result<(), DbErr> {
    let backend = DbBackend::Postgres;
    let name = |name: &str| quoted(name, backend);
    let table = quoted_table(&edits.found.name, backend);
    unaltered(db, edits).await?;
    let mut script = Vec::new();
    for index in &edits.target.dropped_indexes {
        let index = TableName {
            schema: edits.found.name.schema.clone(),
            name: index.clone(),
        };
        script.push(format!("DROP INDEX {}", quoted_table(&index, backend)));
    }
    let alter = |clause: String| format!("ALTER TABLE {table} {clause}");
    for column in &edits.dropped {
        script.push(alter(format!("DROP COLUMN {}", name(&column.name))));
    }
    for (was, is) in &edits.renamed {
        let (was, is) = (name(&was.name), name(&is.name));
        script.push(alter(format!("RENAME COLUMN {was} TO {is}")));
    }
    script.extend(edits.fills(backend, true));
    for (was, is) in &edits.changed {
        let column = name(&is.name);
        if is.ty.is_some() {
            let ty = is.sql(backend)?;
            let collation = was.collation.as_ref().filter(|_| has_collation(&is.text));
            let collation = collation.map_or(String::new(), |it| format!(" COLLATE {it}"));
            script.push(alter(format!(
                "ALTER COLUMN {column} TYPE {ty}{collation} USING {column}::{ty}"
            )));
        }
        match (was.nullable, is.nullable) {
            (false, true) => script.push(alter(format!("ALTER COLUMN {column} DROP NOT NULL"))),
            (true, false) => script.push(alter(format!("ALTER COLUMN {column} SET NOT NULL"))),
            _ => {}
        }
    }
    for column in &edits.added {
        script.push(alter(format!("ADD COLUMN {}", added(column, backend)?)));
    }
    for column in &edits.undefaulted {
        let column = name(&column.name);
        script.push(alter(format!("ALTER COLUMN {column} DROP DEFAULT")));
    }
    for (index, columns) in &edits.target.new_indexes {
        let columns = list(columns, backend);
        script.push(format!(
            "CREATE INDEX {} ON {table} ({columns})",
            name(index)
        ));
    }
    for statement in script {
        db.execute_unprepared(&statement).await?;
    }
    Ok(())
}
