//! What every test stands on.
//!
//! ```ignore
//! use crate::harness::*;
//!
//! each_database! {
//!     /// Contract 1.
//!     async fn a_failed_save_leaves_no_record(db: TestDb) -> TestResult {
//!         let connection = db.connect().await;
//!         // …
//!         Ok(())
//!     }
//! }
//! ```
//!
//! makes the tests `a_failed_save_leaves_no_record::{sqlite, postgres, mariadb}`, each with a
//! database of its own. One that fails leaves its database for a look and prints where it is.
//!
//! - `engine`: the three databases, and how a database is made and dropped on each
//! - `database`: [`TestDb`], and what runs a test body with one
//! - `counter`: [`Counter`], the statements that a connection sent
//! - `logs`: [`captured_warnings`], what the library warned of
//! - `waits`: [`once_held_up`] and [`let_through`], for transactions in each other's way
//! - `smoke`: tests of the harness itself
#![allow(dead_code, reason = "which of these are used is up to the tests")]
#![allow(unused_imports, reason = "which of these are used is up to the tests")]

mod counter;
mod database;
mod engine;
mod logs;
mod smoke;
mod waits;

pub use counter::Counter;
pub use database::{Outcome, TestDb, TestResult, run};
pub use engine::{Engine, is_mysql};
pub use logs::captured_warnings;
pub use waits::{is_cluster, let_through, once_held_up};

/// Writes each test body once and runs it on every database.
///
/// A body takes a [`TestDb`] and returns nothing or a [`TestResult`]. Attributes, such as
/// `#[ignore]`, go to each of the three tests.
macro_rules! each_database {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($db:ident: TestDb) $(-> $result:ty)? $body:block
    )+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($db: $crate::harness::TestDb) $(-> $result)? $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $crate::harness::run($crate::harness::Engine::Sqlite, stringify!($name), body).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $crate::harness::run($crate::harness::Engine::Postgres, stringify!($name), body).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                $crate::harness::run($crate::harness::Engine::MariaDb, stringify!($name), body).await;
            }
        }
    )+};
}
pub(crate) use each_database;
