//! The engine's window on typed entities: the few things that need an entity's types, behind
//! traits and function pointers that do not.

mod packed;

use std::any::Any;
use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    BinOper, Condition, Expr, ExprTrait, LockType, Order, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DbErr, EntityName, EntityTrait, IdenStatic, Iterable,
    ModelTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    Value,
};

use crate::bulk::{Pages, untyped_key};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::plan::{Column, Shape};
use crate::reads::{Reads, warn_unwatched};
use crate::recorded::{ColumnOf, Recorded, column_named};
use crate::recorder::{Recorder, value_of};
use crate::redact::Redactor;
use crate::write::{CHUNK, list_length};
use crate::{Event, Properties, RecordEntity, RecordError};

/// The values of a key or of link columns, in their order.
pub(crate) type Key = Vec<Value>;

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

/// The first and the last key of a page, and how many rows it has.
pub(crate) struct Ends {
    pub(crate) first: Key,
    pub(crate) last: Key,
    pub(crate) rows: u64,
}

/// Which records to look among for those of rows that are gone.
#[derive(Clone, Copy)]
pub(crate) enum Of<'k> {
    /// Those with keys after the first and up to the second, a chunk of them.
    Between(Option<&'k Key>, Option<&'k Key>),
    /// Those of these rows.
    Keys(&'k [Key]),
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
                true => select.lock(Dialect::of(&conn).row_lock()),
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
                    let lock = Dialect::of(&conn).row_lock();
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
                let lock = page.lock.then(|| Dialect::of(&conn).row_lock());
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
            let lock = Dialect::of(&conn).row_lock();
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
            let select = orphans::<E>(of);
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

pub(crate) fn key_of<M: ModelTrait>(model: &M) -> Key {
    let keys = <M::Entity as EntityTrait>::PrimaryKey::iter();
    keys.map(|key| model.get(key.into_column())).collect()
}

/// The values of link columns, unless one is NULL.
pub(crate) fn link_of<M: ModelTrait>(model: &M, columns: &[String]) -> Option<Key> {
    let values = columns.iter().map(|column| value_of(model, column));
    values
        .map(|value| value.filter(|value| !is_null(value)))
        .collect()
}

pub(crate) fn is_null(value: &Value) -> bool {
    *value == value.as_null()
}

/// Rows whose key comes after `after`, in lexicographic order.
pub(crate) fn beyond<E: EntityTrait>(after: &Key) -> Condition {
    beyond_columns(&key_columns::<E>(), after)
}

/// Rows whose `columns` come after `after`, in lexicographic order.
pub(crate) fn beyond_columns<C: ColumnTrait>(columns: &[C], after: &Key) -> Condition {
    following(columns, after, BinOper::GreaterThan)
}

/// The row whose `columns` are `place`, and those that come after it.
pub(crate) fn from_columns<C: ColumnTrait>(columns: &[C], place: &Key) -> Condition {
    following(columns, place, BinOper::GreaterThanOrEqual)
}

/// Said twice where there are several: PostgreSQL and SQLite seek by a comparison of rows, MariaDB by
/// one column after the other.
fn following<C: ColumnTrait>(columns: &[C], place: &Key, follows: BinOper) -> Condition {
    let stepwise = (0..columns.len()).fold(Condition::any(), |any, last| {
        let equal = (0..last).fold(Condition::all(), |all, index| {
            all.add(columns[index].eq(place[index].clone()))
        });
        let value = place[last].clone();
        let beyond = match (follows, last + 1 == columns.len()) {
            (BinOper::GreaterThanOrEqual, true) => columns[last].gte(value),
            _ => columns[last].gt(value),
        };
        any.add(equal.add(beyond))
    });
    if columns.len() < 2 {
        return stepwise;
    }
    let values = columns.iter().zip(place);
    let values = values.map(|(column, value)| column.save_as(Expr::val(value.clone())));
    let whole = Expr::tuple(
        columns
            .iter()
            .map(|column| Expr::col(column.as_column_ref())),
    );
    Condition::all()
        .add(whole.binary(follows, Expr::tuple(values)))
        .add(stepwise)
}

/// The columns of the primary key.
pub(crate) fn key_columns<E: EntityTrait>() -> Vec<E::Column> {
    let keys = E::PrimaryKey::iter();
    keys.map(PrimaryKeyToColumn::into_column).collect()
}

/// Whether a row has one of these keys.
pub(crate) fn has_key<E: EntityTrait>(keys: &[Key]) -> Expr {
    have::<E>(&key_columns::<E>(), keys)
}

/// Whether these columns of a row together are one of `links`.
pub(crate) fn have<E: EntityTrait>(columns: &[E::Column], links: &[Key]) -> Expr {
    let places = columns.iter().map(|it| Expr::col((E::default(), *it)));
    are_among(places.collect(), links, |at, value| {
        columns[at].save_as(value)
    })
}

/// Whether `places`, which stand for these columns of an entity, together are one of `links`.
pub(crate) type Among = fn(places: Vec<Expr>, columns: &[String], links: &[Key]) -> Expr;

/// [`Among`] for `E`: values are written as SeaORM saves them, in a native enum's type for example.
pub(crate) fn among<E: EntityTrait>(places: Vec<Expr>, columns: &[String], links: &[Key]) -> Expr {
    let columns: Vec<_> = columns.iter().map(|it| column_named::<E>(it)).collect();
    are_among(places, links, |at, value| match columns[at] {
        Some(column) => column.save_as(value),
        None => value,
    })
}

fn are_among(mut places: Vec<Expr>, links: &[Key], write: impl Fn(usize, Expr) -> Expr) -> Expr {
    // What is over repeats the last.
    let over = list_length(links.len()) - links.len();
    let links = links
        .iter()
        .chain(links.last().into_iter().cycle().take(over));
    let cells = |link: &Key| {
        let cells = link.iter().cloned().map(Expr::val).enumerate();
        cells
            .map(|(at, value)| write(at, value))
            .collect::<Vec<_>>()
    };
    match places.len() {
        1 => places.remove(0).is_in(links.flat_map(cells)),
        _ => Expr::tuple(places).is_in(links.map(|link| Expr::tuple(cells(link)))),
    }
}

/// The rows with these keys.
pub(crate) async fn by_keys<E: EntityTrait>(
    conn: Connection<'_>,
    keys: &[Key],
) -> Result<Vec<E::Model>, DbErr> {
    E::find().filter(has_key::<E>(keys)).all(&conn).await
}

/// In the order of keys, which is that of all locks.
fn by_key<E: EntityTrait>(select: Select<E>) -> Select<E> {
    let keys = key_columns::<E>().into_iter();
    keys.fold(select, |select, key| select.order_by(key, Order::Asc))
}

/// What a select finds, locked.
pub(crate) async fn lock_models<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: LockType,
) -> Result<Vec<E::Model>, DbErr> {
    by_key(select).lock(lock).all(&conn).await
}

/// The keys of what a select finds, locked.
pub(crate) async fn lock_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: LockType,
) -> Result<Vec<Key>, DbErr> {
    find_keys(conn, by_key(select).lock(lock)).await
}

/// The keys of what a select finds.
async fn find_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
) -> Result<Vec<Key>, DbErr> {
    let keys = key_columns::<E>();
    let columns = keys.iter();
    let select = columns.fold(select.select_only(), |select, key| select.column(*key));
    read_keys::<E>(conn, &select.into_query(), &keys).await
}

/// The ends of what a select finds, without the rows between: a million keys take a second to bring.
/// Of integers alone, of which every database knows the least and the greatest.
async fn find_ends<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: Option<LockType>,
    key: E::Column,
) -> Result<Option<Ends>, DbErr> {
    let mut page = by_key(select).select_only().column(key).into_query();
    if let Some(lock) = lock {
        page.lock(lock);
    }
    let ends = Query::select()
        .expr_as(Expr::col(key).min(), "first_key")
        .expr_as(Expr::col(key).max(), "last_key")
        .expr_as(Expr::cust("COUNT(*)"), "rows_there")
        .from_subquery(page, "page")
        .take();
    let Some(row) = conn.query_one(&ends).await? else {
        return Ok(None);
    };
    let rows = row.try_get::<i64>("", "rows_there")?.unsigned_abs();
    if rows == 0 {
        return Ok(None);
    }
    let key = |name: &str| row.try_get_many("", &[name.to_owned()]);
    Ok(Some(Ends {
        first: untyped_key::<E>(key("first_key")?),
        last: untyped_key::<E>(key("last_key")?),
        rows,
    }))
}

fn is_integer(ty: &ColumnType) -> bool {
    use ColumnType::{
        BigInteger, BigUnsigned, Integer, SmallInteger, SmallUnsigned, TinyInteger, TinyUnsigned,
        Unsigned,
    };
    matches!(
        ty,
        TinyInteger
            | SmallInteger
            | Integer
            | BigInteger
            | TinyUnsigned
            | SmallUnsigned
            | Unsigned
            | BigUnsigned
    )
}

/// Keys of `E`, as a statement finds them in `columns`.
async fn read_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: &SelectStatement,
    columns: &[impl IdenStatic],
) -> Result<Vec<Key>, DbErr> {
    let names: Vec<_> = columns.iter().map(|key| key.as_str().to_owned()).collect();
    let rows = conn.query_all(select).await?;
    let keys = rows.iter().map(|row| row.try_get_many("", &names));
    keys.map(|key| key.map(untyped_key::<E>)).collect()
}

/// The columns of the primary key, in its order, each with the column that repeats it.
pub(crate) fn key_pairs<R: RecordEntity>() -> Vec<(ColumnOf<R::Recording>, R::Column)> {
    let pairs = R::key();
    let repeated = |key: ColumnOf<R::Recording>| {
        let mut pairs = pairs.iter();
        pairs
            .find(|(source, _)| source.as_str() == key.as_str())
            .copied()
    };
    key_columns::<R::Recording>()
        .into_iter()
        .filter_map(repeated)
        .collect()
}

/// Those that repeat it alone.
pub(crate) fn record_key<R: RecordEntity>() -> impl Iterator<Item = R::Column> {
    key_pairs::<R>().into_iter().map(|(_, column)| column)
}

/// The names of those.
pub(crate) fn record_key_names<R: RecordEntity>() -> Vec<String> {
    record_key::<R>()
        .map(|column| column.as_str().to_owned())
        .collect()
}

/// Latest records that are no deletions, of rows that are gone.
fn orphans<E: Recorded>(of: Of<'_>) -> SelectStatement {
    let pairs = key_pairs::<E::Record>();
    let columns: Vec<_> = pairs.iter().map(|(_, record)| *record).collect();
    let own = |column: &ColumnOf<E::Record>| Expr::col((E::Record::default(), *column));
    let newer = |column: ColumnOf<E::Record>| Expr::col(("newer", column));
    let mut source = Query::select();
    source.expr(Expr::val(1)).from(E::default().table_ref());
    let mut newest = Query::select();
    // Not by MAX, for which MariaDB and MySQL would read all records of the row, as MySQL would to sort
    // them by the time alone.
    newest.expr(newer(E::Record::RECORDED_AT));
    newest.from_as(E::Record::default().table_ref(), "newer");
    for column in columns.iter().copied().chain([E::Record::RECORDED_AT]) {
        newest.order_by_expr(newer(column), Order::Desc);
    }
    newest.limit(1);
    for (key, record) in &pairs {
        source.and_where(Expr::col((E::default(), *key)).eq(own(record)));
        newest.and_where(newer(*record).eq(own(record)));
    }
    let (after, until, keys) = match of {
        Of::Between(after, until) => (after, until, None),
        Of::Keys(keys) => (None, None, Some(keys)),
    };
    let beyond = |key: &Key| beyond_columns(&columns, key);
    let mut select = Query::select();
    select.from(E::Record::default().table_ref());
    select.columns(columns.iter().map(|column| (E::Record::default(), *column)));
    select.cond_where(
        Condition::all()
            .add_option(after.map(beyond))
            .add_option(until.map(|until| beyond(until).not()))
            .add_option(keys.map(|keys| have::<E::Record>(&columns, keys)))
            .add(E::Record::EVENT.is_not_in(Event::ENDINGS))
            .add(Expr::exists(source).not())
            .add(own(&E::Record::RECORDED_AT).eq(Expr::SubQuery(None, Box::new(newest.into())))),
    );
    for column in &columns {
        select.order_by_expr(own(column), Order::Asc);
    }
    select.limit(CHUNK as u64);
    select
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

/// `columns` of `table`, as expressions.
pub(crate) fn table_columns(table: &str, columns: &[String]) -> Vec<Expr> {
    let column = |name: &String| Expr::col((table.to_owned(), name.to_owned()));
    columns.iter().map(column).collect()
}
