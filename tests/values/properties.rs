//! Every type as a property; values that a database would alter are refused.

use sea_orm::prelude::{DateTime, DateTimeUtc};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, Set, TransactionTrait};
use sea_orm_record::{RecordError, Recorded, RecordedConnection};

use super::protocol::*;
use crate::harness::{Engine, each_database};

macro_rules! entity {
    ($name:ident, $table:literal, {$($body:tt)*}, {$($properties:tt)*}, |$model:ident| $compute:expr) => {
        pub(super) mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded(properties($($properties)*))]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: i32,
                $($body)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::<Self>::new().properties(|$model| $compute)
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}
pub(super) use entity;

entity!(computed, "v_computed", {
    pub step: i32,
}, {
    p_i16: i16,
    p_i32: i32,
    p_i64: Option<i64>,
    p_f32: f32,
    p_f64: Option<f64>,
    p_bool: bool,
    p_string: String,
    #[sea_orm(column_type = "Text", nullable)] p_text: Option<String>,
    #[sea_orm(column_type = "Char(Some(6))")] p_char: String,
    p_bytes: Vec<u8>,
    p_date: Date,
    p_time: Time,
    p_naive: DateTime,
    p_utc: DateTimeUtc,
    p_zoned: Option<DateTimeWithTimeZone>,
    p_uuid: Option<Uuid>,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))")] p_decimal: Decimal,
    p_json: Json,
    #[sea_orm(column_type = "JsonBinary", nullable)] p_binary: Option<Json>,
    p_status: crate::values::columns::everything::Word,
    p_number: Option<crate::values::columns::everything::Number>,
    p_native: crate::values::columns::everything::Native,
}, |model| super::compute(model.step));

entity!(huge, "v_huge", {
    pub half: i64,
}, {
    doubled: u64,
}, |model| record::Properties {
    doubled: model.half as u64 * 2,
});

// Types of which a database that has arrays takes many rows at once.
entity!(together, "v_together", {
    pub step: i32,
}, {
    t_i16: i16,
    t_i32: i32,
    t_i64: i64,
    t_f32: f32,
    t_f64: f64,
    t_bool: bool,
    t_string: String,
    #[sea_orm(column_type = "Char(Some(6))")] p_char: String,
    t_bytes: Vec<u8>,
    t_date: Date,
    t_time: Time,
    t_naive: DateTime,
    t_utc: DateTimeUtc,
    t_uuid: Uuid,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))")] t_decimal: Decimal,
    t_sometimes: Option<String>,
}, |model| super::compute_together(model.step));

/// With a NULL in every fourth row from the hundredth on.
fn compute_together(step: i32) -> together::record::Properties {
    let naive: DateTime = "2024-02-29T23:59:59.000001".parse().unwrap();
    let naive = naive + chrono::TimeDelta::microseconds(i64::from(step) * 86_399_999_999);
    together::record::Properties {
        t_i16: i16::MIN + step as i16,
        t_i32: i32::MAX - step,
        t_i64: i64::MIN + i64::from(step),
        t_f32: 0.1 + step as f32,
        t_f64: 0.1 + f64::from(step),
        t_bool: step % 2 == 0,
        t_string: format!("{{\"{step}\", NULL, 🦀 \\}}"),
        p_char: format!("a{step}"),
        t_bytes: vec![0, 255, step as u8],
        t_date: naive.date(),
        t_time: naive.time(),
        t_naive: naive,
        t_utc: naive.and_utc(),
        t_uuid: sea_orm::prelude::Uuid::from_u128(step as u128),
        t_decimal: sea_orm::prelude::Decimal::new(i64::from(step) - 7, 4),
        t_sometimes: (step < 100 || step % 4 > 0).then(|| format!("NULL {step}")),
    }
}

fn compute(step: i32) -> computed::record::Properties {
    use crate::values::columns::everything::{Native, Number, Word};
    let odd = step % 2 == 1;
    let naive: DateTime = format!("2024-02-29T23:59:5{step}.00000{step}")
        .parse()
        .unwrap();
    computed::record::Properties {
        p_i16: i16::MIN + step as i16,
        p_i32: i32::MAX - step,
        p_i64: odd.then_some(i64::MAX),
        p_f32: 0.1 + step as f32,
        p_f64: odd.then_some(0.1 + 0.2),
        p_bool: odd,
        p_string: ["abc", "ABC", "ABC "][step as usize].to_owned(),
        p_text: odd.then(|| "🦀 it's \\ \"".to_owned()),
        p_char: ["ab", "AB", "abcdef"][step as usize].to_owned(),
        p_bytes: vec![0, 255, step as u8],
        p_date: naive.date(),
        p_time: naive.time(),
        p_naive: naive,
        p_utc: naive.and_utc(),
        p_zoned: odd.then(|| "2024-01-01T00:00:00.25+05:30".parse().unwrap()),
        p_uuid: odd.then(|| sea_orm::prelude::Uuid::from_u128(step as u128)),
        p_decimal: ["1.5", "1234567.8901", "-0.0001"][step as usize]
            .parse()
            .unwrap(),
        p_json: serde_json::json!({"b": step, "a": [1.5, "x"]}),
        p_binary: odd.then(|| serde_json::json!({"z": null, "a": {"d": "\"", "c": 1}})),
        p_status: if odd { Word::Draft } else { Word::Shouted },
        p_number: odd.then_some(Number::Draft),
        p_native: if odd { Native::Draft } else { Native::Public },
    }
}

// What a property holds for each `kind` is in `poison`.
entity!(poisoned, "v_poisoned", {
    pub kind: i32,
}, {
    of_kind: i32,
    double: Option<f64>,
    single: Option<f32>,
    text: Option<String>,
    time: Option<Time>,
    naive: Option<DateTime>,
    utc: Option<DateTimeUtc>,
    zoned: Option<DateTimeWithTimeZone>,
    #[sea_orm(column_type = "Decimal(Some((28, 10)))", nullable)] decimal: Option<Decimal>,
}, |model| super::poison(model.kind));

const SUBMICRO: &str = "2024-02-29T12:00:00.123456789";

fn poison(kind: i32) -> poisoned::record::Properties {
    let sub: DateTime = SUBMICRO.parse().unwrap();
    let sub_utc: DateTimeUtc = sub.and_utc();
    let only = |n: i32| kind == n;
    poisoned::record::Properties {
        of_kind: kind,
        double: match kind {
            1 => Some(f64::NAN),
            9 => Some(f64::INFINITY),
            _ => None,
        },
        single: match kind {
            2 => Some(f32::NAN),
            10 => Some(f32::NEG_INFINITY),
            _ => None,
        },
        text: only(4).then(|| "a\0b".to_owned()),
        time: only(5).then(|| sub.time()),
        naive: only(6).then_some(sub),
        utc: only(7).then_some(sub_utc),
        zoned: only(8).then(|| sub_utc.fixed_offset()),
        decimal: only(11).then(|| "123456789012345678.0123456789".parse().unwrap()),
    }
}

/// The property that this database cannot keep, if it cannot.
fn refused(engine: Engine, kind: i32) -> Option<&'static str> {
    use Engine::{MariaDb, Postgres, Sqlite};
    match (kind, engine) {
        (1, Sqlite | MariaDb) | (9, MariaDb) => Some("double"),
        (2, Sqlite | MariaDb) | (10, MariaDb) => Some("single"),
        (4, Postgres) => Some("text"),
        (5, Postgres | MariaDb) => Some("time"),
        (6, Postgres | MariaDb) => Some("naive"),
        (7, Postgres | MariaDb) => Some("utc"),
        (8, Postgres | MariaDb) => Some("zoned"),
        (11, Sqlite) => Some("decimal"),
        _ => None,
    }
}

#[track_caller]
fn assert_names(error: &DbErr, column: &str) {
    match RecordError::of(error) {
        Some(RecordError::Value {
            entity,
            column: named,
            ..
        }) => {
            assert_eq!((entity.as_str(), named.as_str()), ("v_poisoned", column));
        }
        other => panic!("{column}: {other:?} in {error:?}"),
    }
}

pub(super) async fn assert_properties<E>(
    db: &sea_orm::DatabaseConnection,
    expected: &[(&str, sea_orm::Value)],
    id: i32,
) where
    E: Recorded,
{
    use sea_orm::{IdenStatic, Iterable, ModelTrait};
    let records = records::<E>(db, &vec![id.into()]).await;
    let last = records.last().unwrap();
    for (name, value) in expected {
        let column =
            <E::Record as EntityTrait>::Column::iter().find(|column| column.as_str() == *name);
        let kept = last.get(column.unwrap());
        // A fixed-width column pads.
        let kept = match (&kept, value) {
            (sea_orm::Value::String(Some(kept)), sea_orm::Value::String(Some(value)))
                if *name == "p_char" && kept.len() > value.len() =>
            {
                kept.trim_end().to_owned().into()
            }
            _ => kept,
        };
        assert_eq!(&kept, value, "{name}");
    }
}

pub(super) fn named<P: sea_orm_record::Properties>(
    properties: P,
) -> Vec<(&'static str, sea_orm::Value)> {
    P::NAMES
        .iter()
        .copied()
        .zip(properties.into_values())
        .collect()
}

each_database! {
    async fn every_type_serves_as_a_property_and_is_quiet(test: TestDb) {
        let db = test.connect().await;
        if is(&test, Engine::Postgres) {
            use sea_orm::ConnectionTrait;
            db.execute_unprepared("CREATE TYPE v_native AS ENUM ('draft', 'in the open')").await.unwrap();
        }
        create::<computed::Entity>(&db).await;
        let values = [0, 1, 2].map(|step| computed::Model { id: 0, step });
        walk::<computed::Entity>(&db, values.to_vec()).await;
        for step in 0..3 {
            let id = 100 + step;
            let row = computed::ActiveModel { id: Set(id), step: Set(step) }.insert(&db).await.unwrap();
            assert_properties::<computed::Entity>(&db, &named(compute(step)), id).await;
            row.delete(&db).await.unwrap();
            assert_properties::<computed::Entity>(&db, &named(compute(step)), id).await;
        }
    }

    async fn rows_that_are_recorded_together_hold_what_each_would_by_itself(test: TestDb) {
        let db = test.connect().await;
        create::<together::Entity>(&db).await;
        let gathering = RecordedConnection::new(db.clone());
        for from in [0, 40, 100] {
            // First one by one, which are updated, then runs, which were not there before.
            let steps: Vec<i32> = (from..from + 40).collect();
            let rows = steps.iter().map(|id| together::ActiveModel { id: Set(*id), step: Set(*id) });
            let txn = gathering.begin().await.unwrap();
            for row in rows.clone().take(20) {
                row.insert(&txn).await.unwrap();
            }
            sea_orm_record::insert_many(rows.skip(20), &txn).await.unwrap();
            txn.commit().await.unwrap();
            for step in &steps {
                assert_properties::<together::Entity>(&db, &named(compute_together(*step)), *step).await;
            }
            let txn = gathering.begin().await.unwrap();
            for id in &steps {
                let row = together::ActiveModel { id: Set(*id), step: Set(id + 1) };
                row.update(&txn).await.unwrap();
            }
            txn.commit().await.unwrap();
            for step in &steps {
                assert_properties::<together::Entity>(&db, &named(compute_together(step + 1)), *step).await;
            }
        }
        let before = together::record::Entity::find().count(&db).await.unwrap();
        assert_eq!(before, 240);
        let again = sea_orm_record::verify(together::Entity).exec(&db).await.unwrap();
        assert!(again.is_clean(), "{again:?}");
    }

    async fn a_property_that_would_be_altered_is_refused_and_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        create::<poisoned::Entity>(&db).await;
        let cases = (1..=11).filter_map(|kind| Some((kind, refused(test.engine(), kind)?)));
        for (kind, column) in cases {
            for (n, way) in WAYS.into_iter().enumerate() {
                // One that is not there yet.
                let id = 1000 + 10 * kind + n as i32;
                let key = vec![id.into()];
                let row = poisoned::Model { id, kind };
                let error = way.save(&db, Act::Insert, whole::<_, poisoned::ActiveModel>(row.clone())).await.unwrap_err();
                assert_names(&error, column);
                assert!(!error.to_string().contains("123456789"), "{error} shows the value");
                assert!(records::<poisoned::Entity>(&db, &key).await.is_empty());
                let there = stored::<poisoned::Entity>(&db, &key).await;
                // Here the row commits before it is recorded.
                assert_eq!(there.is_some(), way == Way::Trait);

                // One that is.
                let id = id + 500;
                let key = vec![id.into()];
                let row = poisoned::Model { id, kind: 0 };
                let row = poisoned::ActiveModel::insert(whole(row), &db).await.unwrap();
                let mut am = row.into_active_model();
                am.kind = Set(kind);
                let error = way.save(&db, Act::Update, am).await.unwrap_err();
                assert_names(&error, column);
                assert_eq!(records::<poisoned::Entity>(&db, &key).await.len(), 1);
                let row = stored::<poisoned::Entity>(&db, &key).await.unwrap();
                assert_eq!(row.kind == 0, way != Way::Trait);
            }
        }
    }

    async fn a_property_that_is_kept_as_it_is_is_quiet(test: TestDb) {
        let db = test.connect().await;
        create::<poisoned::Entity>(&db).await;
        let kept = (0..=11).filter(|kind| refused(test.engine(), *kind).is_none());
        let kept = kept.filter(|kind| *kind != 3);
        let rows: Vec<_> = kept.map(|kind| poisoned::Model { id: 0, kind }).collect();
        let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
        walk::<poisoned::Entity>(&db, rows).await;
        for kind in kinds {
            poisoned::ActiveModel { id: Set(100 + kind), kind: Set(kind) }.insert(&db).await.unwrap();
            assert_properties::<poisoned::Entity>(&db, &named(poison(kind)), 100 + kind).await;
        }
    }

    /// SeaORM cannot read `u64` back on SQLite and PostgreSQL, so records are counted alone.
    async fn an_unsigned_property_above_the_largest_integer_is_refused(test: TestDb) {
        let db = test.connect().await;
        create::<huge::Entity>(&db).await;
        for way in WAYS {
            let row = huge::Model { id: 1, half: i64::MAX / 2 };
            way.save(&db, Act::Insert, whole::<_, huge::ActiveModel>(row.clone())).await.unwrap();
            way.save(&db, Act::Update, whole::<_, huge::ActiveModel>(row)).await.unwrap();
            assert_eq!(huge::record::Entity::find().count(&db).await.unwrap(), 1);
            let row = huge::Model { id: 1, half: i64::MAX / 2 + 1 };
            let saved = way.save(&db, Act::Update, whole::<_, huge::ActiveModel>(row)).await;
            if is(&test, Engine::MariaDb) {
                saved.unwrap();
                assert_eq!(huge::record::Entity::find().count(&db).await.unwrap(), 2);
            } else {
                let error = saved.unwrap_err();
                let Some(RecordError::Value { column, .. }) = RecordError::of(&error) else { panic!("{error}") };
                assert_eq!(column, "doubled");
                assert_eq!(huge::record::Entity::find().count(&db).await.unwrap(), 1);
            }
            huge::Entity::delete_many().exec(&db).await.unwrap();
            huge::record::Entity::delete_many().exec(&db).await.unwrap();
        }
    }

    async fn one_refused_row_refuses_its_whole_transaction(test: TestDb) {
        use sea_orm_record::RecordedConnection;
        let Some((kind, column)) = (1..=11).find_map(|kind| Some((kind, refused(test.engine(), kind)?))) else {
            return;
        };
        let db = test.connect().await;
        create::<poisoned::Entity>(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        for id in 0..5 {
            let kind = if id == 3 { kind } else { 0 };
            poisoned::ActiveModel { id: Set(id), kind: Set(kind) }.insert(&txn).await.unwrap();
        }
        assert_names(&txn.commit().await.unwrap_err(), column);
        assert_eq!(poisoned::Entity::find().count(&db).await.unwrap(), 0);
        assert_eq!(poisoned::record::Entity::find().count(&db).await.unwrap(), 0);
    }
}
