//! Watching: whatever a record was computed from changes, and the record follows (promise 2, with
//! one writer at a time).

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbErr,
    EntityTrait, IntoActiveModel, ModelTrait, QueryFilter, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::hooks::{self, Savable};
use sea_orm_record::{Event, RecordedConnection};

use crate::harness::each_database;
use crate::magazine::{
    self, Magazine, assert_current, cover, desk, editor, remark, section, story, story_tag, tag,
};

/// A name that nothing has yet.
fn fresh(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(100);
    format!("{kind}{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One save.
#[derive(Clone, Debug)]
enum Save<A> {
    Insert(A),
    Update(A),
    Delete(A),
}

impl<A: Savable> Save<A> {
    /// By the methods that `#[record_hooks]` gives.
    async fn inherent(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        match self {
            Self::Insert(am) => hooks::insert(am, db).await.map(drop),
            Self::Update(am) => hooks::update(am, db).await.map(drop),
            Self::Delete(am) => hooks::delete(am, db).await.map(drop),
        }
    }

    /// By SeaORM's trait, as generic code does.
    async fn by_trait(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        match self {
            Self::Insert(am) => ActiveModelTrait::insert(am, db).await.map(drop),
            Self::Update(am) => ActiveModelTrait::update(am, db).await.map(drop),
            Self::Delete(am) => ActiveModelTrait::delete(am, db).await.map(drop),
        }
    }

    async fn by(self, by_trait: bool, db: &impl ConnectionTrait) {
        let saved = match by_trait {
            true => self.by_trait(db).await,
            false => self.inherent(db).await,
        };
        saved.unwrap();
    }
}

/// What a save goes to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pool,
    Executor,
    Recorded,
    Plain,
    Gathered,
    Savepoint,
}

/// A kind of connection, and whether SeaORM's trait is called.
type Way = (Kind, bool);

fn ways() -> impl Iterator<Item = Way> {
    let kinds = [
        Kind::Pool,
        Kind::Executor,
        Kind::Recorded,
        Kind::Plain,
        Kind::Gathered,
        Kind::Savepoint,
    ];
    kinds
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
}

async fn run<A: Savable>((kind, by_trait): Way, save: Save<A>, db: &DatabaseConnection) {
    let recorded = RecordedConnection::new(db.clone());
    match kind {
        Kind::Pool => save.by(by_trait, db).await,
        Kind::Executor => save.by(by_trait, &DatabaseExecutor::from(db)).await,
        Kind::Recorded => save.by(by_trait, &recorded).await,
        Kind::Plain => {
            let txn = db.begin().await.unwrap();
            save.by(by_trait, &txn).await;
            txn.commit().await.unwrap();
        }
        Kind::Gathered => {
            let txn = recorded.begin().await.unwrap();
            save.by(by_trait, &txn).await;
            txn.commit().await.unwrap();
        }
        Kind::Savepoint => {
            let txn = recorded.begin().await.unwrap();
            let nested = txn.begin().await.unwrap();
            save.by(by_trait, &nested).await;
            nested.commit().await.unwrap();
            txn.commit().await.unwrap();
        }
    }
}

/// Saves in one way, after which the records of all stories are current, and those of `expected`
/// have one more, for this reason.
async fn save<A: Savable>(
    db: &DatabaseConnection,
    way: Way,
    save: Save<A>,
    expected: &[(i32, Event)],
) {
    let what = format!("{way:?} {save:?}");
    let before = assert_current(db).await;
    run(way, save, db).await;
    println!("{what}");
    let after = assert_current(db).await;
    let mut new = Vec::new();
    for (id, records) in after {
        let known = before.get(&id).map_or(0, Vec::len);
        new.extend(records[known..].iter().map(|record| (id, record.event)));
    }
    assert_eq!(new, expected, "{what}");
}

/// Updates there and back in every way.
async fn there_and_back<A: Savable>(
    db: &DatabaseConnection,
    there: A,
    back: A,
    expected: &[(i32, Event)],
) {
    for way in ways() {
        save(db, way, Save::Update(there.clone()), expected).await;
        save(db, way, Save::Update(back.clone()), expected).await;
    }
}

const POOL: Way = (Kind::Pool, false);

async fn last_remark(db: &DatabaseConnection, story: i32) -> remark::ActiveModel {
    let remarks = remark::Entity::find().filter(remark::Column::StoryId.eq(story));
    let remarks = remarks
        .order_by_desc(remark::Column::Id)
        .all(db)
        .await
        .unwrap();
    remarks[0].clone().into_active_model()
}

impl Magazine {
    fn first(&self, event: Event) -> [(i32, Event); 1] {
        [(self.stories[0].id, event)]
    }

    fn both(&self) -> [(i32, Event); 2] {
        [0, 1].map(|at: usize| (self.stories[at].id, Event::Related))
    }

    fn section(&self, at: usize, name: String, desk: Option<usize>) -> section::ActiveModel {
        section::ActiveModel {
            name: Set(name),
            desk_id: Set(desk.map(|at| self.desks[at].id)),
            ..self.sections[at].clone().into_active_model()
        }
    }

    fn editor(&self, at: usize) -> editor::ActiveModel {
        editor::ActiveModel {
            name: Set(fresh("E")),
            ..self.editors[at].clone().into_active_model()
        }
    }

    fn story(&self, section: usize, editor: Option<usize>) -> story::ActiveModel {
        story::ActiveModel {
            section_id: Set(self.sections[section].id),
            editor_id: Set(editor.map(|at| self.editors[at].id)),
            ..self.stories[0].clone().into_active_model()
        }
    }

    fn remark(&self, story: usize) -> remark::ActiveModel {
        remark::ActiveModel {
            story_id: Set(self.stories[story].id),
            ..self.remarks[0].clone().into_active_model()
        }
    }

    fn cover(&self, story: usize) -> cover::ActiveModel {
        cover::ActiveModel {
            story_id: Set(self.stories[story].id),
            ..self.covers[0].clone().into_active_model()
        }
    }
}

each_database! {
    async fn what_rows_belong_to_is_renamed(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for way in ways() {
            save(&db, way, Save::Update(m.section(0, fresh("S"), Some(0))), &m.both()).await;
            save(&db, way, Save::Update(m.editor(0)), &m.both()).await;
            // Nobody depends on these.
            save(&db, way, Save::Update(m.section(1, fresh("S"), Some(1))), &[]).await;
            save(&db, way, Save::Update(m.editor(1)), &[]).await;
        }
    }

    async fn what_rows_are_linked_to_is_renamed_or_exchanged_half_way(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for way in ways() {
            let desk = desk::ActiveModel { name: Set(fresh("D")), ..m.desks[0].clone().into_active_model() };
            save(&db, way, Save::Update(desk), &m.both()).await;
        }
        let section = |desk| m.section(0, "S1".to_owned(), desk);
        there_and_back(&db, section(Some(1)), section(Some(0)), &m.both()).await;
        there_and_back(&db, section(None), section(Some(0)), &m.both()).await;
    }

    async fn what_belongs_to_a_row_comes_changes_and_goes(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let related = m.first(Event::Related);
        for way in ways() {
            let cover = cover::ActiveModel { picture: Set(fresh("C")), ..m.cover(0) };
            save(&db, way, Save::Update(cover), &related).await;
            let remark = remark::ActiveModel { text: Set(fresh("R")), ..m.remark(0) };
            save(&db, way, Save::Update(remark.clone()), &related).await;
            let new = remark::ActiveModel { id: sea_orm::NotSet, text: Set(fresh("R")), ..remark };
            save(&db, way, Save::Insert(new.clone()), &related).await;
            let last = last_remark(&db, m.stories[0].id).await;
            save(&db, way, Save::Delete(last), &related).await;
            // By its key alone.
            save(&db, way, Save::Insert(new), &related).await;
            let last = last_remark(&db, m.stories[0].id).await;
            let key = remark::ActiveModel { id: last.id, ..Default::default() };
            save(&db, way, Save::Delete(key.clone()), &related).await;
            save(&db, way, Save::Delete(key), &[]).await;
        }
        for way in ways() {
            save(&db, way, Save::Delete(m.cover(0)), &related).await;
            save(&db, way, Save::Insert(m.cover(0).reset_all()), &related).await;
        }
    }

    async fn what_belongs_to_a_row_goes_over_to_another(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        there_and_back(&db, m.remark(1), m.remark(0), &m.both()).await;
        // Of covers a story has one.
        m.covers[1].clone().delete(&db).await.unwrap();
        there_and_back(&db, m.cover(1), m.cover(0), &m.both()).await;
    }

    async fn a_recorded_row_goes_over_to_other_parents(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let updated = m.first(Event::Updated);
        there_and_back(&db, m.story(1, Some(0)), m.story(0, Some(0)), &updated).await;
        there_and_back(&db, m.story(0, Some(1)), m.story(0, Some(0)), &updated).await;
        there_and_back(&db, m.story(1, None), m.story(0, Some(0)), &updated).await;
        // It is followed there, and no more where it was.
        save(&db, POOL, Save::Update(m.story(1, Some(0))), &updated).await;
        save(&db, POOL, Save::Update(m.section(1, fresh("S"), Some(1))), &m.first(Event::Related)).await;
        save(&db, POOL, Save::Update(m.section(0, fresh("S"), Some(0))), &m.both()[1..]).await;
    }

    async fn many_to_many_rows_are_linked_unlinked_and_renamed(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let related = m.first(Event::Related);
        let link = story_tag::ActiveModel { story_id: Set(m.stories[0].id), tag_id: Set(m.tags[1].id) };
        for way in ways() {
            let renamed = tag::ActiveModel { name: Set(fresh("T")), ..m.tags[0].clone().into_active_model() };
            save(&db, way, Save::Update(renamed), &m.both()).await;
            save(&db, way, Save::Insert(link.clone()), &related).await;
            let renamed = tag::ActiveModel { name: Set(fresh("T")), ..m.tags[1].clone().into_active_model() };
            save(&db, way, Save::Update(renamed), &related).await;
            save(&db, way, Save::Delete(link.clone()), &related).await;
        }
        // By the parent's save.
        let recorded = RecordedConnection::new(db.clone());
        for tag in [1, 0] {
            let before = assert_current(&db).await;
            let mut am = m.stories[0].clone().into_active_model().into_ex();
            am.tags.replace_all([m.tags[tag].clone().into_active_model().into_ex()]);
            am.save(&recorded).await.unwrap();
            let after = assert_current(&db).await;
            assert_eq!(after[&m.stories[0].id].len(), before[&m.stories[0].id].len() + 1);
        }
    }

    async fn a_recorded_row_is_deleted_with_all_that_belongs_to_it(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for way in ways() {
            let story = magazine::story(&db, "third", m.sections[0].id, None).await;
            magazine::remark(&db, "R", story.id).await;
            magazine::link(&db, story.id, m.tags[0].id).await;
            let id = story.id;
            save(&db, way, Save::Delete(story.into_active_model()), &[(id, Event::Deleted)]).await;
        }
    }

    async fn a_watched_row_is_deleted_and_the_database_cuts_its_dependents_loose(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        for way in ways() {
            // SET NULL
            let editor = magazine::editor(&db, "E").await;
            let story = story::ActiveModel { editor_id: Set(Some(editor.id)), ..m.story(0, None) };
            save(&db, POOL, Save::Update(story), &m.first(Event::Updated)).await;
            save(&db, way, Save::Delete(editor.into_active_model()), &m.first(Event::Related)).await;
            // SET NULL, one row further
            let desk = magazine::desk(&db, "D").await;
            let section = section::ActiveModel { desk_id: Set(Some(desk.id)), ..m.section(0, "S1".to_owned(), None) };
            save(&db, POOL, Save::Update(section), &m.both()).await;
            save(&db, way, Save::Delete(desk.into_active_model()), &m.both()).await;
            // CASCADE to the junction
            let tag = magazine::tag(&db, "T").await;
            magazine::link(&db, m.stories[0].id, tag.id).await;
            save(&db, way, Save::Delete(tag.into_active_model()), &m.first(Event::Related)).await;
        }
    }

    async fn a_watched_row_that_cannot_be_deleted_changes_nothing(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let before = assert_current(&db).await;
        m.sections[0].clone().delete(&db).await.unwrap_err();
        m.sections[0].clone().delete(&recorded).await.unwrap_err();
        ModelTrait::delete(m.sections[0].clone(), &db).await.unwrap_err();
        // What its hooks left behind does no harm when it can be.
        let unused = magazine::section(&db, "unused", None).await;
        let txn = db.begin().await.unwrap();
        ModelTrait::delete(unused.clone(), &txn).await.unwrap();
        txn.rollback().await.unwrap();
        ModelTrait::delete(unused, &db).await.unwrap();
        let txn = recorded.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        m.sections[0].clone().delete(&nested).await.unwrap_err();
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(assert_current(&db).await, before);
    }
}
