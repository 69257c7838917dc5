//! A partition scheme, frozen as the rest is.

use sea_orm::DatabaseConnection;
use sea_orm::EntityTrait;
use sea_orm_migration::{MigratorTrait, SchemaManager};
use sea_orm_record_migration::{
    Evolution, Partitions, RecordPartitions, RecordSchema, RecordTable,
};

use super::migrations::{PARTITIONED, Partitioned};
use super::versions::*;
use super::{lines, sql, wanted};
use crate::harness::*;

fn yearly() -> Partitions {
    Partitions::every("1YS").ahead(3).from_date(2020, 1, 1)
}

fn table() -> RecordTable {
    RecordTable::of(v1::Entity).unwrap()
}

async fn differences(db: &DatabaseConnection, table: RecordTable) -> Vec<String> {
    lines(Evolution::new().table(table).differences(db).await.unwrap())
}

fn by_time(engine: Engine) -> &'static str {
    match engine {
        Engine::MariaDb => "RANGE COLUMNS (recorded_at)",
        _ => "RANGE (recorded_at)",
    }
}

each_database! {
    /// Generated, up, compared, changed ten times, and down; on SQLite as an ordinary table.
    async fn a_partitioned_table_is_generated_and_follows_its_entity(test: TestDb) {
        let db = &test.connect().await;
        let evolution = Evolution::new().table(table().partitioned(yearly()));
        assert_eq!(evolution.migration(db).await.unwrap().as_deref(), Some(PARTITIONED));
        Partitioned::up(db, Some(1)).await.unwrap();
        assert_eq!(lines(evolution.differences(db).await.unwrap()), Vec::<String>::new());
        assert_eq!(evolution.migration(db).await.unwrap(), None);

        sql(db, "INSERT INTO gadget_record (recording_id, recorded_at, event, title, words, price, mood) \
            VALUES (1, '2021-03-04 05:06:07', 'created', 'one', 1, 12.5, 'good')").await;
        // Again, as when it was interrupted; then whatever else its entity becomes.
        sql(db, "DELETE FROM seaql_migrations").await;
        Partitioned::up(db, None).await.unwrap();
        let [.., last] = wanted();
        if test.engine() == Engine::Sqlite {
            assert_eq!(lines(last.differences(db).await.unwrap()), Vec::<String>::new());
        } else {
            let left = lines(last.differences(db).await.unwrap());
            assert_eq!(left, [format!("partitions: {}, wanted none", by_time(test.engine()))]);
            let extended = db.extend_partitions(v10::Entity, &yearly().ahead(5)).await.unwrap();
            assert_eq!((extended.partitions, extended.moved), (2, 0));
        }
        Partitioned::down(db, Some(9)).await.unwrap();
        assert_eq!(lines(evolution.differences(db).await.unwrap()), Vec::<String>::new());
        let record = v1::Entity::find().one(&test.connect().await).await.unwrap().unwrap();
        assert_eq!((&*record.title, record.words), ("one", 1));
        Partitioned::down(db, None).await.unwrap();
        assert_eq!(differences(db, table()).await, ["table: missing, wanted present"]);
    }

    /// One database is in partitions and another is not: no two databases that agree with the entity
    /// differ so.
    async fn a_table_that_is_in_partitions_differs_from_one_that_is_not(test: TestDb) {
        let db = &test.connect().await;
        let manager = &SchemaManager::new(db);
        let (plain, partitioned) = (table(), table().partitioned(yearly()));
        plain.create(manager).await.unwrap();
        if test.engine() == Engine::Sqlite {
            assert_eq!(differences(db, partitioned.clone()).await, Vec::<String>::new());
            partitioned.create(manager).await.unwrap();
            return;
        }
        let by_time = by_time(test.engine());
        assert_eq!(differences(db, partitioned.clone()).await, [format!("partitions: none, wanted {by_time}")]);
        let refused = partitioned.create(manager).await.unwrap_err().to_string();
        assert!(refused.contains("is there already, and differs in partitions: none"), "{refused}");
        let refused = Evolution::new().table(partitioned.clone()).migration(db).await.unwrap_err().to_string();
        assert!(refused.contains("no table becomes partitioned where it stands"), "{refused}");

        plain.drop(manager).await.unwrap();
        db.create_partitioned_record_table(v1::Entity, yearly()).await.unwrap();
        assert_eq!(differences(db, partitioned).await, Vec::<String>::new());
        assert_eq!(differences(db, plain).await, [format!("partitions: {by_time}, wanted none")]);
    }

    async fn a_scheme_that_cannot_be_is_refused_before_anything_is_written(test: TestDb) {
        let db = &test.connect().await;
        let problem = async |table: RecordTable| {
            let evolution = Evolution::new().table(table);
            evolution.migration(db).await.unwrap_err().to_string()
        };
        let hourly = problem(table().partitioned(Partitions::every("1h"))).await;
        assert!(hourly.contains("let each be of a day at least"), "{hourly}");
        let never = problem(table().partitioned(yearly().from_date(2021, 2, 29))).await;
        assert!(never.contains("there is no such date"), "{never}");
        if test.engine() == Engine::MariaDb {
            let cascade = table().cascade(["recording_id"], "gadget", ["id"]).partitioned(yearly());
            let cascade = problem(cascade).await;
            assert!(cascade.contains("leave one of the two out"), "{cascade}");
        }
        assert_eq!(differences(db, table()).await, ["table: missing, wanted present"]);
    }
}
