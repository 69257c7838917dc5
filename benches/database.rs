//! A database on each engine, and where their SQL differs.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;

use sea_orm::sqlx::sqlite::SqliteJournalMode;
use sea_orm::{ConnectOptions, ConnectionTrait, Database as Seaorm, DatabaseConnection, Statement};

use crate::Result;

/// The name of the database; one that an earlier run left behind is replaced.
const NAME: &str = "record_bench";

/// When the first record of a filled history was written: 2026-01-01 00:00:00 UTC.
pub const BEGIN: i64 = 1_767_225_600;

/// A database system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Engine {
    /// SQLite, and those whose servers the environment names.
    pub fn available() -> Vec<Self> {
        let mut engines = vec![Self::Sqlite, Self::Postgres, Self::MariaDb];
        engines.retain(|engine| *engine == Self::Sqlite || engine.server_url().is_some());
        engines
    }

    fn server_url(self) -> Option<String> {
        let variable = match self {
            Self::Sqlite => return None,
            Self::Postgres => "RECORD_TEST_POSTGRES",
            Self::MariaDb => "RECORD_TEST_MYSQL",
        };
        std::env::var(variable).ok()
    }

    /// A row source `n` of the numbers `i` from 1 to `count`.
    pub fn numbers(self, count: usize) -> String {
        match self {
            Self::Sqlite => format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
                 SELECT i FROM n) AS n"
            ),
            Self::Postgres => format!("generate_series(1::bigint, {count}) AS n(i)"),
            Self::MariaDb => format!("(SELECT seq AS i FROM seq_1_to_{count}) AS n"),
        }
    }

    /// The time that lies `micros`, an expression, after [`BEGIN`]. On SQLite it is written as sqlx
    /// binds it as long as `micros` is no multiple of a thousand.
    pub fn time(self, micros: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "strftime('%Y-%m-%dT%H:%M:%S', {BEGIN} + ({micros}) / 1000000, 'unixepoch') \
                 || printf('.%06d', ({micros}) % 1000000) || '+00:00'"
            ),
            Self::Postgres => {
                format!("to_timestamp({BEGIN}) + ({micros}) * interval '1 microsecond'")
            }
            Self::MariaDb => {
                format!("TIMESTAMP'2026-01-01 00:00:00' + INTERVAL ({micros}) MICROSECOND")
            }
        }
    }

    /// What gives a table the statistics that it has in use. SQLite makes none by itself.
    pub fn analyze(self, table: &str) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(format!("VACUUM ANALYZE {table}")),
            Self::MariaDb => Some(format!("ANALYZE TABLE {table}")),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// An empty database of our own.
pub struct Database {
    pub engine: Engine,
    pub url: String,
}

impl Database {
    pub async fn create(engine: Engine) -> Result<Self> {
        let Some(server) = engine.server_url() else {
            let directory = directory();
            // Nothing is there the first time.
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory)?;
            let url = format!("sqlite://{}/db.sqlite?mode=rwc", directory.display());
            return Ok(Self { engine, url });
        };
        let create = match engine {
            Engine::MariaDb => format!("CREATE DATABASE {NAME} CHARACTER SET utf8mb4"),
            _ => format!("CREATE DATABASE {NAME}"),
        };
        on_server(&server, &[&drop_database(), &create]).await?;
        let (address, _) = server.rsplit_once('/').ok_or("the URL names no database")?;
        Ok(Self {
            engine,
            url: format!("{address}/{NAME}"),
        })
    }

    /// A pool of one connection.
    pub async fn connect(&self) -> Result<DatabaseConnection> {
        connect(&self.url).await
    }

    /// The name and version of the server.
    pub async fn version(&self) -> Result<String> {
        let db = self.connect().await?;
        let sql = match self.engine {
            Engine::Sqlite => "SELECT sqlite_version() AS version",
            _ => "SELECT version() AS version",
        };
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await?.ok_or("no version")?;
        let version: String = row.try_get("", "version")?;
        db.close().await?;
        Ok(match version.starts_with("PostgreSQL") {
            true => version,
            false => format!("{} {version}", self.engine),
        })
    }

    pub async fn remove(self) -> Result<()> {
        match self.engine.server_url() {
            Some(server) => on_server(&server, &[&drop_database()]).await,
            None => Ok(fs::remove_dir_all(directory())?),
        }
    }
}

/// A pool of one connection, so that everything is sequential and statements stay prepared.
///
/// SQLite writes ahead (WAL) and does not wait for the disk: that would only make what is compared
/// look more alike.
pub async fn connect(url: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(1)
        .sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("synchronous", "OFF")
    });
    Ok(Seaorm::connect(options).await?)
}

async fn on_server(url: &str, statements: &[&str]) -> Result<()> {
    let server = connect(url).await?;
    for sql in statements {
        server.execute_unprepared(sql).await?;
    }
    Ok(server.close().await?)
}

fn drop_database() -> String {
    format!("DROP DATABASE IF EXISTS {NAME}")
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(NAME)
}

/// Held while benchmarks run: two runs would disturb each other, and share a database.
pub fn only_run() -> Result<File> {
    let path = directory().with_extension("lock");
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
    let lock = File::create(path)?;
    lock.try_lock()
        .map_err(|error| format!("is another run of the benchmarks under way? {error}"))?;
    Ok(lock)
}
