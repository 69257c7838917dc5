//! `capture(select).around(…)`: what no hook sees.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set, TransactionError, TransactionTrait,
};
use sea_orm_record::{Context, Event, RecordError, RecordedConnection, capture};

use crate::blog::{self, note};
use crate::harness::each_database;
use crate::magazine::{Magazine, assert_current, editor, remark, story, tag};

async fn events(db: &impl ConnectionTrait, id: i32) -> Vec<(Event, String)> {
    let records = note::record::Entity::find().filter(note::record::Column::RecordingId.eq(id));
    let records = records.order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    records
        .into_iter()
        .map(|record| (record.event, record.text))
        .collect()
}

fn told(events: &[(Event, &str)]) -> Vec<(Event, String)> {
    let event = |(event, text): &(Event, &str)| (*event, (*text).to_owned());
    events.iter().map(event).collect()
}

each_database! {
    /// What they come to depend on is much more than a statement can bind.
    async fn a_capture_of_rows_with_very_many_links_locks_them_in_parts(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let of = m.sections[0].id;
        let story = |n: i32| story::ActiveModel { title: Set(n.to_string()), section_id: Set(of), editor_id: Set(None), ..Default::default() };
        sea_orm_record::insert_many((0..1_000).map(story), &db).await.unwrap();
        let tags = (0..70).map(|n| tag::ActiveModel { name: Set(n.to_string()), ..Default::default() });
        sea_orm_record::insert_many(tags, &db).await.unwrap();
        db.execute_unprepared("DELETE FROM story_tag").await.unwrap();
        db.execute_unprepared("INSERT INTO story_tag (story_id, tag_id) SELECT s.id, t.id FROM story s CROSS JOIN tag t").await.unwrap();
        let raw = "UPDATE story SET title = 'raw' WHERE id = 1";
        capture(story::Entity::find()).around(&RecordedConnection::new(db.clone()), |txn| Box::pin(txn.execute_unprepared(raw))).await.unwrap();
        assert!(sea_orm_record::verify(story::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn raw_sql_is_recorded_within_a_capture(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        let [kept, changed, gone] = ["kept", "one", "two"].map(note::draft);
        let kept = kept.insert(&db).await.unwrap().id;
        let changed = changed.insert(&db).await.unwrap().id;
        let gone = gone.insert(&db).await.unwrap().id;
        let out_of_sight = blog::note(&db, "elsewhere").await.id;

        let selected = note::Entity::find().filter(note::Column::Text.ne("elsewhere"));
        capture(selected).around(&alice, |txn| Box::pin(async move {
            txn.execute_unprepared(&format!("UPDATE note SET text = 'raw' WHERE id = {changed}")).await?;
            txn.execute_unprepared(&format!("UPDATE note SET text = 'elsewhere' WHERE id = {kept}")).await?;
            txn.execute_unprepared(&format!("DELETE FROM note WHERE id = {gone}")).await?;
            txn.execute_unprepared("INSERT INTO note (id, text, stars) VALUES (77, 'made', 0)").await?;
            Ok::<_, DbErr>(())
        })).await.unwrap();

        assert_eq!(events(&db, changed).await, told(&[(Event::Created, "one"), (Event::Updated, "raw")]));
        // It was selected before, and is not any more.
        assert_eq!(events(&db, kept).await, told(&[(Event::Created, "kept"), (Event::Updated, "elsewhere")]));
        assert_eq!(events(&db, gone).await, told(&[(Event::Created, "two"), (Event::Deleted, "two")]));
        assert_eq!(events(&db, 77).await, told(&[(Event::Created, "made")]));
        assert_eq!(events(&db, out_of_sight).await.len(), 1);
        let by_alice = note::record::Entity::find().filter(note::record::Column::Actor.eq("alice"));
        assert_eq!(by_alice.count(&db).await.unwrap(), 4);
    }

    async fn what_was_never_recorded_is_recorded_as_it_was_before(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        db.execute_unprepared("INSERT INTO note (id, text, stars) VALUES (1, 'a', 0), (2, 'b', 0)").await.unwrap();
        let recorded = RecordedConnection::new(db.clone());
        capture(note::Entity::find()).around_async(&recorded, async |txn| {
            txn.execute_unprepared("UPDATE note SET text = 'c' WHERE id = 1").await?;
            txn.execute_unprepared("DELETE FROM note WHERE id = 2").await
        }).await.unwrap();
        assert_eq!(events(&db, 1).await, told(&[(Event::Backfilled, "a"), (Event::Updated, "c")]));
        assert_eq!(events(&db, 2).await, told(&[(Event::Backfilled, "b"), (Event::Deleted, "b")]));
    }

    async fn rows_that_are_only_watched_are_captured_with_who_depends_on_them(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let [first, second] = [&magazine.stories[0], &magazine.stories[1]].map(|story| story.id);
        let remarks = || remark::Entity::find().filter(remark::Column::StoryId.eq(first));
        let txn = recorded.begin().await.unwrap();
        capture(remarks()).around(&txn, |txn| Box::pin(async move {
            txn.execute_unprepared(&format!("UPDATE remark SET story_id = {second}")).await
        })).await.unwrap();
        txn.commit().await.unwrap();
        let records = assert_current(&db).await;
        assert!(records[&second].last().unwrap().digest.contains("R1,R2"));
        // The database sets the editor of stories to NULL.
        capture(editor::Entity::find()).around(&recorded, |txn| {
            Box::pin(txn.execute_unprepared("DELETE FROM editor"))
        }).await.unwrap();
        // And deletes what hangs on a story.
        capture(story::Entity::find().order_by_asc(story::Column::Id).limit(1)).around(&recorded, |txn| Box::pin(async move {
            txn.execute_unprepared(&format!("DELETE FROM story WHERE id = {first}")).await
        })).await.unwrap();
        let records = assert_current(&db).await;
        assert_eq!(records[&first].last().unwrap().event, Event::Deleted);
    }

    async fn a_capture_that_fails_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let id = blog::note(&db, "one").await.id;
        let recorded = RecordedConnection::new(db.clone());
        let result = capture(note::Entity::find()).around(&recorded, |txn| Box::pin(async move {
            txn.execute_unprepared("UPDATE note SET text = 'raw'").await.unwrap();
            Err::<(), _>("no".to_owned())
        })).await;
        assert!(matches!(result, Err(TransactionError::Transaction(text)) if text == "no"));
        let note = note::Entity::find_by_id(id).one(&db).await.unwrap().unwrap();
        assert_eq!((note.text.as_str(), events(&db, id).await.len()), ("one", 1));

        // In a savepoint, of which nothing is left either.
        let txn = recorded.begin().await.unwrap();
        let result = capture(note::Entity::find()).around(&txn, |txn| Box::pin(async move {
            txn.execute_unprepared("UPDATE note SET text = 'raw'").await?;
            Err::<(), _>(DbErr::Custom("no".to_owned()))
        })).await;
        result.unwrap_err();
        txn.commit().await.unwrap();
        assert_eq!(events(&db, id).await.len(), 1);
    }

    async fn a_capture_whose_records_fail_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        Magazine::new(&db).await;
        let before = assert_current(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let result = capture(remark::Entity::find()).around(&recorded, |txn| {
            Box::pin(txn.execute_unprepared("UPDATE remark SET text = 'fail'"))
        }).await;
        let Err(TransactionError::Connection(error)) = result else { panic!("{result:?}") };
        assert!(matches!(RecordError::of(&error), Some(RecordError::Property { .. })), "{error}");
        assert_eq!(assert_current(&db).await, before);
    }

    async fn a_capture_without_recording_records_nothing(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let id = blog::note(&db, "one").await.id;
        let paused = RecordedConnection::new(db.clone()).without_recording();
        let rows = capture(note::Entity::find()).around(&paused, |txn| {
            Box::pin(txn.execute_unprepared("UPDATE note SET text = 'raw'"))
        }).await.unwrap();
        assert_eq!((rows.rows_affected(), events(&db, id).await.len()), (1, 1));
    }

    async fn captures_run_in_spawned_tasks(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let id = blog::note(&db, "one").await.id;
        let recorded = RecordedConnection::new(db.clone());
        let task = tokio::spawn(async move {
            capture(note::Entity::find()).around(&recorded, |txn| {
                Box::pin(txn.execute_unprepared("UPDATE note SET text = 'raw'"))
            }).await
        });
        task.await.unwrap().unwrap();
        assert_eq!(events(&db, id).await.len(), 2);
    }
}
