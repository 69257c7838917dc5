//! Promise 1, atomic: a change and its records commit together or not at all.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{RecordError, RecordedConnection, insert_many, update_many, upsert_many};

use crate::blog::{self, create_table, note};
use crate::harness::each_database;
use crate::magazine::{self, Magazine, remark, section, story, tag};

/// A row whose text says what goes wrong with its record.
mod fragile {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(
        columns(text),
        properties(
            #[sea_orm(column_type = "String(StringLen::N(20))")]
            label: String,
            weight: f64,
        )
    )]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "fragile")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties_with(|rows, _| {
                Box::pin(async move {
                    let mut all = Vec::new();
                    for row in rows {
                        let (label, weight) = match &*row.text {
                            "fail" => return Err(DbErr::Custom("no label today".to_owned())),
                            "panic" => panic!("no label at all"),
                            "short" => continue,
                            "too long" => ("x".repeat(21), 1.0),
                            "not a number" => (row.text.clone(), f64::NAN),
                            _ => (row.text.clone(), 1.0),
                        };
                        all.push(record::Properties { label, weight });
                    }
                    Ok(all)
                })
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Columns alone; no other test writes to it.
mod brittle {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "brittle")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    /// A row to be inserted.
    pub fn draft(text: &str) -> ActiveModel {
        ActiveModel {
            text: sea_orm::Set(text.to_owned()),
            ..Default::default()
        }
    }
}

async fn create_brittle(db: &DatabaseConnection) -> brittle::Model {
    create_table(db, brittle::Entity).await;
    create_table(db, brittle::record::Entity).await;
    brittle::draft("kept").insert(db).await.unwrap()
}

async fn create_fragile(db: &DatabaseConnection) -> fragile::Model {
    blog::create_notes(db).await;
    create_table(db, fragile::Entity).await;
    create_table(db, fragile::record::Entity).await;
    // SQLite adds no checks to a table.
    let forbids = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "CREATE TRIGGER fragile_check BEFORE INSERT ON fragile_record \
             WHEN NEW.label = 'forbidden' BEGIN SELECT RAISE(ABORT, 'fragile_check'); END"
        }
        _ => "ALTER TABLE fragile_record ADD CONSTRAINT fragile_check CHECK (label <> 'forbidden')",
    };
    db.execute_unprepared(forbids).await.unwrap();
    let text = Set("whole".to_owned());
    let row = fragile::ActiveModel {
        text,
        ..Default::default()
    };
    row.insert(db).await.unwrap()
}

/// Everything that could have been left behind.
async fn state(db: &DatabaseConnection) -> impl PartialEq + std::fmt::Debug {
    let records = fragile::record::Entity::find();
    (
        fragile::Entity::find().all(db).await.unwrap(),
        records
            .order_by_asc(fragile::record::Column::RecordedAt)
            .all(db)
            .await
            .unwrap(),
        note::Entity::find().all(db).await.unwrap(),
        note::record::Entity::find().all(db).await.unwrap(),
    )
}

#[allow(clippy::enum_variant_names, reason = "two of them are `save`")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Save {
    Insert,
    Update,
    SaveNew,
    SaveOld,
    UpdateWithoutReturning,
    Delete,
    InsertMany,
    UpdateMany,
    UpsertMany,
}

impl Save {
    const ALL: [Self; 9] = [
        Self::Insert,
        Self::Update,
        Self::SaveNew,
        Self::SaveOld,
        Self::UpdateWithoutReturning,
        Self::Delete,
        Self::InsertMany,
        Self::UpdateMany,
        Self::UpsertMany,
    ];

    async fn run(
        self,
        text: &str,
        row: &fragile::Model,
        db: &impl ConnectionTrait,
    ) -> Result<(), DbErr> {
        let text = Set(text.to_owned());
        let new = fragile::ActiveModel {
            text: text.clone(),
            ..Default::default()
        };
        let old = fragile::ActiveModel {
            text,
            ..row.clone().into_active_model()
        };
        match self {
            Self::Insert => new.insert(db).await.map(drop),
            Self::Update => old.update(db).await.map(drop),
            Self::SaveNew => new.save(db).await.map(drop),
            Self::SaveOld => old.save(db).await.map(drop),
            Self::UpdateWithoutReturning => old.update_without_returning(db).await.map(drop),
            Self::Delete => row.clone().delete(db).await.map(drop),
            Self::InsertMany => insert_many([new], db).await.map(drop),
            Self::UpdateMany => {
                let text = Expr::value(old.text.clone().unwrap());
                let update = update_many(fragile::Entity).col_expr(fragile::Column::Text, text);
                update.exec(db).await.map(drop)
            }
            Self::UpsertMany => {
                let upsert = upsert_many([old], [fragile::Column::Id], |conflict| {
                    conflict.update_column(fragile::Column::Text)
                });
                upsert.exec(db).await.map(drop)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Fails,
    Panics,
    Short,
    TooLong,
    NotANumber,
    Forbidden,
    NoTable,
    NoColumn,
}

impl Trouble {
    const ALL: [Self; 8] = [
        Self::Fails,
        Self::Panics,
        Self::Short,
        Self::TooLong,
        Self::NotANumber,
        Self::Forbidden,
        Self::NoTable,
        Self::NoColumn,
    ];

    /// What there is on this database, with each save that it stops.
    fn all(db: &DatabaseConnection) -> impl Iterator<Item = (Self, Save)> {
        let unknown = match db.get_database_backend() {
            DbBackend::Postgres => Some(Self::NotANumber),
            // It knows no lengths.
            DbBackend::Sqlite => Some(Self::TooLong),
            _ => None,
        };
        let troubles = Self::ALL.into_iter();
        let troubles = troubles.filter(move |trouble| Some(*trouble) != unknown);
        let pairs = troubles.flat_map(|trouble| Save::ALL.map(|save| (trouble, save)));
        pairs.filter(|(trouble, save)| {
            *save != Save::Delete || matches!(trouble, Self::NoTable | Self::NoColumn)
        })
    }

    fn text(self) -> &'static str {
        match self {
            Self::Fails => "fail",
            Self::Panics => "panic",
            Self::Short => "short",
            Self::TooLong => "too long",
            Self::NotANumber => "not a number",
            Self::Forbidden => "forbidden",
            Self::NoTable | Self::NoColumn => "changed",
        }
    }

    async fn begin(self, db: &DatabaseConnection) {
        self.alter(
            db,
            "RENAME TO fragile_away",
            "RENAME COLUMN weight TO away",
            "fragile_record",
        )
        .await;
    }

    async fn end(self, db: &DatabaseConnection) {
        self.alter(
            db,
            "RENAME TO fragile_record",
            "RENAME COLUMN away TO weight",
            "fragile_away",
        )
        .await;
    }

    async fn alter(self, db: &DatabaseConnection, table: &str, column: &str, from: &str) {
        let sql = match self {
            Self::NoTable => format!("ALTER TABLE {from} {table}"),
            Self::NoColumn => format!("ALTER TABLE fragile_record {column}"),
            _ => return,
        };
        // SQLite alters what the connection knows, which may be what was there before.
        let txn = db.begin().await.unwrap();
        note::Entity::find().all(&txn).await.unwrap();
        txn.execute_unprepared(&sql).await.unwrap();
        txn.commit().await.unwrap();
    }

    /// The error says which entity, what went wrong and what to do.
    fn check(self, error: &DbErr) {
        let error = RecordError::of(error).unwrap_or_else(|| panic!("{self:?}: {error:?}"));
        let text = error.to_string();
        assert!(text.contains("fragile"), "{text}");
        let is_missing = matches!(self, Self::NoTable | Self::NoColumn);
        assert_eq!(error.is_missing_table(), is_missing, "{text}");
        assert!(!error.is_retryable(), "{text}");
        match (self, error) {
            (Self::Fails, RecordError::Property { source, .. }) => {
                assert_eq!(source, &Some(DbErr::Custom("no label today".to_owned())));
                assert!(text.contains("no label today"), "{text}");
            }
            (Self::Panics, RecordError::Property { source, .. }) => {
                assert_eq!(source, &None);
                assert!(
                    text.contains("the closure panicked: no label at all"),
                    "{text}"
                );
            }
            (Self::Short, RecordError::Property { .. }) => {
                assert!(text.contains("answered for 0 of 1 rows"), "{text}");
            }
            (Self::TooLong, RecordError::Value { entity, column, .. }) => {
                assert_eq!((&**entity, &**column), ("fragile", "label"));
            }
            (Self::NotANumber, RecordError::Value { entity, column, .. }) => {
                assert_eq!((&**entity, &**column), ("fragile", "weight"));
            }
            (Self::Forbidden, RecordError::Database { hint, .. }) => {
                assert_eq!(*hint, "");
                assert!(text.contains("fragile_check"), "{text}");
            }
            (Self::NoTable, RecordError::Database { .. }) => {
                assert!(text.contains("`fragile_record`"), "{text}");
                assert!(text.contains("create_record_table"), "{text}");
            }
            (Self::NoColumn, RecordError::Database { .. }) => {
                assert!(text.contains("weight"), "{text}");
                assert!(text.contains("with every recorded column"), "{text}");
            }
            (_, other) => panic!("{self:?}: {other:?}"),
        }
    }
}

each_database! {
    async fn a_save_on_a_pool_whose_record_fails_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        for (trouble, save) in Trouble::all(&db) {
            let before = state(&db).await;
            trouble.begin(&db).await;
            let saved = save.run(trouble.text(), &row, &db).await;
            trouble.end(&db).await;
            trouble.check(&saved.unwrap_err());
            assert_eq!(state(&db).await, before, "{trouble:?} {save:?}");
        }
    }

    async fn a_save_on_a_recording_connection_whose_record_fails_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for (trouble, save) in Trouble::all(&db) {
            let before = state(&db).await;
            trouble.begin(&db).await;
            let saved = save.run(trouble.text(), &row, &recorded).await;
            trouble.end(&db).await;
            trouble.check(&saved.unwrap_err());
            assert_eq!(state(&db).await, before, "{trouble:?} {save:?}");
        }
    }

    async fn a_save_whose_record_fails_leaves_a_plain_transaction_as_it_was(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        for (trouble, save) in Trouble::all(&db) {
            let rows = fragile::Entity::find().all(&db).await.unwrap();
            let records = fragile::record::Entity::find().count(&db).await.unwrap();
            trouble.begin(&db).await;
            let txn = db.begin().await.unwrap();
            let earlier = blog::note(&txn, "earlier").await;
            let saved = save.run(trouble.text(), &row, &txn).await;
            trouble.check(&saved.unwrap_err());
            assert_eq!(fragile::Entity::find().all(&txn).await.unwrap(), rows, "{trouble:?} {save:?}");
            let later = blog::note(&txn, "later").await;
            txn.commit().await.unwrap();
            trouble.end(&db).await;
            assert_eq!(fragile::Entity::find().all(&db).await.unwrap(), rows, "{trouble:?} {save:?}");
            assert_eq!(fragile::record::Entity::find().count(&db).await.unwrap(), records);
            for note in [earlier, later] {
                let found = note::Entity::find_by_id(note.id).one(&db).await.unwrap();
                assert_eq!(found.unwrap(), note, "{trouble:?} {save:?}");
            }
        }
        let notes = note::Entity::find().count(&db).await.unwrap();
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), notes);
    }

    async fn a_recorded_transaction_whose_records_fail_cannot_commit(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for (trouble, save) in Trouble::all(&db) {
            let before = state(&db).await;
            trouble.begin(&db).await;
            let txn = recorded.begin().await.unwrap();
            blog::note(&txn, "earlier").await;
            save.run(trouble.text(), &row, &txn).await.unwrap();
            blog::note(&txn, "later").await;
            let committed = txn.commit().await;
            trouble.end(&db).await;
            trouble.check(&committed.unwrap_err());
            assert_eq!(state(&db).await, before, "{trouble:?} {save:?}");
        }
    }

    async fn a_failed_flush_leaves_a_transaction_that_cannot_be_committed(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let before = state(&db).await;
        let txn = recorded.begin().await.unwrap();
        blog::note(&txn, "earlier").await;
        Save::Update.run("forbidden", &row, &txn).await.unwrap();
        Trouble::Forbidden.check(&txn.flush().await.unwrap_err());
        // The transaction is still there, and so is what it wrote; it would have no records.
        assert_eq!(note::Entity::find().count(&txn).await.unwrap(), 1);
        let refused = txn.commit().await.unwrap_err();
        assert!(refused.to_string().contains("cannot be committed"), "{refused}");
        assert_eq!(state(&db).await, before);
    }

    async fn a_recorded_transaction_that_is_rolled_back_or_dropped_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let before = state(&db).await;
        for flush in [false, true] {
            for rollback in [false, true] {
                let txn = recorded.begin().await.unwrap();
                Save::Update.run("changed", &row, &txn).await.unwrap();
                if flush {
                    txn.flush().await.unwrap();
                }
                match rollback {
                    true => txn.rollback().await.unwrap(),
                    false => drop(txn),
                }
                assert_eq!(state(&db).await, before, "{flush} {rollback}");
            }
        }
    }

    /// Of an entity without properties only the database can refuse a record. Where it took the last
    /// one, a save in a plain transaction has no savepoint, which would cost as much as the save.
    async fn a_record_table_that_goes_missing_is_told_of_and_then_guarded_against(test: TestDb) {
        let db = test.connect().await;
        let kept = create_brittle(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let rows = async |db: &DatabaseConnection| brittle::Entity::find().all(db).await.unwrap();
        db.execute_unprepared("ALTER TABLE brittle_record RENAME TO brittle_away").await.unwrap();

        let txn = db.begin().await.unwrap();
        let error = brittle::draft("left").insert(&txn).await.unwrap_err();
        let ours = RecordError::of(&error).unwrap();
        assert!(ours.is_missing_table() && !ours.is_retryable(), "{ours}");
        if db.get_database_backend() == DbBackend::Postgres {
            // Nothing but a rollback is possible.
            assert!(matches!(ours, RecordError::Database { .. }), "{ours:?}");
            brittle::Entity::find().all(&txn).await.unwrap_err();
            txn.commit().await.ok();
        } else {
            assert!(matches!(ours, RecordError::Stranded { .. }), "{ours:?}");
            let told = "the row of this save stands in the transaction without its record: roll the transaction back";
            assert!(ours.to_string().ends_with(told), "{ours}");
            assert_eq!(brittle::Entity::find().count(&txn).await.unwrap(), 2);
            txn.rollback().await.unwrap();
        }
        assert_eq!(rows(&db).await, std::slice::from_ref(&kept));

        // From now on a savepoint guards it.
        for _ in 0..2 {
            let txn = db.begin().await.unwrap();
            let error = brittle::draft("new").insert(&txn).await.unwrap_err();
            let ours = RecordError::of(&error).unwrap();
            assert!(matches!(ours, RecordError::Database { .. }), "{ours:?}");
            txn.commit().await.ok();
            assert_eq!(rows(&db).await, std::slice::from_ref(&kept));
        }
        db.execute_unprepared("ALTER TABLE brittle_away RENAME TO brittle_record").await.unwrap();
        let next = brittle::draft("next").insert(&db).await.unwrap();
        db.execute_unprepared("ALTER TABLE brittle_record RENAME TO brittle_away").await.unwrap();

        // What was opened for the save alone leaves nothing in any case.
        for error in [
            brittle::draft("new").insert(&db).await.unwrap_err(),
            brittle::draft("new").insert(&recorded).await.unwrap_err(),
            async {
                let txn = recorded.begin().await?;
                brittle::draft("new").insert(&txn).await?;
                txn.commit().await
            }.await.unwrap_err(),
        ] {
            let ours = RecordError::of(&error).unwrap();
            assert!(matches!(ours, RecordError::Database { .. }) && ours.is_missing_table(), "{ours:?}");
        }
        assert_eq!(rows(&db).await, [kept, next]);
    }

    /// The row is written before the library is called.
    async fn a_save_through_the_trait_whose_record_fails_says_what_it_leaves_in_a_transaction(test: TestDb) {
        let db = test.connect().await;
        let row = create_fragile(&db).await;
        let before = state(&db).await;
        let txn = db.begin().await.unwrap();
        let am = fragile::ActiveModel { text: Set("fail".to_owned()), ..row.into_active_model() };
        let error = sea_orm::ActiveModelTrait::update(am, &txn).await.unwrap_err();
        let Some(RecordError::Stranded { source }) = RecordError::of(&error) else { panic!("{error:?}") };
        Trouble::Fails.check(source);
        txn.rollback().await.unwrap();
        assert_eq!(state(&db).await, before);
    }
}

/// Rows of every table of the magazine, and records.
async fn magazine_state(db: &DatabaseConnection) -> impl PartialEq + std::fmt::Debug {
    (
        section::Entity::find().all(db).await.unwrap(),
        story::Entity::find().all(db).await.unwrap(),
        remark::Entity::find().all(db).await.unwrap(),
        tag::Entity::find().all(db).await.unwrap(),
        crate::magazine::story_tag::Entity::find()
            .all(db)
            .await
            .unwrap(),
        story::record::Entity::find().count(db).await.unwrap(),
    )
}

/// A story in a new section, with a new remark, a new tag and a known one.
fn nested(magazine: &Magazine, text: &str) -> story::ActiveModelEx {
    story::ActiveModel::builder()
        .set_title("nested")
        .set_section(section::ActiveModel::builder().set_name("S3"))
        .add_remark(remark::ActiveModel::builder().set_text("fine"))
        .add_remark(remark::ActiveModel::builder().set_text(text))
        .add_tag(magazine.tags[1].clone().into_active_model().into_ex())
        .add_tag(tag::ActiveModel::builder().set_name("T3"))
}

each_database! {
    async fn a_nested_save_whose_record_fails_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let before = magazine_state(&db).await;
        let is_property = |error: DbErr| {
            assert!(matches!(RecordError::of(&error), Some(RecordError::Property { .. })), "{error:?}");
        };
        is_property(nested(&magazine, "fail").save(&db).await.unwrap_err());
        assert_eq!(magazine_state(&db).await, before);
        is_property(nested(&magazine, "fail").save(&recorded).await.unwrap_err());
        assert_eq!(magazine_state(&db).await, before);

        let txn = db.begin().await.unwrap();
        is_property(nested(&magazine, "fail").save(&txn).await.unwrap_err());
        txn.commit().await.unwrap();
        assert_eq!(magazine_state(&db).await, before);

        let txn = recorded.begin().await.unwrap();
        nested(&magazine, "fail").save(&txn).await.unwrap();
        is_property(txn.commit().await.unwrap_err());
        assert_eq!(magazine_state(&db).await, before);
    }

    async fn a_nested_save_and_its_records_are_there_together(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let expected = "S3 of -; -; -; fine,more; T2,T3";
        let digest = async |id: i32| {
            let records = magazine::assert_current(&db).await;
            records[&id].last().unwrap().digest.clone()
        };

        let story = nested(&magazine, "more").insert(&db).await.unwrap();
        assert_eq!(digest(story.id).await, expected);
        let story = nested(&magazine, "more").insert(&recorded).await.unwrap();
        assert_eq!(digest(story.id).await, expected);
        // One unit, one record.
        let records = magazine::assert_current(&db).await;
        assert_eq!(records[&story.id].len(), 1);

        let txn = db.begin().await.unwrap();
        let story = nested(&magazine, "more").insert(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(digest(story.id).await, expected);

        let txn = recorded.begin().await.unwrap();
        let story = nested(&magazine, "more").insert(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(digest(story.id).await, expected);

        // Replaced, renamed and deleted through the parent.
        let mut am = story.into_active_model();
        am.remarks.replace_all([remark::ActiveModel::builder().set_text("other")]);
        am.tags.replace_all([tag::ActiveModel::builder().set_name("T4")]);
        am.section = sea_orm::ActiveBelongsTo::set(section::ActiveModelEx {
            name: Set("S4".to_owned()),
            ..magazine.sections[0].clone().into_active_model().into_ex()
        });
        let story = am.save(&db).await.unwrap();
        let id = *story.id.as_ref();
        assert_eq!(digest(id).await, "S4 of D1; -; -; other; T4");
        story.delete(&db).await.unwrap();
        let records = magazine::assert_current(&db).await;
        assert_eq!(records[&id].last().unwrap().event, sea_orm_record::Event::Deleted);
    }
}
