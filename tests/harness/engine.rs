//! The three databases, and how a database is made and dropped on each.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

/// A database system that the tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

/// Whether it is MySQL itself that `RECORD_TEST_MYSQL` names, where they differ.
pub async fn is_mysql<C: ConnectionTrait>(db: &C) -> bool {
    let backend = db.get_database_backend();
    if backend != DbBackend::MySql {
        return false;
    }
    let version = Statement::from_string(backend, "SELECT VERSION() AS version");
    let row = db.query_one_raw(version).await.unwrap().unwrap();
    !row.try_get::<String>("", "version")
        .unwrap()
        .contains("MariaDB")
}

/// How the names of test databases begin; after it comes the process that made them.
const PREFIX: &str = "record_test_";

impl Engine {
    /// Makes an empty database and returns its URL.
    pub(super) async fn create(self, name: &str) -> String {
        let statement = match self {
            Self::Sqlite => return create_file(name),
            Self::Postgres => format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
            Self::MariaDb => format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"),
        };
        let server = self.server().await;
        self.sweep(&server).await;
        let created = server.execute_unprepared(&statement).await;
        created.unwrap_or_else(|error| panic!("{statement}: {error}"));
        server.close().await.unwrap();
        with_database(&self.server_url(), name)
    }

    /// Drops a database, also when a connection to it is still open.
    pub(super) async fn remove(self, name: &str) {
        if self == Self::Sqlite {
            return fs::remove_dir_all(directory(name)).unwrap();
        }
        let server = self.server().await;
        if let Err(error) = self.drop_database(&server, name).await {
            eprintln!("the database {name} stays behind: {error}");
        }
        server.close().await.unwrap();
    }

    /// What each connection to the server is at.
    pub(super) async fn doing(self) -> String {
        let connections = match self {
            Self::Sqlite => return "SQLite does not tell".to_owned(),
            Self::Postgres => {
                "SELECT concat_ws(' | ', pid, datname, state, wait_event, query) AS it \
                 FROM pg_stat_activity WHERE datname IS NOT NULL"
            }
            Self::MariaDb => {
                "SELECT concat_ws(' | ', id, db, command, time, state, info) AS it \
                 FROM information_schema.processlist"
            }
        };
        let server = self.server().await;
        let asked = Statement::from_string(server.get_database_backend(), connections);
        let rows = server.query_all_raw(asked).await.unwrap_or_default();
        let rows = rows.iter().map(|row| row.try_get("", "it"));
        rows.map(|it: Result<String, _>| it.unwrap_or_default() + "\n")
            .collect()
    }

    async fn drop_database(self, server: &DatabaseConnection, name: &str) -> Result<(), DbErr> {
        let force = if self == Self::Postgres {
            "WITH (FORCE)"
        } else {
            ""
        };
        if self == Self::MariaDb {
            // A forgotten open transaction holds its tables: better a left-over than a hang.
            server
                .execute_unprepared("SET SESSION lock_wait_timeout = 5")
                .await?;
        }
        server
            .execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} {force}"))
            .await?;
        Ok(())
    }

    /// Drops what test processes of this machine that are gone left on its server.
    async fn sweep(self, server: &DatabaseConnection) {
        let local = ["@127.0.0.1", "@localhost"]
            .iter()
            .any(|host| self.server_url().contains(host));
        if !local {
            return;
        }
        let names = match self {
            Self::Sqlite => return,
            Self::Postgres => "SELECT datname AS name FROM pg_database",
            Self::MariaDb => "SELECT schema_name AS name FROM information_schema.schemata",
        };
        let rows =
            server.query_all_raw(Statement::from_string(server.get_database_backend(), names));
        for row in rows.await.unwrap() {
            let name: String = row.try_get("", "name").unwrap();
            if is_left_over(&name) {
                // Another process may be sweeping the same one.
                let _ = self.drop_database(server, &name).await;
            }
        }
    }

    async fn server(self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.server_url());
        options.max_connections(1).sqlx_logging(false);
        let connected = Database::connect(options).await;
        connected.unwrap_or_else(|error| {
            panic!(
                "{}; is the server of {} running? {ADVICE}",
                error,
                self.variable()
            )
        })
    }

    fn server_url(self) -> String {
        let variable = self.variable();
        env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: {ADVICE}"))
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Sqlite => unreachable!("SQLite has no server"),
            Self::Postgres => "RECORD_TEST_POSTGRES",
            Self::MariaDb => "RECORD_TEST_MYSQL",
        }
    }
}

const ADVICE: &str = "run `scripts/test`, which finds or starts the servers and sets their URLs, \
    or `scripts/test --sqlite`, which needs none.";

/// A name for a database that no other test of any process has: at most 63 bytes, as PostgreSQL
/// has it.
pub(super) fn database_name(test: &str) -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    let suffix = format!("_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut name = format!("{PREFIX}{}_{}", std::process::id(), test.to_lowercase());
    name.retain(|c| c.is_ascii_alphanumeric() || c == '_');
    name.truncate(63 - suffix.len());
    name + &suffix
}

/// Whether a database of this name was made by a process that is gone. Without `/proc` no such
/// thing is known.
fn is_left_over(name: &str) -> bool {
    let process = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('_').next());
    let Some(process) = process.and_then(|digits| digits.parse::<u32>().ok()) else {
        return false;
    };
    Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{process}")).exists()
}

fn with_database(server_url: &str, name: &str) -> String {
    let (address, query) = match server_url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (server_url, String::new()),
    };
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    format!("{}/{name}{query}", &address[..end])
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn create_file(name: &str) -> String {
    sweep_files();
    let directory = directory(name);
    fs::create_dir_all(&directory).unwrap();
    format!(
        "sqlite://{}?mode=rwc",
        directory.join("db.sqlite").display()
    )
}

fn sweep_files() {
    let Ok(entries) = fs::read_dir(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
    for entry in entries.flatten() {
        if is_left_over(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
