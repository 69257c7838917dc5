//! `#[recorded(cascade)]`: a history that goes with its row, by the database's foreign key, whichever
//! way the row goes.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryOrder, Set, TransactionTrait,
    Unchanged,
};
use sea_orm_record::{Event, RecordedConnection, delete_many, verify};

use crate::blog::create_table;
use crate::harness::{TestDb, each_database};

mod stall {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(length: i32), cascade)]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stall")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|stall| record::Properties {
                length: stall.name.len() as i32,
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Insert(&'static str),
    Update(&'static str),
    Delete,
    DeleteMany,
}

impl Act {
    /// Does it to the one row there is.
    async fn run(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let name = |name: &str| Set(name.to_owned());
        match self {
            Self::Insert(it) => {
                let row = stall::ActiveModel {
                    id: Set(1),
                    name: name(it),
                };
                row.insert(db).await.map(drop)
            }
            Self::Update(it) => {
                let row = stall::ActiveModel {
                    id: Unchanged(1),
                    name: name(it),
                };
                row.update(db).await.map(drop)
            }
            Self::Delete => {
                let row = stall::Entity::find_by_id(1).one(db).await?;
                row.unwrap().delete(db).await.map(drop)
            }
            Self::DeleteMany => delete_many(stall::Entity).exec(db).await.map(drop),
        }
    }
}

/// What is done one after the other, in one transaction where there is any; and what is left of the
/// row's history.
type Step = (&'static [Act], &'static [(Event, &'static str)]);

const PROGRAM: &[Step] = {
    use Act::*;
    use Event::{Created, Updated};
    &[
        (&[Insert("a")], &[(Created, "a")]),
        (&[Update("b")], &[(Created, "a"), (Updated, "b")]),
        (&[Delete], &[]),
        (&[Insert("c")], &[(Created, "c")]),
        (&[Update("d"), Delete, Insert("e")], &[(Created, "e")]),
        (&[DeleteMany], &[]),
        (&[Insert("f"), Delete], &[]),
        (&[Insert("g"), DeleteMany, Insert("h")], &[(Created, "h")]),
        (&[Update("i"), DeleteMany], &[]),
    ]
};

async fn done(acts: &[Act], db: &impl ConnectionTrait) -> Result<(), DbErr> {
    for act in acts {
        act.run(db).await?;
    }
    Ok(())
}

/// The history as it stands after each step.
async fn check(step: &[Act], expected: &[(Event, &str)], db: &DatabaseConnection) {
    let records = stall::record::Entity::find().order_by_asc(stall::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    let found: Vec<_> = records.iter().map(|it| (it.event, &*it.name)).collect();
    assert_eq!(found, expected, "{step:?}");
    assert!(records.iter().all(|it| it.length == 1), "{records:?}");
    let verified = verify(stall::Entity).exec(db).await.unwrap();
    assert!(verified.is_clean(), "{step:?}: {verified:?}");
}

each_database! {
    async fn a_history_goes_with_its_row_on_a_pool(test: TestDb) {
        let db = created(&test).await;
        for (step, expected) in PROGRAM {
            done(step, &db).await.unwrap();
            check(step, expected, &db).await;
        }
    }

    async fn a_history_goes_with_its_row_in_a_plain_transaction(test: TestDb) {
        let db = created(&test).await;
        for (step, expected) in PROGRAM {
            let txn = db.begin().await.unwrap();
            done(step, &txn).await.unwrap();
            txn.commit().await.unwrap();
            check(step, expected, &db).await;
        }
    }

    async fn a_history_goes_with_its_row_in_a_recorded_transaction(test: TestDb) {
        let db = created(&test).await;
        for (step, expected) in PROGRAM {
            let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
            done(step, &txn).await.unwrap();
            txn.commit().await.unwrap();
            let mut expected = expected.to_vec();
            // A row that goes and comes back between two commits is one that was updated.
            if matches!(step, [Act::Update(_), Act::Delete, Act::Insert(_)]) {
                expected[0].0 = Event::Updated;
            }
            check(step, &expected, &db).await;
        }
    }
}

async fn created(test: &TestDb) -> DatabaseConnection {
    let db = test.connect().await;
    create_table(&db, stall::Entity).await;
    create_table(&db, stall::record::Entity).await;
    db
}
