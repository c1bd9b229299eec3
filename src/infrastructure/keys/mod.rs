//! Keys of the server itself, and what is done with them.

pub mod file;
pub mod seal;
pub mod sign;
