//! The integration tests: one binary (`rbac` is another), each test body written once and run on every database.
//!
//! `scripts/test` runs them all and brings the servers; `scripts/test --sqlite` needs none.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `harness` | a database for each test, counted statements, captured warnings |
//! | `blog`, `library`, `magazine` | the entities that tests are about |
//! | `model` | a model-based test: programs, a plain model, what must hold |
//! | `promise_*` | the promises of the README, by their numbers |
//! | `watching`, `watching_more`, `fan_out` | who is recorded with whom |
//! | `generated` | entities, and record entities, as `sea-orm-cli` writes them |
//! | `bulk`, `bulk_races`, `around`, `verify`, `write_paths` | writing many rows; what no hook sees; finding what was missed |
//! | `cascades`, `handed_on`, `links` | what the database, or SeaORM, deletes, changes or cuts loose because of another row |
//! | `cascading_records` | histories that go with their rows, by `#[recorded(cascade)]` |
//! | `backfill`, `import` | first records of rows that were there before; a past from elsewhere |
//! | `transactions`, `generic_code`, `concurrency`, `unusable` | connections of every kind; races; what cannot be recorded |
//! | `interleavings`, `dropped_futures`, `faults` | races stepped by hand; saves that are given up; what breaks |
//! | `cluster` | three nodes of Galera; run by `scripts/cluster-test` |
//! | `long_histories` | what many records of one row cost |
//! | `fuzz` | whatever goes in: rules, windows, statements, values |
//! | `schemas` | tables of another schema than the connection's |
//! | `macros`, `values` | what the macros take and refuse; every type of column and key |
//! | `reading`, `windows`, `resample`, `aggregates`, `fill` | queries, against an oracle and against pandas |
//! | `zones` | days of zones whose clocks do what one would not think of |
//! | `past`, `restore` | what held, what changed, and putting it back |
//! | `unreadable` | a row that is written, and cannot be read |
//! | `unread` | questions to a record table that is not there, or lacks a column |
//! | `erasure` | histories that are to be forgotten, and who does not bring them back |
//! | `redaction` | that a value changed, and not what it was |
//! | `retention` | pruning, by tiers and before a moment; repetitions |
//! | `migration`, `evolution`, `partitions` | record tables; from version to version; in partitions by time |

mod harness;

mod aggregates;
mod around;
mod backfill;
mod blog;
mod bulk;
mod bulk_races;
mod cascades;
mod cascading_records;
mod cluster;
mod concurrency;
mod dropped_futures;
mod erasure;
mod evolution;
mod fan_out;
mod faults;
mod fill;
mod fuzz;
mod generated;
mod generic_code;
mod handed_on;
mod import;
mod interleavings;
mod library;
mod links;
mod long_histories;
mod macros;
mod magazine;
mod migration;
mod model;
mod partitions;
mod past;
mod promise_1_atomic;
mod promise_2_convergent;
mod promise_3_quiet;
mod promise_4_ordered;
mod promise_5_no_silent_gap;
mod promise_6_out_of_the_way;
mod promise_7_history_outlives_code;
mod promise_8_same_answer_everywhere;
mod reading;
mod redaction;
mod resample;
mod restore;
mod retention;
mod schemas;
mod transactions;
mod unread;
mod unreadable;
mod unusable;
mod values;
mod verify;
mod watching;
mod watching_more;
mod windows;
mod write_paths;
mod zones;
