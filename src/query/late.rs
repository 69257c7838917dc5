//! Queries that are finished when it is known which database they go to.

/// Filters, orders, limits and selects as the `select` inside does.
macro_rules! builds_on_select {
    ($name:ident<$($entity:ident),+>) => {
        impl<$($entity: RecordEntity),+> sea_orm::QueryFilter for $name<$($entity),+> {
            type QueryStatement = sea_orm::sea_query::SelectStatement;

            fn query(&mut self) -> &mut sea_orm::sea_query::SelectStatement {
                sea_orm::QueryTrait::query(&mut self.select)
            }
        }

        impl<$($entity: RecordEntity),+> sea_orm::QueryOrder for $name<$($entity),+> {
            type QueryStatement = sea_orm::sea_query::SelectStatement;

            fn query(&mut self) -> &mut sea_orm::sea_query::SelectStatement {
                sea_orm::QueryTrait::query(&mut self.select)
            }
        }

        impl<$($entity: RecordEntity),+> sea_orm::QuerySelect for $name<$($entity),+> {
            type QueryStatement = sea_orm::sea_query::SelectStatement;

            fn query(&mut self) -> &mut sea_orm::sea_query::SelectStatement {
                sea_orm::QueryTrait::query(&mut self.select)
            }
        }
    };
}

/// Executes what `into_select` gives.
macro_rules! executes_its_select {
    ($name:ident) => {
        impl<R: RecordEntity> $name<R> {
            /// The records.
            ///
            /// # Errors
            ///
            /// The database's, as a [`RecordError::Database`](crate::RecordError::Database) within the
            /// `DbErr`.
            pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<R::Model>, DbErr> {
                self.into_select(db).all(db).await.map_err(unread::<R>)
            }

            /// The first of the records; `None` if there is none.
            ///
            /// # Errors
            ///
            /// The database's, as a [`RecordError::Database`](crate::RecordError::Database) within the
            /// `DbErr`.
            pub async fn one<C: ConnectionTrait>(self, db: &C) -> Result<Option<R::Model>, DbErr> {
                self.into_select(db).one(db).await.map_err(unread::<R>)
            }

            /// How many there are.
            ///
            /// # Errors
            ///
            /// The database's, as a [`RecordError::Database`](crate::RecordError::Database) within the
            /// `DbErr`.
            pub async fn count<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr>
            where
                R::Model: Sync,
            {
                let count = sea_orm::PaginatorTrait::count(self.into_select(db), db);
                count.await.map_err(unread::<R>)
            }

            /// The records a page at a time, by SeaORM's paginator: its errors are SeaORM's.
            ///
            /// # Panics
            ///
            /// As SeaORM's: where a page has no size.
            pub fn paginate<C>(
                self,
                db: &C,
                page_size: u64,
            ) -> sea_orm::Paginator<'_, C, sea_orm::SelectModel<R::Model>>
            where
                C: ConnectionTrait,
                R::Model: Sync,
            {
                sea_orm::PaginatorTrait::paginate(self.into_select(db), db, page_size)
            }
        }
    };
}

pub(super) use {builds_on_select, executes_its_select};
