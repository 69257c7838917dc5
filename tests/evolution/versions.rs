//! Ten versions of one record entity, each as a program of its time had it.

use sea_orm::entity::prelude::*;

/// What is recorded.
pub mod gadget {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "gadget")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "gadget_mood")]
pub enum Mood {
    #[sea_orm(string_value = "good")]
    Good,
    #[sea_orm(string_value = "bad")]
    Bad,
}

macro_rules! version {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Event, RecordEntity};

            #[allow(unused_imports)]
            use super::Mood;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "gadget_record")]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub recording_id: i32,
                #[sea_orm(primary_key, auto_increment = false, indexed)]
                pub recorded_at: ChronoDateTimeUtc,
                pub event: Event,
                $($(#[$attribute])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl RecordEntity for Entity {
                type Recording = super::gadget::Entity;
                type Properties = ();

                const RECORDED_AT: Column = Column::RecordedAt;
                const EVENT: Column = Column::Event;
            }
        }
    };
}

version! {
    /// It is made.
    v1 {
        #[sea_orm(column_type = "String(StringLen::N(40))")]
        title: String,
        words: i32,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        mood: Mood,
    }
}

version! {
    /// A column is added.
    v2 {
        #[sea_orm(column_type = "String(StringLen::N(40))")]
        title: String,
        words: i32,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        mood: Mood,
        subtitle: Option<String>,
    }
}

version! {
    /// A property is added, with an index.
    v3 {
        #[sea_orm(column_type = "String(StringLen::N(40))")]
        title: String,
        words: i32,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        mood: Mood,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// One is widened.
    v4 {
        #[sea_orm(column_type = "Text")]
        title: String,
        words: i32,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        mood: Mood,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// One is renamed.
    v5 {
        #[sea_orm(column_type = "Text")]
        title: String,
        word_count: i32,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        mood: Mood,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// One may be NULL, and is wider.
    v6 {
        #[sea_orm(column_type = "Text")]
        title: String,
        word_count: i32,
        #[sea_orm(column_type = "Decimal(Some((14, 4)))")]
        price: Option<Decimal>,
        mood: Mood,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// Two are recorded no more.
    v7 {
        #[sea_orm(column_type = "Text")]
        title: String,
        #[sea_orm(column_type = "Decimal(Some((14, 4)))")]
        price: Option<Decimal>,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// One of them is back, with an index.
    v8 {
        #[sea_orm(column_type = "Text")]
        title: String,
        #[sea_orm(indexed)]
        word_count: Option<i32>,
        #[sea_orm(column_type = "Decimal(Some((14, 4)))")]
        price: Option<Decimal>,
        subtitle: Option<String>,
        #[sea_orm(indexed)]
        rank: Option<i32>,
    }
}

version! {
    /// One may not be NULL any more, and an index is gone.
    v9 {
        #[sea_orm(column_type = "Text")]
        title: String,
        #[sea_orm(indexed)]
        word_count: Option<i32>,
        #[sea_orm(column_type = "Decimal(Some((14, 4)))")]
        price: Option<Decimal>,
        subtitle: String,
        rank: Option<i32>,
    }
}

version! {
    /// It knows who and why, and has a column that is filled.
    v10 {
        #[sea_orm(column_type = "Text")]
        title: String,
        #[sea_orm(indexed)]
        word_count: Option<i32>,
        #[sea_orm(column_type = "Decimal(Some((14, 4)))")]
        price: Option<Decimal>,
        subtitle: String,
        rank: Option<i32>,
        pages: i64,
        #[sea_orm(column_type = "Text", nullable)]
        actor: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        reason: Option<String>,
        change_id: Option<Uuid>,
        #[sea_orm(column_type = "JsonBinary", nullable)]
        metadata: Option<Json>,
    }
}

version! {
    /// It has what texts say, such as dates.
    timed {
        moment: ChronoDateTimeUtc,
        day: ChronoDate,
        hour: ChronoTime,
        local: ChronoDateTime,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        price: Decimal,
        tag: Uuid,
        facts: Json,
    }
}
