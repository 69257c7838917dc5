//! What a user says about the recording of an entity.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{
    DbErr, EntityTrait, Iterable, Linked, ModelTrait, Related, RelationDef, RelationTrait, Select,
};

use crate::erased::Connection;
use crate::recorded::{column_named, table_name};
use crate::{Hooked, RecordEntity, Recorded};

/// The properties type of a recorded entity.
pub(crate) type PropertiesOf<E> = <<E as Recorded>::Record as RecordEntity>::Properties;

type Compute<E> = Arc<
    dyn for<'a> Fn(
            &'a [<E as EntityTrait>::Model],
            Connection<'a>,
        ) -> BoxFuture<'a, Result<Vec<PropertiesOf<E>>, DbErr>>
        + Send
        + Sync,
>;

/// How an entity is recorded: what is computed, and what is watched.
///
/// Which columns are recorded stands in the record entity, where `#[recorded(columns(…))]` wrote
/// it. A default recorder computes nothing and watches nothing.
pub struct Recorder<E: Recorded> {
    pub(crate) properties: Option<Compute<E>>,
    pub(crate) watches: Vec<Watch<E>>,
}

/// One thing that is watched.
pub(crate) enum Watch<E: Recorded> {
    /// Along relations, from the recorded entity to the watched one.
    Path(Vec<RelationDef>),
    /// Every relation that the entity declares.
    All,
    /// By a select of the user's own.
    Select(CustomWatch<E>),
}

pub(crate) struct CustomWatch<E: EntityTrait> {
    /// The table that is watched.
    pub(crate) table: String,
    pub(crate) entity: std::any::TypeId,
    pub(crate) select: DependentsOf<E>,
}

/// From a watched model, type-erased, to the rows that depend on it.
pub(crate) type DependentsOf<E> =
    Arc<dyn Fn(&dyn std::any::Any) -> Option<Select<E>> + Send + Sync>;

impl<E: Recorded> fmt::Debug for Recorder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("entity", &table_name::<E>())
            .field("computes", &self.properties.is_some())
            .field("watches", &self.watches.len())
            .finish()
    }
}

impl<E: Recorded> Default for Recorder<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Recorded> Recorder<E> {
    /// Records the columns alone.
    ///
    /// Before a closure write `Recorder::<Self>::new()`: Rust wants to know what the closure takes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            properties: None,
            watches: Vec::new(),
        }
    }

    /// Computes the properties of a row from the row alone. Default: none are computed.
    ///
    /// A panic becomes [`RecordError::Property`](crate::RecordError::Property); the save fails and
    /// leaves nothing.
    #[must_use]
    pub fn properties<F>(self, compute: F) -> Self
    where
        F: Fn(&E::Model) -> PropertiesOf<E> + Send + Sync + 'static,
    {
        let compute = Arc::new(compute);
        self.properties_with(move |models, _| {
            let compute = Arc::clone(&compute);
            Box::pin(async move { Ok(models.iter().map(|model| compute(model)).collect()) })
        })
    }

    /// Computes the properties of many rows at once, with the database at hand. Default: none.
    ///
    /// The closure gets at most 1,000 models, in the order of their keys, and answers for each in
    /// the same order; one query for all of them keeps a fan-out cheap. What it reads should be
    /// watched. An error or a panic fails the save, which leaves nothing.
    #[must_use]
    pub fn properties_with<F>(mut self, compute: F) -> Self
    where
        F: for<'a> Fn(
                &'a [E::Model],
                Connection<'a>,
            ) -> BoxFuture<'a, Result<Vec<PropertiesOf<E>>, DbErr>>
            + Send
            + Sync
            + 'static,
    {
        self.properties = Some(Arc::new(compute));
        self
    }

    /// Records rows again when a row of `watched` that they are related to changes.
    ///
    /// Any relation does: belongs-to, has-one, has-many, and many-to-many, whose junction entity
    /// must have hooks too. Watching matters to properties alone: without any, it costs nothing
    /// and does nothing.
    #[must_use]
    pub fn watch<R>(mut self, watched: R) -> Self
    where
        R: EntityTrait,
        R::ActiveModel: Hooked,
        E: Related<R>,
    {
        let _ = watched;
        let path = E::via().into_iter().chain([E::to()]).collect();
        self.watches.push(Watch::Path(path));
        self
    }

    /// Records rows again when a row at the end of a link changes, or one on the way there.
    ///
    /// The entities on the way must have hooks too; the first save fails with their name otherwise.
    #[must_use]
    pub fn watch_linked<L>(mut self, link: L) -> Self
    where
        L: Linked<FromEntity = E>,
        <L::ToEntity as EntityTrait>::ActiveModel: Hooked,
    {
        self.watches.push(Watch::Path(link.link()));
        self
    }

    /// Records the rows that `dependents` selects when a row of `watched` changes.
    ///
    /// For what no relation says. The closure is called with the row as it was and as it is; each
    /// call is one query, so prefer [`watch`](Self::watch) where a relation exists. Concurrent
    /// inserts of dependents are not held back by a lock, as they are along relations.
    #[must_use]
    pub fn watch_with<R, F>(mut self, watched: R, dependents: F) -> Self
    where
        R: EntityTrait,
        R::ActiveModel: Hooked,
        R::Model: 'static,
        F: Fn(&R::Model) -> Select<E> + Send + Sync + 'static,
    {
        let _ = watched;
        self.watches.push(Watch::Select(CustomWatch {
            table: R::default().table_name().to_owned(),
            entity: std::any::TypeId::of::<R>(),
            select: Arc::new(move |model| model.downcast_ref::<R::Model>().map(&dependents)),
        }));
        self
    }

    /// Watches every relation that the entity declares, django-record's `audit_all_relatives`.
    ///
    /// The first save fails, naming it, if an entity among them lacks hooks.
    #[must_use]
    pub fn watch_all(mut self) -> Self {
        self.watches.push(Watch::All);
        self
    }
}

/// The relations that `watch_all` follows.
pub(crate) fn all_relations<E: Recorded>() -> Vec<Vec<RelationDef>> {
    let direct = E::Relation::iter().map(|relation| vec![relation.def()]);
    direct.chain(E::Record::many_to_many()).collect()
}

/// A value of `model` by the name of its column.
pub(crate) fn value_of<M: ModelTrait>(model: &M, column: &str) -> Option<sea_orm::Value> {
    column_named::<M::Entity>(column).map(|column| model.get(column))
}
