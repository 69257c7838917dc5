//! What goes with `sea-orm-record`'s feature `polars`: tests and examples, in a package of their
//! own, for polars takes minutes to compile.

pub mod seattle;

// The chapter's examples, here and not in the crate, for they use more of polars than it enables.
#[cfg(doctest)]
#[doc = include_str!("../../docs/frames.md")]
struct Chapter;
