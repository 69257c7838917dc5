//! Tables and columns whose names need quotes.

use sea_orm::{ActiveModelTrait, EntityTrait, TransactionTrait};
use sea_orm_record::RecordedConnection;

use super::protocol::*;
use crate::harness::each_database;

macro_rules! entity {
    ($name:ident, $table:literal, $($arguments:tt)*) => {
        mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded($($arguments)*)]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false, column_name = "group")]
                pub id: i32,
                pub select: String,
                pub r#where: Option<i32>,
                #[sea_orm(column_name = "a \"quoted\" one")]
                pub quoted: String,
                #[sea_orm(column_name = "with `ticks`")]
                pub ticks: i32,
                #[sea_orm(column_name = "ünï; -- ?")]
                pub odd: i32,
                #[sea_orm(column_name = "it's $1")]
                pub apostrophe: i32,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    super::recorder!($($arguments)*)
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

macro_rules! recorder {
    (columns(all)) => {
        Recorder::new()
    };
    ($($other:tt)*) => {
        Recorder::<Self>::new().properties(|row| record::Properties {
            order: row.ticks,
            table: row.quoted.clone(),
        })
    };
}
use recorder;

entity!(plain, "order", columns(all));
entity!(
    computed, "an `odd` \"table\"",
    columns(all), properties(order: i32, #[sea_orm(column_name = "ta\"b`le")] table: String)
);

macro_rules! values {
    ($name:ident) => {
        [(1, None), (2, Some(3))]
            .map(|(n, or)| $name::Model {
                id: 0,
                select: format!("{n}"),
                r#where: or,
                quoted: format!("\"{n}\""),
                ticks: n,
                odd: n,
                apostrophe: n,
            })
            .to_vec()
    };
}

each_database! {
    async fn tables_and_columns_named_by_keywords_quotes_and_spaces(test: TestDb) {
        is_recorded_and_quiet::<plain::Entity>(&test, values!(plain)).await;
    }

    async fn tables_and_properties_named_with_quotes(test: TestDb) {
        is_recorded_and_quiet::<computed::Entity>(&test, values!(computed)).await;
    }

    async fn records_of_a_table_with_quotes_in_its_name_are_read_in_the_transaction_that_writes_them(test: TestDb) {
        let db = test.connect().await;
        create::<computed::Entity>(&db).await;
        let txn = RecordedConnection::new(db).begin().await.unwrap();
        let row = values!(computed).remove(0);
        computed::ActiveModel::from(row).reset_all().insert(&txn).await.unwrap();
        assert_eq!(computed::record::Entity::find().all(&txn).await.unwrap().len(), 1);
        txn.commit().await.unwrap();
    }
}
