//! `orchestrator bench`: measures the server against the limit of the machine, in the same run.
//!
//! The real server and the limit probe run as children of this executable; every row is measured
//! on both in turns (A B A B …), so that a busy machine disturbs both alike, and medians are
//! compared. Invariant: no figure makes the command fail; it fails only when nothing could be
//! measured. Invariant: loopback only, bounded in count and time, temporary folders are removed.

mod fill;
mod heartbeat;
mod load;
mod locks;
mod machine;
mod measure;
mod million;
mod process;
mod report;
mod route;
mod rows;
mod sockets;

#[path = "../../../benches/limits/mod.rs"]
mod limits;

use std::ffi::OsString;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What `orchestrator bench` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct BenchArgs {
    /// Fewer rounds, shorter windows and smaller stores
    #[arg(long)]
    pub quick: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Measure only this row; may be repeated
    #[arg(long = "row", value_name = "NAME")]
    pub rows: Vec<RowName>,
    /// Also write the result as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write the result as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Where the temporary stores are; it should be on the kind of disk that you want to know about
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Measure the limit probe alone
    #[arg(long)]
    pub limits_only: bool,
    /// Sessions of the row `million`
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub sessions: u64,
    /// Stop beginning new rows after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    pub max_seconds: u64,
}

/// A group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum RowName {
    /// Durable creates
    Create,
    /// A page of 100 sessions
    List,
    /// One session
    Get,
    /// Start-up after `kill -9` with many sessions stored
    Start,
    /// Events to many sockets
    Fanout,
    /// Resident memory of an idle server
    Memory,
    /// Fair locks, in this process and over HTTP
    Lock,
    /// Routing decisions among 10,000 agents, in this process
    Route,
    /// Heartbeats of 10,000 external agents
    Heartbeat,
    /// All of it on one store with a million sessions; takes minutes, and only when it is named
    Million,
}

/// The command line of `orchestrator bench`.
#[derive(Debug, Parser)]
#[command(
    name = "orchestrator bench",
    about = "Measures this server against the limits of this machine"
)]
struct BenchCommand {
    #[command(flatten)]
    args: BenchArgs,
}

/// The command line of the hidden probe.
#[derive(Debug, Parser)]
struct ProbeCommand {
    #[command(flatten)]
    args: ProbeArgs,
}

/// Runs what was typed behind `bench`.
pub(super) async fn run(arguments: &[String]) -> ExitCode {
    let words = std::iter::once("bench").chain(arguments.iter().map(String::as_str));
    match BenchCommand::try_parse_from(words) {
        Ok(command) => bench(command.args).await,
        Err(told) => answer(&told),
    }
}

/// Runs the hidden probe; the first argument is its name.
pub(super) fn run_probe(arguments: &[OsString]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match (ProbeCommand::try_parse_from(arguments), runtime) {
        (Ok(command), Ok(runtime)) => runtime.block_on(bench_probe(command.args)),
        (Err(told), _) => answer(&told),
        (_, Err(_)) => ExitCode::FAILURE,
    }
}

fn answer(told: &clap::Error) -> ExitCode {
    let is_answer = !told.use_stderr();
    if told.print().is_ok() && is_answer { ExitCode::SUCCESS } else { ExitCode::from(64) }
}

/// What the hidden `orchestrator bench-probe` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ProbeArgs {
    /// Where its store is
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// Measures, prints, and writes what was asked for.
pub(super) async fn bench(args: BenchArgs) -> ExitCode {
    let report = match rows::run(&args).await {
        Ok(report) => report,
        Err(error) => return fail(&error),
    };
    let text = if args.json { report.json() } else { report.table() };
    let written = write_stdout(&text)
        .and_then(|()| write_file(args.markdown.as_deref(), &report.markdown()))
        .and_then(|()| write_file(args.csv.as_deref(), &report.csv()));
    match written {
        Ok(()) if report.has_figures() => ExitCode::SUCCESS,
        Ok(()) => fail(&anyhow::anyhow!("nothing could be measured")),
        Err(error) => fail(&error.into()),
    }
}

/// Serves the limit probe until standard input ends: it dies with whoever started it.
pub(super) async fn bench_probe(args: ProbeArgs) -> ExitCode {
    match probe(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn probe(args: ProbeArgs) -> anyhow::Result<()> {
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let sockets = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let ready = serde_json::json!({
        "event": "ready",
        "url": format!("http://{}", http.local_addr()?),
        "sockets": sockets.local_addr()?.to_string(),
    });
    let cancel = CancellationToken::new();
    let serving = limits::serve(&args.data_dir, http, sockets, cancel.clone());
    let owner = async {
        write_stdout(&format!("{ready}\n"))?;
        let mut ignored = Vec::new();
        tokio::io::stdin().take(1).read_to_end(&mut ignored).await?;
        // Open connections have no claim: whoever started the probe is gone or done with it.
        anyhow::Ok(())
    };
    tokio::select! {
        served = serving => served,
        ended = owner => {
            cancel.cancel();
            ended
        }
    }
}

fn write_stdout(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn write_file(path: Option<&std::path::Path>, text: &str) -> std::io::Result<()> {
    path.map_or(Ok(()), |path| std::fs::write(path, text))
}

/// A line for the person who waits; nobody reads it when standard error is closed.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

fn fail(error: &anyhow::Error) -> ExitCode {
    tell(&format!("bench: {error:#}"));
    ExitCode::FAILURE
}
