//! From what was noted to records.
//!
//! First the locks on what rows came to depend on, then the rows themselves, then their dependents,
//! a chunk at a time, so that memory does not grow with a fan-out. Every chunk is locked in the
//! order of its keys when it is read, and written in a later statement.

use std::any::Any;
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::DbErr;
use sea_orm::sea_query::{Condition, ExprTrait};

use crate::Event;
use crate::by_keys::table_columns;
use crate::context::{Context, Stamp};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::{Buffer, Note, Touched};
use crate::keys::{self, Key, Run, compare, follow_each_other};
use crate::listen::Listener;
use crate::locks;
use crate::plan::Shape;
use crate::registry::registry;
use crate::typed::{Extent, Models, Page, Plan, Row};
use crate::write::{CHUNK, Writer, keys_alone};

/// Records what was noted. All records of one call share one time.
///
/// `immediate` says that nothing else can have changed the rows since they were noted.
pub(crate) async fn flush(
    conn: Connection<'_>,
    context: &Context,
    buffer: Buffer,
    immediate: bool,
) -> Result<(), DbErr> {
    if buffer.is_empty() {
        return Ok(());
    }
    let capture = Capture {
        conn,
        dialect: Dialect::of(&conn),
        context,
        stamp: context.stamp()?,
        immediate,
        locked: !immediate && !buffer.unlocked,
        followed: Mutex::default(),
        ahead: Mutex::default(),
    };
    capture.run(buffer).await
}

/// As what rows are recorded that are there, and whether they were only looked at.
const OF_LIVING: [(Event, bool); 8] = [
    (Event::Created, false),
    (Event::Updated, false),
    (Event::Related, false),
    (Event::Backfilled, false),
    (Event::Created, true),
    (Event::Updated, true),
    (Event::Related, true),
    (Event::Backfilled, true),
];

/// How many rows of a run one statement records at most.
const RUN: usize = 10_000;

struct Capture<'c> {
    conn: Connection<'c>,
    dialect: Dialect,
    context: &'c Context,
    stamp: Stamp,
    immediate: bool,
    /// Whether this transaction has locked the rows that it noted.
    locked: bool,
    /// Links that were followed, where following them could go on for ever.
    followed: Mutex<HashSet<(usize, Key)>>,
    /// Dependents that are still to be recorded, those that come next last.
    ahead: Mutex<Vec<Dependents>>,
}

impl Capture<'_> {
    async fn run(&self, buffer: Buffer) -> Result<(), DbErr> {
        let Buffer {
            rows,
            links,
            models,
            guarded,
            unlocked: _,
            savepoints: _,
        } = buffer;
        let ties = !links.is_empty() || !guarded.is_empty();
        if ties && self.dialect.locks_rows() {
            Box::pin(locks::before_reading(self.conn, &links, guarded)).await?;
        }
        for entity in sorted(rows.into_values(), |entity| {
            entity.plan.shape().record.to_string()
        }) {
            self.touched(entity).await?;
        }
        // Only now, so that no row which was itself written is taken for a dependent.
        self.go_ahead().await?;
        for (listener, links) in sorted(links.into_values(), |(listener, _)| listener.id) {
            self.follow(&listener, keys::sorted(links));
            self.go_ahead().await?;
        }
        for (listener, model) in models {
            self.follow_model(&listener, &*model);
            self.go_ahead().await?;
        }
        Ok(())
    }

    /// Whether this link is followed for the first time, where it could come round again.
    fn is_new(&self, listener: &Listener, link: &Key) -> bool {
        !listener.cyclic.load(Relaxed) || lock(&self.followed).insert((listener.id, link.clone()))
    }

    fn writer<'w>(&'w self, shape: &'w Shape) -> Writer<'w> {
        Writer::new(self.conn, shape, self.context, self.stamp)
    }

    /// Records rows that were themselves written, or noted by their keys.
    async fn touched(&self, entity: Touched) -> Result<(), DbErr> {
        let plan = &*Arc::clone(&entity.plan);
        let (made, notes) = entity.into_parts();
        let mut others = Vec::new();
        for run in made {
            Box::pin(self.made_here(plan, &run, &mut others)).await?;
        }
        let (mut first, rest): (Vec<_>, Vec<_>) =
            notes.into_iter().partition(|(_, note)| note.is_first());
        others.extend(rest);
        first.sort_by(|(a, _), (b, _)| compare(a, b));
        for notes in first.chunk_by(|(a, _), (b, _)| follow_each_other(a, b)) {
            match run_of(notes) {
                Some(run) => Box::pin(self.made_here(plan, &run, &mut others)).await?,
                None => others.extend_from_slice(notes),
            }
        }
        others.sort_by(|(a, _), (b, _)| compare(a, b));
        while !others.is_empty() {
            let rest = others.split_off(others.len().min(CHUNK));
            let chunk = std::mem::replace(&mut others, rest);
            self.touched_chunk(plan, chunk).await?;
        }
        Ok(())
    }

    /// Records a run of rows that this transaction made, as an import does. Nobody else can see such
    /// a row, so nothing need be locked, nor compared once it is known that there are no records;
    /// where there are, the rows go with the others.
    async fn made_here(
        &self,
        plan: &dyn Plan,
        run: &Run,
        others: &mut Vec<(Key, Note)>,
    ) -> Result<(), DbErr> {
        for run in run.pieces(RUN) {
            if self.writer(plan.shape()).has_any(&run).await? {
                others.extend(run.keys().map(|key| (key, Note::made())));
            } else {
                self.first_records(plan, &run).await?;
            }
        }
        Ok(())
    }

    async fn first_records(&self, plan: &dyn Plan, run: &Run) -> Result<(), DbErr> {
        let (shape, writer) = (plan.shape(), self.writer(plan.shape()));
        if shape.is_copied(self.dialect) {
            return writer.made_here(Event::Created, run, Vec::new()).await;
        }
        for run in run.pieces(CHUNK) {
            let key = table_columns(&shape.source.name, &[shape.key[0].source.clone()]);
            let [first, last] = run.ends();
            let within = key
                .into_iter()
                .map(|key| key.between(first.clone(), last.clone()));
            let page = Page {
                condition: within.fold(Condition::all(), Condition::add),
                after: None,
                limit: CHUNK as u64,
                lock: false,
                like: None,
            };
            let models = plan.load(self.conn, page).await?;
            let rows = plan
                .snapshot(self.conn, &models, Extent::BesideSource)
                .await?;
            writer.made_here(Event::Created, &run, rows).await?;
        }
        Ok(())
    }

    async fn touched_chunk(&self, plan: &dyn Plan, notes: Vec<(Key, Note)>) -> Result<(), DbErr> {
        let mut gone = Vec::new();
        let mut stored = Vec::new();
        for (key, note) in notes {
            match note.model {
                Some(models) => {
                    let rows = plan.snapshot(self.conn, &models, Extent::Whole).await?;
                    self.writer(plan.shape()).values(note.event, rows).await?;
                }
                None if note.event == Event::Deleted && self.immediate => gone.push((key, note)),
                None => stored.push((key, note)),
            }
        }
        if !stored.is_empty() {
            gone.extend(Box::pin(self.stored(plan, stored)).await?);
        }
        if gone.is_empty() || plan.shape().cascades {
            return Ok(());
        }
        Box::pin(self.gone(plan, gone)).await
    }

    /// Records rows as they stand in the database; answers with those that may be gone.
    async fn stored(
        &self,
        plan: &dyn Plan,
        notes: Vec<(Key, Note)>,
    ) -> Result<Vec<(Key, Note)>, DbErr> {
        let shape = plan.shape();
        if shape.is_copied(self.dialect) {
            if !self.locked && self.dialect.locks_rows() {
                // Someone else may be recording the same row: what it is and what its latest record
                // says must be read under a lock.
                let keys: Vec<_> = notes.iter().map(|(key, _)| key.clone()).collect();
                let page = page(shape, &keys);
                plan.keys(self.conn, page.condition).await?;
            }
            for (event, seen) in OF_LIVING {
                let same = notes
                    .iter()
                    .filter(|(_, note)| (event_of_living(note), note.seen) == (event, seen));
                let keys: Vec<_> = same.map(|(key, _)| key.clone()).collect();
                self.of_source(shape, event, seen, keys_alone(keys)).await?;
            }
            return Ok(notes.into_iter().filter(|(_, note)| note.deleted).collect());
        }
        let links: Vec<Key> = notes.iter().map(|(key, _)| key.clone()).collect();
        let models = plan.load(self.conn, page(shape, &links)).await?;
        self.loaded(plan, &models, &notes).await?;
        let found: HashSet<Key> = plan.keys_of(&models).into_iter().collect();
        // Whoever deleted a row since a single save wrote it records that.
        let may_be_gone = |note: &Note| note.deleted || !self.immediate;
        Ok(notes
            .into_iter()
            .filter(|(key, note)| may_be_gone(note) && !found.contains(key))
            .collect())
    }

    async fn loaded(
        &self,
        plan: &dyn Plan,
        models: &Models,
        notes: &[(Key, Note)],
    ) -> Result<(), DbErr> {
        let mut rows = plan
            .snapshot(self.conn, models, Extent::BesideSource)
            .await?;
        for (event, seen) in OF_LIVING {
            let belongs = |row: &Row| {
                let at = notes.binary_search_by(|(key, _)| compare(key, &row.key));
                at.map_or((event, seen) == (Event::Updated, false), |at| {
                    (event_of_living(&notes[at].1), notes[at].1.seen) == (event, seen)
                })
            };
            let (same, rest): (Vec<_>, Vec<_>) = rows.into_iter().partition(belongs);
            rows = rest;
            self.of_source(plan.shape(), event, seen, same).await?;
        }
        // The dependents of rows that were written have been noted with them.
        if notes.iter().any(|(_, note)| note.event == Event::Related) {
            self.propagate(plan, models)?;
        }
        Ok(())
    }

    async fn of_source(
        &self,
        shape: &Shape,
        event: Event,
        seen: bool,
        rows: Vec<Row>,
    ) -> Result<u64, DbErr> {
        let writer = self.writer(shape);
        match seen {
            true => writer.source_seen(event, rows).await,
            false => writer.source(event, rows).await,
        }
    }

    /// Records that rows are gone; rows without any record get one from what they were.
    async fn gone(&self, plan: &dyn Plan, notes: Vec<(Key, Note)>) -> Result<(), DbErr> {
        let writer = self.writer(plan.shape());
        let mut recorded = 0;
        for seen in [false, true] {
            let same = notes.iter().filter(|(_, note)| note.seen == seen);
            let keys: Vec<_> = same.map(|(key, _)| key.clone()).collect();
            if !keys.is_empty() {
                recorded += writer.gone(keys_alone(keys), seen).await?;
            }
        }
        if usize::try_from(recorded).is_ok_and(|recorded| recorded >= notes.len()) {
            return Ok(());
        }
        for models in notes.into_iter().filter_map(|(_, note)| note.last) {
            let rows = plan.snapshot(self.conn, &models, Extent::Whole).await?;
            writer.first(Event::Deleted, rows).await?;
        }
        Ok(())
    }

    /// Will record the dependents of watched rows with these link values.
    fn follow(&self, listener: &Arc<Listener>, mut links: Vec<Key>) {
        links.retain(|link| self.is_new(listener, link));
        let conditions = links.chunks(CHUNK).rev();
        let conditions = conditions.filter_map(|links| listener.by_links(links));
        let mut ahead = lock(&self.ahead);
        ahead.extend(conditions.map(|condition| Dependents::of(listener, condition)));
    }

    /// Records all dependents that are to be followed, and theirs. A stack rather than recursion: a
    /// chain of rows may be long. It holds keys, and never more than a chunk of them for each level.
    async fn go_ahead(&self) -> Result<(), DbErr> {
        loop {
            let next = lock(&self.ahead).pop();
            match next {
                Some(dependents) => Box::pin(self.dependents(dependents)).await?,
                None => return Ok(()),
            }
        }
    }

    /// Records a chunk of dependents; the next one comes after those who depend on these.
    async fn dependents(&self, dependents: Dependents) -> Result<(), DbErr> {
        let plan = &*Arc::clone(&dependents.listener.dependent);
        let is_far = dependents.listener.is_far() && self.dialect.locks_rows();
        let models = match is_far {
            true => self.settled(plan, &dependents).await?,
            false => Some(plan.load(self.conn, dependents.page()).await?),
        };
        let Some(models) = models else { return Ok(()) };
        let rows = plan
            .snapshot(self.conn, &models, Extent::BesideSource)
            .await?;
        let last = rows.get(CHUNK - 1).map(|row| row.key.clone());
        self.writer(plan.shape())
            .source_seen(Event::Related, rows)
            .await?;
        if last.is_some() {
            lock(&self.ahead).push(Dependents {
                after: last,
                like: plan.like(self.conn, &models),
                ..dependents
            });
        }
        self.propagate(plan, &models)
    }

    /// Dependents to which other rows lead; none where there are none. Who moves such a row in between
    /// has locked the dependents at both of its ends. A statement that waits for one of those has read
    /// before where the row leads to, and misses the other: so it is repeated until it finds only what
    /// was locked before.
    async fn settled(
        &self,
        plan: &dyn Plan,
        dependents: &Dependents,
    ) -> Result<Option<Models>, DbErr> {
        let locked = plan.page_of_keys(self.conn, dependents.page()).await?;
        if locked.is_empty() {
            return Ok(None);
        }
        let mut locked: HashSet<Key> = locked.into_iter().collect();
        loop {
            let models = plan.load(self.conn, dependents.page()).await?;
            let found = plan.keys_of(&models);
            if found.iter().all(|key| locked.contains(key)) {
                return Ok(Some(models));
            }
            locked.extend(found);
        }
    }

    /// Goes on from rows that were looked at because of others, whether or not they changed.
    fn propagate(&self, plan: &dyn Plan, models: &Models) -> Result<(), DbErr> {
        let node = registry().node_of(plan.shape().type_id)?;
        for listener in node.map_or(&[][..], |node| &node.listeners) {
            match listener.columns() {
                Some(columns) => {
                    let links: HashSet<Key> = plan.links(models, columns).into_iter().collect();
                    self.follow(listener, keys::sorted(links));
                }
                None => self.propagate_models(listener, plan, models),
            }
        }
        Ok(())
    }

    fn propagate_models(&self, listener: &Arc<Listener>, plan: &dyn Plan, models: &Models) {
        let keys = plan.keys_of(models);
        for (model, key) in plan.each(models).into_iter().zip(keys) {
            if self.is_new(listener, &key) {
                self.follow_model(listener, model);
            }
        }
    }

    fn follow_model(&self, listener: &Arc<Listener>, model: &dyn Any) {
        if let Some(condition) = listener.by_model(model) {
            lock(&self.ahead).push(Dependents::of(listener, condition));
        }
    }
}

/// Dependents that are to be recorded, in the order of their keys.
struct Dependents {
    listener: Arc<Listener>,
    condition: Condition,
    after: Option<Key>,
    /// A row of the chunk before.
    like: Option<Models>,
}

impl Dependents {
    fn of(listener: &Arc<Listener>, condition: Condition) -> Self {
        Self {
            listener: Arc::clone(listener),
            condition,
            after: None,
            like: None,
        }
    }

    /// The next chunk, locked.
    fn page(&self) -> Page<'_> {
        Page {
            condition: self.condition.clone(),
            after: self.after.as_ref(),
            limit: CHUNK as u64,
            lock: true,
            like: self.like.as_ref(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The run of notes whose keys follow each other, if they are enough.
fn run_of(notes: &[(Key, Note)]) -> Option<Run> {
    let keys: Vec<Key> = notes.iter().map(|(key, _)| key.clone()).collect();
    Run::of(&keys)
}

/// What to call it when a row that was noted is there: one that was deleted came back.
fn event_of_living(note: &Note) -> Event {
    match note.event {
        Event::Deleted if note.born => Event::Created,
        Event::Deleted => Event::Updated,
        event => event,
    }
}

/// Whether a record of this row would be written now.
pub(crate) async fn differs(
    conn: Connection<'_>,
    plan: &dyn Plan,
    key: Key,
) -> Result<bool, DbErr> {
    let shape = plan.shape();
    let page = Page {
        lock: false,
        ..page(shape, std::slice::from_ref(&key))
    };
    let models = plan.load(conn, page).await?;
    let context = Context::new();
    let writer = Writer::new(conn, shape, &context, context.stamp()?);
    let rows = plan.snapshot(conn, &models, Extent::Whole).await?;
    if rows.is_empty() {
        return writer.lacks_tombstone(&keys_alone(vec![key])[0]).await;
    }
    Ok(!writer.compare(&rows).await?.is_empty())
}

/// Those of the rows with these keys that have no record, if there are any.
pub(crate) async fn unrecorded(
    conn: Connection<'_>,
    plan: &dyn Plan,
    keys: &[Key],
) -> Result<Option<Models>, DbErr> {
    let (shape, context) = (plan.shape(), Context::new());
    let writer = Writer::new(conn, shape, &context, context.stamp()?);
    let places = writer.unrecorded(keys).await?;
    if places.is_empty() {
        return Ok(None);
    }
    let keys: Vec<Key> = places.iter().map(|place| keys[*place].clone()).collect();
    let page = page(shape, &keys);
    plan.load(conn, page).await.map(Some)
}

/// Gives rows that have no record one.
pub(crate) async fn record_first(
    conn: Connection<'_>,
    context: &Context,
    plan: &dyn Plan,
    event: Event,
    models: &Models,
) -> Result<(), DbErr> {
    let rows = plan.snapshot(conn, models, Extent::Whole).await?;
    let writer = Writer::new(conn, plan.shape(), context, context.stamp()?);
    writer.first(event, rows).await
}

/// The rows with these keys.
pub(crate) fn page<'p>(shape: &Shape, keys: &[Key]) -> Page<'p> {
    let names: Vec<_> = shape.key.iter().map(|key| key.source.clone()).collect();
    let columns = table_columns(&shape.source.name, &names);
    Page {
        condition: Condition::all().add((shape.among)(columns, &names, keys)),
        after: None,
        limit: CHUNK as u64,
        lock: true,
        like: None,
    }
}

fn sorted<T, K: Ord>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort_by_key(key);
    items
}
