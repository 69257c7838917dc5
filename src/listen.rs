//! Who depends on the row that was written.
//!
//! A watch is a path of relations from the recorded entity to the watched one. Each entity on it
//! gets a listener, which knows how to find the recorded rows that depend on a row there; and each
//! but the last a guard, which locks what a row comes to depend on.

use std::any::{Any, TypeId};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait, IntoIden, Query, SchemaName, SelectStatement, TableName,
    TableRef,
};
use sea_orm::{DbErr, EntityTrait, Iterable, PrimaryKeyToColumn, QueryTrait, RelationDef, Select};

use crate::by_keys::table_columns;
use crate::by_type::ByType;
use crate::cascade::ForeignKey;
use crate::erased::Connection;
use crate::keys;
use crate::keys::Key;
use crate::recorded::Recorded;
use crate::recorder::CustomWatch;
use crate::registry::{HookedEntity, Hooks, Node};
use crate::typed::Plan;
use crate::write::CHUNK;

/// One relation of a path.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    from: Vec<String>,
    to_table: TableRef,
    to: Vec<String>,
    /// Whether the rows at this end are referenced by those before them, rather than referencing.
    referenced: bool,
    ends: Vec<HookedEntity>,
}

/// What a recorder watches, its entities found.
pub(crate) enum Path {
    Relations {
        own: HookedEntity,
        own_table: String,
        hops: Vec<Hop>,
    },
    Custom {
        table: String,
        entity: TypeId,
        select: FindDependents,
    },
}

/// From a watched model to a condition on the recorded entity.
pub(crate) type FindDependents = Arc<dyn Fn(&dyn Any) -> Option<Condition> + Send + Sync>;

impl Path {
    pub(crate) fn along(
        hooks: &Hooks,
        own: HookedEntity,
        relations: Vec<RelationDef>,
    ) -> Result<Self, String> {
        let own_table = relations
            .first()
            .map(|relation| table_of(&relation.from_tbl));
        let hops: Result<Vec<_>, _> = relations
            .into_iter()
            .map(|relation| Hop::new(hooks, relation))
            .collect();
        Ok(Self::Relations {
            own,
            own_table: own_table.ok_or("it watches along a link without relations")?,
            hops: hops?,
        })
    }

    pub(crate) fn custom<E: Recorded>(custom: &CustomWatch<E>) -> Self {
        let select = Arc::clone(&custom.select);
        Self::Custom {
            table: custom.table.clone(),
            entity: custom.entity,
            select: Arc::new(move |model| select(model).map(selected::<E>)),
        }
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        match self {
            Self::Relations { hops, .. } => {
                hops.iter().map(|hop| table_of(&hop.to_table)).collect()
            }
            Self::Custom { table, .. } => vec![table.clone()],
        }
    }

    /// The foreign keys on the path, each with the entity that it references: a change there may cut
    /// loose the row before it.
    pub(crate) fn foreign_keys(self, own: &HookedEntity) -> Vec<(TypeId, ForeignKey)> {
        let Self::Relations { hops, .. } = self else {
            return Vec::new();
        };
        let mut children = vec![own.clone()];
        let mut keys = Vec::new();
        for hop in hops {
            for end in hop.ends.iter().filter(|_| hop.referenced) {
                let key = |child| ForeignKey::unknown(child, &hop.from, &hop.to);
                keys.extend(children.iter().map(|child| (end.type_id, key(child))));
            }
            children = hop.ends;
        }
        keys
    }

    /// Hands out the listeners and guards of this path, each with the entity that it is for.
    pub(crate) fn spread(
        self,
        plan: &Arc<dyn Plan>,
        own: TypeId,
        mut add: impl FnMut(TypeId, Option<Arc<Listener>>, Option<Arc<Guard>>),
    ) {
        match self {
            Self::Custom { entity, select, .. } => {
                add(entity, Some(Listener::new(plan, How::Select(select))), None);
            }
            Self::Relations {
                own: own_entity,
                own_table,
                hops,
            } => {
                add(own, None, Some(Guard::new(&hops)));
                for at in 0..hops.len() {
                    let listener = Listener::new(
                        plan,
                        How::Path {
                            own: own_entity.clone(),
                            own_table: own_table.clone(),
                            hops: hops[..=at].to_vec(),
                        },
                    );
                    let guard = (at + 1 < hops.len()).then(|| Guard::new(&hops[at + 1..]));
                    for end in &hops[at].ends {
                        add(end.type_id, Some(Arc::clone(&listener)), guard.clone());
                    }
                }
            }
        }
    }
}

impl Hop {
    fn new(hooks: &Hooks, relation: RelationDef) -> Result<Self, String> {
        let table = full_name(&relation.to_tbl);
        let ends = hooks.get(&table).cloned().ok_or_else(|| {
            format!(
                "it watches `{table}`, whose changes go unseen: put `#[record_hooks]` on the \
                 `impl ActiveModelBehavior` of that entity"
            )
        })?;
        Ok(Self {
            from: names(&relation.from_col),
            to_table: relation.to_tbl,
            to: names(&relation.to_col),
            referenced: !relation.is_owner,
            ends,
        })
    }
}

pub(crate) fn names(columns: &sea_orm::Identity) -> Vec<String> {
    columns.iter().map(|column| column.to_string()).collect()
}

/// With its schema, by which hooked entities are known.
pub(crate) fn full_name(table: &TableRef) -> String {
    match table {
        TableRef::Table(TableName(Some(SchemaName(_, schema)), name), _) => {
            format!("{}.{}", schema, name)
        }
        other => table_of(other),
    }
}

fn table_of(table: &TableRef) -> String {
    table.sea_orm_table().to_string()
}

/// The rows of a select, as a condition on their primary key.
pub(crate) fn selected<E: EntityTrait>(select: Select<E>) -> Condition {
    let keys: Vec<_> = E::PrimaryKey::iter()
        .map(PrimaryKeyToColumn::into_column)
        .collect();
    let own = |column: &E::Column| Expr::col((E::default(), *column));
    let mut inner = select.into_query();
    inner.clear_selects();
    for key in &keys {
        inner.expr(own(key));
    }
    // A derived table lets the select have a LIMIT, which MySQL refuses directly within IN.
    let derived = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(inner, Alias::new("dependents"))
        .take();
    let columns: Vec<Expr> = keys.iter().map(own).collect();
    Condition::all().add(in_subquery(columns, derived))
}

fn in_subquery(mut columns: Vec<Expr>, select: SelectStatement) -> Expr {
    match columns.len() {
        1 => columns.remove(0).in_subquery(select),
        _ => Expr::tuple(columns).in_subquery(select),
    }
}

/// What happens when a row of a watched entity is written.
pub(crate) struct Listener {
    pub(crate) id: usize,
    /// The recorded entity whose rows may depend on it.
    pub(crate) dependent: Arc<dyn Plan>,
    how: How,
    /// Whether a change may come back here through other listeners.
    pub(crate) cyclic: AtomicBool,
}

enum How {
    Path {
        own: HookedEntity,
        own_table: String,
        hops: Vec<Hop>,
    },
    Select(FindDependents),
}

static NEXT_ID: AtomicUsize = AtomicUsize::new(0);

impl Listener {
    fn new(dependent: &Arc<dyn Plan>, how: How) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            dependent: Arc::clone(dependent),
            how,
            cyclic: AtomicBool::new(false),
        })
    }

    /// The columns of the watched row that tie it to its dependents; none when a closure does.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match &self.how {
            How::Path { hops, .. } => hops.last().map(|hop| hop.to.as_slice()),
            How::Select(_) => None,
        }
    }

    /// Whether other rows lead from the watched one to its dependents.
    pub(crate) fn is_far(&self) -> bool {
        matches!(&self.how, How::Path { hops, .. } if hops.len() > 1)
    }

    /// Whether the dependents (or what leads to them) reference the watched row, so that they
    /// cannot be found once it is gone.
    pub(crate) fn is_referenced(&self) -> bool {
        match &self.how {
            How::Path { hops, .. } => hops.last().is_some_and(|hop| hop.referenced),
            How::Select(_) => true,
        }
    }

    /// Whether it watches along a foreign key of the watched row, so that whoever goes along that
    /// finds its dependents.
    pub(crate) fn goes_along(&self, key: &ForeignKey) -> bool {
        let How::Path { own, hops, .. } = &self.how else {
            return false;
        };
        let Some((last, between)) = hops.split_last() else {
            return false;
        };
        let children = match between.last() {
            Some(before) => before.ends.as_slice(),
            None => std::slice::from_ref(own),
        };
        let mut children = children.iter();
        last.from == key.from
            && last.to == key.to
            && children.any(|child| child.type_id == key.child.type_id)
    }

    /// The dependents of watched rows with these values in [`columns`](Self::columns).
    pub(crate) fn by_links(&self, links: &[Key]) -> Option<Condition> {
        let How::Path {
            own,
            own_table,
            hops,
        } = &self.how
        else {
            return None;
        };
        let (last, between) = hops.split_last()?;
        let own_columns = table_columns(own_table, &hops[0].from);
        let condition = match between.split_first() {
            None => (own.among)(own_columns, &last.from, links),
            Some((first, rest)) => {
                let before = between.last()?.ends.first()?;
                let mut inner = between_select(first, rest);
                let end = table_columns(&alias(rest.len()), &last.from);
                inner.and_where((before.among)(end, &last.from, links));
                in_subquery(own_columns, inner)
            }
        };
        Some(Condition::all().add(condition))
    }

    /// The dependents of one watched model, where a closure finds them.
    pub(crate) fn by_model(&self, model: &dyn Any) -> Option<Condition> {
        match &self.how {
            How::Select(find) => find(model),
            How::Path { .. } => None,
        }
    }
}

/// The tables between the two ends of a path, joined as `w0`, `w1`…, for a subquery.
fn between_select(first: &Hop, rest: &[Hop]) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(first.to_table.clone(), Alias::new(alias(0)));
    select.exprs(table_columns(&alias(0), &first.to));
    for (before, hop) in rest.iter().enumerate() {
        let (left, right) = (alias(before), alias(before + 1));
        let on = joined(&left, &hop.from, &right, &hop.to);
        let name = Alias::new(right).into_iden();
        select.join_as(sea_orm::JoinType::InnerJoin, hop.to_table.clone(), name, on);
    }
    select
}

fn alias(at: usize) -> String {
    format!("w{at}")
}

fn joined(left: &str, from: &[String], right: &str, to: &[String]) -> Condition {
    let pairs = table_columns(left, from)
        .into_iter()
        .zip(table_columns(right, to));
    pairs.fold(Condition::all(), |all, (a, b)| all.add(a.eq(b)))
}

/// What a row must lock when it comes to depend on something: the rows along the rest of a path,
/// shared, so that their writers wait or are waited for.
pub(crate) struct Guard {
    pub(crate) id: usize,
    hops: Vec<Hop>,
}

impl Guard {
    fn new(hops: &[Hop]) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            hops: hops.to_vec(),
        })
    }

    /// The entities whose rows it locks.
    pub(crate) fn entities(&self) -> impl Iterator<Item = TypeId> {
        let ends = self.hops.iter().flat_map(|hop| &hop.ends);
        ends.map(|end| end.type_id)
    }

    /// The columns of the row that hold the link.
    pub(crate) fn columns(&self) -> &[String] {
        &self.hops[0].from
    }

    /// Locks what rows with these links lead to.
    ///
    /// Hop by hop, in the order of keys, and a chunk of links at a time: what they lead to may be
    /// much more than they are.
    pub(crate) async fn lock(
        &self,
        conn: Connection<'_>,
        links: HashSet<Key>,
    ) -> Result<(), DbErr> {
        let mut links = links;
        for (at, hop) in self.hops.iter().enumerate() {
            let Some(end) = hop.ends.first() else { break };
            let table = table_of(&hop.to_table);
            let next = self.hops.get(at + 1).map_or(&[][..], |next| &next.from);
            let mut found = HashSet::new();
            for links in keys::sorted(links).chunks(CHUNK) {
                let places = table_columns(&table, &hop.to);
                let condition = Condition::all().add((end.among)(places, &hop.to, links));
                found.extend((end.lock_links)(conn, condition, next).await?);
            }
            links = found;
        }
        Ok(())
    }
}

/// Marks the listeners from which a change may come back to them.
pub(crate) fn mark_cycles(nodes: &ByType<Node>) {
    for listener in nodes.values().flat_map(|node| &node.listeners) {
        let start = listener.dependent.shape().type_id;
        let comes_back = reached(nodes, start).contains(&start);
        listener.cyclic.store(comes_back, Ordering::Relaxed);
    }
}

/// The recorded entities that depend on an entity, also by way of others.
pub(crate) fn reached(nodes: &ByType<Node>, from: TypeId) -> HashSet<TypeId> {
    let next = |entity: TypeId| {
        let listeners = nodes.get(&entity).map_or(&[][..], |node| &node.listeners);
        listeners
            .iter()
            .map(|listener| listener.dependent.shape().type_id)
    };
    let mut reached = HashSet::new();
    let mut todo: Vec<_> = next(from).collect();
    while let Some(entity) = todo.pop() {
        if reached.insert(entity) {
            todo.extend(next(entity));
        }
    }
    reached
}
