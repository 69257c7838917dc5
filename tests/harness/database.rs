//! A database for each test, and what runs a test body with one.

use std::{error::Error, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, sqlx::sqlite::SqliteJournalMode};

use super::{Counter, Engine, engine};

/// What a test body may return.
pub type TestResult = Result<(), Box<dyn Error + Send + Sync>>;

/// A fresh database on one engine, of one test alone. Clones are of the same database.
#[derive(Clone, Debug)]
pub struct TestDb {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    name: String,
    url: String,
}

impl TestDb {
    /// Makes an empty database named after the test.
    ///
    /// [`run`] drops it. One made by hand goes with [`TestDb::remove`], or else when a later
    /// process finds that this one is gone.
    ///
    /// # Panics
    /// When the engine's server cannot be reached, with what to do.
    pub async fn new(engine: Engine, test: &str) -> Self {
        let name = engine::database_name(test);
        let url = engine.create(&name).await;
        Self {
            inner: Arc::new(Inner { engine, name, url }),
        }
    }

    pub fn engine(&self) -> Engine {
        self.inner.engine
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// A pool of its own, of up to eight connections. SQLite writes ahead (WAL), so that a reader
    /// does not block the writer, and waits five seconds for a lock, as is sqlx's default.
    pub async fn connect(&self) -> DatabaseConnection {
        self.connect_with(|_| ()).await
    }

    /// A pool with changed options, for example of one connection.
    pub async fn connect_with(
        &self,
        change: impl FnOnce(&mut ConnectOptions),
    ) -> DatabaseConnection {
        let connected = Database::connect(self.options_with(change)).await;
        connected.unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// What [`TestDb::connect_with`] connects with.
    pub fn options_with(&self, change: impl FnOnce(&mut ConnectOptions)) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url());
        options
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(30))
            .sqlx_logging(false);
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .pragma("synchronous", "OFF")
        });
        change(&mut options);
        options
    }

    /// A pool as [`TestDb::connect`] gives it, that counts its statements.
    pub async fn counted(&self) -> (DatabaseConnection, Counter) {
        let mut connection = self.connect().await;
        let counter = Counter::of(&mut connection);
        (connection, counter)
    }

    /// Drops the database.
    pub async fn remove(self) {
        self.engine().remove(self.name()).await;
    }
}

/// Runs a test body with a database of its own, and drops that when the body succeeds.
///
/// # Panics
/// When the body panics or returns an error, or does not end within [`PATIENCE`] (but for a soak). The
/// database then stays, for a look.
pub async fn run<F, R>(engine: Engine, test: &str, body: impl FnOnce(TestDb) -> F)
where
    F: Future<Output = R>,
    R: Outcome,
{
    let whole = run_to_its_end(engine, test, body);
    if std::env::var_os("RECORD_SOAK").is_some() {
        return whole.await;
    }
    if tokio::time::timeout(PATIENCE, whole).await.is_err() {
        let doing = engine.doing().await;
        panic!("{test} hangs on {engine:?}, which is doing this:\n{doing}");
    }
}

/// Many times what the longest test takes.
const PATIENCE: Duration = Duration::from_secs(400);

async fn run_to_its_end<F, R>(engine: Engine, test: &str, body: impl FnOnce(TestDb) -> F)
where
    F: Future<Output = R>,
    R: Outcome,
{
    let db = TestDb::new(engine, test).await;
    let outcome = AssertUnwindSafe(body(db.clone())).catch_unwind().await;
    let outcome = outcome.map(Outcome::into_result);
    if let Ok(Ok(())) = outcome {
        return db.remove().await;
    }
    eprintln!("the database is still there: {}", db.url());
    match outcome {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(result) => result.unwrap_or_else(|error| panic!("{error}\n{error:?}")),
    }
}

/// `()` or a [`TestResult`].
pub trait Outcome {
    fn into_result(self) -> TestResult;
}

impl Outcome for () {
    fn into_result(self) -> TestResult {
        Ok(())
    }
}

impl Outcome for TestResult {
    fn into_result(self) -> TestResult {
        self
    }
}
