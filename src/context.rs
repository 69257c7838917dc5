//! Who changed something, and why.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use sea_orm::prelude::{Json, Uuid};
use sea_orm::{DbErr, Value};

use crate::RecordError;
use crate::time::truncate_to_micros;

/// Who and why: kept in each record of an entity that has `#[recorded(context)]`.
///
/// A context belongs to a [`RecordedConnection`](crate::RecordedConnection); nothing is global.
///
/// ```
/// use sea_orm_record::Context;
///
/// let context = Context::actor("alice").reason("typo").metadata(serde_json::json!({ "ticket": 7 }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Context {
    actor: Option<String>,
    reason: Option<String>,
    change_id: Option<Uuid>,
    /// That of a unit which was given none, made when it is first written.
    own_id: Option<Arc<OnceLock<Uuid>>>,
    metadata: Option<Json>,
    clock: Option<DateTime<Utc>>,
}

impl Context {
    /// A context that names nobody and gives no reason, on the wall clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context that names who acts.
    pub fn actor(actor: impl Into<String>) -> Self {
        Self {
            actor: Some(actor.into()),
            ..Self::default()
        }
    }

    /// Why. Default: nothing.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The unit of work. Default: a new UUID (version 7) for each transaction.
    #[must_use]
    pub fn change_id(mut self, change_id: Uuid) -> Self {
        self.change_id = Some(change_id);
        self
    }

    /// Anything else. Default: nothing.
    #[must_use]
    pub fn metadata(mut self, metadata: Json) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// The time of the records, cut to microseconds, for imports and tests. Default: the wall clock.
    ///
    /// Times of the wall clock step past the row's last record where they must; a time that is set
    /// does not: writing fails with [`RecordError::Clock`] when it is not after the row's last
    /// record, or is more than a minute ahead of now.
    #[must_use]
    pub fn clock(mut self, at: DateTime<Utc>) -> Self {
        self.clock = Some(truncate_to_micros(at));
        self
    }

    /// The same context for one unit of work, with a change id of its own where none is set. A unit
    /// within a unit has that one's.
    pub(crate) fn for_unit(&self) -> Self {
        let mut unit = self.clone();
        unit.own_id.get_or_insert_default();
        unit
    }

    /// Values in the order of [`ContextColumns`](crate::ContextColumns).
    pub(crate) fn values(&self) -> [Value; 4] {
        let own_id = self.own_id.as_ref();
        let made = || own_id.map(|id| *id.get_or_init(Uuid::now_v7));
        let change_id = self.change_id.or_else(made);
        [
            self.actor.clone().into(),
            self.reason.clone().into(),
            change_id.into(),
            self.metadata.clone().into(),
        ]
    }

    /// The time that all records of one flush share.
    pub(crate) fn stamp(&self) -> Result<Stamp, DbErr> {
        let now = Utc::now();
        let Some(at) = self.clock else {
            return Ok(Stamp {
                at: truncate_to_micros(now),
                fixed: false,
            });
        };
        if at > now + chrono::Duration::minutes(1) {
            return Err(RecordError::Clock {
                at,
                problem: "that is more than a minute ahead of now, and would hide every change \
                          until then; set a past time"
                    .to_owned(),
            }
            .into());
        }
        Ok(Stamp { at, fixed: true })
    }
}

/// The time of a flush; `fixed` when a context set it, so that it may not be moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) at: DateTime<Utc>,
    pub(crate) fixed: bool,
}
