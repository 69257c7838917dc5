use sea_orm::entity::prelude::*;
use sea_orm_record::prelude::*;

#[sea_orm::model]
#[recorded(columns(title))]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entity")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub title: String,
}

impl Recorded for Entity {
    type Record = record::Entity;

    fn recorder() -> Recorder<Self> {
        Recorder::new()
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}

fn main() {}
