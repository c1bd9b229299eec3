//! The life of sessions inside one process: deadlines, leftovers, races with git.

mod after;
mod agents;
mod asking;
mod causes;
mod daily;
mod damaged;
mod deadlines;
mod departures;
mod explained;
mod families;
mod figures;
mod files;
mod held;
mod instructions;
pub(crate) mod lab;
mod planned;
mod puppet;
mod reviews;
mod room;
mod shares;
mod turns;
mod usage;
