//! The history of a few articles, in SQLite in memory, with nothing to set up:
//!
//! ```text
//! cargo run --example quickstart
//! ```

#![allow(unreachable_pub, reason = "entities are `pub` by custom")]

mod article;
mod print;
mod topic;

use std::collections::HashSet;
use std::error::Error;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, Database, QueryOrder, Set};
use sea_orm_record::prelude::*;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result {
    let db = connect().await?;
    create_tables(&db).await?;
    let db = RecordedConnection::new(db);
    let weather = add_topic(&db, "Weather").await?;

    let article = insert_and_edit(&db, &weather).await?;
    rename_topic(&db, &weather, &article).await?;
    save_without_change(&db, &article).await?;
    delete(&db, article).await?;
    save_many(&db, &weather).await?;
    let flood = one_record_an_hour(&db, &weather).await?;
    look_back(&db).await?;
    walk_back(&db, &flood).await
}

/// Every connection to `sqlite::memory:` opens a database of its own, so there may be only one.
async fn connect() -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    Database::connect(options).await
}

/// The record table is an entity like the others.
async fn create_tables(db: &DatabaseConnection) -> Result<(), DbErr> {
    let schema = db.get_schema_builder();
    let schema = schema.register(topic::Entity).register(article::Entity);
    schema.register(article::record::Entity).apply(db).await
}

async fn add_topic(db: &RecordedConnection, name: &str) -> Result<topic::Model, DbErr> {
    let topic = topic::ActiveModel {
        name: Set(name.to_owned()),
        ..Default::default()
    };
    topic.insert(db).await
}

/// An article that is yet to be inserted.
fn draft(topic: &topic::Model, title: &str) -> article::ActiveModel {
    article::ActiveModel {
        topic_id: Set(topic.id),
        title: Set(title.to_owned()),
        text: Set(format!("{title}.")),
        ..Default::default()
    }
}

/// The whole history of an article, also of one that is gone.
async fn print_history(db: &RecordedConnection, id: i32) -> Result {
    let records = article::Entity::records_of(id);
    let in_order = records.order_by_asc(article::record::Column::RecordedAt);
    print::records(&in_order.all(db).await?);
    Ok(())
}

async fn insert_and_edit(db: &RecordedConnection, topic: &topic::Model) -> Result<article::Model> {
    print::chapter(
        "An article is inserted, then edited",
        "Each save that changes a recorded value leaves one row in `article_record`.",
    );
    let article = draft(topic, "Rain all week").insert(db).await?;
    let edit = article::ActiveModel {
        title: Set("Rain until Friday".to_owned()),
        text: Set("It will rain until Friday, and then clear up.".to_owned()),
        ..article.into()
    };
    let article = edit.update(db).await?;
    print_history(db, article.id).await?;
    Ok(article)
}

async fn rename_topic(
    db: &RecordedConnection,
    topic: &topic::Model,
    article: &article::Model,
) -> Result {
    print::chapter(
        "Its topic is renamed",
        "The headline is computed from the topic, which is watched: the article gets a\n\
         `related` record, though nobody saved it.",
    );
    let rename = topic::ActiveModel {
        name: Set("Climate".to_owned()),
        ..topic.clone().into()
    };
    rename.update(db).await?;
    print_history(db, article.id).await
}

async fn save_without_change(db: &RecordedConnection, article: &article::Model) -> Result {
    print::chapter(
        "It is saved again as it is",
        "A record differs from the one before it, so there is none this time.",
    );
    let before = article.records().count(db).await?;
    let same = article::ActiveModel {
        title: Set(article.title.clone()),
        ..article.clone().into()
    };
    same.update(db).await?;
    let after = article.records().count(db).await?;
    println!("  {before} records before, {after} after");
    Ok(())
}

async fn delete(db: &RecordedConnection, article: article::Model) -> Result {
    print::chapter(
        "It is deleted",
        "Its records stay. The last one is a tombstone, with the values that were deleted.",
    );
    let id = article.id;
    article.delete(db).await?;
    print_history(db, id).await
}

async fn save_many(db: &RecordedConnection, topic: &topic::Model) -> Result {
    print::chapter(
        "Alice saves many times in one transaction",
        "It is recorded at the commit: one record for each row, with who and why.",
    );
    let alice = db.with_context(Context::actor("alice").reason("morning briefing"));
    let saves = alice
        .transaction_async(async |txn| write_briefing(txn, topic).await)
        .await?;

    let by_alice = article::record::Column::Actor.eq("alice");
    let records = article::Entity::records().filter(by_alice).all(db).await?;
    print::records(&records);
    let changes: HashSet<_> = records.iter().map(|record| record.change_id).collect();
    println!(
        "\n  {saves} saves, {} records, {} change id in all of them",
        records.len(),
        changes.len()
    );
    Ok(())
}

/// Three articles, each saved once for every sentence that it gains.
async fn write_briefing(txn: &RecordedTransaction, topic: &topic::Model) -> Result<usize, DbErr> {
    let mut saves = 0;
    for title in ["Fog at dawn", "Frost in the hills", "Sun by noon"] {
        let mut article = draft(topic, title).insert(txn).await?;
        saves += 1;
        for sentence in 1..=10 {
            let edit = article::ActiveModel {
                text: Set(format!("{} Sentence {sentence}.", article.text)),
                ..article.into()
            };
            article = edit.update(txn).await?;
            saves += 1;
        }
    }
    Ok(saves)
}

async fn one_record_an_hour(
    db: &RecordedConnection,
    topic: &topic::Model,
) -> Result<article::Model> {
    print::chapter(
        "Yesterday, an hour at a time",
        "The database finds the last record of each hour that has any.",
    );
    let flood = cover_flood(db, topic).await?;
    print_history(db, flood.id).await?;

    println!();
    let hourly = flood.records().resample("1h")?.buckets(db).await?;
    let rows = hourly.into_iter().map(|(hour, record)| {
        let at = record.recorded_at.format("%H:%M").to_string();
        [hour.format("%a %H:%M").to_string(), at, record.title]
    });
    print::table(["hour", "last at", "title"], rows.collect());
    Ok(flood)
}

/// An import: a context may set the clock to a time past.
async fn cover_flood(db: &RecordedConnection, topic: &topic::Model) -> Result<article::Model> {
    let at = |hour, minute| db.with_context(Context::new().clock(yesterday(hour, minute)));
    let mut flood = draft(topic, "River rises").insert(&at(9, 5)).await?;
    for (hour, minute, title) in [
        (9, 40, "River at three metres"),
        (9, 55, "River at four metres"),
        (11, 20, "Bridge closed"),
        (13, 10, "River falls"),
        (13, 45, "Bridge open again"),
    ] {
        let edit = article::ActiveModel {
            title: Set(title.to_owned()),
            ..flood.into()
        };
        flood = edit.update(&at(hour, minute)).await?;
    }
    Ok(flood)
}

fn yesterday(hour: i64, minute: i64) -> DateTime<Utc> {
    let day = (Utc::now() - Days::new(1)).date_naive();
    day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(60 * hour + minute)
}

async fn look_back(db: &RecordedConnection) -> Result {
    print::chapter(
        "How much happened?",
        "A window is a filter on a `Select`, so whatever SeaORM has goes with it, as `count`.",
    );
    let records = article::Entity::records;
    let of_days = records().created_in_days(3).count(db).await?;
    let of_today = records().today().count(db).await?;
    let of_minutes = records().created_in_minutes(5).count(db).await?;
    let rows = [
        ("created_in_days(3)", of_days),
        ("today()", of_today),
        ("created_in_minutes(5)", of_minutes),
    ];
    let rows = rows.map(|(window, count)| [window.to_owned(), count.to_string()]);
    print::table(["window", "records"], rows.into());
    Ok(())
}

async fn walk_back(db: &RecordedConnection, flood: &article::Model) -> Result {
    print::chapter(
        "The latest record, the one before, and back to the article",
        "A record knows its neighbours, and the row that it is a record of.",
    );
    let latest = flood.records().latest().one(db).await?;
    let latest = latest.ok_or("an inserted article has a record")?;
    let previous = latest.previous().one(db).await?;
    let previous = previous.ok_or("an edited article has two")?;
    let article = latest.recording(db).await?;
    let article = article.ok_or("it was not deleted")?;

    println!("  latest:     {}", latest.title);
    println!("  previous:   {}", previous.title);
    println!("  recording:  article {}, {}", article.id, article.title);
    Ok(())
}
