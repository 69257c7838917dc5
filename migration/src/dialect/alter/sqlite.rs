//! SQLite, which copies a table whose columns change.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::{Edits, added, before_creation, filling, inspect, list, quoted, quoted_table};
use crate::description::TableName;
use crate::found::FoundKey;

/// What SQLite can do in place, and then a copy for the rest (its manual, "ALTER TABLE", 7).
pub(super) async fn change<C: ConnectionTrait>(db: &C, edits: &Edits<'_>) -> Result<(), DbErr> {
    let backend = DbBackend::Sqlite;
    let name = |name: &str| quoted(name, backend);
    let table = quoted_table(&edits.found.name, backend);
    let mut script: Vec<_> = before_creation(backend).into_iter().collect();
    for index in &edits.target.dropped_indexes {
        script.push(format!("DROP INDEX {}", name(index)));
    }
    for column in &edits.dropped {
        script.push(format!(
            "ALTER TABLE {table} DROP COLUMN {}",
            name(&column.name)
        ));
    }
    for (was, is) in &edits.renamed {
        let (was, is) = (name(&was.name), name(&is.name));
        script.push(format!("ALTER TABLE {table} RENAME COLUMN {was} TO {is}"));
    }
    let copies = !edits.changed.is_empty() || !edits.undefaulted.is_empty();
    if copies {
        refuse_lost(db, &edits.found.name).await?;
    } else {
        for column in &edits.added {
            let column = added(column, backend)?;
            script.push(format!("ALTER TABLE {table} ADD COLUMN {column}"));
        }
    }
    script.extend(edits.fills(backend, true));
    for statement in script {
        db.execute_unprepared(&statement).await?;
    }
    if copies {
        copy(db, edits).await?;
    }
    for (index, columns) in &edits.target.new_indexes {
        let columns = list(columns, backend);
        let create = format!("CREATE INDEX {} ON {table} ({columns})", name(index));
        db.execute_unprepared(&create).await?;
    }
    Ok(())
}

/// Refuses a table of which a copy would lose something.
async fn refuse_lost<C: ConnectionTrait>(db: &C, table: &TableName) -> Result<(), DbErr> {
    let creation = inspect::creation(db, table).await?.to_uppercase();
    let lost = [
        " CHECK (",
        " CHECK(",
        " COLLATE ",
        " GENERATED ",
        " STRICT",
        " WITHOUT ROWID",
    ];
    match lost.iter().find(|word| creation.contains(*word)) {
        None => Ok(()),
        Some(lost) => Err(table.error(format_args!(
            "has `{}`, which would be lost when it is copied, and SQLite cannot change a column in \
             place; write this change by hand",
            lost.trim()
        ))),
    }
}

/// Copies a table into one that has the columns as they are to be, and takes its name.
async fn copy<C: ConnectionTrait>(db: &C, edits: &Edits<'_>) -> Result<(), DbErr> {
    let table = &edits.found.name;
    let attached = inspect::attached(db, table).await?;
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for column in &edits.target.columns {
        let name = quoted(&column.name, DbBackend::Sqlite);
        values.push(match column.origin {
            Some(_) => name.clone(),
            None => filling(column, DbBackend::Sqlite).unwrap_or("NULL".to_owned()),
        });
        columns.push(name);
    }
    let [columns, values] = [columns, values].map(|it| it.join(", "));
    let copied = TableName {
        schema: table.schema.clone(),
        name: format!("{}_copied", table.name),
    };
    let [old, new] = [table, &copied].map(|it| quoted_table(it, DbBackend::Sqlite));
    let name = quoted(&table.name, DbBackend::Sqlite);
    let mut script = vec![
        format!("CREATE TABLE {new} ({})", definitions(edits)?),
        format!("INSERT INTO {new} ({columns}) SELECT {values} FROM {old}"),
        format!("DROP TABLE {old}"),
        format!("ALTER TABLE {new} RENAME TO {name}"),
    ];
    script.extend(attached);
    for statement in script {
        db.execute_unprepared(&statement).await?;
    }
    Ok(())
}

fn definitions(edits: &Edits<'_>) -> Result<String, DbErr> {
    let backend = DbBackend::Sqlite;
    let mut parts = Vec::new();
    for column in &edits.target.columns {
        let was = column
            .origin
            .as_deref()
            .and_then(|it| edits.found.column(it));
        let null = if column.nullable { "" } else { " NOT NULL" };
        let default = was.and_then(|it| it.default.as_ref());
        let default = default.filter(|_| !column.no_default);
        let default = default.map_or(String::new(), |sql| format!(" DEFAULT ({sql})"));
        let (name, ty) = (quoted(&column.name, backend), column.sql(backend)?);
        let extra = column.extra.as_ref();
        let extra = extra.map_or(String::new(), |sql| format!(" {sql}"));
        parts.push(format!("{name} {ty}{null}{default}{extra}"));
    }
    let key = &edits.target.key;
    let name = crate::names::short(format!("pk-{}", edits.found.name.name));
    parts.push(format!(
        "CONSTRAINT {} PRIMARY KEY ({})",
        quoted(&name, backend),
        list(key, backend)
    ));
    parts.extend(
        edits
            .found
            .foreign_keys
            .iter()
            .map(|key| referring(key, edits)),
    );
    Ok(parts.join(", "))
}

fn referring(key: &FoundKey, edits: &Edits<'_>) -> String {
    let backend = DbBackend::Sqlite;
    let renamed = |name: &String| {
        let column = edits.renamed.iter().find(|(was, _)| was.name == *name);
        column.map_or_else(|| name.clone(), |(_, is)| is.name.clone())
    };
    let columns: Vec<_> = key.columns.iter().map(renamed).collect();
    let to = match key.to.is_empty() {
        true => String::new(),
        false => format!(" ({})", list(&key.to, backend)),
    };
    format!(
        "FOREIGN KEY ({}) REFERENCES {}{to} ON DELETE {}",
        list(&columns, backend),
        quoted(&key.table, backend),
        key.on_delete
    )
}
