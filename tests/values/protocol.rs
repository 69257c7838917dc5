//! The ways to save, and what is expected of each value.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait, PrimaryKeyToColumn,
    QueryFilter, QueryOrder, Schema, TransactionTrait, Value,
};
use sea_orm_record::hooks::{self, Savable};
use sea_orm_record::{Event, RecordEntity, Recorded, RecordedConnection};
use sea_orm_record_migration::RecordSchema;

use crate::harness::{Engine, TestDb};

pub(super) type RecordOf<E> = <<E as Recorded>::Record as EntityTrait>::Model;
pub(super) type Key = Vec<Value>;

/// How a row is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As `am.insert(&pool)` does it.
    Pool,
    /// As generic code does it that knows SeaORM's traits alone: the row commits first.
    Trait,
    /// In a transaction of SeaORM's.
    Transaction,
    /// In a transaction that gathers.
    Gathered,
}

pub(super) const WAYS: [Way; 4] = [Way::Pool, Way::Gathered, Way::Transaction, Way::Trait];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Insert,
    Update,
    Delete,
}

impl Way {
    pub(super) async fn save<A: Savable>(
        self,
        db: &DatabaseConnection,
        act: Act,
        am: A,
    ) -> Result<(), DbErr> {
        match self {
            Self::Pool => saved(db, act, am).await,
            Self::Trait => match act {
                Act::Insert => ActiveModelTrait::insert(am, db).await.map(drop),
                Act::Update => ActiveModelTrait::update(am, db).await.map(drop),
                Act::Delete => ActiveModelTrait::delete(am, db).await.map(drop),
            },
            Self::Transaction => {
                let txn = db.begin().await?;
                saved(&txn, act, am).await?;
                txn.commit().await
            }
            Self::Gathered => {
                let txn = RecordedConnection::new(db.clone()).begin().await?;
                saved(&txn, act, am).await?;
                txn.commit().await
            }
        }
    }
}

pub(super) async fn saved<A, C>(db: &C, act: Act, am: A) -> Result<(), DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    match act {
        Act::Insert => hooks::insert(am, db).await.map(drop),
        Act::Update => hooks::update(am, db).await.map(drop),
        Act::Delete => hooks::delete(am, db).await.map(drop),
    }
}

/// Makes the tables of an entity and its record. On MySQL, times get their microseconds, which
/// SeaORM would not give them.
pub(super) async fn create<E: Recorded>(db: &DatabaseConnection) {
    let backend = db.get_database_backend();
    let schema = Schema::new(backend);
    if backend == DbBackend::Postgres {
        // One for each column, though they may be of one type.
        let enums = schema.create_enum_from_entity(E::default());
        let mut enums: Vec<_> = enums
            .iter()
            .map(|create| backend.build(create).sql)
            .collect();
        enums.dedup();
        for create in enums {
            db.execute_unprepared(&create).await.unwrap();
        }
    }
    create_table::<E>(db, &schema).await;
    db.create_record_table(E::Record::default()).await.unwrap();
}

async fn create_table<E: EntityTrait>(db: &DatabaseConnection, schema: &Schema) {
    let backend = db.get_database_backend();
    let mut sql = backend
        .build(&schema.create_table_from_entity(E::default()))
        .sql;
    if backend == DbBackend::MySql {
        for ty in ["timestamp", "datetime", "time"] {
            for end in [" ", ",", ")"] {
                sql = sql.replace(&format!("` {ty}{end}"), &format!("` {ty}(6){end}"));
            }
        }
    }
    let created = db.execute_unprepared(&sql).await;
    created.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(super) fn key_of<M: ModelTrait>(model: &M) -> Key {
    let keys = <M::Entity as EntityTrait>::PrimaryKey::iter();
    keys.map(|key| model.get(key.into_column())).collect()
}

/// Every column set, so that each is in the statement.
pub(super) fn whole<M, A>(model: M) -> A
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    model.into_active_model().reset_all()
}

/// The records of a row, oldest first.
pub(super) async fn records<E: Recorded>(db: &impl ConnectionTrait, key: &Key) -> Vec<RecordOf<E>> {
    let mut select = E::Record::find();
    for ((_, column), value) in E::Record::key().into_iter().zip(key) {
        select = select.filter(column.eq(value.clone()));
    }
    select
        .order_by_asc(E::Record::RECORDED_AT)
        .all(db)
        .await
        .unwrap()
}

pub(super) async fn stored<E: EntityTrait>(
    db: &impl ConnectionTrait,
    key: &Key,
) -> Option<E::Model> {
    let mut select = E::find();
    for (column, value) in E::PrimaryKey::iter().zip(key) {
        select = select.filter(column.into_column().eq(value.clone()));
    }
    select.one(db).await.unwrap()
}

/// How many records the row has, the latest of which holds what the row holds.
pub(super) async fn count_and_check<E: Recorded>(
    db: &DatabaseConnection,
    key: &Key,
    what: &str,
) -> usize {
    let records = records::<E>(db, key).await;
    let latest = records
        .last()
        .unwrap_or_else(|| panic!("{what}: no record"));
    let row = stored::<E>(db, key).await.unwrap();
    for (source, record) in E::Record::columns() {
        let (row, record) = (row.get(source), latest.get(record));
        assert_eq!(row, record, "{what}: `{}`", source.as_str());
    }
    records.len()
}

/// What two records of a row differ in, for the message that there should be one.
fn difference<E: Recorded>(records: &[RecordOf<E>]) -> String {
    let [.., before, last] = records else {
        return "there is but one".to_owned();
    };
    let columns = <E::Record as EntityTrait>::Column::iter();
    let differs = columns.filter(|column| before.get(*column) != last.get(*column));
    let texts = differs.map(|column| {
        format!(
            "{}: {:?} -> {:?}",
            column.as_str(),
            before.get(column),
            last.get(column)
        )
    });
    texts.collect::<Vec<_>>().join("; ")
}

pub(super) async fn assert_count<E: Recorded>(
    db: &DatabaseConnection,
    key: &Key,
    expected: usize,
    what: &str,
) {
    let count = count_and_check::<E>(db, key, what).await;
    if count != expected {
        let records = records::<E>(db, key).await;
        panic!(
            "{what}: {count} records instead of {expected}; the last two differ in {}",
            difference::<E>(&records)
        );
    }
}

/// Takes one row through `values`, each of which differs from the one before, and back to the
/// first, in every way and every way after every other. The key is replaced.
pub(super) async fn is_recorded_and_quiet<E>(test: &TestDb, values: Vec<E::Model>)
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    let db = test.connect().await;
    create::<E>(&db).await;
    walk::<E>(&db, values).await;
}

pub(super) async fn walk<E>(db: &DatabaseConnection, values: Vec<E::Model>)
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    let id = E::PrimaryKey::iter().next().unwrap().into_column();
    for first in 0..WAYS.len() {
        let there_and_back = values.iter().chain(values.first()).cloned();
        let mut key = Key::new();
        for (step, mut value) in there_and_back.enumerate() {
            value.set(id, i32::try_from(first).unwrap().into());
            key = key_of(&value);
            let way = WAYS[(first + step) % WAYS.len()];
            let act = if step == 0 { Act::Insert } else { Act::Update };
            let what = format!("value {step}, {way:?}, row {first}");
            let written = way.save(db, act, whole(value.clone())).await;
            written.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_count::<E>(db, &key, step + 1, &what).await;
            for again in WAYS {
                let what = format!("{what}, again by {again:?}");
                let written = again.save(db, Act::Update, whole(value.clone())).await;
                written.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_count::<E>(db, &key, step + 1, &what).await;
            }
        }
        delete_row::<E>(db, &key, WAYS[first]).await;
    }
}

/// The tombstone holds the last values.
async fn delete_row<E>(db: &DatabaseConnection, key: &Key, way: Way)
where
    E: Recorded,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Savable,
{
    let row = stored::<E>(db, key).await.unwrap();
    way.save(db, Act::Delete, row.clone().into_active_model())
        .await
        .unwrap();
    let records = records::<E>(db, key).await;
    let last = records.last().unwrap();
    assert_eq!(last.get(E::Record::EVENT), Event::Deleted.as_str().into());
    for (source, record) in E::Record::columns() {
        assert_eq!(row.get(source), last.get(record), "deleted by {way:?}");
    }
}

pub(super) fn is(test: &TestDb, engine: Engine) -> bool {
    test.engine() == engine
}
