//! Signing in through an identity provider: a hostile one in this process, and a certified one in node.

mod asked;
mod forged;
mod hostile;
mod people;
mod real;
mod ways;
