//! Agents that are broken, or behind a broken network: each attempt ends with its own code and in its time,
//! nothing is counted twice, and nobody else is held up.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{External, Listener, Told, answered, begin, site};
use crate::support::faults::{Fault, FaultProxy};
use crate::support::opencode::eventually;
use crate::support::server::{Api, Server, Site, array, text};

/// What the server of these tests allows: for a connection, for a pause within an answer, and from the
/// beginning of an answer to its end.
const CONNECT: u64 = 1;
const PAUSE: u64 = 1;
const ANSWER: u64 = 3;
/// The waits between three tries.
const WAITS: u64 = 1 + 2;
/// How often agents are asked how they are; after two of these times they are late.
const INTERVAL: u64 = 2;
/// How long a session may be degraded, and how long it may take: the shortest there are.
const GRACE: u64 = 10;
const LONGEST: u64 = 60;
/// What a busy machine may take beyond every bound.
const SLACK: Duration = Duration::from_secs(12);
/// What the server may need more while gigabytes are thrown at it, in KiB.
const MEMORY: u64 = 32 * 1024;
/// Others may become slower by half.
const SLOWED: f64 = 1.5;

/// A fault, how a session ends by it, by which error, and after how many seconds at most.
type Row = (Fault, &'static str, &'static str, u64);

const ROWS: [Row; 14] = [
    (Fault::Delay(Duration::from_secs(3)), "completed", "", 3),
    (Fault::Delay(Duration::from_mins(10)), "timeout", "execution_timeout", LONGEST),
    (Fault::Drip, "failed", "agent_protocol_error", ANSWER),
    (Fault::Cut, "failed", "dispatch_failed", WAITS),
    (Fault::Reset, "failed", "dispatch_failed", WAITS),
    (Fault::BlackHole, "failed", "dispatch_failed", WAITS + 3 * CONNECT),
    (Fault::HalfOpen, "failed", "agent_lost", 2 * INTERVAL + GRACE),
    (Fault::Stall, "failed", "agent_protocol_error", PAUSE),
    (Fault::Garbage, "failed", "agent_protocol_error", 0),
    (Fault::Huge, "failed", "agent_protocol_error", 0),
    (Fault::Deep, "failed", "agent_protocol_error", 0),
    (Fault::WrongId, "failed", "agent_protocol_error", 0),
    (Fault::Twice, "completed", "", 0),
    (Fault::Late, "stopped", "", 5),
];

/// Sessions of each kind at once, and how often.
fn extent() -> (usize, usize) {
    if std::env::var_os("ORCHESTRATOR_DEEP").is_some() { (10, 10) } else { (1, 1) }
}

/// An agent that does everything at once, behind a proxy.
struct Bad {
    row: Row,
    slug: String,
    agent: External,
    listener: Listener,
    proxy: FaultProxy,
}

impl Bad {
    async fn new(server: &Server, number: usize, row: Row) -> Self {
        let listener = Listener::new(|told, _| {
            if told.path.starts_with("GET") {
                return answered(200, json!({ "status": "healthy" }));
            }
            let said = json!({ "task_id": told.body["task_id"], "status": "completed" });
            answered(200, said)
        })
        .await;
        let proxy = FaultProxy::before(listener.url.trim_start_matches("http://"));
        let slug = format!("fault_{number}");
        let body = json!({
            "name": format!("AGENT-BAD-{number}"), "capabilities": [slug],
            "endpoint_url": format!("{}/base", proxy.url),
            "metadata": { "max_concurrent_capacity": 20 },
        });
        let agent = External::with(server, body).await;
        Self { row, slug, agent, listener, proxy }
    }

    async fn begin(&self, api: &Api) -> String {
        let body = json!({
            "required_capabilities": [self.slug], "max_retries": 0,
            "max_duration_seconds": LONGEST, "degraded_grace_seconds": GRACE,
        });
        let id = begin(api, body).await;
        // A machine that is gone may just have been asked how it is: it says that it is well all the same.
        eventually("it is given", async || {
            self.agent.heartbeat("healthy").await.status == 204
                && api.session(&id).await["status"] != "queued"
        })
        .await;
        id
    }

    /// It is well again, and whatever it did is forgotten; the proxy does nothing any more.
    async fn recovers(&self, api: &Api) {
        let id = &self.agent.id;
        api.post(&format!("agents/{id}/reset-metrics"), json!({})).await;
        let state = async || text(&api.get(&format!("agents/{id}")).await["state"]).to_owned();
        eventually("it is well", async || {
            api.post(&format!("agents/{id}/probe"), json!({})).await;
            state().await == "idle"
        })
        .await;
    }
}

fn slow_site() -> Site {
    site()
        .with("AGENTS__SIMULATED__ENABLED", "true")
        .with("AGENTS__SIMULATED__LATENCY_MS", "5")
        .with("AGENTS__HEARTBEAT_INTERVAL_SECONDS", &INTERVAL.to_string())
        .with("AGENTS__HEARTBEAT_EXPIRY_SECONDS", "300")
        .with("AGENTS__EXTERNAL__CONNECT_SECONDS", &CONNECT.to_string())
        .with("AGENTS__EXTERNAL__ANSWER_PAUSE_SECONDS", &PAUSE.to_string())
        .with("AGENTS__EXTERNAL__ANSWER_SECONDS", &ANSWER.to_string())
}

async fn fleet(server: &Server) -> Vec<Bad> {
    let mut fleet = Vec::new();
    for (number, row) in ROWS.into_iter().enumerate() {
        fleet.push(Bad::new(server, number, row).await);
    }
    fleet
}

/// Memory that the server really uses, in KiB: pages of its program, read in as it first runs
/// them, are not counted.
fn memory(server: &Server) -> u64 {
    let file = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(file).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let line = line.expect("it uses some");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Waits for the end of a session: its status, and what it took.
async fn end_of(api: &Api, id: &str, since: Instant) -> (String, Duration) {
    let deadline = since + Duration::from_secs(LONGEST) + SLACK * 2;
    loop {
        let session = api.session(id).await;
        if !matches!(text(&session["status"]), "pending" | "queued" | "running" | "degraded") {
            return (text(&session["status"]).to_owned(), since.elapsed());
        }
        assert!(Instant::now() < deadline, "it never ends: {session:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn error_of(api: &Api, id: &str) -> Value {
    api.get(&format!("sessions/{id}?include=metrics")).await["metrics"]["error"].clone()
}

/// The one attempt of a session.
async fn attempt_of(api: &Api, id: &str) -> Value {
    let attempts = api.get(&format!("sessions/{id}/attempts")).await;
    assert_eq!(array(&attempts["items"]).len(), 1, "{attempts:#}");
    attempts["items"][0].clone()
}

/// A session ended as it should, once, and in its time.
async fn ends_as_told(api: &Api, row: Row, id: &str, since: Instant) {
    let (fault, status, error, seconds) = row;
    let (ended, took) = end_of(api, id, since).await;
    let told = error_of(api, id).await;
    eprintln!("{fault:?}: {ended} {} after {} ms", told["type"], took.as_millis());
    assert_eq!((ended.as_str(), text(&told["type"])), (status, error), "{fault:?}: {told:#}");
    assert!(took < Duration::from_secs(seconds) + SLACK, "{fault:?} took {took:?}");
    let attempt = attempt_of(api, id).await;
    assert_eq!(attempt["outcome"], status, "{fault:?}: {attempt:#}");
    let events = api.get(&format!("sessions/{id}/events?limit=200")).await;
    let ends = format!("session.{}", if status == "timeout" { "timed_out" } else { status });
    let ends = array(&events["items"]).iter().filter(|event| text(&event["type"]) == ends);
    assert_eq!(ends.count(), 1, "{fault:?}: {events:#}");
    let is_late = events.to_string().contains("heartbeat_late");
    let whole = matches!(fault, Fault::BlackHole | Fault::HalfOpen);
    assert!(whole || !is_late, "{fault:?}: nobody is late for another one: {events:#}");
}

/// The keys by which a session was brought to its agent, which are all the same.
fn keys_of(bad: &Bad, id: &str) -> Vec<String> {
    let calls = bad.listener.told("POST /base/task");
    let same = calls.iter().filter(|told| text(&told.body["task_id"]) == id);
    let key = |told: &Told| told.headers["idempotency-key"].to_str().expect("ASCII").to_owned();
    let keys: Vec<String> = same.map(key).collect();
    assert!(keys.windows(2).all(|two| two[0] == two[1]), "{keys:?}");
    keys
}

/// What an agent was given for a session.
fn work_of(bad: &Bad, id: &str) -> Value {
    let told = bad.listener.told("POST /base/task");
    let work = told.into_iter().find(|told| text(&told.body["task_id"]) == id);
    work.expect("it was brought").body
}

/// Late, wrong and repeated results change nothing, and are kept.
async fn is_not_changed_later(api: &Api, bad: &Bad, id: &str) {
    let (fault, status, ..) = bad.row;
    let work = work_of(bad, id);
    let settled = json!({ "task_id": id, "status": "completed" });
    if fault == Fault::Twice {
        assert_eq!(keys_of(bad, id).len(), 2, "it was brought twice");
    }
    let before = attempt_of(api, id).await["stale_reports"].as_u64().expect("a number");
    let another = bad.agent.finish(&work, json!({ "output_data": settled })).await;
    assert_eq!((another.status, another.code()), (409, "STALE_RESULT"), "{fault:?}");
    let wrong = bad.agent.finish(&work, json!({ "task_id": "another" })).await;
    assert_eq!((wrong.status, wrong.code()), (409, "STALE_RESULT"), "{fault:?}");
    let after = attempt_of(api, id).await["stale_reports"].as_u64().expect("a number");
    assert_eq!(after, before + 2, "{fault:?}: they are kept");
    assert_eq!(api.session(id).await["status"], status, "{fault:?}");
    let events = api.get(&format!("sessions/{id}/events?limit=200")).await.to_string();
    assert!(events.contains("agent.stale_result_rejected"), "{fault:?}: {events}");
}

/// One session of each kind, or several at once.
async fn round(server: &Server, fleet: &mut [Bad], at_once: usize) {
    let mut sessions = Vec::new();
    for bad in fleet.iter_mut() {
        bad.proxy.turn(bad.row.0).await;
        for _ in 0..at_once {
            let id = bad.begin(server).await;
            sessions.push((bad.row, Instant::now(), id));
        }
    }
    let mut ends = JoinSet::new();
    for (row, since, id) in sessions.iter().filter(|(row, ..)| row.0 != Fault::Late).cloned() {
        let api = server.api.clone();
        ends.spawn(async move { ends_as_told(&api, row, &id, since).await });
    }
    let late = fleet.iter().find(|bad| bad.row.0 == Fault::Late).expect("one");
    eventually("it was brought", async || late.proxy.brought() >= at_once).await;
    for (row, _, id) in sessions.iter().filter(|(row, ..)| row.0 == Fault::Late) {
        let since = Instant::now();
        server.post(&format!("sessions/{id}/stop"), json!({})).await;
        ends_as_told(server, *row, id, since).await;
    }
    late.proxy.open();
    eventually("its answers are let go", async || late.proxy.let_go() >= at_once).await;
    while let Some(ended) = ends.join_next().await {
        ended.expect("as told");
    }
    for bad in fleet.iter() {
        for (_, _, id) in sessions.iter().filter(|(row, ..)| row.0 == bad.row.0) {
            if matches!(bad.row.0, Fault::Cut | Fault::Reset) {
                assert_eq!(keys_of(bad, id).len(), 3, "what was lost is brought again");
            }
            if !matches!(bad.row.0, Fault::BlackHole | Fault::HalfOpen) {
                is_not_changed_later(server, bad, id).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_ends_its_attempt_with_its_code_in_its_time() {
    let site = slow_site();
    let server = site.serve().await;
    server.lift_quotas().await;
    let mut fleet = fleet(&server).await;
    neighbours(&server, 20).await;
    let before = memory(&server);
    let (at_once, rounds) = extent();
    for _ in 0..rounds {
        let mut most = before;
        let mut last = 0;
        let t0 = Instant::now();
        let mut all = Box::pin(round(&server, &mut fleet, at_once));
        loop {
            let a_moment = Duration::from_millis(20);
            let is_over = tokio::time::timeout(a_moment, &mut all).await.is_ok();
            let now = memory(&server);
            if now.abs_diff(last) > 500 {
                eprintln!("{:?} memory {now}", t0.elapsed());
                last = now;
            }
            most = most.max(now);
            if is_over {
                break;
            }
        }
        drop(all);
        eprintln!("memory: {before} KiB before, {most} KiB at most");
        assert!(most < before + MEMORY, "{before} KiB became {most} KiB");
        all_recover(&server, &mut fleet).await;
    }
    drop(fleet);
    server.stop().await;
    assert!(!site.log().contains("it was given"), "nobody lost work that it never accepted");
    site.keeps_invariants().await;
}

/// Sessions that need none of the bad agents, six at a time; how long they take.
async fn neighbours(api: &Api, count: usize) -> Duration {
    let steps = json!([{ "say": "one" }, { "say": "two" }, { "say": "three" }]);
    let prompt = format!("Do this.\n```simulated\n{steps}\n```");
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..count {
        if running.len() == 6 {
            running.join_next().await.expect("one").expect("it completes");
        }
        let (api, prompt) = (api.clone(), prompt.clone());
        running.spawn(async move {
            let body = json!({
                "initial_prompt": prompt, "required_capabilities": ["code_generation"],
                "start": true,
            });
            let id = text(&api.post("sessions", body).await["id"]).to_owned();
            api.until_status(&id, "completed").await;
        });
    }
    running.join_all().await;
    began.elapsed()
}

/// The same while each bad agent has a session.
async fn beside_bad_agents(server: &Server, fleet: &mut [Bad], count: usize) -> Duration {
    let mut sessions = Vec::new();
    for bad in fleet.iter_mut() {
        bad.proxy.turn(bad.row.0).await;
        sessions.push(bad.begin(server).await);
    }
    let took = neighbours(server, count).await;
    let stop = async |id: String| {
        let path = format!("sessions/{id}/stop");
        // Some are over.
        server.send(reqwest::Method::POST, &path, Some(&json!({})), None).await.expect("told");
        end_of(server, &id, Instant::now()).await
    };
    join_all(sessions.into_iter().map(stop)).await;
    all_recover(server, fleet).await;
    took
}

async fn all_recover(api: &Api, fleet: &mut [Bad]) {
    for bad in fleet.iter_mut() {
        bad.proxy.turn(Fault::None).await;
    }
    join_all(fleet.iter().map(|bad| bad.recovers(api))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_slowed_by_more_than_half() {
    let site = slow_site();
    let server = site.serve().await;
    server.lift_quotas().await;
    let mut fleet = fleet(&server).await;
    neighbours(&server, 30).await;
    let mut ratios = Vec::new();
    for pair in 0..9 {
        let count = 16;
        // Which comes first alternates, so that what drifts on the machine does not count.
        let alone = if pair % 2 == 0 { Some(neighbours(&server, count).await) } else { None };
        let beside = beside_bad_agents(&server, &mut fleet, count).await;
        let alone = match alone {
            Some(alone) => alone,
            None => neighbours(&server, count).await,
        };
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        eprintln!("{} ms beside bad agents, {} ms alone", beside.as_millis(), alone.as_millis());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    eprintln!("slowed by {ratios:.2?}");
    assert!(ratios[4] < SLOWED, "{ratios:?}");
    drop(fleet);
    server.stop().await;
}
