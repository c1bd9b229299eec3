//! The life of sessions inside one process: deadlines, leftovers, races with git.

mod deadlines;
mod files;
mod held;
mod lab;
mod turns;
