//! What held at a moment, and what changed since: as of, diff, changes.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, IntoActiveModel, QueryOrder, QuerySelect,
    QueryTrait, Set, TransactionTrait,
};
use sea_orm_record::RowDiff;
use sea_orm_record::prelude::*;
use sea_orm_record_migration::RecordSchema;
use serde_json::json;

use crate::blog::article;
use crate::harness::*;
use crate::library::{book, draft, library, shelf};
use crate::reading::{at, insert, insert_records, record, record_table, seat, seats, tombstone};

use article::record::{Column, Entity as Records, Model as Record};

/// What stands before a shelf, but for those without a name.
mod stand {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    use crate::library::shelf;

    #[recorded(columns(shelf_id))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stand")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub shelf_id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "shelf::Entity",
            from = "Column::ShelfId",
            to = "shelf::Column::Id",
            on_condition = r#"shelf::Column::Name.ne("")"#
        )]
        Shelf,
    }

    impl Related<shelf::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Shelf.def()
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Tenants' rooms, and what is booked of them: tied by the tenant as well as by the room's key.
mod tenants {
    pub mod room {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Recorded, record_hooks, recorded};

        #[recorded(columns(tenant_id))]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "tenant_room")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: i32,
            pub tenant_id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl Recorded for Entity {
            type Record = record::Entity;
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod booking {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Recorded, record_hooks, recorded};

        use super::room;

        #[recorded(columns(tenant_id, room_id))]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "tenant_booking")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: i32,
            pub tenant_id: i32,
            pub room_id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {
            #[sea_orm(
                belongs_to = "room::Entity",
                from = "(Column::TenantId, Column::RoomId)",
                to = "(room::Column::TenantId, room::Column::Id)"
            )]
            Room,
        }

        impl Related<room::Entity> for Entity {
            fn to() -> RelationDef {
                Relation::Room.def()
            }
        }

        impl Recorded for Entity {
            type Record = record::Entity;
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }
}

fn day(n: u32) -> DateTimeUtc {
    at(&format!("2024-03-{n:02}T00:00:00Z"))
}

fn titled(id: i32, n: u32, title: &str) -> Record {
    Record {
        title: title.to_owned(),
        ..record(id, day(n))
    }
}

fn places(records: &[Record]) -> Vec<(i32, DateTimeUtc)> {
    records
        .iter()
        .map(|record| (record.recording_id, record.recorded_at))
        .collect()
}

/// Records of rows at random times, some of them deletions: for an oracle in Rust.
fn history(rows: i32, records: u64) -> Vec<Record> {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut by_place = BTreeMap::new();
    for _ in 0..records {
        let id = next(rows as u64) as i32 - rows / 2;
        let seconds = next(40) as i64;
        let event = match next(5) {
            0 => Event::Deleted,
            _ => Event::Updated,
        };
        let time = day(1) + chrono::TimeDelta::seconds(seconds);
        let title = ["a", "A", "b", ""][next(4) as usize];
        let new = Record {
            event,
            title: title.to_owned(),
            ..record(id, time)
        };
        by_place.insert((id, time), new);
    }
    by_place.into_values().collect()
}

/// What the library should answer, worked out in Rust.
fn state(history: &[Record], t: DateTimeUtc) -> BTreeMap<i32, Record> {
    let mut state = BTreeMap::new();
    for record in history.iter().filter(|record| record.recorded_at <= t) {
        state.insert(record.recording_id, record.clone());
    }
    state
}

fn living(state: BTreeMap<i32, Record>) -> BTreeMap<i32, Record> {
    let living = |record: &Record| record.event != Event::Deleted;
    state
        .into_iter()
        .filter(|(_, record)| living(record))
        .collect()
}

/// How many rows each recursion of a statement finds on PostgreSQL.
async fn walked(db: &DatabaseConnection, select: Select<Records>) -> Vec<usize> {
    let mut statement = select.build(DbBackend::Postgres);
    statement.sql = format!("EXPLAIN (ANALYZE, TIMING off) {}", statement.sql);
    let plan = db.query_all_raw(statement).await.unwrap();
    let lines = plan
        .iter()
        .map(|line| line.try_get_by_index::<String>(0).unwrap());
    let unions = lines.filter(|line| line.contains("Recursive Union"));
    let rows = unions.map(|line| {
        let (_, actual) = line.split_once("actual rows=").expect("rows");
        let digits: String = actual.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    });
    rows.collect()
}

async fn on_shelf(db: &impl ConnectionTrait, title: &str, shelf: Option<i32>) -> book::Model {
    let draft = book::ActiveModel {
        shelf_id: Set(shelf),
        ..draft(title)
    };
    draft.insert(db).await.unwrap()
}

async fn last_time(db: &DatabaseConnection) -> DateTimeUtc {
    let books = book::Entity::records().latest().one(db).await.unwrap();
    let shelves = shelf::Entity::records().latest().one(db).await.unwrap();
    let times = [
        books.map(|book| book.recorded_at),
        shelves.map(|shelf| shelf.recorded_at),
    ];
    times.into_iter().flatten().max().unwrap()
}

each_database! {
    async fn as_of_is_what_an_oracle_says_for_every_moment_and_set_of_rows(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let history = history(60, 1_200);
        insert_records(&db, &history).await;
        for second in [-1, 0, 1, 7, 20, 39, 40] {
            let t = day(1) + chrono::TimeDelta::seconds(second);
            let all: Vec<_> = state(&history, t).into_values().collect();
            let found = article::Entity::as_of(t).with_deleted().order_by_asc(Column::RecordingId);
            assert_eq!(found.clone().all(&db).await?, all, "{second}");
            let alive: Vec<_> = living(state(&history, t)).into_values().collect();
            let found = article::Entity::as_of(t).order_by_asc(Column::RecordingId);
            assert_eq!(found.clone().all(&db).await?, alive, "{second}");
            assert_eq!(found.clone().count(&db).await?, alive.len() as u64);

            let some = [-3, 0, 5, 1_000];
            let chosen: Vec<_> = alive.iter().filter(|record| some.contains(&record.recording_id)).cloned().collect();
            assert_eq!(found.clone().filter(Column::RecordingId.is_in(some)).all(&db).await?, chosen, "{second}");
            let before = article::Entity::records().filter(Column::RecordingId.is_in(some)).as_of(t);
            assert_eq!(before.order_by_asc(Column::RecordingId).all(&db).await?, chosen, "{second}");
            for id in some {
                let one = article::Entity::records_of(id).as_of(t).one(&db).await?;
                assert_eq!(one.as_ref(), alive.iter().find(|record| record.recording_id == id), "{id} at {second}");
            }
        }
        Ok(())
    }

    async fn as_of_seeks_where_histories_are_long_and_reads_all_where_they_are_short(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let t = day(1) + chrono::TimeDelta::seconds(30);
        for (rows, records) in [(200, 3_000), (3_000, 6_000)] {
            Records::delete_many().exec(&db).await?;
            let history = history(rows, records);
            insert_records(&db, &history).await;
            let all: Vec<_> = state(&history, t).into_values().collect();
            let alive: Vec<_> = living(state(&history, t)).into_values().collect();
            let then = article::Entity::as_of(t).order_by_asc(Column::RecordingId);
            assert_eq!(then.clone().with_deleted().all(&db).await?, all, "{rows}");
            assert_eq!(then.clone().all(&db).await?, alive, "{rows}");
            let found = then.filter(Column::Title.eq("b")).offset(1_u64).one(&db).await?;
            assert_eq!(found.as_ref(), alive.iter().filter(|record| record.title == "b").nth(1), "{rows}");
            if db.get_database_backend() == DbBackend::Postgres {
                let walked = walked(&db, article::Entity::as_of(t).with_deleted().into_select(&db)).await;
                let expected = if rows == 200 { [all.len(), 0] } else { [0, all.len()] };
                assert_eq!(walked, expected, "{rows}");
            }
        }
        Ok(())
    }

    async fn a_filter_is_about_what_held_and_not_about_which_record_is_taken(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[titled(1, 1, "a"), titled(1, 2, "b"), titled(2, 1, "a"), titled(3, 2, "b"), tombstone(3, day(3))]).await;
        let called = |title: &str| article::Entity::records().filter(Column::Title.eq(title));
        assert_eq!(places(&called("a").as_of(day(2)).all(&db).await?), [(2, day(1))]);
        assert_eq!(places(&called("b").as_of(day(4)).all(&db).await?), [(1, day(2))]);
        let after = article::Entity::as_of(day(2)).filter(Column::Title.eq("a"));
        assert_eq!(places(&after.all(&db).await?), [(2, day(1))]);
        let both = article::Entity::records_of(1).filter(Column::Title.eq("a"));
        assert_eq!(both.clone().as_of(day(2)).all(&db).await?, []);
        assert_eq!(places(&both.as_of(day(1)).all(&db).await?), [(1, day(1))]);
        // Deleted rows come back when they are asked for, as what says so.
        let with_deleted = article::Entity::as_of(day(4)).with_deleted().filter(Column::Event.eq(Event::Deleted));
        assert_eq!(places(&with_deleted.all(&db).await?), [(3, day(3))]);
        // A window is one of the filters.
        let since = article::Entity::records().since(day(2)).as_of(day(2)).order_by_asc(Column::RecordingId);
        assert_eq!(places(&since.all(&db).await?), [(1, day(2)), (3, day(2))]);
        Ok(())
    }

    async fn as_of_goes_with_orders_limits_pages_joins_and_json(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &(1..=6).flat_map(|id| [record(id, day(1)), record(id, day(2))]).collect::<Vec<_>>()).await;
        let newest_first = article::Entity::records().order_by_desc(Column::RecordingId).as_of(day(2));
        assert_eq!(places(&newest_first.clone().limit(2).offset(1).all(&db).await?), [(5, day(2)), (4, day(2))]);
        assert_eq!(places(&newest_first.clone().paginate(&db, 4).fetch_page(1).await?), [(2, day(2)), (1, day(2))]);
        let limited = article::Entity::records().order_by_asc(Column::RecordingId).limit(1).as_of(day(1));
        assert_eq!(places(&limited.all(&db).await?), [(1, day(1))]);
        let json = newest_first.clone().into_select(&db).into_json().one(&db).await?.unwrap();
        assert_eq!(json["recording_id"], 6);
        let streamed: Vec<_> = newest_first.into_select(&db).stream(&db).await?.try_collect().await?;
        assert_eq!(streamed.len(), 6);
        Ok(())
    }

    async fn as_of_knows_rows_of_composite_keys_apart(test: TestDb) -> TestResult {
        let db = test.connect().await;
        seats(&db).await;
        let mut records = Vec::new();
        for (hall, place) in [(1, "a"), (1, "b"), (2, "a"), (2, "")] {
            for n in 1..=3 {
                records.push(seat::record::Model {
                    recording_hall: hall,
                    recording_place: place.to_owned(),
                    recorded_at: day(n),
                    event: Event::Updated,
                    guest: (n > 1).then(|| format!("{n}")),
                });
            }
        }
        insert::<seat::record::Entity, _>(&db, records.clone()).await;
        use seat::record::Column as Seat;
        let then = seat::Entity::as_of(day(2)).order_by_asc(Seat::RecordingHall).order_by_asc(Seat::RecordingPlace);
        let found: Vec<_> = then.clone().all(&db).await?.into_iter().map(|seat| (seat.recording_hall, seat.recording_place, seat.recorded_at)).collect();
        let all = [(1, "a"), (1, "b"), (2, ""), (2, "a")].map(|(hall, place)| (hall, place.to_owned(), day(2)));
        assert_eq!(found, all);
        let second = then.filter(Seat::RecordingHall.eq(2)).all(&db).await?;
        assert_eq!(second.len(), 2);
        let one = seat::Entity::records_of((1, "b".to_owned())).as_of(day(3)).one(&db).await?.unwrap();
        assert_eq!(one.guest.as_deref(), Some("3"));
        let changed = seat::Entity::diff_between(day(1), day(2)).all(&db).await?;
        assert_eq!(changed.len(), 4);
        Ok(())
    }

    async fn books_as_of_then_come_with_their_shelves_as_of_then(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let save = |name: &str| shelf::ActiveModel { name: Set(name.to_owned()), ..Default::default() };
        let (poems, maps) = (save("Poems").insert(&db).await?, save("Maps").insert(&db).await?);
        let book = on_shelf(&db, "Leaves", Some(poems.id)).await;
        on_shelf(&db, "Loose", None).await;
        let first = last_time(&db).await;
        let mut renamed = poems.clone().into_active_model();
        renamed.name = Set("Verse".to_owned());
        renamed.update(&db).await?;
        let second = last_time(&db).await;
        let mut moved = book.clone().into_active_model();
        moved.shelf_id = Set(Some(maps.id));
        moved.update(&db).await?;
        let third = last_time(&db).await;
        maps.delete(&db).await.ok();

        let names = async |t| -> Vec<(String, Option<String>)> {
            let both = book::Entity::as_of(t).find_also(shelf::Entity).order_by_asc(book::record::Column::RecordingId);
            let both = both.all(&db).await.unwrap();
            both.into_iter().map(|(book, shelf)| (book.title, shelf.map(|shelf| shelf.name))).collect()
        };
        let expected = |shelf: &str| vec![("Leaves".to_owned(), Some(shelf.to_owned())), ("Loose".to_owned(), None)];
        assert_eq!(names(first).await, expected("Poems"));
        assert_eq!(names(second).await, expected("Verse"));
        assert_eq!(names(third).await, expected("Maps"));
        // The other way round, and with a filter on either side.
        let shelves = shelf::Entity::as_of(second).find_also(book::Entity).filter(book::record::Column::Title.eq("Leaves"));
        let (verse, leaves) = shelves.one(&db).await?.unwrap();
        assert_eq!((verse.name.as_str(), leaves.unwrap().recording_id), ("Verse", book.id));
        let one = book.records().as_of(first).find_also(shelf::Entity).all(&db).await?;
        assert_eq!((one.len(), one[0].1.as_ref().unwrap().name.as_str()), (1, "Poems"));
        Ok(())
    }

    async fn a_related_row_that_was_gone_then_is_none(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let shelf = |id, n, event| shelf::record::Model { recording_id: id, recorded_at: day(n), event, name: format!("{id} on {n}") };
        use Event::{Deleted, Updated};
        insert::<shelf::record::Entity, _>(&db, [shelf(1, 1, Updated), shelf(1, 3, Deleted), shelf(1, 5, Updated), shelf(2, 4, Updated), shelf(2, 6, Updated)]).await;
        let book = |id, shelf_id| book::record::Model {
            recording_id: id, recorded_at: day(2), event: Updated, shelf_id, title: format!("{id}"), blurb: None,
            facts: serde_json::Value::Null, letters: 1, actor: None, reason: None, change_id: None, metadata: None,
        };
        insert::<book::record::Entity, _>(&db, [book(1, Some(1)), book(2, Some(2)), book(3, None), book(4, Some(9))]).await;
        let names = async |n| -> Vec<Option<String>> {
            let both = book::Entity::as_of(day(n)).find_also(shelf::Entity).order_by_asc(book::record::Column::RecordingId);
            both.all(&db).await.unwrap().into_iter().map(|(_, shelf)| shelf.map(|shelf| shelf.name)).collect()
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(names(2).await, [name("1 on 1"), None, None, None]);
        assert_eq!(names(3).await, [None, None, None, None]);
        assert_eq!(names(4).await, [None, name("2 on 4"), None, None]);
        assert_eq!(names(7).await, [name("1 on 5"), name("2 on 6"), None, None]);
        Ok(())
    }

    async fn a_related_row_that_was_tied_to_another_by_then_is_none(test: TestDb) -> TestResult {
        use tenants::{booking, room};
        let db = test.connect().await;
        db.create_record_table(room::record::Entity).await?;
        db.create_record_table(booking::record::Entity).await?;
        let room = |id, n, event, tenant_id| room::record::Model { recording_id: id, recorded_at: day(n), event, tenant_id };
        use Event::{Deleted, Updated};
        // One stays, one moves to another tenant, one comes back, and one goes there.
        let rooms = [
            room(1, 1, Updated, 1),
            room(2, 1, Updated, 1), room(2, 3, Updated, 2),
            room(3, 1, Updated, 1), room(3, 3, Updated, 2), room(3, 5, Updated, 1),
            room(4, 1, Updated, 1), room(4, 3, Updated, 2), room(4, 5, Deleted, 2),
        ];
        insert::<room::record::Entity, _>(&db, rooms).await;
        let bookings = (1..=4).map(|id| booking::record::Model { recording_id: id, recorded_at: day(1), event: Updated, tenant_id: 1, room_id: id });
        insert::<booking::record::Entity, _>(&db, bookings).await;
        let found = async |n| -> Vec<i32> {
            let both = booking::Entity::as_of(day(n)).find_also(room::Entity).all(&db).await.unwrap();
            assert_eq!(both.len(), 4);
            let mut rooms: Vec<_> = both.into_iter().filter_map(|(_, room)| room).map(|room| room.recording_id).collect();
            rooms.sort_unstable();
            rooms
        };
        assert_eq!(found(2).await, [1, 2, 3, 4]);
        assert_eq!(found(4).await, [1]);
        assert_eq!(found(6).await, [1, 3]);
        Ok(())
    }

    async fn a_relation_with_a_condition_of_its_own_is_refused_for_the_past(test: TestDb) -> TestResult {
        let db = test.connect().await;
        for error in [
            stand::Entity::as_of(day(1)).find_also(shelf::Entity).all(&db).await.unwrap_err(),
            stand::Entity::as_of(day(1)).find_also(shelf::Entity).one(&db).await.unwrap_err(),
        ] {
            assert!(matches!(RecordError::of(&error), Some(RecordError::Plan { .. })), "{error}");
            assert!(error.to_string().contains("its relation to `bookcase` has a condition of its own"), "{error}");
        }
        Ok(())
    }

    async fn moments_between_microseconds_before_the_first_record_and_after_now_are_answered(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[record(1, day(1)), record(1, day(2))]).await;
        let nano = chrono::TimeDelta::nanoseconds(1);
        let then = async |t| places(&article::Entity::as_of(t).all(&db).await.unwrap());
        assert_eq!(then(day(2) + nano * 999).await, [(1, day(2))]);
        assert_eq!(then(day(2) - nano).await, [(1, day(1))]);
        assert_eq!(then(day(1) - nano).await, []);
        assert_eq!(then(DateTimeUtc::MAX_UTC).await, [(1, day(2))]);
        let kinds = async |from, to| -> Vec<String> {
            article::Entity::diff_between(from, to).all(&db).await.unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(kinds(DateTimeUtc::MIN_UTC, DateTimeUtc::MAX_UTC).await, ["article 1: added"]);
        assert_eq!(kinds(DateTimeUtc::MAX_UTC, DateTimeUtc::MIN_UTC).await, ["article 1: removed"]);
        assert_eq!(kinds(day(2), day(2) + nano * 999).await, [""; 0]);
        assert_eq!(kinds(DateTimeUtc::MIN_UTC, day(1) - nano).await, [""; 0]);
        assert_eq!(kinds(day(2), DateTimeUtc::MAX_UTC).await, [""; 0]);
        Ok(())
    }

    async fn a_diff_between_moments_is_what_an_oracle_says(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // More rows than are read at a time.
        let history = history(700, 3_000);
        insert_records(&db, &history).await;
        let moment = |second| day(1) + chrono::TimeDelta::seconds(second);
        for (from, to) in [(10, 30), (30, 10), (-1, 40), (20, 21), (40, -1)] {
            let (before, after) = (living(state(&history, moment(from))), living(state(&history, moment(to))));
            let mut expected = Vec::new();
            let ids: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
            for id in ids {
                match (before.get(&id), after.get(&id)) {
                    (None, Some(_)) => expected.push((id, "added", String::new(), after[&id].title.clone())),
                    (Some(_), None) => expected.push((id, "removed", before[&id].title.clone(), String::new())),
                    (Some(a), Some(b)) if a.title != b.title => expected.push((id, "changed", a.title.clone(), b.title.clone())),
                    _ => {}
                }
            }
            let found: Vec<_> = article::Entity::diff_between(moment(from), moment(to)).stream(&db)
                .map_ok(|row| {
                    let kind = match &row {
                        RowDiff::Added(_) => "added",
                        RowDiff::Removed(_) => "removed",
                        RowDiff::Changed { .. } => "changed",
                    };
                    let title = |record: Option<&Record>| record.map(|record| record.title.clone()).unwrap_or_default();
                    let id = row.before().or(row.after()).unwrap().recording_id;
                    (id, kind, title(row.before()), title(row.after()))
                })
                .try_collect().await?;
            assert_eq!(found, expected, "from {from} to {to}");
        }
        Ok(())
    }

    async fn a_filtered_diff_is_about_rows_that_fit_at_either_moment(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[
            titled(1, 1, "a"), titled(1, 3, "b"),
            titled(2, 1, "b"), titled(2, 3, "a"),
            titled(3, 1, "b"), titled(3, 3, "c"),
            titled(4, 3, "a"), titled(5, 1, "a"), titled(5, 2, "c"), titled(5, 3, "b"),
        ]).await;
        let called = |title: &str| article::Entity::records().filter(Column::Title.eq(title));
        let lines = async |select: Select<Records>| -> Vec<String> {
            select.diff_between(day(2), day(3)).all(&db).await.unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(lines(called("a")).await, ["article 1\n  title: \"a\" → \"b\"", "article 2\n  title: \"b\" → \"a\"", "article 4: added"]);
        assert_eq!(lines(article::Entity::records_of(3)).await, ["article 3\n  title: \"b\" → \"c\""]);
        assert_eq!(lines(article::Entity::records_of(3).filter(Column::Title.eq("a"))).await, [""; 0]);
        Ok(())
    }

    async fn a_filter_on_keys_and_values_does_not_choose_the_records_that_are_compared(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[
            titled(1, 1, "a"), titled(1, 4, "b"),
            titled(2, 1, "a"), Record { text: "since".to_owned(), ..titled(2, 3, "a") }, titled(2, 4, "b"),
            titled(3, 1, "b"), titled(3, 4, "c"),
        ]).await;
        let called = |title: &str| article::Entity::records().filter(Column::Title.eq(title));
        let lines = async |select: Select<Records>| -> Vec<String> {
            select.diff_between(day(2), day(5)).all(&db).await.unwrap().iter().map(ToString::to_string).collect()
        };
        let [one, two] = [1, 2].map(|id| format!("article {id}\n  title: \"a\" → \"b\""));
        assert_eq!(lines(article::Entity::records_of(1).filter(Column::Title.eq("a"))).await, std::slice::from_ref(&one));
        assert_eq!(lines(called("a").filter(Column::RecordingId.is_in([1, 2, 3]))).await, [one, two]);
        // Nor does a window, which is one of the filters.
        let until = article::Entity::records_of(3).until(day(2));
        assert_eq!(lines(until).await, ["article 3\n  title: \"b\" → \"c\""]);

        seats(&db).await;
        let seat = |place: &str, n, guest: &str| seat::record::Model {
            recording_hall: 1, recording_place: place.to_owned(), recorded_at: day(n), event: Event::Updated, guest: Some(guest.to_owned()),
        };
        insert::<seat::record::Entity, _>(&db, [seat("A", 1, "admin"), seat("A", 3, "member"), seat("B", 1, "x"), seat("B", 3, "y")]).await;
        use seat::record::Column as Seat;
        let admins = seat::Entity::records().filter(Seat::RecordingHall.eq(1)).filter(Seat::Guest.eq("admin"));
        let changed = admins.diff_between(day(2), day(3)).all(&db).await?;
        assert_eq!(changed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["seat 1 \"A\"\n  guest: \"admin\" → \"member\""]);
        Ok(())
    }

    async fn a_filter_in_raw_sql_does_not_choose_the_records_that_are_compared(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[titled(1, 1, "a"), titled(1, 2, "b"), titled(1, 3, "c")]).await;
        let fits_then = Records::find().filter(Column::RecordingId.eq(1)).filter(Expr::cust("title = 'a'"));
        let found = fits_then.diff_between(day(1), day(4)).all(&db).await?;
        assert_eq!(found[0].after().map(|after| after.title.as_str()), Some("c"));
        Ok(())
    }

    async fn differences_are_typed_serialized_and_displayed(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = on_shelf(&db, "One", None).await;
        let mut edited = book.clone().into_active_model();
        edited.title = Set("Three".to_owned());
        edited.blurb = Set(Some("good".to_owned()));
        edited.facts = Set(json!({ "pages": 7, "art": [1, 2] }));
        let book = edited.update(&db).await?;
        let changes = book.records().changes().all(&db).await?;
        assert_eq!((changes.len(), changes[0].diff(), changes[1].previous.as_ref()), (2, None, Some(&changes[0].record)));
        let diff = changes[1].diff().unwrap();
        use book::record::Column as Book;
        assert_eq!(diff.values::<String>(Book::Title)?, Some(("One".to_owned(), "Three".to_owned())));
        assert_eq!(diff.values::<Option<String>>(Book::Blurb)?, Some((None, Some("good".to_owned()))));
        assert_eq!(diff.values::<i32>(Book::Letters)?, Some((3, 5)));
        assert_eq!(diff.values::<Option<i32>>(Book::ShelfId)?, None);
        assert_eq!(diff.change(Book::Letters).unwrap().after, 5.into());
        let error = diff.values::<i32>(Book::Title).unwrap_err();
        assert_eq!(error.to_string(), "`title` of the records of `volume` is no `i32`; ask for the type of its field");
        assert_eq!(serde_json::to_value(&diff)?, json!({
            "title": { "before": "One", "after": "Three" },
            "blurb": { "before": null, "after": "good" },
            "facts": { "before": {}, "after": { "pages": 7, "art": [1, 2] } },
            "letters": { "before": 3, "after": 5 },
        }));
        assert_eq!(diff.to_string().lines().take(2).collect::<Vec<_>>(), ["title: \"One\" → \"Three\"", "blurb: nothing → \"good\""]);

        let between = book::Entity::diff_between(changes[0].record.recorded_at, changes[1].record.recorded_at).all(&db).await?;
        assert_eq!(between[0].diff(), Some(diff.clone()));
        assert_eq!(serde_json::to_value(&between)?, json!([{ "row": { "recording_id": book.id }, "changed": serde_json::to_value(&diff)? }]));
        let made = book::Entity::diff_between(day(1), changes[0].record.recorded_at).all(&db).await?;
        assert_eq!(serde_json::to_value(&made[0])?["added"], json!({ "shelf_id": null, "title": "One", "blurb": null, "facts": {}, "letters": 3 }));

        // From a record to the row as it is; properties are not the row's.
        assert_eq!(book.diff_from(&changes[1].record).to_string(), "no change");
        let names: Vec<_> = book.diff_from(&changes[0].record).changes().iter().map(|change| change.column).collect();
        assert_eq!(names, ["title", "blurb", "facts"]);
        Ok(())
    }

    async fn a_change_says_that_a_row_went_and_came_back(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let event = |event, record: Record| Record { event, ..record };
        insert_records(&db, &[
            titled(1, 1, "a"), event(Event::Deleted, titled(1, 2, "a")), event(Event::Created, titled(1, 3, "a")),
            event(Event::Deleted, titled(1, 4, "a")), event(Event::Created, titled(1, 5, "b")),
            event(Event::Erased, titled(1, 6, "")), titled(1, 7, "c"),
        ]).await;
        let changes = article::Entity::records().changes().all(&db).await?;
        let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(lines, [
            "the first record of a row of article", "deleted", "came back", "deleted", "came back\ntitle: \"a\" → \"b\"",
            "history erased", "the first record since the history was erased",
        ]);
        let row = json!({ "recording_id": 1 });
        assert_eq!(serde_json::to_value(&changes[0])?, json!({
            "row": row, "recorded_at": "2024-03-01T00:00:00+00:00", "event": "updated",
            "values": { "title": "a", "text": "", "word_count": 0, "headline": "" },
        }));
        assert_eq!(serde_json::to_value(&changes[4])?, json!({
            "row": row, "recorded_at": "2024-03-05T00:00:00+00:00", "event": "created", "changed": { "title": { "before": "a", "after": "b" } },
        }));
        Ok(())
    }

    async fn a_change_is_from_the_true_predecessor_whatever_is_selected(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        insert_records(&db, &[
            titled(1, 1, "a"), titled(1, 2, "b"), titled(1, 3, "c"),
            titled(2, 2, "x"), titled(2, 3, "y"),
        ]).await;
        let pairs = async |select: Select<Records>| -> Vec<(String, Option<String>)> {
            let changes = select.changes().all(&db).await.unwrap();
            changes.into_iter().map(|change| (change.record.title, change.previous.map(|previous| previous.title))).collect()
        };
        let pair = |title: &str, previous: Option<&str>| (title.to_owned(), previous.map(str::to_owned));
        let all = [pair("a", None), pair("b", Some("a")), pair("x", None), pair("c", Some("b")), pair("y", Some("x"))];
        assert_eq!(pairs(article::Entity::records()).await, all);
        assert_eq!(pairs(article::Entity::records().since(day(3))).await, all[3..]);
        assert_eq!(pairs(article::Entity::records().filter(Column::Title.is_in(["a", "c"]))).await, [all[0].clone(), all[3].clone()]);
        let newest: Vec<_> = article::Entity::records().changes().newest_first().all(&db).await?.into_iter().map(|change| change.record.title).collect();
        assert_eq!(newest, ["y", "c", "x", "b", "a"]);
        Ok(())
    }

    async fn changes_of_many_records_come_page_by_page(test: TestDb) -> TestResult {
        let (db, counter) = test.counted().await;
        sea_orm_record_migration::RecordSchema::create_record_table(&db, Records).await?;
        let times = |n: i64| day(1) + chrono::TimeDelta::seconds(n);
        let history: Vec<_> = (0..300).flat_map(|n| [record(1, times(n)), record(2, times(n))]).collect();
        insert_records(&db, &history).await;
        counter.clear();
        let changes = article::Entity::records().changes().all(&db).await?;
        assert!(counter.take() <= 8, "{} changes", changes.len());
        let found: Vec<_> = changes.iter().map(|change| change.record.clone()).collect();
        assert_eq!(found, history);
        for change in &changes[2..] {
            let previous = change.previous.as_ref().unwrap();
            assert_eq!(previous.recording_id, change.record.recording_id);
            assert_eq!(change.record.recorded_at - previous.recorded_at, chrono::TimeDelta::seconds(1));
        }
        let backwards = article::Entity::records().changes().newest_first().all(&db).await?;
        assert_eq!(backwards.iter().rev().map(|change| change.record.clone()).collect::<Vec<_>>(), history);
        Ok(())
    }

    async fn where_changed_compares_with_the_record_before_as_recording_does(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let values: [(&str, Option<&str>, serde_json::Value); 7] = [
            ("a", None, json!({ "x": 1, "y": 2 })),
            ("A", None, json!({ "y": 2, "x": 1 })),
            ("A", Some(""), json!({ "y": 2, "x": 1 })),
            ("A ", Some("b"), json!({ "x": 1 })),
            ("A ", None, json!(null)),
            ("ä", None, json!(null)),
            ("ä", None, json!([1])),
        ];
        let record = |id: i32, n: usize| {
            let (title, blurb, facts) = values[n].clone();
            book::record::Model {
                recording_id: id,
                recorded_at: day(n as u32 + 1),
                event: Event::Updated,
                shelf_id: None,
                title: title.to_owned(),
                blurb: blurb.map(str::to_owned),
                facts,
                letters: 0,
                actor: None,
                reason: None,
                change_id: None,
                metadata: None,
            }
        };
        let records = [1, 2].into_iter().flat_map(|id| (0..values.len()).map(move |n| (id, n)));
        insert::<book::record::Entity, _>(&db, records.map(|(id, n)| record(id, n))).await;
        use book::record::Column as Book;
        let days = async |select: Select<book::record::Entity>, column| -> Vec<usize> {
            let changed = select.where_changed(column).order_by_asc(Book::RecordedAt);
            let changed = changed.all(&db).await.unwrap();
            changed.iter().map(|book| (book.recorded_at - day(1)).num_days() as usize).collect()
        };
        let one = || book::Entity::records_of(1);
        assert_eq!(days(one(), Book::Title).await, [1, 3, 5]);
        assert_eq!(days(one(), Book::Blurb).await, [2, 3, 4]);
        assert_eq!(days(one(), Book::Facts).await, [3, 4, 6]);
        assert_eq!(days(one(), Book::ShelfId).await, [0; 0]);
        assert_eq!(days(book::Entity::records(), Book::Title).await, [1, 1, 3, 3, 5, 5]);
        // The record before counts, whether it is selected or not.
        assert_eq!(days(one().since(day(4)), Book::Title).await, [3, 5]);
        assert_eq!(days(one().filter(Book::Blurb.is_null()), Book::Title).await, [1, 5]);
        let changed = one().where_changed(Book::Title);
        assert_eq!(changed.clone().count(&db).await?, 3);
        let last = changed.filter(Book::Blurb.is_null()).order_by_desc(Book::RecordedAt).limit(1).all(&db).await?;
        assert_eq!(last[0].title, "ä");
        Ok(())
    }

    async fn a_recorded_transaction_asks_about_its_own_past(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = on_shelf(&db, "One", None).await;
        let before = last_time(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await?;
        let mut edited = book.clone().into_active_model();
        edited.title = Set("Two".to_owned());
        edited.update(&txn).await?;
        let now = book::Entity::as_of(Window::LATEST).one(&txn).await?.unwrap();
        assert_eq!(now.title, "Two");
        let changed = book::Entity::diff_between(before, Window::LATEST).all(&txn).await?;
        assert_eq!(changed[0].diff().map(|diff| diff.changes().len()), Some(1));
        txn.rollback().await?;
        assert_eq!(book::Entity::as_of(Window::LATEST).one(&db).await?.unwrap().title, "One");
        Ok(())
    }
}

/// Streams and queries go to other threads.
#[allow(dead_code)]
fn streams_are_send(db: &DatabaseConnection) {
    fn assert_send(_: impl Send) {}
    assert_send(article::Entity::records().changes().stream(db));
    assert_send(article::Entity::diff_between(day(1), day(2)).stream(db));
    assert_send(article::Entity::as_of(day(1)).all(db));
    assert_send(book::Entity::as_of(day(1)).find_also(shelf::Entity).all(db));
    assert_send(book::Entity::restore_to(day(1)).apply(db));
}

#[test]
fn a_diff_of_nothing_says_so() {
    let one = titled(1, 1, "a");
    assert_eq!(one.diff(&one).to_string(), "no change");
    assert_eq!(serde_json::to_value(one.diff(&one)).unwrap(), json!({}));
}
