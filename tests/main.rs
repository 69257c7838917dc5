//! The integration tests: one binary, each test body written once and run on every database.
//!
//! `scripts/test` runs them all and brings the servers; `scripts/test --sqlite` needs none.
//!
//! - `harness`: a database for each test, counted statements, captured warnings

mod harness;

mod blog;
mod migration;
mod smoke;
