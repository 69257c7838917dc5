//! Bulk writes: `insert_many`, `update_many`, `delete_many`, `upsert_many`.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Set,
    TransactionTrait,
};
use sea_orm_record::{
    Context, Event, RecordError, Recorded, RecordedConnection, delete_many, insert_many,
    update_many, upsert_many, verify,
};

use crate::blog::{self, article, note, plain};
use crate::harness::{TestResult, each_database};
use crate::magazine::{Magazine, assert_current, cover, editor, remark, story, story_tag, tag};

/// Found by its address as well, which is unique.
mod page {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(title))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bulk_page")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(unique)]
        pub slug: String,
        pub title: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Runs a bulk write on each kind of connection in turn, and a check after each; `$n` counts them.
macro_rules! on_each_connection {
    ($db:expr, |$conn:ident, $n:ident| $body:block) => {
        on_each_connection!($db, |$conn, $n| $body, {})
    };
    ($db:expr, |$conn:ident, $n:ident| $body:block, $check:expr) => {{
        let recorded = RecordedConnection::new($db.clone());
        {
            let ($conn, $n) = (&$db, 0);
            $body
            let _ = $check;
        }
        {
            let ($conn, $n) = (&recorded, 1);
            $body
            let _ = $check;
        }
        {
            let txn = $db.begin().await.unwrap();
            let ($conn, $n) = (&txn, 2);
            $body
            txn.commit().await.unwrap();
            let _ = $check;
        }
        {
            let txn = recorded.begin().await.unwrap();
            let ($conn, $n) = (&txn, 3);
            $body
            txn.commit().await.unwrap();
            let _ = $check;
        }
    }};
}

async fn events(db: &impl ConnectionTrait) -> BTreeMap<i32, Vec<(Event, String)>> {
    let mut events: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
    for record in records.all(db).await.unwrap() {
        let event = (record.event, record.text);
        events.entry(record.recording_id).or_default().push(event);
    }
    events
}

fn told(events: &[(Event, &str)]) -> Vec<(Event, String)> {
    let event = |(event, text): &(Event, &str)| (*event, (*text).to_owned());
    events.iter().map(event).collect()
}

async fn unrecorded(db: &impl ConnectionTrait, ids: std::ops::RangeInclusive<i32>) {
    let rows = ids.map(|id| note::ActiveModel {
        id: Set(id),
        ..note::draft("old")
    });
    note::Entity::insert_many(rows).exec(db).await.unwrap();
}

each_database! {
    /// Its statements of a thousand rows each are one thing to a transaction of the user's.
    async fn a_bulk_write_that_fails_in_a_plain_transaction_leaves_nothing_of_itself(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let kept = blog::note(&db, "kept").await;
        let txn = db.begin().await.unwrap();
        blog::note(&txn, "earlier").await;
        let drafts = (0..2_500).map(|at| note::ActiveModel {
            // The last of them is there already.
            id: Set(if at == 2_499 { kept.id } else { at + 1_000 }),
            ..note::draft("many")
        });
        insert_many(drafts, &txn).await.unwrap_err();
        blog::note(&txn, "later").await;
        txn.commit().await.unwrap();
        assert_eq!(note::Entity::find().count(&db).await.unwrap(), 3);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 3);
    }

    /// Five take the places of six, and the sixth is nobody's.
    async fn rows_that_have_no_records_are_deleted_in_any_number(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let bare = (0..5).map(|at| note::draft(&at.to_string()));
        note::Entity::insert_many(bare).exec(&db).await.unwrap();
        delete_many(note::Entity).exec(&db).await.unwrap();
        let records = note::record::Entity::find().all(&db).await.unwrap();
        assert!(records.iter().all(|record| record.event == Event::Deleted));
        assert_eq!(records.len(), 5);
    }
}

each_database! {
    async fn update_many_records_the_rows_that_changed(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let mut notes = Vec::new();
        for text in ["a", "a", "b"] {
            notes.push(blog::note(&db, text).await.id);
        }
        on_each_connection!(db, |conn, n| {
            let text = format!("changed {n}");
            let updated = update_many(note::Entity)
                .col_expr(note::Column::Text, Expr::value(text.clone()))
                .filter(note::Column::Text.ne("b"))
                .exec(conn).await.unwrap();
            assert_eq!(updated.rows_affected, 2);
            // What it changes in nothing recorded is no record.
            let starred = update_many(note::Entity)
                .set(note::ActiveModel { stars: Set(n), ..Default::default() })
                .exec(conn).await.unwrap();
            assert_eq!(starred.rows_affected, 3);
        });
        let events = events(&db).await;
        let texts: Vec<_> = events[&notes[0]].iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a", "changed 0", "changed 1", "changed 2", "changed 3"]);
        assert_eq!(events[&notes[0]], events[&notes[1]]);
        assert!(events[&notes[0]][1..].iter().all(|(event, _)| *event == Event::Updated));
        assert_eq!(events[&notes[2]], told(&[(Event::Created, "b")]));
        assert_eq!(note::Entity::find().filter(note::Column::Stars.eq(3)).count(&db).await.unwrap(), 3);
    }

    async fn update_many_of_watched_rows_records_the_dependents_of_before_and_of_after(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        on_each_connection!(db, |conn, n| {
            // Renamed.
            update_many(tag::Entity).col_expr(tag::Column::Name, Expr::value(format!("tag {n}"))).exec(conn).await.unwrap();
            update_many(editor::Entity).col_expr(editor::Column::Name, Expr::value(format!("editor {n}"))).exec(conn).await.unwrap();
        }, assert_current(&db).await);
        on_each_connection!(db, |conn, n| {
            // From one parent to another: both change.
            let to = magazine.stories[n % 2].id;
            let moved = update_many(remark::Entity).col_expr(remark::Column::StoryId, Expr::value(to)).exec(conn).await.unwrap();
            assert_eq!(moved.rows_affected, 2);
        }, assert_current(&db).await);
        let records = assert_current(&db).await;
        assert!(records[&magazine.stories[0].id].last().unwrap().digest.contains("editor 3"));
        assert!(records[&magazine.stories[1].id].last().unwrap().digest.contains("R1,R2"));
    }

    async fn update_many_that_moves_rows_records_them_with_their_new_parents(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        on_each_connection!(db, |conn, n| {
            update_many(story::Entity)
                .col_expr(story::Column::SectionId, Expr::value(magazine.sections[n % 2].id))
                .col_expr(story::Column::EditorId, Expr::value(Option::<i32>::None))
                .exec(conn).await.unwrap();
        }, assert_current(&db).await);
        let records = assert_current(&db).await;
        assert!(records[&magazine.stories[0].id].last().unwrap().digest.starts_with("S2 of D2; -;"));
    }

    async fn update_many_of_primary_keys_ends_one_history_and_begins_another(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let first = blog::note(&db, "a").await.id;
        unrecorded(&db, 50..=50).await;
        on_each_connection!(db, |conn, _n| {
            update_many(note::Entity)
                .col_expr(note::Column::Id, Expr::col(note::Column::Id).add(1_000))
                .exec(conn).await.unwrap();
        });
        let events = events(&db).await;
        assert_eq!(events[&first], told(&[(Event::Created, "a"), (Event::Deleted, "a")]));
        assert_eq!(events[&50], told(&[(Event::Deleted, "old")]));
        for moved in [first + 1_000, first + 3_000, 1_050] {
            assert_eq!(events[&moved].len(), 2, "{events:?}");
            assert_eq!(events[&moved][0].0, Event::Created);
            assert_eq!(events[&moved][1].0, Event::Deleted);
        }
        assert_eq!(events[&(first + 4_000)], told(&[(Event::Created, "a")]));
    }

    async fn update_many_of_links_in_a_composite_key_records_both_ends(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        on_each_connection!(db, |conn, n| {
            update_many(story_tag::Entity)
                .col_expr(story_tag::Column::TagId, Expr::value(magazine.tags[1 - n % 2].id))
                .filter(story_tag::Column::StoryId.eq(magazine.stories[0].id))
                .exec(conn).await.unwrap();
        }, assert_current(&db).await);
        update_many(story_tag::Entity)
            .col_expr(story_tag::Column::TagId, Expr::value(magazine.tags[1].id))
            .filter(story_tag::Column::StoryId.eq(magazine.stories[0].id))
            .exec(&db).await.unwrap();
        let records = assert_current(&db).await;
        assert!(records[&magazine.stories[0].id].last().unwrap().digest.ends_with("T2"));
    }

    async fn more_keys_than_a_statement_takes_are_not_moved_onto_each_other(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_many((1..=1_001).map(|id| note::ActiveModel { id: Set(id), ..note::draft("a") }), &db).await.unwrap();
        let moved = |by: i32| update_many(note::Entity)
            .col_expr(note::Column::Id, Expr::col(note::Column::Id).add(by));
        let error = moved(-500).exec(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Bulk { .. })), "{error}");
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 1_001);
        moved(5_000).exec(&db).await.unwrap();
        let events = events(&db).await;
        assert_eq!(events.len(), 2_002);
        assert_eq!(events[&1], told(&[(Event::Created, "a"), (Event::Deleted, "a")]));
        assert_eq!(events[&6_001], told(&[(Event::Created, "a")]));
    }

    async fn an_import_is_recorded_as_it_stands_at_the_commit(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let rows = |ids: std::ops::RangeInclusive<i32>| ids.map(|id| note::ActiveModel { id: Set(id), ..note::draft("a") });
        let change = |ids: std::ops::RangeInclusive<i32>, text: &str| {
            update_many(note::Entity).col_expr(note::Column::Text, Expr::value(text)).filter(note::Column::Id.between(*ids.start(), *ids.end()))
        };
        counter.clear();
        recorded.transaction_async(async |txn| insert_many(rows(1..=1_000), txn).await.map(drop)).await.unwrap();
        // The rows, whether there are records, the records.
        assert_eq!(counter.take(), 3);
        // Keys that come back have records.
        delete_many(note::Entity).filter(note::Column::Id.between(101, 200)).exec(&db).await.unwrap();
        recorded.transaction_async(async |txn| insert_many(rows(101..=200), txn).await.map(drop)).await.unwrap();
        // What is changed or deleted before the commit.
        recorded.transaction_async(async |txn| {
            insert_many(rows(1_001..=1_100), txn).await?;
            change(1_001..=1_030, "b").exec(txn).await?;
            delete_many(note::Entity).filter(note::Column::Id.between(1_031, 1_060)).exec(txn).await.map(drop)
        }).await.unwrap();
        // What is taken back in a savepoint, and made again.
        recorded.transaction_async(async |txn| {
            let savepoint = txn.begin().await?;
            insert_many(rows(2_001..=2_100), &savepoint).await?;
            savepoint.rollback().await?;
            insert_many(rows(2_051..=2_150), txn).await.map(drop)
        }).await.unwrap();
        let events = events(&db).await;
        let created = |text| told(&[(Event::Created, text)]);
        for (id, events) in &events {
            match id {
                101..=200 => assert_eq!(*events, told(&[(Event::Created, "a"), (Event::Deleted, "a"), (Event::Created, "a")])),
                1_001..=1_030 => assert_eq!(*events, created("b")),
                _ => assert_eq!(*events, created("a"), "{id}"),
            }
        }
        assert_eq!(events.len(), 1_000 + 70 + 100);
    }

    async fn an_import_of_computed_properties_is_recorded_as_it_stands_at_the_commit(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "T").await;
        let recorded = RecordedConnection::new(db.clone());
        let rows = || (0..1_500).map(|_| article::draft(topic.id, "A"));
        counter.clear();
        let keys = recorded.transaction_async(async |txn| {
            let keys = insert_many(rows(), txn).await?;
            let first = update_many(article::Entity).col_expr(article::Column::Text, Expr::value("d"));
            first.filter(article::Column::Id.eq(keys[0])).exec(txn).await?;
            Ok::<_, sea_orm::DbErr>(keys)
        }).await.unwrap();
        assert!(counter.take() <= 18);
        let mut records = article::record::Entity::find().order_by_asc(article::record::Column::RecordingId).all(&db).await.unwrap();
        assert_eq!(records.iter().map(|record| record.recording_id).collect::<Vec<_>>(), keys);
        let first = records.remove(0);
        assert_eq!((first.event, first.text, first.word_count), (Event::Created, "d".to_owned(), 1));
        assert!(records.iter().all(|record| (record.event, record.word_count, &*record.headline) == (Event::Created, 3, "T: A")));
    }

    async fn delete_many_records_that_rows_are_gone(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        on_each_connection!(db, |conn, n| {
            let text = format!("kind {n}");
            let ids = insert_many(vec![note::draft(&text), note::draft(&text), note::draft("kept")], conn).await.unwrap();
            unrecorded(conn, 1_000..=1_000).await;
            let gone = delete_many(note::Entity)
                .filter(note::Column::Text.is_in([text.as_str(), "old"]))
                .exec(conn).await.unwrap();
            assert_eq!(gone.rows_affected, 3);
            // Once more, for nothing.
            let gone = delete_many(note::Entity).filter(note::Column::Id.eq(ids[0])).exec(conn).await.unwrap();
            assert_eq!(gone.rows_affected, 0);
        });
        let events = events(&db).await;
        let count = |expected: &[Event]| {
            let told = |row: &&Vec<(Event, String)>| row.iter().map(|(event, _)| event).eq(expected);
            events.values().filter(told).count()
        };
        // In a recorded transaction what is made and deleted leaves nothing.
        assert_eq!(count(&[Event::Created, Event::Deleted]), 6, "{events:?}");
        assert_eq!(count(&[Event::Created]), 4);
        // Never recorded: one record each time, of what it was.
        assert_eq!(events[&1_000], told(&[(Event::Deleted, "old")]));
    }

    async fn delete_many_of_watched_rows_records_who_depended_on_them(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        on_each_connection!(db, |conn, n| {
            match n {
                0 => drop(delete_many(remark::Entity).filter(remark::Column::StoryId.eq(magazine.stories[0].id)).exec(conn).await.unwrap()),
                1 => drop(delete_many(story_tag::Entity).exec(conn).await.unwrap()),
                // The database sets the stories' editor to NULL.
                2 => drop(delete_many(editor::Entity).exec(conn).await.unwrap()),
                _ => drop(delete_many(cover::Entity).exec(conn).await.unwrap()),
            }
        }, assert_current(&db).await);
        let records = assert_current(&db).await;
        assert_eq!(records[&magazine.stories[0].id].last().unwrap().digest, "S1 of D1; -; -; ; ");
        assert_eq!(records[&magazine.stories[0].id].len(), records[&magazine.stories[1].id].len() + 1);
        delete_many(story::Entity).exec(&db).await.unwrap();
        let records = assert_current(&db).await;
        assert!(records.values().all(|records| records.last().unwrap().event == Event::Deleted));
    }

    async fn upsert_many_records_what_it_inserts_and_what_it_updates(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let old = blog::note(&db, "old").await;
        let row = |id, text: &str| note::ActiveModel { id: Set(id), ..note::draft(text) };
        on_each_connection!(db, |conn, n| {
            let rows = [row(old.id, &format!("new {n}")), row(old.id + 10 + n, "made")];
            let keys = upsert_many(rows, [note::Column::Id], |conflict| conflict.update_column(note::Column::Text));
            assert_eq!(keys.exec(conn).await.unwrap(), [old.id, old.id + 10 + n]);
        });
        let nothing = upsert_many([row(old.id, "ignored")], [note::Column::Id], |conflict| conflict.do_nothing_on([note::Column::Id]));
        assert_eq!(nothing.exec(&db).await.unwrap(), [old.id]);
        let events = events(&db).await;
        let texts: Vec<_> = events[&old.id].iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["old", "new 0", "new 1", "new 2", "new 3"]);
        for n in 0..4 {
            assert_eq!(events[&(old.id + 10 + n)], told(&[(Event::Created, "made")]));
        }
    }

    async fn upsert_many_that_sets_the_key_of_a_row_leaves_a_tombstone_under_the_old_one(test: TestDb) {
        let db = test.connect().await;
        blog::create_table(&db, page::Entity).await;
        blog::create_table(&db, page::record::Entity).await;
        on_each_connection!(db, |conn, n| {
            let row = |id: i32, title: &str| page::ActiveModel {
                id: Set(id), slug: Set(n.to_string()), title: Set(title.to_owned()),
            };
            let (old, new) = (2 * n + 1, 2 * n + 2);
            row(old, "one").insert(conn).await.unwrap();
            let set = [page::Column::Id, page::Column::Title];
            let upsert = upsert_many([row(new, "two")], [page::Column::Slug], |conflict| conflict.update_columns(set));
            assert_eq!(upsert.exec(conn).await.unwrap(), [new]);
        });
        for n in 0..4 {
            for (id, expected) in [(2 * n + 1, vec![Event::Created, Event::Deleted]), (2 * n + 2, vec![Event::Created])] {
                let records = page::Entity::records_of(id).order_by_asc(page::record::Column::RecordedAt);
                let events: Vec<_> = records.all(&db).await.unwrap().iter().map(|record| record.event).collect();
                // A transaction records a row once, as it is in the end, and this one was made and went.
                let expected = if n == 3 && id % 2 == 1 { vec![] } else { expected };
                assert_eq!(events, expected, "{n}: {id}");
            }
        }
        assert!(verify(page::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn upsert_many_of_watched_rows_records_their_dependents(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        on_each_connection!(db, |conn, n| {
            let picture = |at: usize| cover::ActiveModel {
                picture: Set(format!("picture {at} {n}")),
                story_id: Set(magazine.stories[at].id),
                ..Default::default()
            };
            upsert_many([picture(0), picture(1)], [cover::Column::StoryId], |conflict| conflict.update_column(cover::Column::Picture))
                .exec(conn).await.unwrap();
            // The other way round: a row that is found by its key changes what it belongs to.
            if n == 0 {
                delete_many(cover::Entity).filter(cover::Column::StoryId.eq(magazine.stories[1].id)).exec(conn).await.unwrap();
                let moved = cover::ActiveModel { story_id: Set(magazine.stories[1].id), ..magazine.covers[0].clone().into() };
                upsert_many([moved], [cover::Column::Id], |conflict| conflict.update_column(cover::Column::StoryId))
                    .exec(conn).await.unwrap();
            }
        }, assert_current(&db).await);
        let records = assert_current(&db).await;
        assert!(records[&magazine.stories[0].id].last().unwrap().digest.contains("picture 0 3"));
    }

    async fn upsert_many_refuses_rows_that_it_could_not_find_again(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let upsert = upsert_many([note::draft("a")], [note::Column::Id], |conflict| conflict.update_column(note::Column::Text));
        let error = upsert.exec(&db).await.unwrap_err();
        assert!(error.to_string().contains("`id`"), "{error}");
        let none: [note::Column; 0] = [];
        let upsert = upsert_many([note::draft("a")], none, |conflict| conflict.do_nothing());
        assert!(matches!(RecordError::of(&upsert.exec(&db).await.unwrap_err()), Some(RecordError::Bulk { .. })));
        assert_eq!(note::Entity::find().count(&db).await.unwrap(), 0);
    }

    async fn a_bulk_write_takes_at_most_six_statements_a_thousand_rows(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let row = |id| note::ActiveModel { id: Set(id), ..note::draft("a") };
        macro_rules! assert_few {
            ($name:expr, $write:expr) => {
                counter.clear();
                $write.unwrap();
                let statements = counter.take();
                assert!(statements <= 18, "{}: {statements}", $name);
            };
        }
        assert_few!("insert", insert_many((1..=3_000).map(row), &db).await);
        let update = |text: &str| update_many(note::Entity).col_expr(note::Column::Text, Expr::value(text));
        assert_few!("update", update("b").exec(&db).await);
        assert_few!("upsert", upsert_many((1..=3_000).map(row), [note::Column::Id], |conflict| conflict.update_column(note::Column::Text)).exec(&db).await);
        assert_few!("gathered update", recorded.transaction_async(async |txn| update("c").exec(txn).await).await);
        assert_few!("gathered delete", recorded.transaction_async(async |txn| delete_many(note::Entity).filter(note::Column::Id.gt(0)).exec(txn).await).await);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 5 * 3_000);
        insert_many((1..=3_000).map(row), &db).await.unwrap();
        assert_few!("delete", delete_many(note::Entity).exec(&db).await);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 7 * 3_000);
    }

    async fn a_bulk_write_without_recording_or_hooks_is_one_statement(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        blog::create_table(&db, plain::note::Entity).await;
        blog::note(&db, "a").await;
        let plain = plain::note::ActiveModel { text: Set("a".to_owned()), stars: Set(0), ..Default::default() };
        plain::note::Entity::insert(plain).exec(&db).await.unwrap();
        let paused = RecordedConnection::new(db.clone()).without_recording();
        counter.clear();
        let updated = update_many(plain::note::Entity).col_expr(plain::note::Column::Text, Expr::value("b")).exec(&db).await.unwrap();
        assert_eq!(updated.rows_affected, 1);
        update_many(note::Entity).col_expr(note::Column::Text, Expr::value("b")).exec(&paused).await.unwrap();
        assert_eq!(delete_many(plain::note::Entity).exec(&db).await.unwrap().rows_affected, 1);
        delete_many(note::Entity).exec(&paused).await.unwrap();
        assert_eq!(update_many(note::Entity).exec(&db).await.unwrap().rows_affected, 0);
        counter.assert(4);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 1);
    }

    async fn a_bulk_write_that_fails_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        let before = assert_current(&db).await;
        let nowhere = Expr::value(9_999);
        update_many(remark::Entity).col_expr(remark::Column::StoryId, nowhere).exec(&db).await.unwrap_err();
        // Restricted by the stories.
        let sections = delete_many(crate::magazine::section::Entity).exec(&db).await;
        sections.unwrap_err();
        let failing = remark::ActiveModel { text: Set("fail".to_owned()), ..magazine.remarks[0].clone().into() };
        let failing = upsert_many([failing], [remark::Column::Id], |conflict| conflict.update_column(remark::Column::Text));
        let error = failing.exec(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Property { .. })), "{error}");
        assert_eq!(assert_current(&db).await, before);
    }

    async fn a_bulk_write_knows_who_acts(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        unrecorded(&db, 100..=100).await;
        insert_many([note::draft("a")], &alice).await?;
        update_many(note::Entity).col_expr(note::Column::Text, Expr::value("b")).exec(&alice).await?;
        unrecorded(&db, 200..=200).await;
        delete_many(note::Entity).exec(&alice).await?;
        let records = note::record::Entity::find().all(&db).await?;
        assert_eq!(records.len(), 6);
        assert!(records.iter().all(|record| record.actor.as_deref() == Some("alice")));
        Ok(())
    }

    async fn a_rename_of_many_topics_records_their_articles(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topics = [blog::topic(&db, "one").await, blog::topic(&db, "two").await];
        for topic in &topics {
            blog::article(&db, topic, "title").await;
        }
        let renamed = update_many(blog::topic::Entity)
            .col_expr(blog::topic::Column::Name, Expr::cust("concat('new ', name)"));
        match db.get_database_backend() {
            sea_orm::DbBackend::Sqlite => update_many(blog::topic::Entity).col_expr(blog::topic::Column::Name, Expr::cust("'new ' || name")),
            _ => renamed,
        }.exec(&db).await.unwrap();
        let latest = article::record::Entity::find().filter(article::record::Column::Event.eq(Event::Related));
        let mut headlines: Vec<_> = latest.all(&db).await.unwrap().into_iter().map(|record| record.headline).collect();
        headlines.sort();
        assert_eq!(headlines, ["new one: title", "new two: title"]);
    }
}

/// It compiles in a spawned task.
#[tokio::test]
async fn bulk_writes_run_in_spawned_tasks() {
    let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let db = sea_orm::Database::connect(options).await.unwrap();
    blog::create_notes(&db).await;
    let task = tokio::spawn(async move {
        insert_many([note::draft("a")], &db).await?;
        update_many(note::Entity)
            .col_expr(note::Column::Text, Expr::value("b"))
            .exec(&db)
            .await?;
        let keys = upsert_many(
            [note::ActiveModel {
                id: Set(1),
                ..note::draft("c")
            }],
            [note::Column::Id],
            |conflict| conflict.update_column(note::Column::Text),
        );
        assert_eq!(keys.exec(&db).await?, [1]);
        delete_many(note::Entity).exec(&db).await?;
        note::record::Entity::find().count(&db).await
    });
    assert_eq!(task.await.unwrap().unwrap(), 4);
}
