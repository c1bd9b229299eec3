//! Records near the largest size: what is acknowledged can be read back, what could not is refused.

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::store::{CommitError, Store};
use orchestrator::domain::session::{PromptMode, QueuedPrompt, Session};
use orchestrator::domain::version::Version;

use super::disk::Disk;
use super::open_on;
use crate::contract::fixtures::{TENANT, at, note, stored};

const MIB: usize = 1024 * 1024;

fn grown(session: &Session, bytes: usize) -> Session {
    let mut session = session.clone();
    let text = "p".repeat(bytes);
    let prompt = QueuedPrompt { id: uuid::Uuid::nil(), text, mode: PromptMode::Queue, at: at(1) };
    session.run.prompts.push(prompt);
    session
}

fn change(session: Session, version: u64) -> ChangeSet {
    let put = Put { expect: Expect::At(Version::new(version)), value: session };
    ChangeSet::new(TENANT).write(Write::Session(put)).events([note(1)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_could_not_be_read_back_is_refused_and_nothing_else_suffers() {
    let store = open_on(&Disk::default()).expect("a new store");
    let session = stored(&*store, TENANT, 1).await;
    let fits = grown(&session, 15 * MIB);
    store.commit(change(fits.clone(), 1)).await.expect("it fits");
    let read = store.snapshot(TENANT).await.expect("a snapshot").session(session.id).await;
    assert!(read.expect("it is read back").is_some_and(|found| found.value == fits));
    let refused = store.commit(change(grown(&session, 17 * MIB), 2)).await;
    assert!(matches!(refused, Err(CommitError::TooLarge)), "{refused:?}");
    let seq = store.snapshot(TENANT).await.expect("a snapshot").last_seq().await;
    assert_eq!(seq.expect("a number"), 2, "the refused change told nothing");
    assert_eq!((store.health().read_only, store.health().quarantined), (None, 0));
    store.commit(change(session, 2)).await.expect("writing goes on");
}
