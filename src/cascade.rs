//! What the database changes by itself when a row goes: its foreign keys delete rows or cut them
//! loose, and no hook tells of that.
//!
//! Who is reached that way can be found while the row is there. Each foreign key that an entity with
//! hooks declares is known to the entity that it references; from there one step leads to the next,
//! as far as anything is recorded. Where a recorder watches along a foreign key whose action nobody
//! declared, the rows that depend on the row are taken for such that may go.

use std::any::TypeId;
use std::collections::HashSet;

use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Condition, ForeignKeyAction};
use sea_orm::{DbErr, EntityTrait, ModelTrait, RelationDef};

use crate::Event;
use crate::bulk::Pages;
use crate::by_keys::have;
use crate::by_type::ByType;
use crate::erased::Connection;
use crate::gather::{Buffer, Note};
use crate::keys::{Key, key_of, link_of};
use crate::listen::{Listener, full_name, names};
use crate::recorded::column_named;
use crate::registry::{HookedEntity, Hooks, Node, registry};
use crate::write::CHUNK;

/// What the database does to the rows that reference one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing, or it refuses.
    Stay,
    /// Their link changes.
    Change,
    /// They may go.
    Go,
}

impl Fate {
    fn of(action: Option<&ForeignKeyAction>, cascaded: Self) -> Self {
        match action {
            Some(ForeignKeyAction::Cascade) => cascaded,
            Some(ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault) => Self::Change,
            _ => Self::Stay,
        }
    }
}

/// A foreign key, as the entity that it references sees it.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    pub(crate) child: HookedEntity,
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    on_delete: Fate,
    on_update: Fate,
}

impl ForeignKey {
    /// One that an entity declares; none where the relation is no foreign key, or does nothing.
    fn declared(child: &HookedEntity, relation: &RelationDef) -> Option<Self> {
        let key = Self {
            child: child.clone(),
            from: names(&relation.from_col),
            to: names(&relation.to_col),
            on_delete: Fate::of(relation.on_delete.as_ref(), Fate::Go),
            on_update: Fate::of(relation.on_update.as_ref(), Fate::Change),
        };
        let acts = key.on_delete != Fate::Stay || key.on_update != Fate::Stay;
        (acts && !relation.is_owner && !relation.skip_fk).then_some(key)
    }

    /// One that is watched along, and whose action is not known.
    pub(crate) fn unknown(child: &HookedEntity, from: &[String], to: &[String]) -> Self {
        Self {
            child: child.clone(),
            from: from.to_vec(),
            to: to.to_vec(),
            on_delete: Fate::Go,
            on_update: Fate::Change,
        }
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.child.type_id, &self.from, &self.to) == (other.child.type_id, &other.from, &other.to)
    }

    /// Whether the database may hand on what changes in these rows.
    pub(crate) fn hands_on(&self) -> bool {
        self.on_update != Fate::Stay
    }

    pub(crate) fn acts(&self, cut: &Cut) -> bool {
        self.fate(cut) != Fate::Stay
    }

    fn fate(&self, cut: &Cut) -> Fate {
        match cut {
            Cut::All => self.on_delete,
            cut if cut.touches(&self.to) => self.on_update,
            _ => Fate::Stay,
        }
    }
}

/// Hands the foreign keys of all entities with hooks to those that they reference, as far as they
/// lead to something that is recorded or watched.
pub(crate) fn spread(hooks: &Hooks, watched: Vec<(TypeId, ForeignKey)>, nodes: &mut ByType<Node>) {
    let mut keys: Vec<(TypeId, ForeignKey)> = Vec::new();
    for child in hooks.values().flatten() {
        for relation in (child.relations)() {
            let key = ForeignKey::declared(child, &relation);
            let targets = hooks.get(&full_name(&relation.to_tbl));
            let targets = targets.into_iter().flatten().map(|target| target.type_id);
            keys.extend(targets.filter_map(|target| Some((target, key.clone()?))));
        }
    }
    for (target, key) in watched {
        let known = |(of, known): &(TypeId, ForeignKey)| *of == target && known.is_of(&key);
        if !keys.iter().any(known) {
            keys.push((target, key));
        }
    }
    let mut matter: HashSet<TypeId> = nodes.keys().copied().collect();
    while keys.iter().any(|(target, key)| {
        key.on_delete != Fate::Stay && matter.contains(&key.child.type_id) && matter.insert(*target)
    }) {}
    for (target, key) in keys {
        if matter.contains(&key.child.type_id) {
            nodes.entry(target).or_default().foreign_keys.push(key);
        }
    }
}

/// What is about to happen to rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// The values of these columns change, so that those who reference them may be cut loose.
    Columns(Vec<String>),
    /// Any values change.
    Values,
    /// The rows may go altogether.
    All,
}

impl Cut {
    fn touches(&self, columns: &[String]) -> bool {
        match self {
            Self::Columns(set) => columns.iter().any(|column| set.contains(column)),
            Self::Values | Self::All => true,
        }
    }
}

/// Who depends on rows that are about to be written or to go, noted step by step: a work list and no
/// recursion, since a chain of rows can be long.
pub(crate) struct Walk<'w> {
    conn: Connection<'w>,
    notes: Buffer,
    steps: Vec<Step>,
    seen: HashSet<(TypeId, Key, bool)>,
}

/// Rows that the database is about to change: those of an entity with these links.
struct Step {
    entity: HookedEntity,
    columns: Vec<String>,
    links: Vec<Key>,
    cut: Cut,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(conn: Connection<'w>) -> Self {
        Self {
            conn,
            notes: Buffer::default(),
            steps: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Goes through all that hangs on these rows, which the caller has locked.
    pub(crate) async fn go_from<M>(&mut self, models: &[M], cut: &Cut) -> Result<(), DbErr>
    where
        M: ModelTrait + Sync + 'static,
    {
        for model in models {
            self.is_new(model, cut);
        }
        self.through(models, cut).await?;
        while let Some(step) = self.steps.pop() {
            (step.entity.reach)(self, step.columns, step.links, step.cut).await?;
        }
        Ok(())
    }

    pub(crate) fn into_notes(self) -> Buffer {
        self.notes
    }

    fn is_new<M: ModelTrait>(&mut self, model: &M, cut: &Cut) -> bool {
        let entity = TypeId::of::<M::Entity>();
        self.seen.insert((entity, key_of(model), *cut == Cut::All))
    }

    /// Notes who depends on these rows, and who is reached by their foreign keys.
    async fn through<M>(&mut self, models: &[M], cut: &Cut) -> Result<(), DbErr>
    where
        M: ModelTrait + Sync + 'static,
    {
        let Some(node) = registry().any_node(TypeId::of::<M::Entity>()) else {
            return Ok(());
        };
        for listener in &node.listeners {
            match listener.columns() {
                Some(columns) if !(listener.is_referenced() && cut.touches(columns)) => {
                    let links = models.iter().filter_map(|model| link_of(model, columns));
                    links.for_each(|link| self.notes.link(listener, link));
                }
                _ if along(node, cut, listener) => {}
                _ => self.dependents(listener, models, cut).await?,
            }
        }
        for key in &node.foreign_keys {
            let cut = match key.fate(cut) {
                Fate::Stay => continue,
                Fate::Change => Cut::Columns(key.from.clone()),
                Fate::Go => Cut::All,
            };
            let links = models.iter().filter_map(|model| link_of(model, &key.to));
            let links: HashSet<Key> = links.collect();
            self.push(&key.child, &key.from, links.into_iter().collect(), &cut);
        }
        Ok(())
    }

    fn push(&mut self, entity: &HookedEntity, columns: &[String], links: Vec<Key>, cut: &Cut) {
        self.steps.extend(links.chunks(CHUNK).map(|links| Step {
            entity: entity.clone(),
            columns: columns.to_vec(),
            links: links.to_vec(),
            cut: cut.clone(),
        }));
    }

    /// Notes the dependents of watched rows one by one, while they can be found. Where the rows may
    /// go, so may these, with what depends on them.
    async fn dependents<M>(
        &mut self,
        listener: &Listener,
        models: &[M],
        cut: &Cut,
    ) -> Result<(), DbErr>
    where
        M: ModelTrait + Sync + 'static,
    {
        let plan = &listener.dependent;
        let goes_on = match cut {
            Cut::All => registry().going_on(plan.shape().type_id),
            _ => None,
        };
        for condition in conditions(listener, models) {
            let keys = plan.keys(self.conn, condition).await?;
            for key in &keys {
                let note = Note::new(Event::Related);
                self.notes.touch(plan, key.clone(), note);
            }
            if let Some(entity) = goes_on {
                let columns: Vec<_> = plan
                    .shape()
                    .key
                    .iter()
                    .map(|key| key.source.clone())
                    .collect();
                self.push(entity, &columns, keys, cut);
            }
        }
        Ok(())
    }
}

/// Whether a step along a foreign key finds who this listener would.
fn along(node: &Node, cut: &Cut, listener: &Listener) -> bool {
    let mut keys = node.foreign_keys.iter();
    keys.any(|key| key.acts(cut) && listener.goes_along(key))
}

/// Conditions that find the dependents of rows, a chunk of links at a time.
fn conditions<M>(listener: &Listener, models: &[M]) -> Vec<Condition>
where
    M: ModelTrait + 'static,
{
    let Some(columns) = listener.columns() else {
        let each = models.iter();
        return each.filter_map(|model| listener.by_model(model)).collect();
    };
    let links: HashSet<Key> = models.iter().filter_map(|m| link_of(m, columns)).collect();
    let links: Vec<Key> = links.into_iter().collect();
    let chunks = links.chunks(CHUNK);
    chunks
        .filter_map(|links| listener.by_links(links))
        .collect()
}

/// Notes the rows of an entity with these links as changed or gone, and all that hangs on them.
pub(crate) type Reach = for<'a, 'w> fn(
    &'a mut Walk<'w>,
    Vec<String>,
    Vec<Key>,
    Cut,
) -> BoxFuture<'a, Result<(), DbErr>>;

pub(crate) fn reach<'a, E>(
    walk: &'a mut Walk<'_>,
    columns: Vec<String>,
    links: Vec<Key>,
    cut: Cut,
) -> BoxFuture<'a, Result<(), DbErr>>
where
    E: EntityTrait<Model: Sync + 'static>,
{
    Box::pin(async move {
        let columns: Vec<_> = columns
            .iter()
            .filter_map(|it| column_named::<E>(it))
            .collect();
        let registry = registry();
        let entity = TypeId::of::<E>();
        let node = registry.any_node(entity);
        let plan = node.and_then(|node| node.plan.as_ref());
        let takes_others = node.is_some_and(|node| node.changes_others(&cut));
        let condition = Condition::all().add(have::<E>(&columns, &links));
        let mut pages = Pages::<E>::taking_others(condition, takes_others);
        let note = Note {
            deleted: cut == Cut::All,
            ..Note::new(Event::Related)
        };
        if registry.going_on(entity).is_none() {
            while let (Some(plan), Some(keys)) = (plan, pages.keys(walk.conn).await?) {
                walk.notes.touch_all(plan, &keys, &note);
            }
            return Ok(());
        }
        while let Some(mut models) = pages.models(walk.conn).await? {
            models.retain(|model| walk.is_new(model, &cut));
            if let Some(plan) = plan {
                let keys: Vec<Key> = models.iter().map(key_of).collect();
                walk.notes.touch_all(plan, &keys, &note);
            }
            walk.through(&models, &cut).await?;
        }
        Ok(())
    })
}
