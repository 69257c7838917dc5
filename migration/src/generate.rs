//! Writing a migration into the folder of a migrator.

use std::path::PathBuf;

use chrono::Utc;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::MigratorTraitSelf;

use crate::folder::Folder;
use crate::source::{Step, source};
use crate::{Evolution, RecordTable};

/// A migration to be written, of the differences between entities and a database.
///
/// It writes `mYYYYMMDD_HHMMSS_name.rs`, and registers it in the migrator's `lib.rs` (or `mod.rs`), as
/// `sea-orm-cli migrate generate` does. `RecordCli`, of the feature `cli`, calls it as
/// `record generate`.
///
/// ```no_run
/// # use sea_orm_migration::prelude::*;
/// # struct Migrator;
/// # impl MigratorTrait for Migrator {
/// #     fn migrations() -> Vec<Box<dyn MigrationTrait>> { vec![] }
/// # }
/// # async fn example(db: sea_orm::DatabaseConnection, evolution: sea_orm_record_migration::Evolution) -> Result<(), DbErr> {
/// use sea_orm_record_migration::Generate;
///
/// let written = Generate::new(&evolution, "migration").named("subtitles").run(&Migrator, &db).await?;
/// match written {
///     Some(file) => println!("{}", file.display()),
///     None => println!("nothing differs"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is written until `run`"]
pub struct Generate<'e> {
    evolution: &'e Evolution,
    folder: PathBuf,
    name: Option<String>,
    anew: bool,
}

impl<'e> Generate<'e> {
    /// Into the crate, or the folder, of a migrator.
    pub fn new(evolution: &'e Evolution, folder: impl Into<PathBuf>) -> Self {
        Self {
            evolution,
            folder: folder.into(),
            name: None,
            anew: false,
        }
    }

    /// What the migration is called after its time. Default: what it does, such as
    /// `create_article_record`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Also makes tables again that an earlier migration made, and that are gone. Default: these are
    /// refused, since their history may be put back from a backup.
    pub const fn anew(mut self) -> Self {
        self.anew = true;
        self
    }

    /// Writes it, and returns its file, or `None` if nothing differs.
    ///
    /// The database has to be where the migrator's migrations bring it, since what it has is what the
    /// new one starts from.
    ///
    /// # Errors
    /// A `DbErr::Migration` that says what was seen, before anything is written: while migrations are
    /// pending; while the folder has some that the migrator does not know; while another generator is
    /// at work; for a table that is gone; for what [`Evolution::migration`] cannot do; for a `lib.rs`
    /// that it cannot read. What the database and the file system say: then nothing is left.
    pub async fn run<M, C>(&self, migrator: &M, db: &C) -> Result<Option<PathBuf>, DbErr>
    where
        M: MigratorTraitSelf,
        C: ConnectionTrait,
    {
        let folder = Folder::lock(&self.folder).map_err(DbErr::Migration)?;
        self.unregistered(migrator, &folder)?;
        self.pending(migrator, db).await?;
        let steps = self.evolution.steps(db).await?;
        if steps.is_empty() {
            return Ok(None);
        }
        if !self.anew {
            lost(&steps, &folder)?;
        }
        let name = self.name.clone().unwrap_or_else(|| name_of(&steps));
        check_name(&name)?;
        let name = format!("m{}_{name}", Utc::now().format("%Y%m%d_%H%M%S"));
        let written = folder.write(&name, &source(&steps));
        written.map(Some).map_err(DbErr::Migration)
    }

    /// This program may be older than the folder: then it knows neither what was generated last nor
    /// what that does.
    fn unregistered<M: MigratorTraitSelf>(
        &self,
        migrator: &M,
        folder: &Folder,
    ) -> Result<(), DbErr> {
        let migrations = migrator.migrations();
        let is_known = |name: &String| migrations.iter().any(|it| it.name() == name);
        let files = folder.migrations().map_err(DbErr::Migration)?;
        let unknown: Vec<_> = files.into_iter().filter(|name| !is_known(name)).collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(DbErr::Migration(format!(
                "{} is in {}, and this program does not know it: build the program again, or register \
                 or remove the file",
                unknown.join(", "),
                folder.path().display()
            ))),
        }
    }

    async fn pending<M, C>(&self, migrator: &M, db: &C) -> Result<(), DbErr>
    where
        M: MigratorTraitSelf,
        C: ConnectionTrait,
    {
        let pending = migrator.get_pending_migrations_read_only(db).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = pending.iter().map(|it| it.name().to_owned()).collect();
        let seen: Vec<_> = self
            .evolution
            .differences(db)
            .await?
            .iter()
            .map(|it| format!("\n- {}: {it}", it.table()))
            .collect();
        Err(DbErr::Migration(format!(
            "{} is pending: run `up` first, also where it was interrupted half-way. What the database \
             has now:{}",
            names.join(", "),
            match seen.is_empty() {
                true => " all that the entities want".to_owned(),
                false => seen.concat(),
            }
        )))
    }
}

/// Tables that a migration knew, since all that are registered have run.
fn lost(steps: &[Step<'_>], folder: &Folder) -> Result<(), DbErr> {
    for step in steps {
        let Step::Create(table) = step else { continue };
        let maker = folder
            .find(|text| knows(text, table))
            .map_err(DbErr::Migration)?;
        if let Some(maker) = maker {
            return Err(table.name.error(format_args!(
                "is gone, and {maker} had made it: put it back from a backup, or say `--anew` to begin \
                 a new history"
            )));
        }
    }
    Ok(())
}

/// Whether a migration made this table or did something to it, by its name or by its entity.
fn knows(source: &str, table: &RecordTable) -> bool {
    let is_named = source.contains(&format!("{:?}", table.name.name));
    if is_named && source.contains("RecordTable::") {
        return true;
    }
    let calls = source
        .match_indices("record_table")
        .filter_map(|(at, name)| {
            let rest = &source[at + name.len()..];
            let rest = rest.strip_prefix("_if_not_exists").unwrap_or(rest);
            rest.strip_prefix('(')?.split([',', ')']).next()
        });
    let mut calls = calls.map(|argument| argument.split("::").map(str::trim).collect::<Vec<_>>());
    calls.any(|path| is_entity_of(&path, source, table))
}

/// Whether a path such as `article::record::Entity` is the record entity of a table. One that names no
/// module of its own, `record::Entity`, is so where the source speaks of the entity elsewhere.
fn is_entity_of(path: &[&str], source: &str, table: &RecordTable) -> bool {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let entity = table.entity.rsplit('.').next().unwrap_or_default();
    let names = [plain(entity), plain(&table.name.name)];
    let is_it = |word: &str| names.contains(&plain(word));
    let is_own = |module: &&&str| !matches!(**module, "record" | "Entity" | "self" | "super");
    match path.iter().find(is_own) {
        Some(_) => path.iter().any(|module| is_it(module)),
        None => source
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(is_it),
    }
}

fn name_of(steps: &[Step<'_>]) -> String {
    match steps {
        [Step::Create(table)] => format!("create_{}", table.name.name),
        [Step::Change(table, _)] => format!("change_{}", table.name.name),
        _ => "change_record_tables".to_owned(),
    }
    .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    .to_lowercase()
}

fn check_name(name: &str) -> Result<(), DbErr> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(DbErr::Migration(format!(
            "`{name}` is no name for a migration: letters, digits and `_` are"
        ))),
    }
}
