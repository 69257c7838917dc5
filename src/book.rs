//! The chapters: what `docs/` holds, with every example compiled and run.

// Its examples run in the crate `sea-orm-record-migration`, which makes record tables.
#[cfg_attr(not(doctest), doc = include_str!("../docs/start.md"))]
pub mod start {}

#[doc = include_str!("../docs/capture.md")]
pub mod capture {}

#[doc = include_str!("../docs/watching.md")]
pub mod watching {}

#[doc = include_str!("../docs/reading.md")]
pub mod reading {}

// Its examples run in the package `frames/`, since they use more of polars than this crate enables.
#[cfg_attr(not(doctest), doc = include_str!("../docs/frames.md"))]
pub mod frames {}

#[doc = include_str!("../docs/time.md")]
pub mod time {}

#[doc = include_str!("../docs/retention.md")]
pub mod retention {}

// Its examples run in the crate `sea-orm-record-migration`, which depends on this one.
#[cfg_attr(not(doctest), doc = include_str!("../docs/migrations.md"))]
pub mod migrations {}

#[doc = include_str!("../docs/scale.md")]
pub mod scale {}

#[doc = include_str!("../docs/erasure.md")]
pub mod erasure {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/write-paths.md")]
pub mod write_paths {}
