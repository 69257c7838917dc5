//! A required column that is recorded only since some day.

use sea_orm::sea_query::{ColumnType, StringLen};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder, Schema, Set};
use sea_orm_migration::SchemaManager;
use sea_orm_record::{
    PutBack, RecordModel, Recorded, RecordedModel, backfill, insert_many, verify,
};
use sea_orm_record_migration::{Evolution, RecordTable};

use super::{lines, sql};
use crate::harness::*;

/// Its text was not recorded from the start.
mod leaflet {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(all, text?, tone?))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "leaflet")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        #[sea_orm(column_type = "Text")]
        pub text: String,
        pub tone: Tone,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "leaflet_tone")]
    pub enum Tone {
        #[sea_orm(string_value = "loud")]
        Loud,
        #[sea_orm(string_value = "low")]
        Low,
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

fn leaflet(text: &str) -> leaflet::ActiveModel {
    leaflet::ActiveModel {
        title: Set("one".into()),
        text: Set(text.into()),
        tone: Set(leaflet::Tone::Loud),
        ..Default::default()
    }
}

each_database! {
    async fn records_from_before_have_none_and_the_rest_goes_on(test: TestDb) {
        let db = &test.connect().await;
        let schema = Schema::new(db.get_database_backend());
        for create in schema.create_enum_from_entity(leaflet::Entity) {
            db.execute(&create).await.unwrap();
        }
        db.execute(&schema.create_table_from_entity(leaflet::Entity)).await.unwrap();
        let manager = &SchemaManager::new(db);
        RecordTable::new("leaflet_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .column("event", ColumnType::String(StringLen::N(10)))
            .column("title", ColumnType::String(StringLen::None))
            .key(["recording_id", "recorded_at"])
            .index(["recorded_at"])
            .create(manager).await.unwrap();
        // As it was recorded without its text.
        sql(db, "INSERT INTO leaflet (title, text, tone) VALUES ('one', 'first', 'loud')").await;
        sql(db, "INSERT INTO leaflet_record (recording_id, recorded_at, event, title) \
            VALUES (1, '2026-01-02 03:04:05+00:00', 'created', 'zero')".replace("+00:00", match test.engine() {
                Engine::MariaDb => "",
                _ => "+00:00",
            }).as_str()).await;

        let evolution = Evolution::new().table(RecordTable::of(leaflet::record::Entity).unwrap());
        let differences = lines(evolution.differences(db).await.unwrap());
        assert!(matches!(&differences[..], [text, tone] if
            text == "`text`: missing, wanted text" && tone.starts_with("`tone`: missing")), "{differences:?}");
        sea_orm_record_migration::ChangeRecordTable::new("leaflet_record")
            .add_column("text", ColumnType::Text)
            .add_column("tone", sea_orm_record_migration::enumeration("leaflet_tone", ["loud", "low"]))
            .apply(manager).await.unwrap();
        assert_eq!(lines(evolution.differences(db).await.unwrap()), Vec::<String>::new());

        let row = leaflet::Entity::find_by_id(1).one(db).await.unwrap().unwrap();
        let first = row.records().one(db).await.unwrap().unwrap();
        assert_eq!((first.text.as_deref(), first.tone), (None, None));
        assert_eq!(verify(leaflet::Entity).exec(db).await.unwrap().differing, 1);
        assert_eq!(backfill(leaflet::Entity).differing().exec(db).await.unwrap().records, 1);
        assert!(verify(leaflet::Entity).exec(db).await.unwrap().is_clean());

        let mut changed = row.clone().into_active_model();
        changed.text = Set("second".into());
        let row = changed.update(db).await.unwrap();
        insert_many([leaflet("a"), leaflet("b")], db).await.unwrap();
        let column = leaflet::record::Column::RecordedAt;
        let texts: Vec<_> = row.records().order_by_asc(column).all(db).await.unwrap()
            .into_iter().map(|it| it.text).collect();
        assert_eq!(texts, [None, Some("first".into()), Some("second".into())]);
        assert!(verify(leaflet::Entity).exec(db).await.unwrap().is_clean());
        assert!(!row.has_unrecorded_changes(db).await.unwrap());
        assert!(row.diff_from(&first).to_string().contains("text"));

        // What was never recorded stays as it is.
        let back = first.restore().unwrap().put_back(db).await.unwrap();
        assert_eq!((&*back.title, &*back.text), ("zero", "second"));
        assert_eq!(leaflet::Entity::as_of(first.recorded_at).one(db).await.unwrap().unwrap().text, None);
    }
}
