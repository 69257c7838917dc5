//! Inserting rows or updating those that are there.

use std::collections::HashSet;

use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, IdenStatic, Iterable, Statement,
    StatementBuilder,
};

use super::insert::{KeyOf, given_by};
use super::rows::{Pages, Rows};
use crate::by_keys::{has_key, have, key_columns};
use crate::cascade::Cut;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::error::is_repeated;
use crate::gather::{Buffer, Note, Unit};
use crate::hooks::{ModelOf, Savable};
use crate::keys;
use crate::keys::{Key, is_null, key_of, link_of, typed_key};
use crate::operation::{Operation, run_patiently};
use crate::recorded::{ColumnOf, table_name};
use crate::registry::{Node, registry};
use crate::target::Target;
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
/// another index than that of `columns` or the primary key finds is not recorded. Of several that
/// insert one new row at once, all but one may meet a deadlock there: on a pool they are tried again.
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
        let keys = run_patiently::<A::Entity, C, _>(db, || self.clone()).await?;
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

    async fn write(&self, rows: Vec<A>, conn: Connection<'_>) -> Result<(), DbErr> {
        let write = sea_orm::Insert::many(rows).on_conflict(self.on_conflict.clone());
        write.exec_without_returning(&conn).await.map(drop)
    }

    /// The rows that these conflict with, or are.
    fn condition(&self, rows: &[A]) -> Condition {
        let by = |columns: &[ColumnOf<A::Entity>]| {
            let links = rows.iter().filter_map(|row| values_of(row, columns));
            let links: HashSet<Key> = links.collect();
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

    fn reaches(&self, node: &Node) -> bool {
        node.changes_others(&Cut::Values)
    }

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Vec<Key>, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        let node = registry().node_to_delete::<A::Entity>()?;
        let node = node.filter(|node| self.concerns(node));
        let columns = ColumnOf::<A::Entity>::iter().count();
        let dialect = Dialect::of(db);
        let chunk = CHUNK.min(dialect.max_parameters() / columns.max(1)).max(1);
        let mut keys = Vec::new();
        for chunk in self.rows.chunks(chunk) {
            match (node, &target) {
                (Some(node), Target::Unit(_, unit)) if !unit.paused => {
                    let upserting = Upserting {
                        upsert: &self,
                        chunk,
                        rows: Rows { node, conn },
                        unit,
                    };
                    keys.extend(upserting.run().await?);
                }
                _ => {
                    self.write(chunk.to_vec(), conn).await?;
                    let there = Pages::<A::Entity>::of(self.condition(chunk));
                    keys.extend(there.all_keys(conn).await?);
                }
            }
        }
        Ok(keys)
    }
}

/// A chunk of the rows.
struct Upserting<'u, A: ActiveModelTrait> {
    upsert: &'u UpsertMany<A>,
    chunk: &'u [A],
    rows: Rows<'u>,
    unit: &'u Unit,
}

/// The rows that are there, by their primary keys and by the columns of the unique index.
#[derive(Default)]
struct There {
    keys: HashSet<Key>,
    links: HashSet<Key>,
}

impl<A: Savable> Upserting<'_, A> {
    async fn run(self) -> Result<Vec<Key>, DbErr> {
        let (upsert, chunk, rows, unit) = (self.upsert, self.chunk, self.rows, self.unit);
        let is_watched = !rows.node.listeners.is_empty();
        let (before, rest) = match is_watched && Dialect::of(&rows.conn).locks_rows() {
            true => self.insert_new().await?,
            false => (self.lock().await?, chunk.to_vec()),
        };
        rows.touch(&before, &Note::new(Event::Updated), unit);
        let has_inserted = rest.len() < chunk.len();
        if !rest.is_empty() {
            let written = upsert.write(rest, rows.conn).await;
            written.inspect_err(|_| self.give_up(has_inserted))?;
        }
        let written = Condition::any()
            .add(upsert.condition(chunk))
            .add_option((!before.is_empty()).then(|| has_key::<A::Entity>(&before)));
        let after = Pages::<A::Entity>::of(written).all_keys(rows.conn).await?;
        let before: HashSet<Key> = before.into_iter().collect();
        let new: Vec<Key> = after
            .iter()
            .filter(|key| !before.contains(*key))
            .cloned()
            .collect();
        rows.touch(&new, &Note::new(Event::Created), unit);
        // Those whose primary key was set.
        let after_all: HashSet<&Key> = after.iter().collect();
        let moved: Vec<Key> = before
            .into_iter()
            .filter(|key| !after_all.contains(key))
            .collect();
        rows.touch(&moved, &Note::new(Event::Deleted), unit);
        if !rows.stand_alone() {
            rows.note_written::<A::Entity>(&after, unit).await?;
        }
        Ok(after)
    }

    /// Rows that are inserted already are not noted yet when another is refused.
    fn give_up(&self, has_inserted: bool) {
        if has_inserted {
            self.unit.spoil();
        }
    }

    async fn lock(&self) -> Result<Vec<Key>, DbErr> {
        let condition = self.upsert.condition(self.chunk);
        let locked = self.rows.lock::<A::Entity>(condition, &Cut::Values);
        let (keys, dependents) = locked.await?;
        self.note_before(dependents).await?;
        Ok(keys)
    }

    async fn note_before(&self, dependents: Buffer) -> Result<(), DbErr> {
        let given = self.chunk.iter().map(given_by);
        self.rows.lock_ahead(self.unit, &dependents, given).await?;
        self.unit.buffer().merge(dependents);
        Ok(())
    }

    /// Inserts those that are not there; answers with the keys of those that are, locked and with who
    /// depends on them noted, and with what is still to be written.
    ///
    /// What another transaction has inserted since the lock would be updated without having been seen.
    /// A plain INSERT is refused then, and the next look finds it.
    async fn insert_new(&self) -> Result<(Vec<Key>, Vec<A>), DbErr> {
        let mut there = self.lock_there(self.chunk).await?;
        loop {
            let is_there = |row: &A| there.has(row, &self.upsert.columns);
            let (old, new): (Vec<A>, Vec<A>) = self.chunk.iter().cloned().partition(is_there);
            if new.is_empty() || self.insert(new.clone()).await? {
                return Ok((keys::sorted(there.keys), old));
            }
            let seen = there.keys.len();
            there = self.lock_there(self.chunk).await?;
            if there.keys.len() == seen {
                return self.insert_each(there, old, new).await;
            }
        }
    }

    /// Inserts rows one by one, as far as they are not there: one is that does not look so, because the
    /// database takes texts for equal that are not the same. Rows that conflict among themselves or by
    /// another index are for the statement, which is to say what that means.
    async fn insert_each(
        &self,
        there: There,
        mut old: Vec<A>,
        new: Vec<A>,
    ) -> Result<(Vec<Key>, Vec<A>), DbErr> {
        let links = new.iter().map(|row| values_of(row, &self.upsert.columns));
        if links.collect::<HashSet<_>>().len() < new.len() {
            return Ok((keys::sorted(there.keys), self.chunk.to_vec()));
        }
        let mut refused = Vec::new();
        for (place, row) in new.into_iter().enumerate() {
            let inserted = self.insert(vec![row.clone()]).await;
            if !inserted.inspect_err(|_| self.give_up(refused.len() < place))? {
                refused.push(row);
            }
        }
        let mut keys = there.keys;
        if !refused.is_empty() {
            keys.extend(self.lock_there(&refused).await?.keys);
        }
        old.extend(refused);
        Ok((keys::sorted(keys), old))
    }

    async fn lock_there(&self, rows: &[A]) -> Result<There, DbErr> {
        let mut there = There::default();
        let columns = self.upsert.columns.iter();
        let columns: Vec<String> = columns.map(|it| it.as_str().to_owned()).collect();
        let see = |model: &ModelOf<A>| {
            there.keys.insert(key_of(model));
            there.links.extend(link_of(model, &columns));
        };
        let condition = self.upsert.condition(rows);
        let locked = self
            .rows
            .lock_each::<A::Entity>(condition, &Cut::Values, see);
        let dependents = locked.await?;
        self.note_before(dependents).await?;
        Ok(there)
    }

    /// Inserts rows, or nothing where one of them is there; answers which.
    async fn insert(&self, rows: Vec<A>) -> Result<bool, DbErr> {
        let conn = self.rows.conn;
        let savepoint = !Dialect::of(&conn).survives_errors();
        if savepoint {
            conn.execute(&Savepoint("SAVEPOINT recorded_upsert"))
                .await?;
        }
        let inserted = sea_orm::Insert::many(rows)
            .exec_without_returning(&conn)
            .await;
        let is_new = match inserted {
            Ok(_) => true,
            Err(error) if is_repeated(&error) => false,
            Err(error) => return Err(error),
        };
        if savepoint && !is_new {
            conn.execute(&Savepoint("ROLLBACK TO SAVEPOINT recorded_upsert"))
                .await?;
        }
        if savepoint {
            conn.execute(&Savepoint("RELEASE SAVEPOINT recorded_upsert"))
                .await?;
        }
        Ok(is_new)
    }
}

impl There {
    fn has<A: ActiveModelTrait>(&self, row: &A, columns: &[ColumnOf<A::Entity>]) -> bool {
        let among = |columns: &[_], keys: &HashSet<Key>| {
            values_of(row, columns).is_some_and(|values| keys.contains(&values))
        };
        among(columns, &self.links) || among(&key_columns::<A::Entity>(), &self.keys)
    }
}

/// What a row sets these columns to, where it sets them all.
fn values_of<A: ActiveModelTrait>(row: &A, columns: &[ColumnOf<A::Entity>]) -> Option<Key> {
    let values = columns.iter().map(|column| row.get(*column).into_value());
    values.collect()
}

/// What concerns no table, so that access control lets it pass.
struct Savepoint(&'static str);

impl StatementBuilder for Savepoint {
    fn build(&self, backend: &DbBackend) -> Statement {
        Statement::from_string(*backend, self.0)
    }

    #[cfg(feature = "rbac")]
    fn audit(&self) -> Result<sea_orm::QueryAccessAudit, sea_orm::AuditError> {
        sea_orm::sea_query::Query::select().take().audit()
    }
}
