//! Promise 1 where a row is written and what the database answers cannot be read, as when another
//! version of the program has written a variant that this one does not know: SeaORM calls no
//! `after_save`.

use sea_orm::{ConnectionTrait, EntityTrait, Set, TransactionTrait};
use sea_orm_record::{RecordError, RecordedConnection, verify};

use crate::blog::create_table;
use crate::harness::each_database;

pub mod task {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(
        rs_type = "String",
        db_type = "String(StringLen::N(10))",
        rename_all = "lowercase"
    )]
    pub enum State {
        Open,
        Done,
    }

    #[recorded(columns(title))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ur_task")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub state: State,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

each_database! {
    async fn a_save_whose_answer_cannot_be_read_leaves_nothing_unrecorded(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, task::Entity).await;
        create_table(&db, task::record::Entity).await;
        let draft = |state| task::ActiveModel { title: Set("a".to_owned()), state: Set(state), ..Default::default() };
        let id = draft(task::State::Open).insert(&db).await.unwrap().id;
        draft(task::State::Done).insert(&db).await.unwrap();
        db.execute_unprepared(&format!("UPDATE ur_task SET state = 'halted' WHERE id = {id}")).await.unwrap();
        let edited = || task::ActiveModel { id: Set(id), title: Set("b".to_owned()), ..Default::default() };

        edited().update(&db).await.unwrap_err();

        // A plain transaction is told to be rolled back.
        let txn = db.begin().await.unwrap();
        let error = edited().update(&txn).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Stranded { .. })), "{error}");
        txn.rollback().await.unwrap();

        // One that records does not commit.
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        edited().update(&txn).await.unwrap_err();
        let error = txn.commit().await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Interrupted { .. })), "{error}");

        db.execute_unprepared("UPDATE ur_task SET state = 'open'").await.unwrap();
        assert_eq!(task::Entity::find_by_id(id).one(&db).await.unwrap().unwrap().title, "a");
        assert!(verify(task::Entity).exec(&db).await.unwrap().is_clean());
    }
}
