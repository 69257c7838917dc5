//! Bulk writes beside others, and conflicts that an upsert's columns do not name.

use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, ExecResult, IsolationLevel, QueryResult, Set, Statement, TransactionTrait,
};
use sea_orm_record::{UpsertMany, delete_many, update_many, upsert_many, verify};

use crate::harness::{Engine, each_database};
use crate::magazine::{Magazine, assert_current, cover, remark, story};

/// Has a rival's cover inserted and committed just before an INSERT of a cover goes on; the last rival
/// comes before the first of them.
struct Beaten<'t> {
    txn: &'t DatabaseTransaction,
    db: &'t DatabaseConnection,
    rivals: Mutex<Vec<Option<cover::ActiveModel>>>,
}

#[async_trait]
impl ConnectionTrait for Beaten<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.txn.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        if stmt.sql.starts_with("INSERT INTO \"cover\"")
            || stmt.sql.starts_with("INSERT INTO `cover`")
        {
            let rival = self.rivals.lock().unwrap().pop();
            if let Some(rival) = rival.flatten() {
                rival.insert(self.db).await?;
            }
        }
        self.txn.execute_raw(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.txn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.txn.query_one_raw(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.txn.query_all_raw(stmt).await
    }
}

fn a_cover(id: i32, picture: &str, story: &story::Model) -> cover::ActiveModel {
    cover::ActiveModel {
        id: Set(id),
        picture: Set(picture.to_owned()),
        story_id: Set(story.id),
    }
}

fn by_id(covers: Vec<cover::ActiveModel>) -> UpsertMany<cover::ActiveModel> {
    let columns = [cover::Column::Picture, cover::Column::StoryId];
    upsert_many(covers, [cover::Column::Id], |conflict| {
        conflict.update_columns(columns)
    })
}

each_database! {
    async fn an_upsert_records_who_depended_on_a_row_that_came_between_its_lock_and_its_statement(test: TestDb) {
        // SQLite lets nobody come between.
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        delete_many(cover::Entity).exec(&db).await.unwrap();
        // Once refused, an INSERT on MariaDB has locked the gap, and a second rival waits.
        let most = if test.engine() == Engine::Postgres { 2 } else { 1 };
        for rivals in 1..=most {
            // At REPEATABLE READ, MariaDB locks the gaps as well.
            let txn = db.begin_with_config(Some(IsolationLevel::ReadCommitted), None).await.unwrap();
            let rival = |n: usize| Some(a_cover(500 + n as i32, "rival", &m.stories[n]));
            let beaten = Beaten { txn: &txn, db: &db, rivals: Mutex::new((0..rivals).map(rival).collect()) };
            // Each cover gets the other's story, or none that had one.
            let third = crate::magazine::story(&db, "third", m.sections[0].id, None).await;
            let fourth = crate::magazine::story(&db, "fourth", m.sections[0].id, None).await;
            let covers = vec![a_cover(500, "mine", &third), a_cover(501, "mine", &fourth)];
            let keys = by_id(covers).exec(&beaten).await.unwrap();
            assert!(beaten.rivals.lock().unwrap().is_empty());
            txn.commit().await.unwrap();
            assert_eq!(keys, [500, 501]);
            let covers = cover::Entity::find().all(&db).await.unwrap();
            assert!(covers.iter().all(|cover| cover.picture == "mine"), "{covers:?}");
            let records = assert_current(&db).await;
            assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
            let digests: Vec<_> = records[&m.stories[0].id].iter().map(|record| &*record.digest).collect();
            assert!(digests[digests.len() - 2].contains("rival") && !digests.last().unwrap().contains("rival"), "{digests:?}");
            delete_many(cover::Entity).exec(&db).await.unwrap();
        }
    }

    /// A batch is refused for a row that is there and looks as if it were not; a rival comes then.
    async fn an_upsert_sees_rivals_also_beside_texts_that_are_equal_to_the_database_alone(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        delete_many(cover::Entity).exec(&db).await.unwrap();
        if test.engine() == Engine::Postgres {
            let collation = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
            db.execute_unprepared(collation).await.unwrap();
            db.execute_unprepared("ALTER TABLE cover ALTER picture TYPE varchar COLLATE blind").await.unwrap();
        }
        db.execute_unprepared("CREATE UNIQUE INDEX by_picture ON cover (picture)").await.unwrap();
        // Without plans that were made for the other type.
        let db = test.connect().await;
        let mut stories = m.stories.to_vec();
        for title in ["third", "fourth", "fifth"] {
            stories.push(crate::magazine::story(&db, title, m.sections[0].id, None).await);
        }
        let there = a_cover(500, "Apple", &stories[2]).insert(&db).await.unwrap();
        let txn = db.begin_with_config(Some(IsolationLevel::ReadCommitted), None).await.unwrap();
        // Not before the batch, but before the INSERT that follows.
        let rivals = vec![Some(a_cover(501, "zebra", &stories[0])), None];
        let beaten = Beaten { txn: &txn, db: &db, rivals: Mutex::new(rivals) };
        let mine = [a_cover(502, "apple", &stories[3]), a_cover(503, "zebra", &stories[4])];
        let upsert = upsert_many(mine, [cover::Column::Picture], |conflict| conflict.update_column(cover::Column::StoryId));
        assert_eq!(upsert.exec(&beaten).await.unwrap(), [500, 501]);
        assert!(beaten.rivals.lock().unwrap().is_empty());
        txn.commit().await.unwrap();
        let records = assert_current(&db).await;
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
        for (story, picture) in [(there.story_id, "Apple"), (stories[0].id, "zebra")] {
            let digests: Vec<_> = records[&story].iter().map(|record| &*record.digest).collect();
            assert!(digests[digests.len() - 2].contains(picture) && !digests.last().unwrap().contains(picture), "{digests:?}");
        }
    }

    async fn rows_of_an_upsert_that_conflict_with_each_other_go_as_the_statement_says(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let before = assert_current(&db).await;
        let twice = by_id(vec![a_cover(700, "a", &m.stories[0]), a_cover(700, "b", &m.stories[1])]);
        delete_many(cover::Entity).exec(&db).await.unwrap();
        let done = twice.exec(&db).await;
        // "ON CONFLICT DO UPDATE command cannot affect row a second time"
        assert_eq!(done.is_err(), test.engine() == Engine::Postgres, "{done:?}");
        let records = assert_current(&db).await;
        if let Ok(keys) = done {
            assert_eq!(keys, [700]);
            let last = |story: &story::Model| records[&story.id].last().unwrap().digest.clone();
            assert!(last(&m.stories[1]).contains("; b; "), "{}", last(&m.stories[1]));
            assert!(!last(&m.stories[0]).contains("; a; "), "{}", last(&m.stories[0]));
        }
        assert!(before.len() == records.len());
    }

    async fn a_conflict_with_another_index_is_what_the_database_makes_of_it(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let taken = by_id(vec![a_cover(800, "new", &m.stories[0])]).exec(&db).await;
        // MySQL updates whatever row is in the way.
        assert_eq!(taken.is_ok(), test.engine() == Engine::MariaDb, "{taken:?}");
        let pictures: Vec<_> = cover::Entity::find().all(&db).await.unwrap();
        assert_eq!(pictures.len(), m.covers.len());
        assert_eq!(pictures[0].picture == "new", taken.is_ok());
    }

    /// On MariaDB a refused INSERT leaves a shared lock, which two cannot both raise: tried again.
    async fn upserts_of_one_new_row_all_succeed_on_a_pool(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for round in 0..8 {
            let upserts = (0..6).map(|n| {
                let upsert = upsert_many([remark::ActiveModel {
                    id: Set(5_000 + round),
                    story_id: Set(m.stories[n % 2].id),
                    text: Set(format!("{round}.{n}")),
                }], [remark::Column::Id], |conflict| conflict.update_columns([remark::Column::StoryId, remark::Column::Text]));
                let db = db.clone();
                tokio::spawn(async move { upsert.exec(&db).await.map(drop) })
            });
            for upserted in join_all(upserts.collect::<Vec<_>>()).await {
                upserted.unwrap().unwrap();
            }
            assert_current(&db).await;
        }
    }

    /// The same of updates that move rows to one.
    async fn updates_that_tie_rows_to_one_row_do_not_deadlock(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for n in 1..=6 {
            remark::ActiveModel { id: Set(1_000 * n), text: Set(n.to_string()), story_id: Set(m.stories[0].id) }.insert(&db).await.unwrap();
        }
        // Half of them one way, half the other.
        for round in 0..5_usize {
            let updates = (1..=6).map(|n: i32| {
                let update = update_many(remark::Entity).filter(remark::Column::Id.eq(1_000 * n));
                let update = update.col_expr(remark::Column::StoryId, Expr::value(m.stories[(round + usize::from(n > 3)) % 2].id));
                let db = db.clone();
                tokio::spawn(async move { update.exec(&db).await.map(drop) })
            });
            for updated in join_all(updates.collect::<Vec<_>>()).await {
                updated.unwrap().unwrap();
            }
        }
        assert_current(&db).await;
    }

    /// No error is allowed: the locks that the library takes are no reason to try again.
    async fn upserts_of_what_hangs_on_one_row_do_not_deadlock(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for round in 0..5 {
            let upserts = (0..6).map(|n| {
                let remark = |at: i32| remark::ActiveModel {
                    id: Set(1_000 * (n + 1) + round / 2 + at),
                    story_id: Set(m.stories[0].id),
                    text: Set(format!("{round}.{n}.{at}")),
                };
                let upsert = upsert_many([remark(0), remark(1)], [remark::Column::Id], |conflict| conflict.update_column(remark::Column::Text));
                let db = db.clone();
                tokio::spawn(async move { upsert.exec(&db).await.map(drop) })
            });
            for upserted in join_all(upserts.collect::<Vec<_>>()).await {
                upserted.unwrap().unwrap();
            }
        }
        assert_current(&db).await;
    }
}
