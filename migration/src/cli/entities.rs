//! What the program does with an entity, without its type.

use async_trait::async_trait;
use chrono::Utc;
use sea_orm::sea_query::{Condition, FromValueTuple, IntoCondition, IntoValueTuple, ValueTuple};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, Iterable, ModelTrait, PaginatorTrait,
    PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter, QuerySelect, Value,
};
use sea_orm_record::{
    Backfilled, Forecast, Prune, Pruned, RecordEntity, RecordError, Recorded, Retention,
    Verification, backfill, prune_to, verify,
};

use super::report::{Report, Step};

use crate::{Partitions, RecordTable};

/// What the program is told of an entity; see [`RecordCli::entity_with`](super::RecordCli::entity_with).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EntityOptions {
    pub(super) retention: Option<Retention>,
    pub(super) kept: Option<Condition>,
    pub(super) renames: Vec<(String, String)>,
    pub(super) partitions: Option<Partitions>,
}

impl EntityOptions {
    /// How long its records are kept, which `record prune` carries out. Default: forever; they are
    /// not pruned.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Keeps the records that a condition on the record entity's columns marks, whatever the retention
    /// says, as [`Prune::keep`](sea_orm_record::Prune::keep) does; several add up. Default: none.
    ///
    /// A service that prunes by itself has its own rules: what it keeps has to be said here as well.
    pub fn keep(mut self, marked: impl IntoCondition) -> Self {
        let all = self.kept.take().unwrap_or_else(Condition::any);
        self.kept = Some(all.add(marked.into_condition()));
        self
    }

    /// Says that its record table is in partitions by time, which `record generate` writes into the
    /// migration that makes it, and `record check` looks for; see [`RecordTable::partitioned`]. Default:
    /// no partitions.
    pub fn partitions(mut self, partitions: Partitions) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Says that a column of its record table was renamed, as `record generate --rename` does; it may
    /// stay after that was done. Default: what has a new name is a new column.
    pub fn renamed(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.renames.push((from.into(), to.into()));
        self
    }
}

/// How much there is.
pub(super) struct Counts {
    pub(super) rows: u64,
    /// Keys that have records.
    pub(super) recorded: u64,
    pub(super) records: u64,
}

#[async_trait]
pub(super) trait AnyEntity: Send + Sync {
    fn name(&self) -> String;
    fn table(&self) -> Result<RecordTable, RecordError>;
    fn options(&self) -> &EntityOptions;
    async fn rows(&self, db: &DatabaseConnection) -> Result<u64, DbErr>;
    /// The records that a retention is about.
    async fn prunable(&self, db: &DatabaseConnection, retention: &Retention) -> Result<u64, DbErr>;
    async fn counts(&self, db: &DatabaseConnection) -> Result<Counts, DbErr>;
    async fn backfill(
        &self,
        db: &DatabaseConnection,
        differing: bool,
        after: Option<&str>,
        report: Report,
    ) -> Result<Backfilled, DbErr>;
    async fn verify(
        &self,
        db: &DatabaseConnection,
        repair: bool,
        after: Option<&str>,
        report: Report,
    ) -> Result<Verification, DbErr>;
    /// After a key, in so many percent of the time.
    async fn prune(
        &self,
        db: &DatabaseConnection,
        retention: &Retention,
        how: (Option<&str>, f64),
        report: Report,
    ) -> Result<Pruned, DbErr>;
    async fn forecast(
        &self,
        db: &DatabaseConnection,
        retention: &Retention,
        after: Option<&str>,
    ) -> Result<Forecast, DbErr>;
}

/// How many records go at a time where others are given way.
const PIECE: usize = 100;

pub(super) struct Typed<E> {
    pub(super) entity: E,
    pub(super) options: EntityOptions,
}

type KeyOf<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

impl<E: Recorded> Typed<E>
where
    <E::Record as EntityTrait>::Model: Sync,
{
    fn pruning(&self, retention: &Retention, after: Option<KeyOf<E>>) -> Prune<E> {
        let mut prune = prune_to(self.entity, retention);
        if let Some(kept) = &self.options.kept {
            prune = prune.keep(kept.clone());
        }
        match after {
            Some(key) => prune.after(key),
            None => prune,
        }
    }

    /// The key that a text says.
    async fn key(
        &self,
        db: &DatabaseConnection,
        text: Option<&str>,
    ) -> Result<Option<KeyOf<E>>, DbErr> {
        let Some(text) = text else { return Ok(None) };
        let columns: Vec<_> = E::PrimaryKey::iter().map(|it| it.into_column()).collect();
        let [column] = columns[..] else {
            return Err(DbErr::Migration(format!(
                "`--after` is for keys of one column, and that of `{}` has {}; use `after` of the library",
                self.entity.table_name(),
                columns.len()
            )));
        };
        // What type it is in Rust any row tells.
        let Some(row) = E::find().one(db).await? else {
            return Ok(None);
        };
        let value = alike(&row.get(column), text).ok_or_else(|| {
            DbErr::Migration(format!(
                "`--after {text}`: that is no key of `{}`",
                self.entity.table_name()
            ))
        })?;
        Ok(Some(KeyOf::<E>::from_value_tuple(ValueTuple::One(value))))
    }
}

/// A value of the type of another.
fn alike(value: &Value, text: &str) -> Option<Value> {
    Some(match value {
        Value::TinyInt(_) => text.parse::<i8>().ok()?.into(),
        Value::SmallInt(_) => text.parse::<i16>().ok()?.into(),
        Value::Int(_) => text.parse::<i32>().ok()?.into(),
        Value::BigInt(_) => text.parse::<i64>().ok()?.into(),
        Value::TinyUnsigned(_) => text.parse::<u8>().ok()?.into(),
        Value::SmallUnsigned(_) => text.parse::<u16>().ok()?.into(),
        Value::Unsigned(_) => text.parse::<u32>().ok()?.into(),
        Value::BigUnsigned(_) => text.parse::<u64>().ok()?.into(),
        Value::String(_) => text.into(),
        Value::Uuid(_) => text.parse::<sea_orm::prelude::Uuid>().ok()?.into(),
        _ => return None,
    })
}

/// A key as `--after` takes it, or, of several columns, as they are.
fn shown<K: IntoValueTuple>(key: K) -> String {
    let one = |value: &Value| match value {
        Value::String(Some(text)) => text.clone(),
        other => other.to_string().trim_matches('\'').to_owned(),
    };
    let values: Vec<_> = key.into_value_tuple().into_iter().collect();
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl<E: Recorded> AnyEntity for Typed<E>
where
    <E::Record as EntityTrait>::Model: Sync,
{
    fn name(&self) -> String {
        self.entity.table_name().to_owned()
    }

    fn table(&self) -> Result<RecordTable, RecordError> {
        let table = RecordTable::of(E::Record::default())?;
        Ok(match &self.options.partitions {
            Some(partitions) => table.partitioned(partitions.clone()),
            None => table,
        })
    }

    fn options(&self) -> &EntityOptions {
        &self.options
    }

    async fn rows(&self, db: &DatabaseConnection) -> Result<u64, DbErr> {
        E::find().count(db).await
    }

    async fn prunable(&self, db: &DatabaseConnection, retention: &Retention) -> Result<u64, DbErr> {
        match retention.prunes_before(Utc::now())? {
            Some(edge) => {
                let before = <E::Record as RecordEntity>::RECORDED_AT.lt(edge);
                E::Record::find().filter(before).count(db).await
            }
            None => Ok(0),
        }
    }

    async fn counts(&self, db: &DatabaseConnection) -> Result<Counts, DbErr> {
        let keys = <E::Record as RecordEntity>::key();
        let keys = keys.into_iter().map(|(_, column)| column);
        let recorded = E::Record::find().select_only().columns(keys).distinct();
        Ok(Counts {
            rows: self.rows(db).await?,
            recorded: recorded.count(db).await?,
            records: E::Record::find().count(db).await?,
        })
    }

    async fn backfill(
        &self,
        db: &DatabaseConnection,
        differing: bool,
        after: Option<&str>,
        mut report: Report,
    ) -> Result<Backfilled, DbErr> {
        let mut backfill = backfill(self.entity).progress(move |it| {
            report(Step {
                done: it.so_far.rows,
                key: it.key.map(shown),
                findings: Vec::new(),
            });
        });
        if let Some(key) = self.key(db, after).await? {
            backfill = backfill.after(key);
        }
        match differing {
            true => backfill.differing().exec(db).await,
            false => backfill.exec(db).await,
        }
    }

    async fn verify(
        &self,
        db: &DatabaseConnection,
        repair: bool,
        after: Option<&str>,
        mut report: Report,
    ) -> Result<Verification, DbErr> {
        let mut verify = verify(self.entity).progress(move |it| {
            let findings = it.findings.into_iter();
            report(Step {
                done: it.so_far.rows,
                key: it.key.map(shown),
                findings: findings
                    .map(|found| format!("{}: {}", shown(found.key), found.problem))
                    .collect(),
            });
        });
        if let Some(key) = self.key(db, after).await? {
            verify = verify.after(key);
        }
        match repair {
            true => verify.repair().exec(db).await,
            false => verify.exec(db).await,
        }
    }

    async fn prune(
        &self,
        db: &DatabaseConnection,
        retention: &Retention,
        (after, share): (Option<&str>, f64),
        mut report: Report,
    ) -> Result<Pruned, DbErr> {
        let prune = self.pruning(retention, self.key(db, after).await?);
        let rest = 100.0 / share - 1.0;
        let prune = match rest > 0.0 {
            false => prune,
            true => prune.at_a_time(PIECE).pause(move |busy| {
                // Nothing else runs in this program, whose runtime may be any.
                std::thread::sleep(busy.mul_f64(rest));
                std::future::ready(())
            }),
        };
        let prune = prune.progress(move |it| {
            report(Step {
                done: it.so_far.records,
                key: it.key.map(shown),
                findings: Vec::new(),
            });
        });
        prune.exec(db).await
    }

    async fn forecast(
        &self,
        db: &DatabaseConnection,
        retention: &Retention,
        after: Option<&str>,
    ) -> Result<Forecast, DbErr> {
        let prune = self.pruning(retention, self.key(db, after).await?);
        prune.dry_run(db).await
    }
}
