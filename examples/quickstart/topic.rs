//! A topic: not recorded itself, but watched by its articles.

use sea_orm::entity::prelude::*;
use sea_orm_record::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "topic")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub name: String,
    #[sea_orm(has_many)]
    pub articles: HasMany<super::article::Entity>,
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}
