//! Tables, and how they are filled: in SQL, so that a million rows take seconds and no memory here.

use sea_orm::sea_query::Table;
use sea_orm::{ConnectionTrait, EntityTrait, Schema, Statement};
use sea_orm_record::RecordEntity;
use sea_orm_record_migration::RecordSchema;

use crate::Result;
use crate::database::Engine;
use crate::entities::{article, topic};
use crate::harness::Bench;

/// What every row has for a text: twenty words.
pub const TEXT: &str = "the quick brown fox jumps over the lazy dog while a second fox looks on \
    and says nothing at all today";

/// Makes the table of an entity anew.
pub async fn recreate<E: EntityTrait>(bench: &Bench<'_>, entity: E) -> Result<()> {
    let mut drop = Table::drop();
    bench
        .db
        .execute(drop.table(entity.table_ref()).if_exists())
        .await?;
    let schema = Schema::new(bench.db.get_database_backend());
    bench
        .db
        .execute(&schema.create_table_from_entity(entity))
        .await?;
    for index in schema.create_index_from_entity(entity) {
        bench.db.execute(&index).await?;
    }
    Ok(())
}

/// Makes the table of a record entity anew.
pub async fn recreate_records<R: RecordEntity>(bench: &Bench<'_>, record: R) -> Result<()> {
    bench.db.drop_record_table_if_exists(record).await?;
    Ok(bench.db.create_record_table(record).await?)
}

/// Fills a table of notes with `count` rows.
pub async fn fill_notes(bench: &Bench<'_>, table: &str, count: usize) -> Result<()> {
    let numbers = bench.engine.numbers(count);
    execute(
        bench,
        &format!(
            "INSERT INTO {table} (title, text, views) \
             SELECT CONCAT('title ', i), '{TEXT}', 0 FROM {numbers} ORDER BY i"
        ),
    )
    .await
}

/// Gives each note its first record; `properties` are more columns, each with its value.
pub async fn fill_note_records(
    bench: &Bench<'_>,
    table: &str,
    records: &str,
    properties: &[(&str, &str)],
) -> Result<()> {
    let (mut columns, mut values) = (String::new(), String::new());
    for (column, value) in properties {
        columns += &format!(", {column}");
        values += &format!(", {value}");
    }
    let at = bench.engine.time("s.id * 1000 + 1");
    execute(
        bench,
        &format!(
            "INSERT INTO {records} (recording_id, recorded_at, event, title, text{columns}) \
             SELECT s.id, {at}, 'created', s.title, s.text{values} FROM {table} s ORDER BY s.id"
        ),
    )
    .await
}

/// Makes the tables of topics, articles and their records anew.
pub async fn recreate_articles(bench: &Bench<'_>) -> Result<()> {
    let db = &bench.db;
    // Before the table that it references.
    let mut drop = Table::drop();
    db.execute(drop.table(article::Entity).if_exists()).await?;
    recreate(bench, topic::Entity).await?;
    recreate(bench, article::Entity).await?;
    recreate_records(bench, article::record::Entity).await
}

/// Adds a topic with articles, numbered after `after`, and the first record of each.
pub async fn fill_topic(bench: &Bench<'_>, topic: i32, after: usize, count: usize) -> Result<()> {
    execute(
        bench,
        &format!("INSERT INTO topic (id, name) VALUES ({topic}, 'before')"),
    )
    .await?;
    let numbers = bench.engine.numbers(count);
    execute(
        bench,
        &format!(
            "INSERT INTO article (id, topic_id, title, text, views) \
             SELECT i + {after}, {topic}, CONCAT('title ', i), '{TEXT}', 0 FROM {numbers} ORDER BY i"
        ),
    )
    .await?;
    let at = bench.engine.time("a.id * 1000 + 1");
    execute(
        bench,
        &format!(
            "INSERT INTO article_record (recording_id, recorded_at, event, title, text, headline) \
             SELECT a.id, {at}, 'created', a.title, a.text, CONCAT('before: ', a.title) \
             FROM article a WHERE a.topic_id = {topic} ORDER BY a.id"
        ),
    )
    .await
}

/// Gives the note `id`, which need not be there, `count` records; `micros` is an expression of their
/// times after the beginning, by their number `i`.
pub async fn fill_history(bench: &Bench<'_>, id: i32, count: usize, micros: &str) -> Result<()> {
    let numbers = bench.engine.numbers(count);
    // No whole milliseconds: see `Engine::time`.
    let at = bench
        .engine
        .time(&format!("({micros}) - ({micros}) % 1000 + 1 + i % 999"));
    execute(
        bench,
        &format!(
            "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
             SELECT {id}, {at}, 'updated', CONCAT('title ', i), '{TEXT}' FROM {numbers} ORDER BY i"
        ),
    )
    .await
}

/// Gives each of so many notes, numbered from 1, `records` records, `step` microseconds from each
/// other.
pub async fn fill_histories(
    bench: &Bench<'_>,
    notes: usize,
    records: usize,
    step: i64,
) -> Result<()> {
    let numbers = bench.engine.numbers(notes * records);
    let place = format!("((i - 1) % {records})");
    let id = format!("((i - 1 - {place}) / {records} + 1)");
    // No whole milliseconds: see `Engine::time`.
    let at = bench
        .engine
        .time(&format!("{place} * {step} + 1 + i % 999"));
    execute(
        bench,
        &format!(
            "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
             SELECT {id}, {at}, 'updated', CONCAT('title ', i), '{TEXT}' FROM {numbers} ORDER BY i"
        ),
    )
    .await
}

/// Brings tables to where a database in use has them: with statistics, and nothing left to write.
pub async fn settle(bench: &Bench<'_>, tables: &[&str]) -> Result<()> {
    for sql in tables
        .iter()
        .filter_map(|table| bench.engine.analyze(table))
    {
        execute(bench, &sql).await?;
    }
    match bench.engine {
        Engine::Sqlite => execute(bench, "PRAGMA wal_checkpoint(TRUNCATE)").await?,
        // To make a new segment takes ten milliseconds, of whoever comes to its end; this needs the
        // rights of a superuser.
        Engine::Postgres => drop(execute(bench, "SELECT pg_switch_wal()").await),
        // What came before is tidied up beside whoever comes next; this waits for the end of that, and
        // needs the rights of a superuser.
        Engine::MariaDb => drop(execute(bench, "SET GLOBAL innodb_max_purge_lag_wait = 0").await),
    }
    Ok(())
}

/// How many rows a table has.
pub async fn count(bench: &Bench<'_>, table: &str) -> Result<usize> {
    let sql = format!("SELECT COUNT(*) AS rows_there FROM {table}");
    let statement = Statement::from_string(bench.db.get_database_backend(), sql);
    let row = bench.db.query_one_raw(statement).await?;
    let count: i64 = row.ok_or("no count")?.try_get("", "rows_there")?;
    Ok(usize::try_from(count)?)
}

/// Runs a statement.
pub async fn execute(bench: &Bench<'_>, sql: &str) -> Result<()> {
    let done = bench.db.execute_unprepared(sql).await;
    done.map_err(|error| format!("{error}: {sql}"))?;
    Ok(())
}
