//! What the database says of a table.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::quoted_table;
use super::types::canonical;
use crate::description::TableName;
use crate::found::{FoundColumn, FoundIndex, FoundKey};

/// The columns, in their order; none where there is no such table.
pub(crate) async fn columns<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<Vec<FoundColumn>, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type, \
                NOT attnotnull AS nullable, pg_get_expr(adbin, adrelid) AS preset, \
                (SELECT format('%I.%I', nspname, collname) FROM pg_collation c \
                 JOIN pg_namespace n ON n.oid = collnamespace JOIN pg_type t ON t.oid = atttypid \
                 WHERE c.oid = attcollation AND attcollation <> typcollation) AS collation \
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        }
        DbBackend::MySql => {
            "SELECT CAST(column_name AS char) AS name, CAST(column_type AS char) AS type, \
                is_nullable = 'YES' AS nullable, CAST(column_default AS char) AS preset, \
                CAST(collation_name AS char) AS collation \
             FROM information_schema.columns \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
             ORDER BY ordinal_position"
        }
        _ => {
            "SELECT name, type, NOT \"notnull\" AS nullable, dflt_value AS preset, \
                NULL AS collation \
             FROM pragma_table_info(?) ORDER BY cid"
        }
    };
    let rows = query(db, sql, table).await?;
    let mut columns = rows
        .iter()
        .map(|row| {
            Ok(FoundColumn {
                name: row.try_get("", "name")?,
                ty: canonical(&row.try_get::<String>("", "type")?, backend),
                nullable: flag(row, "nullable")?,
                default: row.try_get("", "preset")?,
                collation: row.try_get("", "collation")?,
                definition: None,
            })
        })
        .collect::<Result<Vec<_>, DbErr>>()?;
    if backend == DbBackend::MySql && !columns.is_empty() {
        define(db, table, &mut columns).await?;
    }
    Ok(columns)
}

/// `MODIFY COLUMN` wants the whole of a definition, also what this library does not know of: a
/// collation, a comment, the check that makes a text JSON. Each stands on a line of its own.
async fn define<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
    columns: &mut [FoundColumn],
) -> Result<(), DbErr> {
    let name = quoted_table(table, DbBackend::MySql);
    let show = Statement::from_string(DbBackend::MySql, format!("SHOW CREATE TABLE {name}"));
    let Some(row) = db.query_one_raw(show).await? else {
        return Ok(());
    };
    let sql: String = row.try_get_by_index(1)?;
    for column in columns {
        let start = format!("  {} ", super::quoted(&column.name, DbBackend::MySql));
        let line = sql.lines().find_map(|line| line.strip_prefix(&start));
        column.definition = line.map(|line| line.trim_end_matches(',').to_owned());
    }
    Ok(())
}

/// The indexes, and whether each is that of the primary key.
pub(crate) async fn indexes<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<Vec<(bool, FoundIndex)>, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.relname::text AS name, indisprimary AS is_primary, indisunique AS is_unique, \
                indpred IS NOT NULL AS is_partial, m.amname = 'btree' AS is_btree, \
                a.attname::text AS part \
             FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_am m ON m.oid = relam \
             CROSS JOIN LATERAL unnest(indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
             LEFT JOIN pg_attribute a ON attrelid = indrelid AND a.attnum = k.attnum \
                AND k.attnum > 0 \
             WHERE indrelid = to_regclass($1) ORDER BY c.relname, place"
        }
        DbBackend::MySql => {
            "SELECT CAST(index_name AS char) AS name, index_name = 'PRIMARY' AS is_primary, \
                non_unique = 0 AS is_unique, sub_part IS NOT NULL AS is_partial, \
                index_type = 'BTREE' AS is_btree, \
                CAST(column_name AS char) AS part \
             FROM information_schema.statistics \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
             ORDER BY index_name, seq_in_index"
        }
        _ => {
            // A primary key of one integer has no index, so it is read from the columns.
            "SELECT l.name AS name, 0 AS is_primary, l.\"unique\" AS is_unique, \
                l.partial AS is_partial, 1 AS is_btree, i.name AS part, i.seqno AS place \
             FROM pragma_index_list(?1) l JOIN pragma_index_info(l.name) i WHERE l.origin <> 'pk' \
             UNION ALL SELECT '', 1, 1, 0, 1, name, pk FROM pragma_table_info(?1) WHERE pk > 0 \
             ORDER BY name, place"
        }
    };
    let mut indexes: Vec<(bool, FoundIndex)> = Vec::new();
    for row in query(db, sql, table).await? {
        let name: String = row.try_get("", "name")?;
        let part: Option<String> = row.try_get("", "part")?;
        let part = part.filter(|_| !flag(&row, "is_partial").unwrap_or(true));
        match indexes.last_mut().filter(|(_, index)| index.name == name) {
            Some((_, index)) => {
                index.columns = index.columns.take().zip(part).map(|(mut columns, part)| {
                    columns.push(part);
                    columns
                });
            }
            None => indexes.push((
                flag(&row, "is_primary")?,
                FoundIndex {
                    name,
                    columns: part.map(|part| vec![part]),
                    unique: flag(&row, "is_unique")?,
                    btree: flag(&row, "is_btree")?,
                },
            )),
        }
    }
    Ok(indexes)
}

/// The foreign keys, each with its columns in order.
pub(crate) async fn foreign_keys<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<Vec<FoundKey>, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT conname::text AS name, f.relname::text AS target, \
                CASE confdeltype WHEN 'c' THEN 'CASCADE' ELSE 'OTHER' END AS on_delete, \
                a.attname::text AS part, b.attname::text AS target_part \
             FROM pg_constraint JOIN pg_class f ON f.oid = confrelid \
             CROSS JOIN LATERAL unnest(conkey, confkey) WITH ORDINALITY AS k (part, target, place) \
             JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.part \
             JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = k.target \
             WHERE conrelid = to_regclass($1) AND contype = 'f' ORDER BY conname, place"
        }
        DbBackend::MySql => {
            "SELECT CAST(k.constraint_name AS char) AS name, \
                CAST(k.referenced_table_name AS char) AS target, \
                CAST(r.delete_rule AS char) AS on_delete, CAST(k.column_name AS char) AS part, \
                CAST(k.referenced_column_name AS char) AS target_part \
             FROM information_schema.key_column_usage k \
             JOIN information_schema.referential_constraints r \
               ON r.constraint_schema = k.constraint_schema \
               AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name \
             WHERE k.table_schema = COALESCE(?, DATABASE()) AND k.table_name = ? \
             ORDER BY k.constraint_name, k.ordinal_position"
        }
        _ => {
            "SELECT CAST(id AS text) AS name, \"table\" AS target, on_delete, \"from\" AS part, \
                \"to\" AS target_part \
             FROM pragma_foreign_key_list(?) ORDER BY id, seq"
        }
    };
    let mut keys: Vec<(String, FoundKey)> = Vec::new();
    for row in query(db, sql, table).await? {
        let name: String = row.try_get("", "name")?;
        if keys.last().is_none_or(|(last, _)| *last != name) {
            let key = FoundKey {
                columns: Vec::new(),
                table: row.try_get("", "target")?,
                to: Vec::new(),
                on_delete: row.try_get("", "on_delete")?,
            };
            keys.push((name, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(row.try_get("", "part")?);
            // SQLite: none where it is the other's primary key.
            key.to
                .extend(row.try_get::<Option<String>>("", "target_part")?);
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// How the table is partitioned, such as `RANGE (recorded_at)`; none where it is not.
pub(crate) async fn partitions<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<Option<String>, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT pg_get_partkeydef(to_regclass($1)::oid) AS how",
        DbBackend::MySql => {
            "SELECT CONCAT(partition_method, ' (', partition_expression, ')') AS how \
             FROM information_schema.partitions \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? LIMIT 1"
        }
        _ => return Ok(None),
    };
    let how: Option<String> = match query(db, sql, table).await?.first() {
        Some(row) => row.try_get("", "how")?,
        None => None,
    };
    Ok(how.map(|how| how.replace(['"', '`'], "")))
}

/// What SQLite has made of indexes and triggers of a table, as they were written.
pub(crate) async fn attached<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type <> 'table' \
        AND sql IS NOT NULL ORDER BY type, name";
    let rows = query(db, sql, table).await?;
    rows.iter().map(|row| row.try_get("", "sql")).collect()
}

/// How SQLite was told to make a table.
pub(crate) async fn creation<C: ConnectionTrait>(
    db: &C,
    table: &TableName,
) -> Result<String, DbErr> {
    let sql = "SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'";
    match query(db, sql, table).await?.first() {
        Some(row) => row.try_get("", "sql"),
        None => Ok(String::new()),
    }
}

async fn query<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    table: &TableName,
) -> Result<Vec<QueryResult>, DbErr> {
    let backend = db.get_database_backend();
    let values: Vec<Value> = match backend {
        DbBackend::Postgres => vec![quoted_table(table, backend).into()],
        DbBackend::MySql => vec![table.schema.clone().into(), table.name.clone().into()],
        _ => vec![table.name.clone().into()],
    };
    db.query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await
}

/// A boolean, which is an integer of some width but on PostgreSQL.
fn flag(row: &QueryResult, name: &str) -> Result<bool, DbErr> {
    row.try_get("", name)
        .or_else(|_| row.try_get::<i64>("", name).map(|flag| flag != 0))
        .or_else(|_| row.try_get::<i32>("", name).map(|flag| flag != 0))
}
