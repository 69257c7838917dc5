//! What breaks: processes, connections, servers, disks. What was committed is whole afterwards, and
//! `verify` finds nothing.

use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set, Statement, TransactionTrait,
};
use sea_orm_record::{
    Event, RecordedConnection, RecordedTransaction, insert_many, is_retryable, update_many, verify,
};

use crate::blog::{self, article, note, topic};
use crate::harness::{Engine, TestDb, each_database, run};

pub async fn create_tables(db: &DatabaseConnection) {
    blog::create_tables(db).await;
    blog::create_notes(db).await;
    for name in ["one", "two"] {
        blog::topic(db, name).await;
    }
}

/// Nothing is missing, wrong or left over, and the records of a row follow each other in time and
/// differ.
pub async fn assert_whole(db: &DatabaseConnection) {
    let articles = verify(article::Entity).exec(db).await.unwrap();
    let notes = verify(note::Entity).exec(db).await.unwrap();
    assert!(
        articles.is_clean() && notes.is_clean(),
        "{articles:?} {notes:?}"
    );
    let records = article::record::Entity::find()
        .order_by_asc(article::record::Column::RecordingId)
        .order_by_asc(article::record::Column::RecordedAt)
        .all(db)
        .await
        .unwrap();
    for pair in records.windows(2) {
        let same_row = pair[0].recording_id == pair[1].recording_id;
        assert!(!same_row || pair[0].recorded_at < pair[1].recorded_at);
        let told = |record: &article::record::Model| {
            let gone = record.event == Event::Deleted;
            (record.title.clone(), record.headline.clone(), gone)
        };
        assert!(!same_row || told(&pair[0]) != told(&pair[1]), "{pair:?}");
    }
}

/// Counts up, for names that are never the same.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One unit of work after another, of every kind that is atomic, until `is_over` or an error that
/// does not pass. Tells each note that was committed.
pub async fn load(
    db: &DatabaseConnection,
    kind: usize,
    is_over: &(impl Fn() -> bool + Sync),
    committed: &(impl Fn(i32) + Sync),
) -> Result<(), DbErr> {
    let recorded = RecordedConnection::new(db.clone());
    while !is_over() {
        let name = format!("{kind}.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        match work(db, &recorded, kind, &name).await {
            Ok(Some(note)) => committed(note),
            Ok(None) => {}
            Err(error) if is_retryable(&error) || is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Another writer deleted the row meanwhile.
fn is_gone(error: &DbErr) -> bool {
    matches!(error, DbErr::RecordNotUpdated | DbErr::RecordNotFound(_))
}

async fn work(
    db: &DatabaseConnection,
    recorded: &RecordedConnection,
    kind: usize,
    name: &str,
) -> Result<Option<i32>, DbErr> {
    match kind % 4 {
        // Single saves on a pool.
        0 => {
            some_saves(db, name).await?;
            Ok(Some(note::draft(name).insert(db).await?.id))
        }
        // A transaction that gathers.
        1 => {
            let txn: RecordedTransaction = recorded.begin().await?;
            some_saves(&txn, name).await?;
            let note = note::draft(name).insert(&txn).await?;
            txn.commit().await?;
            Ok(Some(note.id))
        }
        // A plain one.
        2 => {
            let txn: DatabaseTransaction = match db.get_database_backend() {
                DbBackend::MySql => {
                    let level = sea_orm::IsolationLevel::ReadCommitted;
                    db.begin_with_config(Some(level), None).await?
                }
                _ => db.begin().await?,
            };
            let note = note::draft(name).insert(&txn).await?;
            some_saves(&txn, name).await?;
            txn.commit().await?;
            Ok(Some(note.id))
        }
        // Many rows at once.
        _ => {
            insert_many((0..50).map(|_| note::draft(name)), recorded).await?;
            let rename = update_many(topic::Entity)
                .col_expr(topic::Column::Name, name.into())
                .exec(recorded);
            rename.await.map(|_| None)
        }
    }
}

/// A new article, an old one edited and moved, another deleted, and a topic renamed.
async fn some_saves(db: &impl ConnectionTrait, name: &str) -> Result<(), DbErr> {
    let topics = topic::Entity::find().order_by_asc(topic::Column::Id);
    let topics = topics.all(db).await?;
    article::draft(topics[0].id, name).insert(db).await?;
    let old = article::Entity::find().order_by_asc(article::Column::Id);
    let old = old.limit(2).all(db).await?;
    if let [first, second] = &old[..] {
        let title = Set(name.to_owned());
        let topic_id = Set(topics[name.len() % 2].id);
        let edited = article::ActiveModel {
            title,
            topic_id,
            ..second.clone().into_active_model()
        };
        edited.update(db).await?;
        first.clone().delete(db).await?;
    }
    let name = Set(name.to_owned());
    let renamed = topic::ActiveModel {
        name,
        ..topics[1].clone().into_active_model()
    };
    renamed.update(db).await.map(drop)
}

/// A copy of this program that does nothing but put load on the database, until it is killed.
fn spawn_load(test: &TestDb) -> Child {
    load_of_another_process(test).spawn().unwrap()
}

/// The same, with a clock that is wrong by so much.
fn spawn_load_by_another_clock(test: &TestDb, offset: &str) -> Child {
    let library = env::var("RECORD_FAKETIME").expect("run scripts/fault-test clocks");
    load_of_another_process(test)
        .env("LD_PRELOAD", library)
        .env("FAKETIME", offset)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .spawn()
        .unwrap()
}

fn load_of_another_process(test: &TestDb) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["faults::the_load_of_a_process_that_is_killed", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(LOAD_ON, test.url())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

const LOAD_ON: &str = "RECORD_TEST_LOAD_ON";

pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(8).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
    });
    Database::connect(options).await.unwrap()
}

pub async fn count_records(db: &DatabaseConnection) -> u64 {
    article::record::Entity::find().count(db).await.unwrap()
        + note::record::Entity::find().count(db).await.unwrap()
}

/// Waits until there are so many records.
pub async fn until_recorded(db: &DatabaseConnection, records: u64) {
    let began = Instant::now();
    while count_records(db).await < records {
        assert!(began.elapsed() < Duration::from_secs(60), "no load came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs in the process that is killed; by itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, in a process of its own"]
async fn the_load_of_a_process_that_is_killed() {
    let Ok(url) = env::var(LOAD_ON) else { return };
    let db = connect(&url).await;
    let writers = (0..4).map(|kind| load(&db, kind, &|| false, &|_| ()));
    for ended in join_all(writers).await {
        ended.unwrap();
    }
}

each_database! {
    async fn a_process_that_is_killed_leaves_what_is_whole(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for round in 0..5 {
            let before = count_records(db).await;
            let mut process = spawn_load(&test);
            until_recorded(db, before + 200).await;
            // Not always at the same place.
            tokio::time::sleep(Duration::from_millis(37 * round)).await;
            process.kill().unwrap();
            process.wait().unwrap();
            assert_whole(db).await;
        }
        blog::note(db, "and on it goes").await;
        assert_whole(db).await;
    }

    async fn a_connection_that_is_cut_leaves_nothing_of_its_transaction(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            // There is none to cut.
            return;
        }
        let db = &test.connect().await;
        create_tables(db).await;
        let topic = topic::Entity::find().one(db).await.unwrap().unwrap();
        let kept = blog::article(db, &topic, "kept").await;
        let before = count_records(db).await;
        let edit = || article::ActiveModel { title: Set("changed".to_owned()), ..kept.clone().into_active_model() };
        // Between saves and the commit, between saves, and before the first.
        for cut_after in 0..3 {
            let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
            let result = async {
                for step in 0..3 {
                    if step == cut_after {
                        cut(&txn, db).await;
                    }
                    match step {
                        0 => drop(edit().update(&txn).await?),
                        1 => drop(note::draft("new").insert(&txn).await?),
                        _ => txn.flush().await?,
                    }
                }
                Ok::<_, DbErr>(())
            }.await;
            let error = result.unwrap_err();
            assert!(!is_retryable(&error), "{error}");
            txn.commit().await.unwrap_err();
            assert_eq!(count_records(db).await, before);
            // And in a plain one, where each save records by itself.
            let txn = db.begin().await.unwrap();
            edit().update(&txn).await.unwrap();
            cut(&txn, db).await;
            note::draft("new").insert(&txn).await.unwrap_err();
            // SeaORM forgets a transaction in which a savepoint failed: it does not always say so.
            txn.commit().await.ok();
            assert_eq!(count_records(db).await, before);
            assert_whole(db).await;
        }
        edit().update(db).await.unwrap();
        assert_whole(db).await;
    }
}

/// Cuts the connection of a transaction, as an administrator does.
async fn cut(txn: &impl ConnectionTrait, by: &DatabaseConnection) {
    let backend = by.get_database_backend();
    let id = match backend {
        DbBackend::Postgres => "SELECT pg_backend_pid()::bigint AS id",
        _ => "SELECT CAST(CONNECTION_ID() AS SIGNED) AS id",
    };
    let row = txn.query_one_raw(Statement::from_string(backend, id)).await;
    let id: i64 = row.unwrap().unwrap().try_get("", "id").unwrap();
    let kill = match backend {
        DbBackend::Postgres => format!("SELECT pg_terminate_backend({id}::int)"),
        _ => format!("KILL CONNECTION {id}"),
    };
    by.execute_unprepared(&kill).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// `PRAGMA max_page_count` is what SQLite has for a full disk: writes fail with `SQLITE_FULL`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_leaves_what_is_whole() {
    run(Engine::Sqlite, "a_full_disk", async |test: TestDb| {
        let one = |options: &mut ConnectOptions| {
            options.max_connections(1);
        };
        let db = &test.connect_with(one).await;
        create_tables(db).await;
        let recorded = &RecordedConnection::new(db.clone());
        for kind in [0, 1, 2, 3, 0, 1, 2, 3] {
            let pages = "SELECT page_count AS n FROM pragma_page_count";
            let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, pages));
            let pages: i64 = row.await.unwrap().unwrap().try_get("", "n").unwrap();
            let limit = async |pages: i64| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                db.execute_unprepared(&sql).await.unwrap();
            };
            limit(pages + 3).await;
            let mut failed = None;
            for step in 0..10_000 {
                let name = format!("{kind}.{step} {}", "long ".repeat(100));
                if let Err(error) = work(db, recorded, kind, &name).await {
                    failed = Some(error);
                    break;
                }
            }
            let failed = failed.expect("it is never full").to_string();
            assert!(failed.contains("full"), "{failed}");
            assert_whole(db).await;
            // There is room again.
            limit(1_000_000).await;
            work(db, recorded, kind, &format!("{kind} again"))
                .await
                .unwrap();
            assert_whole(db).await;
        }
    })
    .await;
}

/// Run by `scripts/fault-test`, which kills the server meanwhile and starts it again.
///
/// What a client was told is committed is there, with its record; nothing else is half there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by scripts/fault-test, which brings a server to be killed"]
async fn a_server_that_is_killed_keeps_what_was_committed() {
    let (Ok(url), Ok(signals)) = (
        env::var("RECORD_FAULT_URL"),
        env::var("RECORD_FAULT_SIGNALS"),
    ) else {
        panic!("run scripts/fault-test");
    };
    let signals = std::path::Path::new(&signals);
    let db = &connect(&url).await;
    create_tables(db).await;
    for round in 0..3 {
        let acknowledged = std::sync::Mutex::new(Vec::new());
        let note_down = |id: i32| acknowledged.lock().unwrap().push(id);
        let restarted = signals.join(format!("restarted{round}"));
        let signal = async {
            let before = count_records(db).await;
            until_recorded(db, before + 300).await;
            std::fs::write(signals.join(format!("loaded{round}")), "").unwrap();
        };
        // Ends with the server; who was waiting for a connection gets one of the next.
        let is_back = || restarted.exists();
        let writers = (0..4).map(|kind| load(db, kind, &is_back, &note_down));
        let (ended, ()) = tokio::join!(join_all(writers), signal);
        let ended = ended.into_iter().filter(|ended| ended.is_err()).count();
        assert!(ended > 0, "the server was not killed");
        let began = Instant::now();
        while !restarted.exists() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it was not started again"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let db = &connect(&url).await;
        assert_whole(db).await;
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(!acknowledged.is_empty());
        for id in &acknowledged {
            let note = note::Entity::find_by_id(*id).one(db).await.unwrap();
            assert!(note.is_some(), "note {id} was committed, and is gone");
        }
        println!("round {round}: {} acknowledged", acknowledged.len());
    }
}

/// Run by `scripts/fault-test clocks`, which brings the library that sets a process's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by scripts/fault-test, which brings the clocks"]
async fn writers_whose_clocks_are_wrong_keep_histories_in_order() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        run(engine, "wrong_clocks", async |test: TestDb| {
            let db = &test.connect().await;
            create_tables(db).await;
            // Two at once, an hour apart.
            let (mut right, mut ahead) =
                (spawn_load(&test), spawn_load_by_another_clock(&test, "+1h"));
            until_recorded(db, 1_000).await;
            for process in [&mut right, &mut ahead] {
                process.kill().unwrap();
                process.wait().unwrap();
            }
            assert_whole(db).await;
            let latest = latest_record(db).await;
            assert!(
                latest > Utc::now() + TimeDelta::minutes(50),
                "no clock was ahead: {latest}"
            );
            // The clock steps back: by an hour, and by one more.
            for (process, most) in [
                (spawn_load(&test), 2_000),
                (spawn_load_by_another_clock(&test, "-1h"), 3_000),
            ] {
                let mut process = process;
                until_recorded(db, most).await;
                process.kill().unwrap();
                process.wait().unwrap();
                assert_whole(db).await;
            }
            let behind = note::record::Entity::find()
                .filter(note::record::Column::RecordedAt.lt(Utc::now() - TimeDelta::minutes(50)))
                .count(db)
                .await
                .unwrap();
            assert!(behind > 0, "no clock was behind");
            println!("{engine:?}: {} records", count_records(db).await);
        })
        .await;
    }
}

async fn latest_record(db: &DatabaseConnection) -> DateTime<Utc> {
    let latest = article::record::Entity::find().order_by_desc(article::record::Column::RecordedAt);
    latest.one(db).await.unwrap().unwrap().recorded_at
}
