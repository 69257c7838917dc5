//! The statements that a connection sent.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use sea_orm::DatabaseConnection;

/// Counts what a connection, its clones made later and its transactions send to the database.
///
/// SeaORM reports statements, streams included (once dropped), and neither BEGIN, COMMIT,
/// ROLLBACK and savepoints nor `execute_unprepared`.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    statements: Arc<Mutex<Vec<String>>>,
}

impl Counter {
    /// Starts counting on this connection. Earlier clones of it are not counted.
    pub fn of(connection: &mut DatabaseConnection) -> Self {
        let counter = Self::default();
        let statements = Arc::clone(&counter.statements);
        connection.set_metric_callback(move |info| {
            // With its values, as a program's log writes it: there must be one for each place.
            drop(info.statement.to_string());
            statements.lock().unwrap().push(info.statement.sql.clone());
        });
        counter
    }

    /// How many statements were sent since the last `take` or `clear`; counts from zero again.
    pub fn take(&self) -> usize {
        self.take_statements().len()
    }

    /// As [`Counter::take`], with their SQL.
    pub fn take_statements(&self) -> Vec<String> {
        mem::take(&mut self.statements.lock().unwrap())
    }

    /// The SQL of the statements counted so far, without parameters' values.
    pub fn statements(&self) -> Vec<String> {
        self.statements.lock().unwrap().clone()
    }

    /// Forgets what was counted, for example the set-up of a test.
    pub fn clear(&self) {
        self.take();
    }

    /// Fails with the SQL of each statement when there are more or fewer than these; counts from
    /// zero again.
    #[track_caller]
    pub fn assert(&self, expected: usize) {
        let statements = self.take_statements();
        assert_eq!(
            statements.len(),
            expected,
            "statements:\n{}",
            statements.join("\n")
        );
    }
}
