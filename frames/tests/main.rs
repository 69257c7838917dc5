//! Frames of records, on every database: `scripts/test --frames`.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `harness` | that of the suite, `tests/harness` |
//! | `entities` | a column of every type |
//! | `types` | what becomes of types and values |
//! | `pieces` | rows, their order, and frames of so many of them |
//! | `resampling` | polars, `resample` and pandas answer the same |

#[path = "../../tests/harness/mod.rs"]
mod harness;

mod entities;
mod pieces;
mod resampling;
mod types;
