//! What a user says about the recording of an entity.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{
    DbErr, EntityName, EntityTrait, Iterable, Linked, ModelTrait, Related, RelationDef,
    RelationTrait, Select,
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
///
/// # Example
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # fn main() {
/// use sea_orm::{ColumnTrait, EntityTrait, Linked, LoaderTrait, QueryFilter, RelationDef, RelationTrait};
///
/// // A property from the article alone: nothing needs watching.
/// let _ = Recorder::<article::Entity>::new().properties(|article| article::record::Properties {
///     headline: article.title.to_uppercase(),
/// });
///
/// // From the topic as well, with one query for many articles: so topics are watched.
/// let recorder = Recorder::<article::Entity>::new()
///     .properties_with(|articles, db| {
///         Box::pin(async move {
///             let topics = articles.load_one(topic::Entity, &db).await?;
///             let names = topics.into_iter().map(|topic| topic.map_or_else(String::new, |topic| topic.name));
///             Ok(names.map(|headline| article::record::Properties { headline }).collect())
///         })
///     })
///     .watch(topic::Entity);
///
/// // Along a link of SeaORM's, which may have several steps.
/// struct ToTopic;
///
/// impl Linked for ToTopic {
///     type FromEntity = article::Entity;
///     type ToEntity = topic::Entity;
///
///     fn link(&self) -> Vec<RelationDef> {
///         vec![article::Relation::Topic.def()]
///     }
/// }
///
/// let recorder = recorder.watch_linked(ToTopic);
///
/// // By a query: articles whose text names the topic.
/// let _ = recorder.watch_with(topic::Entity, |topic: &topic::Model| {
///     article::Entity::find().filter(article::Column::Text.contains(&topic.name))
/// });
/// # }
/// ```
pub struct Recorder<E: Recorded> {
    pub(crate) properties: Option<Compute<E>>,
    /// Whether another closure was given before, which the plan refuses.
    pub(crate) computes_twice: bool,
    pub(crate) watches: Vec<Watch<E>>,
    pub(crate) redaction_key: Option<Vec<u8>>,
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
            computes_twice: false,
            watches: Vec::new(),
            redaction_key: None,
        }
    }

    /// Computes the properties of a row from the row alone. Default: none are computed. See the
    /// [example](Self#example).
    ///
    /// A panic becomes [`RecordError::Property`](crate::RecordError::Property); the save fails and
    /// leaves nothing. One closure computes all properties: with another, of this or of
    /// [`properties_with`](Self::properties_with), the first save fails with
    /// [`RecordError::Plan`](crate::RecordError::Plan) before anything is written, as does
    /// [`check`](crate::check).
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

    /// Computes the properties of many rows at once, with the database at hand. Default: none. See the
    /// [example](Self#example).
    ///
    /// The closure gets at most 1,000 models, in the order of their keys, and answers for each in
    /// the same order; one query for all of them keeps a fan-out cheap. What it reads should be
    /// watched. An error or a panic fails the save, which leaves nothing. It is the only closure, as
    /// [`properties`](Self::properties) says.
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
        self.computes_twice |= self.properties.replace(Arc::new(compute)).is_some();
        self
    }

    /// The secret key by which values of columns that are marked `#[recorded(redact)]` are hashed, of
    /// at least 32 bytes. Default: none, and an entity with such columns cannot be saved.
    ///
    /// Another key gives other hashes, so that each row is recorded once more. Without a key, or with
    /// a short one, the first save fails with [`RecordError::Plan`](crate::RecordError::Plan) before
    /// anything is written, as does [`check`](crate::check).
    ///
    /// ```standalone_crate
    /// # mod account {
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// #[recorded(columns(mail))]
    /// #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #[sea_orm(table_name = "account")]
    /// pub struct Model {
    ///     #[sea_orm(primary_key)]
    ///     pub id: i32,
    ///     #[recorded(redact)]
    ///     pub mail: String,
    /// }
    ///
    /// impl Recorded for Entity {
    ///     type Record = record::Entity;
    ///
    ///     fn recorder() -> Recorder<Self> {
    ///         let key = std::env::var("REDACTION_KEY").unwrap_or_default();
    ///         Recorder::new().redaction_key(key)
    ///     }
    /// }
    /// #
    /// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// # pub enum Relation {}
    /// #
    /// # #[record_hooks]
    /// # impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn redaction_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.redaction_key = Some(key.into());
        self
    }

    /// Records rows again when a row of `watched` that they are related to changes. See the
    /// [example](Self#example).
    ///
    /// Any relation does: belongs-to, has-one, has-many, and many-to-many, whose junction entity
    /// must have hooks too. Watching matters to properties; without any, it costs saves nothing, and
    /// tells whom a deletion may delete or cut loose by the database's foreign keys.
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

    /// Records rows again when a row at the end of a link changes, or one on the way there. See the
    /// [example](Self#example).
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

    /// Records the rows that `dependents` selects when a row of `watched` changes. See the
    /// [example](Self#example).
    ///
    /// For what no relation says. The closure is called with the row as it was and as it is; each
    /// call is one query, so prefer [`watch`](Self::watch) where a relation exists. Dependents that are
    /// inserted or moved at the same time are not held back by a lock, as they are along relations, and
    /// may be recorded with what was true before: run both SERIALIZABLE where that matters.
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
    /// Those are the variants of its `Relation`, and the many-to-many fields (`has_many` with `via`) of
    /// `#[sea_orm::model]` for which SeaORM writes `Related`: of those to the entity itself
    /// (`self_ref`), of two with the same target, and of a `Related` by hand with `via`, as the
    /// compact format has it, nothing is known here. Add [`watch`](Self::watch) or
    /// [`watch_linked`](Self::watch_linked) for them. Where the record entity is written by hand,
    /// nothing is known of any many-to-many relation, unless its
    /// [`many_to_many`](RecordEntity::many_to_many) names them. A relation to the entity's own
    /// records is left out.
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
    let records = E::Record::default().table_ref();
    let direct = E::Relation::iter()
        .map(|relation| relation.def())
        .filter(|relation| relation.to_tbl != records)
        .map(|relation| vec![relation]);
    direct.chain(E::Record::many_to_many()).collect()
}

/// A value of `model` by the name of its column.
pub(crate) fn value_of<M: ModelTrait>(model: &M, column: &str) -> Option<sea_orm::Value> {
    column_named::<M::Entity>(column).map(|column| model.get(column))
}
