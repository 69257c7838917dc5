//! Every type as a key, alone and composite.

use chrono::TimeDelta;
use sea_orm::prelude::Uuid;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, ModelTrait, PaginatorTrait, QueryFilter, TransactionTrait,
};
use sea_orm_record::agg::{first, last, ohlc, time_weighted_mean};
use sea_orm_record::hooks::Savable;
use sea_orm_record::{
    Event, RecordEntity, RecordQuery, Recorded, RecordedConnection, RecordedModel, backfill,
    carry_forward, dedupe, erase, prune_before, verify,
};

use super::protocol::*;
use crate::harness::{Engine, TestResult, each_database};
use crate::reading::{at, insert};

/// An entity with this key: `plain`, whose rows are copied in SQL, or `with` a property, whose rows
/// are read by their keys.
macro_rules! entities {
    (plain $name:ident, $table:literal, $key:tt) => {
        entities!(@ $name, $table, $key, (columns(note)), |recorder| recorder);
    };
    (with $name:ident, $table:literal, $key:tt) => {
        entities!(@ $name, $table, $key, (columns(note), properties(length: i32)), |recorder| {
            recorder.properties(|model| record::Properties { length: model.note.len() as i32 })
        });
    };
    (@ $name:ident, $table:literal, {$($key:tt)*}, ($($arguments:tt)*), |$recorder:ident| $with:expr) => {
        mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded($($arguments)*)]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($key)*
                pub note: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    let $recorder = Recorder::<Self>::new();
                    $with
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

/// A native enum in a key, which PostgreSQL does not compare with text.
mod by_enum {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "k_role")]
    pub enum Role {
        #[sea_orm(string_value = "reader")]
        Reader,
        #[sea_orm(string_value = "writer")]
        Writer,
    }

    #[recorded(columns(note), properties(length: i32))]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "k_enum")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: Role,
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|row| record::Properties {
                length: row.note.len() as i32,
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A record entity by hand, whose key has the columns of the row's in another order.
mod by_hand {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "k_hand")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub article: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: i32,
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Event, RecordEntity};

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "k_hand_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_tenant: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_article: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: Event,
            pub note: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        impl RecordEntity for Entity {
            type Recording = super::Entity;
            type Properties = ();

            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;

            fn key() -> Vec<(super::Column, Column)> {
                vec![
                    (super::Column::Tenant, Column::RecordingTenant),
                    (super::Column::Article, Column::RecordingArticle),
                ]
            }
        }
    }
}

// Half of the combinations are enough, and compile in good time.
entities!(plain by_int, "k_int", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
});
entities!(plain by_long, "k_long", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
});
entities!(with by_uuid, "k_uuid", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
});
entities!(plain by_string, "k_string", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
});
entities!(with by_string_with, "k_string_with", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
});
entities!(plain by_int_string, "k_int_string", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
});
entities!(with by_int_string_with, "k_int_string_with", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
});
entities!(with by_uuid_int, "k_uuid_int", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
});

const STRINGS: [&str; 9] = [
    "plain",
    "it's",
    "\"double\"",
    "back\\slash\\",
    "`tick`; DROP TABLE k_string; --",
    "🦀 ünï",
    "?$1:a%s",
    "",
    "new\nline\t",
];

fn noted<M: ModelTrait>(row: &M, note: &str) -> M {
    let column =
        <M::Entity as EntityTrait>::Column::iter().find(|column| column.as_str() == "note");
    let mut row = row.clone();
    row.set(column.unwrap(), note.into());
    row
}

async fn assert_counts<E: Recorded>(
    db: &DatabaseConnection,
    rows: &[E::Model],
    expected: usize,
    what: &str,
) {
    for row in rows {
        let key = key_of(row);
        assert_count::<E>(db, &key, expected, &format!("{what}, {key:?}")).await;
    }
}

/// Inserts, updates and deletes these rows one by one, and then all at once.
async fn live<E>(db: &DatabaseConnection, rows: &[E::Model])
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    one_by_one::<E>(db, rows).await;
    assert_tombstones::<E>(db, rows, 3).await;
    all_at_once::<E>(db, rows).await;
    assert_tombstones::<E>(db, rows, 6).await;
}

async fn one_by_one<E>(db: &DatabaseConnection, rows: &[E::Model])
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    for (at, row) in rows.iter().enumerate() {
        let way = WAYS[at % WAYS.len()];
        let save = |act, row| way.save(db, act, whole::<_, E::ActiveModel>(row));
        save(Act::Insert, noted(row, "one")).await.unwrap();
        save(Act::Update, noted(row, "two")).await.unwrap();
        save(Act::Update, noted(row, "two")).await.unwrap();
    }
    assert_counts::<E>(db, rows, 2, "one by one").await;
    for (at, row) in rows.iter().enumerate() {
        let way = WAYS[at % WAYS.len()];
        way.save(db, Act::Delete, row.clone().into_active_model())
            .await
            .unwrap();
    }
}

async fn all_at_once<E>(db: &DatabaseConnection, rows: &[E::Model])
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    let db = RecordedConnection::new(db.clone());
    let steps = [
        (Act::Insert, "three", 4),
        (Act::Update, "fourth", 5),
        (Act::Update, "fourth", 5),
        (Act::Delete, "", 0),
    ];
    for (act, note, expected) in steps {
        let txn = db.begin().await.unwrap();
        for row in rows {
            saved(&txn, act, whole::<_, E::ActiveModel>(noted(row, note)))
                .await
                .unwrap();
        }
        txn.commit().await.unwrap();
        if expected > 0 {
            assert_counts::<E>(
                db.inner(),
                rows,
                expected,
                &format!("at once, {act:?} {note}"),
            )
            .await;
        }
    }
}

async fn assert_tombstones<E: Recorded>(
    db: &DatabaseConnection,
    rows: &[E::Model],
    expected: usize,
) {
    for row in rows {
        let key = key_of(row);
        let records = records::<E>(db, &key).await;
        assert_eq!(records.len(), expected, "{key:?}");
        let event = records.last().unwrap().get(E::Record::EVENT);
        assert_eq!(event, Event::Deleted.as_str().into(), "{key:?}");
    }
}

async fn created_and_live<E>(db: &DatabaseConnection, rows: Vec<E::Model>)
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    create::<E>(db).await;
    live::<E>(db, &rows).await;
}

/// Rows of the entity in this module, of these keys.
macro_rules! live {
    ($test:ident, $name:ident, $keys:expr, |$key:pat_param| {$($field:ident: $value:expr),+}) => {{
        let rows = $keys.into_iter().map(|$key| $name::Model { $($field: $value,)+ note: String::new() });
        created_and_live::<$name::Entity>(&$test.connect().await, rows.collect()).await;
    }};
}

/// Tables whose text has this collation.
async fn collate<E: EntityTrait>(db: &DatabaseConnection, collation: &str) {
    let table = E::default().table_name().to_owned();
    db.execute_unprepared(&format!(
        "ALTER TABLE `{table}` CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}"
    ))
    .await
    .unwrap();
}

async fn clear<E: Recorded>(db: &DatabaseConnection) {
    E::Record::delete_many().exec(db).await.unwrap();
}

each_database! {
    async fn integer_keys(test: TestDb) {
        live!(test, by_int, [1, -1, 0, i32::MAX, i32::MIN], |id| { id: id });
    }

    async fn native_enums_in_keys(test: TestDb) {
        let db = test.connect().await;
        create::<by_enum::Entity>(&db).await;
        let row = |(owner, role)| by_enum::Model { owner, role, note: String::new() };
        let rows = [(1, by_enum::Role::Reader), (1, by_enum::Role::Writer), (2, by_enum::Role::Reader)].map(row);
        live::<by_enum::Entity>(&db, &rows).await;
        let more = rows.iter().map(|row| whole::<_, by_enum::ActiveModel>(row.clone()));
        sea_orm_record::insert_many(more, &db).await.unwrap();
        let text = sea_orm::sea_query::Expr::value("at once");
        sea_orm_record::update_many(by_enum::Entity).col_expr(by_enum::Column::Note, text).exec(&db).await.unwrap();
        assert!(!sea_orm_record::RecordedModel::has_unrecorded_changes(&rows[0], &db).await.unwrap());
        db.execute_unprepared("UPDATE k_enum SET note = 'raw'").await.unwrap();
        assert_eq!(sea_orm_record::verify(by_enum::Entity).repair().exec(&db).await.unwrap().repaired, 3);
        let upsert = rows.iter().map(|row| whole::<_, by_enum::ActiveModel>(row.clone()));
        let upsert = sea_orm_record::upsert_many(upsert, [by_enum::Column::Owner, by_enum::Column::Role], |it| it.update_column(by_enum::Column::Note));
        assert_eq!(upsert.exec(&db).await.unwrap().len(), 3);
        sea_orm_record::delete_many(by_enum::Entity).exec(&db).await.unwrap();
        assert!(sea_orm_record::verify(by_enum::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn the_past_of_rows_with_native_enums_in_keys_is_asked_pruned_and_erased(test: TestDb) -> TestResult {
        use by_enum::{Entity, Model, Role, record};
        use record::Column::{Length, Note, RecordingOwner};
        let db = test.connect().await;
        create::<Entity>(&db).await;
        let t = |minutes| at("2024-03-01T00:00:00Z") + TimeDelta::minutes(minutes);
        let past = |owner, role, minutes, note: &str| record::Model {
            recording_owner: owner, recording_role: role, recorded_at: t(minutes), event: Event::Updated,
            note: note.to_owned(), length: note.len() as i32,
        };
        // More rows than a page, and one with a record every ten minutes, the last of which says nothing new.
        let readers = (0..300).flat_map(|owner| [past(owner, Role::Reader, 0, "one"), past(owner, Role::Reader, 60, "later")]);
        let notes = (0..12).chain([11]).zip(0..);
        let writer = notes.map(|(length, n)| past(1, Role::Writer, 10 * n, &"n".repeat(length)));
        insert::<record::Entity, _>(&db, readers.chain(writer)).await;

        for changes in [Entity::records().changes(), Entity::records().changes().newest_first()] {
            assert_eq!(changes.all(&db).await?.len(), 613);
        }
        assert_eq!(Entity::diff_between(t(0), t(60)).all(&db).await?.len(), 301);
        let later = Entity::records().filter(Note.eq("later"));
        assert_eq!(later.diff_between(t(60), t(0)).all(&db).await?.len(), 300);
        assert_eq!(Entity::as_of(t(30)).all(&db).await?.len(), 301);
        assert_eq!(Entity::records().latest_of_each().all(&db).await?.len(), 301);

        let row = Model { owner: 1, role: Role::Writer, note: String::new() };
        let one = || row.records().until(t(120));
        let asked = [first(Length), last(Length), ohlc(Length), time_weighted_mean(Length)];
        for records in [one(), one().filter(Note.ne("none"))] {
            let lengths = |found: Vec<record::Model>| found.iter().map(|it| it.length).collect::<Vec<_>>();
            assert_eq!(lengths(records.clone().resample("1h")?.all(&db).await?), [5, 11]);
            assert_eq!(lengths(records.resample("1h")?.first().all(&db).await?), [0, 6]);
        }
        assert_eq!(one().resample("1h")?.forward_fill().all(&db).await?.len(), 2);
        for (records, rows) in [(one(), 1), (Entity::records().until(t(120)), 301)] {
            assert_eq!(records.clone().resample("1h")?.all(&db).await?.len(), 2 * rows);
            let found = records.resample("1h")?.agg(asked).all(&db).await?;
            assert_eq!(found.len(), 2 * rows);
            let found = found.iter().find(|it| it.row() == Some((1, Role::Writer))).ok_or("no row")?;
            let numbers = [first(Length), last(Length), time_weighted_mean(Length)].map(|part| found.get(part).unwrap().unwrap().to_f64());
            assert_eq!(numbers, [0.0, 5.0, 2.5]);
        }

        let back = Entity::records().filter(RecordingOwner.lt(3)).restore_to(t(0));
        assert_eq!(back.preview().all(&db).await?.len(), 4);
        assert_eq!(back.apply(&db).await?.restored, 4);
        assert_eq!(Entity::find().count(&db).await?, 4);

        assert_eq!(dedupe(Entity).at_a_time(7).exec(&db).await?.removed, 1);
        assert_eq!(prune_before(Entity, t(60)).at_a_time(7).exec(&db).await?.removed, 5);
        assert_eq!(carry_forward(Entity, t(105)).exec(&db).await?.carried, 301);
        assert!(erase(Entity, (1, Role::Writer)).exec(&db).await?.records > 0);
        // Of the others there is no row.
        assert_eq!(verify(Entity).repair().exec(&db).await?.repaired, 297);
        assert!(verify(Entity).exec(&db).await?.is_clean());
        Ok(())
    }

    async fn a_record_entity_may_order_the_columns_of_its_key_as_it_likes(test: TestDb) {
        let db = test.connect().await;
        create::<by_hand::Entity>(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let row = |note: &str| whole::<_, by_hand::ActiveModel>(by_hand::Model { article: 7, tenant: 1, note: note.to_owned() });
        row("one").insert(&db).await.unwrap();
        row("two").update(&db).await.unwrap();
        recorded.transaction_async(async |txn| row("three").update(txn).await).await.unwrap();
        let found = sea_orm_record::verify(by_hand::Entity).exec(&db).await.unwrap();
        assert!(found.is_clean(), "{found:?}");
        let model = by_hand::Entity::find().one(&db).await.unwrap().unwrap();
        let records = sea_orm_record::RecordedModel::records(&model).all(&db).await.unwrap();
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|record| (record.recording_article, record.recording_tenant) == (7, 1)));
        sea_orm_record::delete_many(by_hand::Entity).exec(&db).await.unwrap();
        let found = sea_orm_record::verify(by_hand::Entity).exec(&db).await.unwrap();
        assert!(found.is_clean(), "{found:?}");
    }

    async fn long_keys(test: TestDb) {
        live!(test, by_long, [1, -1, 0, i64::MAX, i64::MIN], |id| { id: id });
    }

    async fn uuid_keys(test: TestDb) {
        live!(test, by_uuid, [0, 1, u128::MAX / 3, u128::MAX], |id| { id: Uuid::from_u128(id) });
    }

    async fn string_keys_with_every_kind_of_character(test: TestDb) {
        live!(test, by_string, STRINGS, |id| { id: id.to_owned() });
        live!(test, by_string_with, STRINGS, |id| { id: id.to_owned() });
    }

    async fn composite_keys_of_integer_and_string(test: TestDb) {
        let keys = || STRINGS.into_iter().flat_map(|slug| [(1, slug), (2, slug)]);
        live!(test, by_int_string, keys(), |(tenant, slug)| { tenant: tenant, slug: slug.to_owned() });
        live!(test, by_int_string_with, keys(), |(tenant, slug)| { tenant: tenant, slug: slug.to_owned() });
    }

    async fn composite_keys_of_uuid_and_integer(test: TestDb) {
        live!(test, by_uuid_int, [(1, 1), (1, 2), (u128::MAX, 1), (0, -5)], |(owner, number)| {
            owner: Uuid::from_u128(owner), number: number
        });
    }

    async fn string_keys_of_any_collation(test: TestDb) {
        if !is(&test, Engine::MariaDb) {
            return;
        }
        let db = test.connect().await;
        create::<by_string::Entity>(&db).await;
        create::<by_string_with::Entity>(&db).await;
        create::<by_int_string_with::Entity>(&db).await;
        let collations = ["utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci"];
        for source in collations {
            for record in collations {
                collate::<by_string::Entity>(&db, source).await;
                collate::<by_string::record::Entity>(&db, record).await;
                collate::<by_string_with::Entity>(&db, source).await;
                collate::<by_string_with::record::Entity>(&db, record).await;
                collate::<by_int_string_with::Entity>(&db, source).await;
                collate::<by_int_string_with::record::Entity>(&db, record).await;
                let note = String::new;
                let rows = STRINGS.map(|id| by_string::Model { id: id.to_owned(), note: note() });
                live::<by_string::Entity>(&db, &rows).await;
                let rows = STRINGS.map(|id| by_string_with::Model { id: id.to_owned(), note: note() });
                live::<by_string_with::Entity>(&db, &rows).await;
                let rows = STRINGS.map(|slug| by_int_string_with::Model { tenant: 1, slug: slug.to_owned(), note: note() });
                live::<by_int_string_with::Entity>(&db, &rows).await;
                clear::<by_string::Entity>(&db).await;
                clear::<by_string_with::Entity>(&db).await;
                clear::<by_int_string_with::Entity>(&db).await;
            }
        }
    }

    async fn a_backfill_passes_over_what_is_recorded_whatever_the_collations_of_its_keys(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<by_string::Entity>(&db).await;
        db.execute_unprepared(match test.engine() {
            Engine::Sqlite => "DROP TABLE k_string; CREATE TABLE k_string (id text COLLATE NOCASE PRIMARY KEY NOT NULL, note text NOT NULL)",
            Engine::Postgres => "ALTER TABLE k_string ALTER id TYPE varchar COLLATE \"en-US-x-icu\"",
            Engine::MariaDb => "ALTER TABLE k_string MODIFY id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
        }).await?;
        let rows = ["a", "B", "c", "Z"].map(|id| by_string::Model { id: id.to_owned(), note: "raw".to_owned() });
        by_string::Entity::insert_many(rows.map(whole::<_, by_string::ActiveModel>)).exec_without_returning(&db).await?;
        assert_eq!(backfill(by_string::Entity).exec(&db).await?.records, 4);
        assert_eq!(backfill(by_string::Entity).exec(&db).await?.records, 0);
        assert_eq!(by_string::record::Entity::find().count(&db).await?, 4);
        Ok(())
    }

    async fn keys_that_differ_in_case_alone_have_histories_of_their_own(test: TestDb) {
        let db = test.connect().await;
        create::<by_string::Entity>(&db).await;
        create::<by_string_with::Entity>(&db).await;
        if is(&test, Engine::MariaDb) {
            collate::<by_string::Entity>(&db, "utf8mb4_bin").await;
            collate::<by_string::record::Entity>(&db, "utf8mb4_bin").await;
            collate::<by_string_with::Entity>(&db, "utf8mb4_bin").await;
            collate::<by_string_with::record::Entity>(&db, "utf8mb4_bin").await;
        }
        let ids = ["abc", "ABC", "Abc", "àbc"];
        let rows = ids.map(|id| by_string::Model { id: id.to_owned(), note: String::new() });
        live::<by_string::Entity>(&db, &rows).await;
        let rows = ids.map(|id| by_string_with::Model { id: id.to_owned(), note: String::new() });
        live::<by_string_with::Entity>(&db, &rows).await;
    }

    /// MariaDB takes another spelling of a key for the key, where its collation does.
    async fn a_row_that_is_saved_under_another_spelling_of_its_key_keeps_one_history(test: TestDb) {
        if !is(&test, Engine::MariaDb) {
            return;
        }
        let db = test.connect().await;
        create::<by_string_with::Entity>(&db).await;
        let row = |id: &str, note: &str| by_string_with::Model { id: id.to_owned(), note: note.to_owned() };
        for (at, way) in WAYS.into_iter().enumerate() {
            let (lower, upper) = (format!("key{at}"), format!("KEY{at}"));
            way.save(&db, Act::Insert, whole::<_, by_string_with::ActiveModel>(row(&lower, "one"))).await.unwrap();
            way.save(&db, Act::Update, whole::<_, by_string_with::ActiveModel>(row(&upper, "second"))).await.unwrap();
            assert_counts::<by_string_with::Entity>(&db, &[row(&lower, "")], 2, &format!("{way:?}")).await;
            way.save(&db, Act::Delete, whole::<_, by_string_with::ActiveModel>(row(&upper, ""))).await.unwrap();
            assert_tombstones::<by_string_with::Entity>(&db, &[row(&lower, "")], 3).await;
        }
        let found = by_string_with::record::Entity::find();
        let found = sea_orm::QueryFilter::filter(found, by_string_with::record::Column::RecordingId.eq("KEY0"));
        assert_eq!(found.all(&db).await.unwrap().len(), 3);
    }
}
