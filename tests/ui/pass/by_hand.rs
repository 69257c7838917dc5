//! No macro of ours: a record entity as `sea-orm-cli` would generate it, and hooks that are called.

pub mod note {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Hooked, Recorded, Recorder, Registration, hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_note")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub secret: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_save<C>(self, db: &C, insert: bool) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            hooks::before_save(self, db, insert).await
        }

        async fn after_save<C>(model: Model, db: &C, insert: bool) -> Result<Model, DbErr>
        where
            C: ConnectionTrait,
        {
            hooks::after_save::<Self, C>(model, db, insert).await
        }

        async fn before_delete<C>(self, db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            hooks::before_delete(self, db).await
        }

        async fn after_delete<C>(self, db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            hooks::after_delete(self, db).await
        }
    }

    impl Hooked for ActiveModel {}

    impl Recorded for Entity {
        type Record = super::note_record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|note| super::note_record::Length {
                length: note.title.len() as i32,
            })
        }
    }

    sea_orm_record::register_static!(Registration::hooked::<ActiveModel>());
    sea_orm_record::register_static!(Registration::recorded::<Entity>());
}

pub mod note_record {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Event, Properties, RecordEntity};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_note_record")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub recording_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub recorded_at: DateTimeUtc,
        pub event: Event,
        pub title: String,
        pub length: i32,
        pub actor: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    pub struct Length {
        pub length: i32,
    }

    impl Properties for Length {
        const NAMES: &'static [&'static str] = &["length"];

        fn into_values(self) -> Vec<sea_orm::Value> {
            vec![self.length.into()]
        }
    }

    impl RecordEntity for Entity {
        type Recording = super::note::Entity;
        type Properties = Length;

        const RECORDED_AT: Column = Column::RecordedAt;
        const EVENT: Column = Column::Event;
    }
}
