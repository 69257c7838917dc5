//! Time, as queries over records count it: rules, buckets and windows.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `time/rule.rs` | [`Every`]: how long a bucket is, from `"15min"` or [`Every::minutes`] |
//! | `time/bucket.rs` | [`Buckets`]: where buckets begin, in the calendar of a zone |
//! | `time/window.rs` | [`Window`]: from when to when; [`zone`]: a zone by its IANA name |
//!
//! All of it is pure: instants come in and go out in UTC, a zone only says where days begin, and
//! nothing here reads a database. What one may ask for lies in the years 1 to 9999, which is what
//! every database can keep; anything else is an error and never a panic.

mod bucket;
mod rule;
mod window;

pub use bucket::Buckets;
pub use rule::{Every, IntoRule};
pub use window::{Window, zone};
pub(crate) use window::{truncate_to_micros, utc};

/// Records stand on whole ones.
pub(crate) const MICROSECOND: chrono::TimeDelta = chrono::TimeDelta::microseconds(1);
