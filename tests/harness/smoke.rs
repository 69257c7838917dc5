//! The harness does what it says.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};

use crate::harness::*;

async fn select_one(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let select = Statement::from_string(db.get_database_backend(), "SELECT 1 AS one");
    let row = db.query_one_raw(select).await?.unwrap();
    // An integer of any width: SQLite and MariaDB differ from PostgreSQL here.
    row.try_get("", "one")
        .or_else(|_| row.try_get::<i32>("", "one").map(i64::from))
}

each_database! {
    async fn each_database_answers(db: TestDb) -> TestResult {
        assert_eq!(select_one(&db.connect().await).await?, 1);
        Ok(())
    }

    async fn statements_are_counted_within_transactions_too(db: TestDb) -> TestResult {
        let (connection, counter) = db.counted().await;
        select_one(&connection).await?;
        counter.assert(1);

        let transaction = connection.begin().await?;
        select_one(&transaction).await?;
        let savepoint = transaction.begin().await?;
        select_one(&savepoint).await?;
        savepoint.commit().await?;
        transaction.commit().await?;
        assert_eq!(counter.statements(), ["SELECT 1 AS one"; 2]);
        counter.assert(2);
        Ok(())
    }

    async fn each_test_has_a_database_of_its_own(db: TestDb) {
        let other = TestDb::new(db.engine(), "each_test_has_a_database_of_its_own").await;
        for db in [&db, &other] {
            let connection = db.connect().await;
            connection.execute_unprepared("CREATE TABLE note (id integer)").await.unwrap();
        }
        other.remove().await;
        let connection: DatabaseConnection = db.connect().await;
        connection.execute_unprepared("INSERT INTO note VALUES (1)").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_of_the_library_alone_are_captured() {
    let (answer, warnings) = captured_warnings(async {
        tracing::warn!(target: "sea_orm_record::listen", table = "author", "not watched");
        tokio::task::yield_now().await;
        tracing::info!(target: "sea_orm_record", "not a warning");
        tracing::warn!(target: "sqlx", "not ours");
        7
    })
    .await;
    tracing::warn!(target: "sea_orm_record", "too late");
    assert_eq!(
        (answer, warnings),
        (7, vec![r#"not watched table="author""#.to_owned()])
    );
}
