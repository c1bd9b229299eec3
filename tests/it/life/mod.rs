//! The life of sessions inside one process: deadlines, leftovers, races with git.

mod agents;
mod asking;
mod causes;
mod deadlines;
mod explained;
mod families;
mod files;
mod held;
mod lab;
mod puppet;
mod room;
mod shares;
mod turns;
