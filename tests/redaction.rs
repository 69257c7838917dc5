//! `#[recorded(redact)]`: that a value changed, and not what it was.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{
    Event, PutBack, RecordError, RecordModel, RecordQuery, Recorded, RecordedConnection,
    RecordedModel, Redacted, backfill, delete_many, erase, insert_many, update_many, upsert_many,
    verify,
};

use crate::blog::create_table;
use crate::harness::{Engine, each_database};

/// Clinics, which patients' records repeat the names of.
mod clinic {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rd_clinic")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub patients: HasMany<super::patient::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod patient {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    use super::clinic;

    #[recorded(columns(all), properties(clinic: String), derives(Eq))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rd_patient")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[recorded(skip)]
        pub clinic_id: i32,
        pub ward: String,
        #[recorded(redact)]
        pub name: String,
        #[recorded(redact)]
        pub alias: Option<String>,
        #[recorded(redact)]
        #[sea_orm(column_type = "JsonBinary")]
        pub facts: Json,
        #[sea_orm(belongs_to, from = "clinic_id", to = "id")]
        pub of: BelongsTo<super::clinic::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .redaction_key([42; 32])
                .properties_with(|patients, db| {
                    Box::pin(async move {
                        let clinics = patients.load_one(clinic::Entity, &db).await?;
                        let names = clinics.into_iter().map(|clinic| record::Properties {
                            clinic: clinic.map_or_else(String::new, |clinic| clinic.name),
                        });
                        Ok(names.collect())
                    })
                })
                .watch(clinic::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Columns alone.
mod secret {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(place, number as hashed))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rd_secret")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub place: String,
        #[recorded(redact)]
        pub number: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new().redaction_key("a secret of thirty-two bytes or more")
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

macro_rules! unusable {
    ($name:ident, $table:literal, $($key:tt)*) => {
        mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded(columns(name))]
            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                #[recorded(redact)]
                pub name: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::new()$($key)*
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}
unusable!(keyless, "rd_keyless",);
unusable!(short, "rd_short", .redaction_key("too short"));

/// A record entity by hand, whose redacted column is no `Option<Redacted>`.
mod by_hand {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{RecordEntity, Recorded, Recorder, record_hooks};

    pub mod row {
        use super::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "rd_by_hand")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub name: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl Recorded for Entity {
            type Record = record::Entity;

            fn recorder() -> Recorder<Self> {
                Recorder::new().redaction_key([1; 32])
            }
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod record {
        use super::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "rd_by_hand_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: sea_orm_record::Event,
            pub name: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        impl RecordEntity for Entity {
            type Recording = super::row::Entity;
            type Properties = ();
            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;

            fn redacted() -> Vec<Column> {
                vec![Column::Name]
            }
        }
    }
}

async fn create_tables(db: &DatabaseConnection) -> clinic::Model {
    create_table(db, clinic::Entity).await;
    create_table(db, patient::Entity).await;
    create_table(db, patient::record::Entity).await;
    let clinic = clinic::ActiveModel {
        name: Set("North".to_owned()),
        ..Default::default()
    };
    clinic.insert(db).await.unwrap()
}

fn zaphod(clinic: &clinic::Model) -> patient::ActiveModel {
    patient::ActiveModel {
        clinic_id: Set(clinic.id),
        ward: Set("A".to_owned()),
        name: Set("Zaphod".to_owned()),
        alias: Set(None),
        facts: Set(serde_json::json!({ "heads": 2, "arms": 3 })),
        ..Default::default()
    }
}

async fn create_secrets(db: &DatabaseConnection) {
    create_table(db, secret::Entity).await;
    create_table(db, secret::record::Entity).await;
}

fn secret(number: i64) -> secret::ActiveModel {
    secret::ActiveModel {
        place: Set("here".to_owned()),
        number: Set(number),
        ..Default::default()
    }
}

/// The hashes of all records, by row and time.
async fn hashes(db: &impl ConnectionTrait) -> Vec<(i32, Option<Redacted>)> {
    let records = secret::record::Entity::find().order_by_asc(secret::record::Column::RecordingId);
    let records = records.order_by_asc(secret::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap().into_iter();
    records
        .map(|record| (record.recording_id, record.hashed))
        .collect()
}

async fn assert_clean<E: Recorded>(db: &impl ConnectionTrait, entity: E) {
    let report = verify(entity).exec(db).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

each_database! {
    async fn a_change_is_seen_and_the_value_is_not(test: TestDb) {
        let db = test.connect().await;
        let clinic = create_tables(&db).await;
        let row = zaphod(&clinic).insert(&db).await.unwrap();
        let mut saved = row.clone().into_active_model();
        saved.name = Set("Beeblebrox".to_owned());
        let row = saved.update(&db).await.unwrap();
        let mut saved = row.clone().into_active_model();
        saved.name = Set("Beeblebrox".to_owned());
        saved.facts = Set(serde_json::json!({ "arms": 3, "heads": 2 }));
        let row = saved.update(&db).await.unwrap();
        let mut saved = row.clone().into_active_model();
        saved.name = Set("Zaphod".to_owned());
        saved.alias = Set(Some("Zaph".to_owned()));
        let row = saved.update(&db).await.unwrap();

        let records = row.records().order_by_asc(patient::record::Column::RecordedAt);
        let records = records.all(&db).await.unwrap();
        let [first, second, third] = &records[..] else {
            panic!("{records:?}")
        };
        assert!(first.name.is_some() && first.alias.is_some() && first.facts.is_some());
        assert_ne!(first.name, second.name);
        assert_eq!(first.name, third.name, "it is as it was");
        assert_eq!((&first.alias, &first.facts), (&second.alias, &second.facts));
        assert_ne!(second.alias, third.alias, "NULL has a hash as well");
        let diff = third.diff(second);
        let shown = diff.to_string();
        assert_eq!(shown, "name: redacted\nalias: redacted");
        let debugged = format!("{first:?}");
        assert!(debugged.contains("Redacted") && !debugged.contains("Zaphod"), "{debugged}");
        assert!(row.diff_from(third).is_empty(), "the row cannot be told from hashes");
        assert_clean(&db, patient::Entity).await;
        assert!(!row.has_unrecorded_changes(&db).await.unwrap());

        db.execute_unprepared("UPDATE rd_patient SET name = 'raw'").await.unwrap();
        assert!(row.has_unrecorded_changes(&db).await.unwrap());
        let report = verify(patient::Entity).repair().exec(&db).await.unwrap();
        assert_eq!((report.differing, report.repaired), (1, 1));
        assert_clean(&db, patient::Entity).await;
    }

    async fn equal_values_of_two_rows_do_not_match(test: TestDb) {
        let db = test.connect().await;
        let clinic = create_tables(&db).await;
        let mut twin = zaphod(&clinic);
        twin.alias = Set(Some("Zaphod".to_owned()));
        let mut hashes = Vec::new();
        for row in [zaphod(&clinic), twin] {
            let row = row.insert(&db).await.unwrap();
            let record = row.records().one(&db).await.unwrap().unwrap();
            hashes.extend([record.name, record.alias, record.facts]);
        }
        let count = hashes.len();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), count, "of rows, and of columns of a row");
    }

    async fn without_a_key_nothing_is_saved(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, keyless::Entity).await;
        create_table(&db, keyless::record::Entity).await;
        create_table(&db, short::Entity).await;
        create_table(&db, short::record::Entity).await;
        let row = || keyless::ActiveModel { name: Set("secret".to_owned()), ..Default::default() };
        let txn = db.begin().await.unwrap();
        let in_transaction = row().insert(&txn).await.unwrap_err();
        txn.commit().await.unwrap();
        let short = short::ActiveModel { name: Set("secret".to_owned()), ..Default::default() };
        let by_trait = sea_orm::ActiveModelTrait::insert(row(), &db).await.unwrap_err();
        let bulk = insert_many([row()], &db).await.unwrap_err();
        for (error, says) in [
            (row().insert(&db).await.unwrap_err(), "redaction_key"),
            (in_transaction, "redaction_key"),
            (by_trait, "redaction_key"),
            (bulk, "redaction_key"),
            (short.insert(&db).await.unwrap_err(), "9 bytes"),
            (verify(keyless::Entity).exec(&db).await.unwrap_err(), "redaction_key"),
        ] {
            assert!(matches!(RecordError::of(&error), Some(RecordError::Plan { .. })), "{error}");
            let error = error.to_string();
            assert!(error.contains(says) && !error.contains("too short"), "{error}");
        }
        assert_eq!(keyless::Entity::find().all(&db).await.unwrap(), []);
        assert_eq!(keyless::record::Entity::find().all(&db).await.unwrap(), []);
    }

    async fn a_column_that_holds_no_hash_is_refused(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, by_hand::row::Entity).await;
        create_table(&db, by_hand::record::Entity).await;
        let row = by_hand::row::ActiveModel { name: Set("secret".to_owned()), ..Default::default() };
        let error = row.insert(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Plan { .. })), "{error}");
        assert!(error.to_string().contains("`name` of `rd_by_hand_record` is redacted"), "{error}");
        assert_eq!(by_hand::row::Entity::find().all(&db).await.unwrap(), []);
    }

    async fn a_save_costs_one_statement_more(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_secrets(&db).await;
        let first = secret(7).insert(&db).await.unwrap();
        counter.clear();
        // What SeaORM sends, and the record.
        let own = if test.engine() == Engine::MariaDb { 2 } else { 1 };
        let row = secret(7).insert(&db).await.unwrap();
        counter.assert(own + 1);
        let mut row = row.into_active_model();
        row.number = Set(8);
        row.update(&db).await.unwrap();
        counter.assert(own + 1);

        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        for number in 0..20 {
            secret(number).insert(&txn).await.unwrap();
        }
        counter.clear();
        txn.commit().await.unwrap();
        assert!(counter.take() <= 3, "for a thousand rows");
        assert_eq!(hashes(&db).await.len(), 23);
        assert_eq!(first.records().all(&db).await.unwrap().len(), 1);
        assert_clean(&db, secret::Entity).await;
    }

    async fn rows_written_many_at_once(test: TestDb) {
        let db = test.connect().await;
        create_secrets(&db).await;
        let rows = (1..=50).map(|id| secret::ActiveModel { id: Set(id), ..secret(7) });
        insert_many(rows, &db).await.unwrap();
        let inserted = hashes(&db).await;
        assert_eq!(inserted.len(), 50);
        assert!(inserted.iter().all(|(_, hash)| hash.is_some()));
        assert_clean(&db, secret::Entity).await;

        let some = secret::Column::Id.lte(20);
        let eight = || secret::ActiveModel { number: Set(8), ..Default::default() };
        let update = update_many(secret::Entity).filter(some.clone());
        update.set(eight()).exec(&db).await.unwrap();
        // What does not change is not recorded.
        let same = update_many(secret::Entity).filter(some);
        same.set(eight()).exec(&db).await.unwrap();
        assert_eq!(hashes(&db).await.len(), 70);
        let rows = (50..=51).map(|id| secret::ActiveModel { id: Set(id), ..secret(9) });
        let upsert = upsert_many(rows, [secret::Column::Id], |conflict| {
            conflict.update_column(secret::Column::Number)
        });
        upsert.exec(&db).await.unwrap();
        assert_eq!(hashes(&db).await.len(), 72);
        let all = delete_many(secret::Entity).filter(secret::Column::Id.gt(40));
        all.exec(&db).await.unwrap();
        assert_eq!(hashes(&db).await.len(), 83);
        assert_clean(&db, secret::Entity).await;
        let gone = secret::Entity::records_of(41).latest().one(&db).await.unwrap().unwrap();
        assert_eq!((gone.event, gone.hashed), (Event::Deleted, inserted[40].1.clone()));
    }

    async fn rows_that_were_there_before(test: TestDb) {
        let db = test.connect().await;
        create_secrets(&db).await;
        let rows = (1..=1_200).map(|id| secret::ActiveModel { id: Set(id), ..secret(7) });
        secret::Entity::insert_many(rows).exec(&db).await.unwrap();
        assert_eq!(backfill(secret::Entity).exec(&db).await.unwrap().records, 1_200);
        let mut found: Vec<_> = hashes(&db).await.into_iter().map(|(_, hash)| hash).collect();
        found.sort();
        found.dedup();
        assert_eq!((found.len(), found.contains(&None)), (1_200, false));
        assert_clean(&db, secret::Entity).await;

        // As after another key: each row is recorded once more.
        let other = format!("UPDATE rd_secret_record SET hashed = '{}'", "0".repeat(64));
        db.execute_unprepared(&other).await.unwrap();
        let differing = || backfill(secret::Entity).differing();
        assert_eq!(differing().exec(&db).await.unwrap().records, 1_200);
        assert_eq!(differing().exec(&db).await.unwrap().records, 0);
        assert_clean(&db, secret::Entity).await;
    }

    async fn dependents_of_what_is_watched(test: TestDb) {
        let db = test.connect().await;
        let clinic = create_tables(&db).await;
        for _ in 0..3 {
            zaphod(&clinic).insert(&db).await.unwrap();
        }
        let mut renamed = clinic.into_active_model();
        renamed.name = Set("South".to_owned());
        renamed.update(&db).await.unwrap();
        let related = patient::Entity::records();
        let related = related.filter(patient::record::Column::Event.eq(Event::Related));
        let related = related.all(&db).await.unwrap();
        assert_eq!(related.len(), 3);
        for record in related {
            let before = record.previous().one(&db).await.unwrap().unwrap();
            assert_eq!((before.name, before.facts), (record.name, record.facts));
            assert_ne!(before.clinic, record.clinic);
        }
        assert_clean(&db, patient::Entity).await;
    }

    async fn putting_back_leaves_it_as_it_is(test: TestDb) {
        let db = test.connect().await;
        let clinic = create_tables(&db).await;
        let row = zaphod(&clinic).insert(&db).await.unwrap();
        let first = row.records().one(&db).await.unwrap().unwrap();
        let mut saved = row.into_active_model();
        saved.ward = Set("B".to_owned());
        saved.name = Set("Ford".to_owned());
        let row = saved.update(&db).await.unwrap();
        let back = first.restore().unwrap().put_back(&db).await.unwrap();
        assert_eq!((&*back.ward, &*back.name), ("A", "Ford"));
        let only = first.restore_only([patient::Column::Name]).unwrap_err();
        assert!(only.to_string().contains("`name` is redacted"), "{only}");
        row.delete(&db).await.unwrap();
        let gone = first.restore().unwrap().put_back(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&gone), Some(RecordError::Restore { .. })), "{gone}");
        assert!(gone.to_string().contains("`name`"), "{gone}");
    }

    async fn a_hash_can_be_erased(test: TestDb) {
        let db = test.connect().await;
        create_secrets(&db).await;
        let row = secret(7).insert(&db).await.unwrap();
        let blank = erase(secret::Entity, row.id).columns([secret::record::Column::Hashed]);
        assert_eq!(blank.exec(&db).await.unwrap().records, 1);
        assert_eq!(hashes(&db).await, [(row.id, None), (row.id, None)]);
        let report = verify(secret::Entity).repair().exec(&db).await.unwrap();
        assert!(report.is_clean());
        let filled = backfill(secret::Entity).differing().exec(&db).await.unwrap();
        assert_eq!(filled.records, 0);
    }

    async fn nothing_of_the_value_is_in_the_file(test: TestDb) {
        if test.engine() != Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        let clinic = create_tables(&db).await;
        let mut row = zaphod(&clinic);
        row.name = Set("confidential-name".to_owned());
        let row = row.insert(&db).await.unwrap();
        row.delete(&db).await.unwrap();
        db.execute_unprepared("VACUUM").await.unwrap();
        db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        let path = test.url().trim_start_matches("sqlite://").trim_start_matches("sqlite:");
        let bytes = std::fs::read(path.split('?').next().unwrap()).unwrap();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|it| it == text);
        assert!(has(b"rd_patient_record") && !has(b"confidential-name") && !has(b"heads"));
        assert_eq!(patient::record::Entity::find().all(&db).await.unwrap().len(), 2);
    }
}
