//! Contract 8, for single values: what a record holds is what the row held, whichever way it was
//! written, and the same value again is no change.
//!
//! - `protocol`: the ways to save, and what is expected of each value
//! - `columns`: every type as a recorded column
//! - `properties`: every type as a property; values that a database would alter are refused
//! - `limits`: the ends of each type, and what lies beyond
//! - `keys`: every type as a key, alone and composite
//! - `names`: tables and columns whose names need quotes

mod columns;
mod keys;
mod limits;
mod names;
mod properties;
mod protocol;
