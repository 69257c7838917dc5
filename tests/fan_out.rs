//! Dependents in more chunks than one.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel,
    QueryOrder, Set,
};
use sea_orm_record::insert_many;

use crate::blog::create_table;
use crate::harness::{Engine, each_database};

mod depot {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "depot")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub parcels: HasMany<super::parcel::Entity>,
        #[sea_orm(has_many)]
        pub letters: HasMany<super::letter::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Of columns that JSON says as they are; a property tells all of them.
mod parcel {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))")]
    pub enum Speed {
        #[sea_orm(string_value = "slow")]
        Slow,
        #[sea_orm(string_value = "fast")]
        Fast,
    }

    #[recorded(columns(code), properties(#[sea_orm(column_type = "Text")] label: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "parcel")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub depot_id: i32,
        pub code: String,
        pub note: Option<String>,
        pub fragile: bool,
        pub size: i16,
        pub weight: Option<i32>,
        pub speed: Speed,
        pub backup: Option<Speed>,
        #[sea_orm(belongs_to, from = "depot_id", to = "id")]
        pub depot: BelongsTo<super::depot::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|parcels, db| {
                    Box::pin(async move {
                        let depots = parcels.load_one(super::depot::Entity, &db).await?;
                        let rows = parcels.iter().zip(depots);
                        let label = |(parcel, depot)| record::Properties {
                            label: super::label(parcel, depot),
                        };
                        Ok(rows.map(label).collect())
                    })
                })
                .watch(super::depot::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// With a column that JSON does not say.
mod letter {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(sent), properties(#[sea_orm(column_type = "Text")] label: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "letter")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub depot_id: i32,
        pub sent: Date,
        #[sea_orm(belongs_to, from = "depot_id", to = "id")]
        pub depot: BelongsTo<super::depot::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|letters, db| {
                    Box::pin(async move {
                        let depots = letters.load_one(super::depot::Entity, &db).await?;
                        let rows = letters.iter().zip(depots);
                        let label = |(letter, depot)| record::Properties {
                            label: super::label(letter, depot),
                        };
                        Ok(rows.map(label).collect())
                    })
                })
                .watch(super::depot::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

fn label(row: &impl std::fmt::Debug, depot: Option<depot::Model>) -> String {
    format!(
        "{row:?} at {}",
        depot.map_or(String::new(), |depot| depot.name)
    )
}

const ROWS: i64 = 2_300;

/// Texts that a format in between might change.
const TEXTS: [&str; 8] = [
    "",
    "plain",
    "\"quoted\" \\ and\\n",
    "a\n\t\r\u{1}\u{7f}",
    "🦀 ß \u{2028}",
    "null",
    "12.50",
    "[1, {\"a\": 2}]",
];

fn parcel(id: i64) -> parcel::ActiveModel {
    let text = |at: i64| TEXTS[(at % 8) as usize].to_owned();
    let speed = |at: i64| {
        if at % 2 == 0 {
            parcel::Speed::Slow
        } else {
            parcel::Speed::Fast
        }
    };
    parcel::ActiveModel {
        id: Set(id * 4_000_000_000),
        depot_id: Set(1),
        code: Set(text(id)),
        note: Set((id % 3 > 0).then(|| text(id / 8))),
        fragile: Set(id % 5 == 0),
        size: Set(if id % 2 == 0 { i16::MIN } else { i16::MAX }),
        weight: Set((id % 7 > 0).then_some(i32::MAX - id as i32)),
        speed: Set(speed(id)),
        backup: Set((id % 4 == 0).then(|| speed(id / 4))),
    }
}

async fn fill(db: &DatabaseConnection) -> depot::Model {
    create_table(db, depot::Entity).await;
    create_table(db, parcel::Entity).await;
    create_table(db, parcel::record::Entity).await;
    create_table(db, letter::Entity).await;
    create_table(db, letter::record::Entity).await;
    let depot = depot::ActiveModel {
        id: Set(1),
        name: Set("before".to_owned()),
    };
    let depot = depot.insert(db).await.unwrap();
    insert_many((1..=ROWS).map(parcel), db).await.unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let letters = (1..=ROWS).map(|id| letter::ActiveModel {
        id: Set(id),
        depot_id: Set(1),
        sent: Set(day + chrono::Days::new(id as u64)),
    });
    insert_many(letters, db).await.unwrap();
    depot
}

async fn rename(
    depot: &depot::Model,
    name: &str,
    db: &impl ConnectionTrait,
) -> Result<depot::Model, sea_orm::DbErr> {
    let renamed = depot::ActiveModel {
        name: Set(name.to_owned()),
        ..depot.clone().into_active_model()
    };
    renamed.update(db).await
}

each_database! {
    async fn dependents_in_several_chunks_are_recorded_as_they_are(test: TestDb) {
        let (db, counter) = test.counted().await;
        let depot = fill(&db).await;
        counter.clear();
        rename(&depot, "after", &db).await.unwrap();
        let statements = counter.take_statements();
        assert!(statements.len() <= 2 * 3 * 5, "{}", statements.join("\n"));
        // On SQLite the chunks after the first come as one row each.
        let packed = statements.iter().filter(|sql| sql.contains("json_group_array")).count();
        assert_eq!(packed, if test.engine() == Engine::Sqlite { 2 } else { 0 });
        let parcels = parcel::Entity::find().order_by_asc(parcel::Column::Id).all(&db).await.unwrap();
        let latest = parcel::record::Entity::find().order_by_asc(parcel::record::Column::RecordingId).order_by_asc(parcel::record::Column::RecordedAt).all(&db).await.unwrap();
        assert_eq!(latest.len(), 2 * ROWS as usize);
        for (parcel, records) in parcels.iter().zip(latest.chunks(2)) {
            assert_eq!(records[1].label, format!("{parcel:?} at after"));
            assert_eq!(records[1].code, parcel.code);
        }
        let letters = letter::Entity::find().order_by_asc(letter::Column::Id).all(&db).await.unwrap();
        let latest = letter::record::Entity::find().order_by_asc(letter::record::Column::RecordingId).order_by_asc(letter::record::Column::RecordedAt).all(&db).await.unwrap();
        for (letter, records) in letters.iter().zip(latest.chunks(2)) {
            assert_eq!(records[1].label, format!("{letter:?} at after"));
        }
    }

    async fn a_row_in_a_later_chunk_that_cannot_be_read_fails_the_save(test: TestDb) {
        // Elsewhere a column holds what its type says.
        if test.engine() != Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        let depot = fill(&db).await;
        let last = ROWS * 4_000_000_000;
        for bad in ["code = x'ff'", "code = x'6162'", "size = 40000", "size = 'huge'", "speed = 'idle'", "note = CAST(x'ff41' AS text)"] {
            let set = format!("UPDATE parcel SET {bad} WHERE id = {last}");
            db.execute_unprepared(&set).await.unwrap();
            let read = parcel::Entity::find_by_id(last).one(&db).await;
            let saved = rename(&depot, bad, &db).await;
            // Just as it is by SeaORM.
            assert_eq!(saved.is_err(), read.is_err(), "{bad}: {saved:?} {read:?}");
            if let Err(error) = saved {
                assert!(error.to_string().contains("`parcel`"), "{error}");
                assert_eq!(depot::Entity::find().one(&db).await.unwrap().unwrap().name, "before");
            }
            let whole = parcel(ROWS);
            whole.reset_all().update(&db).await.unwrap();
        }
    }
}
