//! In which order rows are locked for what was noted, so that two who record at once wait for each
//! other and do not deadlock.
//!
//! What a row came to depend on is locked shared, and its dependents to be written exclusively: the
//! watched before those who watch it, as a change of what is watched locks them too. A table that is
//! to be locked both ways comes first, so that no lock is raised that another shares. Rows of one
//! table that several listeners lead to are locked together, in the order of their keys.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sea_orm::DbErr;
use sea_orm::sea_query::Condition;

use crate::erased::Connection;
use crate::gather::{Buffer, Unit};
use crate::keys;
use crate::keys::Key;
use crate::listen::{Guard, Listener};
use crate::typed::Page;
use crate::write::CHUNK;

/// Listeners with the links that were noted for them.
pub(crate) type Links = HashMap<usize, (Arc<Listener>, HashSet<Key>)>;

/// Guards with the links that were noted for them.
pub(crate) type Guarded = HashMap<usize, (Arc<Guard>, HashSet<Key>)>;

/// The listeners that lead to one table.
type Group<'l> = Vec<(&'l Listener, &'l HashSet<Key>)>;

/// Takes the locks without which what follows could deadlock; the others are taken when rows are
/// read.
pub(crate) async fn before_reading(
    conn: Connection<'_>,
    links: &Links,
    guarded: Guarded,
) -> Result<(), DbErr> {
    take(conn, links, guarded, |group| group.len() > 1).await
}

/// Takes all locks that a row will need when it is recorded, before it is written. There the check of
/// its foreign keys takes shared locks, of which those on its dependents could not be raised beside
/// another's. What is held already is not taken again.
pub(crate) async fn before_writing(
    conn: Connection<'_>,
    unit: &Unit,
    notes: Buffer,
) -> Result<(), DbErr> {
    let Buffer { links, guarded, .. } = notes;
    let guards: Vec<_> = guarded.values().cloned().collect();
    take(conn, &links, guarded, |_| true).await?;
    for (guard, links) in guards {
        unit.holds(&guard, links);
    }
    Ok(())
}

async fn take(
    conn: Connection<'_>,
    links: &Links,
    guarded: Guarded,
    also: impl Fn(&Group<'_>) -> bool + Send,
) -> Result<(), DbErr> {
    let shared: HashSet<TypeId> = guarded
        .values()
        .flat_map(|(guard, _)| guard.entities())
        .collect();
    let mut groups: BTreeMap<(bool, String), Group<'_>> = BTreeMap::new();
    for (listener, links) in links.values() {
        let shape = listener.dependent.shape();
        let last = !shared.contains(&shape.type_id);
        let group = groups.entry((last, shape.entity.clone())).or_default();
        group.push((listener, links));
    }
    for ((last, _), group) in &groups {
        if !last {
            lock(conn, group).await?;
        }
    }
    let mut guarded: Vec<_> = guarded.into_values().collect();
    guarded.sort_by_key(|(guard, _)| guard.id);
    for (guard, links) in guarded {
        guard.lock(conn, links).await?;
    }
    for ((last, _), group) in &groups {
        if *last && also(group) {
            lock(conn, group).await?;
        }
    }
    Ok(())
}

/// Locks the dependents that several listeners find, as many links in one statement as it takes.
async fn lock(conn: Connection<'_>, group: &Group<'_>) -> Result<(), DbErr> {
    let mut links: Vec<(&Listener, Key)> = Vec::new();
    for (listener, of) in group {
        let sorted = keys::sorted((*of).clone());
        links.extend(sorted.into_iter().map(|link| (*listener, link)));
    }
    for links in links.chunks(CHUNK) {
        let mut any = Condition::any();
        for of_one in links.chunk_by(|a, b| a.0.id == b.0.id) {
            let keys: Vec<Key> = of_one.iter().map(|(_, link)| link.clone()).collect();
            any = any.add_option(of_one[0].0.by_links(&keys));
        }
        lock_found(conn, group[0].0, any).await?;
    }
    Ok(())
}

async fn lock_found(
    conn: Connection<'_>,
    listener: &Listener,
    condition: Condition,
) -> Result<(), DbErr> {
    let mut after = None;
    loop {
        let page = Page {
            condition: condition.clone(),
            after: after.as_ref(),
            limit: CHUNK as u64,
            lock: true,
            like: None,
        };
        let mut keys = listener.dependent.page_of_keys(conn, page).await?;
        if keys.len() < CHUNK {
            return Ok(());
        }
        after = keys.pop();
    }
}
