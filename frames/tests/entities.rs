//! Entities with a column of every type, and what makes their record tables.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel, Schema,
};
use sea_orm_record::Recorded;
use sea_orm_record_migration::RecordSchema;

macro_rules! entity {
    ($name:ident, $table:literal, {$($body:tt)*} $($more:tt)*) => {
        pub(crate) mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded(columns(all))]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: i32,
                $($body)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::new()
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}

            $($more)*
        }
    };
}

entity!(everything, "everything", {
    pub bool: bool,
    pub bool_or: Option<bool>,
    pub i16: i16,
    pub i16_or: Option<i16>,
    pub i32: i32,
    pub i32_or: Option<i32>,
    pub i64: i64,
    pub i64_or: Option<i64>,
    pub f32: f32,
    pub f32_or: Option<f32>,
    pub f64: f64,
    pub f64_or: Option<f64>,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))")]
    pub decimal: Decimal,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))", nullable)]
    pub decimal_or: Option<Decimal>,
    pub bare: Decimal,
    pub string: String,
    pub string_or: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Char(Some(4))")]
    pub chars: String,
    pub bytes: Vec<u8>,
    pub bytes_or: Option<Vec<u8>>,
    pub date: Date,
    pub date_or: Option<Date>,
    pub time: Time,
    pub time_or: Option<Time>,
    pub naive: DateTime,
    pub naive_or: Option<DateTime>,
    pub utc: DateTimeUtc,
    pub utc_or: Option<DateTimeUtc>,
    pub zoned: DateTimeWithTimeZone,
    pub uuid: Uuid,
    pub uuid_or: Option<Uuid>,
    pub json: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub binary: Json,
    pub json_or: Option<Json>,
    pub word: Word,
    pub word_or: Option<Word>,
    pub number: Number,
    pub native: Native,
    pub native_or: Option<Native>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum Word {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "public")]
        Public,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Number {
        #[sea_orm(num_value = -1)]
        Draft,
        #[sea_orm(num_value = 70_000)]
        Public,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "f_native")]
    pub enum Native {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "in the open")]
        Public,
    }
);

// SeaORM cannot write or read these on PostgreSQL.
entity!(narrow, "narrow", {
    pub i8: i8,
    pub u8: u8,
    pub u16: u16,
    pub u32: u32,
    pub u32_or: Option<u32>,
});

// SeaORM can read back this one on MySQL and MariaDB only.
entity!(large, "large", {
    pub u64: u64,
    pub u64_or: Option<u64>,
});

// PostgreSQL alone has arrays.
entity!(arrays, "arrays", {
    pub bools: Vec<bool>,
    pub i16s: Vec<i16>,
    pub i32s: Vec<i32>,
    pub i64s: Vec<i64>,
    pub f32s: Vec<f32>,
    pub f64s: Vec<f64>,
    pub words: Vec<String>,
    pub uuids: Vec<Uuid>,
    pub dates: Vec<Date>,
    pub times: Vec<Time>,
    pub naives: Vec<DateTime>,
    pub utcs: Vec<DateTimeUtc>,
    pub i32s_or: Option<Vec<i32>>,
    pub words_or: Option<Vec<String>>,
    pub kinds: Vec<Kind>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "f_kind")]
    pub enum Kind {
        #[sea_orm(string_value = "one")]
        One,
        #[sea_orm(string_value = "two")]
        Two,
    }
);

// Polars has no such type.
entity!(address, "address", {
    pub name: String,
    #[sea_orm(column_type = "Inet")]
    pub ip: String,
    #[sea_orm(column_type = "Array(RcOrArc::new(ColumnType::Decimal(None)))")]
    pub prices: Vec<Decimal>,
});

entity!(station, "station", {
    pub temperature: Option<f64>,
});

/// Makes the record table of an entity.
pub(crate) async fn create<E: Recorded>(db: &DatabaseConnection) {
    let backend = db.get_database_backend();
    if backend == DbBackend::Postgres {
        let enums = Schema::new(backend).create_enum_from_entity(E::default());
        let mut enums: Vec<_> = enums
            .iter()
            .map(|create| backend.build(create).sql)
            .collect();
        enums.dedup();
        for create in enums {
            db.execute_unprepared(&create).await.unwrap();
        }
    }
    db.create_record_table(E::Record::default()).await.unwrap();
}

/// Writes records down as they are, past all recording.
pub(crate) async fn insert<R>(db: &DatabaseConnection, records: Vec<R::Model>)
where
    R: EntityTrait,
    R::Model: IntoActiveModel<R::ActiveModel>,
{
    let models = records.into_iter().map(IntoActiveModel::into_active_model);
    for chunk in models.collect::<Vec<_>>().chunks(1_000) {
        let inserted = R::insert_many(chunk.to_vec())
            .exec_without_returning(db)
            .await;
        inserted.unwrap();
    }
}
