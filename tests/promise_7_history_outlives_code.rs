//! Promise 7, history outlives code: what was recorded stays, whatever becomes of the column, the
//! property, the row or its table.
//!
//! That a tombstone repeats the last values, and what comes after it, is in `promise_3_quiet`; that
//! the records have no foreign key to their rows unless one is asked for, in `migration`; that they
//! put a row back, in `restore`.

use chrono::Utc;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder, Set, Statement,
    TransactionTrait,
};
use sea_orm_record::{Event, Recorded, RecordedConnection, RecordedModel, insert_many, verify};

use crate::blog::{self, article, note};
use crate::harness::each_database;

async fn sql(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap();
}

/// What a column that the code does not know holds, in the order of the records.
async fn former(db: &DatabaseConnection) -> Vec<Option<String>> {
    let select = "SELECT former FROM note_record ORDER BY recorded_at, recording_id";
    let statement = Statement::from_string(db.get_database_backend(), select);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get("", "former").unwrap())
        .collect()
}

each_database! {
    /// The table of records keeps the column when the code drops it: new records leave it NULL.
    async fn what_is_no_longer_recorded_keeps_its_past_values(test: TestDb) {
        let db = &test.connect().await;
        blog::create_notes(db).await;
        let note = blog::note(db, "first").await;
        // As a column `former`, since dropped from the recorder, left it.
        sql(db, "ALTER TABLE note_record ADD COLUMN former varchar(40)").await;
        sql(db, "UPDATE note_record SET former = 'once recorded'").await;

        let kept = Some("once recorded".to_owned());
        let set = |text: &str| note::ActiveModel { text: Set(text.to_owned()), ..note.clone().into_active_model() };
        set("second").update(db).await.unwrap();
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        set("third").update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        insert_many((0..20).map(|_| note::draft("many")), db).await.unwrap();
        note.clone().delete(db).await.unwrap();
        let former = former(db).await;
        assert_eq!((former.len(), &former[0]), (24, &kept));
        assert!(former[1..].iter().all(Option::is_none));

        // And reading goes on as if it were not there.
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
        let first = records.one(db).await.unwrap().unwrap();
        assert_eq!(first.text, "first");
        let then = note::Entity::as_of(first.recorded_at).all(db).await.unwrap();
        assert_eq!(then.len(), 1);
        assert!(verify(note::Entity).exec(db).await.unwrap().is_clean());
    }

    async fn a_deleted_row_keeps_its_records_and_gets_one_that_says_so(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        let topic = blog::topic(db, "t").await;
        let article = blog::article(db, &topic, "a").await;
        article::ActiveModel { title: Set("b".to_owned()), ..article.clone().into_active_model() }.update(db).await.unwrap();
        article.clone().delete(db).await.unwrap();
        topic.delete(db).await.unwrap();
        let records = article.records().order_by_asc(article::record::Column::RecordedAt).all(db).await.unwrap();
        let told: Vec<_> = records.iter().map(|record| (record.event, &*record.headline)).collect();
        assert_eq!(told, [(Event::Created, "t: a"), (Event::Updated, "t: b"), (Event::Deleted, "t: b")]);
        assert_eq!(article::Entity::as_of(records[1].recorded_at).all(db).await.unwrap().len(), 1);
        assert_eq!(article::Entity::as_of(Utc::now()).all(db).await.unwrap(), []);
    }

    /// Not even with its table does a row's history go.
    async fn a_dropped_table_keeps_its_history(test: TestDb) {
        let db = &test.connect().await;
        blog::create_notes(db).await;
        blog::note(db, "kept").await;
        sql(db, "DROP TABLE note").await;
        let records = note::record::Entity::find().all(db).await.unwrap();
        assert_eq!(&*records[0].text, "kept");
    }
}
