//! Promise 1, atomic, where a save is given up half-way, as by `select!` or a timeout.
//!
//! Each save is polled once and dropped, then twice and so on until it comes to its end: so it is
//! dropped wherever it had to wait. What is saved is in `saves`.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, PaginatorTrait, Statement,
    TransactionTrait,
};
use sea_orm_record::{RecordError, RecordedConnection, Verification, verify};

use self::saves::{Rows, Save};
use crate::blog::{self, article, note, topic};
use crate::harness::{Engine, TestDb, each_database};

mod saves;

/// A future that is polled so many times at most; nothing comes of it then.
struct Dropped<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for Dropped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.inner.as_mut().poll(cx).map(Some)
    }
}

fn dropped_after<F: Future>(polls: usize, inner: F) -> Dropped<F> {
    let inner = Box::pin(inner);
    Dropped { inner, left: polls }
}

async fn create_tables(db: &DatabaseConnection) {
    blog::create_tables(db).await;
    blog::create_notes(db).await;
}

async fn found(db: &DatabaseConnection) -> [Verification; 2] {
    [
        verify(article::Entity).exec(db).await.unwrap(),
        verify(note::Entity).exec(db).await.unwrap(),
    ]
}

fn is_clean(found: &[Verification; 2]) -> bool {
    found.iter().all(Verification::is_clean)
}

async fn assert_whole(db: &DatabaseConnection, what: impl Debug) {
    let found = found(db).await;
    assert!(is_clean(&found), "{what:?}: {found:?}");
}

/// Every row is recorded, and of the rows of a save there are all or none; all where it was done.
async fn assert_all_or_nothing(
    db: &DatabaseConnection,
    rows: &Rows,
    (save, polls): (Save, usize),
    is_done: bool,
) {
    let [written, of] = rows.written(save, db).await;
    assert!(
        written == of || (written == 0 && !is_done),
        "{save:?} {polls}: {written} rows of {of}"
    );
    assert_whole(db, (save, polls)).await;
}

/// More polls than anything has.
const WHOLE: usize = usize::MAX;

/// One connection, on which a future is dropped. It is not used again: sqlx forgets a transaction
/// whose BEGIN is given up, and it would stay open.
async fn victim(test: &TestDb) -> DatabaseConnection {
    test.connect_with(|options| {
        options.max_connections(1);
    })
    .await
}

/// Puts right what is wrong, which is one row at most.
async fn assert_found_and_repaired(db: &DatabaseConnection, what: impl Debug) {
    let articles = verify(article::Entity).repair().exec(db).await.unwrap();
    let notes = verify(note::Entity).repair().exec(db).await.unwrap();
    let repaired = articles.repaired + notes.repaired;
    assert!(repaired <= 1, "{what:?}: {articles:?} {notes:?}");
    assert_whole(db, what).await;
}

/// Which connection it is to the server, where that may have to be told to cut it.
async fn connection_id(test: &TestDb, victim: &DatabaseConnection) -> Option<i64> {
    if test.engine() != Engine::MariaDb {
        return None;
    }
    let id = "SELECT CAST(CONNECTION_ID() AS SIGNED) AS id";
    let id = Statement::from_string(victim.get_database_backend(), id);
    let row = victim.query_one_raw(id).await.unwrap().unwrap();
    Some(row.try_get("", "id").unwrap())
}

/// Cuts a connection that hangs, so that the server undoes what was begun on it.
async fn cut_off(test: &TestDb, id: Option<i64>) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    if let Some(id) = id {
        let other = test.connect().await;
        let kill = format!("KILL CONNECTION {id}");
        other.execute_unprepared(&kill).await.ok();
        other.close().await.unwrap();
    }
    std::future::pending().await
}

/// Drops a save at each of its awaits. Answers with how many it had, the last being its end.
///
/// Before each a whole one: sqlx loses its place in a connection to MariaDB where a statement is
/// given up while it is prepared, and that connection then hangs.
async fn at_every_await<F>(test: &TestDb, mut run: F) -> usize
where
    F: AsyncFnMut(&DatabaseConnection, usize) -> bool,
{
    for polls in 1..2_000 {
        let victim = victim(test).await;
        assert!(run(&victim, WHOLE).await);
        let id = connection_id(test, &victim).await;
        let is_over = tokio::select! {
            is_over = run(&victim, polls) => is_over,
            () = cut_off(test, id) => unreachable!(),
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), victim.close()).await;
        if is_over {
            return polls;
        }
    }
    panic!("it never ends");
}

/// Saves in a transaction, with something before, and commits whatever became of it.
async fn in_recorded_transaction(
    [db, victim]: [&DatabaseConnection; 2],
    save: Save,
    polls: usize,
) -> bool {
    let rows = Rows::new(db, save).await;
    let earlier = note::Entity::find().count(db).await.unwrap();
    let txn = RecordedConnection::new(victim.clone())
        .begin()
        .await
        .unwrap();
    blog::note(&txn, "earlier").await;
    let saved = dropped_after(polls, rows.save(save, &txn)).await;
    let committed = txn.commit().await;
    let notes = note::Entity::find().count(db).await.unwrap();
    if let Some(saved) = &saved {
        saved.as_ref().unwrap();
        committed.unwrap();
    } else if let Err(error) = committed {
        let ours = RecordError::of(&error);
        let was_cut = db.get_database_backend() == DbBackend::MySql && ours.is_none();
        assert!(
            was_cut || matches!(ours, Some(RecordError::Interrupted { .. })),
            "{error:?}"
        );
        assert_eq!(notes, earlier, "{save:?} {polls}");
    } else {
        // Given up before anything was sent.
        assert!(
            notes > earlier,
            "{save:?} {polls}: committed, and yet not there"
        );
    }
    assert_all_or_nothing(db, &rows, (save, polls), saved.is_some()).await;
    saved.is_some()
}

each_database! {
    async fn a_save_that_is_dropped_on_a_pool_leaves_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        let mut most = 0;
        for save in Save::all() {
            let awaits = at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let saved = dropped_after(polls, rows.save(save, victim)).await;
                assert_all_or_nothing(db, &rows, (save, polls), saved.is_some()).await;
                saved.is_some_and(|saved| { saved.unwrap(); true })
            }).await;
            most = awaits.max(most);
        }
        // A server may answer before it is asked whether it has; hardly each time.
        assert!(most > 1 || test.engine() == Engine::Sqlite);
    }

    async fn a_save_that_is_dropped_on_a_recording_connection_leaves_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::SINGLE {
            at_every_await(&test, async |victim, polls| {
                let recorded = &RecordedConnection::new(victim.clone());
                let rows = Rows::new(db, save).await;
                let saved = dropped_after(polls, rows.save(save, recorded)).await;
                assert_whole(db, (save, polls)).await;
                saved.is_some_and(|saved| { saved.unwrap(); true })
            }).await;
        }
    }

    /// Two commits each: what lies between them is found.
    async fn a_save_by_the_trait_that_is_dropped_on_a_pool_is_found_by_verify(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::SINGLE {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let saved = dropped_after(polls, rows.save_by_trait(save, victim)).await;
                // A statement that was sent goes on without us.
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert_found_and_repaired(db, (save, polls)).await;
                saved.is_some_and(|saved| { saved.unwrap(); true })
            }).await;
        }
    }

    async fn a_recorded_transaction_in_which_a_save_was_dropped_commits_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::all() {
            at_every_await(&test, async |victim, polls| in_recorded_transaction([db, victim], save, polls).await).await;
        }
    }

    /// What it may have written is looked at again. A row whose key the database was to give cannot be.
    async fn a_save_by_the_trait_that_is_dropped_in_a_recorded_transaction_is_recorded_at_its_commit(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::SINGLE {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let txn = RecordedConnection::new(victim.clone()).begin().await.unwrap();
                let saved = dropped_after(polls, rows.save_by_trait(save, &txn)).await;
                let committed = txn.commit().await;
                match save {
                    Save::Insert | Save::InsertNote => assert_found_and_repaired(db, (save, polls, committed)).await,
                    _ => assert_whole(db, (save, polls, committed)).await,
                }
                saved.is_some_and(|saved| { saved.unwrap(); true })
            }).await;
        }
    }

    async fn a_recorded_transaction_whose_flush_was_dropped_commits_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::SINGLE {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let earlier = note::Entity::find().count(db).await.unwrap();
                let txn = RecordedConnection::new(victim.clone()).begin().await.unwrap();
                blog::note(&txn, "earlier").await;
                rows.save(save, &txn).await.unwrap();
                let flushed = dropped_after(polls, txn.flush()).await;
                let committed = txn.commit().await;
                let notes = note::Entity::find().count(db).await.unwrap();
                match committed {
                    Ok(()) => assert!(notes >= earlier + u64::from(save != Save::DeleteNote), "{save:?} {polls}"),
                    Err(_) => assert_eq!(notes, earlier, "{save:?} {polls}"),
                }
                assert_whole(db, (save, polls)).await;
                flushed.is_some_and(|flushed| { flushed.unwrap(); true })
            }).await;
        }
    }

    async fn a_recorded_transaction_whose_savepoint_was_dropped_commits_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        at_every_await(&test, async |victim, polls| {
            let before = note::Entity::find().count(db).await.unwrap();
            let txn = RecordedConnection::new(victim.clone()).begin().await.unwrap();
            blog::note(&txn, "outer").await;
            let nested = dropped_after(polls, async {
                let nested = txn.begin().await?;
                blog::note(&nested, "inner").await;
                nested.commit().await
            }).await;
            let committed = txn.commit().await;
            let notes = note::Entity::find().count(db).await.unwrap() - before;
            match (&nested, committed) {
                (Some(_), Ok(())) => assert_eq!(notes, 2),
                (None, Ok(())) => assert!(notes > 0, "{polls}: committed, and yet not there"),
                (_, Err(_)) => assert_eq!(notes, 0, "{polls}"),
            }
            assert_whole(db, polls).await;
            nested.is_some_and(|nested| { nested.unwrap(); true })
        }).await;
    }

    async fn a_commit_that_is_dropped_leaves_all_or_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::SINGLE {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let txn = RecordedConnection::new(victim.clone()).begin().await.unwrap();
                rows.save(save, &txn).await.unwrap();
                let committed = dropped_after(polls, txn.commit()).await;
                assert_whole(db, (save, polls)).await;
                committed.is_some_and(|committed| { committed.unwrap(); true })
            }).await;
        }
    }

    /// Where a property is computed the save has a savepoint, which goes with the future; so has a
    /// write of many rows. A single save of columns alone has none: there a row may stand in the
    /// transaction without its record, and whoever commits that all the same has a row that `verify`
    /// finds.
    async fn a_save_that_is_dropped_in_a_plain_transaction_is_undone_or_found_by_verify(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::in_a_plain_transaction() {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let txn = victim.begin().await.unwrap();
                let saved = dropped_after(polls, rows.save(save, &txn)).await;
                let committed = txn.commit().await;
                match save.has_savepoint() {
                    true => assert_all_or_nothing(db, &rows, (save, polls), saved.is_some()).await,
                    // How often it is needed depends on how quick the server is.
                    false => assert_found_and_repaired(db, (save, polls, committed)).await,
                }
                saved.is_some_and(|saved| { saved.unwrap(); true })
            }).await;
        }
    }

    async fn a_plain_transaction_that_is_rolled_back_after_a_save_was_dropped_leaves_nothing(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for save in Save::in_a_plain_transaction() {
            at_every_await(&test, async |victim, polls| {
                let rows = Rows::new(db, save).await;
                let before = state(db).await;
                let txn = victim.begin().await.unwrap();
                let saved = dropped_after(polls, rows.save(save, &txn)).await;
                drop(txn);
                assert_eq!(state(db).await, before, "{save:?} {polls}");
                saved.is_some()
            }).await;
        }
    }
}

async fn state(db: &DatabaseConnection) -> impl PartialEq + Debug {
    (
        topic::Entity::find().all(db).await.unwrap(),
        article::Entity::find().all(db).await.unwrap(),
        article::record::Entity::find().count(db).await.unwrap(),
        note::Entity::find().all(db).await.unwrap(),
        note::record::Entity::find().count(db).await.unwrap(),
    )
}
