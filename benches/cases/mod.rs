//! What is measured.

mod as_of;
mod backfill;
mod bulk;
mod bytes;
mod fan_out;
#[cfg(feature = "polars")]
mod frame;
pub mod memory;
mod partitions;
mod prune;
mod resample;
mod sizes;
mod updates;

use crate::Result;
use crate::harness::Bench;

/// A kind of work.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    Updates,
    Sizes,
    Bulk,
    FanOut,
    Resample,
    AsOf,
    Backfill,
    #[cfg(feature = "polars")]
    Frame,
    Memory,
    Bytes,
    Prune,
    Partitions,
}

impl Case {
    pub const ALL: &[Self] = &[
        Self::Updates,
        Self::Sizes,
        Self::Bulk,
        Self::FanOut,
        Self::Resample,
        Self::AsOf,
        Self::Backfill,
        #[cfg(feature = "polars")]
        Self::Frame,
        Self::Memory,
        Self::Bytes,
        Self::Prune,
        Self::Partitions,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Updates => "updates",
            Self::Sizes => "sizes",
            Self::Bulk => "bulk",
            Self::FanOut => "fan-out",
            Self::Resample => "resample",
            Self::AsOf => "as-of",
            Self::Backfill => "backfill",
            #[cfg(feature = "polars")]
            Self::Frame => "frame",
            Self::Memory => "memory",
            Self::Bytes => "bytes",
            Self::Prune => "prune",
            Self::Partitions => "partitions",
        }
    }

    pub async fn run(self, bench: &mut Bench<'_>) -> Result<()> {
        match self {
            Self::Updates => updates::run(bench).await,
            Self::Sizes => sizes::run(bench).await,
            Self::Bulk => bulk::run(bench).await,
            Self::FanOut => fan_out::run(bench).await,
            Self::Resample => resample::run(bench).await,
            Self::AsOf => as_of::run(bench).await,
            Self::Backfill => backfill::run(bench).await,
            #[cfg(feature = "polars")]
            Self::Frame => frame::run(bench).await,
            Self::Memory => memory::run(bench).await,
            Self::Bytes => bytes::run(bench).await,
            Self::Prune => prune::run(bench).await,
            Self::Partitions => partitions::run(bench).await,
        }
    }
}
