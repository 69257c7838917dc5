//! The compact format.

/// `rename_all`, serde, a visibility of its own, columns and key renamed.
pub mod plain {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;
    use serde::{Deserialize, Serialize};

    #[recorded(columns(all, eventKind as kind), derives(Serialize, Deserialize))]
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DeriveEntityModel)]
    #[serde(rename_all = "camelCase")]
    #[sea_orm(table_name = "ui_plain", rename_all = "PascalCase")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, column_type = "Uuid")]
        pub(crate) unit_id: Uuid,
        #[serde(skip_serializing)]
        pub(crate) word_count: i32,
        pub(crate) eventKind: i32,
        #[sea_orm(
            column_name = "own",
            column_type = "Decimal(Some((10, 2)))",
            unique,
            default_value = 0
        )]
        pub(crate) own_name: Decimal,
        pub(crate) data: Json,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod money {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    pub(super) fn serialize<S: Serializer>(cents: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{cents} cents"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        let cents = text.trim_end_matches(" cents").parse();
        cents.map_err(serde::de::Error::custom)
    }
}

/// Where a program has serde by way of another crate.
pub mod reexport {
    pub use serde;
}

const LENGTH: u32 = 77;

/// Strings that are code, of modules above, and one that only looks so.
pub mod priced {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;
    use serde::{Deserialize, Serialize};

    #[recorded(
        columns(all),
        properties(#[serde(with = "super::money")] twice: i64),
        derives(Serialize, Deserialize)
    )]
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, DeriveEntityModel)]
    #[serde(crate = "super::reexport::serde")]
    #[sea_orm(table_name = "ui_priced")]
    pub struct Model {
        #[sea_orm(primary_key)]
        #[serde(with = "super::money", rename = "number", skip_serializing)]
        pub id: i64,
        #[serde(with = "super::money", rename = "super::price")]
        pub price: i64,
        #[serde(default, skip_serializing_if = "self::is_blank")]
        #[sea_orm(column_type = "String(StringLen::N(super::LENGTH))")]
        pub note: String,
    }

    fn is_blank(text: &str) -> bool {
        text.trim().is_empty()
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|row| record::Properties {
                twice: row.price * 2,
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A composite key; properties alone.
pub mod composite {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(properties(n: i64))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_composite", rename_all = "SCREAMING_SNAKE_CASE")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key2: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|_| record::Properties { n: 1 })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// All private.
mod private {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(all))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_private")]
    struct Model {
        #[sea_orm(primary_key)]
        id: i32,
        foo_2: i32,
        x: Option<Vec<u8>>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Types that a macro of the user's wrote.
mod generated {
    macro_rules! entity {
        ($key:ty, $column:ty, $retired:ty) => {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::prelude::*;

            #[recorded(columns(value), properties(copy: $column), retired(old: $retired))]
            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = "ui_generated")]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: $key,
                pub value: $column,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::<Self>::new().properties(|row| record::Properties {
                        copy: row.value.clone(),
                    })
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}
        };
    }
    entity!(i64, Option<String>, Option<i32>);
}
