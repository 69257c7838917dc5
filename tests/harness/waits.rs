//! Transactions of which one waits for the other, or is ended by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use sea_orm_record::is_retryable;

/// Runs `late` until another transaction of its database holds it up, or it has ended; then `end`
/// beside it. Answers with what comes of both.
///
/// Who waits for a lock that a test asked for by its name, as a gate's, is not meant.
pub async fn once_held_up<L, E>(
    db: &DatabaseConnection,
    late: impl Future<Output = L>,
    end: impl Future<Output = E>,
) -> (L, E) {
    let is_past = AtomicBool::new(false);
    let late = async {
        let ended = late.await;
        is_past.store(true, Ordering::Relaxed);
        ended
    };
    let end = async {
        until_held_up(db, &is_past).await;
        end.await
    };
    tokio::join!(late, end)
}

async fn until_held_up(db: &DatabaseConnection, is_past: &AtomicBool) {
    let waiting = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT count(*) AS n FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock' \
             AND wait_event <> 'advisory'"
        }
        DbBackend::MySql => {
            // What MariaDB's InnoDB tells of its locks is too old where it is asked often.
            "SELECT count(*) AS n FROM /*M! information_schema.processlist \
             WHERE db = DATABASE() AND command <> 'Sleep' AND id <> CONNECTION_ID() AND time_ms > 150 \
             AND state <> 'User lock' *//*!80000 (\
             SELECT 1 FROM performance_schema.data_locks \
             WHERE object_schema = DATABASE() AND lock_status = 'WAITING' UNION ALL \
             SELECT 1 FROM performance_schema.metadata_locks \
             WHERE object_schema = DATABASE() AND lock_status = 'PENDING') w */"
        }
        _ => return tokio::time::sleep(Duration::from_millis(50)).await,
    };
    for _ in 0..1_000 {
        let statement = Statement::from_string(db.get_database_backend(), waiting);
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        if row.try_get::<i64>("", "n").unwrap() > 0 || is_past.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the other neither waits nor ends");
}

/// Whether MariaDB is a cluster (`scripts/cluster-test`). A change of a table waits for nobody there: it
/// ends the transactions that are in its way.
pub fn is_cluster() -> bool {
    std::env::var_os("RECORD_TEST_MYSQL_READER").is_some()
}

/// What a cluster ends where there is no transaction to undo: `Query execution was interrupted`.
fn is_interrupted(error: &DbErr) -> bool {
    error.to_string().contains("1317")
}

/// What comes of some work, which a cluster may have to be asked for again, as a program does.
pub async fn let_through<T, F>(work: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, DbErr>>,
{
    for _ in 0..100 {
        match work().await {
            Ok(output) => return output,
            Err(error) if is_cluster() && (is_retryable(&error) || is_interrupted(&error)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it was never let through");
}
