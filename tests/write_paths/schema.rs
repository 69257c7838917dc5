//! What migrations and changes of tables write.

use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use sea_orm_migration::prelude::{DbErr, DeriveMigrationName, MigrationTrait, MigratorTrait};
use sea_orm_migration::{SchemaManager, async_trait};
use sea_orm_record::{Event, RecordedConnection, UnseenWrites, insert_many, verify};

use crate::blog::{self, note};
use crate::harness::each_database;

/// Of what may be NULL.
mod remark {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(text))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "schema_remark")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: Option<String>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Plants notes by a save and by a bulk write of this library, and past the hooks.
#[derive(DeriveMigrationName)]
struct Seed;

#[async_trait::async_trait]
impl MigrationTrait for Seed {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        note::draft("saved").insert(db).await?;
        insert_many([note::draft("one of many")], db).await?;
        note::Entity::insert(note::draft("inserted"))
            .exec(db)
            .await?;
        let columns = [note::Column::Text, note::Column::Stars];
        let mut insert = Query::insert();
        insert.into_table(note::Entity).columns(columns);
        insert.values_panic(["by a statement".into(), 0.into()]);
        manager.execute(insert).await
    }
}

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Seed)]
    }
}

each_database! {
    async fn a_seed_in_a_migration_is_recorded_where_it_is_saved(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        Migrator::up(&db, None).await.unwrap();
        let told = async || {
            let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordingId);
            let records = records.all(&db).await.unwrap().into_iter();
            records.map(|record| (record.text, record.event)).collect::<Vec<_>>()
        };
        let seen = ["saved", "one of many"].map(|text| (text.to_owned(), Event::Created));
        assert_eq!(told().await, seen);
        let found = verify(note::Entity).repair().exec(&db).await.unwrap();
        assert_eq!((found.missing, found.repaired), (2, 2), "{found:?}");
        assert_eq!(told().await[..2], seen);
        assert_eq!(told().await.len(), 4);
    }

    async fn what_a_change_of_a_table_does_to_its_rows_is_found_by_verify(test: TestDb) {
        // Each time on a new connection: others may still have the columns in mind as they were.
        let db = async || test.connect().await;
        blog::create_table(&db().await, remark::Entity).await;
        blog::create_table(&db().await, remark::record::Entity).await;
        let draft = remark::ActiveModel { text: sea_orm::Set(Some("a".to_owned())), ..Default::default() };
        draft.insert(&db().await).await.unwrap();
        let change = async |sql: &str| {
            let refusing = RecordedConnection::new(db().await).with_unseen_writes(UnseenWrites::Refuse);
            refusing.execute_unprepared(sql).await.unwrap();
        };
        let found = async || {
            let found = verify(remark::Entity).repair().exec(&db().await).await.unwrap();
            (found.differing, found.repaired)
        };
        assert_eq!(found().await, (0, 0));
        change("ALTER TABLE schema_remark DROP COLUMN text").await;
        // Adds what is missing.
        let pool = db().await;
        let builder = pool.get_schema_builder().register(remark::Entity).register(remark::record::Entity);
        builder.sync(&pool).await.unwrap();
        assert_eq!(found().await, (1, 1));
        change("ALTER TABLE schema_remark DROP COLUMN text").await;
        change("ALTER TABLE schema_remark ADD COLUMN text varchar(255) DEFAULT 'b'").await;
        assert_eq!(found().await, (1, 1));
        let records = remark::record::Entity::find().order_by_asc(remark::record::Column::RecordedAt);
        let records = records.all(&db().await).await.unwrap();
        let texts: Vec<_> = records.iter().map(|record| record.text.as_deref()).collect();
        assert_eq!(texts, [Some("a"), None, Some("b")]);
    }
}
