//! The rename of a topic with ten thousand articles, each with one record, which it changes.

use std::time::Duration;

use chrono::{SubsecRound, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, Set, Statement, TransactionTrait, Value};
use sea_orm_record::RecordedConnection;

use crate::Result;
use crate::database::Engine;
use crate::entities::topic;
use crate::harness::{Bench, timed};
use crate::tables::{count, fill_topic, recreate_articles, settle};

#[derive(Clone, Copy)]
enum Way {
    ByHand,
    Recorded,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let articles = bench.size(10_000, 2_000);
    let ways = [
        ("one INSERT … SELECT by hand", Way::ByHand),
        ("recorded", Way::Recorded),
    ];
    let [by_hand, recorded] = bench
        .alternate(ways, async |way| rename(bench, way, articles).await)
        .await?;
    bench.promise(&recorded, &by_hand, 2.0);
    Ok(())
}

async fn rename(bench: &Bench<'_>, way: Way, articles: usize) -> Result<Duration> {
    recreate_articles(bench).await?;
    fill_topic(bench, 1, 0, articles).await?;
    settle(bench, &["topic", "article", "article_record"]).await?;
    let time = match way {
        Way::ByHand => rename_by_hand(&bench.db, bench.engine).await?,
        Way::Recorded => rename_recorded(&bench.db, 1).await?,
    };
    assert_eq!(count(bench, "article_record").await?, 2 * articles);
    Ok(time)
}

/// Renames a topic as a user does.
pub async fn rename_recorded(db: &DatabaseConnection, id: i32) -> Result<Duration> {
    let db = RecordedConnection::new(db.clone());
    let topic = topic::ActiveModel {
        id: Set(id),
        name: Set("after".to_owned()),
    };
    let (time, _) = timed(async { Ok(topic.update(&db).await?) }).await?;
    Ok(time)
}

async fn rename_by_hand(db: &DatabaseConnection, engine: Engine) -> Result<Duration> {
    let (update, insert) = by_hand(engine);
    let backend = db.get_database_backend();
    let statement = |sql, values: Vec<Value>| Statement::from_sql_and_values(backend, sql, values);
    let update = statement(update, vec!["after".into(), 1.into()]);
    let now = Utc::now().trunc_subsecs(6);
    let insert = statement(insert, vec![now.into(), 1.into()]);
    let (time, ()) = timed(async {
        let txn = db.begin().await?;
        txn.execute_raw(update).await?;
        txn.execute_raw(insert).await?;
        Ok(txn.commit().await?)
    })
    .await?;
    Ok(time)
}

/// What the recorder of articles does, for one database and one table. It finds the latest record of
/// each article by a seek in the index, as it must where histories are long.
fn by_hand(engine: Engine) -> (&'static str, &'static str) {
    match engine {
        Engine::Postgres => (
            "UPDATE topic SET name = $1 WHERE id = $2",
            "INSERT INTO article_record (recording_id, recorded_at, event, title, text, headline)
             SELECT a.id, $1, 'related', a.title, a.text, t.name || ': ' || a.title
             FROM topic t JOIN article a ON a.topic_id = t.id
             LEFT JOIN LATERAL (
                 SELECT * FROM article_record r WHERE r.recording_id = a.id
                 ORDER BY r.recorded_at DESC LIMIT 1
             ) l ON true
             WHERE t.id = $2 AND (l.recorded_at IS NULL
                 OR l.title IS DISTINCT FROM a.title OR l.text IS DISTINCT FROM a.text
                 OR l.headline IS DISTINCT FROM t.name || ': ' || a.title)",
        ),
        Engine::Sqlite => (
            "UPDATE topic SET name = ? WHERE id = ?",
            "INSERT INTO article_record (recording_id, recorded_at, event, title, text, headline)
             SELECT a.id, ?, 'related', a.title, a.text, t.name || ': ' || a.title
             FROM topic t JOIN article a ON a.topic_id = t.id
             LEFT JOIN article_record l ON l.recording_id = a.id AND l.recorded_at =
                 (SELECT MAX(r.recorded_at) FROM article_record r WHERE r.recording_id = a.id)
             WHERE t.id = ? AND (l.recorded_at IS NULL
                 OR l.title IS NOT a.title OR l.text IS NOT a.text
                 OR l.headline IS NOT t.name || ': ' || a.title)",
        ),
        Engine::MariaDb => (
            "UPDATE topic SET name = ? WHERE id = ?",
            "INSERT INTO article_record (recording_id, recorded_at, event, title, text, headline)
             SELECT a.id, ?, 'related', a.title, a.text, CONCAT(t.name, ': ', a.title)
             FROM topic t JOIN article a ON a.topic_id = t.id
             LEFT JOIN article_record l ON l.recording_id = a.id AND l.recorded_at =
                 (SELECT MAX(r.recorded_at) FROM article_record r WHERE r.recording_id = a.id)
             WHERE t.id = ? AND (l.recorded_at IS NULL
                 OR NOT (BINARY l.title <=> BINARY a.title) OR NOT (BINARY l.text <=> BINARY a.text)
                 OR NOT (BINARY l.headline <=> BINARY CONCAT(t.name, ': ', a.title)))",
        ),
    }
}
