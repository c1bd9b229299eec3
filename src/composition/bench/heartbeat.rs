//! `heartbeat`: what it costs when very many external agents say how they are, each every half minute.
//!
//! Invariant: requests are sent at their time, whether or not the one before was answered, so that a slow
//! server is not asked less. The probe reads the same bodies and sends them back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use super::load::{Connection, Measured, now, quantile};
use super::measure::Rounds;
use super::process::{Process, Side};
use super::report::{Goal, Unit};
use super::rows::{Bench, FILLERS, head};

/// Agents of the tenant.
const AGENTS: usize = 10_000;
/// How often each of them says how it is.
const EVERY: Duration = Duration::from_secs(30);
/// Connections that they share; each sends in its turn.
const CONNECTIONS: usize = 250;
/// A window is longer than those of other rows: so little is sent that much of it is needed.
const LONGER: u32 = 5;

/// What an agent is known by.
#[derive(Debug, Clone)]
struct Registered {
    id: String,
    token: String,
}

impl Bench<'_> {
    /// The processor time that heartbeats take, as a share of one core.
    pub(super) async fn heartbeat(&mut self) -> anyhow::Result<()> {
        let pair = self.pair().await?;
        let agents = match &pair.server {
            Some(server) => Arc::new(register(server).await?),
            None => Arc::default(),
        };
        let (mut rounds, mut turn) = (Rounds::default(), 0);
        for _ in 0..self.effort.rounds {
            turn += 1;
            for process in pair.sides() {
                let length = self.effort.length * LONGER;
                let beating = beat(process, &agents, turn, (self.effort.warm_up, length));
                rounds.add(process.side, beating.await);
            }
        }
        let seconds = EVERY.as_secs();
        let case = format!("{AGENTS} agents every {seconds} s, share of one core");
        self.add("heartbeat", case, Unit::Percent, Goal::AtMost(5.0), &rounds);
        Ok(())
    }
}

/// Registers the agents, as they do it themselves; each says once how it is, as what is measured is what
/// they say again and again.
async fn register(server: &Process) -> anyhow::Result<Vec<Registered>> {
    let mut clients = JoinSet::new();
    for client in 0..FILLERS {
        let address = server.address;
        let mut connection = Connection::open(address).await?;
        let numbers = (client..AGENTS).step_by(FILLERS);
        let requests: Vec<Vec<u8>> = numbers.map(|number| registration(server, number)).collect();
        clients.spawn(async move {
            let mut registered = Vec::with_capacity(requests.len());
            for request in requests {
                let answer = connection.call(&request).await?;
                let told: Value = serde_json::from_slice(answer.body)?;
                let text = |name: &str| told[name].as_str().map(str::to_owned);
                let known = text("agent_id").zip(text("auth_token"));
                let (id, token) = known.ok_or_else(|| {
                    anyhow::anyhow!("no agent was registered: status {}: {told}", answer.status)
                })?;
                let agent = Registered { id, token };
                let beat = heartbeat(address, &agent, &said(0, 0));
                let status = connection.call(&beat).await?.status;
                anyhow::ensure!(status == 204, "a first heartbeat got {status}");
                registered.push(agent);
            }
            anyhow::Ok(registered)
        });
    }
    let mut all = Vec::with_capacity(AGENTS);
    while let Some(registered) = clients.join_next().await {
        all.extend(registered??);
    }
    Ok(all)
}

fn registration(server: &Process, number: usize) -> Vec<u8> {
    let third = ["debugging", "refactoring"][number % 2];
    let body = json!({
        "name": format!("AGENT-BENCH-{number:05}"), "version": "1.2.3",
        "capabilities": ["code_generation", "testing", third],
    });
    post(head(server, "POST", "/api/v1/agents/external/register", &length(&body)), &body)
}

fn length(body: &Value) -> String {
    let length = body.to_string().len();
    format!("content-type: application/json\r\ncontent-length: {length}\r\n")
}

fn post(mut head: Vec<u8>, body: &Value) -> Vec<u8> {
    head.extend(body.to_string().into_bytes());
    head
}

/// What one agent says in one round. Its load is never the one that it told before: that an agent is as
/// before is the cheaper case.
fn said(number: usize, turn: usize) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let load = ((number * 7 + turn * 13) % 180) as f64 / 1000.0;
    json!({
        "status": "healthy", "current_load": load, "tasks_in_progress": 0,
        "metrics": {"memory_mb": 512 + number % 64, "queue": 0},
    })
}

/// It, as an agent says it to the server.
fn heartbeat(address: SocketAddr, agent: &Registered, body: &Value) -> Vec<u8> {
    let (Registered { id, token }, length) = (agent, length(body));
    let head = format!(
        "POST /api/v1/agents/external/{id}/heartbeat HTTP/1.1\r\nhost: {address}\r\n\
         x-agent-token: {token}\r\n{length}\r\n"
    );
    post(head.into_bytes(), body)
}

/// It, for either side.
fn request(process: &Process, agents: &[Registered], number: usize, turn: usize) -> Vec<u8> {
    let body = said(number, turn);
    match agents.get(number).filter(|_| process.side == Side::Server) {
        Some(agent) => heartbeat(process.address, agent, &body),
        None => post(head(process, "POST", "/echo", &length(&body)), &body),
    }
}

/// Agents in their turn say how they are, at the rate of all of them; the value is in hundredths of a
/// core.
async fn beat(
    process: &Process,
    agents: &[Registered],
    turn: usize,
    (warm_up, length): (Duration, Duration),
) -> anyhow::Result<Measured> {
    let period = EVERY * u32::try_from(CONNECTIONS)? / u32::try_from(AGENTS)?;
    let sending = warm_up + length;
    let each = usize::try_from(sending.as_millis() / period.as_millis().max(1))?.max(1);
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(process.address).await?);
    }
    let began = tokio::time::Instant::now();
    let mut clients = JoinSet::new();
    for (place, mut connection) in connections.into_iter().enumerate() {
        let first = (turn - 1) * each * CONNECTIONS + place;
        let numbers = (0..each).map(|step| (first + step * CONNECTIONS) % AGENTS);
        let requests: Vec<Vec<u8>> =
            numbers.map(|number| request(process, agents, number, turn)).collect();
        let offset = period * u32::try_from(place)? / u32::try_from(CONNECTIONS)?;
        clients.spawn(async move {
            let mut pace = interval_at(began + offset, period);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (mut took, mut failed, mut first_failure) = (Vec::new(), 0_u64, None);
            for request in requests {
                let due = pace.tick().await;
                let status = connection.call(&request).await.map(|answer| answer.status);
                match status {
                    Ok(200..=299) if due >= began + warm_up => {
                        took.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    Ok(200..=299) => {}
                    other => {
                        failed += 1;
                        first_failure.get_or_insert(format!("a heartbeat got {other:?}"));
                    }
                }
            }
            (took, failed, first_failure)
        });
    }
    tokio::time::sleep_until(began + warm_up).await;
    let (cpu, measured) = (process.cpu_us(), now());
    let (mut took, mut failed, mut first_failure) = (Vec::new(), 0, None);
    while let Some(client) = clients.join_next().await {
        let (own, missed, failure) = client?;
        took.extend(own);
        failed += missed;
        first_failure = first_failure.or(failure);
    }
    let seconds = measured.elapsed().as_secs_f64();
    let used = process.cpu_us().zip(cpu).map(|(after, before)| after - before);
    let used = used.ok_or_else(|| anyhow::anyhow!("the kernel does not tell"))?;
    anyhow::ensure!(!took.is_empty(), "no heartbeat was answered: {first_failure:?}");
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let cpu_us = used / took.len() as f64;
    Ok(Measured {
        per_second: used / 10_000.0 / seconds,
        p99_us: quantile(took, 0.99),
        cpu_us: Some(cpu_us),
        failed,
        first_failure,
    })
}
