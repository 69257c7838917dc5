//! Inserting rows or updating those that are there.

use std::collections::HashSet;

use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, IdenStatic, Iterable};

use super::insert::KeyOf;
use super::rows::Rows;
use super::typed_key;
use crate::cascade::Cut;
use crate::dialect::Dialect;
use crate::gather::{Note, Unit};
use crate::hooks::Savable;
use crate::operation::{Operation, run};
use crate::recorded::{ColumnOf, table_name};
use crate::registry::registry;
use crate::target::Target;
use crate::typed::{Key, has_key, have, is_null, key_columns};
use crate::write::CHUNK;
use crate::{Event, RecordError};

/// Rows to insert, or to update those that are there with; made by [`upsert_many`].
#[derive(Clone, Debug)]
#[must_use = "nothing is written until `exec`"]
pub struct UpsertMany<A: ActiveModelTrait> {
    rows: Vec<A>,
    columns: Vec<ColumnOf<A::Entity>>,
    on_conflict: OnConflict,
}

/// Inserts many rows, and where a row of the same unique columns is there does what `on_conflict`
/// says: SeaORM's `insert_many` with `on_conflict`, recorded.
///
/// `columns` are those of a unique index or of the primary key, and all rows must set them: by them
/// the rows are found again, also where the database has no RETURNING. `on_conflict` adds what
/// happens then to SeaORM's builder. Rows go in statements of at most 1,000. On a pool it is one
/// transaction; within a transaction it is part of that, which is to be rolled back when it fails.
///
/// On MySQL and MariaDB a conflict with *any* unique index updates the row that is there; what
/// another index than that of `columns` or the primary key finds is not recorded. A row that another
/// transaction inserts between the lock and the statement is recorded as it is in the end, but not
/// with those who depended on what it was for that moment.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, topic, row) = blog().await?;
/// let draft = |id, title: &str| article::ActiveModel {
///     id: Set(id),
///     topic_id: Set(topic.id),
///     title: Set(title.to_owned()),
///     text: Set("text".to_owned()),
///     ..Default::default()
/// };
/// let drafts = [draft(row.id, "Hello, again"), draft(row.id + 1, "New")];
///
/// let keys = sea_orm_record::upsert_many(drafts, [article::Column::Id], |conflict| {
///     conflict.update_column(article::Column::Title)
/// })
/// .exec(&db)
/// .await?;
/// assert_eq!(keys, [row.id, row.id + 1]);
/// # assert_eq!(article::Entity::records().all(&db).await?.len(), 3);
/// # Ok(())
/// # }
/// ```
pub fn upsert_many<A, F>(
    rows: impl IntoIterator<Item = A>,
    columns: impl IntoIterator<Item = ColumnOf<A::Entity>>,
    on_conflict: F,
) -> UpsertMany<A>
where
    A: ActiveModelTrait,
    F: FnOnce(&mut OnConflict) -> &mut OnConflict,
{
    let columns: Vec<_> = columns.into_iter().collect();
    let mut conflict = OnConflict::columns(columns.iter().copied());
    on_conflict(&mut conflict);
    UpsertMany {
        rows: rows.into_iter().collect(),
        columns,
        on_conflict: conflict,
    }
}

impl<A: Savable> UpsertMany<A> {
    /// Writes and records; answers with the primary keys of the rows that are there now, in the
    /// order of keys.
    ///
    /// # Errors
    ///
    /// The database's, and a [`RecordError`] within the `DbErr`, also where a row does not set one
    /// of the unique columns, or sets it to NULL, which conflicts with nothing.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Vec<KeyOf<A>>, DbErr> {
        self.check()?;
        let keys = run::<A::Entity, C, _>(db, self).await?;
        Ok(keys.into_iter().map(typed_key::<A::Entity>).collect())
    }

    fn check(&self) -> Result<(), RecordError> {
        let refuse = |problem: String| Err(RecordError::bulk(table_name::<A::Entity>(), problem));
        if self.columns.is_empty() {
            return refuse("name the columns of the unique index that rows conflict by".to_owned());
        }
        for column in &self.columns {
            let value = |row: &A| row.get(*column).into_value();
            let tells = |row: &A| value(row).is_some_and(|value| !is_null(&value));
            if !self.rows.iter().all(tells) {
                return refuse(format!(
                    "rows are found by `{}`, which one of them does not set, or sets to NULL; \
                     insert such rows with `insert_many`",
                    column.as_str()
                ));
            }
        }
        Ok(())
    }

    /// The rows that these conflict with, or are.
    fn condition(&self, rows: &[A]) -> Condition {
        let by = |columns: &[ColumnOf<A::Entity>]| {
            let values = |row: &A| columns.iter().map(|it| row.get(*it).into_value()).collect();
            let links: HashSet<Key> = rows.iter().filter_map(values).collect();
            let links: Vec<Key> = links.into_iter().collect();
            (!links.is_empty()).then(|| have::<A::Entity>(columns, &links))
        };
        let keys = key_columns::<A::Entity>();
        Condition::any()
            .add_option(by(&self.columns))
            .add_option(by(&keys))
    }
}

impl<A: Savable> Operation for UpsertMany<A> {
    type Output = Vec<Key>;
    const IN_PARTS: bool = true;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Vec<Key>, DbErr> {
        let registry = registry();
        let target = Target::of(db);
        let conn = target.conn(db);
        let node = registry.node::<A::Entity>()?;
        let columns = ColumnOf::<A::Entity>::iter().count();
        let dialect = Dialect::of(db);
        let chunk = CHUNK.min(dialect.max_parameters() / columns.max(1)).max(1);
        let mut keys = Vec::new();
        for rows in self.rows.chunks(chunk) {
            let write = sea_orm::Insert::many(rows.iter().cloned());
            let write = write.on_conflict(self.on_conflict.clone());
            let condition = self.condition(rows);
            match (node, &target) {
                (Some(node), Target::Unit(_, unit)) if !unit.paused => {
                    let upserting = Upserting::<A> {
                        rows: Rows { node, conn },
                        unit,
                        condition,
                        write,
                    };
                    keys.extend(upserting.run().await?);
                }
                _ => {
                    write.exec_without_returning(&conn).await?;
                    keys.extend(
                        super::Pages::<A::Entity>::of(condition)
                            .all_keys(conn)
                            .await?,
                    );
                }
            }
        }
        Ok(keys)
    }
}

struct Upserting<'u, A: ActiveModelTrait> {
    rows: Rows<'u>,
    unit: &'u Unit,
    condition: Condition,
    write: sea_orm::InsertMany<A>,
}

impl<A: Savable> Upserting<'_, A> {
    async fn run(self) -> Result<Vec<Key>, DbErr> {
        let Self {
            rows,
            unit,
            condition,
            write,
        } = self;
        let before = rows
            .lock::<A::Entity>(condition.clone(), unit, &Cut::Values)
            .await?;
        rows.touch(&before, &Note::new(Event::Updated), unit);
        write.exec_without_returning(&rows.conn).await?;
        let written = Condition::any()
            .add(condition)
            .add_option((!before.is_empty()).then(|| has_key::<A::Entity>(&before)));
        let after = super::Pages::<A::Entity>::of(written)
            .all_keys(rows.conn)
            .await?;
        let before: HashSet<Key> = before.into_iter().collect();
        let new: Vec<Key> = after
            .iter()
            .filter(|key| !before.contains(*key))
            .cloned()
            .collect();
        rows.touch(&new, &Note::new(Event::Created), unit);
        if !rows.stand_alone() {
            rows.note_written::<A::Entity>(&after, unit).await?;
        }
        Ok(after)
    }
}
