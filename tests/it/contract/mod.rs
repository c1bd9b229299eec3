//! What every store must do: one suite, run for each adapter.

mod contexts;
mod directory;
mod families;
pub(crate) mod fixtures;
mod guards;
mod journal;
mod lists;
pub(crate) mod logs;
mod people;
mod retention;
mod tasks;
mod usage;
mod vitals;
mod webhooks;
mod writes;

/// Runs each named check for the store in memory and for the embedded one.
macro_rules! for_both_stores {
    ($($check:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() { super::$check($crate::contract::fixtures::Kit::memory()).await; })+
        }
        mod redb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() { super::$check($crate::contract::fixtures::Kit::redb()).await; })+
        }
    };
}
pub(crate) use for_both_stores;
