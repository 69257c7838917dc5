//! From what entities want and the database has to a migration.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::RecordTable;
use crate::compare::{Difference, Hints, Remedy, differences};
use crate::found::Found;
use crate::source::{Step, source};

/// Record tables as they are to be, to compare with those of a database and to write migrations of
/// the differences.
///
/// Columns that the entity does not have are no difference as long as they may be NULL: they keep
/// what was recorded. Neither are indexes of your own, nor defaults, comments and the order of
/// columns.
///
/// ```
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
/// #         pub title: Option<String>,
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
/// use sea_orm::ConnectionTrait;
/// use sea_orm_record_migration::{Evolution, RecordSchema, RecordTable};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), sea_orm::DbErr> {
/// let db = sea_orm::Database::connect("sqlite::memory:").await?;
/// db.create_record_table(article::record::Entity).await?;
/// let evolution = Evolution::new().table(RecordTable::of(article::record::Entity)?);
/// assert!(evolution.differences(&db).await?.is_empty());
///
/// db.execute_unprepared("ALTER TABLE article_record DROP COLUMN title").await?;
/// let differences = evolution.differences(&db).await?;
/// assert_eq!(differences[0].to_string(), "`title`: missing, wanted varchar");
/// let source = evolution.migration(&db).await?.unwrap_or_default();
/// assert!(source.contains(".add_column(\"title\", ColumnType::String(StringLen::None))"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it only compares when asked"]
pub struct Evolution {
    tables: Vec<RecordTable>,
    hints: BTreeMap<String, Hints>,
}

impl Evolution {
    /// Of no table yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also of this table.
    pub fn table(mut self, table: RecordTable) -> Self {
        self.tables.push(table);
        self
    }

    /// Says that a column of a record table was renamed. Where that has been done it means nothing
    /// more, so it may stay. Default: what has a new name is a new column, and the old one is kept
    /// for its past.
    pub fn renamed(
        mut self,
        table: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        let hints = self.hints.entry(table.into()).or_default();
        hints.renames.push((from.into(), to.into()));
        self
    }

    /// Says what records from before get in a column that may not be NULL. Default: such a column is
    /// refused, since nothing was ever recorded.
    pub fn filled(
        mut self,
        table: impl Into<String>,
        column: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        let hints = self.hints.entry(table.into()).or_default();
        hints.fills.push((column.into(), value.into()));
        self
    }

    /// Its tables.
    pub fn tables(&self) -> &[RecordTable] {
        &self.tables
    }

    /// The type of a column.
    #[cfg(feature = "cli")]
    pub(crate) fn type_of(
        &self,
        table: &str,
        column: &str,
    ) -> Option<&sea_orm::sea_query::ColumnType> {
        let table = self.tables.iter().find(|it| it.name() == table)?;
        let column = table.columns.iter().find(|it| it.name == column)?;
        Some(&column.ty)
    }

    /// How the tables of a database differ from what is wanted. Nothing is changed.
    ///
    /// # Errors
    /// What the database says, and a [`RecordError::Plan`](sea_orm_record::RecordError::Plan) where
    /// it has no such type as a column's.
    pub async fn differences<C: ConnectionTrait>(&self, db: &C) -> Result<Vec<Difference>, DbErr> {
        let mut all = Vec::new();
        for table in &self.tables {
            all.extend(self.of(db, table).await?);
        }
        Ok(all)
    }

    async fn of<C: ConnectionTrait>(
        &self,
        db: &C,
        table: &RecordTable,
    ) -> Result<Vec<Difference>, DbErr> {
        let found = Found::load(db, &table.name).await?;
        let none = Hints::default();
        let hints = self.hints.get(&table.name()).unwrap_or(&none);
        differences(table, found.as_ref(), hints, db.get_database_backend())
    }

    /// Columns that may have been renamed: table, former name, new name. For each that the entity
    /// wants and the table lacks, those of the same type that the table has and the entity does not.
    /// Whether they were nobody can see: [`renamed`](Self::renamed) says so.
    ///
    /// # Errors
    /// What the database says.
    pub async fn possible_renames<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> Result<Vec<(String, String, String)>, DbErr> {
        let backend = db.get_database_backend();
        let mut possible = Vec::new();
        for table in &self.tables {
            let Some(found) = Found::load(db, &table.name).await? else {
                continue;
            };
            let hints = self.hints.get(&table.name());
            let is_told = |from: &str, to: &str| {
                let mut renames = hints.into_iter().flat_map(|it| &it.renames);
                renames.any(|(it, other)| it == from || other == to)
            };
            let is_wanted = |name: &str| table.columns.iter().any(|it| it.name == name);
            let missing = table.columns.iter();
            for to in missing.filter(|it| found.column(&it.name).is_none()) {
                let former = found.columns.iter().filter(|it| !is_wanted(&it.name));
                possible.extend(
                    former
                        .filter(|from| from.is(&to.ty, backend) && !is_told(&from.name, &to.name))
                        .map(|from| (table.name(), from.name.clone(), to.name.clone())),
                );
            }
        }
        Ok(possible)
    }

    /// The source of a migration that makes the tables of a database what is wanted, and of its way
    /// back; `None` if nothing differs.
    ///
    /// # Errors
    /// Those of [`differences`](Self::differences), and a `DbErr::Migration` for what no migration
    /// can be generated for: it says what was seen, and what to do.
    pub async fn migration<C: ConnectionTrait>(&self, db: &C) -> Result<Option<String>, DbErr> {
        let steps = self.steps(db).await?;
        Ok((!steps.is_empty()).then(|| source(&steps)))
    }

    pub(crate) async fn steps<C: ConnectionTrait>(&self, db: &C) -> Result<Vec<Step<'_>>, DbErr> {
        let (mut steps, mut refused) = (Vec::new(), Vec::new());
        for table in &self.tables {
            let mut changes = Vec::new();
            for difference in self.of(db, table).await? {
                match &difference.remedy {
                    Remedy::Create => steps.push(Step::Create(table)),
                    Remedy::Change(change) => changes.push(change.clone()),
                    Remedy::Refused(why) => {
                        refused.push(format!("{}: {difference}: {why}", table.name()));
                    }
                }
            }
            if !changes.is_empty() {
                steps.push(Step::Change(table, changes));
            }
        }
        match refused.is_empty() {
            true => Ok(steps),
            false => Err(DbErr::Migration(format!(
                "no migration can be generated for this:\n- {}",
                refused.join("\n- ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{ColumnType, StringLen};
    use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
    use sea_orm_migration::SchemaManager;

    use super::Evolution;
    use crate::source::Step;
    use crate::{ChangeRecordTable, RecordTable};

    /// Types of which each is wider than the one before, with a value.
    fn widening(of: usize) -> (Vec<ColumnType>, &'static str) {
        use ColumnType as T;
        let text = StringLen::N;
        match of {
            0 => (
                vec![T::String(text(9)), T::String(text(20)), T::Text],
                "'x'",
            ),
            1 => (vec![T::Float, T::Double], "1.5"),
            2 => (
                vec![
                    T::Decimal(Some((8, 2))),
                    T::Decimal(Some((9, 3))),
                    T::Decimal(None),
                ],
                "2.25",
            ),
            _ => (vec![T::TinyInteger, T::SmallInteger, T::Integer], "7"),
        }
    }

    #[derive(Clone)]
    struct Column {
        name: String,
        of: usize,
        width: usize,
        nullable: bool,
        indexed: bool,
    }

    fn table(columns: &[Column]) -> RecordTable {
        let mut table = RecordTable::new("r")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .key(["recording_id", "recorded_at"])
            .index(["recorded_at"]);
        for column in columns {
            let ty = widening(column.of).0[column.width].clone();
            table = match column.nullable {
                true => table.nullable_column(&*column.name, ty),
                false => table.column(&*column.name, ty),
            };
            if column.indexed {
                table = table.index([&*column.name]);
            }
        }
        table
    }

    /// Numbers that look random and are the same in each run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = next.wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }

        fn column(&mut self, name: String, nullable: bool) -> Column {
            let of = self.roll(4);
            Column {
                name,
                of,
                width: self.roll(widening(of).0.len()),
                nullable: nullable || self.roll(2) == 0,
                indexed: self.roll(3) == 0,
            }
        }

        /// A next version, and what was renamed.
        fn next(&mut self, columns: &[Column], version: usize) -> (Vec<Column>, Vec<[String; 2]>) {
            let mut renames = Vec::new();
            let mut next = Vec::new();
            for column in columns {
                let mut column = column.clone();
                match self.roll(6) {
                    0 => continue,
                    1 => {
                        let name = format!("{}_{version}", column.name);
                        renames.push([column.name.clone(), name.clone()]);
                        column.name = name;
                    }
                    2 => column.nullable = true,
                    3 => column.indexed = !column.indexed,
                    _ => {
                        let widths = widening(column.of).0.len();
                        column.width = widths.min(column.width + 1 + self.roll(2)) - 1;
                    }
                }
                next.push(column);
            }
            for new in 0..self.roll(3) {
                next.push(self.column(format!("n{version}{new}"), true));
            }
            (next, renames)
        }
    }

    async fn rows(db: &DatabaseConnection) -> Result<usize, DbErr> {
        let all = "SELECT recording_id FROM r".to_owned();
        let rows = db.query_all_raw(sea_orm::Statement::from_string(
            db.get_database_backend(),
            all,
        ));
        Ok(rows.await?.len())
    }

    /// Whatever the versions: up, nothing differs from the next one; and down, nothing from the one
    /// before. On SQLite, which has the longest way to go.
    #[tokio::test]
    async fn any_version_becomes_any_later_one_and_back() -> Result<(), DbErr> {
        for seed in 0..200 {
            let mut dice = Dice(seed);
            let count = 1 + dice.roll(5);
            let mut columns: Vec<_> = (0..count)
                .map(|at| dice.column(format!("c{at}"), false))
                .collect();
            let mut options = ConnectOptions::new("sqlite::memory:");
            options.max_connections(1);
            let db = Database::connect(options).await?;
            let manager = &SchemaManager::new(&db);
            table(&columns).create(manager).await?;
            for row in 0..3 {
                let names: String = columns.iter().map(|it| format!(", {}", it.name)).collect();
                let values: String = columns
                    .iter()
                    .map(|it| format!(", {}", widening(it.of).1))
                    .collect();
                let insert = format!(
                    "INSERT INTO r (recording_id, recorded_at{names}) VALUES ({row}, 'now'{values})"
                );
                db.execute_unprepared(&insert).await?;
            }
            let mut undo = Vec::new();
            for version in 0..4 {
                let before = Evolution::new().table(table(&columns));
                let (next, renames) = dice.next(&columns, version);
                let mut after = Evolution::new().table(table(&next));
                for [from, to] in renames {
                    after = after.renamed("r", from, to);
                }
                let mut change = ChangeRecordTable::new("r");
                let mut back = ChangeRecordTable::new("r");
                for step in after.steps(&db).await? {
                    let Step::Change(_, changes) = step else {
                        return Err(DbErr::Custom("it is there".to_owned()));
                    };
                    change = changes
                        .iter()
                        .cloned()
                        .fold(change, ChangeRecordTable::with);
                    let inverse = changes.iter().rev().filter_map(|it| it.inverse());
                    back = inverse.fold(back, ChangeRecordTable::with);
                }
                change.apply(manager).await?;
                change.apply(manager).await?;
                let left = after.differences(&db).await?;
                assert!(left.is_empty(), "seed {seed}, version {version}: {left:?}");
                undo.push((before, back));
                columns = next;
            }
            for (before, back) in undo.into_iter().rev() {
                back.apply(manager).await?;
                let left = before.differences(&db).await?;
                assert!(left.is_empty(), "seed {seed}, down: {left:?}");
            }
            assert_eq!(rows(&db).await?, 3);
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_index_follows_its_column() -> Result<(), DbErr> {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1);
        let db = Database::connect(options).await?;
        let manager = &SchemaManager::new(&db);
        table(&[])
            .column("old", ColumnType::Integer)
            .create(manager)
            .await?;
        db.execute_unprepared("CREATE INDEX own ON r (old)").await?;
        ChangeRecordTable::new("r")
            .rename_column("old", "new")
            .add_index(["new"])
            .apply(manager)
            .await?;
        let all = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
        let all = sea_orm::Statement::from_string(db.get_database_backend(), all);
        assert_eq!(
            db.query_all_raw(all).await?.len(),
            2,
            "its own, and that of the time"
        );
        Ok(())
    }
}
