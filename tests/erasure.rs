//! `erase`: what is forgotten, what stays, and who does not bring it back.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{
    Context, Event, FOREVER, RecordError, RecordModel, RecordQuery, Recorded, RecordedConnection,
    RecordedModel, Retention, Verification, backfill, dedupe, erase, is_retryable, prune_before,
    prune_to, verify,
};

use crate::backfill::pallet;
use crate::blog::{self, article, create_table, note};
use crate::harness::{Engine, each_database};

/// One column of each kind that a person's row may have.
mod person {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(all))]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ers_person")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub phone: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub notes: String,
        pub small: i16,
        pub big: i64,
        pub score: f64,
        pub ratio: f32,
        #[sea_orm(column_type = "Decimal(Some((12, 2)))")]
        pub amount: Decimal,
        pub active: bool,
        pub born: Date,
        pub rises: Time,
        pub met: DateTime,
        pub seen: DateTimeWithTimeZone,
        pub tag: Uuid,
        #[sea_orm(column_type = "VarBinary(StringLen::N(32))")]
        pub print: Vec<u8>,
        pub facts: Json,
        pub mood: Mood,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "ers_mood")]
    pub enum Mood {
        #[sea_orm(string_value = "fine")]
        Fine,
        #[sea_orm(string_value = "glum")]
        Glum,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A state that is kept as text, of which the empty one is none.
mod ticket {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(text, state))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ers_ticket")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
        pub state: State,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum State {
        #[sea_orm(string_value = "open")]
        Open,
        #[sea_orm(string_value = "closed")]
        Closed,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

fn secretive() -> person::ActiveModel {
    let at = DateTime::from_timestamp(1_234_567_890, 0).unwrap();
    person::ActiveModel {
        name: Set("Zaphod".to_owned()),
        phone: Set(Some("0123".to_owned())),
        notes: Set("two heads".to_owned()),
        small: Set(7),
        big: Set(7_000_000_000),
        score: Set(7.5),
        ratio: Set(0.5),
        amount: Set("77.25".parse().unwrap()),
        active: Set(true),
        born: Set(at.date_naive()),
        rises: Set(at.time()),
        met: Set(at.naive_utc()),
        seen: Set(at.fixed_offset()),
        tag: Set(sea_orm::prelude::Uuid::from_u128(77)),
        print: Set(vec![7; 9]),
        facts: Set(serde_json::json!({ "heads": 2 })),
        mood: Set(person::Mood::Glum),
        ..Default::default()
    }
}

async fn create_people(db: &DatabaseConnection) {
    if db.get_database_backend() == sea_orm::DbBackend::Postgres {
        let ty = "CREATE TYPE ers_mood AS ENUM ('fine', 'glum')";
        db.execute_unprepared(ty).await.unwrap();
    }
    create_table(db, person::Entity).await;
    create_table(db, person::record::Entity).await;
}

async fn ticket(db: &DatabaseConnection) -> ticket::Model {
    create_table(db, ticket::Entity).await;
    create_table(db, ticket::record::Entity).await;
    let ticket = ticket::ActiveModel {
        text: Set("secret".to_owned()),
        state: Set(ticket::State::Closed),
        ..Default::default()
    };
    ticket.insert(db).await.unwrap()
}

fn numbers(report: Verification) -> [u64; 5] {
    [
        report.rows,
        report.missing,
        report.differing,
        report.orphans,
        report.repaired,
    ]
}

/// A note with the texts that it had.
async fn note_of(db: &impl ConnectionTrait, texts: &[&str]) -> note::Model {
    let mut row = blog::note(db, texts[0]).await;
    for text in &texts[1..] {
        row = rewritten(db, row, text).await;
    }
    row
}

async fn rewritten(db: &impl ConnectionTrait, row: note::Model, text: &str) -> note::Model {
    let mut row = row.into_active_model();
    row.text = Set(text.to_owned());
    row.update(db).await.unwrap()
}

/// Events and texts of all records of notes, in the order of rows and times.
async fn said(db: &impl ConnectionTrait) -> Vec<(i32, Event, String)> {
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordingId);
    let records = records.order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap().into_iter();
    records
        .map(|record| (record.recording_id, record.event, record.text))
        .collect()
}

fn one(id: i32, event: Event, text: &str) -> (i32, Event, String) {
    (id, event, text.to_owned())
}

/// Whoever looks at all rows finds nothing to do.
async fn assert_settled<E: Recorded>(db: &impl ConnectionTrait, entity: E) {
    let report = verify(entity).repair().exec(db).await.unwrap();
    assert!(report.is_clean() && report.repaired == 0, "{report:?}");
    let filled = backfill(entity).exec(db).await.unwrap();
    let differing = backfill(entity).differing().exec(db).await.unwrap();
    assert_eq!((filled.records, differing.records), (0, 0));
}

each_database! {
    async fn of_a_living_row_a_mark_stays_until_the_row_is_saved(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["secret", "worse", "now"]).await;
        let other = note_of(&db, &["other", "other, too"]).await;
        let officer = RecordedConnection::new(db.clone());
        let officer = officer.with_context(Context::actor("officer").reason("request 17"));
        let forecast = erase(note::Entity, row.id).dry_run(&db).await.unwrap();
        assert_eq!((forecast.records, said(&db).await.len()), (3, 5));
        let erased = erase(note::Entity, row.id).exec(&officer).await.unwrap();
        assert_eq!(erased.records, 3);

        let others = [
            one(other.id, Event::Created, "other"),
            one(other.id, Event::Updated, "other, too"),
        ];
        let mark = one(row.id, Event::Erased, "");
        assert_eq!(said(&db).await, [&[mark.clone()][..], &others].concat());
        let record = row.records().one(&db).await.unwrap().unwrap();
        assert_eq!(record.actor.as_deref(), Some("officer"));
        assert_eq!(record.reason.as_deref(), Some("request 17"));
        assert!(record.change_id.is_some());

        assert_settled(&db, note::Entity).await;
        assert!(!row.has_unrecorded_changes(&db).await.unwrap());
        let again = erase(note::Entity, row.id).exec(&officer).await.unwrap();
        assert_eq!(again.records, 0, "nothing is left to be erased");
        assert_eq!(said(&db).await.len(), 3);

        // Nothing held before the mark, nor since: what held is not known.
        let then = note::Entity::as_of(record.recorded_at).all(&db).await.unwrap();
        assert_eq!(then.iter().map(|it| it.recording_id).collect::<Vec<_>>(), [other.id]);
        let row = rewritten(&db, row, "next").await;
        assert_eq!(said(&db).await[1], one(row.id, Event::Updated, "next"));
        let now = note::Entity::as_of(Utc::now()).all(&db).await.unwrap();
        assert_eq!(now.len(), 2);
        row.delete(&db).await.unwrap();
        assert_eq!(said(&db).await[2].1, Event::Deleted);
        assert_settled(&db, note::Entity).await;
    }

    async fn of_a_row_that_is_gone_by_its_key_alone(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["secret", "worse"]).await;
        let id = row.id;
        row.delete(&db).await.unwrap();
        assert_eq!(erase(note::Entity, id).exec(&db).await.unwrap().records, 3);
        assert_eq!(said(&db).await, [one(id, Event::Erased, "")]);
        assert_settled(&db, note::Entity).await;
        let none = erase(note::Entity, id + 1).exec(&db).await.unwrap();
        assert_eq!((none.records, said(&db).await.len()), (0, 1), "a row without a history");

        let row = note_of(&db, &["secret", "worse"]).await;
        let second = row.id;
        row.delete(&db).await.unwrap();
        let blank = || erase(note::Entity, second).columns([note::record::Column::Text]);
        assert_eq!(blank().exec(&db).await.unwrap().records, 3);
        let events = [Event::Created, Event::Updated, Event::Deleted, Event::Erased];
        let expected = events.map(|event| one(second, event, ""));
        assert_eq!(said(&db).await[1..], expected);
        assert_eq!(blank().exec(&db).await.unwrap().records, 0);
        assert_settled(&db, note::Entity).await;

        // It comes back by a save, and is recorded as ever.
        let back = note::ActiveModel { id: Set(id), ..note::draft("") };
        back.insert(&db).await.unwrap();
        assert_eq!(said(&db).await[1], one(id, Event::Created, ""));
    }

    async fn what_is_blanked_stays_so_until_the_row_is_saved(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "Rust").await;
        let row = blog::article(&db, &topic, "Hello").await;
        let mut row = row.into_active_model();
        row.text = Set("secret text here".to_owned());
        row.title = Set("Bye".to_owned());
        let row = row.update(&db).await.unwrap();
        let columns = || [article::record::Column::Text, article::record::Column::WordCount];
        let erased = erase(article::Entity, row.id).columns(columns()).exec(&db).await.unwrap();
        assert_eq!(erased.records, 2);
        let all = async || {
            let records = row.records().order_by_asc(article::record::Column::RecordedAt);
            let records = records.all(&db).await.unwrap().into_iter();
            let shown = records.map(|it| (it.event, it.title, it.text, it.word_count, it.headline));
            shown.collect::<Vec<_>>()
        };
        let record = |event, title: &str, headline: &str| {
            (event, title.to_owned(), String::new(), 0, headline.to_owned())
        };
        let mut expected = vec![
            record(Event::Created, "Hello", "Rust: Hello"),
            record(Event::Updated, "Bye", "Rust: Bye"),
            record(Event::Blanked, "Bye", "Rust: Bye"),
        ];
        assert_eq!(all().await, expected);
        assert_settled(&db, article::Entity).await;
        assert!(!row.has_unrecorded_changes(&db).await.unwrap());

        // A change of what is watched.
        let mut topic = topic.into_active_model();
        topic.name = Set("Ferris".to_owned());
        topic.update(&db).await.unwrap();
        expected.push(record(Event::Blanked, "Bye", "Ferris: Bye"));
        assert_eq!(all().await, expected);

        // A change that nobody saw.
        let raw = "UPDATE article SET title = 'Raw', text = 'still secret'";
        db.execute_unprepared(raw).await.unwrap();
        let report = verify(article::Entity).repair().exec(&db).await.unwrap();
        assert_eq!(numbers(report), [1, 0, 1, 0, 1]);
        expected.push(record(Event::Blanked, "Raw", "Ferris: Raw"));
        assert_eq!(all().await, expected);
        assert_settled(&db, article::Entity).await;
        let then = article::Entity::as_of(Utc::now()).all(&db).await.unwrap();
        assert_eq!(then.len(), 1, "the row is still there");

        let row = article::Entity::find().one(&db).await.unwrap().unwrap();
        let mut saved = row.clone().into_active_model();
        saved.title = Set("Saved".to_owned());
        saved.update(&db).await.unwrap();
        let text = "still secret".to_owned();
        let title = "Saved".to_owned();
        expected.push((Event::Updated, title, text, 2, "Ferris: Saved".to_owned()));
        assert_eq!(all().await, expected);
        assert_settled(&db, article::Entity).await;
    }

    /// Whoever wrote the records is forgotten, also who wrote one that hands blanks on; who erased is not,
    /// and to erase twice changes nothing.
    async fn who_and_why_are_blanked_but_in_marks(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let db = RecordedConnection::new(db);
        let by = |actor: &str| db.with_context(Context::actor(actor).reason("why"));
        let (alice, officer) = (by("alice"), by("officer"));
        let row = note_of(&alice, &["one", "two"]).await;
        let columns = || [note::record::Column::Actor, note::record::Column::Reason];
        let erase = || erase(note::Entity, row.id).columns(columns());
        let actors = async || {
            let records = row.records().order_by_asc(note::record::Column::RecordedAt);
            let records = records.all(&db).await.unwrap().into_iter();
            records.map(|it| (it.event, it.actor)).collect::<Vec<_>>()
        };
        let by_officer = || Some("officer".to_owned());
        assert_eq!(erase().exec(&officer).await.unwrap().records, 2);
        let mut expected = vec![
            (Event::Created, None), (Event::Updated, None), (Event::Blanked, by_officer()),
        ];
        assert_eq!(actors().await, expected);
        assert_eq!(erase().dry_run(&officer).await.unwrap().records, 0);
        assert_eq!(erase().exec(&officer).await.unwrap().records, 0);
        assert_eq!(actors().await, expected);

        // What a fan-out or a repair writes after it is no mark.
        let record = note::record::ActiveModel {
            recording_id: Set(row.id),
            recorded_at: Set(Utc::now() + TimeDelta::seconds(1)),
            event: Set(Event::Blanked),
            text: Set("two".to_owned()),
            actor: Set(Some("alice".to_owned())),
            ..Default::default()
        };
        note::record::Entity::insert(record).exec_without_returning(db.inner()).await.unwrap();
        assert_eq!(erase().exec(&officer).await.unwrap().records, 1);
        expected.extend([(Event::Blanked, None), (Event::Blanked, by_officer())]);
        assert_eq!(actors().await, expected);

        // Whoever erases all, it says so for good.
        row.clone().delete(&alice).await.unwrap();
        sea_orm_record::erase(note::Entity, row.id).exec(&by("other")).await.unwrap();
        assert_eq!(erase().exec(&officer).await.unwrap().records, 0);
        assert_eq!(actors().await, [(Event::Erased, Some("other".to_owned()))]);
    }

    async fn a_deletion_after_it_is_recorded_and_says_nothing_more(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["secret"]).await;
        let id = row.id;
        let text = [note::record::Column::Text];
        erase(note::Entity, id).columns(text).exec(&db).await.unwrap();
        row.delete(&db).await.unwrap();
        let events = [Event::Created, Event::Blanked, Event::Deleted];
        assert_eq!(said(&db).await, events.map(|event| one(id, event, "")));
        assert_settled(&db, note::Entity).await;
    }

    async fn every_type_has_something_that_says_nothing(test: TestDb) {
        let db = test.connect().await;
        create_people(&db).await;
        let ids = [0; 2];
        let mut rows = Vec::new();
        for _ in ids {
            rows.push(secretive().insert(&db).await.unwrap());
        }
        let columns = || {
            use sea_orm::Iterable;
            let skipped = ["recording_id", "recorded_at", "event"];
            let all = person::record::Column::iter();
            all.filter(move |it| !skipped.contains(&sea_orm::IdenStatic::as_str(it)))
        };
        erase(person::Entity, rows[0].id).exec(&db).await.unwrap();
        erase(person::Entity, rows[1].id).columns(columns()).exec(&db).await.unwrap();
        assert_settled(&db, person::Entity).await;
        let records = person::record::Entity::find().all(&db).await.unwrap();
        assert_eq!(records.len(), 3);
        for record in records {
            assert_eq!((&*record.name, &*record.notes), ("", ""));
            assert_eq!(record.phone, None);
            assert_eq!((record.small, record.big, record.active), (0, 0, false));
            assert_eq!((record.score, record.ratio), (0.0, 0.0));
            assert!(record.amount.is_zero() && record.tag.is_nil() && record.print.is_empty());
            assert_eq!(record.born.to_string(), "1970-01-01");
            assert!(record.seen.timestamp() <= 86_400 && record.met.and_utc().timestamp() == 0);
            assert_eq!(record.facts, serde_json::Value::Null);
            assert_eq!(record.mood, person::Mood::Fine);
        }
        // None of it came from a difference that was overlooked.
        db.execute_unprepared("UPDATE ers_person SET small = 8, name = 'Ford'").await.unwrap();
        assert_settled(&db, person::Entity).await;
    }

    async fn a_mark_that_could_not_be_read_is_refused(test: TestDb) {
        let db = test.connect().await;
        let row = ticket(&db).await;
        let refused = |error: &sea_orm::DbErr| {
            assert!(
                matches!(RecordError::of(error), Some(RecordError::Erasure { .. })),
                "{error}"
            );
            assert!(!is_retryable(error));
            error.to_string()
        };
        let whole = || erase(ticket::Entity, row.id);
        let said = async |db: &DatabaseConnection| {
            let records = ticket::record::Entity::find().all(db).await.unwrap();
            records.into_iter().map(|it| (it.event, it.text)).collect::<Vec<_>>()
        };
        let kept = vec![(Event::Created, "secret".to_owned())];
        let message = refused(&whole().exec(&db).await.unwrap_err());
        assert!(message.contains("ers_ticket") && !message.contains("secret"), "{message}");
        assert_eq!(said(&db).await, kept);

        // In a transaction what was there before it stays, and nothing of it.
        let txn = db.begin().await.unwrap();
        let other = ticket::ActiveModel {
            text: Set("other".to_owned()),
            state: Set(ticket::State::Open),
            ..Default::default()
        };
        other.insert(&txn).await.unwrap();
        refused(&whole().exec(&txn).await.unwrap_err());
        txn.commit().await.unwrap();
        assert_eq!(said(&db).await.len(), 2);
        assert_eq!(said(&db).await[0], kept[0]);

        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        refused(&whole().exec(&txn).await.unwrap_err());
        assert!(txn.commit().await.is_err(), "half of it stands there");
        assert_eq!(said(&db).await.len(), 2);

        let column = ticket::record::Column::State;
        let erased = whole().mark_holds(column, ticket::State::Open);
        assert_eq!(erased.exec(&db).await.unwrap().records, 1);
        let mark = row.records().one(&db).await.unwrap().unwrap();
        assert_eq!((mark.event, &*mark.text, mark.state), (Event::Erased, "", ticket::State::Open));
        assert_settled(&db, ticket::Entity).await;
    }

    async fn what_cannot_be_blanked_is_refused_by_its_name(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["text"]).await;
        use note::record::Column;
        let named = |column| erase(note::Entity, row.id).columns([Column::Text, column]);
        for (column, name) in [
            (Column::RecordingId, "recording_id"),
            (Column::RecordedAt, "recorded_at"),
            (Column::Event, "event"),
        ] {
            let error = named(column).exec(&db).await.unwrap_err();
            assert!(matches!(RecordError::of(&error), Some(RecordError::Erasure { .. })));
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
        let none = erase(note::Entity, row.id).columns([]).exec(&db).await;
        assert!(none.unwrap_err().to_string().contains("no columns"));
        let held = erase(note::Entity, row.id).mark_holds(Column::Actor, "me").exec(&db).await;
        assert!(held.unwrap_err().to_string().contains("`actor`"));
        assert_eq!(said(&db).await, [one(row.id, Event::Created, "text")]);

        // Who did it can be forgotten as well.
        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        let row = rewritten(&alice, row, "by alice").await;
        let officer = alice.with_context(Context::actor("officer"));
        let erased = erase(note::Entity, row.id).columns([Column::Actor]).exec(&officer).await;
        assert_eq!(erased.unwrap().records, 1);
        let records = row.records().order_by_asc(Column::RecordedAt).all(&db).await.unwrap();
        let actors: Vec<_> = records.iter().map(|it| it.actor.as_deref()).collect();
        assert_eq!(actors, [None, None, Some("officer")]);
    }

    async fn in_a_transaction_it_goes_with_it(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["secret"]).await;
        let id = row.id;
        let txn = db.begin().await.unwrap();
        assert_eq!(erase(note::Entity, id).exec(&txn).await.unwrap().records, 1);
        txn.rollback().await.unwrap();
        assert_eq!(said(&db).await, [one(id, Event::Created, "secret")]);

        // A row that was never recorded, and is deleted and erased in one go: what the transaction
        // has only noted is erased as well.
        db.execute_unprepared("DELETE FROM note_record").await.unwrap();
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        row.delete(&txn).await.unwrap();
        assert_eq!(erase(note::Entity, id).exec(&txn).await.unwrap().records, 1);
        txn.commit().await.unwrap();
        assert_eq!(said(&db).await, [one(id, Event::Erased, "")]);
    }

    async fn beside_a_savepoint_that_was_undone_nothing_of_it_comes_back(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        for deleted in [false, true] {
            for columns in [false, true] {
                let row = note_of(&db, &["secret"]).await;
                let id = row.id;
                let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
                txn.begin().await.unwrap().rollback().await.unwrap();
                if deleted {
                    row.delete(&txn).await.unwrap();
                } else {
                    let mut edited = row.into_active_model();
                    edited.text = Set("more secret".to_owned());
                    edited.update(&txn).await.unwrap();
                }
                let erasure = match columns {
                    true => erase(note::Entity, id).columns([note::record::Column::Text]),
                    false => erase(note::Entity, id),
                };
                erasure.exec(&txn).await.unwrap();
                txn.commit().await.unwrap();
                let records = note::Entity::records_of(id).order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
                assert!(records.iter().all(|record| record.text.is_empty()), "{records:?}");
                let last = records.last().unwrap().event;
                assert!(matches!(last, Event::Erased | Event::Blanked), "{records:?}");
            }
        }
    }

    async fn marks_outlive_pruning(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["a", "b"]).await;
        let id = row.id;
        erase(note::Entity, id).columns([note::record::Column::Text]).exec(&db).await.unwrap();
        let row = rewritten(&db, row, "c").await;
        let row = rewritten(&db, row, "d").await;
        erase(note::Entity, id).exec(&db).await.unwrap();
        let row = rewritten(&db, row, "e").await;
        erase(note::Entity, id).columns([note::record::Column::Text]).exec(&db).await.unwrap();
        let row = rewritten(&db, row, "f").await;
        rewritten(&db, row, "g").await;
        let left = [
            one(id, Event::Erased, ""),
            one(id, Event::Updated, ""),
            one(id, Event::Blanked, ""),
            one(id, Event::Updated, "f"),
            one(id, Event::Updated, "g"),
        ];
        assert_eq!(said(&db).await, left);
        let later = Utc::now() + TimeDelta::days(800);
        let yearly = Retention::new().keep_all(TimeDelta::days(1)).then_every("1YS", FOREVER);
        assert_eq!(dedupe(note::Entity).exec(&db).await.unwrap().removed, 0);
        prune_to(note::Entity, &yearly).counted_from(later).exec(&db).await.unwrap();
        let left = [left[0].clone(), left[2].clone(), left[4].clone()];
        assert_eq!(said(&db).await, left);
        prune_before(note::Entity, later).exec(&db).await.unwrap();
        assert_eq!(said(&db).await, left);
    }

    async fn restoring_neither_deletes_nor_empties_what_was_erased(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["secret"]).await;
        let before = Utc::now();
        let made_since = note_of(&db, &["since"]).await;
        erase(note::Entity, row.id).exec(&db).await.unwrap();
        let mark = row.records().one(&db).await.unwrap().unwrap();
        let refused = mark.restore().unwrap_err();
        assert!(matches!(refused, RecordError::Restore { .. }), "{refused}");
        let row = rewritten(&db, row, "now").await;

        let restored = note::Entity::restore_to(before).apply(&db).await.unwrap();
        assert_eq!((restored.restored, restored.deleted), (0, 1));
        let rows = note::Entity::find().all(&db).await.unwrap();
        assert_eq!(rows, [row]);
        assert_ne!(rows[0].id, made_since.id);
    }

    async fn reads_take_a_mark_for_an_end(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "Rust").await;
        let row = blog::article(&db, &topic, "Hello").await;
        erase(article::Entity, row.id).exec(&db).await.unwrap();
        let hourly = row.records().today().resample("1D").unwrap();
        let filled = hourly.forward_fill().all(&db).await.unwrap();
        assert!(filled.is_empty(), "{filled:?}");
        let mean = || sea_orm_record::agg::mean(article::record::Column::WordCount);
        let means = row.records().today().resample("1D").unwrap().agg([mean()]);
        let means = means.all(&db).await.unwrap();
        assert!(means.iter().all(|it| it.get(mean()).unwrap().is_none()));
        let with = article::Entity::as_of(Utc::now()).with_deleted().all(&db).await.unwrap();
        assert_eq!(with.len(), 1);
    }

    async fn keys_of_several_columns(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, pallet::Entity).await;
        create_table(&db, pallet::record::Entity).await;
        for code in ["a", "b"] {
            let row = pallet::ActiveModel {
                depot: Set(1),
                code: Set(code.to_owned()),
                load: Set("secret".to_owned()),
            };
            row.insert(&db).await.unwrap();
        }
        let key = || (1, "a".to_owned());
        assert_eq!(erase(pallet::Entity, key()).exec(&db).await.unwrap().records, 1);
        let records = pallet::record::Entity::find();
        let records = records.order_by_asc(pallet::record::Column::RecordingCode);
        let records = records.all(&db).await.unwrap();
        let said: Vec<_> = records.iter().map(|it| (it.event, &*it.load)).collect();
        assert_eq!(said, [(Event::Erased, ""), (Event::Created, "secret")]);
        assert_settled(&db, pallet::Entity).await;
    }

    async fn saves_go_on_beside_it(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["0"]).await;
        let id = row.id;
        let writer = {
            let db = db.clone();
            tokio::spawn(async move {
                let mut row = row;
                for n in 1..60 {
                    row = rewritten(&db, row, &n.to_string()).await;
                }
            })
        };
        let mut marks = 0;
        while !writer.is_finished() {
            let erased = erase(note::Entity, id).exec(&db).await.unwrap();
            marks += usize::from(erased.records > 0);
            let text = erase(note::Entity, id).columns([note::record::Column::Text]);
            text.exec(&db).await.unwrap();
        }
        writer.await.unwrap();
        assert!(marks > 0);
        assert_settled(&db, note::Entity).await;
        erase(note::Entity, id).exec(&db).await.unwrap();
        let said = said(&db).await;
        assert!(said.iter().all(|it| *it == one(id, Event::Erased, "")), "{said:?}");
        assert_settled(&db, note::Entity).await;
    }

    async fn nothing_of_it_is_left_in_the_file(test: TestDb) {
        if test.engine() != Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let path = test.url().trim_start_matches("sqlite://");
        let path = path.split('?').next().unwrap().to_owned();
        let path = path.trim_start_matches("sqlite:").to_owned();
        let has = async |text: &str| {
            db.execute_unprepared("VACUUM").await.unwrap();
            db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(text.len()).any(|it| it == text.as_bytes())
        };
        let long = format!("confidential-{}", "x".repeat(9_000));
        let row = note_of(&db, &["confidential-first", &long, "harmless"]).await;
        let blanked = note_of(&db, &["confidential-second", "harmless"]).await;
        assert!(has("confidential-").await);
        erase(note::Entity, row.id).exec(&db).await.unwrap();
        assert!(has("confidential-second").await && !has("confidential-first").await);
        let columns = [note::record::Column::Text];
        erase(note::Entity, blanked.id).columns(columns).exec(&db).await.unwrap();
        assert!(!has("confidential-").await);
    }

    async fn it_takes_a_few_statements(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let row = note_of(&db, &["a", "b"]).await;
        counter.clear();
        erase(note::Entity, row.id).exec(&db).await.unwrap();
        // Is there any? The lock, the same again, the mark, the deletion, reading the mark.
        counter.assert(6);
        let filtered = note::record::Entity::find();
        let filtered = filtered.filter(note::record::Column::Event.eq(Event::Erased));
        assert_eq!(filtered.all(&db).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn its_future_can_be_sent_between_threads() {
    fn sent<F: Send>(_: F) {}
    let db = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
    sent(erase(note::Entity, 1).exec(&db));
}
