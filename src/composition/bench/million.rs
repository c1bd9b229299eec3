//! `--row million`: what a store of a million sessions costs to read, to write, to start, to hold.
//!
//! Both stores are filled first: the server's by `fill`, while no server runs, and the probe's by
//! its own creates. Fewer sessions (`--sessions`) give the other points of the curve.

use super::fill::fill;
use super::load::send;
use super::measure::{Rounds, in_turns};
use super::process::{Process, Side};
use super::report::{Goal, Unit};
use super::rows::{Bench, FILLERS, Pair, READERS, create, list, restart, singles, value};
use super::tell;

/// Sessions that are not completed.
const OPEN: u64 = 1_000;
/// Clients that create.
const WRITERS: usize = 64;

impl Bench<'_> {
    /// Figures of one store with as many sessions as were asked for.
    pub(super) async fn million(&mut self) -> anyhow::Result<()> {
        let count = self.args.sessions;
        let mut pair = self.pair().await?;
        if let Some(server) = pair.server.take() {
            server.kill().await?;
            tell(&format!("bench: filling to {count} …"));
            let dir = pair.folder.path().join("server");
            fill(&dir, count, OPEN.min(count / 2)).await?;
            #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            let each = std::fs::metadata(dir.join("store.redb"))?.len() as f64 / count as f64;
            let mut rounds = Rounds::default();
            rounds.add(Side::Server, Ok(value(each)));
            let case = format!("a session of {count}, file of the store");
            self.add("disk", case, Unit::Bytes, Goal::AtMost(2_500.0), &rounds);
            pair.server = Some(Process::start(Side::Server, pair.folder.path()).await?);
        }
        tell(&format!("bench: filling the probe to {count} …"));
        send(&pair.probe, vec![create(&pair.probe)], FILLERS, count).await?;
        let pair = self.starts(pair, count).await?;
        self.read(&pair, count).await?;
        self.resident(&pair, format!("after reading, {count} stored"), 150.0).await;
        let sides = pair.sides();
        let rounds = in_turns(self.effort, WRITERS, &sides, |process| vec![create(process)]).await;
        let case = format!("{WRITERS} clients, {count} stored");
        self.add("create", case, Unit::PerSecond, Goal::Share(0.7), &rounds);
        self.resident(&pair, format!("after creating, {count} stored"), 150.0).await;
        Ok(())
    }

    /// Ready again after `kill -9`.
    async fn starts(&mut self, mut pair: Pair, count: u64) -> anyhow::Result<Pair> {
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
        let case = format!("after kill -9, {count} stored, {OPEN} open");
        self.add("start", case, Unit::Milliseconds, Goal::AtMost(1000.0), &rounds);
        Ok(pair)
    }

    /// Pages and single sessions.
    async fn read(&mut self, pair: &Pair, count: u64) -> anyhow::Result<()> {
        let sides = pair.sides();
        let rounds =
            in_turns(self.effort, READERS, &sides, |process| vec![list(process, "completed", 100)]);
        let rounds = rounds.await;
        let case = format!("100 of {count}, {READERS} clients");
        self.add("list", case, Unit::PerSecond, Goal::Share(0.6), &rounds);
        let mut wanted = Vec::new();
        for process in pair.sides() {
            wanted.push((process.side, singles(process, "completed").await?));
        }
        let of = |side| wanted.iter().find(|(of, _)| *of == side).map(|(_, all)| all.clone());
        let rounds =
            in_turns(self.effort, READERS, &sides, |process| of(process.side).unwrap_or_default());
        let rounds = rounds.await;
        let case = format!("one of {count}, {READERS} clients");
        self.add("get", case, Unit::PerSecond, Goal::Share(0.6), &rounds);
        Ok(())
    }
}
