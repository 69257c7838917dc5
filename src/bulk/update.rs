//! Updating many rows at once.

use std::collections::HashSet;

use sea_orm::sea_query::{Condition, DynIden, Expr, IntoCondition, IntoIden, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IdenStatic,
    Iterable, QueryFilter, UpdateResult, Value,
};

use super::rows::Rows;
use crate::by_keys::{has_key, key_columns};
use crate::cascade::Cut;
use crate::gather::{Note, Unit};
use crate::keys::{Key, untyped_key};
use crate::operation::{Operation, run};
use crate::recorded::{column_named, table_name};
use crate::registry::{Node, registry};
use crate::target::Target;
use crate::write::CHUNK;
use crate::{Event, RecordError};

/// SeaORM's `UpdateMany`, recorded; made by [`update_many`].
#[derive(Clone, Debug)]
#[must_use = "nothing is updated until `exec`"]
pub struct UpdateMany<E: EntityTrait> {
    entity: E,
    values: Vec<(DynIden, Expr)>,
    filter: Condition,
}

/// Updates many rows, and records those that changed: SeaORM's `update_many`, recorded.
///
/// The rows are locked in the order of their keys and written in statements of at most 1,000, so an
/// expression that reads the table itself sees what the statements before it wrote. Who depends on
/// the rows, as they were and as they are, is recorded with them. On a pool it is one transaction;
/// within a transaction it is part of that, which is to be rolled back when it fails.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, row) = blog().await?;
/// use sea_orm::{ColumnTrait, sea_query::Expr};
///
/// let updated = sea_orm_record::update_many(article::Entity)
///     .col_expr(article::Column::Title, Expr::value("Hello, all"))
///     .filter(article::Column::Title.starts_with("Hello"))
///     .exec(&db)
///     .await?;
/// assert_eq!(updated.rows_affected, 1);
/// # assert_eq!(row.records().all(&db).await?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub fn update_many<E: EntityTrait>(entity: E) -> UpdateMany<E> {
    UpdateMany {
        entity,
        values: Vec::new(),
        filter: Condition::all(),
    }
}

impl<E: EntityTrait> UpdateMany<E> {
    /// Sets a column to what an expression gives. Default: no column is set, and nothing happens.
    pub fn col_expr<C: IntoIden>(mut self, column: C, value: Expr) -> Self {
        self.values.push((column.into_iden(), value));
        self
    }

    /// Sets the columns that an active model sets.
    pub fn set<A: ActiveModelTrait<Entity = E>>(mut self, values: A) -> Self {
        for column in E::Column::iter() {
            if let ActiveValue::Set(value) = values.get(column) {
                self = self.col_expr(column, column.save_as(Expr::val(value)));
            }
        }
        self
    }

    /// Which rows; several filters must all hold. Default: all rows.
    pub fn filter<F: IntoCondition>(mut self, filter: F) -> Self {
        self.filter = self.filter.add(filter.into_condition());
        self
    }

    /// Updates and records.
    ///
    /// # Errors
    ///
    /// The database's, and a [`RecordError`] within the `DbErr`. Of more than 1,000 rows whose
    /// primary keys are set, none may come to have the old key of another.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<UpdateResult, DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        if self.values.is_empty() {
            return Ok(UpdateResult::default());
        }
        run::<E, C, _>(db, self).await
    }

    fn statement(&self, filter: impl IntoCondition) -> sea_orm::UpdateMany<E> {
        let update = sea_orm::Update::many(self.entity).filter(filter);
        let values = self.values.iter().cloned();
        values.fold(update, |update, (column, value)| {
            update.col_expr(column, value)
        })
    }

    /// What a column is set to, unless the database is to tell.
    fn given(&self, column: &str) -> Option<Value> {
        let mut set = self.values.iter().rev();
        let (_, value) = set.find(|(name, _)| name.to_string() == column)?;
        match value {
            Expr::Value(value) => Some(value.clone()),
            _ => None,
        }
    }

    fn columns(&self) -> Vec<String> {
        let columns = self.values.iter();
        columns.map(|(column, _)| column.to_string()).collect()
    }
}

impl<E: EntityTrait<Model: Sync + 'static>> Operation for UpdateMany<E> {
    type Output = UpdateResult;
    const IN_PARTS: bool = true;

    fn reaches(&self, node: &Node) -> bool {
        node.changes_others(&Cut::Columns(self.columns()))
    }

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<UpdateResult, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        match (registry().node_to_delete::<E>()?, target) {
            (Some(node), Target::Unit(_, unit)) if !unit.paused && self.concerns(node) => {
                let updating = Updating {
                    rows: Rows { node, conn },
                    unit,
                    columns: self.columns(),
                };
                updating.run(self).await
            }
            _ => self.statement(self.filter.clone()).exec(&conn).await,
        }
    }
}

struct Updating<'u> {
    rows: Rows<'u>,
    unit: &'u Unit,
    /// The columns that are set.
    columns: Vec<String>,
}

impl Updating<'_> {
    async fn run<E>(&self, update: UpdateMany<E>) -> Result<UpdateResult, DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        let cut = Cut::Columns(self.columns.clone());
        let filter = update.filter.clone();
        let (keys, dependents) = self.rows.lock::<E>(filter, &cut).await?;
        if self.ties() {
            let given = std::iter::once(|column: &String| update.given(column));
            self.rows.lock_ahead(self.unit, &dependents, given).await?;
        }
        self.unit.buffer().merge(dependents);
        let moved = self.moved(&update, &keys).await?;
        self.note(&keys, moved.as_deref());
        let mut updated = UpdateResult::default();
        for (at, chunk) in keys.chunks(CHUNK).enumerate() {
            let statement = update.statement(has_key::<E>(chunk));
            let write = statement.exec(&self.rows.conn);
            let (now, written) = match &moved {
                None => (chunk, write.await?),
                Some(moved) => {
                    let from = at * CHUNK;
                    let written = self.rows.losing(chunk, self.unit, write).await?;
                    (&moved[from..from + chunk.len()], written)
                }
            };
            updated.rows_affected += written.rows_affected;
            if self.ties() {
                self.rows.note_written::<E>(now, self.unit).await?;
            }
        }
        Ok(updated)
    }

    /// Notes the rows; they are looked at again in the end, whatever happens.
    fn note(&self, keys: &[Key], moved: Option<&[Key]>) {
        let updated = Note::new(Event::Updated);
        let Some(moved) = moved else {
            return self.rows.touch(keys, &updated, self.unit);
        };
        for (old, new) in keys.iter().zip(moved) {
            let (old, new) = (std::slice::from_ref(old), std::slice::from_ref(new));
            if old == new {
                self.rows.touch(new, &updated, self.unit);
            } else {
                self.rows.touch(old, &Note::new(Event::Deleted), self.unit);
                self.rows.touch(new, &Note::new(Event::Created), self.unit);
            }
        }
    }

    /// Whether a column is set that ties rows together, or a closure may look at any.
    fn ties(&self) -> bool {
        let node = self.rows.node;
        let set = |columns: &[String]| columns.iter().any(|column| self.columns.contains(column));
        node.links().any(set) || node.listeners.iter().any(|it| it.columns().is_none())
    }

    /// The keys that rows will have, where their keys are set.
    async fn moved<E: EntityTrait>(
        &self,
        update: &UpdateMany<E>,
        keys: &[Key],
    ) -> Result<Option<Vec<Key>>, DbErr> {
        let names: Vec<_> = key_columns::<E>()
            .iter()
            .map(|key| key.as_str().to_owned())
            .collect();
        if !names.iter().any(|name| self.columns.contains(name)) {
            return Ok(None);
        }
        let mut moved = Vec::with_capacity(keys.len());
        for keys in keys.chunks(CHUNK) {
            moved.extend(self.moved_chunk(update, keys, &names).await?);
        }
        if keys.len() > CHUNK {
            let old: HashSet<&Key> = keys.iter().collect();
            if keys
                .iter()
                .zip(&moved)
                .any(|(was, is)| was != is && old.contains(is))
            {
                return Err(overlapping::<E>().into());
            }
        }
        Ok(Some(moved))
    }

    /// The new keys of rows, in their order: the database evaluates the expressions beforehand.
    async fn moved_chunk<E: EntityTrait>(
        &self,
        update: &UpdateMany<E>,
        keys: &[Key],
        names: &[String],
    ) -> Result<Vec<Key>, DbErr> {
        let mut select = Query::select();
        select.from(E::default().table_ref());
        let news: Vec<_> = names.iter().map(|name| format!("new_{name}")).collect();
        for (name, new) in names.iter().zip(&news) {
            let mut set = update.values.iter().rev();
            let own = || column_named::<E>(name).map(|column| column.into_expr());
            let value = set.find(|(column, _)| column.to_string() == *name);
            let value = value.map(|(_, value)| value.clone()).or_else(own);
            select.exprs(own());
            select.expr_as(value.unwrap_or_else(|| Expr::cust("NULL")), new.clone());
        }
        select.and_where(has_key::<E>(keys));
        let rows = self.rows.conn.query_all(&select).await?;
        let mut pairs = std::collections::HashMap::with_capacity(rows.len());
        for row in rows {
            let old = untyped_key::<E>(row.try_get_many("", names)?);
            pairs.insert(old, untyped_key::<E>(row.try_get_many("", &news)?));
        }
        let new = |key: &Key| pairs.remove(key).ok_or_else(|| unknown_key::<E>().into());
        keys.iter().map(new).collect()
    }
}

fn overlapping<E: EntityTrait>() -> RecordError {
    RecordError::bulk(
        table_name::<E>(),
        "more than 1,000 rows change their primary keys, and some would get the old key of \
         another; move them in two steps, through keys that nobody has",
    )
}

fn unknown_key<E: EntityTrait>() -> RecordError {
    RecordError::bulk(
        table_name::<E>(),
        "a row cannot be told by its primary key, whose text compares in more ways than one; set \
         such keys row by row",
    )
}
