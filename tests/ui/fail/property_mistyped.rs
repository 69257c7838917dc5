use sea_orm::entity::prelude::*;
use sea_orm_record::prelude::*;

#[recorded(properties(words: i32, headline: String))]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entity")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Recorded for Entity {
    type Record = record::Entity;

    fn recorder() -> Recorder<Self> {
        Recorder::<Self>::new().properties(|_| record::Properties { words: 1, headline: 2 })
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}

fn main() {}
