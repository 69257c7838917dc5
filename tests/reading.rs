//! From a row to its records and back; recording on request; what SeaORM can do with records.

use futures_util::TryStreamExt;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, IntoActiveModel, Iterable, Order, QueryOrder, QuerySelect,
    Set, TransactionTrait, Value,
};
use sea_orm_record::prelude::*;
use sea_orm_record_migration::RecordSchema;

use crate::blog::{self, article, topic};
use crate::harness::*;

use article::record::{Column, Entity as Records};

/// Recorded, with a key of two columns, one of them text.
pub mod seat {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(guest))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "seat")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hall: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub place: String,
        pub guest: Option<String>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A record entity by hand, as `sea-orm-cli` writes one, whose times have no zone.
mod plain_time {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{RecordEntity, Recorded, Recorder, record_hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "plain_time")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use super::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "plain_time_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTime,
            pub event: String,
            pub title: String,
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

pub fn at(t: &str) -> DateTimeUtc {
    t.parse().unwrap_or_else(|error| panic!("{t}: {error}"))
}

/// A record of an article, whose title says when it is of.
pub fn record(id: i32, at: DateTimeUtc) -> article::record::Model {
    article::record::Model {
        recording_id: id,
        recorded_at: at,
        event: Event::Updated,
        title: format!("{id} at {at}"),
        text: String::new(),
        word_count: 0,
        headline: String::new(),
    }
}

pub fn tombstone(id: i32, at: DateTimeUtc) -> article::record::Model {
    article::record::Model {
        event: Event::Deleted,
        ..record(id, at)
    }
}

/// Inserts rows as they are, past all hooks.
pub async fn insert<E, I>(db: &DatabaseConnection, models: I)
where
    E: EntityTrait,
    I: IntoIterator<Item = E::Model>,
{
    let values = |model: E::Model| {
        E::Column::iter().map(move |column| column.save_as(Expr::val(bound(model.get(column)))))
    };
    let rows: Vec<_> = models.into_iter().map(values).collect();
    for rows in rows.chunks(2_000) {
        let mut insert = Query::insert();
        insert
            .into_table(E::default().table_ref())
            .columns(E::Column::iter());
        for row in rows {
            insert.values_panic(row.clone());
        }
        db.execute(&insert).await.unwrap();
    }
}

/// A `DateTime<Utc>` goes to MariaDB as a TIMESTAMP, which is NULL outside the years 1970 to 2038;
/// one with an offset goes there as text, and elsewhere as the same.
fn bound(value: Value) -> Value {
    match value {
        Value::ChronoDateTimeUtc(Some(at)) => at.fixed_offset().into(),
        other => other,
    }
}

pub async fn insert_records(db: &DatabaseConnection, records: &[article::record::Model]) {
    insert::<Records, _>(db, records.iter().cloned()).await;
}

/// The tables of the blog, the record table as a migration makes it.
pub async fn tables(db: &DatabaseConnection) {
    blog::create_table(db, topic::Entity).await;
    blog::create_table(db, article::Entity).await;
    db.create_record_table(Records).await.unwrap();
}

/// An empty record table, and a connection.
pub async fn record_table(test: &TestDb) -> DatabaseConnection {
    let db = test.connect().await;
    db.create_record_table(Records).await.unwrap();
    db
}

pub async fn seats(db: &DatabaseConnection) {
    blog::create_table(db, seat::Entity).await;
    db.create_record_table(seat::record::Entity).await.unwrap();
}

fn seat_record(hall: i32, place: &str, at: DateTimeUtc) -> seat::record::Model {
    seat::record::Model {
        recording_hall: hall,
        recording_place: place.to_owned(),
        recorded_at: at,
        event: Event::Updated,
        guest: Some(format!("{hall}{place} at {at}")),
    }
}

/// An article, its topic, and records that are chosen.
async fn article_with(
    db: &DatabaseConnection,
    id: i32,
    records: &[article::record::Model],
) -> article::Model {
    if topic::Entity::find().count(db).await.unwrap() == 0 {
        insert::<topic::Entity, _>(
            db,
            [topic::Model {
                id: 1,
                name: "Rust".to_owned(),
            }],
        )
        .await;
    }
    let article = article::Model {
        id,
        topic_id: 1,
        title: format!("Article {id}"),
        text: "a b c".to_owned(),
        views: 0,
    };
    insert::<article::Entity, _>(db, [article.clone()]).await;
    insert_records(db, records).await;
    article
}

fn day(n: u32) -> DateTimeUtc {
    at(&format!("2024-03-{n:02}T00:00:00Z"))
}

fn places(records: &[article::record::Model]) -> Vec<(i32, DateTimeUtc)> {
    records
        .iter()
        .map(|record| (record.recording_id, record.recorded_at))
        .collect()
}

#[derive(Debug, PartialEq, DerivePartialModel)]
#[sea_orm(entity = "article::record::Entity")]
struct Heading {
    recorded_at: DateTimeUtc,
    title: String,
}

each_database! {
    async fn records_are_those_of_the_row_or_of_the_entity(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let one = article_with(&db, 1, &[record(1, day(1)), record(1, day(3))]).await;
        let two = article_with(&db, 2, &[record(2, day(2))]).await;
        let none = article_with(&db, 3, &[]).await;

        let by_time = |select: Select<Records>| select.order_by_asc(Column::RecordedAt);
        assert_eq!(places(&by_time(one.records()).all(&db).await?), [(1, day(1)), (1, day(3))]);
        assert_eq!(places(&two.records().all(&db).await?), [(2, day(2))]);
        assert_eq!(none.records().all(&db).await?, []);
        let all = [(1, day(1)), (2, day(2)), (1, day(3))];
        assert_eq!(places(&by_time(article::Entity::records()).all(&db).await?), all);
        assert_eq!(by_time(article::Entity::records_of(1)).all(&db).await?, by_time(one.records()).all(&db).await?);
        assert_eq!(article::Entity::records_of(4).all(&db).await?, []);
        Ok(())
    }

    async fn records_of_a_composite_key_are_those_of_the_whole_key(test: TestDb) -> TestResult {
        let db = test.connect().await;
        seats(&db).await;
        let keys = [(1, "a"), (1, "b"), (2, "a")];
        for (index, (hall, place)) in keys.into_iter().enumerate() {
            let seat = seat::Model { hall, place: place.to_owned(), guest: None };
            insert::<seat::Entity, _>(&db, [seat]).await;
            let records = (0..=index).map(|n| seat_record(hall, place, day(n as u32 + 1)));
            insert::<seat::record::Entity, _>(&db, records).await;
        }
        for (index, (hall, place)) in keys.into_iter().enumerate() {
            let seat = seat::Entity::find_by_id((hall, place.to_owned())).one(&db).await?.unwrap();
            assert_eq!(seat.records().count(&db).await?, index as u64 + 1);
            let by_key = seat::Entity::records_of((hall, place.to_owned())).latest().one(&db).await?.unwrap();
            assert_eq!(by_key.guest, Some(format!("{hall}{place} at {}", day(index as u32 + 1))));
            assert_eq!(by_key.recording(&db).await?, Some(seat.clone()));
            assert_eq!(seat.find_related(seat::record::Entity).latest().one(&db).await?, Some(by_key));
        }
        assert_eq!(seat::Entity::records_of((2, "b".to_owned())).count(&db).await?, 0);

        let latest = seat::Entity::records().latest_of_each().order_by_asc(seat::record::Column::RecordedAt).all(&db).await?;
        let latest: Vec<_> = latest.iter().map(|seat| (seat.recording_hall, seat.recording_place.as_str(), seat.recorded_at)).collect();
        assert_eq!(latest, [(1, "a", day(1)), (1, "b", day(2)), (2, "a", day(3))]);

        let last = seat::Entity::records_of((2, "a".to_owned())).latest().one(&db).await?.unwrap();
        let middle = last.previous().one(&db).await?.unwrap();
        assert_eq!(middle, seat_record(2, "a", day(2)));
        assert_eq!(middle.next().one(&db).await?, Some(last));
        Ok(())
    }

    async fn a_deleted_row_keeps_its_records(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let topic = blog::topic(&db, "Rust").await;
        let article = blog::article(&db, &topic, "One").await;
        let gone = article.clone();
        article.delete(&db).await?;

        let records = article::Entity::records_of(gone.id).order_by_asc(Column::RecordedAt).all(&db).await?;
        let events: Vec<_> = records.iter().map(|record| record.event).collect();
        assert_eq!(events, [Event::Created, Event::Deleted]);
        assert_eq!(gone.records().order_by_asc(Column::RecordedAt).all(&db).await?, records);
        assert_eq!(records[1].recording(&db).await?, None);
        assert_eq!(records[1].find_related(article::Entity).one(&db).await?, None);
        assert_eq!(records[1].previous().one(&db).await?.as_ref(), Some(&records[0]));
        assert!(!gone.has_unrecorded_changes(&db).await?);
        Ok(())
    }

    async fn latest_and_earliest_are_among_what_is_selected(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let article = article_with(&db, 1, &[record(1, day(1)), record(1, day(2)), tombstone(1, day(3))]).await;
        article_with(&db, 2, &[record(2, day(4))]).await;

        let title = |record: Option<article::record::Model>| record.map(|record| (record.recording_id, record.recorded_at));
        let records = || article.records();
        assert_eq!(title(records().latest().one(&db).await?), Some((1, day(3))));
        assert_eq!(title(records().earliest().one(&db).await?), Some((1, day(1))));
        assert_eq!(title(article::Entity::records().latest().one(&db).await?), Some((2, day(4))));
        assert_eq!(title(article::Entity::records().earliest().one(&db).await?), Some((1, day(1))));
        let living = || records().filter(Column::Event.ne(Event::Deleted));
        assert_eq!(title(living().latest().one(&db).await?), Some((1, day(2))));
        assert_eq!(title(records().since(day(2)).earliest().one(&db).await?), Some((1, day(2))));
        assert_eq!(title(records().until(day(3)).latest().one(&db).await?), Some((1, day(2))));
        assert_eq!(title(records().until(day(1)).latest().one(&db).await?), None);
        // An order or a limit from before gives way.
        let ordered = records().order_by_asc(Column::RecordedAt).limit(7);
        assert_eq!(title(ordered.latest().one(&db).await?), Some((1, day(3))));
        assert_eq!(records().latest().all(&db).await?.len(), 1);
        Ok(())
    }

    async fn of_rows_that_were_recorded_at_one_time_the_latest_is_the_same_everywhere(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let ids = [7, 3, 9, 1, 5];
        insert_records(&db, &ids.map(|id| record(id, day(1)))).await;
        let latest = article::Entity::records().latest().one(&db).await?.unwrap();
        let earliest = article::Entity::records().earliest().one(&db).await?.unwrap();
        assert_eq!((earliest.recording_id, latest.recording_id), (1, 9));
        Ok(())
    }

    async fn latest_of_each_is_one_record_a_row_among_what_is_selected(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        article_with(&db, 1, &[record(1, day(1)), record(1, day(5))]).await;
        article_with(&db, 2, &[record(2, day(2)), tombstone(2, day(3))]).await;
        insert_records(&db, &[record(3, day(4)), tombstone(3, day(5))]).await;

        let records = || article::Entity::records().order_by_asc(Column::RecordingId);
        let latest = records().latest_of_each().all(&db).await?;
        assert_eq!(places(&latest), [(1, day(5)), (2, day(3)), (3, day(5))]);
        let living = records().filter(Column::Event.ne(Event::Deleted)).latest_of_each().all(&db).await?;
        assert_eq!(places(&living), [(1, day(5)), (2, day(2)), (3, day(4))]);
        // A filter from after looks at the latest alone.
        let alive = records().latest_of_each().filter(Column::Event.ne(Event::Deleted)).all(&db).await?;
        assert_eq!(places(&alive), [(1, day(5))]);
        let then = records().until(day(3)).latest_of_each().all(&db).await?;
        assert_eq!(places(&then), [(1, day(1)), (2, day(2))]);
        let one = article::Entity::records_of(2).latest_of_each().all(&db).await?;
        assert_eq!(places(&one), [(2, day(3))]);
        let none = records().until(day(1)).latest_of_each().all(&db).await?;
        assert_eq!(none, []);
        assert_eq!(records().latest_of_each().count(&db).await?, 3);
        let page = records().latest_of_each().paginate(&db, 2).fetch_page(1).await?;
        assert_eq!(places(&page), [(3, day(5))]);
        let joined = records().inner_join(article::Entity).filter(article::Column::TopicId.eq(1));
        assert_eq!(places(&joined.latest_of_each().all(&db).await?), [(1, day(5)), (2, day(3))]);
        let with_article = records().latest_of_each().find_also_related(article::Entity).all(&db).await?;
        let with_article: Vec<_> = with_article.iter().map(|(record, article)| (record.recording_id, article.is_some())).collect();
        assert_eq!(with_article, [(1, true), (2, true), (3, false)]);
        Ok(())
    }

    async fn limits_cut_the_latest_of_each_and_not_what_they_are_found_among(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let ids = 1..=6;
        insert_records(&db, &ids.flat_map(|id| [record(id, day(1)), record(id, day(2))]).collect::<Vec<_>>()).await;
        let newest_first = article::Entity::records().order_by_desc(Column::RecordingId);
        let page = newest_first.clone().limit(2).offset(1).latest_of_each().all(&db).await?;
        assert_eq!(places(&page), [(5, day(2)), (4, day(2))]);
        let page = newest_first.latest_of_each().limit(2).offset(1).all(&db).await?;
        assert_eq!(places(&page), [(5, day(2)), (4, day(2))]);
        Ok(())
    }

    async fn as_of_is_the_whole_table_as_it_was(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let records = [
            record(1, day(1)), record(1, day(5)),
            record(2, day(2)), tombstone(2, day(3)), record(2, day(7)),
            record(3, day(4)),
        ];
        insert_records(&db, &records).await;
        let micro = chrono::TimeDelta::microseconds(1);
        let as_of = async |t| {
            let select = article::Entity::as_of(t).order_by_asc(Column::RecordingId);
            places(&select.all(&db).await.unwrap())
        };
        assert_eq!(as_of(day(1) - micro).await, []);
        assert_eq!(as_of(day(1)).await, [(1, day(1))]);
        assert_eq!(as_of(day(3) - micro).await, [(1, day(1)), (2, day(2))]);
        assert_eq!(as_of(day(3)).await, [(1, day(1))]);
        assert_eq!(as_of(day(4)).await, [(1, day(1)), (3, day(4))]);
        let now = [(1, day(5)), (2, day(7)), (3, day(4))];
        assert_eq!(as_of(day(7)).await, now);
        assert_eq!(as_of(Window::LATEST).await, now);
        assert_eq!(as_of(DateTimeUtc::MAX_UTC).await, now);
        assert_eq!(as_of(Window::EARLIEST).await, []);
        assert_eq!(as_of(DateTimeUtc::MIN_UTC).await, []);
        Ok(())
    }

    async fn previous_and_next_are_neighbours_in_the_history_of_the_row(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // Times with no, three and six digits after the second, which SQLite keeps as text.
        let times = [
            "2024-03-01T12:00:00Z", "2024-03-01T12:00:00.000001Z", "2024-03-01T12:00:00.001Z",
            "2024-03-01T12:00:00.001001Z", "2024-03-01T12:00:00.999999Z", "2024-03-01T12:00:01Z",
        ];
        let records = times.map(|t| record(1, at(t)));
        insert_records(&db, &records).await;
        insert_records(&db, &times.map(|t| record(2, at(t)))).await;
        for pair in records.windows(2) {
            assert_eq!(pair[0].next().one(&db).await?.as_ref(), Some(&pair[1]));
            assert_eq!(pair[1].previous().one(&db).await?.as_ref(), Some(&pair[0]));
        }
        assert_eq!(records[0].previous().one(&db).await?, None);
        assert_eq!(records[5].next().one(&db).await?, None);
        // Of a time at which nothing was recorded.
        let between = record(1, at("2024-03-01T12:00:00.5Z"));
        assert_eq!(between.previous().one(&db).await?.as_ref(), Some(&records[3]));
        assert_eq!(between.next().one(&db).await?.as_ref(), Some(&records[4]));
        Ok(())
    }

    async fn previous_next_and_resample_work_where_recorded_at_has_no_zone(test: TestDb) -> TestResult {
        let db = test.connect().await;
        blog::create_table(&db, plain_time::Entity).await;
        db.create_record_table(plain_time::record::Entity).await?;
        let recorded = RecordedConnection::new(db.clone());
        let plain = plain_time::ActiveModel { title: Set("0".to_owned()), ..Default::default() };
        let hour = |n: u32| at(&format!("2024-03-01T{n:02}:00:00Z"));
        let mut plain = plain.insert(&recorded.with_context(Context::new().clock(hour(0)))).await?;
        for n in 1..4 {
            let mut change = plain.into_active_model();
            change.title = Set(n.to_string());
            plain = change.update(&recorded.with_context(Context::new().clock(hour(n)))).await?;
        }
        let records = plain.records().order_by_asc(plain_time::record::Column::RecordedAt).all(&db).await?;
        let times: Vec<_> = records.iter().map(|record| record.recorded_at.and_utc()).collect();
        assert_eq!(times, [hour(0), hour(1), hour(2), hour(3)]);
        for pair in records.windows(2) {
            assert_eq!(pair[0].next().one(&db).await?.as_ref(), Some(&pair[1]));
            assert_eq!(pair[1].previous().one(&db).await?.as_ref(), Some(&pair[0]));
        }
        let resampled = plain.records().resample("2h")?.all(&db).await?;
        assert_eq!(resampled, [records[1].clone(), records[3].clone()]);
        assert_eq!(plain.records().since(hour(1)).until(hour(3)).count(&db).await?, 2);
        Ok(())
    }

    async fn a_record_finds_its_row_and_a_row_its_records_as_relations(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let one = article_with(&db, 1, &[record(1, day(1)), record(1, day(2))]).await;
        let two = article_with(&db, 2, &[]).await;
        let orphan = record(3, day(3));
        insert_records(&db, std::slice::from_ref(&orphan)).await;

        let first = one.records().earliest().one(&db).await?.unwrap();
        assert_eq!(first.recording(&db).await?.as_ref(), Some(&one));
        assert_eq!(first.find_related(article::Entity).one(&db).await?.as_ref(), Some(&one));
        assert_eq!(orphan.recording(&db).await?, None);
        let related = one.find_related(Records).order_by_asc(Column::RecordedAt).all(&db).await?;
        assert_eq!(places(&related), [(1, day(1)), (1, day(2))]);
        assert_eq!(one.find_related(Records).latest().one(&db).await?, Some(record(1, day(2))));

        let with_row = Records::find().order_by_asc(Column::RecordedAt).find_also_related(article::Entity).all(&db).await?;
        assert_eq!(with_row, [
            (record(1, day(1)), Some(one.clone())),
            (record(1, day(2)), Some(one.clone())),
            (orphan, None),
        ]);
        let with_record = article::Entity::find().order_by_asc(article::Column::Id).find_also_related(Records)
            .order_by_asc(Column::RecordedAt).all(&db).await?;
        assert_eq!(with_record, [
            (one.clone(), Some(record(1, day(1)))),
            (one.clone(), Some(record(1, day(2)))),
            (two.clone(), None),
        ]);
        let grouped = article::Entity::find().order_by_asc(article::Column::Id).find_with_related(Records)
            .order_by_asc(Column::RecordedAt).all(&db).await?;
        assert_eq!(grouped, [(one.clone(), vec![record(1, day(1)), record(1, day(2))]), (two.clone(), vec![])]);
        let loaded = sea_orm::LoaderTrait::load_many(&vec![one, two], Records, &db).await?;
        assert_eq!((loaded[0].len(), loaded[1].len()), (2, 0));
        Ok(())
    }

    async fn records_take_every_combinator_of_a_select(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let article = article_with(&db, 1, &(1..=9).map(|n| record(1, day(n))).collect::<Vec<_>>()).await;
        article_with(&db, 2, &[record(2, day(5))]).await;
        let records = || article.records().since(day(3)).order_by_asc(Column::RecordedAt);

        assert_eq!(records().count(&db).await?, 7);
        assert_eq!(places(&records().filter(Column::Title.starts_with("1 at 2024-03-05")).all(&db).await?), [(1, day(5))]);
        assert_eq!(places(&records().offset(1).limit(2).all(&db).await?), [(1, day(4)), (1, day(5))]);
        let newest = article.records().order_by(Column::RecordedAt, Order::Desc).limit(1).all(&db).await?;
        assert_eq!(places(&newest), [(1, day(9))]);

        let pages = records().paginate(&db, 3);
        assert_eq!((pages.num_items().await?, pages.num_pages().await?), (7, 3));
        assert_eq!(places(&pages.fetch_page(2).await?), [(1, day(9))]);
        let mut cursor = article.records().cursor_by(Column::RecordedAt);
        cursor.after(day(7)).first(5);
        assert_eq!(places(&cursor.all(&db).await?), [(1, day(8)), (1, day(9))]);
        let mut cursor = article::Entity::records().cursor_by((Column::RecordedAt, Column::RecordingId));
        cursor.after((day(5), 1)).first(2);
        assert_eq!(places(&cursor.all(&db).await?), [(2, day(5)), (1, day(6))]);

        let streamed: Vec<_> = records().stream(&db).await?.try_collect().await?;
        assert_eq!(streamed, records().all(&db).await?);
        let json = records().into_json().one(&db).await?.unwrap();
        assert_eq!((&json["title"], &json["event"]), (&record(1, day(3)).title.into(), &"updated".into()));
        let headings = records().limit(1).into_partial_model::<Heading>().all(&db).await?;
        assert_eq!(headings, [Heading { recorded_at: day(3), title: record(1, day(3)).title }]);
        let tuples: Vec<(i32, DateTimeUtc)> = records().select_only()
            .columns([Column::RecordingId, Column::RecordedAt]).into_tuple().all(&db).await?;
        assert_eq!(tuples, (3..=9).map(|n| (1, day(n))).collect::<Vec<_>>());
        let last: Option<Option<DateTimeUtc>> = article.records().select_only()
            .expr(Column::RecordedAt.max()).into_tuple().one(&db).await?;
        assert_eq!(last, Some(Some(day(9))));
        Ok(())
    }

    async fn every_connection_reads_records(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let article = article_with(&db, 1, &[record(1, day(1)), record(1, day(2))]).await;
        async fn read<C: ConnectionTrait>(article: &article::Model, db: &C) -> TestResult {
            let latest = article.records().latest().one(db).await?.unwrap();
            assert_eq!(latest.recorded_at, day(2));
            assert_eq!(latest.previous().one(db).await?, Some(record(1, day(1))));
            assert_eq!(latest.recording(db).await?.as_ref(), Some(article));
            assert_eq!(article.records().resample("1D")?.all(db).await?.len(), 2);
            Ok(())
        }
        read(&article, &db).await?;
        let txn = db.begin().await?;
        read(&article, &txn).await?;
        read(&article, &txn.begin().await?).await?;
        txn.rollback().await?;
        let recorded = RecordedConnection::new(db);
        read(&article, &recorded).await?;
        let txn = recorded.begin().await?;
        read(&article, &txn).await?;
        let streamed: Vec<_> = article.records().stream(&txn).await?.try_collect().await?;
        assert_eq!(streamed.len(), 2);
        Ok(())
    }

    async fn a_recorded_transaction_reads_its_own_records(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await?;
        let topic = blog::topic(&txn, "Rust").await;
        let article = blog::article(&txn, &topic, "One").await;
        assert_eq!(article.records().latest().one(&txn).await?.unwrap().title, "One");
        let mut change = article.clone().into_active_model();
        change.title = Set("Two".to_owned());
        change.update(&txn).await?;
        assert_eq!(article.records().resample("1YS")?.all(&txn).await?[0].title, "Two");
        assert_eq!(article.records().count(&db).await?, 0);
        txn.commit().await?;
        assert_eq!(article.records().count(&db).await?, 2);
        Ok(())
    }

    async fn what_raw_sql_changed_is_recorded_on_request(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let topic = blog::topic(&db, "Rust").await;
        let article = blog::article(&db, &topic, "One").await;
        let latest = async || article.records().latest().one(&db).await.unwrap().unwrap();
        let rename = |title: &str| format!("UPDATE article SET title = '{title}'");

        async fn changed_and_recorded<C: ConnectionTrait>(article: &article::Model, sql: &str, db: &C) -> TestResult {
            assert!(!article.has_unrecorded_changes(db).await?);
            db.execute_unprepared(sql).await?;
            assert!(article.has_unrecorded_changes(db).await?);
            article.record_now(db).await?;
            assert!(!article.has_unrecorded_changes(db).await?);
            article.record_now(db).await?;
            Ok(())
        }
        changed_and_recorded(&article, &rename("pool"), &db).await?;
        assert_eq!((latest().await.title, latest().await.headline, latest().await.event), ("pool".to_owned(), "Rust: pool".to_owned(), Event::Updated));
        let txn = db.begin().await?;
        changed_and_recorded(&article, &rename("transaction"), &txn).await?;
        txn.commit().await?;
        assert_eq!(latest().await.title, "transaction");
        changed_and_recorded(&article, &rename("recorded"), &recorded).await?;
        assert_eq!(latest().await.title, "recorded");
        let txn = recorded.begin().await?;
        changed_and_recorded(&article, &rename("gathered"), &txn).await?;
        txn.commit().await?;
        assert_eq!(latest().await.title, "gathered");
        let txn = recorded.begin().await?;
        changed_and_recorded(&article, &rename("rolled back"), &txn).await?;
        txn.rollback().await?;
        assert_eq!(latest().await.title, "gathered");
        assert_eq!(article.records().count(&db).await?, 5);

        // A column that is not recorded is no change; a property is one.
        db.execute_unprepared("UPDATE article SET views = 7").await?;
        assert!(!article.has_unrecorded_changes(&db).await?);
        db.execute_unprepared("UPDATE topic SET name = 'Crab'").await?;
        assert!(article.has_unrecorded_changes(&db).await?);
        article.record_now(&db).await?;
        assert_eq!(latest().await.headline, "Crab: gathered");
        Ok(())
    }

    async fn a_row_without_records_has_unrecorded_changes_and_can_be_recorded(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let article = article_with(&db, 1, &[]).await;
        assert!(article.has_unrecorded_changes(&db).await?);
        article.record_now(&db).await?;
        assert!(!article.has_unrecorded_changes(&db).await?);
        let record = article.records().latest().one(&db).await?.unwrap();
        assert_eq!((record.title.as_str(), record.word_count), ("Article 1", 3));
        Ok(())
    }

    async fn a_row_that_raw_sql_deleted_is_recorded_as_deleted_on_request(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let topic = blog::topic(&db, "Rust").await;
        let article = blog::article(&db, &topic, "One").await;
        db.execute_unprepared("DELETE FROM article").await?;
        assert!(article.has_unrecorded_changes(&db).await?);
        article.record_now(&db).await?;
        assert!(!article.has_unrecorded_changes(&db).await?);
        article.record_now(&db).await?;
        let records = article.records().order_by_asc(Column::RecordedAt).all(&db).await?;
        let events: Vec<_> = records.iter().map(|record| (record.event, record.title.as_str())).collect();
        assert_eq!(events, [(Event::Created, "One"), (Event::Deleted, "One")]);

        // Of a row that was never recorded there is nothing to say.
        let never = article_with(&db, 7, &[]).await;
        db.execute_unprepared("DELETE FROM article").await?;
        assert!(!never.has_unrecorded_changes(&db).await?);

        // Of columns alone, and within transactions.
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for gathered in [false, true] {
            let note = blog::note(&db, "One").await;
            db.execute_unprepared("DELETE FROM note").await?;
            assert!(note.has_unrecorded_changes(&db).await?);
            if gathered {
                let txn = recorded.begin().await?;
                note.record_now(&txn).await?;
                txn.commit().await?;
            } else {
                note.record_now(&db).await?;
            }
            assert!(!note.has_unrecorded_changes(&db).await?);
            let last = note.records().latest().one(&db).await?.unwrap();
            assert_eq!((last.event, last.text.as_str()), (Event::Deleted, "One"));
        }
        Ok(())
    }
}
