//! Putting back what was.

use sea_orm::entity::prelude::*;
use sea_orm::{
    DatabaseConnection, IntoActiveModel, QueryOrder, QuerySelect, Set, TransactionTrait,
};
use sea_orm_record::prelude::*;
use sea_orm_record::{backfill, carry_forward, prune_before};
use serde_json::json;

use crate::blog::{self, note};
use crate::harness::*;
use crate::library::{book, draft, library};
use crate::reading::{at, insert};

use book::record::Column as Book;

/// Records by hand: a column that was recorded later, and one in another type.
mod parcel {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{RecordEntity, Recorded, record_hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "parcel")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub label: String,
        pub grams: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use super::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "parcel_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: String,
            pub label: Option<String>,
            pub grams: Option<i64>,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        impl RecordEntity for Entity {
            type Recording = super::Entity;
            type Properties = ();
            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;
        }
    }
}

/// Rows that refer to rows of their own table, which the database insists on.
mod comment {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(parent_id, text))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "comment")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub parent_id: Option<i32>,
        pub text: String,
        #[sea_orm(self_ref, relation_enum = "Parent", from = "parent_id", to = "id")]
        pub parent: BelongsTo<Option<Entity>>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub async fn answer(db: &DatabaseConnection, parent: Option<&Model>, text: &str) -> Model {
        let answer = ActiveModel {
            parent_id: sea_orm::Set(parent.map(|parent| parent.id)),
            text: sea_orm::Set(text.to_owned()),
            ..Default::default()
        };
        answer.insert(db).await.unwrap()
    }
}

/// A book that nothing recorded, from before the library was.
async fn unrecorded(db: &DatabaseConnection, title: &str) -> book::Model {
    let silent = RecordedConnection::new(db.clone()).without_recording();
    draft(title).insert(&silent).await.unwrap()
}

fn past_record(id: i32, recorded_at: DateTimeUtc, event: Event) -> book::record::Model {
    book::record::Model {
        recording_id: id,
        recorded_at,
        event,
        shelf_id: None,
        title: "Old".to_owned(),
        blurb: None,
        facts: json!({}),
        letters: 3,
        actor: None,
        reason: None,
        change_id: None,
        metadata: None,
    }
}

async fn titles(db: &DatabaseConnection) -> Vec<(i32, String)> {
    let books = book::Entity::find().order_by_asc(book::Column::Id);
    let books = books.all(db).await.unwrap();
    books
        .into_iter()
        .map(|book| (book.id, book.title))
        .collect()
}

async fn events(db: &DatabaseConnection, id: i32) -> Vec<(Event, String)> {
    let records = book::Entity::records_of(id).order_by_asc(Book::RecordedAt);
    let records = records.all(db).await.unwrap();
    records
        .into_iter()
        .map(|record| (record.event, record.title))
        .collect()
}

async fn rename(db: &DatabaseConnection, book: &book::Model, title: &str) -> book::Model {
    let mut edited = book.clone().into_active_model();
    edited.title = Set(title.to_owned());
    edited.blurb = Set(Some(format!("about {title}")));
    edited.facts = Set(json!({ "title": title }));
    edited.update(db).await.unwrap()
}

async fn latest(db: &DatabaseConnection) -> DateTimeUtc {
    let latest = book::Entity::records().latest().one(db).await.unwrap();
    latest.unwrap().recorded_at
}

/// Whether each row's latest record is what the row is.
async fn assert_current(db: &DatabaseConnection) {
    for book in book::Entity::find().all(db).await.unwrap() {
        assert!(
            !book.has_unrecorded_changes(db).await.unwrap(),
            "{}",
            book.id
        );
    }
}

each_database! {
    async fn a_row_gets_back_what_was_recorded_and_that_is_recorded(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let first = draft("One").insert(&db).await?;
        let edited = rename(&db, &first, "Two").await;
        let record = first.records().earliest().one(&db).await?.unwrap();
        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice").reason("as it was"));
        assert_eq!(record.restore()?.update(&alice).await?, first);
        assert_eq!(first.diff_from(&record).to_string(), "no change");
        let last = edited.records().latest().one(&db).await?.unwrap();
        assert_eq!((last.event, last.title.as_str(), last.letters, last.reason.as_deref()), (Event::Updated, "One", 3, Some("as it was")));
        assert_eq!(first.records().count(&db).await?, 3);
        // Once more changes nothing, and leaves no record.
        assert_eq!(record.restore()?.put_back(&alice).await?, first);
        assert_eq!(first.records().count(&db).await?, 3);
        Ok(())
    }

    async fn a_deleted_row_comes_back_with_its_key(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = draft("One").insert(&db).await?;
        let book = rename(&db, &book, "Two").await;
        book.clone().delete(&db).await?;
        let tombstone = book.records().latest().one(&db).await?.unwrap();
        assert_eq!(tombstone.event, Event::Deleted);
        assert_eq!(tombstone.restore()?.put_back(&db).await?, book);
        book.clone().delete(&db).await?;
        let first = book.records().earliest().one(&db).await?.unwrap();
        assert_eq!(first.restore()?.insert(&db).await?.title, "One");
        let expected = [(Event::Created, "One"), (Event::Updated, "Two"), (Event::Deleted, "Two"), (Event::Created, "Two"), (Event::Deleted, "Two"), (Event::Created, "One")];
        assert_eq!(events(&db, book.id).await, expected.map(|(event, title)| (event, title.to_owned())));
        Ok(())
    }

    async fn columns_can_be_chosen_or_left(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let first = draft("One").insert(&db).await?;
        let second = rename(&db, &first, "Two").await;
        let record = first.records().earliest().one(&db).await?.unwrap();
        let title = record.restore_only([book::Column::Title])?;
        assert!(title.blurb.is_not_set() && title.facts.is_not_set());
        assert_eq!(title.put_back(&db).await?, book::Model { title: "One".to_owned(), ..second.clone() });
        let rest = record.restore_except([book::Column::Title, book::Column::Blurb])?;
        assert_eq!(rest.put_back(&db).await?, book::Model { blurb: second.blurb.clone(), ..first.clone() });
        let everything = record.restore_only([])?;
        assert_eq!(everything.put_back(&db).await?.blurb, second.blurb);
        Ok(())
    }

    async fn what_was_not_recorded_is_left_alone_or_named(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "One").await;
        let mut edited = note.clone().into_active_model();
        (edited.text, edited.stars) = (Set("Two".to_owned()), Set(5));
        edited.update(&db).await?;
        let record = note.records().earliest().one(&db).await?.unwrap();
        let back = record.restore()?.put_back(&db).await?;
        assert_eq!((back.text.as_str(), back.stars), ("One", 5));

        let unknown = record.restore_only([note::Column::Stars]).unwrap_err();
        assert_eq!(unknown.to_string(), "a row of `note` cannot be put back: `stars` is not recorded");
        note.clone().delete(&db).await?;
        let error = record.restore()?.put_back(&db).await.unwrap_err();
        let error = RecordError::of(&error).unwrap().to_string();
        assert!(error.starts_with("a row of `note` cannot be put back: it is gone, and `stars` is required and not brought back"), "{error}");
        assert_eq!((note::Entity::find().count(&db).await?, note.records().count(&db).await?), (0, 4));
        let mut back = record.restore()?;
        back.stars = Set(3);
        assert_eq!(back.put_back(&db).await?, note::Model { stars: 3, ..note.clone() });

        // Of several rows none comes back where one cannot.
        let then = record.recorded_at;
        note.clone().delete(&db).await?;
        assert!(note::Entity::restore_to(then).apply(&db).await.is_err());
        assert_eq!((note::Entity::find().count(&db).await?, note.records().count(&db).await?), (0, 6));
        Ok(())
    }

    async fn a_table_goes_back_to_a_moment_in_one_transaction_after_a_look(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let [kept, changed, deleted] = ["Kept", "Changed", "Deleted"].map(|title| draft(title).insert(&db));
        let (kept, changed, deleted) = (kept.await?, changed.await?, deleted.await?);
        let then = latest(&db).await;
        rename(&db, &changed, "Changed since").await;
        deleted.clone().delete(&db).await?;
        let made = draft("Made since").insert(&db).await?;
        draft("Made and gone").insert(&db).await?.delete(&db).await?;
        let records = book::Entity::records().count(&db).await?;

        let back = book::Entity::restore_to(then);
        let preview: Vec<_> = back.preview().all(&db).await?.iter().map(ToString::to_string).collect();
        assert_eq!(preview.len(), 3);
        assert!(preview[0].starts_with(&format!("volume {}\n  title: \"Changed since\" → \"Changed\"", changed.id)), "{preview:?}");
        assert_eq!(preview[1..], [format!("volume {}: added", deleted.id), format!("volume {}: removed", made.id)]);
        assert_eq!(book::Entity::records().count(&db).await?, records);

        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice").reason("back"));
        let restored = back.clone().apply(&alice).await?;
        assert_eq!((restored.restored, restored.deleted), (2, 1));
        assert_eq!(titles(&db).await, [&kept, &changed, &deleted].map(|book| (book.id, book.title.clone())));
        assert_eq!(book::Entity::find().all(&db).await?.into_iter().filter(|book| book.blurb.is_some()).count(), 0);
        assert_current(&db).await;
        let new = book::Entity::records().filter(Book::Reason.eq("back")).order_by_asc(Book::RecordingId).all(&db).await?;
        let new_events: Vec<_> = new.iter().map(|record| (record.recording_id, record.event)).collect();
        assert_eq!(new_events, [(changed.id, Event::Updated), (deleted.id, Event::Created), (made.id, Event::Deleted)]);
        assert!(new.iter().all(|record| record.change_id == new[0].change_id && record.actor.as_deref() == Some("alice")));

        // There is nothing left to do.
        assert_eq!(back.preview().all(&db).await?.len(), 0);
        let again = back.apply(&db).await?;
        assert_eq!((again.restored, again.deleted), (0, 0));
        Ok(())
    }

    async fn a_filtered_set_goes_back_alone_and_within_a_transaction(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let (one, two) = (draft("One").insert(&db).await?, draft("Two").insert(&db).await?);
        let then = latest(&db).await;
        rename(&db, &one, "One since").await;
        rename(&db, &two, "Two since").await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await?;
        let restored = one.records().restore_to(then).apply(&txn).await?;
        assert_eq!(restored.restored, 1);
        txn.commit().await?;
        assert_eq!(titles(&db).await, [(one.id, "One".to_owned()), (two.id, "Two since".to_owned())]);
        assert_current(&db).await;

        let txn = recorded.begin().await?;
        book::Entity::restore_to(then).apply(&txn).await?;
        txn.rollback().await?;
        assert_eq!(titles(&db).await[1].1, "Two since");
        let txn = db.begin().await?;
        let called = book::Entity::records().filter(Book::Title.eq("Two since"));
        called.restore_to(then).except([book::Column::Blurb]).apply(&txn).await?;
        txn.commit().await?;
        let back = book::Entity::find_by_id(two.id).one(&db).await?.unwrap();
        assert_eq!((back.title.as_str(), back.blurb.as_deref()), ("Two", Some("about Two since")));
        assert_current(&db).await;
        Ok(())
    }

    async fn a_table_goes_back_to_before_its_first_record_and_not_into_the_future(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        for n in 0..300 {
            if n % 100 == 0 {
                draft(&format!("{n}")).insert(&db).await?;
            }
        }
        let future = chrono::Utc::now() + chrono::TimeDelta::days(1);
        let restored = book::Entity::restore_to(future).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted), (0, 0));
        let restored = book::Entity::restore_to(DateTimeUtc::MIN_UTC).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted), (0, 3));
        assert_eq!(titles(&db).await, []);
        Ok(())
    }

    async fn rows_from_before_the_recording_are_not_taken_for_made_since(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let (old, edited) = (unrecorded(&db, "Old").await, unrecorded(&db, "Edited").await);
        let monday = chrono::Utc::now();
        rename(&db, &edited, "Edited since").await;
        backfill(book::Entity).exec(&db).await?;
        draft("Made since").insert(&db).await?;

        let back = book::Entity::restore_to(monday);
        assert_eq!(back.preview().all(&db).await?.len(), 1);
        let restored = back.apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 1, 2));
        assert_eq!(titles(&db).await, [(old.id, "Old".to_owned()), (edited.id, "Edited since".to_owned())]);
        Ok(())
    }

    async fn rows_whose_past_was_pruned_are_not_taken_for_made_since(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = draft("One").insert(&db).await?;
        let then = latest(&db).await;
        let book = rename(&db, &book, "Two").await;
        prune_before(book::Entity, chrono::Utc::now()).exec(&db).await?;
        assert_eq!(events(&db, book.id).await, [(Event::Updated, "Two".to_owned())]);
        let restored = book::Entity::restore_to(then).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 0, 1));
        assert_eq!(titles(&db).await, [(book.id, "Two".to_owned())]);
        Ok(())
    }

    async fn rows_that_came_back_before_a_pruning_are_not_taken_for_made_since(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = draft("One").insert(&db).await?;
        let then = latest(&db).await;
        let first = book.records().latest().one(&db).await?.ok_or("no record")?;
        book.clone().delete(&db).await?;
        let gone = latest(&db).await;
        first.restore()?.put_back(&db).await?;
        prune_before(book::Entity, chrono::Utc::now()).exec(&db).await?;
        let left = [(Event::Deleted, "One".to_owned()), (Event::Created, "One".to_owned())];
        assert_eq!(events(&db, book.id).await, left);

        let restored = book::Entity::restore_to(then).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 0, 1));
        assert_eq!(titles(&db).await, [(book.id, "One".to_owned())]);
        // When it was gone is still known.
        let restored = book::Entity::restore_to(gone).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 1, 0));
        Ok(())
    }

    async fn rows_that_were_carried_forward_are_not_taken_for_made_at_the_edge(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let [made, gone] = [unrecorded(&db, "Old").await, unrecorded(&db, "Old").await];
        let day = |n| at(&format!("2024-03-{n:02}T00:00:00Z"));
        let (edge, after) = (day(10), day(12));
        insert::<book::record::Entity, _>(&db, [
            past_record(made.id, day(1), Event::Created),
            past_record(gone.id, day(1), Event::Created),
            past_record(gone.id, day(2), Event::Deleted),
            past_record(gone.id, day(20), Event::Created),
        ]).await;
        let carried = carry_forward(book::Entity, edge).exec(&db).await?;
        assert_eq!(carried.carried, 2);
        book::record::Entity::delete_many().filter(Book::RecordedAt.lt(edge)).exec(&db).await?;
        assert_eq!(events(&db, made.id).await, [(Event::Backfilled, "Old".to_owned())]);

        let restored = book::Entity::restore_to(day(9)).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 0, 2));
        // What says that a row was gone is carried as that.
        let restored = book::Entity::restore_to(after).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 1, 0));
        assert_eq!(titles(&db).await, [(made.id, "Old".to_owned())]);
        Ok(())
    }

    async fn chosen_columns_are_brought_back_in_rows_that_were_there_and_are(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let [kept, changed, deleted] = ["Kept", "Changed", "Deleted"].map(|title| draft(title).insert(&db));
        let (kept, changed, deleted) = (kept.await?, changed.await?, deleted.await?);
        let then = latest(&db).await;
        rename(&db, &changed, "Changed since").await;
        let mut described = kept.clone().into_active_model();
        described.blurb = Set(Some("described since".to_owned()));
        described.update(&db).await?;
        deleted.delete(&db).await?;
        let made = draft("Made since").insert(&db).await?;

        let back = book::Entity::restore_to(then).only([book::Column::Title]);
        let preview: Vec<_> = back.preview().all(&db).await?.iter().map(ToString::to_string).collect();
        assert_eq!(preview, [format!("volume {}\n  title: \"Changed since\" → \"Changed\"", changed.id)]);
        let restored = back.clone().apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (1, 0, 0));
        assert_eq!(titles(&db).await, [&kept, &changed, &made].map(|book| (book.id, book.title.clone())));
        let blurb = async |id| book::Entity::find_by_id(id).one(&db).await.unwrap().unwrap().blurb;
        assert_eq!(blurb(changed.id).await.as_deref(), Some("about Changed since"));
        assert_eq!(back.preview().all(&db).await?.len(), 0);

        let rest = book::Entity::restore_to(then).except([book::Column::Title, book::Column::Facts]);
        let restored = rest.apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (2, 0, 0));
        assert_eq!((blurb(kept.id).await, blurb(changed.id).await), (None, None));
        assert_current(&db).await;
        Ok(())
    }

    async fn a_column_that_is_not_recorded_is_refused_also_where_nothing_differs(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let stars = note::Entity::restore_to(chrono::Utc::now()).only([note::Column::Stars]);
        for error in [stars.preview().all(&db).await.unwrap_err(), stars.apply(&db).await.unwrap_err()] {
            let error = RecordError::of(&error).unwrap().to_string();
            assert_eq!(error, "a row of `note` cannot be put back: `stars` is not recorded");
        }
        Ok(())
    }

    async fn a_filter_on_keys_and_values_restores_the_rows_that_fitted_then(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let (one, two) = (draft("Admin").insert(&db).await?, draft("Admin").insert(&db).await?);
        let then = latest(&db).await;
        rename(&db, &one, "Member").await;
        rename(&db, &two, "Member").await;
        let admins = one.records().filter(Book::Title.eq("Admin"));
        let restored = admins.restore_to(then).apply(&db).await?;
        assert_eq!(restored.restored, 1);
        assert_eq!(titles(&db).await, [(one.id, "Admin".to_owned()), (two.id, "Member".to_owned())]);
        Ok(())
    }

    async fn rows_that_refer_to_others_of_their_table_go_and_return_in_an_order_that_works(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_table(&db, comment::Entity).await;
        blog::create_table(&db, comment::record::Entity).await;
        let mut thread = vec![comment::answer(&db, None, "first").await];
        let empty = thread[0].records().latest().one(&db).await?.unwrap().recorded_at;
        // More than are read at a time.
        for n in 0..270 {
            thread.push(comment::answer(&db, thread.last(), &format!("{n}")).await);
        }
        let full = thread[270].records().latest().one(&db).await?.unwrap().recorded_at;
        let restored = comment::Entity::restore_to(empty).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 270, 0));
        let restored = comment::Entity::restore_to(full).apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (270, 0, 0));
        assert_eq!(comment::Entity::find().order_by_asc(comment::Column::Id).all(&db).await?, thread);
        Ok(())
    }

    async fn a_limit_is_refused_since_it_does_not_say_which_rows(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let then = chrono::Utc::now();
        let book = draft("Made since").insert(&db).await?;
        for records in [book::Entity::records().limit(1), book::Entity::records().offset(1)] {
            let back = records.order_by_desc(Book::RecordedAt).restore_to(then);
            for error in [back.preview().all(&db).await.unwrap_err(), back.apply(&db).await.unwrap_err()] {
                assert!(matches!(RecordError::of(&error), Some(RecordError::Restore { .. })), "{error}");
                assert!(error.to_string().contains("a limit does not say which rows"), "{error}");
            }
        }
        assert_eq!(titles(&db).await, [(book.id, book.title)]);
        Ok(())
    }

    async fn rows_of_which_properties_alone_differ_are_left_alone(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "Rust").await;
        let article = blog::article(&db, &topic, "Hello").await;
        let then = article.records().latest().one(&db).await?.unwrap().recorded_at;
        let mut renamed = topic.into_active_model();
        renamed.name = Set("Crab".to_owned());
        renamed.update(&db).await?;
        assert_eq!(article.records().count(&db).await?, 2);
        let back = blog::article::Entity::restore_to(then);
        assert_eq!(back.preview().all(&db).await?.len(), 0);
        let restored = back.apply(&db).await?;
        assert_eq!((restored.restored, restored.deleted, restored.kept), (0, 0, 0));
        Ok(())
    }
}

#[test]
fn a_null_that_the_row_cannot_hold_is_not_brought_back_and_another_type_is_named() {
    let record = parcel::record::Model {
        recording_id: 7,
        recorded_at: DateTimeUtc::MIN_UTC,
        event: "updated".to_owned(),
        label: None,
        grams: None,
    };
    let row = record.restore().unwrap();
    assert_eq!(row.id, Set(7));
    assert!(row.label.is_not_set() && row.grams.is_not_set());
    let record = parcel::record::Model {
        label: Some("Books".to_owned()),
        grams: Some(1_200),
        ..record
    };
    let error = record.restore().unwrap_err();
    assert_eq!(
        error.to_string(),
        "a row of `parcel` cannot be put back: `grams` was recorded as another type than it has; set it by hand"
    );
    let row = record.restore_except([parcel::Column::Grams]).unwrap();
    assert_eq!(row.label, Set("Books".to_owned()));
}
