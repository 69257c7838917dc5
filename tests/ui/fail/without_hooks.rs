use sea_orm::entity::prelude::*;
use sea_orm_record::prelude::*;

#[recorded(columns(title))]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entity")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Recorded for Entity {
    type Record = record::Entity;
}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
