//! Who is recorded, who has hooks, and who listens to whom.
//!
//! Entities register themselves through `inventory`, as SeaORM's own entity registry does. What is
//! listened to is worked out once, when the first hook runs or [`check`] is called.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use sea_orm::{EntityTrait, Iterable, RelationDef, RelationTrait};

use crate::by_keys::{Among, among};
use crate::by_type::ByType;
use crate::cascade::{Cut, ForeignKey, Reach, reach, spread};
use crate::dialect::Dialect;
use crate::listen::{Guard, Listener, Path, mark_cycles, reached};
use crate::recorded::table_name;
use crate::recorder::{Watch, all_relations};
use crate::typed::{LockLinks, Plan, TypedPlan, lock_links};
use crate::{Hooked, RecordError, Recorded};

/// An entry of the registry, made by the macros; by hand, see [`register`] and [`hooks`](crate::hooks).
/// There is no default: an entity with hooks that nobody registered is refused at its first save.
#[derive(Clone, Copy, Debug)]
pub struct Registration(Entry);

#[derive(Clone, Copy, Debug)]
enum Entry {
    Recorded(TypeId, fn(&Hooks) -> Built),
    Hooked(fn() -> HookedEntity),
}

inventory::collect!(Registration);

impl Registration {
    /// An entity that is recorded.
    pub const fn recorded<E: Recorded>() -> Self {
        Self(Entry::Recorded(TypeId::of::<E>(), build::<E>))
    }

    /// An active model whose behaviour calls the hooks.
    pub const fn hooked<A: Hooked>() -> Self {
        Self(Entry::Hooked(hooked::<A>))
    }
}

/// Finds out whether an entity is recorded, where its type is concrete: the constant of recorded
/// entities comes before that of the trait [`MaybeRecorded`], which is there for all.
#[derive(Debug)]
pub struct Probe<E>(std::marker::PhantomData<E>);

impl<E: Recorded> Probe<E> {
    /// An entity that is recorded.
    pub const REGISTRATION: Registration = Registration::recorded::<E>();
}

/// See [`Probe`].
pub trait MaybeRecorded {
    /// An entity that has hooks and is not recorded.
    const REGISTRATION: Registration;
}

impl<E: EntityTrait<ActiveModel: Hooked>> MaybeRecorded for Probe<E> {
    const REGISTRATION: Registration = Registration::hooked::<E::ActiveModel>();
}

/// An entity with hooks, its type forgotten.
#[derive(Clone, Debug)]
pub(crate) struct HookedEntity {
    pub(crate) type_id: TypeId,
    pub(crate) table: String,
    pub(crate) lock_links: LockLinks,
    pub(crate) among: Among,
    /// The relations that it declares.
    pub(crate) relations: fn() -> Vec<RelationDef>,
    pub(crate) reach: Reach,
}

fn hooked<A: Hooked>() -> HookedEntity {
    HookedEntity {
        type_id: TypeId::of::<A::Entity>(),
        table: table_name::<A::Entity>(),
        lock_links: lock_links::<A::Entity>,
        among: among::<A::Entity>,
        relations: relations::<A::Entity>,
        reach: reach::<A::Entity>,
    }
}

fn relations<E: EntityTrait>() -> Vec<RelationDef> {
    E::Relation::iter().map(|relation| relation.def()).collect()
}

/// The hooked entities by the full name of their table; usually one each.
pub(crate) type Hooks = HashMap<String, Vec<HookedEntity>>;

/// What became of a recorded entity: its plan, what it listens to, and the foreign keys along which
/// the database may change it.
type Built = Result<(Arc<dyn Plan>, Vec<Path>, Vec<(TypeId, ForeignKey)>), RecordError>;

/// What the hooks of one entity do.
#[derive(Default)]
pub(crate) struct Node {
    /// How it is recorded.
    pub(crate) plan: Option<Arc<dyn Plan>>,
    /// Who depends on it.
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// What it must lock when it comes to depend on something.
    pub(crate) guards: Vec<Arc<Guard>>,
    /// By which the database changes other rows when one of its own goes.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// Why it cannot be recorded.
    error: Option<RecordError>,
}

impl Node {
    /// Whether it is neither recorded nor watched: only what goes with its rows matters.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_built() && self.listeners.is_empty() && self.guards.is_empty()
    }

    /// Whether the database changes other rows where this happens to its own.
    pub(crate) fn changes_others(&self, cut: &Cut) -> bool {
        self.foreign_keys.iter().any(|key| key.acts(cut))
    }

    /// Whether more is to be noted of its rows than their keys, when they go.
    fn goes_on(&self) -> bool {
        !self.listeners.is_empty() || !self.foreign_keys.is_empty()
    }

    /// Whether its registration as recorded has been seen to.
    fn is_built(&self) -> bool {
        self.plan.is_some() || self.error.is_some()
    }

    /// Whether the save can fail after the row was written, in a way that leaves the transaction
    /// usable; such a save wants a savepoint.
    pub(crate) fn may_refuse(&self) -> bool {
        self.plans().any(|plan| plan.shape().may_refuse())
    }

    /// Whether the record tables that a save may write to have taken records in this process.
    pub(crate) fn is_proven(&self, dialect: Dialect) -> bool {
        self.plans().all(|plan| plan.shape().is_proven(dialect))
    }

    /// The columns that tie its rows to others.
    pub(crate) fn links(&self) -> impl Iterator<Item = &[String]> {
        let guarded = self.guards.iter().map(|guard| guard.columns());
        self.listeners
            .iter()
            .filter_map(|listener| listener.columns())
            .chain(guarded)
    }

    fn plans(&self) -> impl Iterator<Item = &Arc<dyn Plan>> {
        self.plan
            .iter()
            .chain(self.listeners.iter().map(|listener| &listener.dependent))
    }
}

#[derive(Default)]
pub(crate) struct Registry {
    nodes: ByType<Node>,
    /// Entities that are known to call the hooks.
    hooked: ByType<HookedEntity>,
    /// The record tables of those who depend on an entity, also by way of others.
    dependents: ByType<Vec<String>>,
    /// The schemas of the recorded and watched tables, by their names in lower case.
    tables: HashMap<String, Vec<Option<String>>>,
}

impl Registry {
    /// What the hooks of `E` have to do, once they are called; nothing where it is neither recorded
    /// nor watched.
    pub(crate) fn called<E: EntityTrait>(&self) -> Result<Option<&Node>, RecordError> {
        let node = self.called_to_delete::<E>()?;
        Ok(node.filter(|node| !node.is_idle()))
    }

    /// [`called`](Self::called), for the hooks around a deletion.
    pub(crate) fn called_to_delete<E: EntityTrait>(&self) -> Result<Option<&Node>, RecordError> {
        match self.node_to_delete::<E>()? {
            None if !self.hooked.contains_key(&TypeId::of::<E>()) => Err(RecordError::plan(
                table_name::<E>(),
                "its hooks are called, but nobody registered it; write \
                 `register_static!(Registration::hooked::<ActiveModel>())`, and \
                 `register_static!(Registration::recorded::<Entity>())` if it is recorded",
            )),
            node => Ok(node),
        }
    }

    /// The entities whose rows the database may change because of a row of this one, however far away.
    pub(crate) fn reached_from<'r>(&'r self, node: &'r Node) -> impl Iterator<Item = &'r Node> {
        let mut seen = HashSet::new();
        let mut ahead = vec![node];
        std::iter::from_fn(move || {
            let node = ahead.pop()?;
            let children = node.foreign_keys.iter().map(|key| key.child.type_id);
            let new = children.filter(|child| seen.insert(*child));
            ahead.extend(new.filter_map(|child| self.any_node(child)));
            Some(node)
        })
    }

    /// How `E` is recorded and watched; not at all, for most entities.
    pub(crate) fn node<E: EntityTrait>(&self) -> Result<Option<&Node>, RecordError> {
        Ok(self.node_to_delete::<E>()?.filter(|node| !node.is_idle()))
    }

    /// The same, also where only what goes with its rows is recorded or watched.
    pub(crate) fn node_to_delete<E: EntityTrait>(&self) -> Result<Option<&Node>, RecordError> {
        self.node_of(TypeId::of::<E>())
    }

    /// A node, whether or not its entity can be recorded.
    pub(crate) fn any_node(&self, entity: TypeId) -> Option<&Node> {
        self.nodes.get(&entity)
    }

    /// An entity whose rows take others with them, or change others, when they go.
    pub(crate) fn going_on(&self, entity: TypeId) -> Option<&HookedEntity> {
        let goes_on = self.any_node(entity).is_some_and(Node::goes_on);
        self.hooked.get(&entity).filter(|_| goes_on)
    }

    pub(crate) fn node_of(&self, entity: TypeId) -> Result<Option<&Node>, RecordError> {
        match self.nodes.get(&entity) {
            Some(Node {
                error: Some(error), ..
            }) => Err(error.clone()),
            node => Ok(node),
        }
    }

    fn build(registrations: &[Registration]) -> Self {
        let mut hooks = Hooks::new();
        for Registration(entry) in registrations {
            if let Entry::Hooked(describe) = entry {
                let entity = describe();
                let same_table = hooks.entry(entity.table.clone()).or_default();
                if !same_table
                    .iter()
                    .any(|known| known.type_id == entity.type_id)
                {
                    same_table.push(entity);
                }
            }
        }
        let mut registry = Self {
            hooked: hooks
                .values()
                .flatten()
                .map(|entity| (entity.type_id, entity.clone()))
                .collect(),
            ..Self::default()
        };
        let mut watched = Vec::new();
        for Registration(entry) in registrations {
            if let Entry::Recorded(entity, build) = entry
                && !registry.nodes.get(entity).is_some_and(Node::is_built)
            {
                watched.extend(registry.add(*entity, build(&hooks)));
            }
        }
        spread(&hooks, watched, &mut registry.nodes);
        mark_cycles(&registry.nodes);
        registry.list_dependents();
        registry.list_tables(hooks.values().flatten());
        registry
    }

    fn list_dependents(&mut self) {
        let tables = |entity: &TypeId| {
            let reached = reached(&self.nodes, *entity).into_iter();
            let plans = reached.filter_map(|entity| self.any_node(entity)?.plan.as_ref());
            let tables = plans.map(|plan| plan.shape().record.name.clone());
            (*entity, tables.collect())
        };
        self.dependents = self.nodes.keys().map(tables).collect();
    }

    /// The record tables of those who depend on rows of an entity, also by way of others.
    pub(crate) fn records_after(&self, entity: TypeId) -> &[String] {
        self.dependents.get(&entity).map_or(&[], Vec::as_slice)
    }

    fn list_tables<'h>(&mut self, hooked: impl Iterator<Item = &'h HookedEntity>) {
        let is_seen = |entity: &&HookedEntity| {
            let node = self.nodes.get(&entity.type_id);
            node.is_some_and(|node| !node.is_idle())
        };
        let seen = hooked.filter(is_seen);
        let seen = seen.map(|entity| entity.table.clone());
        let plans = self.nodes.values().filter_map(|node| node.plan.as_ref());
        let names: BTreeSet<String> = plans
            .map(|plan| plan.shape().entity.clone())
            .chain(seen)
            .collect();
        for name in names {
            let (schema, table) = match name.rsplit_once('.') {
                Some((schema, table)) => (Some(schema.to_lowercase()), table),
                None => (None, &*name),
            };
            let schemas = self.tables.entry(table.to_lowercase()).or_default();
            schemas.push(schema);
        }
    }

    /// Whether a table is recorded or watched; where either side names no schema, any will do.
    pub(crate) fn sees(&self, schema: Option<&str>, table: &str) -> bool {
        let same = |known: &Option<String>| match (known, schema) {
            (Some(known), Some(schema)) => known.eq_ignore_ascii_case(schema),
            _ => true,
        };
        self.tables
            .get(&table.to_lowercase())
            .is_some_and(|known| known.iter().any(same))
    }

    /// Takes up a recorded entity; answers with the foreign keys that it watches along.
    fn add(&mut self, entity: TypeId, built: Built) -> Vec<(TypeId, ForeignKey)> {
        let node = self.nodes.entry(entity).or_default();
        let (plan, paths, keys) = match built {
            Ok(built) => built,
            Err(error) => {
                tracing::error!(%error, "an entity cannot be recorded");
                node.error = Some(error);
                return Vec::new();
            }
        };
        node.plan = Some(Arc::clone(&plan));
        for path in paths {
            path.spread(&plan, entity, |entity, listener, guard| {
                let node = self.nodes.entry(entity).or_default();
                node.listeners.extend(listener);
                node.guards.extend(guard);
            });
        }
        keys
    }
}

fn build<E: Recorded>(hooks: &Hooks) -> Built {
    let recorder = E::recorder();
    let mut paths = Vec::new();
    for watch in &recorder.watches {
        match watch {
            Watch::Path(relations) => paths.push(path::<E>(hooks, relations.clone())?),
            Watch::All => {
                for relations in all_relations::<E>() {
                    paths.push(path::<E>(hooks, relations)?);
                }
            }
            Watch::Select(custom) => paths.push(Path::custom(custom)),
        }
    }
    let own = E::default().table_name().to_owned();
    let expected: BTreeSet<_> = paths.iter().flat_map(Path::tables).chain([own]).collect();
    let mut keys = Vec::new();
    if recorder.properties.is_none() {
        // What is watched can change properties alone, unless the database cuts rows loose.
        let own = hooked::<E::ActiveModel>();
        keys.extend(paths.drain(..).flat_map(|path| path.foreign_keys(&own)));
    }
    let plan = TypedPlan::new(recorder, expected)?;
    Ok((Arc::new(plan), paths, keys))
}

fn path<E: Recorded>(hooks: &Hooks, relations: Vec<RelationDef>) -> Result<Path, RecordError> {
    let own = hooked::<E::ActiveModel>();
    Path::along(hooks, own, relations)
        .map_err(|problem| RecordError::plan(table_name::<E>(), problem))
}

static BY_HAND: RwLock<Vec<Registration>> = RwLock::new(Vec::new());
static REGISTRY: RwLock<Option<&Registry>> = RwLock::new(None);

/// The registry of this process, built when it is first asked for, and kept for good: every hook asks
/// for it, and one that a registration by hand outdates is small.
pub(crate) fn registry() -> &'static Registry {
    if let Some(registry) = *REGISTRY.read().unwrap_or_else(PoisonError::into_inner) {
        return registry;
    }
    let mut slot = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let by_hand = BY_HAND.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = inventory::iter::<Registration>().copied().collect();
        all.extend(by_hand.iter().copied());
        &*Box::leak(Box::new(Registry::build(&all)))
    };
    slot.get_or_insert_with(build)
}

/// Registers an entity that the macros did not.
///
/// Call it before the entity is first saved; entities with `#[record_hooks]` need no call, whether or
/// not `#[recorded]` wrote their record entity. To register twice does no harm.
///
/// ```no_run
/// # use sea_orm::entity::prelude::*;
/// # fn by_hand<E, A>() where E: sea_orm_record::Recorded, A: sea_orm_record::Hooked {
/// use sea_orm_record::{Registration, register};
///
/// register(Registration::recorded::<E>());
/// register(Registration::hooked::<A>());
/// # }
/// ```
pub fn register(registration: Registration) {
    BY_HAND
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .push(registration);
    *REGISTRY.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Checks the recorders of all registered entities, as their first saves would; worth a line in
/// `main` or in a test.
///
/// # Errors
///
/// All that cannot be used, each a [`RecordError::Plan`].
///
/// ```
/// # fn main() -> Result<(), Vec<sea_orm_record::RecordError>> {
/// sea_orm_record::check()
/// # }
/// ```
pub fn check() -> Result<(), Vec<RecordError>> {
    let errors: Vec<_> = registry()
        .nodes
        .values()
        .filter_map(|node| node.error.clone())
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// The plan of `E`, which is registered by being asked about if it was not.
pub(crate) fn plan_of<E: Recorded>() -> Result<Arc<dyn Plan>, RecordError> {
    let find = || Ok(registry().node::<E>()?.and_then(|node| node.plan.clone()));
    if let Some(plan) = find()? {
        return Ok(plan);
    }
    register(Registration::recorded::<E>());
    find()?.ok_or_else(|| RecordError::plan(table_name::<E>(), "it could not be registered"))
}
