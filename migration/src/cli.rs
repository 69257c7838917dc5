//! The program: `record …` beside SeaORM's own `migrate` commands.

mod args;
mod entities;
mod report;

use std::env;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, EntityTrait};
use sea_orm_migration::MigratorTraitSelf;
use sea_orm_migration::cli::{Cli, run_cli};
use sea_orm_record::Recorded;

use self::args::{assignment, list};
pub use self::entities::EntityOptions;
use self::entities::{AnyEntity, Typed};
use self::report::{Running, table};
use crate::fill::{parsed, written};
use crate::{Difference, Evolution, Generate};

/// The program of a migration crate: `record generate`, `check`, `status`, `backfill`, `verify` and
/// `prune`, beside SeaORM's own commands (`up`, `down`, `status` …), which are passed on to it.
///
/// The database is found as SeaORM does: `--database-url`, `DATABASE_URL`, a file `.env`.
///
/// | exit code | what it means |
/// | --- | --- |
/// | 0 | done; `check` and `verify` found nothing |
/// | 1 | `check` found differences, or `verify` without `--repair` found rows |
/// | 2 | it could not be done; the error says why |
///
/// ```no_run
/// # mod article {
/// #     use sea_orm::entity::prelude::*;
/// #     use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};
/// #     #[recorded(columns(title))]
/// #     #[sea_orm::model]
/// #     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "article")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key)]
/// #         pub id: i32,
/// #         pub title: String,
/// #     }
/// #     impl Recorded for Entity {
/// #         type Record = record::Entity;
/// #         fn recorder() -> Recorder<Self> {
/// #             Recorder::<Self>::new()
/// #         }
/// #     }
/// #     #[record_hooks]
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # mod migration {
/// #     use sea_orm_migration::prelude::*;
/// #     pub struct Migrator;
/// #     impl MigratorTrait for Migrator {
/// #         fn migrations() -> Vec<Box<dyn MigrationTrait>> { vec![] }
/// #     }
/// # }
/// use std::process::ExitCode;
///
/// use sea_orm_record_migration::RecordCli;
///
/// #[tokio::main]
/// async fn main() -> ExitCode {
///     RecordCli::new(migration::Migrator)
///         .entity(article::Entity)
///         .run()
///         .await
/// }
/// ```
#[must_use = "nothing is done until `run`"]
pub struct RecordCli<M> {
    migrator: M,
    entities: Vec<Box<dyn AnyEntity>>,
}

impl<M> std::fmt::Debug for RecordCli<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entities: Vec<_> = self.entities.iter().map(|it| it.name()).collect();
        f.debug_struct("RecordCli")
            .field("entities", &entities)
            .finish_non_exhaustive()
    }
}

/// What comes of a command.
type Outcome = Result<ExitCode, DbErr>;

const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

impl<M: MigratorTraitSelf> RecordCli<M> {
    /// For the migrations of this migrator; of no entity yet.
    pub fn new(migrator: M) -> Self {
        Self {
            migrator,
            entities: Vec::new(),
        }
    }

    /// Also of this entity.
    pub fn entity<E: Recorded>(self, entity: E) -> Self
    where
        <E::Record as EntityTrait>::Model: Sync,
    {
        self.entity_with(entity, |options| options)
    }

    /// Also of this entity, with what the program is to know of it.
    ///
    /// ```no_run
    /// # use sea_orm_migration::MigratorTrait;
    /// # fn example<M: MigratorTrait + Sync, E: sea_orm_record::Recorded>(migrator: M, reading: E)
    /// # where <E::Record as sea_orm::EntityTrait>::Model: Sync {
    /// use sea_orm_record::{FOREVER, Retention};
    /// use sea_orm_record_migration::RecordCli;
    ///
    /// let cli = RecordCli::new(migrator).entity_with(reading, |reading| {
    ///     reading
    ///         .retention(Retention::new().then_every("1h", FOREVER))
    ///         .renamed("temp", "temperature")
    /// });
    /// # let _ = cli;
    /// # }
    /// ```
    pub fn entity_with<E: Recorded>(
        mut self,
        entity: E,
        options: impl FnOnce(EntityOptions) -> EntityOptions,
    ) -> Self
    where
        <E::Record as EntityTrait>::Model: Sync,
    {
        let options = options(EntityOptions::default());
        self.entities.push(Box::new(Typed { entity, options }));
        self
    }

    /// Does what the arguments of the process say. What is not `record …` is SeaORM's, which ends the
    /// process with 1 when it fails.
    pub async fn run(self) -> ExitCode {
        dotenvy::dotenv().ok();
        let matches = Cli::command().subcommand(args::command()).get_matches();
        let Some(("record", record)) = matches.subcommand() else {
            run_cli(self.migrator).await;
            return ExitCode::SUCCESS;
        };
        let Some((command, arguments)) = record.subcommand() else {
            return ExitCode::from(FAILED);
        };
        let done = match connect(&matches).await {
            Ok(db) => self.command(&db, command, arguments).await,
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        })
    }

    async fn command(&self, db: &DatabaseConnection, command: &str, args: &ArgMatches) -> Outcome {
        match command {
            "generate" => self.generate(db, args).await,
            "check" => self.check(db).await,
            "status" => self.status(db).await,
            "backfill" => self.backfill(db, args).await,
            "verify" => self.verify(db, args).await,
            _ => self.prune(db, args).await,
        }
    }

    /// What the entities want, and were told to have been called before.
    fn evolution(&self) -> Result<Evolution, DbErr> {
        let mut evolution = Evolution::new();
        for entity in &self.entities {
            let table = entity.table()?;
            let name = table.name();
            evolution = evolution.table(table);
            for (from, to) in &entity.options().renames {
                evolution = evolution.renamed(&*name, &**from, &**to);
            }
        }
        Ok(evolution)
    }

    async fn generate(&self, db: &DatabaseConnection, args: &ArgMatches) -> Outcome {
        let mut evolution = told(self.evolution()?, args).map_err(DbErr::Migration)?;
        for (table, from, to) in evolution.possible_renames(db).await? {
            if is_renamed(&table, &from, &to) {
                evolution = evolution.renamed(table, from, to);
            }
        }
        let mut generate = Generate::new(&evolution, folder(args));
        if let Some(name) = args.get_one::<String>("name") {
            generate = generate.named(name);
        }
        if args.get_flag("anew") {
            generate = generate.anew();
        }
        match generate.run(&self.migrator, db).await? {
            Some(file) => println!("{}", file.display()),
            None => println!("nothing differs: no migration is needed"),
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn check(&self, db: &DatabaseConnection) -> Outcome {
        let differences = self.evolution()?.differences(db).await?;
        if differences.is_empty() {
            println!("entities and database agree");
            return Ok(ExitCode::SUCCESS);
        }
        let cells = |it: &Difference| {
            let remedy = it.remedy().unwrap_or_else(|_| "refused".to_owned());
            [it.table(), it.what(), it.wanted(), it.found(), &remedy].map(str::to_owned)
        };
        let rows: Vec<_> = differences.iter().map(|it| cells(it).into()).collect();
        let headings = ["table", "what", "entity", "database", "to do"];
        print!("{}", table(&headings, &rows));
        for difference in &differences {
            if let Err(why) = difference.remedy() {
                println!("\n{} of {}: {why}", difference.what(), difference.table());
            }
        }
        for pending in self.migrator.get_pending_migrations_read_only(db).await? {
            println!("\n{} is pending: `up` runs it", pending.name());
        }
        Ok(ExitCode::from(DIFFERENT))
    }

    async fn status(&self, db: &DatabaseConnection) -> Outcome {
        let mut rows = Vec::new();
        for entity in &self.entities {
            let table = entity.table()?;
            let name = table.name();
            let differences = Evolution::new().table(table).differences(db).await?;
            // Of a table that is not there nothing can be counted.
            let counts = entity.counts(db).await.ok();
            let count = |count: Option<u64>| count.map_or("-".to_owned(), |it| it.to_string());
            rows.push(vec![
                entity.name(),
                name,
                count(counts.as_ref().map(|it| it.rows)),
                count(counts.as_ref().map(|it| it.recorded)),
                count(counts.as_ref().map(|it| it.records)),
                differences.len().to_string(),
            ]);
        }
        let headings = [
            "entity",
            "table",
            "rows",
            "recorded",
            "records",
            "differences",
        ];
        print!("{}", table(&headings, &rows));
        Ok(ExitCode::SUCCESS)
    }

    async fn backfill(&self, db: &DatabaseConnection, args: &ArgMatches) -> Outcome {
        for entity in self.chosen(args)? {
            let total = entity.rows(db).await?;
            let (running, report) = Running::new(&entity.name(), "rows", total);
            let (differing, after) = (args.get_flag("differing"), after(args));
            let done = running.ended(entity.backfill(db, differing, after, report).await)?;
            println!(
                "{}: {} rows, {} records written",
                entity.name(),
                done.rows,
                done.records
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn verify(&self, db: &DatabaseConnection, args: &ArgMatches) -> Outcome {
        let repair = args.get_flag("repair");
        let mut is_clean = true;
        for entity in self.chosen(args)? {
            let total = entity.rows(db).await?;
            let (running, report) = Running::new(&entity.name(), "rows", total);
            let done = entity.verify(db, repair, after(args), report).await;
            let done = running.ended(done)?;
            is_clean &= done.is_clean();
            println!(
                "{}: {} rows, {} without a record, {} that differ, {} gone, {} repaired",
                entity.name(),
                done.rows,
                done.missing,
                done.differing,
                done.orphans,
                done.repaired
            );
        }
        Ok(match is_clean || repair {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DIFFERENT),
        })
    }

    async fn prune(&self, db: &DatabaseConnection, args: &ArgMatches) -> Outcome {
        for entity in self.chosen(args)? {
            let name = entity.name();
            let Some(retention) = &entity.options().retention else {
                println!("{name}: no retention; all is kept");
                continue;
            };
            if args.get_flag("dry-run") {
                let would = entity.forecast(db, retention, after(args)).await?;
                let bytes = would
                    .bytes
                    .map_or(String::new(), |it| format!(", about {it} bytes"));
                println!(
                    "{name}: {} of {} records would go{bytes}",
                    would.removed, would.records
                );
                continue;
            }
            let total = entity.prunable(db, retention).await?;
            let (running, report) = Running::new(&name, "records", total);
            let share = args.get_one("share").copied().unwrap_or(100.0);
            let how = (after(args), share);
            let done = entity.prune(db, retention, how, report).await;
            let done = running.ended(done)?;
            println!(
                "{name}: {} of {} records removed",
                done.removed, done.records
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The entities that are named, or all.
    fn chosen(&self, args: &ArgMatches) -> Result<Vec<&dyn AnyEntity>, DbErr> {
        let names = list(args, "entity");
        let all = || self.entities.iter().map(|entity| &**entity);
        for name in &names {
            if !all().any(|it| it.name() == *name) {
                let known: Vec<_> = all().map(|it| it.name()).collect();
                return Err(DbErr::Migration(format!(
                    "there is no entity of the table `{name}`; there is {}",
                    known.join(", ")
                )));
            }
        }
        let chosen: Vec<_> = all()
            .filter(|it| names.is_empty() || names.contains(&&*it.name()))
            .collect();
        match after(args).is_some() && chosen.len() != 1 {
            true => Err(DbErr::Migration(
                "`--after` is about one table: name it".to_owned(),
            )),
            false => Ok(chosen),
        }
    }
}

/// The key that a run goes on after.
fn after(args: &ArgMatches) -> Option<&str> {
    args.get_one::<String>("after").map(String::as_str)
}

/// As SeaORM's program does.
async fn connect(matches: &ArgMatches) -> Result<DatabaseConnection, DbErr> {
    let Some(url) = matches.get_one::<String>("database_url") else {
        return Err(DbErr::Migration(
            "no database: give --database-url, or set DATABASE_URL".to_owned(),
        ));
    };
    let schema = matches.get_one::<String>("database_schema");
    let mut options = ConnectOptions::new(url);
    options
        .set_schema_search_path(schema.map_or("public", String::as_str))
        .sqlx_logging(false);
    Database::connect(options).await
}

/// Where the migrator's source is: `cargo run` says which crate it runs.
fn folder(args: &ArgMatches) -> PathBuf {
    args.get_one::<PathBuf>("migration-dir")
        .cloned()
        .or_else(|| env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// With `--rename` and `--fill`.
fn told(mut evolution: Evolution, args: &ArgMatches) -> Result<Evolution, String> {
    let tables: Vec<_> = evolution.tables().iter().map(|it| it.name()).collect();
    for text in list(args, "rename") {
        let (table, from, to) = assignment(text, &tables)?;
        evolution = evolution.renamed(table, from, to);
    }
    for text in list(args, "fill") {
        let (table, column, value) = assignment(text, &tables)?;
        let Some(ty) = evolution.type_of(table, column) else {
            return Err(format!("`{table}` has no column `{column}` to fill"));
        };
        let value = parsed(value, ty).ok_or_else(|| {
            format!(
                "`{text}` has no value that `{column}` could be filled with: {}",
                written(ty)
            )
        })?;
        evolution = evolution.filled(table, column, value);
    }
    Ok(evolution)
}

/// Asks where somebody is there to answer; else says how to tell.
fn is_renamed(table: &str, from: &str, to: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("if `{to}` is what `{from}` was, say `--rename {table}.{from}={to}`");
        return false;
    }
    eprint!("Was `{from}` of `{table}` renamed to `{to}`? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
