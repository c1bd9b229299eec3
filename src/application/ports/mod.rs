//! What the application needs from the world, named by need and not by technology.

pub mod archives;
pub mod artifacts;
pub mod changes;
pub mod clock;
pub mod contexts;
pub mod driver;
pub mod gates;
pub mod hosts;
pub mod identity_provider;
pub mod journal;
pub mod locks;
pub mod notifier;
pub mod people;
pub mod push;
pub mod reads;
pub mod sealer;
pub mod signer;
pub mod store;
pub mod tasks;
pub mod usage;
pub mod vitals;
pub mod webhooks;
pub mod workspaces;
