//! Hooks that are there already, however they are written.

macro_rules! entity {
    ($name:ident, $table:literal, $($hooks:tt)*) => {
        pub mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::prelude::*;

            #[recorded(columns(title))]
            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                pub title: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::new()
                }
            }

            $($hooks)*
        }
    };
}

entity! { with_async_trait, "ui_with_async_trait",
    #[record_hooks]
    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        fn new() -> Self {
            Self { title: sea_orm::Set("new".into()), ..ActiveModelTrait::default() }
        }

        async fn before_save<D>(mut self, _: &D, insert: bool) -> Result<Self, DbErr>
        where
            D: ConnectionTrait,
        {
            if !insert {
                return Ok(self);
            }
            let title = self.title.take().ok_or(DbErr::Custom("no title".into()))?;
            self.title = sea_orm::Set(title + "!");
            Ok(self)
        }
    }
}

entity! { without_async_trait, "ui_without_async_trait",
    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {
        async fn after_save<C: ConnectionTrait>(mut model: Model, db: &C, _insert: bool) -> Result<Model, DbErr> {
            let one = Self::noted(db).await?;
            model.title.push_str(&one.to_string());
            Ok(model)
        }

        async fn after_delete<C>(self, _db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            Ok(self)
        }
    }

    impl ActiveModel {
        async fn noted<C: ConnectionTrait>(_: &C) -> Result<i32, DbErr> {
            Ok(1)
        }
    }
}

entity! { that_never_return, "ui_that_never_return",
    #[record_hooks]
    impl sea_orm::ActiveModelBehavior for super::that_never_return::ActiveModel {
        async fn before_delete<C>(self, _db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            Err(DbErr::Custom("never deleted".into()))
        }

        async fn before_save<C>(self, _db: &C, _: bool) -> std::result::Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            unimplemented!()
        }
    }
}

/// Hooks from one macro, `#[record_hooks]` from another.
macro_rules! with_hooks {
    ($($hooks:tt)*) => {
        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {
            $($hooks)*
        }
    };
}

entity! { by_two_macros, "ui_by_two_macros",
    with_hooks! {
        async fn before_save<C: ConnectionTrait>(mut self, _: &C, insert: bool) -> Result<Self, DbErr> {
            if insert {
                self.title = sea_orm::Set("new".into());
            }
            Ok(self)
        }

        async fn after_delete<C: ConnectionTrait>(self, _: &C) -> Result<Self, DbErr> {
            Ok(self)
        }
    }
}

entity! { with_attributes_that_name_arguments, "ui_instrumented",
    #[record_hooks]
    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        #[tracing::instrument(skip(self, db))]
        async fn before_save<C: ConnectionTrait>(self, db: &C, insert: bool) -> Result<Self, DbErr> {
            let _ = db.get_database_backend();
            Ok(self)
        }

        #[tracing::instrument(skip_all, fields(id = model.id))]
        async fn after_save<C: ConnectionTrait>(mut model: Model, _db: &C, _insert: bool) -> Result<Model, DbErr> {
            model.title.push('!');
            Ok(model)
        }
    }
}
