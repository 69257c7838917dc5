//! Record tables in partitions by time: how they are made, extended and shortened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, Set, Statement, TransactionTrait,
};
use sea_orm_record::{
    Buckets, Context, Event, FOREVER, RecordQuery, Recorded, RecordedConnection, RecordedModel,
    Retention, backfill, carry_forward, prune_before, prune_to, verify,
};
use sea_orm_record_migration::{
    Partitions, RecordPartitions, RecordSchema, drop_partitions_before,
};

use crate::blog::create_table;
use crate::harness::each_database;
use crate::harness::{is_cluster, is_mysql, let_through};

/// A key of one column.
mod leaflet {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(text, stars), context)]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pt_leaflet")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub text: String,
        pub stars: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A key of two columns, one of them text that has to be quoted.
mod parcel {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(load))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pt_parcel_of_a_depot_with_quite_a_long_name")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub depot: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub load: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Its records go with it.
mod flyer {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(text), cascade)]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pt_flyer")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub text: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

type Record = leaflet::record::Model;

fn days_ago(days: i64) -> DateTime<Utc> {
    (Utc::now() - TimeDelta::days(days)).trunc_subsecs(6)
}

/// The first edge of a day.
fn day(days_back: i64) -> DateTime<Utc> {
    let days = Buckets::new("1D".parse().unwrap(), chrono_tz::UTC);
    days.start_of(days_ago(days_back)).unwrap()
}

fn weekly_from(days: i64) -> Partitions {
    Partitions::every("7D").ahead(2).from(days_ago(days))
}

/// Whether there are partitions, and leaflets in them.
async fn has_leaflets(db: &DatabaseConnection, partitions: Partitions) -> bool {
    create_table(db, leaflet::Entity).await;
    let made = db
        .create_partitioned_record_table(leaflet::record::Entity, partitions)
        .await;
    match db.get_database_backend() {
        DbBackend::Sqlite => {
            let refusal = made.unwrap_err().to_string();
            assert!(refusal.contains("SQLite has no partitions"), "{refusal}");
            assert!(
                count(db, "SELECT COUNT(*) AS n FROM pt_leaflet_record")
                    .await
                    .is_err()
            );
            false
        }
        _ => {
            made.unwrap();
            true
        }
    }
}

async fn count(db: &DatabaseConnection, sql: &str) -> Result<i64, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await?.unwrap().try_get("", "n")
}

/// How many partitions leaflets have.
async fn partitions(db: &DatabaseConnection) -> i64 {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT COUNT(*) AS n FROM pg_inherits WHERE inhparent = to_regclass('pt_leaflet_record')"
        }
        _ => {
            "SELECT COUNT(*) AS n FROM information_schema.partitions \
             WHERE table_schema = DATABASE() AND table_name = 'pt_leaflet_record'"
        }
    };
    count(db, sql).await.unwrap()
}

/// How many records lie in the partition without an end.
async fn overflow(db: &DatabaseConnection) -> i64 {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT COUNT(*) AS n FROM pt_leaflet_record_p_rest",
        _ => "SELECT COUNT(*) AS n FROM pt_leaflet_record PARTITION (p_rest)",
    };
    count(db, sql).await.unwrap()
}

/// Tables that were taken out and not dropped.
async fn left_behind(db: &DatabaseConnection) -> i64 {
    let sql =
        "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_name LIKE '%leaving%'";
    let own = match db.get_database_backend() {
        DbBackend::Postgres => "",
        _ => " AND table_schema = DATABASE()",
    };
    count(db, &format!("{sql}{own}")).await.unwrap()
}

/// Takes away the partitions of these days, the youngest first, as if nobody had made them.
async fn unmake(db: &DatabaseConnection, days: std::ops::RangeInclusive<i64>) {
    let name = |day: i64| self::day(day).format("p%Y%m%d").to_string();
    let start = day(*days.end());
    let mut script: Vec<String> = Vec::new();
    match db.get_database_backend() {
        DbBackend::Postgres => {
            let parent = "ALTER TABLE pt_leaflet_record";
            script.push(format!(
                "{parent} DETACH PARTITION pt_leaflet_record_p_rest"
            ));
            script.extend(days.map(|day| format!("DROP TABLE pt_leaflet_record_{}", name(day))));
            script.push(format!("{parent} ATTACH PARTITION pt_leaflet_record_p_rest FOR VALUES FROM ('{start}') TO (MAXVALUE)"));
        }
        _ => script.extend(
            days.map(|day| format!("ALTER TABLE pt_leaflet_record DROP PARTITION {}", name(day))),
        ),
    }
    for sql in script {
        db.execute_unprepared(&sql).await.unwrap();
    }
}

/// The partition for all that is older than the others, which PostgreSQL always needs.
fn past(db: &DatabaseConnection) -> i64 {
    i64::from(db.get_database_backend() == DbBackend::Postgres)
}

fn record(id: i32, at: DateTime<Utc>, event: Event, text: &str) -> leaflet::record::ActiveModel {
    leaflet::record::ActiveModel {
        recording_id: Set(id),
        recorded_at: Set(at),
        event: Set(event),
        text: Set(text.to_owned()),
        stars: Set(Some(id)),
        actor: Set(Some(format!("actor of {text}"))),
        ..Default::default()
    }
}

async fn insert(db: &DatabaseConnection, records: Vec<leaflet::record::ActiveModel>) {
    for records in records.chunks(1_000) {
        let insert = leaflet::record::Entity::insert_many(records.to_vec());
        insert.exec(db).await.unwrap();
    }
}

/// All records, in the order of rows and times.
async fn all(db: &DatabaseConnection) -> Vec<Record> {
    let records =
        leaflet::record::Entity::find().order_by_asc(leaflet::record::Column::RecordingId);
    let records = records.order_by_asc(leaflet::record::Column::RecordedAt);
    records.all(db).await.unwrap()
}

fn leaflet(id: i32, text: &str) -> leaflet::ActiveModel {
    leaflet::ActiveModel {
        id: Set(id),
        text: Set(text.to_owned()),
        stars: Set(None),
    }
}

/// What held at a moment, without when and how it came about.
async fn held(db: &DatabaseConnection, at: DateTime<Utc>) -> Vec<(i32, String, Option<i32>)> {
    let held = leaflet::Entity::as_of(at).all(db).await.unwrap();
    let mut held: Vec<_> = held
        .into_iter()
        .map(|it| (it.recording_id, it.text, it.stars))
        .collect();
    held.sort();
    held
}

/// A history of eight weeks, written by all ways of writing, and what is answered about it.
async fn program(db: &DatabaseConnection) -> Vec<String> {
    let begin = day(56) + TimeDelta::hours(1);
    let recorded = RecordedConnection::new(db.clone());
    let at = |days: i64| {
        let context = Context::actor("alice").change_id(uuid::Uuid::nil());
        recorded.with_context(context.clock(begin + TimeDelta::days(days)))
    };
    let rows = (1..=40).map(|id| leaflet(id, "new"));
    sea_orm_record::insert_many(rows, &at(0)).await.unwrap();
    for n in 1..=20 {
        let row = leaflet::ActiveModel {
            text: Set(format!("text {n}")),
            ..leaflet(n as i32 % 7 + 1, "")
        };
        row.update(&at(n)).await.unwrap();
    }
    sea_orm_record::update_many(leaflet::Entity)
        .col_expr(leaflet::Column::Stars, 5.into())
        .filter(leaflet::Column::Id.lte(10))
        .exec(&at(25))
        .await
        .unwrap();
    let moved = at(30).begin().await.unwrap();
    for id in 20..25 {
        leaflet(id, "gathered").update(&moved).await.unwrap();
    }
    moved.commit().await.unwrap();
    leaflet(3, "").delete(&at(32)).await.unwrap();
    sea_orm_record::delete_many(leaflet::Entity)
        .filter(leaflet::Column::Id.gt(35))
        .exec(&at(40))
        .await
        .unwrap();
    leaflet(3, "back").insert(&at(45)).await.unwrap();
    leaflet(50, "unseen")
        .insert(&recorded.without_recording())
        .await
        .unwrap();
    let filled = backfill(leaflet::Entity).exec(&at(48)).await.unwrap();

    let mut said = vec![format!("{filled:?}"), format!("{:?}", all(db).await)];
    said.push(format!(
        "{:?}",
        verify(leaflet::Entity).exec(db).await.unwrap()
    ));
    let latest = leaflet::Entity::records().latest_of_each();
    let latest = latest.order_by_asc(leaflet::record::Column::RecordingId);
    said.push(format!("{:?}", latest.all(db).await.unwrap()));
    let one = leaflet::Entity::find_by_id(3)
        .one(db)
        .await
        .unwrap()
        .unwrap();
    said.push(format!(
        "{:?}",
        one.records().latest().one(db).await.unwrap()
    ));
    said.push(format!("{}", one.has_unrecorded_changes(db).await.unwrap()));
    for days in [-1, 0, 10, 26, 33, 41, 55] {
        said.push(format!(
            "{:?}",
            held(db, begin + TimeDelta::days(days)).await
        ));
    }
    let weekly = one.records().since(begin).resample("7D").unwrap();
    said.push(format!("{:?}", weekly.all(db).await.unwrap()));
    let weekly = leaflet::Entity::records()
        .since(begin)
        .until(begin + TimeDelta::days(50));
    let weekly = weekly.resample("7D").unwrap().forward_fill();
    said.push(format!("{:?}", weekly.all(db).await.unwrap()));
    let retention = Retention::new()
        .keep_all(TimeDelta::days(10))
        .then_every("7D", FOREVER);
    let now = begin + TimeDelta::days(50);
    let pruned = prune_to(leaflet::Entity, &retention)
        .counted_from(now)
        .exec(db)
        .await;
    said.push(format!("{:?} {:?}", pruned.unwrap(), all(db).await));
    let pruned = prune_before(leaflet::Entity, begin + TimeDelta::days(28))
        .exec(db)
        .await;
    said.push(format!("{:?} {:?}", pruned.unwrap(), all(db).await));
    said
}

each_database! {
    async fn what_works_on_a_plain_table_works_on_a_partitioned_one(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, weekly_from(60)).await {
            return;
        }
        assert!(partitions(&db).await >= 11);
        let partitioned = program(&db).await;
        assert_eq!(overflow(&db).await, 0);
        assert_eq!(partitions(&db).await, partitions(&db).await);
        db.drop_record_table(leaflet::record::Entity).await.unwrap();
        leaflet::Entity::delete_many().exec(&db).await.unwrap();
        db.create_record_table(leaflet::record::Entity).await.unwrap();
        for (on_partitions, plain) in partitioned.iter().zip(program(&db).await) {
            assert_eq!(*on_partitions, plain);
        }
    }

    async fn records_older_and_younger_than_all_partitions_are_taken(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(0).from(days_ago(2))).await {
            return;
        }
        // Of the day before yesterday, yesterday and today; what is older; what is younger.
        assert_eq!(partitions(&db).await, 5);
        insert(&db, vec![
            record(1, days_ago(4_000), Event::Created, "old"),
            record(1, day(0) - TimeDelta::microseconds(1), Event::Updated, "before"),
            record(1, day(0), Event::Updated, "edge"),
            record(1, day(-1), Event::Updated, "younger"),
        ]).await;
        assert_eq!(overflow(&db).await, 1);
        let texts: Vec<_> = all(&db).await.into_iter().map(|it| it.text).collect();
        assert_eq!(texts, ["old", "before", "edge", "younger"]);
    }

    async fn extending_adds_what_is_missing_and_moves_what_came_before_it(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(1).from(days_ago(1))).await {
            return;
        }
        let before = partitions(&db).await;
        let ahead = |days| Partitions::every("1D").ahead(days);
        let extended = db.extend_partitions(leaflet::record::Entity, &ahead(1)).await.unwrap();
        assert_eq!((extended.partitions, extended.moved), (0, 0));
        let extended = db.extend_partitions(leaflet::record::Entity, &ahead(4)).await.unwrap();
        assert_eq!((extended.partitions, extended.moved), (3, 0));
        assert_eq!(partitions(&db).await, before + 3);

        // Nobody called for long: today's partition was never made.
        unmake(&db, -4..=0).await;
        leaflet(1, "late").insert(&db).await.unwrap();
        leaflet(2, "late").insert(&db).await.unwrap();
        leaflet(1, "later").update(&db).await.unwrap();
        assert_eq!(overflow(&db).await, 3);
        let records = all(&db).await;
        let refused = db.extend_partitions(leaflet::record::Entity, &ahead(1).moving_at_most(2)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("more than 2 records of `pt_leaflet_record`"), "{refused}");
        assert_eq!((overflow(&db).await, partitions(&db).await), (3, before + 3 - 5));
        let extended = db.extend_partitions(leaflet::record::Entity, &ahead(1).moving_at_most(3)).await.unwrap();
        assert_eq!((extended.partitions, extended.moved), (2, 3));
        assert_eq!((overflow(&db).await, partitions(&db).await), (0, before));
        assert_eq!(all(&db).await, records);

        // Another rule goes on from the last edge.
        let weekly = Partitions::every("1W").ahead(2);
        let extended = db.extend_partitions(leaflet::record::Entity, &weekly).await.unwrap();
        assert!((2..=3).contains(&extended.partitions), "{extended:?}");
        leaflet(2, "on").update(&db).await.unwrap();
        assert_eq!(overflow(&db).await, 0);
        assert!(verify(leaflet::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn several_may_extend_at_once_beside_writers(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(1)).await {
            return;
        }
        let before = partitions(&db).await;
        let done = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2).map(|writer| {
            let (db, done) = (db.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let row = let_through(|| leaflet(writer, "0").insert(&db)).await;
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    n += 1;
                    let mut row = row.clone().into_active_model();
                    row.text = Set(n.to_string());
                    let_through(|| row.clone().update(&db)).await;
                }
                n
            })
        }).collect();
        for days in [10, 20, 30] {
            let extending = (0..3).map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    let ahead = Partitions::every("1D").ahead(days);
                    let_through(|| db.extend_partitions(leaflet::record::Entity, &ahead)).await
                })
            });
            for extending in extending.collect::<Vec<_>>() {
                extending.await.unwrap();
            }
            assert_eq!(partitions(&db).await, before - 1 + i64::from(days));
        }
        done.store(true, Ordering::Relaxed);
        let mut saved = 2;
        for writer in writers {
            saved += writer.await.unwrap();
        }
        assert_eq!(all(&db).await.len(), saved);
        assert_eq!(overflow(&db).await, 0);
    }

    async fn extending_lets_others_write_while_it_waits_for_one(test: TestDb) {
        if is_cluster() {
            return;
        }
        let db = test.connect().await;
        // MySQL waits as long as its `lock_wait_timeout` says.
        if is_mysql(&db).await || !has_leaflets(&db, Partitions::every("1D").ahead(1).from(day(3))).await {
            return;
        }
        insert(&db, vec![record(9, day(2), Event::Created, "old")]).await;
        let recorded = RecordedConnection::new(db.clone());
        let open = recorded.begin().await.unwrap();
        leaflet(1, "open").insert(&open).await.unwrap();
        assert_eq!(leaflet::Entity::records().count(&open).await.unwrap(), 2);
        let of = db.clone();
        let extending = tokio::spawn(async move {
            of.extend_partitions(leaflet::record::Entity, &Partitions::every("1D").ahead(2)).await
        });
        // It would hold these up for ever if it waited without an end.
        for id in 2..=4 {
            leaflet(id, "beside").insert(&db).await.unwrap();
        }
        open.commit().await.unwrap();
        assert_eq!(extending.await.unwrap().unwrap().partitions, 1);

        let open = recorded.begin().await.unwrap();
        leaflet(31, "open").insert(&open).await.unwrap();
        assert_eq!(leaflet::Entity::records().count(&open).await.unwrap(), 6);
        let of = db.clone();
        let dropping = tokio::spawn(async move { drop_partitions_before(leaflet::Entity, day(1)).exec(&of).await });
        for id in 32..=34 {
            leaflet(id, "beside").insert(&db).await.unwrap();
        }
        open.commit().await.unwrap();
        assert_eq!(dropping.await.unwrap().unwrap().carried, 1);
        assert_eq!(all(&db).await.len(), 9);
    }

    async fn a_row_keeps_its_present_when_its_partitions_go(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(1).from(day(20))).await {
            return;
        }
        let edge = day(10);
        let later = edge + TimeDelta::microseconds(1);
        let hour = TimeDelta::hours(1);
        insert(&db, vec![
            // Changed before and after; before alone; often; gone; gone and back; at the edge; after.
            record(1, day(15), Event::Created, "a"),
            record(1, day(5), Event::Updated, "b"),
            record(2, day(30), Event::Created, "c"),
            record(3, day(14) + hour, Event::Created, "d"),
            record(3, day(13), Event::Related, "e"),
            record(3, edge - TimeDelta::microseconds(1), Event::Updated, "f"),
            record(4, day(15), Event::Created, "g"),
            record(4, day(14), Event::Deleted, "g"),
            record(5, day(15), Event::Deleted, "h"),
            record(5, later, Event::Created, "i"),
            record(6, day(16), Event::Created, "j"),
            record(6, edge, Event::Updated, "k"),
            record(7, day(9), Event::Created, "l"),
        ]).await;
        let moments = [edge, later, edge + hour, day(5), day(0)];
        let mut before = Vec::new();
        for moment in moments {
            before.push(held(&db, moment).await);
        }
        let there = partitions(&db).await;
        let drop = || drop_partitions_before(leaflet::Entity, edge + hour);
        let forecast = drop().dry_run(&db).await.unwrap();
        assert_eq!((forecast.records, forecast.carried), (9, 5));
        assert_eq!(forecast.partitions.len(), 11);
        assert!(forecast.partitions[0].ends_with("p_past"), "{:?}", forecast.partitions);
        assert_eq!(all(&db).await.len(), 13);

        let dropped = drop().exec(&db).await.unwrap();
        assert_eq!(dropped, forecast);
        assert_eq!(partitions(&db).await, there - 11 + past(&db));
        for (moment, before) in moments.into_iter().zip(before) {
            assert_eq!(held(&db, moment).await, before, "{moment}");
        }
        let left = all(&db).await;
        let left: Vec<_> = left.iter().map(|it| (it.recording_id, it.recorded_at, it.event, it.text.as_str(), it.actor.as_deref().unwrap())).collect();
        assert_eq!(left, [
            (1, edge, Event::Backfilled, "a", "actor of a"),
            (1, day(5), Event::Updated, "b", "actor of b"),
            (2, edge, Event::Backfilled, "c", "actor of c"),
            (3, edge, Event::Updated, "f", "actor of f"),
            (4, edge, Event::Deleted, "g", "actor of g"),
            (5, edge, Event::Deleted, "h", "actor of h"),
            (5, later, Event::Created, "i", "actor of i"),
            (6, edge, Event::Updated, "k", "actor of k"),
            (7, day(9), Event::Created, "l", "actor of l"),
        ]);
        let again = drop().exec(&db).await.unwrap();
        assert_eq!((again.partitions.len(), again.records, again.carried), (0, 0, 0));
        assert_eq!(left_behind(&db).await, 0);

        // Older ones are still taken, and the carried ones are carried on.
        insert(&db, vec![record(8, day(300), Event::Created, "m")]).await;
        let next = drop_partitions_before(leaflet::Entity, day(9)).exec(&db).await.unwrap();
        assert_eq!((next.partitions.len() as i64, next.carried), (1 + past(&db), 7));
        assert_eq!(held(&db, day(9)).await.len(), 7);
    }

    async fn partitions_that_clocks_may_still_reach_stay(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(2).from(day(3))).await {
            return;
        }
        insert(&db, vec![record(1, day(2), Event::Created, "a")]).await;
        let tomorrow = Utc::now() + TimeDelta::days(400);
        let dropped = drop_partitions_before(leaflet::Entity, tomorrow).exec(&db).await.unwrap();
        // Today's, the two ahead and the rest; in the first hour of a day, yesterday's as well.
        assert!((4..=5).contains(&(partitions(&db).await - past(&db))));
        assert_eq!(dropped.carried, 1);
        assert_eq!(all(&db).await.len(), 1);
    }

    async fn what_a_killed_drop_left_behind_is_finished(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(1).from(day(12))).await {
            return;
        }
        insert(&db, vec![
            record(1, day(11), Event::Created, "late"),
            record(1, day(11) + TimeDelta::hours(1), Event::Updated, "later"),
            record(2, day(11), Event::Created, "carried"),
            record(2, day(10), Event::Created, "carried"),
            record(3, day(11), Event::Created, "changed"),
            record(3, day(2), Event::Updated, "since"),
        ]).await;
        // As it would be if it were killed after the first partition left, and a row had come into
        // that after all was carried.
        let name = day(11).format("p%Y%m%d");
        let script = match db.get_database_backend() {
            DbBackend::Postgres => vec![
                "ALTER TABLE pt_leaflet_record DETACH PARTITION pt_leaflet_record_p_past".to_owned(),
                format!("ALTER TABLE pt_leaflet_record DETACH PARTITION pt_leaflet_record_p{}", day(12).format("%Y%m%d")),
                format!("ALTER TABLE pt_leaflet_record DETACH PARTITION pt_leaflet_record_{name}"),
                format!("ALTER TABLE pt_leaflet_record ATTACH PARTITION pt_leaflet_record_p_past FOR VALUES FROM (MINVALUE) TO ('{}')", day(10)),
                format!("ALTER TABLE pt_leaflet_record_{name} RENAME TO \"pt_leaflet_record-leaving-1\""),
            ],
            _ => vec![
                "CREATE TABLE `pt_leaflet_record-leaving-0` LIKE pt_leaflet_record".to_owned(),
                "CREATE TABLE `pt_leaflet_record-leaving-1` LIKE pt_leaflet_record".to_owned(),
                "ALTER TABLE `pt_leaflet_record-leaving-1` REMOVE PARTITIONING".to_owned(),
                format!("ALTER TABLE pt_leaflet_record EXCHANGE PARTITION {name} WITH TABLE `pt_leaflet_record-leaving-1`"),
            ],
        };
        for sql in script {
            db.execute_unprepared(&sql).await.unwrap();
        }
        assert_eq!(all(&db).await.len(), 2);
        let dropped = drop_partitions_before(leaflet::Entity, day(11)).exec(&db).await.unwrap();
        assert_eq!(dropped.records, 4);
        assert_eq!(left_behind(&db).await, 0);
        let left: Vec<_> = all(&db).await.into_iter().map(|it| (it.recording_id, it.recorded_at, it.text)).collect();
        assert_eq!(left, [
            (1, day(11) + TimeDelta::hours(1), "later".to_owned()),
            (2, day(10), "carried".to_owned()),
            (3, day(2), "since".to_owned()),
        ]);
    }

    async fn partitions_go_twice_at_once_beside_writers(test: TestDb) {
        let db = test.connect().await;
        if !has_leaflets(&db, Partitions::every("1D").ahead(1).from(day(12))).await {
            return;
        }
        let rows = (1..=2_500).map(|id| leaflet(id, "0")).collect::<Vec<_>>();
        for rows in rows.chunks(1_000) {
            leaflet::Entity::insert_many(rows.to_vec()).exec(&db).await.unwrap();
        }
        let records = |days: i64, text: &str| (1..=2_500).map(|id| {
            leaflet::record::ActiveModel { stars: Set(None), ..record(id, day(days), Event::Updated, text) }
        }).collect::<Vec<_>>();
        for (days, text) in [(11, "x"), (8, "y"), (7, "0")] {
            insert(&db, records(days, text)).await;
        }
        let done = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2).map(|writer| {
            let (db, done) = (db.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    n += 1;
                    let row = leaflet(n * 2 % 2_500 + 1 + writer, &n.to_string());
                    let_through(|| row.clone().update(&db)).await;
                }
            })
        }).collect();
        let dropping: Vec<_> = (0..2).map(|_| {
            let db = db.clone();
            tokio::spawn(async move { let_through(|| drop_partitions_before(leaflet::Entity, day(5)).exec(&db)).await })
        }).collect();
        let mut partitions = 0;
        for dropping in dropping {
            partitions += dropping.await.unwrap().partitions.len();
        }
        done.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        // A call that was ended on the way does not say what it had dropped.
        assert!(partitions as i64 == 8 - past(&db) || is_cluster(), "{partitions}");
        // One that the other was just about to exchange may be left; the next call finds it.
        drop_partitions_before(leaflet::Entity, day(5)).exec(&db).await.unwrap();
        assert_eq!(left_behind(&db).await, 0);
        let verified = verify(leaflet::Entity).exec(&db).await.unwrap();
        assert!(verified.is_clean(), "{verified:?}");
        assert_eq!(held(&db, day(5)).await.len(), 2_500);
        let old = leaflet::record::Entity::find().filter(leaflet::record::Column::RecordedAt.lt(day(5)));
        assert_eq!(old.count(&db).await.unwrap(), 0);
    }

    async fn keys_of_several_columns_are_carried_too(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, parcel::Entity).await;
        let has_partitions = db.get_database_backend() != DbBackend::Sqlite;
        match has_partitions {
            true => db.create_partitioned_record_table(parcel::record::Entity, weekly_from(40)).await.unwrap(),
            false => db.create_record_table(parcel::record::Entity).await.unwrap(),
        }
        let codes: Vec<String> = (0..700).map(|n| format!("it's {n}")).collect();
        for depot in 1..=3 {
            for days in [35, 30] {
                let records = codes.iter().map(|code| parcel::record::ActiveModel {
                    recording_depot: Set(depot),
                    recording_code: Set(code.clone()),
                    recorded_at: Set(day(days)),
                    event: Set(Event::Updated),
                    load: Set(format!("{code} {days}")),
                });
                parcel::record::Entity::insert_many(records).exec(&db).await.unwrap();
            }
        }
        let records = || parcel::record::Entity::find();
        if !has_partitions {
            let edge = day(10);
            let carry = || carry_forward(parcel::Entity, edge);
            let forecast = carry().dry_run(&db).await.unwrap();
            let carried = carry().exec(&db).await.unwrap();
            assert_eq!((carried.rows, carried.carried), (2_100, 2_100));
            assert_eq!(forecast, carried);
            assert_eq!(carry().exec(&db).await.unwrap().carried, 0);
            let at_edge = records().filter(parcel::record::Column::RecordedAt.eq(edge));
            let at_edge = at_edge.all(&db).await.unwrap();
            assert_eq!(at_edge.len(), 2_100);
            assert!(at_edge.iter().all(|it| it.load == format!("{} 30", it.recording_code)));
            return;
        }
        let drop = || drop_partitions_before(parcel::Entity, day(10));
        let forecast = drop().dry_run(&db).await.unwrap();
        assert_eq!((forecast.records, forecast.carried), (4_200, 2_100));
        assert_eq!(drop().exec(&db).await.unwrap(), forecast);
        let left = records().all(&db).await.unwrap();
        assert_eq!(left.len(), 2_100);
        assert!(left.iter().all(|it| it.load == format!("{} 30", it.recording_code)));
        let extended = db.extend_partitions(parcel::record::Entity, &Partitions::every("1D").ahead(40)).await;
        // The weeks reach at most 21 days ahead, whatever day it is.
        assert!(extended.unwrap().partitions >= 20);
    }

    async fn what_cannot_be_done_is_refused_before_anything_is(test: TestDb) {
        let db = test.connect().await;
        let refused = async |partitions: Partitions| {
            let made = db.create_partitioned_record_table(leaflet::record::Entity, partitions).await;
            let text = made.unwrap_err().to_string();
            assert!(all_tables(&db).await == 0, "{text}");
            text
        };
        if db.get_database_backend() == DbBackend::Sqlite {
            assert!(refused(Partitions::every("1D")).await.contains("create_record_table"));
            let drop = drop_partitions_before(leaflet::Entity, day(0)).exec(&db).await;
            assert!(drop.unwrap_err().to_string().contains("SQLite"));
            return;
        }
        assert!(refused(Partitions::every("1h")).await.contains("`1D`"));
        assert!(refused(Partitions::every("5m")).await.contains("5m"));
        assert!(refused(Partitions::every("1D").ahead(u32::MAX)).await.contains("1000 partitions"));
        assert!(refused(Partitions::every("1D").from(days_ago(10_000))).await.contains("1000 partitions"));
        let extend = db.extend_partitions(leaflet::record::Entity, &Partitions::every("1D")).await;
        assert!(extend.unwrap_err().to_string().contains("`pt_leaflet_record` is not there"));

        db.create_record_table(leaflet::record::Entity).await.unwrap();
        let extend = db.extend_partitions(leaflet::record::Entity, &Partitions::every("1D")).await;
        assert!(extend.unwrap_err().to_string().contains("create_partitioned_record_table"));
        let drop = drop_partitions_before(leaflet::Entity, day(0)).exec(&db).await;
        assert!(drop.unwrap_err().to_string().contains("not partitioned"));

        create_table(&db, flyer::Entity).await;
        let made = db.create_partitioned_record_table(flyer::record::Entity, weekly_from(20)).await;
        if db.get_database_backend() == DbBackend::MySql {
            assert!(made.unwrap_err().to_string().contains("cascade"));
            return;
        }
        made.unwrap();
        let flyer = flyer::ActiveModel { id: Set(1), text: Set("a".to_owned()) };
        let flyer = flyer.insert(&db).await.unwrap();
        db.extend_partitions(flyer::record::Entity, &weekly_from(20).ahead(5)).await.unwrap();
        assert_eq!(flyer.records().count(&db).await.unwrap(), 1);
        flyer::Entity::delete_many().exec(&db).await.unwrap();
        assert_eq!(flyer::record::Entity::find().count(&db).await.unwrap(), 0);
    }
}

/// How many tables of leaflets' records there are.
async fn all_tables(db: &DatabaseConnection) -> i64 {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT COUNT(*) AS n FROM sqlite_master WHERE name LIKE 'pt_leaflet_record%'"
        }
        DbBackend::Postgres => {
            "SELECT COUNT(*) AS n FROM pg_class WHERE relname LIKE 'pt_leaflet_record%'"
        }
        _ => {
            "SELECT COUNT(*) AS n FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name LIKE 'pt_leaflet_record%'"
        }
    };
    count(db, sql).await.unwrap()
}
