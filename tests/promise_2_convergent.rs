//! Promise 2: when nothing is in flight, the latest record of every row equals its snapshot.
//!
//! Random programs, run by four tasks at once, against a model in memory; the interleavings that are
//! lost without a lock are each a test of `interleavings`. A short run is part of the suite;
//! `scripts/soak` makes it long. Each program has its seed, which is printed where it fails, with
//! the program cut down to what still fails; `RECORD_MODEL_SEED` runs from that seed on.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sea_orm::sqlx::Executor;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::harness::{Engine, TestDb, each_database};
use crate::model::program::{Program, TASKS, program};
use crate::model::run::{Databases, Tally, run};
use crate::model::{tables, waits};

/// Operations of a short run.
const SHORT: usize = 600;

/// How many programs a soak runs at once.
const LANES: usize = 4;

/// How often a program that failed is run while it is cut down: what depends on who comes first
/// does not fail each time.
const AGAIN: usize = 3;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

/// Runs the program of a seed; where it fails, looks for a smaller one that does, and says so.
fn run_seed(db: &Databases, seed: u64, tally: &Arc<Tally>) {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let failed = Cell::new(false);
    let result = TestRunner::new_with_rng(config, rng).run(&program(), |program: Program| {
        let times = if failed.replace(true) { AGAIN } else { 1 };
        for _ in 0..times {
            let running = run(db, &program, tally);
            tokio::runtime::Handle::current().block_on(running);
        }
        failed.set(false);
        Ok(())
    });
    if let Err(error) = result {
        panic!("RECORD_MODEL_SEED={seed} fails; run it with the filter of this test: {error}");
    }
}

/// Runs one program after another until so many operations are done, in several lanes at once, each
/// with a database of its own.
struct Soak {
    operations: usize,
    next: AtomicU64,
    tally: Arc<Tally>,
}

impl Soak {
    /// A run in which nobody waited for anybody proves nothing, so it goes on for a while.
    fn goes_on(&self) -> bool {
        let operations = Tally::of(&self.tally.operations);
        operations < self.operations || (!self.is_contended() && operations < 5 * self.operations)
    }

    fn is_contended(&self) -> bool {
        Tally::of(&self.tally.waits) + Tally::of(&self.tally.retries) > 0
    }

    fn lane(&self, db: &Databases) {
        while self.goes_on() {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            run_seed(db, seed, &self.tally);
        }
    }
}

/// A pool for the tasks. PostgreSQL looks for deadlocks after a second, unless told otherwise.
///
/// Nested saves on a plain pool are transactions that SeaORM begins, at the session's isolation.
fn options(test: &TestDb) -> ConnectOptions {
    test.options_with(|options| {
        options.max_connections(TASKS as u32 * 3);
        options.map_sqlx_postgres_opts(|postgres| postgres.options([("deadlock_timeout", "20ms")]));
        options.map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    let set = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
                    connection.execute(set).await.map(drop)
                })
            })
        });
    })
}

/// Reads are sent to another node, where the server is a cluster: `scripts/cluster-test` names one.
async fn reader(test: &TestDb, db: &DatabaseConnection) -> DatabaseConnection {
    match std::env::var("RECORD_TEST_MYSQL_READER") {
        Ok(node) if test.engine() == Engine::MariaDb => {
            let url = format!("{node}/{}", test.name());
            Database::connect(url).await.unwrap()
        }
        _ => db.clone(),
    }
}

each_database! {
    async fn random_programs_of_four_tasks(test: TestDb) {
        let soak = number("RECORD_SOAK");
        let lanes = if soak.is_some() { LANES } else { 1 };
        let first = number("RECORD_MODEL_SEED");
        // The suite runs the same programs each time, a soak others.
        let first = first.unwrap_or_else(|| if soak.is_some() { any_seed() } else { 1 });
        let soak = Arc::new(Soak {
            operations: soak.map_or(SHORT, |number| number as usize),
            next: AtomicU64::new(first),
            tally: Arc::default(),
        });
        let began = Instant::now();
        let mut running = Vec::new();
        for _ in 0..lanes {
            let own = TestDb::new(test.engine(), "random_programs").await;
            let options = options(&own);
            let db = Database::connect(options.clone()).await.unwrap();
            tables::create(&db).await;
            let reader = reader(&own, &db).await;
            let db = Databases { db, reader, options };
            let soak = Arc::clone(&soak);
            let lane = tokio::task::spawn_blocking(move || soak.lane(&db));
            running.push((own, lane));
        }
        let names: Vec<_> = running.iter().map(|(own, _)| own.name().to_owned()).collect();
        let watch = waits::watch(test.connect().await, &names, Arc::clone(&soak.tally));
        for (own, lane) in running {
            match lane.await {
                Ok(()) => own.remove().await,
                Err(error) => {
                    eprintln!("the database is still there: {}", own.url());
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        }
        drop(watch);
        let tally = &soak.tally;
        report(&test, tally, first..soak.next.load(Ordering::Relaxed), began.elapsed());
        assert!(soak.is_contended(), "nobody waited for anybody: this proves nothing");
    }
}

fn any_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

fn report(test: &TestDb, tally: &Tally, seeds: std::ops::Range<u64>, took: Duration) {
    let operations = Tally::of(&tally.operations);
    println!(
        "{:?}: {operations} operations in {:.0} s ({:.0}/s), seeds {} to {}: {} lock waits seen, \
         {} retries, {} units given up, {} futures dropped, {} commits refused",
        test.engine(),
        took.as_secs_f64(),
        operations as f64 / took.as_secs_f64(),
        seeds.start,
        seeds.end - 1,
        Tally::of(&tally.waits),
        Tally::of(&tally.retries),
        Tally::of(&tally.given_up),
        Tally::of(&tally.cancelled),
        Tally::of(&tally.interrupted),
    );
}
