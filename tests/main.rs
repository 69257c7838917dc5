//! The integration tests: one binary, each test body written once and run on every database.
//!
//! `scripts/test` runs them all and brings the servers; `scripts/test --sqlite` needs none.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `harness` | a database for each test, counted statements, captured warnings |
//! | `blog`, `library`, `magazine` | the entities that tests are about |
//! | `promise_*` | the promises of the README, by their numbers |
//! | `watching`, `watching_more` | who is recorded with whom |
//! | `bulk`, `around`, `verify`, `write_paths` | writing many rows; what no hook sees; finding what was missed |
//! | `backfill` | first records of rows that were there before |
//! | `transactions`, `generic_code`, `concurrency`, `unusable` | connections of every kind; races; what cannot be recorded |
//! | `macros`, `values` | what the macros take and refuse; every type of column and key |
//! | `reading`, `windows`, `resample` | queries, against an oracle and against pandas |
//! | `zones` | days of zones whose clocks do what one would not think of |
//! | `past`, `restore` | what held, what changed, and putting it back |
//! | `retention` | pruning, by tiers and before a moment; repetitions |
//! | `migration` | record tables |

mod harness;

mod around;
mod backfill;
mod blog;
mod bulk;
mod concurrency;
mod generic_code;
mod library;
mod macros;
mod magazine;
mod migration;
mod past;
mod promise_1_atomic;
mod promise_3_quiet;
mod promise_4_ordered;
mod promise_6_out_of_the_way;
#[cfg(feature = "rbac")]
mod rbac;
mod reading;
mod resample;
mod restore;
mod retention;
mod transactions;
mod unusable;
mod values;
mod verify;
mod watching;
mod watching_more;
mod windows;
mod write_paths;
mod zones;
