//! What depends on a `#[cfg]` would take the recording with it.

mod one {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "one")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[record_hooks]
    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        #[cfg(unix)]
        async fn after_save<C: ConnectionTrait>(model: Model, _: &C, _: bool) -> Result<Model, DbErr> {
            Ok(model)
        }
    }
}

fn main() {}
