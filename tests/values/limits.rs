//! The ends of each type: a value is kept as it is, or refused with the column's name.

use sea_orm::prelude::{
    Date, DateTime, DateTimeUtc, Decimal, Expr, TimeDate, TimeDateTime, TimeTime,
};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, Set, Value};
use sea_orm_record::{RecordError, RecordedModel, insert_many, update_many};
use serde_json::json;

use super::properties::{assert_properties, entity, named};
use super::protocol::*;
use crate::harness::Engine::{MariaDb, Postgres, Sqlite};
use crate::harness::{Engine, each_database};

entity!(bounded, "v_bounded", {
    pub case: i32,
}, {
    of_case: i32,
    date: Option<Date>,
    naive: Option<DateTime>,
    utc: Option<DateTimeUtc>,
    zoned: Option<DateTimeWithTimeZone>,
    t_date: Option<TimeDate>,
    t_time: Option<TimeTime>,
    t_naive: Option<TimeDateTime>,
    t_zoned: Option<TimeDateTimeWithTimeZone>,
    #[sea_orm(column_type = "Decimal(Some((10, 2)))", nullable)] decimal: Option<Decimal>,
    json: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", nullable)] binary: Option<Json>,
    double: Option<f64>,
    #[sea_orm(column_type = "Char(Some(6))", nullable)] fixed: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(6))", nullable)] limited: Option<String>,
}, |model| super::of_case(model.case));

type Set1 = Box<dyn Fn(&mut bounded::record::Properties)>;

/// The property, its value, and the databases that cannot keep it.
type Case = (&'static str, Set1, &'static [Engine]);

macro_rules! case {
    ($name:ident, $value:expr, $refused:expr) => {{
        let set: Set1 = Box::new(|properties| properties.$name = Some($value));
        (stringify!($name), set, $refused as &[Engine])
    }};
}

fn day(year: i32) -> Date {
    Date::from_ymd_opt(year, 1, 1).unwrap()
}

fn noon(year: i32) -> DateTimeUtc {
    day(year).and_hms_micro_opt(12, 0, 0, 1).unwrap().and_utc()
}

fn t_day(year: i32) -> TimeDate {
    TimeDate::from_ordinal_date(year, 60).unwrap()
}

fn t_time(nanosecond: u32) -> TimeTime {
    TimeTime::from_hms_nano(12, 0, 0, nanosecond).unwrap()
}

fn t_naive(year: i32, nanosecond: u32) -> TimeDateTime {
    TimeDateTime::new(t_day(year), t_time(nanosecond))
}

fn t_zoned(year: i32, nanosecond: u32) -> sea_orm::prelude::TimeDateTimeWithTimeZone {
    t_naive(year, nanosecond).assume_utc()
}

/// The first instant of a leap second.
fn leap_second() -> DateTime {
    Date::from_ymd_opt(2016, 12, 31)
        .unwrap()
        .and_hms_milli_opt(23, 59, 59, 1_000)
        .unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

const NONE: &[Engine] = &[];

fn cases() -> Vec<Case> {
    vec![
        case!(date, day(1), NONE),
        case!(date, day(9999), NONE),
        case!(date, day(0), NONE),
        case!(date, day(10_000), &[MariaDb]),
        case!(date, day(-1), &[MariaDb]),
        case!(date, day(-4712), &[MariaDb]),
        case!(date, day(-4713), &[MariaDb, Postgres]),
        case!(naive, noon(1).naive_utc(), NONE),
        case!(naive, noon(9999).naive_utc(), NONE),
        case!(naive, noon(10_000).naive_utc(), &[MariaDb]),
        case!(naive, noon(-4713).naive_utc(), &[MariaDb, Postgres]),
        case!(naive, leap_second(), &[MariaDb, Postgres]),
        case!(utc, noon(1), NONE),
        case!(utc, noon(1969), NONE),
        case!(utc, noon(2040), NONE),
        case!(utc, noon(9999), NONE),
        case!(utc, noon(10_000), &[MariaDb]),
        case!(utc, leap_second().and_utc(), &[MariaDb, Postgres]),
        case!(zoned, noon(1969).fixed_offset(), NONE),
        case!(zoned, noon(2040).fixed_offset(), NONE),
        case!(zoned, noon(10_000).fixed_offset(), &[MariaDb]),
        case!(zoned, noon(-4713).fixed_offset(), &[MariaDb, Postgres]),
        case!(t_date, t_day(1), NONE),
        case!(t_date, t_day(-1), &[MariaDb]),
        case!(t_date, t_day(-4713), &[MariaDb, Postgres]),
        case!(t_time, t_time(123_456_000), NONE),
        case!(t_time, t_time(123_456_789), &[MariaDb, Postgres]),
        case!(t_naive, t_naive(9999, 123_456_000), NONE),
        case!(t_naive, t_naive(2024, 1), &[MariaDb, Postgres]),
        case!(t_naive, t_naive(-1, 0), &[MariaDb]),
        case!(t_zoned, t_zoned(1969, 123_456_000), NONE),
        case!(t_zoned, t_zoned(2040, 0), NONE),
        case!(t_zoned, t_zoned(2024, 1), &[MariaDb, Postgres]),
        case!(t_zoned, t_zoned(-1, 0), &[MariaDb, Sqlite]),
        case!(decimal, decimal("-12345678.90"), NONE),
        case!(decimal, decimal("1.2300"), NONE),
        case!(decimal, decimal("1.234"), &[MariaDb, Postgres]),
        case!(json, json!("a\0b"), &[Postgres]),
        case!(json, json!({"a": [1, {"\0": 2}]}), &[Postgres]),
        case!(
            json,
            json!({"a": [1.5e300, 0.1, u64::MAX, i64::MIN, "\u{1}\u{10ffff}"]}),
            NONE
        ),
        case!(binary, json!([["\0"]]), &[Postgres]),
        case!(binary, json!({"\\u0000": "\\u0000"}), NONE),
        case!(double, -0.0, NONE),
        case!(double, 5e-324, NONE),
        case!(double, f64::MAX, NONE),
        case!(double, f64::NEG_INFINITY, &[MariaDb]),
        case!(double, f64::NAN, &[MariaDb, Sqlite]),
        case!(fixed, "abc de".to_owned(), NONE),
        case!(fixed, "ab    ".to_owned(), &[MariaDb]),
        case!(fixed, "🦀".repeat(6), NONE),
        case!(fixed, "abcdefg".to_owned(), &[MariaDb, Postgres]),
        case!(limited, "🦀".repeat(6), NONE),
        case!(limited, "🦀".repeat(7), &[MariaDb, Postgres]),
        // PostgreSQL would cut it off, and say nothing.
        case!(limited, "abcdef ".to_owned(), &[MariaDb, Postgres]),
    ]
}

fn of_case(case: i32) -> bounded::record::Properties {
    let mut properties = bounded::record::Properties {
        of_case: case,
        date: None,
        naive: None,
        utc: None,
        zoned: None,
        t_date: None,
        t_time: None,
        t_naive: None,
        t_zoned: None,
        decimal: None,
        json: None,
        binary: None,
        double: None,
        fixed: None,
        limited: None,
    };
    if let Some((_, set, _)) = cases().get(case as usize) {
        set(&mut properties);
    }
    properties
}

/// The column that an error names, and its entity.
fn column_of(error: &DbErr) -> (&str, &str) {
    match RecordError::of(error) {
        Some(RecordError::Value { entity, column, .. }) => (entity, column),
        other => panic!("{other:?} in {error:?}"),
    }
}

/// A record entity by hand, whose column is shorter than the one that it repeats.
mod clipped {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "v_clipped")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(column_type = "String(StringLen::N(9))")]
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Event, RecordEntity};

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "v_clipped_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: Event,
            #[sea_orm(column_type = "String(StringLen::N(6))")]
            pub text: String,
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

// For PostgreSQL.
entity!(listed, "v_listed", {
    pub step: i32,
}, {
    numbers: Vec<i32>,
    doubles: Vec<f64>,
    words: Option<Vec<String>>,
    times: Option<Vec<DateTime>>,
    #[sea_orm(column_type = "JsonBinary")] json: Json,
}, |model| super::listed_of(model.step));

fn listed_of(step: i32) -> listed::record::Properties {
    let word = if step == 7 {
        "\0".to_owned()
    } else {
        format!("{step}, \"")
    };
    let nanosecond = if step == 9 { 1 } else { 1_000 };
    let time = day(2024).and_hms_nano_opt(12, 0, 0, nanosecond).unwrap();
    listed::record::Properties {
        numbers: vec![step; 2],
        doubles: vec![f64::NAN, -0.0, f64::INFINITY],
        words: (step > 0).then(|| vec!["".to_owned(), word]),
        times: (step > 0).then(|| vec![time]),
        json: json!({"a": if step == 8 { "\0" } else { "" }}),
    }
}

each_database! {
    async fn each_end_of_a_type_is_kept_or_refused(test: TestDb) {
        let db = test.connect().await;
        create::<bounded::Entity>(&db).await;
        for (case, (column, _, refused)) in (0..).zip(cases()) {
            let value = || named(of_case(case)).into_iter().find(|(name, _)| *name == column).unwrap().1;
            let what = format!("case {case}: {column} {:?}", value());
            let inserted = bounded::ActiveModel { id: Set(case), case: Set(case) }.insert(&db).await;
            if refused.contains(&test.engine()) {
                let error = inserted.expect_err(&what);
                assert_eq!(column_of(&error), ("v_bounded", column), "{what}");
                assert!(records::<bounded::Entity>(&db, &vec![case.into()]).await.is_empty(), "{what}");
                continue;
            }
            let row = inserted.unwrap_or_else(|error| panic!("{what}: {error}"));
            println!("{what}");
            assert_properties::<bounded::Entity>(&db, &[(column, value())], case).await;
            // The same again is no change; another is.
            row.record_now(&db).await.unwrap();
            assert_eq!(records::<bounded::Entity>(&db, &vec![case.into()]).await.len(), 1, "{what}");
            let mut am = row.into_active_model();
            am.case = Set(-1);
            am.update(&db).await.unwrap();
            let last = records::<bounded::Entity>(&db, &vec![case.into()]).await.pop().unwrap();
            assert_eq!(named_value(last, column), value().as_null(), "{what}");
        }
    }

    async fn a_text_that_its_record_has_no_room_for_is_refused_whichever_way_it_comes(test: TestDb) {
        use clipped::{ActiveModel, Column, Entity, record};
        let db = test.connect().await;
        create::<Entity>(&db).await;
        let row = |id, text: &str| ActiveModel { id: Set(id), text: Set(text.to_owned()) };
        row(0, "abcdef").insert(&db).await.unwrap();
        let mut saved = Vec::new();
        for (id, way) in (1..).zip(WAYS) {
            saved.push(way.save(&db, Act::Insert, row(id, "abcdef ")).await);
            saved.push(way.save(&db, Act::Update, row(0, "abcdefg")).await);
        }
        saved.push(insert_many([row(8, "abcdef "), row(9, "ab")], &db).await.map(drop));
        let update = update_many(Entity).col_expr(Column::Text, Expr::value("abcdef "));
        saved.push(update.exec(&db).await.map(drop));
        for saved in saved {
            match test.engine() {
                Sqlite => saved.unwrap(),
                _ => assert_eq!(column_of(&saved.unwrap_err()), ("v_clipped", "text")),
            }
        }
        // SeaORM's own methods commit the row before its record.
        if test.engine() != Sqlite {
            let texts = record::Entity::find().all(&db).await.unwrap();
            assert!(texts.iter().all(|record| record.text == "abcdef"), "{texts:?}");
        }
    }

    async fn an_array_serves_as_a_property_and_is_quiet(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let values = [0, 1, 2].map(|step| listed::Model { id: 0, step });
        is_recorded_and_quiet::<listed::Entity>(&test, values.to_vec()).await;
    }

    async fn what_an_array_would_alter_is_refused_with_its_column(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let db = test.connect().await;
        create::<listed::Entity>(&db).await;
        for (step, column) in [(7, "words"), (8, "json"), (9, "times")] {
            let inserted = listed::ActiveModel { id: Set(1), step: Set(step) }.insert(&db).await;
            assert_eq!(column_of(&inserted.unwrap_err()), ("v_listed", column));
            assert_eq!(listed::Entity::find().count(&db).await.unwrap(), 0);
        }
        let row = listed::ActiveModel { id: Set(1), step: Set(1) }.insert(&db).await.unwrap();
        let expected = named(listed_of(1));
        assert_properties::<listed::Entity>(&db, &expected, row.id).await;
    }
}

fn named_value(record: bounded::record::Model, name: &str) -> Value {
    use sea_orm::{IdenStatic, Iterable, ModelTrait};
    let column = bounded::record::Column::iter().find(|column| column.as_str() == name);
    record.get(column.unwrap())
}
