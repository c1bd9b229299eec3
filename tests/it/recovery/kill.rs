//! A process that writes and is killed: the next one finds everything that was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use orchestrator::application::ports::store::Store;
use orchestrator::domain::ids::SessionId;
use tempfile::TempDir;

use super::is_deep;
use crate::contract::fixtures::{SetClock, TENANT, open_redb, stored};

/// Tells the writing process its directory and the first free code.
const DIRECTORY: &str = "ORCHESTRATOR_TEST_WRITER_DIRECTORY";
const FIRST_CODE: &str = "ORCHESTRATOR_TEST_WRITER_FIRST_CODE";

#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The writing process; does nothing when it is run as one test among others.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let (Some(dir), Some(first)) = (told(DIRECTORY), told(FIRST_CODE)) else { return };
    let store = open_redb(dir.as_ref(), &SetClock::new());
    for code in first.parse::<u64>().expect("a code").. {
        let session = stored(&*store, TENANT, code).await;
        let mut out = std::io::stdout();
        writeln!(out, "\nstored {}", session.id).expect("somebody listens");
        out.flush().expect("somebody listens");
    }
}

/// Runs the writing process, kills it after so many acknowledgements, returns all that it gave.
fn run_and_kill(dir: &TempDir, first_code: u64, after: usize) -> Vec<SessionId> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "recovery::kill::writes_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .env(FIRST_CODE, first_code.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok) {
        let id = line.strip_prefix("stored ").and_then(SessionId::parse);
        acknowledged.extend(id);
        if acknowledged.len() == after {
            child.kill().expect("it is ours"); // what is still in the pipe was acknowledged too
        }
    }
    child.wait().expect("it is gone");
    acknowledged
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = TempDir::new().expect("a directory");
    let mut acknowledged = Vec::new();
    for cycle in 0..if is_deep() { 500 } else { 25 } {
        let first_code = cycle * 100_000 + 1;
        let after = 1 + usize::try_from(cycle * 7 % 23).expect("small");
        let given = run_and_kill(&dir, first_code, after);
        assert!(given.len() >= after);
        acknowledged.extend(given);
        let store = open_redb(dir.path(), &SetClock::new());
        let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
        for id in &acknowledged {
            let found = snapshot.session(*id).await.expect("read");
            assert!(found.is_some(), "cycle {cycle}: {id} was acknowledged and is gone");
        }
        let events = snapshot.events(0, None, usize::MAX).await.expect("read");
        assert!(events.iter().map(|event| event.seq).eq(1..=events.len() as u64));
        drop(snapshot);
        store.close().await;
    }
}
