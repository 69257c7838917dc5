//! Lock waits, as far as a database tells of them.
//!
//! PostgreSQL is asked every twenty milliseconds who waits. MariaDB answers from a cache that is not
//! filled again while anybody reads it within 100 ms (`trx0i_s.cc`, CACHE_MIN_IDLE_TIME_NS), so one
//! watch asks it for all lanes, and less often. On SQLite, which has one writer at a time, who had to
//! wait for the write lock is told by how long it took to begin.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use super::run::{Stage, Tally, options};

/// How long beginning takes at most where nobody has to wait.
const SLOW: Duration = Duration::from_millis(4);

const POSTGRES: &str = "SELECT count(*) AS n FROM pg_stat_activity \
    WHERE datname IN ({}) AND wait_event_type = 'Lock'";
const MARIADB: &str = "SELECT count(*) AS n FROM information_schema.innodb_trx t \
    JOIN /*M! information_schema *//*!80000 performance_schema */.processlist p ON p.id = t.trx_mysql_thread_id \
    WHERE p.db IN ({}) AND t.trx_state = 'LOCK WAIT'";

const POSTGRES_BUSY: &str = "SELECT count(*) AS n FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' \
    AND query NOT LIKE '%pg_stat_activity%'";
const MARIADB_BUSY: &str = "SELECT count(*) AS n FROM /*M! information_schema *//*!80000 performance_schema */.processlist \
    WHERE db = DATABASE() AND id <> CONNECTION_ID() AND command <> 'Sleep' \
    AND info NOT LIKE '%innodb_trx%'";

async fn count(db: &impl ConnectionTrait, sql: &str) -> usize {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get::<i64>("", "n").unwrap() as usize
}

/// Counts those who wait in these databases until it is dropped.
pub fn watch(db: DatabaseConnection, names: &[String], tally: Arc<Tally>) -> impl Drop {
    struct Watch(tokio::task::JoinHandle<()>);
    impl Drop for Watch {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let names = names.iter().map(|name| format!("'{name}'"));
    let names = names.collect::<Vec<_>>().join(", ");
    Watch(tokio::spawn(async move {
        let (sql, pause) = match db.get_database_backend() {
            DbBackend::Postgres => (POSTGRES, 20),
            DbBackend::MySql => (MARIADB, 110),
            _ => return,
        };
        let sql = sql.replace("{}", &names);
        loop {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let waiting = count(&db, &sql).await;
            tally.waits.fetch_add(waiting, Ordering::Relaxed);
        }
    }))
}

/// Counts a write on SQLite that began late.
pub fn note_slow(stage: &Stage, began: Instant) {
    if stage.db.get_database_backend() == DbBackend::Sqlite && began.elapsed() > SLOW {
        stage.tally.waits.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until nothing is in flight: what was cancelled has been rolled back, or has committed.
pub async fn quiet(db: &DatabaseConnection) {
    let busy = match db.get_database_backend() {
        DbBackend::Postgres => POSTGRES_BUSY,
        DbBackend::MySql => MARIADB_BUSY,
        backend => {
            let txn = db.begin_with_options(options(backend)).await.unwrap();
            return txn.rollback().await.unwrap();
        }
    };
    for _ in 0..3_000 {
        if count(db, busy).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a transaction was left open");
}
