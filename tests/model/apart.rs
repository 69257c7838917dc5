//! Connections for work that is dropped half-way.
//!
//! sqlx 0.9 returns a connection to its pool as the dropped future left it: with its transaction
//! open where BEGIN was on its way (both servers), and on MariaDB out of step where a statement was
//! being prepared, so that what is answered to one statement is taken for the answer to another.
//! Whoever works there next is the one to suffer. So such work gets a connection of its own here,
//! which the server ends afterwards, as it does when a client goes away.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, Value};

use super::run::Stage;

pub enum Place {
    Shared(DatabaseConnection),
    Own { db: DatabaseConnection, id: i64 },
}

impl Place {
    /// SQLite's pool is none the worse for it.
    pub async fn of(stage: &Stage, is_dropped: bool) -> Self {
        let backend = stage.db.get_database_backend();
        let own_id = match backend {
            DbBackend::Postgres => "SELECT CAST(pg_backend_pid() AS bigint) AS id",
            DbBackend::MySql => "SELECT CAST(CONNECTION_ID() AS SIGNED) AS id",
            _ => return Self::Shared(stage.db.clone()),
        };
        if !is_dropped {
            return Self::Shared(stage.db.clone());
        }
        let mut options = stage.options.clone();
        options.max_connections(1);
        let db = Database::connect(options).await.unwrap();
        let row = db
            .query_one_raw(Statement::from_string(backend, own_id))
            .await;
        let id = row.unwrap().unwrap().try_get("", "id").unwrap();
        Self::Own { db, id }
    }

    pub fn db(&self) -> &DatabaseConnection {
        match self {
            Self::Shared(db) | Self::Own { db, .. } => db,
        }
    }

    /// Returns when the server has ended the connection, and rolled back what was open there.
    pub async fn leave(&self, stage: &Stage) {
        let Self::Own { id, .. } = self else {
            return;
        };
        let (end, there) = match stage.db.get_database_backend() {
            DbBackend::Postgres => (
                format!("SELECT pg_terminate_backend({id})"),
                "SELECT 1 FROM pg_stat_activity WHERE pid = $1",
            ),
            _ => (
                format!("KILL CONNECTION {id}"),
                "SELECT 1 FROM /*M! information_schema *//*!80000 performance_schema */.processlist WHERE id = ?",
            ),
        };
        // It may have ended by itself.
        let _ = stage.db.execute_unprepared(&end).await;
        let backend = stage.db.get_database_backend();
        for _ in 0..3_000 {
            let is_there = Statement::from_sql_and_values(backend, there, [Value::from(id)]);
            if stage.db.query_one_raw(is_there).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("connection {id} does not end");
    }
}
