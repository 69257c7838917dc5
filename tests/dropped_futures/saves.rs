//! What is given up: single saves, nested ones, and writes of many rows.

use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, IsolationLevel, ModelTrait, PaginatorTrait, QueryFilter, Set,
    TransactionError, TransactionTrait,
};
use sea_orm_record::{
    RecordedConnection, RecordedTransaction, capture, delete_many, insert_many, update_many,
    upsert_many,
};

use crate::blog::{self, article, note, topic};

/// What is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Save {
    // Of one row: inherent methods that the traits have as well.
    Insert,
    Update,
    Delete,
    Move,
    Rename,
    InsertNote,
    UpdateNote,
    DeleteNote,
    // The others.
    /// By `save`.
    Either,
    BlindUpdate,
    BlindUpdateNote,
    Nested,
    Cascade,
    InsertMany,
    UpdateMany,
    DeleteMany,
    UpsertMany,
    Capture,
}

impl Save {
    pub const SINGLE: [Self; 8] = [
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Move,
        Self::Rename,
        Self::InsertNote,
        Self::UpdateNote,
        Self::DeleteNote,
    ];

    const OTHER: [Self; 10] = [
        Self::Either,
        Self::BlindUpdate,
        Self::BlindUpdateNote,
        Self::Nested,
        Self::Cascade,
        Self::InsertMany,
        Self::UpdateMany,
        Self::DeleteMany,
        Self::UpsertMany,
        Self::Capture,
    ];

    pub fn all() -> impl Iterator<Item = Self> {
        Self::SINGLE.into_iter().chain(Self::OTHER)
    }

    /// A plain transaction cannot be captured in.
    pub fn in_a_plain_transaction() -> impl Iterator<Item = Self> {
        Self::all().filter(|save| *save != Self::Capture)
    }

    /// Whether a plain transaction has a savepoint for it: where a property is computed, and where
    /// several rows are written.
    pub fn has_savepoint(self) -> bool {
        let is_of_columns_alone = matches!(
            self,
            Self::InsertNote | Self::UpdateNote | Self::DeleteNote | Self::BlindUpdateNote
        );
        !is_of_columns_alone
    }
}

/// A connection on which something is saved.
pub trait Place: ConnectionTrait + TransactionTrait {
    /// Runs raw SQL within a capture of some notes.
    async fn captured(&self, notes: &[i32], sql: Vec<String>) -> Result<(), DbErr>;
}

impl Place for RecordedConnection {
    async fn captured(&self, notes: &[i32], sql: Vec<String>) -> Result<(), DbErr> {
        captured(self, notes, sql).await
    }
}

impl Place for RecordedTransaction {
    async fn captured(&self, notes: &[i32], sql: Vec<String>) -> Result<(), DbErr> {
        captured(self, notes, sql).await
    }
}

impl Place for DatabaseConnection {
    async fn captured(&self, notes: &[i32], sql: Vec<String>) -> Result<(), DbErr> {
        captured(&RecordedConnection::new(self.clone()), notes, sql).await
    }
}

impl Place for DatabaseTransaction {
    async fn captured(&self, _: &[i32], _: Vec<String>) -> Result<(), DbErr> {
        unreachable!("a plain transaction cannot be captured in")
    }
}

async fn captured<C>(db: &C, notes: &[i32], sql: Vec<String>) -> Result<(), DbErr>
where
    C: TransactionTrait<Transaction = RecordedTransaction>,
{
    let select = note::Entity::find().filter(note::Column::Id.is_in(notes.iter().copied()));
    let run = capture(select).around(db, |txn| {
        Box::pin(async move {
            for statement in sql {
                txn.execute_unprepared(&statement).await?;
            }
            Ok(())
        })
    });
    run.await.map_err(|error| match error {
        TransactionError::Connection(error) | TransactionError::Transaction(error) => error,
    })
}

/// What there is to be saved anew, by a name that nothing else has.
pub struct Rows {
    topics: [topic::Model; 2],
    article: article::Model,
    notes: Vec<i32>,
    name: String,
}

impl Rows {
    pub async fn new(db: &DatabaseConnection, save: Save) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);

        let name = format!("{save:?} {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let topics = [blog::topic(db, &name).await, blog::topic(db, "other").await];
        let article = blog::article(db, &topics[0], "title").await;
        let notes = (0..3).map(|_| note::draft(&name));
        let notes = insert_many(notes, db).await.unwrap();
        let name = format!("{name} new");
        Self {
            topics,
            article,
            notes,
            name,
        }
    }

    fn draft(&self) -> article::ActiveModel {
        article::draft(self.topics[0].id, &self.name)
    }

    fn article(&self) -> article::ActiveModel {
        article::ActiveModel {
            title: Set(self.name.clone()),
            ..self.article.clone().into_active_model()
        }
    }

    fn moved(&self) -> article::ActiveModel {
        article::ActiveModel {
            topic_id: Set(self.topics[1].id),
            ..self.article.clone().into_active_model()
        }
    }

    fn topic(&self) -> topic::ActiveModel {
        topic::ActiveModel {
            name: Set(self.name.clone()),
            ..self.topics[0].clone().into_active_model()
        }
    }

    fn old_note(&self) -> note::Model {
        let (id, text) = (self.notes[0], String::new());
        note::Model { id, text, stars: 0 }
    }

    fn note(&self) -> note::ActiveModel {
        note::ActiveModel {
            text: Set(self.name.clone()),
            ..self.old_note().into_active_model()
        }
    }

    pub async fn save(&self, save: Save, db: &impl Place) -> Result<(), DbErr> {
        match save {
            Save::Insert => self.draft().insert(db).await.map(drop),
            Save::Update => self.article().update(db).await.map(drop),
            Save::Delete => self.article.clone().delete(db).await.map(drop),
            Save::Move => self.moved().update(db).await.map(drop),
            Save::Rename => self.topic().update(db).await.map(drop),
            Save::InsertNote => note::draft(&self.name).insert(db).await.map(drop),
            Save::UpdateNote => self.note().update(db).await.map(drop),
            Save::DeleteNote => self.old_note().delete(db).await.map(drop),
            Save::Either => self.article().save(db).await.map(drop),
            Save::BlindUpdate => self.article().update_without_returning(db).await.map(drop),
            Save::BlindUpdateNote => self.note().update_without_returning(db).await.map(drop),
            other => self.save_many(other, db).await,
        }
    }

    /// Several rows in one call.
    async fn save_many(&self, save: Save, db: &impl Place) -> Result<(), DbErr> {
        let name = || self.name.clone();
        match save {
            // A new topic, and the article moved into it.
            Save::Nested => {
                let topic = topic::ActiveModel::builder().set_name(name());
                let nested = topic.add_article(self.article().into_ex());
                nested.save(db).await.map(drop)
            }
            Save::Cascade => {
                let topic = self.topics[0].clone().into_ex();
                topic.delete(db).await.map(drop)
            }
            Save::InsertMany => {
                let drafts = (0..3).map(|_| note::draft(&self.name));
                insert_many(drafts, db).await.map(drop)
            }
            Save::UpdateMany => {
                let ids = self.topics.iter().map(|topic| topic.id);
                let update = update_many(topic::Entity)
                    .col_expr(topic::Column::Name, name().into())
                    .filter(topic::Column::Id.is_in(ids));
                update.exec(db).await.map(drop)
            }
            Save::DeleteMany => {
                let filter = note::Column::Id.is_in(self.notes.clone());
                let delete = delete_many(note::Entity).filter(filter);
                delete.exec(db).await.map(drop)
            }
            // Two that are there, and a new one.
            Save::UpsertMany => {
                let new = 1_000_000 + self.notes[0];
                let rows = [self.notes[0], self.notes[1], new].map(|id| note::ActiveModel {
                    id: Set(id),
                    ..note::draft(&self.name)
                });
                let upsert = upsert_many(rows, [note::Column::Id], |conflict| {
                    conflict.update_column(note::Column::Text)
                });
                upsert.exec(db).await.map(drop)
            }
            Save::Capture => {
                let [edited, gone, ..] = self.notes[..] else {
                    unreachable!("there are three")
                };
                let sql = vec![
                    format!("UPDATE note SET text = '{}' WHERE id = {edited}", self.name),
                    format!("DELETE FROM note WHERE id = {gone}"),
                ];
                db.captured(&self.notes, sql).await
            }
            other => unreachable!("{other:?} is of one row"),
        }
    }

    pub async fn save_by_trait(&self, save: Save, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        match save {
            Save::Insert => ActiveModelTrait::insert(self.draft(), db).await.map(drop),
            Save::Update => ActiveModelTrait::update(self.article(), db).await.map(drop),
            Save::Delete => ModelTrait::delete(self.article.clone(), db).await.map(drop),
            Save::Move => ActiveModelTrait::update(self.moved(), db).await.map(drop),
            Save::Rename => ActiveModelTrait::update(self.topic(), db).await.map(drop),
            Save::InsertNote => {
                let draft = note::draft(&self.name);
                ActiveModelTrait::insert(draft, db).await.map(drop)
            }
            Save::UpdateNote => ActiveModelTrait::update(self.note(), db).await.map(drop),
            Save::DeleteNote => ModelTrait::delete(self.old_note(), db).await.map(drop),
            other => unreachable!("{other:?} is not the traits'"),
        }
    }

    /// How many of the rows that a save of several writes are as it leaves them, and how many they
    /// are; nothing of a save of one.
    pub async fn written(&self, save: Save, db: &DatabaseConnection) -> [u64; 2] {
        // At one moment: a commit may be on its way.
        let level = Some(IsolationLevel::RepeatableRead);
        let txn = db.begin_with_config(level, None).await.unwrap();
        let counts = self.counts(save, &txn).await;
        txn.commit().await.unwrap();
        counts
    }

    async fn counts(&self, save: Save, db: &DatabaseTransaction) -> [u64; 2] {
        let topics = |filter| topic::Entity::find().filter(filter).count(db);
        let articles = |filter| article::Entity::find().filter(filter).count(db);
        let notes = |filter| note::Entity::find().filter(filter).count(db);
        let is_named = || note::Column::Text.eq(&self.name);
        let (counted, of) = match save {
            Save::Nested => {
                let topic = topics(topic::Column::Name.eq(&self.name)).await;
                let article = articles(article::Column::Title.eq(&self.name)).await;
                (topic.unwrap() + article.unwrap(), 2)
            }
            Save::Cascade => {
                let topic = topics(topic::Column::Id.eq(self.topics[0].id)).await;
                let article = articles(article::Column::Id.eq(self.article.id)).await;
                (2 - topic.unwrap() - article.unwrap(), 2)
            }
            Save::InsertMany | Save::UpsertMany => (notes(is_named()).await.unwrap(), 3),
            Save::UpdateMany => {
                let topics = topics(topic::Column::Name.eq(&self.name)).await;
                (topics.unwrap(), 2)
            }
            Save::DeleteMany => {
                let left = notes(note::Column::Id.is_in(self.notes.clone())).await;
                (3 - left.unwrap(), 3)
            }
            Save::Capture => {
                let left = notes(note::Column::Id.eq(self.notes[1])).await;
                let edited = notes(is_named()).await;
                (edited.unwrap() + 1 - left.unwrap(), 2)
            }
            _ => (0, 0),
        };
        [counted, of]
    }
}
