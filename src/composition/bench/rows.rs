//! The rows: what is measured, on which store, with which load.

use std::time::Duration;

use super::load::{Connection, Measured, UNIQUE, now, send};
use super::machine::Machine;
use super::measure::{Effort, Rounds, in_turns};
use super::process::{Folder, KEY, Process, Side};
use super::report::{Goal, Report, Row, Unit};
use super::sockets::Sockets;
use super::{BenchArgs, RowName, tell};

/// Clients of the rows that read.
pub(super) const READERS: usize = 16;
/// Clients that fill a store.
pub(super) const FILLERS: usize = 64;
/// Sockets of `fanout`, and events of each of its rounds: fewer than a socket may be behind.
const SOCKETS: usize = 1000;
const EVENTS: u64 = 500;
/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

const ALL: [(&str, &[RowName]); 8] = [
    ("route", &[RowName::Route]),
    ("lock", &[RowName::Lock]),
    ("heartbeat", &[RowName::Heartbeat]),
    ("memory", &[RowName::Memory]),
    ("create", &[RowName::Create]),
    ("list, get, start", &[RowName::List, RowName::Get, RowName::Start]),
    ("fanout", &[RowName::Fanout]),
    ("million", &[RowName::Million]),
];

/// Measures what was asked for.
pub(super) async fn run(args: &BenchArgs) -> anyhow::Result<Report> {
    crate::infrastructure::drivers::limits::raise_descriptors();
    let effort = Effort::new(args.quick);
    let machine = Machine::read(Folder::new(args.dir.as_deref())?.path());
    let mut bench = Bench { args, effort, rows: Vec::new() };
    let (began, mut left_out) = (now(), Vec::new());
    for (name, group) in ALL {
        if !group.iter().any(|row| bench.wants(*row)) {
            continue;
        }
        if began.elapsed().as_secs() >= args.max_seconds {
            left_out.push(name);
            continue;
        }
        tell(&format!("bench: {name} …"));
        match group {
            [RowName::Memory] => bench.memory().await?,
            [RowName::Route] => bench.route(),
            [RowName::Lock] => bench.locks().await?,
            [RowName::Heartbeat] => bench.heartbeat().await?,
            [RowName::Create] => bench.create().await?,
            [RowName::Fanout] => bench.fanout().await?,
            [RowName::Million] => bench.million().await?,
            _ => bench.stored().await?,
        }
    }
    #[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
    let at = chrono::Utc::now().format("%Y-%m-%dT%H:%MZ").to_string();
    let Bench { rows, .. } = bench;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Report { version, at, machine, rounds: effort.rounds, quick: args.quick, rows, left_out })
}

/// Both sides on one folder. The server is missing when only the limits are asked for.
pub(super) struct Pair {
    /// Where both keep their stores.
    pub(super) folder: Folder,
    /// The product.
    pub(super) server: Option<Process>,
    /// The limit.
    pub(super) probe: Process,
}

impl Pair {
    /// Both, in the order of measuring.
    pub(super) fn sides(&self) -> Vec<&Process> {
        self.server.iter().chain([&self.probe]).collect()
    }
}

/// A run of the benchmark.
pub(super) struct Bench<'a> {
    /// What was asked for.
    pub(super) args: &'a BenchArgs,
    /// How thoroughly.
    pub(super) effort: Effort,
    rows: Vec<Row>,
}

impl Bench<'_> {
    fn wants(&self, row: RowName) -> bool {
        // A million sessions take minutes to store: only whoever names them gets them.
        let is_usual = self.args.rows.is_empty() && row != RowName::Million;
        is_usual || self.args.rows.contains(&row)
    }

    /// Both sides on a new folder.
    pub(super) async fn pair(&self) -> anyhow::Result<Pair> {
        let folder = Folder::new(self.args.dir.as_deref())?;
        let server = if self.args.limits_only {
            None
        } else {
            let server = Process::start(Side::Server, folder.path()).await?;
            raise_quotas(&server).await?;
            Some(server)
        };
        let probe = Process::start(Side::Probe, folder.path()).await?;
        Ok(Pair { folder, server, probe })
    }

    /// One more line of the report.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        case: String,
        unit: Unit,
        goal: impl Into<Option<Goal>>,
        rounds: &Rounds,
    ) {
        let (server, probe) = rounds.figures();
        let (goal, trouble) = (goal.into(), rounds.trouble.clone());
        self.rows.push(Row { name, case, unit, server, probe, goal, trouble });
    }

    /// Durable creates.
    async fn create(&mut self) -> anyhow::Result<()> {
        let pair = self.pair().await?;
        for clients in [1, 16, 64, 256] {
            let sides = pair.sides();
            let rounds = in_turns(self.effort, clients, &sides, |process| vec![create(process)]);
            let rounds = rounds.await;
            let case = format!("{clients} clients");
            self.add("create", case, Unit::PerSecond, Goal::Share(0.7), &rounds);
        }
        Ok(())
    }

    /// Pages and single sessions of two stores, and start-up of the larger one.
    async fn stored(&mut self) -> anyhow::Result<()> {
        let mut pair = self.pair().await?;
        let mut stored = 0;
        for size in self.effort.stores {
            tell(&format!("bench: filling to {size} …"));
            for process in pair.sides() {
                send(process, vec![create(process)], FILLERS, size - stored).await?;
            }
            stored = size;
            if self.wants(RowName::List) {
                let sides = pair.sides();
                let rounds = in_turns(self.effort, READERS, &sides, |process| {
                    vec![list(process, "pending", 100)]
                });
                let rounds = rounds.await;
                let case = format!("100 of {size}, {READERS} clients");
                self.add("list", case, Unit::PerSecond, Goal::Share(0.6), &rounds);
            }
            if self.wants(RowName::Get) {
                let mut wanted = Vec::new();
                for process in pair.sides() {
                    wanted.push((process.side, singles(process, "pending").await?));
                }
                let of =
                    |side| wanted.iter().find(|(of, _)| *of == side).map(|(_, all)| all.clone());
                let sides = pair.sides();
                let rounds = in_turns(self.effort, READERS, &sides, |process| {
                    of(process.side).unwrap_or_default()
                });
                let rounds = rounds.await;
                let case = format!("one of {size}, {READERS} clients");
                self.add("get", case, Unit::PerSecond, Goal::Share(0.6), &rounds);
            }
        }
        if self.wants(RowName::Start) {
            let mut rounds = Rounds::default();
            for _ in 0..self.effort.rounds {
                if let Some(server) = pair.server.take() {
                    let (server, took) = restart(server, &pair.folder).await?;
                    pair.server = Some(server);
                    rounds.add(Side::Server, Ok(took));
                }
                let (probe, took) = restart(pair.probe, &pair.folder).await?;
                pair.probe = probe;
                rounds.add(Side::Probe, Ok(took));
            }
            let case = format!("after kill -9, {stored} stored");
            self.add("start", case, Unit::Milliseconds, Goal::AtMost(1000.0), &rounds);
            if self.wants(RowName::Memory) {
                let case = format!("restarted on {stored} stored");
                self.resident(&pair, case, 150.0).await;
            }
        }
        Ok(())
    }

    /// Resident memory of a server that has nothing to do.
    async fn memory(&mut self) -> anyhow::Result<()> {
        let pair = self.pair().await?;
        self.resident(&pair, "idle, nothing stored".to_owned(), 30.0).await;
        Ok(())
    }

    /// Resident memory of both sides, left alone for a moment.
    pub(super) async fn resident(&mut self, pair: &Pair, case: String, most: f64) {
        tokio::time::sleep(IDLE).await;
        let mut rounds = Rounds::default();
        for process in pair.sides() {
            let bytes = process.resident_bytes();
            let bytes = bytes.ok_or_else(|| anyhow::anyhow!("the kernel does not tell"));
            rounds.add(process.side, bytes.map(|bytes| value(bytes / 1024.0 / 1024.0)));
        }
        self.add("memory", case, Unit::Mebibytes, Goal::AtMost(most), &rounds);
    }

    /// Events to many sockets: each round creates sessions and waits until all sockets know of all.
    async fn fanout(&mut self) -> anyhow::Result<()> {
        let pair = self.pair().await?;
        let mut rounds = Rounds::default();
        for _ in 0..self.effort.rounds {
            for process in pair.sides() {
                rounds.add(process.side, deliver(process).await);
            }
            if rounds.are_in_trouble() {
                break;
            }
        }
        let case = format!("{SOCKETS} sockets, deliveries");
        self.add("fanout", case, Unit::PerSecond, Goal::Share(0.5), &rounds);
        Ok(())
    }
}

async fn deliver(process: &Process) -> anyhow::Result<Measured> {
    let sockets = Sockets::open(process, SOCKETS).await?;
    let frames = EVENTS * SOCKETS as u64;
    sockets.expect(frames);
    let (cpu, began) = (process.cpu_us(), now());
    send(process, vec![create(process)], FILLERS, EVENTS).await?;
    sockets.arrived().await?;
    let seconds = began.elapsed().as_secs_f64();
    let used = process.cpu_us().zip(cpu).map(|(after, before)| after - before);
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let frames = frames as f64;
    Ok(Measured { cpu_us: used.map(|used| used / frames), ..value(frames / seconds) })
}

/// Kills a process and waits until it is ready again; the value is in milliseconds.
pub(super) async fn restart(
    process: Process,
    folder: &Folder,
) -> anyhow::Result<(Process, Measured)> {
    let side = process.side;
    process.kill().await?;
    let began = now();
    let process = Process::start(side, folder.path()).await?;
    Ok((process, value(began.elapsed().as_secs_f64() * 1e3)))
}

/// A figure that is no rate.
pub(super) fn value(per_second: f64) -> Measured {
    Measured { per_second, ..Measured::default() }
}

/// A session of usual size, under an idempotency key of its own.
pub(super) fn create(process: &Process) -> Vec<u8> {
    let body = serde_json::json!({
        "title": "Make the parser accept trailing commas",
        "initial_prompt": "The parser refuses lists that end in a comma. Accept them, keep the \
            positions in error messages right, and add tests for nested lists and for comments \
            between the last element and the comma. Do not change the public interface.",
        "tags": ["bench"],
    });
    let body = body.to_string();
    let path = match process.side {
        Side::Server => "/api/v1/sessions",
        Side::Probe => "/create",
    };
    let more = format!(
        "idempotency-key: bench-{UNIQUE}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    let mut request = head(process, "POST", path, &more);
    request.extend(body.into_bytes());
    request
}

/// Bounds so high that nothing meets them, and yet each is looked at.
async fn raise_quotas(server: &Process) -> anyhow::Result<()> {
    let body = r#"{"max_agents":1000000000,"max_concurrent_sessions":1000000000,"max_queue_depth":1000000000}"#;
    let length = body.len();
    let more = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    let mut request = head(server, "PUT", "/api/v1/tenants/default/quotas", &more);
    request.extend(body.as_bytes());
    let mut connection = Connection::open(server.address).await?;
    let status = connection.call(&request).await?.status;
    anyhow::ensure!(status == 200, "the quotas could not be raised: status {status}");
    Ok(())
}

/// The newest sessions in a status; the probe has one status only.
pub(super) fn list(process: &Process, status: &str, limit: usize) -> Vec<u8> {
    let path = match process.side {
        Side::Server => format!("/api/v1/sessions?status={status}&limit={limit}"),
        Side::Probe => format!("/records?limit={limit}"),
    };
    head(process, "GET", &path, "")
}

/// Requests for single sessions: those of the newest page, all of which exist on both sides.
pub(super) async fn singles(process: &Process, status: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut connection = Connection::open(process.address).await?;
    let answer = connection.call(&list(process, status, 200)).await?;
    let page: serde_json::Value = serde_json::from_slice(answer.body)?;
    let ids = page["items"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str());
    let path = match process.side {
        Side::Server => "/api/v1/sessions/",
        Side::Probe => "/records/",
    };
    let requests: Vec<_> = ids.map(|id| head(process, "GET", &format!("{path}{id}"), "")).collect();
    anyhow::ensure!(!requests.is_empty(), "the {} has nothing to read", process.side.name());
    Ok(requests)
}

/// The head of a request with the administrator's key, and these lines more.
pub(super) fn head(process: &Process, method: &str, path: &str, more: &str) -> Vec<u8> {
    let address = process.address;
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
         x-tenant-id: default\r\n{more}\r\n"
    )
    .into_bytes()
}
