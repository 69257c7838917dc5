//! Benchmarks of sea-orm-record.
