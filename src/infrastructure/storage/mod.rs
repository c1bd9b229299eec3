//! Where state is kept: the embedded store and the one in memory.

pub mod memory;
pub mod redb;
pub(crate) mod shared;
