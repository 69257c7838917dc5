//! A model-based test: random programs, run by tasks at once, against a plain model in memory.
//!
//! - `tables`: topics, articles, tags and links, all tied to each other
//! - `program`: the program that proptest generates
//! - `state`: the model, which knows what each task has committed
//! - `run`: the tasks, and how their units of work end
//! - `operations`: what a unit does, on each kind of connection
//! - `bulk`: the same for many rows, and for raw SQL within a capture
//! - `apart`: connections for work that is dropped half-way
//! - `waits`: lock waits, as each database tells them
//! - `check`: what must hold when nothing is in flight
//!
//! `promise_2_convergent` runs it, in short and as a soak.

pub mod apart;
pub mod bulk;
pub mod check;
pub mod operations;
pub mod program;
pub mod run;
pub mod state;
pub mod tables;
pub mod waits;
