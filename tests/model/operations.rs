//! What a unit of work does, on each kind of connection. Each operation is one call of the library.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, ModelTrait, QueryFilter, QueryOrder, Select, Set,
    TransactionError, TransactionTrait,
};
use sea_orm_record::hooks::{self, Savable};
use sea_orm_record::{
    RecordedConnection, RecordedModel, RecordedTransaction, capture, is_retryable,
};

use super::bulk;
use super::program::{Kind, Operation};
use super::state::{Article, Own, Shared};
use super::tables::{article, link, tag, topic};

/// A connection of any kind.
pub trait Place: ConnectionTrait + TransactionTrait {
    /// Whether records wait until they are read, or for the commit.
    const GATHERS: bool = false;
    const IS_TRANSACTION: bool = false;

    /// Runs raw SQL within a capture; answers whether it did.
    fn raw(
        &self,
        select: Select<article::Entity>,
        statements: Vec<String>,
    ) -> impl Future<Output = Result<bool, DbErr>> + Send;
}

async fn captured<C>(
    db: &C,
    select: Select<article::Entity>,
    statements: Vec<String>,
) -> Result<bool, DbErr>
where
    C: TransactionTrait<Transaction = RecordedTransaction>,
{
    let run = capture(select).around(db, |txn| {
        Box::pin(async move {
            for statement in statements {
                txn.execute_unprepared(&statement).await?;
            }
            Ok(true)
        })
    });
    run.await.map_err(|error| match error {
        TransactionError::Connection(error) | TransactionError::Transaction(error) => error,
    })
}

impl Place for RecordedConnection {
    async fn raw(&self, select: Select<article::Entity>, sql: Vec<String>) -> Result<bool, DbErr> {
        captured(self, select, sql).await
    }
}

impl Place for RecordedTransaction {
    const GATHERS: bool = true;
    const IS_TRANSACTION: bool = true;

    async fn raw(&self, select: Select<article::Entity>, sql: Vec<String>) -> Result<bool, DbErr> {
        captured(self, select, sql).await
    }
}

impl Place for DatabaseConnection {
    async fn raw(&self, select: Select<article::Entity>, sql: Vec<String>) -> Result<bool, DbErr> {
        captured(&RecordedConnection::new(self.clone()), select, sql).await
    }
}

/// A plain transaction cannot be captured in.
impl Place for DatabaseTransaction {
    const IS_TRANSACTION: bool = true;

    async fn raw(&self, _: Select<article::Entity>, _: Vec<String>) -> Result<bool, DbErr> {
        Ok(false)
    }
}

/// Who does it, and how its saves go.
pub struct Doer<'d, C> {
    pub task: i32,
    pub shared: &'d Shared,
    pub db: &'d C,
    /// By SeaORM's traits rather than the inherent methods.
    pub by_trait: bool,
}

impl<C: Place> Doer<'_, C> {
    /// Does an operation, and says in `own` what it came to.
    pub async fn run(&self, operation: Operation, own: &mut Own) -> Result<(), DbErr> {
        use Kind::*;
        match operation.kind {
            Insert | EditTitle | Save | SaveUnchanged | SameAgain | Move | MoveToOwnTopic | See
            | UpdateBlindly | Delete | DeleteWithLinks | Link | Unlink => {
                self.one_of_its_own(operation, own).await?
            }
            NewTopic | DeleteTopic | NestedInsert | NestedTopic => {
                self.topics_of_its_own(operation, own).await?;
            }
            RenameTopic | RenameTag | EditLandmark | MoveLandmark | SaveStaleLandmark
            | LinkLandmark | UnlinkLandmark | Stars => self.shared(operation, own).await?,
            InsertMany | UpdateMany | DeleteMany | UpsertMany | Capture | UpsertLandmarks
            | RenameTopics | StarsOfATopic | CaptureStars => {
                bulk::run(self, operation, own).await?
            }
            Read => self.read(operation, own).await?,
        }
        own.operations += usize::from(!std::mem::take(&mut own.idle));
        if !C::GATHERS {
            own.recorded();
        }
        Ok(())
    }

    async fn one_of_its_own(
        &self,
        Operation { kind, a, b }: Operation,
        own: &mut Own,
    ) -> Result<(), DbErr> {
        if kind == Kind::Insert {
            let mut article = self.draft(own);
            article.topic = Some(self.shared.topic(a));
            article.see = (b % 3 == 0).then(|| self.shared.landmark(b));
            let inserted = self.insert_article(self.active(&article)).await?;
            own.articles.insert(inserted.id, article);
            return Ok(());
        }
        let Some((id, article)) = own.article(a) else {
            return own.idles();
        };
        let row = self.model(id, &article);
        let mut am = row.clone().into_active_model();
        match kind {
            Kind::EditTitle => {
                let title = own.say(self.shared);
                am.title = Set(title.clone());
                self.update(am).await?;
                own.edit(id, |article| article.title = title);
            }
            Kind::Save => {
                let title = own.say(self.shared);
                let topic = Some(self.shared.topic(b)).filter(|_| b % 5 != 0);
                am.title = Set(title.clone());
                am.topic_id = Set(topic);
                if self.by_trait {
                    self.update(am).await?;
                } else {
                    hooks::save(am, self.db).await?;
                }
                own.edit(id, |article| {
                    (article.title, article.topic) = (title, topic)
                });
            }
            Kind::SaveUnchanged => {
                self.update(am).await?;
            }
            Kind::SameAgain => {
                am.title = Set(article.title);
                am.topic_id = Set(article.topic);
                self.update(am).await?;
            }
            Kind::Move | Kind::MoveToOwnTopic => {
                let topic = match kind {
                    Kind::Move => Some(self.shared.topic(b)),
                    _ => own.topic(b),
                };
                am.topic_id = Set(topic);
                self.update(am).await?;
                own.edit(id, |article| article.topic = topic);
            }
            Kind::See => {
                let mine = own.article(b).map(|(id, _)| id);
                let see = if b % 2 == 0 {
                    Some(self.shared.landmark(b))
                } else {
                    mine
                };
                am.see_id = Set(see);
                self.update(am).await?;
                own.edit(id, |article| article.see = see);
            }
            Kind::UpdateBlindly => {
                let title = own.say(self.shared);
                am.title = Set(title.clone());
                hooks::update_without_returning(am, self.db).await?;
                own.edit(id, |article| article.title = title);
            }
            Kind::Delete => {
                self.delete(row, own).await?;
                own.lose(id);
            }
            Kind::DeleteWithLinks => {
                row.cascade_delete(self.db).await?;
                own.lose(id);
            }
            Kind::Link | Kind::Unlink => {
                let tag = self.shared.tag(b);
                match (article.tags.contains(&tag), kind) {
                    (true, Kind::Unlink) => {
                        self.delete(
                            link::Model {
                                article_id: id,
                                tag_id: tag,
                            },
                            own,
                        )
                        .await?;
                        own.edit(id, |article| article.tags.retain(|id| *id != tag));
                    }
                    (false, Kind::Link) => {
                        self.link(id, tag).await?;
                        own.edit(id, |article| article.tags.extend([tag]));
                    }
                    _ => return own.idles(),
                }
            }
            other => unreachable!("{other:?} is of another kind"),
        }
        Ok(())
    }

    async fn topics_of_its_own(
        &self,
        Operation { kind, a, b }: Operation,
        own: &mut Own,
    ) -> Result<(), DbErr> {
        match kind {
            Kind::NewTopic => {
                let name = Set(own.say(self.shared));
                let am = topic::ActiveModel {
                    name,
                    ..Default::default()
                };
                own.topics.insert(hooks::insert(am, self.db).await?.id);
            }
            Kind::DeleteTopic => {
                let Some(id) = own.topic(a) else {
                    return own.idles();
                };
                let name = String::new();
                hooks::delete_model::<topic::ActiveModel, _>(topic::Model { id, name }, self.db)
                    .await?;
                own.lose_topic(id);
            }
            Kind::NestedInsert => {
                let mut article = self.draft(own);
                let (name, tag) = (own.say(self.shared), self.shared.tag(b));
                let am = self.active(&article).into_ex();
                let am = am.set_topic(topic::ActiveModel::builder().set_name(name));
                let am = am.add_tag(self.tag(tag).into_active_model().into_ex());
                let saved = am.save(self.db).await?;
                article.topic = saved.topic_id.clone().take().flatten();
                article.tags.insert(tag);
                own.topics.extend(article.topic);
                own.articles
                    .insert(saved.id.clone().take().unwrap_or_default(), article);
            }
            _ => {
                let Some((id, article)) = own.article(a) else {
                    return own.idles();
                };
                let (name, title) = (own.say(self.shared), own.say(self.shared));
                let mut moved = self.model(id, &article).into_active_model().into_ex();
                moved.title = Set(title.clone());
                let builder = topic::ActiveModel::builder()
                    .set_name(name)
                    .add_article(moved);
                let topic = builder.save(self.db).await?.id.take();
                own.topics.extend(topic);
                own.edit(id, |article| {
                    (article.title, article.topic) = (title, topic)
                });
            }
        }
        Ok(())
    }

    async fn shared(
        &self,
        Operation { kind, a, b }: Operation,
        own: &mut Own,
    ) -> Result<(), DbErr> {
        let id = self.shared.landmark(a);
        let unchanged = || article::ActiveModel {
            id: sea_orm::Unchanged(id),
            ..Default::default()
        };
        match kind {
            Kind::RenameTopic => {
                let (id, name) = (
                    sea_orm::Unchanged(self.shared.topic(a)),
                    Set(own.say(self.shared)),
                );
                self.update(topic::ActiveModel { id, name }).await?;
            }
            Kind::RenameTag => {
                let (id, name) = (
                    sea_orm::Unchanged(self.shared.tag(a)),
                    Set(own.say(self.shared)),
                );
                self.update(tag::ActiveModel { id, name }).await?;
            }
            Kind::EditLandmark => {
                let title = Set(own.say(self.shared));
                self.update(article::ActiveModel {
                    title,
                    ..unchanged()
                })
                .await?;
            }
            Kind::MoveLandmark => {
                let topic_id = Set(Some(self.shared.topic(b)).filter(|_| b % 5 != 0));
                self.update(article::ActiveModel {
                    topic_id,
                    ..unchanged()
                })
                .await?;
            }
            Kind::SaveStaleLandmark => {
                let read = article::Entity::find_by_id(id).one(self.db).await?;
                let read = read.expect("a landmark").into_active_model();
                tokio::task::yield_now().await;
                self.update(read).await?;
            }
            Kind::LinkLandmark | Kind::UnlinkLandmark => {
                // Locked, so that nobody else links it meanwhile.
                let row = bulk::locked(id, self.db).await?;
                let tag = self.shared.tag(b);
                let linked = link::Entity::find_by_id((row, tag)).one(self.db).await?;
                match (linked, kind, C::IS_TRANSACTION) {
                    (None, Kind::LinkLandmark, true) => drop(self.link(id, tag).await?),
                    (Some(linked), Kind::UnlinkLandmark, _) => {
                        hooks::delete_model::<link::ActiveModel, _>(linked, self.db).await?;
                    }
                    _ => return own.idles(),
                }
            }
            _ => {
                let stars = Set(Some(own.say_number(self.shared)));
                let id = own.article(b).map_or(id, |(id, _)| id);
                let id = sea_orm::Unchanged(id);
                self.update(article::ActiveModel {
                    id,
                    stars,
                    ..Default::default()
                })
                .await?;
            }
        }
        Ok(())
    }

    /// One's own records are there to be read, also those of this transaction.
    async fn read(&self, operation: Operation, own: &mut Own) -> Result<(), DbErr> {
        let Some((id, expected)) = own.article(operation.a) else {
            return own.idles();
        };
        let records = article::record::Entity::find()
            .filter(article::record::Column::RecordingId.eq(id))
            .order_by_desc(article::record::Column::RecordedAt);
        let latest = records.one(self.db).await?;
        let latest = latest.unwrap_or_else(|| panic!("no record of article {id}"));
        assert_eq!(
            (latest.title, latest.topic_id),
            (expected.title, expected.topic),
            "article {id}"
        );
        own.recorded();
        Ok(())
    }

    /// An article that is to be.
    pub fn draft(&self, own: &mut Own) -> Article {
        Article {
            code: format!("c{}", self.shared.number()),
            title: own.say(self.shared),
            topic: None,
            see: None,
            tags: Default::default(),
        }
    }

    pub fn active(&self, article: &Article) -> article::ActiveModel {
        article::ActiveModel {
            code: Set(article.code.clone()),
            owner: Set(self.task),
            title: Set(article.title.clone()),
            stars: Set(None),
            topic_id: Set(article.topic),
            see_id: Set(article.see),
            ..Default::default()
        }
    }

    /// A row as its task knows it. Its stars it may not know.
    fn model(&self, id: i32, article: &Article) -> article::Model {
        article::Model {
            id,
            code: article.code.clone(),
            owner: self.task,
            title: article.title.clone(),
            stars: None,
            topic_id: article.topic,
            see_id: article.see,
        }
    }

    fn tag(&self, id: i32) -> tag::Model {
        tag::Model {
            id,
            name: String::new(),
        }
    }

    /// By the trait on a pool a save may commit its row and then fail to record it: it is done again.
    async fn update<A>(&self, am: A) -> Result<(), DbErr>
    where
        A: Savable + Clone,
    {
        if !self.by_trait {
            return hooks::update(am, self.db).await.map(drop);
        }
        loop {
            match ActiveModelTrait::update(am.clone(), self.db).await {
                Err(error) if may_be_repeated::<C>(&error) => {}
                result => return result.map(drop),
            }
        }
    }

    async fn insert_article(&self, am: article::ActiveModel) -> Result<article::Model, DbErr> {
        if !self.by_trait {
            return am.insert(self.db).await;
        }
        let code = am.code.clone().take().unwrap_or_default();
        loop {
            match ActiveModelTrait::insert(am.clone(), self.db).await {
                Err(error) if may_be_repeated::<C>(&error) => {}
                result => return result,
            }
            let found = article::Entity::find().filter(article::Column::Code.eq(&code));
            if let Some(row) = found.one(self.db).await? {
                self.record(row.id).await?;
                return Ok(row);
            }
        }
    }

    async fn link(&self, article: i32, tag: i32) -> Result<(), DbErr> {
        let am = link::ActiveModel {
            article_id: Set(article),
            tag_id: Set(tag),
        };
        if !self.by_trait {
            return am.insert(self.db).await.map(drop);
        }
        match ActiveModelTrait::insert(am, self.db).await {
            Err(error) if may_be_repeated::<C>(&error) => {
                if link::Entity::find_by_id((article, tag))
                    .one(self.db)
                    .await?
                    .is_none()
                {
                    return Err(error);
                }
                self.record(article).await
            }
            result => result.map(drop),
        }
    }

    async fn delete<M>(&self, model: M, own: &Own) -> Result<(), DbErr>
    where
        M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel> + Clone,
        <M::Entity as EntityTrait>::ActiveModel: Savable<Entity = M::Entity>,
    {
        if !self.by_trait {
            return hooks::delete(model.into_active_model(), self.db)
                .await
                .map(drop);
        }
        let mut failed = false;
        while let Err(error) =
            ActiveModelTrait::delete(model.clone().into_active_model(), self.db).await
        {
            if !may_be_repeated::<C>(&error) {
                return Err(error);
            }
            failed = true;
        }
        if failed {
            for id in own.articles.keys() {
                self.record(*id).await?;
            }
        }
        Ok(())
    }

    /// What a caller does of whose save only the row came through.
    async fn record(&self, id: i32) -> Result<(), DbErr> {
        loop {
            let Some(row) = article::Entity::find_by_id(id).one(self.db).await? else {
                return Ok(());
            };
            match row.record_now(self.db).await {
                Err(error) if is_retryable(&error) => {}
                result => return result.map(drop),
            }
        }
    }
}

/// On a pool one save may be done again; within a transaction all of it must be.
fn may_be_repeated<C: Place>(error: &DbErr) -> bool {
    !C::IS_TRANSACTION && is_retryable(error)
}
