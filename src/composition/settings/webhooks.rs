//! `[webhooks]`: where messages may go, and how patiently they are sent.

use std::time::Duration;

use ipnet::IpNet;

use super::reader::Reader;
use crate::domain::webhook::delivery::Schedule;

/// `[webhooks]`
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Names whose addresses may be private.
    pub allowed_hosts: Vec<String>,
    /// Private networks that may be sent to.
    pub allowed_networks: Vec<IpNet>,
    /// How long to wait after each failure.
    pub schedule: Schedule,
    /// Longest time of one attempt.
    pub timeout: Duration,
    /// Finished deliveries that the log of a webhook keeps.
    pub logged: u32,
}

impl WebhookSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            allowed_hosts: reader.list("webhooks.allowed_hosts"),
            allowed_networks: networks(reader, "webhooks.allowed_networks"),
            schedule: schedule(reader, "webhooks.retry_after"),
            timeout: reader.seconds("webhooks.timeout_seconds", 1..=60),
            logged: reader.number("webhooks.logged_deliveries", 10..=10_000),
        }
    }
}

pub(super) fn networks(reader: &mut Reader<'_>, key: &'static str) -> Vec<IpNet> {
    let texts = reader.list(key);
    let mut networks = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(_) => {
                reader.refuse(key, format!("`{key}`: `{text}` is no network such as 10.1.0.0/16"));
            }
        }
    }
    networks
}

fn schedule(reader: &mut Reader<'_>, key: &'static str) -> Schedule {
    let texts = reader.list(key);
    if texts.is_empty() || texts.len() > 20 {
        reader.refuse(key, format!("`{key}` must have 1 to 20 entries"));
    }
    let mut waits = Vec::with_capacity(texts.len());
    for text in texts {
        match wait(&text) {
            Some(wait) => waits.push(wait),
            None => reader.refuse(
                key,
                format!(
                    "`{key}`: `{text}` must be a time between 1ms and 7d, such as 5s, 30m or 2h"
                ),
            ),
        }
    }
    Schedule(waits)
}

/// `5s`, `30m`, `2h`, `1d`, `100ms`.
fn wait(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let wait = Duration::from_millis(number.checked_mul(millis)?);
    (Duration::from_millis(1)..=Duration::from_hours(7 * 24)).contains(&wait).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_bounds() {
        for (text, seconds) in [("5s", 5), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(wait(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(wait("100ms"), Some(Duration::from_millis(100)));
        for text in ["", "5", "s", "0s", "8d", "-1s", "5 s", "5w", "99999999999999999999s"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
