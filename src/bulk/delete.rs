//! Deleting many rows at once.

use sea_orm::sea_query::{Condition, IntoCondition};
use sea_orm::{ConnectionTrait, DbErr, DeleteResult, EntityTrait, QueryFilter};

use super::rows::Rows;
use crate::Event;
use crate::by_keys::has_key;
use crate::cascade::Cut;
use crate::gather::{Note, Unit};
use crate::operation::{Operation, run};
use crate::registry::Node;
use crate::registry::registry;
use crate::target::Target;
use crate::write::CHUNK;

/// SeaORM's `DeleteMany`, recorded; made by [`delete_many`].
#[derive(Clone, Debug)]
#[must_use = "nothing is deleted until `exec`"]
pub struct DeleteMany<E: EntityTrait> {
    entity: E,
    filter: Condition,
}

/// Deletes many rows, and records that they are gone: SeaORM's `delete_many`, recorded.
///
/// The rows are locked in the order of their keys and deleted in statements of at most 1,000. Who
/// depends on them is found while they are there, and recorded with them, also what the database's
/// own cascades delete or cut loose. A row that was never recorded gets one record, with the values
/// that it had. On a pool it is one transaction; within a transaction it is part of that, which is
/// to be rolled back when it fails.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, row) = blog().await?;
/// use sea_orm::ColumnTrait;
///
/// let deleted = sea_orm_record::delete_many(article::Entity)
///     .filter(article::Column::Title.starts_with("Hello"))
///     .exec(&db)
///     .await?;
/// assert_eq!(deleted.rows_affected, 1);
/// # assert_eq!(row.records().latest().one(&db).await?.map(|record| record.event), Some(Event::Deleted));
/// # Ok(())
/// # }
/// ```
pub fn delete_many<E: EntityTrait>(entity: E) -> DeleteMany<E> {
    DeleteMany {
        entity,
        filter: Condition::all(),
    }
}

impl<E: EntityTrait> DeleteMany<E> {
    /// Which rows; several filters must all hold. Default: all rows.
    pub fn filter<F: IntoCondition>(mut self, filter: F) -> Self {
        self.filter = self.filter.add(filter.into_condition());
        self
    }

    /// Deletes and records.
    ///
    /// # Errors
    ///
    /// The database's, and a [`RecordError`](crate::RecordError) within the `DbErr`.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<DeleteResult, DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        run::<E, C, _>(db, self).await
    }

    fn statement(&self, filter: impl IntoCondition) -> sea_orm::DeleteMany<E> {
        sea_orm::Delete::many(self.entity).filter(filter)
    }
}

impl<E: EntityTrait<Model: Sync + 'static>> Operation for DeleteMany<E> {
    type Output = DeleteResult;
    const IN_PARTS: bool = true;

    fn reaches(&self, _: &Node) -> bool {
        true
    }

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<DeleteResult, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        match (registry().node_to_delete::<E>()?, target) {
            (Some(node), Target::Unit(_, unit)) if !unit.paused => {
                delete(Rows { node, conn }, unit, self).await
            }
            _ => self.statement(self.filter.clone()).exec(&conn).await,
        }
    }
}

async fn delete<E>(
    rows: Rows<'_>,
    unit: &Unit,
    delete: DeleteMany<E>,
) -> Result<DeleteResult, DbErr>
where
    E: EntityTrait<Model: Sync + 'static>,
{
    let filter = delete.filter.clone();
    let (keys, dependents) = rows.lock::<E>(filter, &Cut::All).await?;
    unit.buffer().merge(dependents);
    rows.touch(&keys, &Note::new(Event::Deleted), unit);
    let mut deleted = DeleteResult::empty();
    for keys in keys.chunks(CHUNK) {
        let statement = delete.statement(has_key::<E>(keys));
        deleted.merge(rows.losing(keys, unit, statement.exec(&rows.conn)).await?);
    }
    Ok(deleted)
}
