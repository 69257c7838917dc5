//! Promise 2, convergent, step by step: what two transactions do to each other where a lock is all
//! that helps.
//!
//! One stops after its save has been recorded and before it commits; the other begins, and comes as
//! far as it gets. Each pair is run in both orders, in transactions that gather, in plain ones, and
//! in plain ones that are serializable, which are run again where the database ends one. On SQLite,
//! which has one writer at a time, the second waits from the start. The same with writers that
//! nobody stops is in `concurrency`.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, IsolationLevel, QueryOrder, Set, SqliteTransactionMode, TransactionOptions,
    TransactionSession, TransactionTrait,
};
use sea_orm_record::{RecordedConnection, RecordedTransaction, is_retryable, verify};
use tokio::sync::Notify;

use crate::blog::{self, article, create_table, topic};
use crate::harness::{Engine, each_database, once_held_up};
use crate::magazine::{self, Magazine, remark, story_tag};

/// A kind of transaction, which is stepped by hand.
trait Kind {
    type Txn: ConnectionTrait + TransactionSession;

    /// Whether the database may end one for the sake of the other, so that it is run again.
    const IS_RUN_AGAIN: bool = false;

    async fn begin(db: &DatabaseConnection) -> Result<Self::Txn, DbErr>;

    /// Records what was saved, before the commit.
    async fn record(_: &Self::Txn) -> Result<(), DbErr> {
        Ok(())
    }
}

struct Gathering;

impl Kind for Gathering {
    type Txn = RecordedTransaction;

    async fn begin(db: &DatabaseConnection) -> Result<Self::Txn, DbErr> {
        RecordedConnection::new(db.clone()).begin().await
    }

    async fn record(txn: &Self::Txn) -> Result<(), DbErr> {
        txn.flush().await
    }
}

struct Plain;

impl Kind for Plain {
    type Txn = DatabaseTransaction;

    async fn begin(db: &DatabaseConnection) -> Result<Self::Txn, DbErr> {
        begin_plain(db, IsolationLevel::ReadCommitted).await
    }
}

/// A plain one, where both are. On SQLite the others are so as well.
struct Serializable;

impl Kind for Serializable {
    type Txn = DatabaseTransaction;

    const IS_RUN_AGAIN: bool = true;

    async fn begin(db: &DatabaseConnection) -> Result<Self::Txn, DbErr> {
        begin_plain(db, IsolationLevel::Serializable).await
    }
}

async fn begin_plain(
    db: &DatabaseConnection,
    level: IsolationLevel,
) -> Result<DatabaseTransaction, DbErr> {
    let is_server = db.get_database_backend() != DbBackend::Sqlite;
    db.begin_with_options(TransactionOptions {
        isolation_level: is_server.then_some(level),
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    })
    .await
}

/// What is done in a transaction of its own.
trait Step {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr>;
}

/// Runs `first` up to its record, then `second` as far as it comes, then both to their ends.
async fn stepped<K: Kind>(db: &DatabaseConnection, first: &impl Step, second: &impl Step) {
    let begun = K::begin(db).await.unwrap();
    first.run(&begun).await.unwrap();
    K::record(&begun).await.unwrap();
    let end = async {
        match begun.commit().await {
            Err(error) if is_run_again::<K>(&error) => whole::<K>(db, first).await,
            ended => ended,
        }
    };
    let (late, end) = once_held_up(db, whole::<K>(db, second), end).await;
    end.unwrap();
    late.unwrap();
}

/// Runs a step from its beginning to its end, again where the database says so.
async fn whole<K: Kind>(db: &DatabaseConnection, step: &impl Step) -> Result<(), DbErr> {
    loop {
        let txn = K::begin(db).await?;
        let done = async {
            step.run(&txn).await?;
            K::record(&txn).await
        };
        let ended = match done.await {
            Ok(()) => txn.commit().await,
            Err(error) => {
                // The database may have ended it already.
                let _ = txn.rollback().await;
                Err(error)
            }
        };
        match ended {
            Err(error) if is_run_again::<K>(&error) => {}
            ended => return ended,
        }
    }
}

fn is_run_again<K: Kind>(error: &DbErr) -> bool {
    K::IS_RUN_AGAIN && is_retryable(error)
}

/// Both orders of a pair, in each kind of transactions, each from a new start.
macro_rules! in_every_order {
    ($($pair:tt)*) => {
        in_both_orders!(Plain, $($pair)*);
        in_both_orders!(Gathering, $($pair)*);
        in_both_orders!(Serializable, $($pair)*);
    };
}

macro_rules! in_both_orders {
    ($kind:ident, $db:expr, $start:expr, $first:expr, $second:expr, $check:expr) => {
        for reversed in [false, true] {
            println!("{}, reversed: {reversed}", stringify!($kind));
            let start = $start.await;
            let (first, second) = ($first(&start), $second(&start));
            // Boxed, since a test has so many of them.
            match reversed {
                false => Box::pin(stepped::<$kind>($db, &first, &second)).await,
                true => Box::pin(stepped::<$kind>($db, &second, &first)).await,
            }
            $check.await;
        }
    };
}

/// Two topics, and an article on the first.
struct Start {
    topics: [topic::Model; 2],
    article: article::Model,
}

async fn start(db: &DatabaseConnection) -> Start {
    let topics = [blog::topic(db, "one").await, blog::topic(db, "two").await];
    let article = blog::article(db, &topics[0], "title").await;
    Start { topics, article }
}

struct Edit(article::ActiveModel);

impl Step for Edit {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        self.0.clone().update(db).await.map(drop)
    }
}

struct Draft(article::ActiveModel);

impl Step for Draft {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        self.0.clone().insert(db).await.map(drop)
    }
}

struct Rename(topic::Model);

impl Step for Rename {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let name = Set("renamed".to_owned());
        let am = topic::ActiveModel {
            name,
            ..self.0.clone().into_active_model()
        };
        am.update(db).await.map(drop)
    }
}

fn retitle(start: &Start) -> Edit {
    Edit(article::ActiveModel {
        title: Set("edited".to_owned()),
        ..start.article.clone().into_active_model()
    })
}

fn rewrite(start: &Start) -> Edit {
    Edit(article::ActiveModel {
        text: Set("quite another text".to_owned()),
        ..start.article.clone().into_active_model()
    })
}

fn move_over(start: &Start) -> Edit {
    Edit(article::ActiveModel {
        topic_id: Set(start.topics[1].id),
        ..start.article.clone().into_active_model()
    })
}

/// Every article's latest record says what it is, and no two neighbours are equal.
async fn assert_right(db: &DatabaseConnection) {
    let report = verify(article::Entity).exec(db).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let records = article::record::Entity::find()
        .order_by_asc(article::record::Column::RecordingId)
        .order_by_asc(article::record::Column::RecordedAt)
        .all(db)
        .await
        .unwrap();
    for pair in records.windows(2) {
        let told = |record: &article::record::Model| {
            let values = (record.title.clone(), record.text.clone());
            (record.recording_id, values, record.headline.clone())
        };
        assert_ne!(told(&pair[0]), told(&pair[1]));
    }
}

/// A new remark on a story, or a new tag.
struct Remark(i32, &'static str);

impl Step for Remark {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let (story_id, text) = (Set(self.0), Set(self.1.to_owned()));
        let am = remark::ActiveModel {
            story_id,
            text,
            ..Default::default()
        };
        am.insert(db).await.map(drop)
    }
}

struct Tag(i32, i32);

impl Step for Tag {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let (story_id, tag_id) = (Set(self.0), Set(self.1));
        let am = story_tag::ActiveModel { story_id, tag_id };
        am.insert(db).await.map(drop)
    }
}

/// Recorded with the names of its products, to which its lines lead.
mod bill {
    use sea_orm::QueryOrder;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    use super::{line, product};

    #[recorded(properties(products: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bill")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(has_many)]
        pub lines: HasMany<line::Entity>,
    }

    /// Over its lines.
    #[derive(Debug)]
    pub struct ToProducts;

    impl Linked for ToProducts {
        type FromEntity = Entity;
        type ToEntity = product::Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![
                line::Relation::Bill.def().rev(),
                line::Relation::Product.def(),
            ]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|bills, db| {
                    Box::pin(async move {
                        let mut all = Vec::new();
                        for bill in bills {
                            let products = bill.find_linked(ToProducts);
                            let products = products
                                .order_by_asc(product::Column::Name)
                                .all(&db)
                                .await?;
                            let names: Vec<_> = products.into_iter().map(|it| it.name).collect();
                            all.push(record::Properties {
                                products: names.join(", "),
                            });
                        }
                        Ok(all)
                    })
                })
                .watch_linked(ToProducts)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod line {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "line")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub bill_id: i32,
        pub product_id: i32,
        #[sea_orm(belongs_to, from = "bill_id", to = "id")]
        pub bill: BelongsTo<super::bill::Entity>,
        #[sea_orm(belongs_to, from = "product_id", to = "id")]
        pub product: BelongsTo<super::product::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod product {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "product")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub lines: HasMany<super::line::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A line of the first of three bills, the bills that it may come to, and its product.
struct Billed {
    line: line::Model,
    others: [i32; 2],
    product: product::Model,
}

async fn billed(db: &DatabaseConnection) -> Billed {
    let bill = async || bill::ActiveModel::default().insert(db).await.unwrap().id;
    let bills = [bill().await, bill().await, bill().await];
    let name = Set("pencil".to_owned());
    let product = product::ActiveModel {
        name,
        ..Default::default()
    };
    let product = product.insert(db).await.unwrap();
    let (bill_id, product_id) = (Set(bills[0]), Set(product.id));
    let line = line::ActiveModel {
        bill_id,
        product_id,
        ..Default::default()
    };
    let line = line.insert(db).await.unwrap();
    Billed {
        line,
        others: [bills[1], bills[2]],
        product,
    }
}

struct MoveLine(line::Model, i32);

impl Step for MoveLine {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let bill_id = Set(self.1);
        let am = line::ActiveModel {
            bill_id,
            ..self.0.clone().into_active_model()
        };
        am.update(db).await.map(drop)
    }
}

struct RenameProduct(product::Model);

impl Step for RenameProduct {
    async fn run(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let name = Set("pen".to_owned());
        let am = product::ActiveModel {
            name,
            ..self.0.clone().into_active_model()
        };
        am.update(db).await.map(drop)
    }
}

/// A row whose property, where its text is slow, is computed when somebody says so.
mod paced {
    use sea_orm::ConnectionTrait;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text), properties(length: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "paced")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties_with(|rows, db| {
                Box::pin(async move {
                    let length = |row: &Model| row.text.chars().count() as i32;
                    if rows.iter().any(|row| row.text == super::SLOW) {
                        super::Pace::of(db.get_database_backend()).keep().await;
                    }
                    Ok(rows
                        .iter()
                        .map(|row| record::Properties {
                            length: length(row),
                        })
                        .collect())
                })
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

const SLOW: &str = "slow";

/// Between a closure that has read its row and whoever would change that.
struct Pace {
    read: Notify,
    go_on: Notify,
}

/// One for each database, whose tests run at once.
static PACES: [Pace; 3] = [const {
    Pace {
        read: Notify::const_new(),
        go_on: Notify::const_new(),
    }
}; 3];

impl Pace {
    fn of(backend: DbBackend) -> &'static Self {
        &PACES[match backend {
            DbBackend::Postgres => 0,
            DbBackend::MySql => 1,
            _ => 2,
        }]
    }

    async fn keep(&self) {
        self.read.notify_one();
        self.go_on.notified().await;
    }
}

each_database! {
    async fn two_saves_of_a_row(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        in_every_order!(db, start(db), retitle, rewrite, assert_right(db));
    }

    /// Such a save writes nothing, so that nothing but a lock holds the row where it was read.
    async fn a_save_of_nothing_beside_a_save(test: TestDb) {
        let db = &test.connect().await;
        create_table(db, paced::Entity).await;
        create_table(db, paced::record::Entity).await;
        let row = paced::ActiveModel { text: Set("fast".to_owned()), ..Default::default() };
        let row = row.insert(db).await.unwrap();
        db.execute_unprepared("UPDATE paced SET text = 'slow'").await.unwrap();
        let nothing = async {
            row.clone().into_active_model().update(db).await.map(drop)
        };
        let save = async {
            paced::ActiveModel { text: Set("faster".to_owned()), ..row.clone().into_active_model() }.update(db).await
        };
        let pace = Pace::of(db.get_database_backend());
        let beside = async {
            pace.read.notified().await;
            once_held_up(db, save, async { pace.go_on.notify_one() }).await.0
        };
        let (nothing, save) = tokio::join!(nothing, beside);
        nothing.unwrap();
        save.unwrap();
        let report = verify(paced::Entity).exec(db).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }

    async fn a_rename_beside_an_edit_of_a_dependent(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        let rename = |start: &Start| Rename(start.topics[0].clone());
        in_every_order!(db, start(db), rename, retitle, assert_right(db));
    }

    async fn a_rename_beside_an_insert_or_a_move_into_the_renamed_parent(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        let draft = |start: &Start| Draft(article::draft(start.topics[1].id, "new"));
        let rename = |start: &Start| Rename(start.topics[1].clone());
        in_every_order!(db, start(db), draft, rename, assert_right(db));
        in_every_order!(db, start(db), move_over, rename, assert_right(db));
    }

    /// The bill that the line leaves is found by either, the one that it comes to by who looks again.
    async fn a_move_of_what_lies_between_beside_a_rename_at_the_far_end(test: TestDb) {
        let db = &test.connect().await;
        create_table(db, bill::Entity).await;
        create_table(db, bill::record::Entity).await;
        create_table(db, product::Entity).await;
        create_table(db, line::Entity).await;
        let check = async || {
            let report = verify(bill::Entity).exec(db).await.unwrap();
            assert!(report.is_clean(), "{report:?}");
        };
        let rename = |start: &Billed| RenameProduct(start.product.clone());
        in_every_order!(db, billed(db), |start: &Billed| MoveLine(start.line.clone(), start.others[0]), rename, check());
        in_every_order!(db, billed(db), |start: &Billed| MoveLine(start.line.clone(), start.others[0]),
            |start: &Billed| MoveLine(start.line.clone(), start.others[1]), check());
    }

    async fn a_move_beside_a_rename_of_the_old_parent(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        let rename = |start: &Start| Rename(start.topics[0].clone());
        in_every_order!(db, start(db), move_over, rename, assert_right(db));
    }

    async fn two_children_of_one_parent(test: TestDb) {
        let db = &test.connect().await;
        let m = &Magazine::new(db).await;
        let story = async || magazine::story(db, "new", m.sections[0].id, None).await;
        let check = async || drop(magazine::assert_current(db).await);
        in_every_order!(db, story(), |story: &magazine::story::Model| Remark(story.id, "first"),
            |story: &magazine::story::Model| Remark(story.id, "second"), check());
        in_every_order!(db, story(), |story: &magazine::story::Model| Tag(story.id, m.tags[0].id),
            |story: &magazine::story::Model| Tag(story.id, m.tags[1].id), check());
    }

    /// A transaction that sees the database as it was at its first read computes properties from
    /// that. What it records is wrong where others have committed since, and `verify` finds it.
    async fn what_a_repeatable_read_misses_is_found_by_verify(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead] {
            let start = start(db).await;
            let txn = match test.engine() {
                Engine::Sqlite => db.begin().await.unwrap(),
                _ => db.begin_with_config(Some(level), None).await.unwrap(),
            };
            article::Entity::find().all(&txn).await.unwrap();
            Rename(start.topics[0].clone()).run(db).await.unwrap();
            let edited = retitle(&start).run(&txn).await;
            if test.engine() == Engine::Sqlite {
                // There the file is as it was at the first read, and cannot be written to any more.
                assert!(is_retryable(&edited.unwrap_err()));
                txn.rollback().await.unwrap();
                assert_right(db).await;
                continue;
            }
            if let Err(error) = edited {
                // MariaDB with `innodb_snapshot_isolation`: it has to be run again.
                assert!(is_retryable(&error) && level == IsolationLevel::RepeatableRead, "{error}");
                txn.rollback().await.unwrap();
                continue;
            }
            txn.commit().await.unwrap();
            let found = verify(article::Entity).exec(db).await.unwrap();
            match level {
                IsolationLevel::ReadCommitted => assert!(found.is_clean(), "{found:?}"),
                _ => {
                    assert_eq!(found.differing, 1, "{found:?}");
                    let repaired = verify(article::Entity).repair().exec(db).await.unwrap();
                    assert_eq!(repaired.repaired, 1);
                    assert_right(db).await;
                }
            }
        }
    }
}
