//! Record tables in SeaORM migrations.
