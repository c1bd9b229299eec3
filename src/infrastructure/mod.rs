//! Adapters behind the application's ports. They do and report; they decide nothing.

pub mod artifacts;
pub mod clock;
pub mod drivers;
pub mod gates;
pub mod ids;
pub mod keys;
pub mod oidc;
pub mod private_file;
pub mod push;
pub mod sandbox;
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod webhooks;
pub mod workspaces;
