//! Writers that use a server until it is gone, and what it acknowledged to them.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::kills::first;
use super::{array, asks, plays, text};
use crate::support::server::{Answer, Api};

/// What a server acknowledged.
#[derive(Default)]
pub(crate) struct Told {
    /// Ids by the key of the request.
    pub(crate) creates: BTreeMap<String, String>,
    /// Keys of requests whose answer never came.
    pub(crate) unknown: Vec<String>,
    /// Newest acknowledged revision by session.
    pub(crate) revisions: BTreeMap<String, u64>,
    pub(crate) started: BTreeSet<String>,
    pub(crate) cancelled: BTreeSet<String>,
    /// Session and sequence.
    pub(crate) checkpoints: Vec<(String, u64)>,
    /// Item and decision.
    pub(crate) decided: Vec<(String, String)>,
    /// Number and id.
    pub(crate) events: BTreeMap<u64, String>,
}

impl Told {
    pub(crate) fn add(&mut self, more: Self) {
        self.creates.extend(more.creates);
        self.unknown.extend(more.unknown);
        for (id, revision) in more.revisions {
            let newest = self.revisions.entry(id).or_default();
            *newest = revision.max(*newest);
        }
        self.started.extend(more.started);
        self.cancelled.extend(more.cancelled);
        self.checkpoints.extend(more.checkpoints);
        self.decided.extend(more.decided);
        self.events.extend(more.events);
    }

    /// Whether it holds something of everything that is looked at after a kill.
    pub(crate) fn has_every_kind(&self) -> bool {
        !self.checkpoints.is_empty() && !self.cancelled.is_empty() && !self.decided.is_empty()
    }

    /// The session of an answer was acknowledged as it stands there.
    fn heard(&mut self, session: &Value) {
        let revision = session["revision"].as_u64().unwrap_or_default();
        let newest = self.revisions.entry(text(&session["id"]).to_owned()).or_default();
        *newest = revision.max(*newest);
    }
}

/// The body of the request with this key; its kind is the last letter.
pub(crate) fn creation(key: &str) -> Value {
    let steps = match key.chars().last() {
        Some('a') => json!([{ "say": "Working." }, asks(), { "say": "Done." }]),
        Some('h') => json!([{ "hang": true }]),
        _ => json!([{ "say": "Working." }, { "usage": { "input": 10, "output": 2 } }]),
    };
    json!({ "title": key, "initial_prompt": plays(&steps), "tags": ["load"] })
}

/// Writes until nothing answers any more.
pub(crate) async fn write_until_gone(api: &Api, round: u64, writer: u64) -> Told {
    let mut told = Told::default();
    let mut chance = StdRng::seed_from_u64(round * 1000 + writer);
    let mut count = 0;
    // Ends with the first request that gets no answer.
    while one(api, &mut told, &mut chance, (round, writer, &mut count)).await.is_some() {}
    told
}

async fn one(
    api: &Api,
    told: &mut Told,
    chance: &mut StdRng,
    (round, writer, count): (u64, u64, &mut u64),
) -> Option<()> {
    let mine: Vec<String> = told.creates.values().cloned().collect();
    let some = |chance: &mut StdRng| mine.get(chance.random_range(0..mine.len().max(1))).cloned();
    match (chance.random_range(0..10), some(chance)) {
        (0..3, _) | (_, None) => {
            *count += 1;
            let kind = ["a", "h", "w", "w"][chance.random_range(0..4)];
            let key = format!("{round}-{writer}-{count}-{kind}");
            create(api, told, key).await
        }
        (3..6, Some(id)) => {
            let answer = post(api, &format!("sessions/{id}/start"), json!({})).await?;
            if answer.status.is_success() {
                told.heard(&answer.body);
                told.started.insert(id);
            }
            Some(())
        }
        (6, Some(id)) => {
            let answer = post(api, &format!("sessions/{id}/cancel"), json!({})).await?;
            if answer.status.is_success() {
                told.heard(&answer.body);
                told.cancelled.insert(id);
            }
            Some(())
        }
        (7, Some(id)) => {
            let body = json!({ "checkpoint_data": { "writer": writer } });
            let answer = post(api, &format!("sessions/{id}/checkpoints"), body).await?;
            if let (true, Some(sequence)) =
                (answer.status.is_success(), answer.body["sequence"].as_u64())
            {
                told.checkpoints.push((id, sequence));
            }
            Some(())
        }
        (8, _) => decide(api, told, writer).await,
        (_, _) => listen(api, told, chance).await,
    }
}

async fn create(api: &Api, told: &mut Told, key: String) -> Option<()> {
    let body = creation(&key);
    let Ok(answer) = api.send(Method::POST, "sessions", Some(&body), Some(&key)).await else {
        told.unknown.push(key);
        return None;
    };
    if answer.status.as_u16() == 201 {
        told.heard(&answer.body);
        told.creates.insert(key, text(&answer.body["id"]).to_owned());
    } else {
        expected(&answer);
    }
    Some(())
}

async fn decide(api: &Api, told: &mut Told, writer: u64) -> Option<()> {
    let open = api.send(Method::GET, "attention?state=open&limit=5", None, None).await.ok()?;
    let Some(item) = first(&open.body) else { return Some(()) };
    let (id, decision) =
        (text(&item["id"]), if writer.is_multiple_of(2) { "allow_once" } else { "deny" });
    let path = format!("attention/{id}/resolve");
    let answer = post(api, &path, json!({ "decision": decision })).await?;
    if answer.status.is_success() {
        told.decided.push((id.to_owned(), decision.to_owned()));
    }
    Some(())
}

async fn listen(api: &Api, told: &mut Told, chance: &mut StdRng) -> Option<()> {
    let last = told.events.keys().last().copied().unwrap_or_default();
    let after = if last == 0 { chance.random_range(0..200) } else { last };
    let path = format!("events?after={after}&limit=200");
    let page = api.send(Method::GET, &path, None, None).await.ok()?;
    for event in array(&page.body["items"]) {
        let seq = event["seq"].as_u64().unwrap_or_default();
        told.events.insert(seq, text(&event["id"]).to_owned());
    }
    Some(())
}

async fn post(api: &Api, path: &str, body: Value) -> Option<Answer> {
    let answer = api.send(Method::POST, path, Some(&body), None).await.ok()?;
    expected(&answer);
    Some(answer)
}

/// A server under load may refuse; it does not break.
fn expected(answer: &Answer) {
    let status = answer.status.as_u16();
    assert!(status < 500 || status == 503, "{answer:?}");
}
