//! Where generated migrations go, and the program that writes them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, Set,
};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use sea_orm_record::Event;
use sea_orm_record_migration::{Evolution, Generate, RecordTable};

use super::gizmo;
use super::migrator::{FIRST, Migrator};
use crate::harness::*;

/// The source of a migration crate, of one migration.
struct Crate(PathBuf);

const LIB: &str = "pub use sea_orm_migration::prelude::*;

mod m20260101_000001_create_gizmo;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20260101_000001_create_gizmo::Migration)]
    }
}
";

impl Crate {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("migration_crate_{}_{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("src")).unwrap();
        fs::write(path.join("src/lib.rs"), LIB).unwrap();
        fs::write(path.join(format!("src/{FIRST}.rs")), "").unwrap();
        Self(path)
    }

    fn lib(&self) -> String {
        fs::read_to_string(self.0.join("src/lib.rs")).unwrap()
    }

    /// All files, in order.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("src")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program, with these arguments.
    fn run(&self, test: &TestDb, args: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_record-program"));
        program
            .args(args.split(' '))
            .env("DATABASE_URL", test.url())
            .current_dir(&self.0);
        program.env_remove("CARGO_MANIFEST_DIR").output().unwrap()
    }

    fn is_untouched(&self) -> bool {
        self.lib() == LIB && self.files() == ["lib.rs".to_owned(), format!("{FIRST}.rs")]
    }
}

impl Drop for Crate {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn table() -> RecordTable {
    RecordTable::of(gizmo::record::Entity).unwrap()
}

fn evolution() -> Evolution {
    Evolution::new().table(table())
}

async fn refusal(generate: Generate<'_>, db: &DatabaseConnection) -> String {
    generate.run(&Migrator, db).await.unwrap_err().to_string()
}

each_database! {
    async fn a_migration_is_written_and_registered(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        let (folder, evolution) = (Crate::new(), evolution());
        // As a generator that was killed leaves it.
        fs::write(folder.0.join("src/lib.rs.next"), "").unwrap();
        let file = Generate::new(&evolution, &folder.0).run(&Migrator, db).await.unwrap().unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(name.ends_with("_create_gizmo_record"), "{name}");
        assert_eq!(fs::read_to_string(&file).unwrap(), evolution.migration(db).await.unwrap().unwrap());
        assert_eq!(folder.lib(), format!("pub use sea_orm_migration::prelude::*;

mod m20260101_000001_create_gizmo;
mod {name};

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {{
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {{
        vec![
            Box::new(m20260101_000001_create_gizmo::Migration),
            Box::new({name}::Migration),
        ]
    }}
}}
"));
        assert_eq!(folder.files().len(), 3, "and nothing else is left");

        // This program does not know it yet, so what it would compare is out of date.
        let problem = refusal(Generate::new(&evolution, &folder.0), db).await;
        assert!(problem.contains(&format!("{name} is in")), "{problem}");
        assert_eq!(folder.files().len(), 3);
    }

    async fn nothing_is_written_where_nothing_differs(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        table().create(&SchemaManager::new(db)).await.unwrap();
        let (folder, evolution) = (Crate::new(), evolution());
        assert_eq!(Generate::new(&evolution, &folder.0).run(&Migrator, db).await.unwrap(), None);
        assert!(folder.is_untouched());
    }

    /// Also where it was interrupted half-way: it says what it saw.
    async fn a_pending_migration_is_refused(test: TestDb) {
        let db = &test.connect().await;
        let (folder, evolution) = (Crate::new(), evolution());
        let problem = refusal(Generate::new(&evolution, &folder.0), db).await;
        assert_eq!(problem, format!(
            "Migration Error: {FIRST} is pending: run `up` first, also where it was interrupted half-way. \
             What the database has now:\n- gizmo_record: table: missing, wanted present"
        ));
        assert!(folder.is_untouched());
    }

    async fn a_table_that_is_gone_is_not_made_again_unasked(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        let (folder, evolution) = (Crate::new(), evolution());
        // As the one that made it: the migrator has no other.
        fs::write(folder.0.join(format!("src/{FIRST}.rs")), evolution.migration(db).await.unwrap().unwrap()).unwrap();
        let problem = refusal(Generate::new(&evolution, &folder.0), db).await;
        assert!(problem.contains(&format!("`gizmo_record` is gone, and {FIRST} had made it")), "{problem}");
        assert!(folder.is_untouched());
        let generate = Generate::new(&evolution, &folder.0).anew().named("again");
        assert!(generate.run(&Migrator, db).await.unwrap().is_some());
    }

    /// However that was said: by its entity, by a constant, over several lines.
    async fn a_table_that_is_gone_is_known_by_any_migration_that_made_it(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        let evolution = evolution();
        for (made, source) in [
            (true, "manager.create_record_table(gizmo::record::Entity).await"),
            (true, "manager\n    .create_record_table_if_not_exists(\n        entity::gizmo::record::Entity,\n    )"),
            (true, "use entity::gizmo::record;\nmanager.create_partitioned_record_table(record::Entity, monthly())"),
            (true, "const TABLE: &str = \"gizmo_record\";\nRecordTable::new(TABLE).key([\"a\"]).create(manager)"),
            (true, "RecordTable::new(\n    \"gizmo_record\",\n)\n.create(manager)"),
            (true, "ChangeRecordTable::new(\"gizmo_record\").apply(manager)"),
            // Its own table, and others' records.
            (false, "Table::create().table(\"gizmo\"); manager.create_record_table(gadget::record::Entity)"),
            (false, "RecordTable::new(\"gadget_record\").create(manager)"),
        ] {
            let folder = Crate::new();
            fs::write(folder.0.join(format!("src/{FIRST}.rs")), source).unwrap();
            let generated = Generate::new(&evolution, &folder.0).run(&Migrator, db).await;
            match made {
                true => {
                    let problem = generated.unwrap_err().to_string();
                    assert!(problem.contains("`gizmo_record` is gone"), "{source}: {problem}");
                    assert!(folder.files().len() == 2);
                }
                false => assert!(generated.unwrap().is_some(), "{source}"),
            }
        }
    }

    async fn of_two_generators_one_is_refused(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        let (folder, evolution) = (Crate::new(), evolution());
        let held = File::open(folder.0.join("src/lib.rs")).unwrap();
        held.lock().unwrap();
        let problem = refusal(Generate::new(&evolution, &folder.0), db).await;
        assert!(problem.contains("another generator is at work"), "{problem}");
        assert!(folder.is_untouched());
        held.unlock().unwrap();

        // However they meet: one file, registered once.
        let generate = |name: &'static str| {
            let generate = Generate::new(&evolution, &folder.0).named(name);
            async move { generate.run(&Migrator, db).await }
        };
        let (a, b, c) = tokio::join!(generate("a"), generate("b"), generate("c"));
        assert_eq!([a, b, c].iter().filter(|it| it.is_ok()).count(), 1);
        assert_eq!(folder.files().len(), 3);
        assert_eq!(folder.lib().matches("Box::new").count(), 2);
    }

    async fn what_cannot_be_written_leaves_nothing(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, None).await.unwrap();
        let (folder, evolution) = (Crate::new(), evolution());
        let problem = refusal(Generate::new(&evolution, &folder.0).named("a-b"), db).await;
        assert!(problem.contains("`a-b` is no name"), "{problem}");
        let problem = refusal(Generate::new(&evolution, folder.0.join("elsewhere")), db).await;
        assert!(problem.contains("there is no migrator in"), "{problem}");
        assert!(folder.is_untouched());

        fs::write(folder.0.join("src/lib.rs"), "mod nothing;\n").unwrap();
        let problem = refusal(Generate::new(&evolution, &folder.0), db).await;
        assert!(problem.contains("has no `fn migrations`"), "{problem}");
        assert_eq!(folder.files().len(), 2);
    }

    /// Which rows, from where, and what the options of the entity keep.
    async fn the_program_says_what_it_finds_and_keeps_what_is_marked(test: TestDb) {
        let db = &test.connect().await;
        let folder = Crate::new();
        let run = |args: &str| folder.run(&test, args);
        assert_eq!(code(&run("up")), 0);
        table().create(&SchemaManager::new(db)).await.unwrap();
        for id in 1..=3 {
            let insert = format!("INSERT INTO gizmo (id, name) VALUES ({id}, 'last')");
            db.execute_unprepared(&insert).await.unwrap();
        }
        let verified = run("record verify");
        assert_eq!(code(&verified), 1);
        assert!(error(&verified).contains("gizmo 2: it has no record\n"), "{}", error(&verified));
        let verified = out(&run("record verify --after 2 gizmo"));
        assert!(verified.starts_with("gizmo: 1 rows, 1 without a record"), "{verified}");
        let unknown = run("record backfill --after many");
        assert_eq!((code(&unknown), error(&unknown)),
            (2, "Migration Error: `--after many`: that is no key of `gizmo`\n".into()));
        assert_eq!(out(&run("record backfill --after 2")), "gizmo: 1 rows, 1 records written\n");
        assert_eq!(out(&run("record backfill")), "gizmo: 3 rows, 2 records written\n");

        // Of one bucket the last is kept, the first of all, and what is marked.
        let records = ["first", "approved", "between", "late"].into_iter().enumerate();
        for (hour, name) in records {
            let at = format!("2020-01-02T0{hour}:00:00Z").parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            let record = gizmo::record::ActiveModel {
                recording_id: Set(1), recorded_at: Set(at), event: Set(Event::Updated),
                name: Set(name.to_owned()), letters: Set(1),
            };
            gizmo::record::Entity::insert(record).exec_without_returning(db).await.unwrap();
        }
        assert!(out(&run("record prune --dry-run")).starts_with("gizmo: 1 of 4 records would go"));
        assert_eq!(out(&run("record prune --after 1")), "gizmo: 0 of 0 records removed\n");
        let none = run("record prune --share 0");
        assert_eq!(code(&none), 2);
        assert!(error(&none).contains("a number from 0.01 to 100"), "{}", error(&none));
        assert_eq!(out(&run("record prune --share 12.5")), "gizmo: 1 of 4 records removed\n");
        let left = gizmo::record::Entity::find().filter(gizmo::record::Column::Name.ne("last"));
        let left = left.order_by_asc(gizmo::record::Column::RecordedAt).all(db).await.unwrap();
        assert_eq!(left.into_iter().map(|it| it.name).collect::<Vec<_>>(), ["first", "approved", "late"]);
    }

    /// The program itself, from an empty database to a pruned history.
    async fn the_program_runs(test: TestDb) {
        let db = &test.connect().await;
        let folder = Crate::new();
        let run = |args: &str| folder.run(&test, args);
        assert!(out(&run("record check")).contains(&format!("{FIRST} is pending: `up` runs it")));
        // SeaORM's own commands are passed on.
        assert_eq!(code(&run("up")), 0);

        let checked = run("record check");
        assert_eq!(code(&checked), 1);
        assert_eq!(out(&checked), "\
table         what   entity   database  to do\n\
gizmo_record  table  present  missing   create the table\n");
        assert!(out(&run("record status")).contains("gizmo   gizmo_record  -     -         -        1"));
        let generated = run("record generate histories");
        assert_eq!(code(&generated), 0);
        assert!(out(&generated).ends_with("_histories.rs\n"), "{}", out(&generated));
        assert_eq!(folder.files().len(), 3);
        let again = run("record generate");
        assert_eq!(code(&again), 2);
        assert!(error(&again).contains("build the program again"), "{}", error(&again));

        table().create(&SchemaManager::new(db)).await.unwrap();
        let checked = run("record check");
        assert_eq!((code(&checked), out(&checked)), (0, "entities and database agree\n".into()));
        for id in 1..=3 {
            let insert = format!("INSERT INTO gizmo (id, name) VALUES ({id}, 'one')");
            db.execute_unprepared(&insert).await.unwrap();
        }
        let verified = run("record verify");
        assert_eq!(code(&verified), 1);
        assert!(out(&verified).contains("3 rows, 3 without a record"), "{}", out(&verified));
        assert_eq!(out(&run("record backfill")), "gizmo: 3 rows, 3 records written\n");
        db.execute_unprepared("UPDATE gizmo SET name = 'four' WHERE id = 1").await.unwrap();
        assert_eq!(out(&run("record verify --repair gizmo")),
            "gizmo: 3 rows, 0 without a record, 1 that differ, 0 gone, 1 repaired\n");
        assert_eq!(code(&run("record verify")), 0);
        let would = out(&run("record prune --dry-run"));
        assert!(would.starts_with("gizmo: 0 of "), "{would}");
        assert_eq!(code(&run("record prune")), 0);
        let status = out(&run("record status"));
        assert!(status.contains("gizmo   gizmo_record  3     3         4        0"), "{status}");

        let unknown = run("record backfill gadget");
        assert_eq!((code(&unknown), error(&unknown)),
            (2, "Migration Error: there is no entity of the table `gadget`; there is gizmo\n".into()));
        assert_eq!(code(&run("record generate --fill letters=many")), 2);
        assert_eq!(code(&run("record generate --rename letters")), 2);
        db.execute_unprepared("ALTER TABLE gizmo_record RENAME COLUMN name TO title").await.unwrap();
        let hint = "if `name` is what `title` was, say `--rename gizmo_record.title=name`\n";
        assert!(error(&run("record generate")).starts_with(hint));
        assert!(!error(&run("record generate --rename title=name")).contains(hint));
        let no_database = Command::new(env!("CARGO_BIN_EXE_record-program"))
            .args(["record", "check"]).env_remove("DATABASE_URL").current_dir(&folder.0).output().unwrap();
        assert_eq!(code(&no_database), 2);
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
