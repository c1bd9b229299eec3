//! `webhook …`

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  orchestrator webhook create https://hooks.example.org/in --type session.failed --type 'usage.*'
  orchestrator webhook test WEBHOOK
  orchestrator webhook deliveries WEBHOOK --state failed
  orchestrator webhook redeliver WEBHOOK DELIVERY

WEBHOOK and DELIVERY are ids, as `webhook list` and `webhook deliveries` show them.";

/// The verbs of webhooks.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum WebhookCommand {
    /// Webhooks and how they are.
    #[command(visible_alias = "ls")]
    List,
    /// One webhook with all its facts.
    Show { webhook: String },
    /// Create a webhook; its secret is shown once.
    Create(WebhookCreateArgs),
    /// Change a webhook, or switch it off and on.
    Edit(WebhookEditArgs),
    /// Make a new secret, shown once; the one before signs for another day.
    Rotate { webhook: String },
    /// Delete a webhook with its deliveries.
    Delete { webhook: String },
    /// What was sent to a webhook, newest first.
    Deliveries(WebhookDeliveriesArgs),
    /// Send a message once more.
    Redeliver { webhook: String, delivery: String },
    /// Send a message that says nothing, and tell what came of it.
    Test { webhook: String },
}

/// A webhook to be made.
#[derive(Debug, Args)]
pub struct WebhookCreateArgs {
    /// Where messages are sent.
    #[arg(value_name = "URL")]
    pub address: String,
    /// Only such events: a type, or a family such as `session.*`; repeatable.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// For people.
    #[arg(long)]
    pub description: Option<String>,
    /// Begin behind this event, 0 with the oldest that is kept [default: now].
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
}

/// What is to become different.
#[derive(Debug, Args)]
pub struct WebhookEditArgs {
    /// Which webhook.
    pub webhook: String,
    /// Send messages there instead.
    #[arg(long = "to", value_name = "URL")]
    pub address: Option<String>,
    /// Only such events; repeatable.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// All events.
    #[arg(long, conflicts_with = "types")]
    pub all_types: bool,
    /// For people.
    #[arg(long)]
    pub description: Option<String>,
    /// Take it up, also after the server switched it off.
    #[arg(long)]
    pub on: bool,
    /// Send nothing for now.
    #[arg(long, conflicts_with = "on")]
    pub off: bool,
}

/// Which deliveries.
#[derive(Debug, Args)]
pub struct WebhookDeliveriesArgs {
    /// Of which webhook.
    pub webhook: String,
    /// pending, delivered or failed.
    #[arg(long)]
    pub state: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
}
