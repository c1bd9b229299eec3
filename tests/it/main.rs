//! All integration tests in one binary.

mod acp;
mod api;
mod backup;
mod browser;
mod canaries;
mod cli;
mod command;
mod contexts;
mod contract;
mod dashboard;
mod e2e;
mod external;
mod life;
mod oidc;
mod opencode;
mod recovery;
mod sim;
mod support;
mod tasks;
mod walls;
mod webhooks;
mod workspaces;
mod ws;
