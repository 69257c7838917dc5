//! Promise 2, convergent, in short: writers at once, on databases that have them.
//!
//! Whoever is told to try again does, as a program would.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QueryOrder, QuerySelect, Set,
    Statement, TransactionError, TransactionTrait,
};
use sea_orm_record::{
    Event, RecordError, RecordedConnection, RecordedModel, RecordedTransaction, is_retryable,
    verify,
};
use tokio::sync::Barrier;

use crate::blog::{self, article, note, topic};
use crate::harness::{Engine, each_database, let_through, once_held_up};
use crate::magazine::{self, Magazine, remark, section, story, story_tag, tag};

/// So that who inserts them has more to undo than who did not.
const TWO_HUNDRED_TAGS: &str = "INSERT INTO tag (name) \
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT i FROM n";

/// Runs a unit of work until the database lets it through.
async fn retried<F>(db: &RecordedConnection, work: F)
where
    F: AsyncFn(&RecordedTransaction) -> Result<(), DbErr>,
{
    for _ in 0..100 {
        let txn = match db.begin().await {
            Ok(txn) => txn,
            Err(error) if is_retryable(&error) => continue,
            Err(error) => panic!("{error}"),
        };
        let outcome = match work(&txn).await {
            Ok(()) => txn.commit().await,
            Err(error) => txn.rollback().await.and(Err(error)),
        };
        match outcome {
            Ok(()) => return,
            Err(error) if is_retryable(&error) => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it was never let through");
}

async fn events(note: &note::Model, db: &DatabaseConnection) -> Vec<Event> {
    let records = note
        .records()
        .order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    records.iter().map(|record| record.event).collect()
}

/// Holds every record of a note back between what its statement read and what it writes. On SQLite,
/// which has one writer at a time, it stands open.
struct Gate {
    db: DatabaseConnection,
    /// Holds the lock that records wait for.
    holder: DatabaseTransaction,
}

impl Gate {
    async fn close(db: &DatabaseConnection) -> Self {
        let (make, hold) = match db.get_database_backend() {
            DbBackend::Postgres => (
                vec![
                    "CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$",
                    "CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON note_record \
                     FOR EACH ROW EXECUTE FUNCTION gate()",
                ],
                "SELECT pg_advisory_lock(1)",
            ),
            DbBackend::MySql => (
                vec![
                    "DROP TRIGGER IF EXISTS gate",
                    "CREATE TRIGGER gate BEFORE INSERT ON note_record FOR EACH ROW BEGIN \
                     DO GET_LOCK(LEFT(SHA2(DATABASE(), 256), 60), 60); \
                     DO RELEASE_LOCK(LEFT(SHA2(DATABASE(), 256), 60)); END",
                ],
                "DO GET_LOCK(LEFT(SHA2(DATABASE(), 256), 60), 60)",
            ),
            _ => (vec![], "SELECT 1"),
        };
        for sql in make {
            db.execute_unprepared(sql).await.unwrap();
        }
        let holder = db.begin().await.unwrap();
        holder.execute_unprepared(hold).await.unwrap();
        let db = db.clone();
        Self { db, holder }
    }

    /// Waits until so many records are held back.
    async fn wait_for(&self, count: i64) {
        let waiting = match self.db.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT count(*) AS n FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                 WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            }
            DbBackend::MySql => {
                "SELECT count(*) AS n \
                 FROM /*M! information_schema *//*!80000 performance_schema */.processlist \
                 WHERE db = DATABASE() AND state = 'User lock'"
            }
            _ => return,
        };
        for _ in 0..1_000 {
            let statement = Statement::from_string(self.db.get_database_backend(), waiting);
            let row = self.db.query_one_raw(statement).await.unwrap().unwrap();
            if row.try_get::<i64>("", "n").unwrap() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not all came to the gate");
    }

    async fn open(&self) {
        let release = match self.db.get_database_backend() {
            DbBackend::Postgres => "SELECT pg_advisory_unlock(1)",
            DbBackend::MySql => "DO RELEASE_LOCK(LEFT(SHA2(DATABASE(), 256), 60))",
            _ => return,
        };
        self.holder.execute_unprepared(release).await.unwrap();
    }
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Fails unless each article's latest record is what it is, and no record repeats the one before.
async fn assert_articles_are_current(db: &impl ConnectionTrait) {
    let rows = article::Entity::find()
        .find_also_related(topic::Entity)
        .all(db)
        .await
        .unwrap();
    let records = article::record::Entity::find()
        .order_by_asc(article::record::Column::RecordedAt)
        .all(db)
        .await
        .unwrap();
    for (article, topic) in rows {
        let own: Vec<_> = records
            .iter()
            .filter(|record| record.recording_id == article.id)
            .collect();
        let latest = own
            .last()
            .unwrap_or_else(|| panic!("no record of {article:?}"));
        assert_eq!(
            latest.headline,
            format!("{}: {}", topic.unwrap().name, article.title)
        );
        assert_ne!(latest.event, Event::Deleted);
        for pair in own.windows(2) {
            assert_ne!(pair[0].headline, pair[1].headline, "{own:?}");
        }
    }
}

each_database! {
    /// PostgreSQL gives up the locks of a savepoint that is rolled back: the row that was noted in it
    /// is another's to write, and to record, until this transaction looks at it again.
    async fn a_row_whose_savepoint_was_rolled_back_is_locked_before_it_is_recorded(test: TestDb) {
        if test.engine() != Engine::Postgres {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "before").await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let savepoint = txn.begin().await.unwrap();
        let undone = note::ActiveModel { text: Set("undone".to_owned()), ..note.clone().into_active_model() };
        undone.update(&savepoint).await.unwrap();
        savepoint.rollback().await.unwrap();
        // As a trait's save on a pool: the row is committed, and then recorded.
        db.execute_unprepared("UPDATE note SET text = 'after'").await.unwrap();
        txn.flush().await.unwrap();
        let recording = async {
            let note = note::Entity::find().one(&db).await.unwrap().unwrap();
            note.record_now(&db).await
        };
        let (recorded, committed) = once_held_up(&db, recording, txn.commit()).await;
        recorded.unwrap();
        committed.unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
        let texts: Vec<_> = records.all(&db).await.unwrap().into_iter().map(|record| record.text).collect();
        assert_eq!(texts, ["before", "after"]);
    }

    /// The same for a row that was made in the savepoint, and by another since: it looks like one that
    /// nobody else can see.
    async fn a_row_that_was_made_in_a_savepoint_and_by_another_since_is_recorded_once(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let savepoint = txn.begin().await.unwrap();
        let row = note::ActiveModel { id: Set(1), ..note::draft("made") };
        row.clone().insert(&savepoint).await.unwrap();
        savepoint.rollback().await.unwrap();
        // As a trait's save on a pool: the row is committed, and then recorded.
        note::Entity::insert(row).exec_without_returning(&db).await.unwrap();
        txn.flush().await.unwrap();
        let recording = async {
            let note = note::Entity::find().one(&db).await.unwrap().unwrap();
            note.record_now(&db).await
        };
        let (recorded, committed) = once_held_up(&db, recording, txn.commit()).await;
        recorded.unwrap();
        committed.unwrap();
        let note = note::Entity::find().one(&db).await.unwrap().unwrap();
        assert_eq!(events(&note, &db).await, [Event::Created]);
    }

    /// Nothing is written by either, so nothing but a lock holds the row.
    async fn a_row_that_is_only_looked_at_in_a_transaction_is_locked_before_it_is_recorded(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for way in 0..2 {
            let note = blog::note(&db, "recorded").await;
            let raw = format!("UPDATE note SET text = 'raw' WHERE id = {}", note.id);
            db.execute_unprepared(&raw).await.unwrap();
            let edit = recorded.begin().await.unwrap();
            let edited = note::ActiveModel { text: Set("edited".to_owned()), ..note.clone().into_active_model() };
            edited.update(&edit).await.unwrap();
            edit.flush().await.unwrap();
            let late = async {
                let txn = recorded.begin().await?;
                match way {
                    0 => note.record_now(&txn).await?,
                    _ => drop(note.clone().into_active_model().update(&txn).await?),
                }
                txn.commit().await
            };
            let (late, edited) = once_held_up(&db, late, edit.commit()).await;
            late.unwrap();
            edited.unwrap();
            let texts: Vec<_> = note.records().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap().into_iter().map(|record| record.text).collect();
            assert_eq!(texts, ["recorded", "edited"], "way {way}");
        }
    }

    /// MySQL has then undone the whole transaction, and would take records one by one, without a lock.
    async fn a_save_that_lost_to_a_deadlock_records_nothing_behind_its_transaction(test: TestDb) {
        if test.engine() != Engine::MariaDb {
            return;
        }
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let (remark, editor, desk) = (m.remarks[0].clone(), m.editors[0].id, m.desks[0].id);
        // To be recorded by whoever looks at the story.
        db.execute_unprepared("UPDATE story SET title = 'raw'").await.unwrap();
        // It makes the deletion itself wait, when it is known who is to be looked at.
        let trigger = format!("CREATE TRIGGER t AFTER DELETE ON remark FOR EACH ROW UPDATE desk SET name = name WHERE id = {desk}");
        db.execute_unprepared(&trigger).await.unwrap();
        let records = async || story::record::Entity::find().count(&db).await.unwrap();
        let before = records().await;
        let lock = |table: &str, id: i32| format!("SELECT id FROM {table} WHERE id = {id} FOR UPDATE");

        let loser = db.begin().await.unwrap();
        loser.execute_unprepared(&lock("editor", editor)).await.unwrap();
        let winner = db.begin().await.unwrap();
        // It has more to undo.
        winner.execute_unprepared(TWO_HUNDRED_TAGS).await.unwrap();
        winner.execute_unprepared(&lock("desk", desk)).await.unwrap();
        let rival = lock("editor", editor);
        let late = async {
            let lost = remark.delete(&loser).await;
            let _ = loser.rollback().await;
            lost
        };
        let (lost, won) = once_held_up(&db, late, winner.execute_unprepared(&rival)).await;
        won.unwrap();
        assert!(is_retryable(&lost.unwrap_err()));
        winner.commit().await.unwrap();
        assert_eq!(records().await, before);
    }

    /// What it wrote before is undone, and what it writes after stands by itself on MySQL.
    async fn a_recorded_transaction_that_a_deadlock_has_ended_is_not_committed(test: TestDb) {
        if test.engine() != Engine::MariaDb {
            return;
        }
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let (editor, desk) = (m.editors[0].clone(), m.desks[0].id);
        let recorded = RecordedConnection::new(db.clone());
        let renamed = |id: i32| format!("UPDATE editor SET name = 'other' WHERE id = {id}");
        let touched = format!("UPDATE desk SET name = name WHERE id = {desk}");

        for way in ["library", "trait", "statement"] {
            let loser = recorded.begin().await.unwrap();
            loser.execute_unprepared(&touched).await.unwrap();
            let winner = db.begin().await.unwrap();
            // It has more to undo.
            winner.execute_unprepared(TWO_HUNDRED_TAGS).await.unwrap();
            winner.execute_unprepared(&renamed(editor.id)).await.unwrap();
            let late = async {
                let mut editor = editor.clone().into_active_model();
                editor.name = Set("lost".to_owned());
                let lost = match way {
                    "library" => editor.update(&loser).await.map(drop),
                    // Its hook reads the row before, under a lock.
                    "trait" => ActiveModelTrait::delete(editor, &loser).await.map(drop),
                    _ => loser.execute_unprepared(&renamed(m.editors[0].id)).await.map(drop),
                };
                (lost, loser.commit().await)
            };
            let ((lost, committed), won) = once_held_up(&db, late, winner.execute_unprepared(&touched)).await;
            won.unwrap();
            assert!(is_retryable(&lost.unwrap_err()));
            let refused = committed.unwrap_err();
            assert!(matches!(RecordError::of(&refused), Some(RecordError::Interrupted { .. })), "{refused}");
            winner.rollback().await.unwrap();
        }
    }

    /// No error is allowed: the locks that the library takes are no reason to try again.
    async fn single_saves_that_hang_on_one_row_do_not_deadlock(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let story_id = m.stories[0].id;
        let mut tags = Vec::new();
        for n in 0..6 {
            let tag = tag::ActiveModel { name: Set(format!("t{n}")), ..Default::default() };
            tags.push(tag.insert(&db).await.unwrap());
        }
        for round in 0..5 {
            let remarks = (0..6).map(|n| {
                let text = Set(format!("{round}.{n}"));
                let remark = remark::ActiveModel { story_id: Set(story_id), text, ..Default::default() };
                let db = db.clone();
                tokio::spawn(async move { remark.insert(&db).await.map(drop) })
            });
            for saved in join_all(remarks).await {
                saved.unwrap().unwrap();
            }
            let links = tags.iter().map(|tag| {
                let link = story_tag::ActiveModel { story_id: Set(story_id), tag_id: Set(tag.id) };
                let (db, renamed) = (db.clone(), tag::ActiveModel { name: Set(format!("{}!", tag.name)), ..tag.clone().into_active_model() });
                tokio::spawn(async move {
                    let link = let_through(|| link.clone().insert(&db)).await;
                    let_through(|| renamed.clone().update(&db)).await;
                    // In a cluster it locks the story, which it referenced.
                    let_through(|| link.clone().delete(&db)).await;
                })
            });
            for saved in join_all(links).await {
                saved.unwrap();
            }
        }
        magazine::assert_current(&db).await;
    }

    /// Each is a dependent of the other.
    async fn single_saves_of_what_watches_each_other_do_not_deadlock(test: TestDb) {
        use crate::watching_more::{book, shelf};
        let db = test.connect().await;
        blog::create_table(&db, shelf::Entity).await;
        blog::create_table(&db, shelf::record::Entity).await;
        blog::create_table(&db, book::Entity).await;
        blog::create_table(&db, book::record::Entity).await;
        shelf::ActiveModel { room: Set(1), number: Set(1), label: Set("s".to_owned()) }.insert(&db).await.unwrap();
        for round in 0..5 {
            let books = (0..6).map(|n| {
                let title = Set(format!("{round}.{n}"));
                let book = book::ActiveModel { title, room: Set(Some(1)), number: Set(Some(1)), ..Default::default() };
                let db = db.clone();
                tokio::spawn(async move { book.insert(&db).await.map(drop) })
            });
            for saved in join_all(books).await {
                saved.unwrap().unwrap();
            }
        }
        assert!(sea_orm_record::verify(shelf::Entity).exec(&db).await.unwrap().is_clean());
        assert!(sea_orm_record::verify(book::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_rename_beside_an_insert(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "0").await;
        let recorded = RecordedConnection::new(db.clone());
        for round in 1..=15 {
            let name = round.to_string();
            let rename = retried(&recorded, async |txn| {
                topic::ActiveModel { name: Set(name.clone()), ..topic.clone().into_active_model() }.update(txn).await.map(drop)
            });
            let insert = retried(&recorded, async |txn| article::draft(topic.id, "a").insert(txn).await.map(drop));
            tokio::join!(rename, insert);
            // And in single saves, which begin their own transactions.
            let rename = async {
                let am = topic::ActiveModel { name: Set(format!("{name}!")), ..topic.clone().into_active_model() };
                if let Err(error) = am.update(&db).await { assert!(is_retryable(&error), "{error:?}"); }
            };
            let insert = async {
                if let Err(error) = article::draft(topic.id, "b").insert(&db).await { assert!(is_retryable(&error), "{error:?}"); }
            };
            tokio::join!(rename, insert);
        }
        assert_articles_are_current(&db).await;
    }

    async fn two_updates_of_one_row(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "0").await;
        let recorded = RecordedConnection::new(db.clone());
        let writer = |name: &'static str| {
            let (note, recorded) = (note.clone(), recorded.clone());
            async move {
                for round in 0..30 {
                    retried(&recorded, async |txn| {
                        note::ActiveModel { text: Set(format!("{name}{}", round % 3)), ..note.clone().into_active_model() }.update(txn).await.map(drop)
                    }).await;
                }
            }
        };
        join_all(["a", "b", "c"].map(writer)).await;
        let note = note::Entity::find().one(&db).await.unwrap().unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
        assert_eq!(records.last().unwrap().text, note.text);
        for pair in records.windows(2) { assert_ne!(pair[0].text, pair[1].text); }
    }

    /// Two commits each, and yet no record twice.
    async fn two_updates_of_one_row_through_the_trait_on_a_pool(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let note = blog::note(&db, "0").await;
        let article = blog::article(&db, &blog::topic(&db, "t").await, "0").await;
        let writer = |name: &'static str| {
            let (note, article, db) = (note.clone(), article.clone(), db.clone());
            async move {
                for round in 0..30 {
                    let text = format!("{name}{}", round % 3);
                    let am = note::ActiveModel { text: Set(text.clone()), ..note.clone().into_active_model() };
                    if let Err(error) = ActiveModelTrait::update(am, &db).await { assert!(is_retryable(&error), "{error:?}"); }
                    let am = article::ActiveModel { title: Set(text), ..article.clone().into_active_model() };
                    if let Err(error) = ActiveModelTrait::update(am, &db).await { assert!(is_retryable(&error), "{error:?}"); }
                }
            }
        };
        join_all(["a", "b", "c"].map(writer)).await;
        let note = note::Entity::find().one(&db).await.unwrap().unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
        assert_eq!(records.last().unwrap().text, note.text);
        for pair in records.windows(2) { assert_ne!(pair[0].text, pair[1].text); }
        assert_articles_are_current(&db).await;
    }

    /// Once the row is gone nothing is left to lock: both find that nobody said so.
    async fn two_deletions_of_one_row_through_the_trait_on_a_pool(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        for _ in 0..3 {
            let note = blog::note(&db, "0").await;
            let gate = Gate::close(&db).await;
            let deletion = || ModelTrait::delete(note.clone(), &db);
            let opener = async {
                gate.wait_for(2).await;
                gate.open().await;
            };
            let (a, b, ()) = tokio::join!(deletion(), deletion(), opener);
            a.unwrap();
            b.unwrap();
            assert_eq!(events(&note, &db).await, [Event::Created, Event::Deleted]);
        }
    }

    /// Who deletes nothing records nothing.
    async fn a_deletion_beside_one_through_the_trait_on_a_pool(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for way in 0..3 {
            let note = blog::note(&db, "0").await;
            let gate = Gate::close(&db).await;
            let attempt = async || match way {
                0 => note.clone().delete(&db).await.map(drop),
                1 => {
                    let txn = recorded.begin().await?;
                    note.clone().delete(&txn).await?;
                    txn.commit().await
                }
                _ => {
                    let txn = db.begin().await?;
                    ModelTrait::delete(note.clone(), &txn).await?;
                    txn.commit().await
                }
            };
            let late = async {
                loop {
                    match attempt().await {
                        // On SQLite somebody may write between a transaction's read and its write.
                        Err(error) if way == 2 && test.engine() == Engine::Sqlite && is_retryable(&error) => {}
                        done => return done,
                    }
                }
            };
            let beside = async {
                gate.wait_for(1).await;
                // MariaDB has it wait for a lock.
                once_held_up(&db, late, gate.open()).await.0
            };
            let (first, late) = tokio::join!(ModelTrait::delete(note.clone(), &db), beside);
            first.unwrap();
            late.unwrap();
            assert_eq!(events(&note, &db).await, [Event::Created, Event::Deleted], "{way}");
        }
    }

    /// There is no lock to be had on a row that is gone.
    async fn several_who_find_a_row_gone_say_so_once(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        for round in 0..10 {
            let note = blog::note(&db, "0").await;
            note::Entity::delete_by_id(note.id).exec(&db).await.unwrap();
            let looks = (0..4).map(|_| {
                let (db, note) = (db.clone(), note.clone());
                tokio::spawn(async move {
                    match round % 2 {
                        0 => verify(note::Entity).repair().exec(&db).await.map(drop),
                        _ => note.record_now(&db).await,
                    }
                })
            });
            for look in join_all(looks.collect::<Vec<_>>()).await {
                look.unwrap().unwrap();
            }
            assert_eq!(events(&note, &db).await, [Event::Created, Event::Deleted], "{round}");
        }
    }

    async fn a_rename_beside_an_edit(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topics = [blog::topic(&db, "0").await, blog::topic(&db, "1").await];
        let article = blog::article(&db, &topics[0], "0").await;
        let recorded = RecordedConnection::new(db.clone());
        for round in 1..=15_usize {
            let barrier = Arc::new(Barrier::new(2));
            let rename = retried(&recorded, async |txn| {
                topic::ActiveModel { name: Set(format!("t{round}")), ..topics[round % 2].clone().into_active_model() }.update(txn).await.map(drop)
            });
            // An edit, and every other time a move as well.
            let edit = retried(&recorded, async |txn| {
                let topic = topics[round / 2 % 2].id;
                article::ActiveModel { title: Set(round.to_string()), topic_id: Set(topic), ..article.clone().into_active_model() }.update(txn).await.map(drop)
            });
            tokio::join!(
                async { barrier.wait().await; rename.await },
                async { barrier.wait().await; edit.await },
            );
            assert_articles_are_current(&db).await;
        }
    }

    /// MariaDB ends the whole transaction, so that there is no savepoint to go back to.
    async fn a_deadlock_within_a_savepoint_can_be_tried_again(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let (one, two) = (blog::note(&db, "1").await, blog::note(&db, "2").await);
        let recorded = RecordedConnection::new(db.clone());
        let edit = |note: &note::Model| note::ActiveModel { text: Set("edited".to_owned()), ..note.clone().into_active_model() };
        let both_hold_one = Barrier::new(2);
        let crossing = async |first: &note::Model, second: &note::Model| {
            let txn = recorded.begin().await.unwrap();
            edit(first).update(&txn).await.unwrap();
            both_hold_one.wait().await;
            let second = edit(second);
            let inner = txn.transaction(|inner| Box::pin(async move { second.update(inner).await.map(drop) })).await;
            match inner {
                Ok(()) => txn.commit().await,
                Err(TransactionError::Connection(error) | TransactionError::Transaction(error)) => {
                    // It may have ended already.
                    let _ = txn.rollback().await;
                    Err(error)
                }
            }
        };
        let (a, b) = tokio::join!(crossing(&one, &two), crossing(&two, &one));
        let failed: Vec<_> = [a, b].into_iter().filter_map(Result::err).collect();
        assert!(failed.iter().all(is_retryable), "{failed:?}");
        assert_eq!(failed.len(), 1, "one of them came through");
    }

    /// It sends no statement of its own, and reads what it records.
    async fn a_save_of_nothing_beside_an_edit(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "0").await;
        let stop = std::sync::atomic::AtomicBool::new(false);
        let idle = async || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                if let Err(error) = note.clone().into_active_model().update(&db).await { assert!(is_retryable(&error), "{error:?}"); }
            }
        };
        let edits = async {
            for round in 0..100 {
                let text = Set(round.to_string());
                note::ActiveModel { text, ..note.clone().into_active_model() }.update(&db).await.unwrap();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        tokio::join!(edits, idle(), idle());
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
        let texts: Vec<_> = records.iter().map(|record| record.text.clone()).collect();
        assert_eq!(texts, (0..100).map(|round| round.to_string()).collect::<Vec<_>>());
    }

    async fn four_writers_of_everything(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        for at in 0..6 {
            magazine::story(&db, &format!("story {at}"), magazine.sections[at % 2].id, None).await;
        }
        let recorded = RecordedConnection::new(db.clone());
        let writers = [1, 2, 3, 4].map(|seed| {
            let (magazine, recorded) = (magazine.clone(), recorded.clone());
            async move {
                let mut dice = Dice(seed);
                for step in 0..50 {
                    let rolls = [0; 4].map(|_: u64| dice.roll(12));
                    let name = format!("{seed}.{step}");
                    retried(&recorded, async |txn| one_step(&magazine, rolls, &name, txn).await).await;
                }
            }
        });
        join_all(writers).await;
        magazine::assert_current(&db).await;
    }
}

async fn one_step(
    m: &Magazine,
    [what, a, b, c]: [u64; 4],
    name: &str,
    db: &RecordedTransaction,
) -> Result<(), DbErr> {
    let stories = story::Entity::find()
        .order_by_asc(story::Column::Id)
        .limit(20)
        .all(db)
        .await?;
    let Some(story) = stories.get(a as usize % stories.len().max(1)) else {
        return Ok(());
    };
    let at = b as usize % 2;
    let other = c as usize % 2;
    let name = Set(name.to_owned());
    match what {
        0 => {
            let am = section::ActiveModel {
                name,
                ..m.sections[at].clone().into_active_model()
            };
            am.update(db).await?;
        }
        1 => {
            let desk_id = Set(Some(m.desks[other].id));
            let am = section::ActiveModel {
                desk_id,
                ..m.sections[at].clone().into_active_model()
            };
            am.update(db).await?;
        }
        2 => {
            let am = magazine::editor::ActiveModel {
                name,
                ..m.editors[at].clone().into_active_model()
            };
            am.update(db).await?;
        }
        3 => {
            let am = story::ActiveModel {
                title: name,
                ..story.clone().into_active_model()
            };
            ignore_gone(am.update(db).await)?;
        }
        4 => {
            let section_id = Set(m.sections[at].id);
            let editor_id = Set(Some(m.editors[other].id).filter(|_| c > 3));
            let am = story::ActiveModel {
                section_id,
                editor_id,
                ..story.clone().into_active_model()
            };
            ignore_gone(am.update(db).await)?;
        }
        5 => {
            let (section_id, title) = (Set(m.sections[at].id), name);
            story::ActiveModel {
                section_id,
                title,
                ..Default::default()
            }
            .insert(db)
            .await?;
        }
        6 if stories.len() > 4 => {
            story.clone().delete(db).await?;
        }
        7 | 8 => {
            let Some(story) = locked(story.id, db).await? else {
                return Ok(());
            };
            let am = remark::ActiveModel {
                text: name,
                story_id: Set(story.id),
                ..Default::default()
            };
            am.insert(db).await?;
        }
        9 => {
            // From one to another, or gone.
            let Some(story) = locked(story.id, db).await? else {
                return Ok(());
            };
            let remarks = remark::Entity::find()
                .order_by_asc(remark::Column::Id)
                .all(db)
                .await?;
            let Some(remark) = remarks.get(b as usize) else {
                return Ok(());
            };
            match c % 2 {
                0 => {
                    remark.clone().delete(db).await?;
                }
                _ => {
                    let am = remark::ActiveModel {
                        story_id: Set(story.id),
                        ..remark.clone().into_active_model()
                    };
                    ignore_gone(am.update(db).await)?;
                }
            }
        }
        10 => {
            let am = tag::ActiveModel {
                name,
                ..m.tags[at].clone().into_active_model()
            };
            am.update(db).await?;
        }
        _ => {
            let Some(story) = locked(story.id, db).await? else {
                return Ok(());
            };
            let key = (story.id, m.tags[at].id);
            match story_tag::Entity::find_by_id(key).one(db).await? {
                Some(link) => {
                    link.delete(db).await?;
                }
                None => {
                    let am = story_tag::ActiveModel {
                        story_id: Set(key.0),
                        tag_id: Set(key.1),
                    };
                    am.insert(db).await?;
                }
            }
        }
    }
    Ok(())
}

/// The row, which stays until the end of the transaction.
async fn locked(id: i32, db: &RecordedTransaction) -> Result<Option<story::Model>, DbErr> {
    story::Entity::find_by_id(id).lock_exclusive().one(db).await
}

/// Another writer may have deleted the row meanwhile.
fn ignore_gone<T>(updated: Result<T, DbErr>) -> Result<(), DbErr> {
    match updated {
        Ok(_) | Err(DbErr::RecordNotUpdated | DbErr::RecordNotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
