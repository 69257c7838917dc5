//! The engine's window on typed entities: the few things that need an entity's types, behind
//! traits and function pointers that do not.

mod orphans;
mod packed;

pub(crate) use orphans::Of;

use std::any::Any;
use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::Condition;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, ModelTrait, QueryFilter, QuerySelect, Select, Value,
};

use crate::bulk::Pages;
use crate::by_keys::{
    Ends, beyond, by_key, find_ends, find_keys, is_integer, key_columns, lock_keys, read_keys,
    record_key,
};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::keys::{Key, key_of, link_of};
use crate::plan::{Column, Shape};
use crate::reads::{Reads, warn_unwatched};
use crate::recorded::Recorded;
use crate::recorder::Recorder;
use crate::redact::Redactor;
use crate::{Properties, RecordEntity, RecordError};

/// A `Vec<E::Model>`.
pub(crate) type Models = Arc<dyn Any + Send + Sync>;

/// What a record of a row would hold now.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    /// In the order of [`Shape::values`].
    pub(crate) values: Vec<Value>,
}

/// Which rows to load: at most `limit`, after a key.
pub(crate) struct Page<'p> {
    pub(crate) condition: Condition,
    pub(crate) after: Option<&'p Key>,
    pub(crate) limit: u64,
    pub(crate) lock: bool,
    /// A model of a page before, by which this one can be had more cheaply.
    pub(crate) like: Option<&'p Models>,
}

impl Page<'_> {
    fn select<E: EntityTrait>(self) -> Select<E> {
        let select = E::find().filter(self.condition).limit(self.limit);
        match self.after {
            Some(after) => select.filter(beyond::<E>(after)),
            None => select,
        }
    }
}

/// Which values a snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All.
    Whole,
    /// Without texts that the statement copies from the source table: nobody looks at them.
    BesideSource,
}

/// The plan of a recorded entity, its type forgotten.
pub(crate) trait Plan: Send + Sync {
    fn shape(&self) -> &Shape;

    /// Reads rows in the order of their keys, and locks them where the page says so.
    fn load<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Models, DbErr>>;

    /// The keys alone, locked as well.
    fn keys<'a>(
        &'a self,
        conn: Connection<'a>,
        condition: Condition,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>>;

    /// A page of keys, in their order.
    fn page_of_keys<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>>;

    /// The ends of a page, locked as well; none where no row is left.
    fn ends_of_page<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Option<Ends>, DbErr>>;

    /// The keys of rows that are gone though their latest record does not say so, in their order.
    fn orphans<'a>(
        &'a self,
        conn: Connection<'a>,
        of: Of<'a>,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>>;

    /// What records of these models would hold.
    fn snapshot<'a>(
        &'a self,
        conn: Connection<'a>,
        models: &'a Models,
        extent: Extent,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbErr>>;

    /// The last of the models, where the page after them can be had by it.
    fn like(&self, conn: Connection<'_>, models: &Models) -> Option<Models>;

    /// The values of columns of each model; those with a NULL, which links nothing, are left out.
    fn links(&self, models: &Models, columns: &[String]) -> Vec<Key>;

    /// The primary keys of models.
    fn keys_of(&self, models: &Models) -> Vec<Key>;

    /// Each model by itself, as listeners on this entity take it.
    fn each<'m>(&self, models: &'m Models) -> Vec<&'m (dyn Any + Send + Sync)>;

    /// What to say when the database refuses to load rows of this entity.
    fn loading(&self, source: DbErr) -> DbErr {
        let entity = &self.shape().entity;
        RecordError::database(entity, format!("reading `{entity}`"), source).into()
    }
}

pub(crate) struct TypedPlan<E: Recorded> {
    shape: Shape,
    sources: Vec<E::Column>,
    recorder: Recorder<E>,
    redactor: Option<Redactor>,
    /// Tables that properties may read without a warning.
    expected: BTreeSet<String>,
}

impl<E: Recorded> TypedPlan<E> {
    pub(crate) fn new(
        recorder: Recorder<E>,
        expected: BTreeSet<String>,
    ) -> Result<Self, RecordError> {
        let shape = Shape::of::<E>(recorder.properties.is_some())?;
        if recorder.computes_twice {
            let problem = "`properties` or `properties_with` is given twice; compute all properties \
                           in one closure";
            return Err(RecordError::plan(&shape.entity, problem));
        }
        Ok(Self {
            redactor: redactor(&shape, recorder.redaction_key.as_deref())?,
            shape,
            sources: E::Record::columns()
                .into_iter()
                .map(|(source, _)| source)
                .collect(),
            recorder,
            expected,
        })
    }

    async fn properties(
        &self,
        conn: Connection<'_>,
        models: &[E::Model],
    ) -> Result<Vec<Vec<Value>>, DbErr> {
        let Some(compute) = &self.recorder.properties else {
            return Ok(models.iter().map(|_| Vec::new()).collect());
        };
        let reads = Reads::default();
        let conn = if cfg!(debug_assertions) {
            conn.noting(&reads)
        } else {
            conn
        };
        let computed = AssertUnwindSafe(async { compute(models, conn).await })
            .catch_unwind()
            .await
            .map_err(|panic| {
                self.property_failed(format!("the closure panicked: {}", message(&*panic)), None)
            })?
            .map_err(|source| {
                self.property_failed(format!("the closure failed: {source}"), Some(source))
            })?;
        warn_unwatched(&self.shape.entity, reads.take(), &self.expected);
        if computed.len() != models.len() {
            let problem = format!(
                "the closure answered for {} of {} rows",
                computed.len(),
                models.len()
            );
            return Err(self.property_failed(problem, None));
        }
        let names = self.shape.properties.len();
        let values: Vec<_> = computed.into_iter().map(Properties::into_values).collect();
        match values.iter().map(Vec::len).find(|values| *values != names) {
            None => Ok(values),
            Some(values) => {
                let problem = format!("`into_values` gives {values} values for {names} names");
                Err(self.property_failed(problem, None))
            }
        }
    }

    fn property_failed(&self, problem: String, source: Option<DbErr>) -> DbErr {
        RecordError::Property {
            entity: self.shape.entity.clone(),
            problem,
            source,
        }
        .into()
    }

    fn row(
        &self,
        dialect: Dialect,
        model: &E::Model,
        properties: Vec<Value>,
        extent: Extent,
    ) -> Result<Row, DbErr> {
        let key = key_of(model);
        let mut values = Vec::with_capacity(self.sources.len() + properties.len());
        for (source, column) in self.sources.iter().zip(&self.shape.columns) {
            values.push(match extent {
                _ if column.redacted => self.redacted(column, &key, &model.get(*source))?,
                Extent::BesideSource if column.is_copied_unseen(dialect) => Value::String(None),
                _ => dialect.canonical(model.get(*source)),
            });
        }
        values.extend(properties.into_iter().map(|value| dialect.canonical(value)));
        self.shape
            .refuse_altered(dialect, self.shape.values().zip(&values))?;
        Ok(Row { key, values })
    }

    /// What is recorded in the place of a value.
    fn redacted(&self, column: &Column, key: &Key, value: &Value) -> Result<Value, RecordError> {
        let entity = &self.shape.entity;
        let redacted = match &self.redactor {
            Some(redactor) => redactor.redact(entity, &column.source, key, value),
            None => None,
        };
        redacted.ok_or_else(|| RecordError::Value {
            entity: entity.clone(),
            column: column.name.clone(),
            problem: "values of its type, or of that of its row's key, cannot be redacted"
                .to_owned(),
        })
    }
}

impl<E: Recorded> Plan for TypedPlan<E> {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn load<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Models, DbErr>> {
        Box::pin(async move {
            let (lock, like) = (page.lock, page.like);
            let select = by_key(page.select::<E>());
            if let Some(like) = like.and_then(|like| models_of::<E>(like).first())
                && let Some(models) = packed::models(conn, &select, like).await
            {
                return Ok(Arc::new(models) as Models);
            }
            let select = match lock {
                true => select.lock(Dialect::of(&conn).row_lock(false)),
                false => select,
            };
            let models = select.all(&conn).await;
            let models = models.map_err(|error| self.loading(error))?;
            Ok(Arc::new(models) as Models)
        })
    }

    fn page_of_keys<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>> {
        Box::pin(async move {
            let keys = match page.lock {
                true => {
                    let lock = Dialect::of(&conn).row_lock(false);
                    lock_keys(conn, page.select::<E>(), lock).await
                }
                false => find_keys(conn, by_key(page.select::<E>())).await,
            };
            keys.map_err(|error| self.loading(error))
        })
    }

    fn ends_of_page<'a>(
        &'a self,
        conn: Connection<'a>,
        page: Page<'a>,
    ) -> BoxFuture<'a, Result<Option<Ends>, DbErr>> {
        Box::pin(async move {
            if let [key] = &key_columns::<E>()[..]
                && is_integer(key.def().get_column_type())
            {
                let lock = page.lock.then(|| Dialect::of(&conn).row_lock(false));
                let ends = find_ends(conn, page.select::<E>(), lock, *key).await;
                return ends.map_err(|error| self.loading(error));
            }
            let keys = self.page_of_keys(conn, page).await?;
            let rows = keys.len() as u64;
            let ends = keys.first().cloned().zip(keys.last().cloned());
            Ok(ends.map(|(first, last)| Ends { first, last, rows }))
        })
    }

    fn keys<'a>(
        &'a self,
        conn: Connection<'a>,
        condition: Condition,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>> {
        Box::pin(async move {
            let lock = Dialect::of(&conn).row_lock(false);
            let keys = lock_keys(conn, E::find().filter(condition), lock).await;
            keys.map_err(|error| self.loading(error))
        })
    }

    fn snapshot<'a>(
        &'a self,
        conn: Connection<'a>,
        models: &'a Models,
        extent: Extent,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbErr>> {
        Box::pin(async move {
            let models = models_of::<E>(models);
            let dialect = Dialect::of(&conn);
            let properties = self.properties(conn, models).await?;
            let rows = models.iter().zip(properties);
            rows.map(|(model, properties)| self.row(dialect, model, properties, extent))
                .collect()
        })
    }

    fn orphans<'a>(
        &'a self,
        conn: Connection<'a>,
        of: Of<'a>,
    ) -> BoxFuture<'a, Result<Vec<Key>, DbErr>> {
        Box::pin(async move {
            let columns: Vec<_> = record_key::<E::Record>().collect();
            let select = orphans::orphans::<E>(of);
            let found = read_keys::<E>(conn, &select, &columns).await;
            found.map_err(|error| {
                let action = format!("reading `{}`", self.shape.record);
                RecordError::database(&self.shape.entity, action, error).into()
            })
        })
    }

    fn like(&self, conn: Connection<'_>, models: &Models) -> Option<Models> {
        let last = models_of::<E>(models).last()?;
        let packs = Dialect::of(&conn).packs_rows();
        packs.then(|| Arc::new(vec![last.clone()]) as Models)
    }

    fn links(&self, models: &Models, columns: &[String]) -> Vec<Key> {
        let links = models_of::<E>(models).iter();
        links.filter_map(|model| link_of(model, columns)).collect()
    }

    fn keys_of(&self, models: &Models) -> Vec<Key> {
        models_of::<E>(models).iter().map(key_of).collect()
    }

    fn each<'m>(&self, models: &'m Models) -> Vec<&'m (dyn Any + Send + Sync)> {
        let models = models_of::<E>(models).iter();
        models
            .map(|model| model as &(dyn Any + Send + Sync))
            .collect()
    }
}

/// What hashes are made with, where the entity has a use for them.
fn redactor(shape: &Shape, key: Option<&[u8]>) -> Result<Option<Redactor>, RecordError> {
    let redactor = match (key, shape.redacts()) {
        (Some(key), _) => Redactor::new(key).map(Some),
        (None, false) => Ok(None),
        (None, true) => Err(
            "columns are redacted, but there is no key to do it with; give \
                             `Recorder::redaction_key`"
                .to_owned(),
        ),
    };
    redactor.map_err(|problem| RecordError::plan(&shape.entity, problem))
}

fn models_of<E: Recorded>(models: &Models) -> &[E::Model] {
    let models = models.downcast_ref::<Vec<E::Model>>();
    debug_assert!(models.is_some(), "models of another entity");
    models.map_or(&[], Vec::as_slice)
}

/// What was panicked with, as far as it is text.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Locks rows of a hooked entity and reads some of their columns.
pub(crate) type LockLinks = for<'a> fn(
    Connection<'a>,
    Condition,
    &'a [String],
) -> BoxFuture<'a, Result<HashSet<Key>, DbErr>>;

pub(crate) fn lock_links<'a, E: EntityTrait>(
    conn: Connection<'a>,
    condition: Condition,
    columns: &'a [String],
) -> BoxFuture<'a, Result<HashSet<Key>, DbErr>> {
    Box::pin(async move {
        let mut links = HashSet::new();
        let mut pages = Pages::<E>::shared(condition);
        if columns.is_empty() {
            while pages.keys(conn).await?.is_some() {}
            return Ok(links);
        }
        while let Some(models) = pages.models(conn).await? {
            links.extend(models.iter().filter_map(|model| link_of(model, columns)));
        }
        Ok(links)
    })
}
