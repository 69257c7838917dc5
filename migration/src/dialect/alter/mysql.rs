//! MySQL and MariaDB, which commit each change of a table.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::super::types::text_length;
use super::{Edits, added, has_collation, list, quoted, quoted_table, unaltered};
use crate::change::TargetColumn;
use crate::found::FoundColumn;

/// Whether MySQL would alter a value: there and back it is another. Longer texts it refuses itself,
/// blanks apart.
pub(super) fn altered(column: &str, old: &str, new: &str) -> Option<String> {
    if let Some(length) = text_length(new) {
        let longer = format!("CHAR_LENGTH({column}) > {length}");
        return text_length(old).map(|_| longer);
    }
    if new.starts_with("char(") {
        return Some(format!("{column} LIKE '% '"));
    }
    let there = format!("CAST({column} AS {})", cast_target(new)?);
    Some(match cast_target(old) {
        Some(old) => format!("CAST({there} AS {old}) <> {column}"),
        None => format!("{there} <> {column}"),
    })
}

/// What MySQL's `CAST` calls a type.
fn cast_target(ty: &str) -> Option<&str> {
    let (name, is_unsigned) = match ty.strip_suffix(" unsigned") {
        Some(name) => (name, true),
        None => (ty, false),
    };
    Some(match name.split('(').next().unwrap_or_default() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" if is_unsigned => "UNSIGNED",
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => "SIGNED",
        "float" => "FLOAT",
        "double" => "DOUBLE",
        "decimal" | "date" | "datetime" | "time" => name,
        _ => return None,
    })
}

/// One `ALTER TABLE`, which happens as a whole; but for what fills nulls, and what drops the default of
/// a column that was added, which can run again.
pub(super) async fn change<C: ConnectionTrait>(db: &C, edits: &Edits<'_>) -> Result<(), DbErr> {
    let backend = DbBackend::MySql;
    let name = |name: &str| quoted(name, backend);
    unaltered(db, edits).await?;
    let mut clauses = Vec::new();
    for index in &edits.target.dropped_indexes {
        clauses.push(format!("DROP INDEX {}", name(index)));
    }
    for column in &edits.dropped {
        clauses.push(format!("DROP COLUMN {}", name(&column.name)));
    }
    for (was, is) in &edits.renamed {
        if !edits.changed.iter().any(|(it, _)| it.name == was.name) {
            let (was, is) = (name(&was.name), name(&is.name));
            clauses.push(format!("RENAME COLUMN {was} TO {is}"));
        }
    }
    for (was, is) in &edits.changed {
        let definition = redefined(was, is)?;
        let (old, new) = (name(&was.name), name(&is.name));
        clauses.push(format!("CHANGE COLUMN {old} {new} {definition}"));
    }
    for column in &edits.added {
        clauses.push(format!("ADD COLUMN {}", added(column, backend)?));
    }
    for (index, columns) in &edits.target.new_indexes {
        let columns = list(columns, backend);
        clauses.push(format!("ADD INDEX {} ({columns})", name(index)));
    }
    let table = quoted_table(&edits.found.name, backend);
    let mut script = edits.fills(backend, false);
    if !clauses.is_empty() {
        script.push(format!("ALTER TABLE {table} {}", clauses.join(", ")));
    }
    // MySQL does not do this to a column that the same statement adds.
    let undefaulted = edits.undefaulted.iter();
    let dropped: Vec<_> = undefaulted
        .map(|column| format!("ALTER COLUMN {} DROP DEFAULT", name(&column.name)))
        .collect();
    if !dropped.is_empty() {
        script.push(format!("ALTER TABLE {table} {}", dropped.join(", ")));
    }
    for statement in script {
        db.execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// The whole of a definition, as `CHANGE COLUMN` wants it: what was not to change stays as it was.
fn redefined(was: &FoundColumn, is: &TargetColumn) -> Result<String, DbErr> {
    let null = if is.nullable { " NULL" } else { " NOT NULL" };
    let definition = was.definition.as_deref().unwrap_or(&was.ty);
    if is.ty.is_some() {
        let comment = definition
            .find(" COMMENT '")
            .map_or("", |at| &definition[at..]);
        let ty = is.sql(DbBackend::MySql)?;
        let collation = was.collation.as_ref().filter(|_| has_collation(&is.text));
        let collation = collation.map_or(String::new(), |it| format!(" COLLATE {it}"));
        return Ok(format!("{ty}{collation}{null}{comment}"));
    }
    let definition = match (was.nullable, is.nullable) {
        (false, true) => definition.replacen(" NOT NULL", null, 1),
        (true, false) if definition.contains(" DEFAULT NULL") => {
            definition.replacen(" DEFAULT NULL", null, 1)
        }
        (true, false) => {
            let ty = definition.find([' ']).unwrap_or(definition.len());
            let (ty, rest) = definition.split_at(ty);
            format!("{ty}{null}{}", rest.replacen(" NULL", "", 1))
        }
        _ => definition.to_owned(),
    };
    // A check that says that it is JSON names it.
    let [from, to] = [&was.name, &is.name].map(|name| quoted(name, DbBackend::MySql));
    Ok(definition.replace(&from, &to))
}
