mod entity {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(
        columns(title, event, actor as Who),
        properties(reason: i32, title: String, Recorded_at: i32, who: i32),
        retired(metadata: Option<String>),
        context
    )]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "entity")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub event: String,
        pub actor: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

fn main() {}
