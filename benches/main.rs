//! What recording costs, as ratios: each way of doing some work beside what it is compared with, in
//! one process, on one connection, in turns.
//!
//! ```sh
//! cargo bench -p sea-orm-record-benches                          # all of it
//! cargo bench -p sea-orm-record-benches -- updates sqlite        # one case, one database
//! cargo bench -p sea-orm-record-benches -- --quick --rounds 3    # small sizes, to see that it works
//! cargo bench -p sea-orm-record-benches -- --check               # fails where a limit is not met
//! ```
//!
//! The case `frame` is there with `--features polars`, which takes minutes to compile.
//!
//! An argument without dashes is a part of `case database`, such as `fan-out` or `mariadb`; all of
//! them must be found. SQLite needs nothing; PostgreSQL and MariaDB take part when
//! `RECORD_TEST_POSTGRES` and `RECORD_TEST_MYSQL` are URLs with the right to create databases.
//! Progress goes to stderr, a Markdown table to stdout.
//!
//! | where | what |
//! | --- | --- |
//! | `options` | the command line |
//! | `database` | a database on each engine, and where their SQL differs |
//! | `harness` | turns, medians and ratios |
//! | `report` | the table |
//! | `entities`, `tables` | what is written, and how it is filled |
//! | `cases` | what is measured |
//!
//! What the first build costs, a script measures: `benches/first-run.sh`.

mod cases;
mod database;
mod entities;
mod harness;
mod options;
mod report;
mod tables;

use std::error::Error;

use cases::{Case, memory};
use database::{Database, Engine};
use harness::Bench;
use options::Options;
use report::Report;

/// What most functions here return: whatever goes wrong ends the run.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if arguments
        .first()
        .is_some_and(|first| first == memory::CHILD)
    {
        return runtime.block_on(memory::child(&arguments[1..]));
    }
    runtime.block_on(run(&Options::parse(arguments)?))
}

async fn run(options: &Options) -> Result<()> {
    let _alone = database::only_run()?;
    let mut report = Report::default();
    for engine in Engine::available() {
        let chosen: Vec<Case> = Case::ALL
            .iter()
            .copied()
            .filter(|case| options.wants(&format!("{} {engine}", case.name())))
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let database = Database::create(engine).await?;
        report.versions.push(database.version().await?);
        for case in chosen {
            eprintln!("{} on {engine}", case.name());
            let mut bench = Bench::new(case.name(), &database, options, &mut report).await?;
            case.run(&mut bench).await?;
            bench.close().await?;
        }
        database.remove().await?;
    }
    print!("{report}");
    match report.above_limits() {
        above if options.check && above > 0 => {
            Err(format!("{above} of the ratios are above their limits").into())
        }
        _ => Ok(()),
    }
}
