//! The history of SeaORM entities.
//!
//! | where | what |
//! | --- | --- |
//! | [`recorded`](Recorded), [`Recorder`] | what a user says |
//! | [`hooks`] | when it is asked |

mod bulk;
mod capture;
mod connection;
mod context;
mod dialect;
mod erased;
mod error;
mod gather;
pub mod hooks;
mod listen;
mod operation;
mod plan;
mod query;
mod reads;
mod recorded;
mod recorder;
mod registry;
mod target;
mod time;
mod typed;
mod write;

pub use bulk::{KeyOf, insert_many};
pub use connection::{RecordedConnection, RecordedTransaction};
pub use context::Context;
pub use erased::Connection;
pub use error::{RecordError, is_retryable};
pub use query::{Change, Diff, RecordModel, RecordQuery, RecordedModel, Resample};
pub use reads::{UnwatchedRead, unwatched_reads};
pub use recorded::{ColumnOf, ContextColumns, Event, Hooked, Properties, RecordEntity, Recorded};
pub use recorder::Recorder;
pub use registry::{Registration, check, register};
#[cfg(feature = "macros")]
pub use sea_orm_record_macros::{record_hooks, recorded};
pub use time::{Buckets, Every, IntoRule, Window, zone};

/// All that an entity file and the code that queries it want in scope.
///
/// ```
/// use sea_orm_record::prelude::*;
/// ```
pub mod prelude {
    pub use crate::{
        Context, Event, Every, RecordEntity, RecordError, RecordModel, RecordQuery, Recorded,
        RecordedConnection, RecordedModel, RecordedTransaction, Recorder, Window, zone,
    };
    #[cfg(feature = "macros")]
    pub use crate::{record_hooks, recorded};
}

/// What the macros need.
#[doc(hidden)]
pub mod __private {
    pub use async_trait;
    pub use inventory;
    pub use sea_orm;
    pub use sea_orm::prelude::{DateTimeUtc, Json, Uuid};
}

/// Registers at compile time what [`register`] does at run time.
#[macro_export]
macro_rules! register_static {
    ($registration:expr) => {
        $crate::__private::inventory::submit! { $registration }
    };
}
