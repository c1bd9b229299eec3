//! `kill -9` of the real executable at random moments while many write: nothing acknowledged is
//! lost, nothing is half there, nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::restart::tokens_never_repeat;
use super::writers::{Told, write_until_gone};
use super::{array, events_without_gap, text};
use crate::support::server::{Api, Site};

/// Who writes at the same time.
const WRITERS: u64 = 4;
const SEED: u64 = 20_260_131;
/// How often a server is killed on one data directory.
const ROUNDS: u64 = 25;
/// How often at the most, where a slow machine acknowledges little before each kill.
const MOST_ROUNDS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_often_it_is_killed() {
    let deep = std::env::var_os("ORCHESTRATOR_DEEP").is_some();
    let sites = if deep { 20 } else { 1 };
    for number in 0..sites {
        killed_again_and_again(SEED + 1000 * number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_sees_what_a_store_without_a_disk_loses() {
    let site = Site::simulated().with("STORE", "memory:");
    let mut told = Told::default();
    let mut chance = StdRng::seed_from_u64(SEED);
    while told.creates.is_empty() {
        told.add(written_until_killed(&site, &mut chance, SEED).await);
    }
    let server = site.serve().await;
    let sessions = server.all("sessions").await;
    let missing = lost(&sessions, &told);
    assert_eq!(missing.len(), told.creates.len(), "the control is blind");
    server.stop().await;
}

/// One data directory, on which servers are killed many times.
async fn killed_again_and_again(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let site = Site::simulated().with("AGENTS__SIMULATED__LATENCY_MS", "2");
    let server = site.serve().await;
    server.lift_quotas().await;
    server.stop().await;
    let mut all = Told::default();
    let mut known = Vec::new();
    for round in 0..MOST_ROUNDS {
        let created = all.creates.len() as u64;
        if round >= ROUNDS && created > ROUNDS && all.has_every_kind() {
            break;
        }
        let mut told = written_until_killed(&site, &mut chance, seed + round).await;
        if round % 5 == 0 {
            killed_while_starting(&site, &mut chance).await;
        }
        let server = site.serve().await;
        repeated(&server.api, &mut told).await;
        stored(&server.api, &told).await;
        known = events_go_on(&server.api, known, &told).await;
        counters_equal_rows(&server.api).await;
        all.add(told);
        server.kill().await;
        site.keeps_invariants().await;
    }
    let created = all.creates.len() as u64;
    assert!(created > ROUNDS, "seed {seed}: only {created} were created");
    assert!(all.has_every_kind(), "seed {seed}: the writers were killed too soon");
    let server = site.serve().await;
    stored(&server.api, &all).await;
    let titles = titles(&server.api).await;
    for (key, _) in all.creates {
        assert_eq!(titles.get(&key), Some(&1), "seed {seed}: the session of {key}");
    }
    tokens_never_repeat(&server.api).await;
    server.stop().await;
}

/// Writers use a server until it is killed at some moment; what it acknowledged.
async fn written_until_killed(site: &Site, chance: &mut StdRng, round: u64) -> Told {
    let server = site.serve().await;
    let api = server.api.clone();
    let moment = Duration::from_millis(chance.random_range(5..200));
    let killed = async {
        // The moment is what is tested: nothing is waited for.
        tokio::time::sleep(moment).await;
        server.kill().await;
    };
    let writers = (0..WRITERS).map(|writer| write_until_gone(&api, round, writer));
    let (heard, ()) = tokio::join!(futures_util::future::join_all(writers), killed);
    let mut told = Told::default();
    for more in heard {
        told.add(more);
    }
    told
}

/// The next server is killed while it takes up what was open.
async fn killed_while_starting(site: &Site, chance: &mut StdRng) {
    let mut command = site.command(&["serve"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the executable starts");
    tokio::time::sleep(Duration::from_millis(chance.random_range(5..250))).await;
    child.kill().await.expect("it is killed");
}

/// How often each title occurs; a title is the key of the request that created it.
async fn titles(api: &Api) -> BTreeMap<String, usize> {
    let mut titles = BTreeMap::new();
    for session in api.all("sessions").await {
        *titles.entry(text(&session["title"]).to_owned()).or_default() += 1;
    }
    titles
}

/// Requests are sent again with their keys: those that were answered get the same answer, and
/// those that nobody knows about are settled.
async fn repeated(api: &Api, told: &mut Told) {
    for (key, id) in &told.creates {
        let body = super::writers::creation(key);
        let again = api.send(Method::POST, "sessions", Some(&body), Some(key)).await;
        let again = again.expect("an answer");
        assert_eq!((again.status.as_u16(), again.replayed), (201, true), "{key}: {again:?}");
        assert_eq!(again.body["id"], json!(id), "{key}");
    }
    for key in std::mem::take(&mut told.unknown) {
        let body = super::writers::creation(&key);
        let settled = api.send(Method::POST, "sessions", Some(&body), Some(&key)).await;
        let settled = settled.expect("an answer");
        if settled.status.as_u16() == 201 {
            let id = text(&settled.body["id"]).to_owned();
            told.creates.insert(key, id);
        }
    }
}

/// Keys of acknowledged creations whose session is not there.
fn lost<'a>(sessions: &[Value], told: &'a Told) -> Vec<&'a str> {
    let there: BTreeSet<&str> = sessions.iter().map(|session| text(&session["id"])).collect();
    let missing = told.creates.iter().filter(|(_, id)| !there.contains(id.as_str()));
    missing.map(|(key, _)| key.as_str()).collect()
}

/// Everything that was acknowledged is there.
async fn stored(api: &Api, told: &Told) {
    let sessions = api.all("sessions").await;
    assert_eq!(lost(&sessions, told), [""; 0], "acknowledged and lost");
    let sessions: BTreeMap<&str, &Value> =
        sessions.iter().map(|session| (text(&session["id"]), session)).collect();
    for (id, revision) in &told.revisions {
        let now = sessions[id.as_str()];
        assert!(now["revision"].as_u64() >= Some(*revision), "{revision} of {now:#} is lost");
    }
    for id in &told.cancelled {
        assert_eq!(sessions[id.as_str()]["status"], "cancelled", "{id}");
    }
    for id in &told.started {
        assert_ne!(sessions[id.as_str()]["status"], "pending", "{id}");
    }
    for (id, sequence) in &told.checkpoints {
        let taken = api.get(&format!("sessions/{id}/checkpoints/{sequence}")).await;
        assert_eq!(taken["trigger"], "manual", "{taken:#}");
    }
    for (item, decision) in &told.decided {
        let now = api.get(&format!("attention/{item}")).await;
        assert_eq!(now["decision"], json!(decision), "{now:#}");
    }
}

/// Events have no gap, those that were read before are the same, and those that were streamed or
/// listed meanwhile are stored.
async fn events_go_on(api: &Api, known: Vec<String>, told: &Told) -> Vec<String> {
    let events = events_without_gap(api).await;
    let ids: Vec<String> = events.iter().map(|event| text(&event["id"]).to_owned()).collect();
    assert_eq!(ids[..known.len()], known, "what was told before has changed");
    for (seq, id) in &told.events {
        let index = usize::try_from(seq - 1).expect("small");
        assert_eq!(ids.get(index), Some(id), "event {seq} was told and is lost");
    }
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an event has two numbers");
    ids
}

/// The counters by status equal the rows, at a moment when nothing moves.
async fn counters_equal_rows(api: &Api) {
    let counters = async || api.get("sessions/stats").await["sessions_by_status"].clone();
    let mut differences = String::new();
    for _ in 0..50 {
        let before = counters().await;
        let sessions = api.all("sessions").await;
        if before != counters().await {
            continue;
        }
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        for session in &sessions {
            *rows.entry(text(&session["status"]).to_owned()).or_default() += 1;
        }
        let count = |status: &str| rows.get(status).copied().unwrap_or_default();
        let all = before.as_object().expect("by status");
        if all.iter().all(|(status, counted)| counted == &json!(count(status))) {
            return;
        }
        differences = format!("counters {before} but rows {rows:?}");
    }
    panic!("{differences}");
}

/// Whether a list has members, for those who only look.
pub(super) fn first(list: &Value) -> Option<&Value> {
    array(&list["items"]).first()
}
