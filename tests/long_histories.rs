//! What it costs to go on where a row has many records: a seek, and not all of them.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel, Set, Statement,
    TransactionTrait,
};
use sea_orm_record::{Event, RecordedConnection, RecordedModel, verify};

use crate::blog::{self, note};
use crate::harness::each_database;

const RECORDS: i64 = 2_000;
/// What one row and a few looks at the schema may take.
const FEW: i64 = 100;

/// How many rows, or entries of indexes, were read in this transaction (PostgreSQL), or by this
/// connection (MariaDB). SQLite does not tell.
async fn read_so_far(db: &impl ConnectionTrait) -> i64 {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint AS read_so_far \
             FROM pg_stat_xact_user_tables"
        }
        DbBackend::MySql => {
            "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) AS read_so_far \
             FROM /*M! information_schema.SESSION_STATUS *//*!80000 performance_schema.session_status */ \
             WHERE VARIABLE_NAME IN ('HANDLER_READ_NEXT', 'HANDLER_READ_PREV', 'HANDLER_READ_KEY')"
        }
        _ => return 0,
    };
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await
        .unwrap()
        .unwrap();
    row.try_get("", "read_so_far").unwrap()
}

/// A note with many records, all of the past.
async fn note_of_long_standing(db: &DatabaseConnection) -> note::Model {
    blog::create_notes(db).await;
    let note = blog::note(db, "first").await;
    let first = note::record::Entity::find().one(db).await.unwrap().unwrap();
    let records = (1..RECORDS).map(|ago| note::record::ActiveModel {
        recorded_at: Set(first.recorded_at - chrono::Duration::seconds(ago)),
        text: Set(format!("{ago} seconds ago")),
        ..first.clone().into_active_model()
    });
    note::record::Entity::insert_many(records)
        .exec(db)
        .await
        .unwrap();
    // So that PostgreSQL knows that there are many.
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("ANALYZE").await.unwrap();
    }
    note
}

/// Does something in a recorded transaction and says how many records there are, and how many were
/// read.
macro_rules! reads {
    ($db:expr, |$txn:ident| $work:expr) => {{
        let $txn = RecordedConnection::new($db.clone()).begin().await.unwrap();
        let before = read_so_far(&$txn).await;
        $work.await.unwrap();
        $txn.flush().await.unwrap();
        let read = read_so_far(&$txn).await - before;
        $txn.commit().await.unwrap();
        let records = note::record::Entity::find().all($db).await.unwrap();
        (records.len() as i64 - RECORDS, read)
    }};
}

each_database! {
    async fn whoever_records_a_row_finds_its_latest_record_by_a_seek(test: TestDb) {
        let db = test.connect().await;
        let note = note_of_long_standing(&db).await;
        let changed = |text: &str| note::ActiveModel {
            text: Set(text.to_owned()),
            ..note.clone().into_active_model()
        };

        // A chunk of two rows: of one, MariaDB and MySQL take the key for a constant.
        let other = blog::note(&db, "other").await;
        let (more, read) = reads!(&db, |txn| async {
            changed("second").update(&txn).await?;
            let other = note::ActiveModel {
                text: Set("another".to_owned()),
                ..other.into_active_model()
            };
            other.update(&txn).await
        });
        assert_eq!(more, 3);
        assert!(read < FEW, "gathered saves read {read}");

        let txn = db.begin().await.unwrap();
        changed("third").update(&txn).await.unwrap();
        let before = read_so_far(&txn).await;
        changed("fourth").update(&txn).await.unwrap();
        let read = read_so_far(&txn).await - before;
        txn.commit().await.unwrap();
        assert!(read < FEW, "an immediate save read {read}");

        let (more, read) = reads!(&db, |txn| note.record_now(&txn));
        assert_eq!(more, 5);
        assert!(read < FEW, "a look at a row read {read}");

        let (more, read) = reads!(&db, |txn| changed("").delete(&txn));
        assert_eq!(more, 6);
        assert!(read < FEW, "a deletion read {read}");
    }

    async fn verify_finds_the_latest_record_of_a_row_that_is_gone_by_a_seek(test: TestDb) {
        let db = test.connect().await;
        note_of_long_standing(&db).await;
        note::Entity::delete_many().exec(&db).await.unwrap();

        let (more, read) = reads!(&db, |txn| async {
            let report = verify(note::Entity).repair().exec(&txn).await?;
            assert_eq!((report.orphans, report.repaired), (1, 1));
            Ok::<_, sea_orm::DbErr>(())
        });
        assert_eq!(more, 1);
        // All are walked along, to find whose they are; a scan for each would read their square.
        assert!(read < 10 * RECORDS, "{read} were read");
        let latest = note::record::Entity::find().all(&db).await.unwrap();
        assert_eq!(latest.iter().filter(|record| record.event == Event::Deleted).count(), 1);
    }
}
