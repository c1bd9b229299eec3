//! Logs and transcripts: numbered without gap, read in pages, told as they come.

use std::sync::Arc;

use orchestrator::application::ports::journal::{NewEntry, Stream};
use serde_json::json;
use tokio::task::JoinSet;

use super::fixtures::{Kit, TENANT, at, neighbour, session_id};
use super::for_both_stores;

for_both_stores!(
    entries_are_numbered_and_read_in_pages,
    what_a_session_has_written_is_weighed,
    concurrent_appends_leave_no_gap,
    appends_are_told_in_order,
    large_batches_are_read_back_whole,
);

fn line(text: &str) -> NewEntry {
    NewEntry { at: at(1), kind: "info".to_owned(), body: json!({ "message": text }) }
}

async fn entries_are_numbered_and_read_in_pages(kit: Kit) {
    let session = session_id();
    let append = |stream, count: usize| {
        let lines = (0..count).map(|number| line(&number.to_string())).collect();
        kit.journal.append(TENANT, session, stream, lines)
    };
    assert_eq!(append(Stream::Log, 0).await.expect("nothing"), 0);
    assert_eq!(append(Stream::Log, 3).await.expect("appended"), 3);
    assert_eq!(append(Stream::Log, 4).await.expect("appended"), 7);
    assert_eq!(append(Stream::Transcript, 2).await.expect("appended"), 2);
    assert_eq!(append(Stream::Log, 0).await.expect("nothing"), 7);
    let numbers = |tenant, stream, after, limit| {
        let read = kit.journal.read(tenant, session, stream, after, limit);
        async { read.await.expect("read").iter().map(|entry| entry.seq).collect::<Vec<_>>() }
    };
    assert_eq!(numbers(TENANT, Stream::Log, 0, 99).await, (1..=7).collect::<Vec<_>>());
    assert_eq!(numbers(TENANT, Stream::Log, 1, 3).await, [2, 3, 4]);
    assert_eq!(numbers(TENANT, Stream::Log, 3, 1).await, [4]);
    assert_eq!(numbers(TENANT, Stream::Log, 7, 9).await, [0u64; 0]);
    assert_eq!(numbers(TENANT, Stream::Transcript, 0, 9).await, [1, 2]);
    assert_eq!(numbers(neighbour(), Stream::Log, 0, 9).await, [0u64; 0]);
}

async fn what_a_session_has_written_is_weighed(kit: Kit) {
    let (session, other) = (session_id(), session_id());
    assert_eq!(kit.journal.weight(TENANT, session).await.expect("read"), 0);
    let lines = vec![line("one"), line(&"two".repeat(1000))];
    let expected: usize = lines.iter().map(NewEntry::weight).sum();
    assert!(expected > 3000 && expected < 3200, "{expected}");
    for stream in [Stream::Log, Stream::Transcript] {
        kit.journal.append(TENANT, session, stream, lines.clone()).await.expect("appended");
    }
    kit.journal.append(TENANT, other, Stream::Log, vec![line("x")]).await.expect("appended");
    let weight = kit.journal.weight(TENANT, session).await.expect("read");
    assert_eq!(weight, 2 * u64::try_from(expected).expect("small"));
    assert_eq!(kit.journal.weight(neighbour(), session).await.expect("read"), 0);
}

async fn concurrent_appends_leave_no_gap(kit: Kit) {
    let session = session_id();
    let mut tasks = JoinSet::new();
    for writer in 0..32 {
        let journal = Arc::clone(&kit.journal);
        tasks.spawn(async move {
            let lines = vec![line(&writer.to_string()), line("second")];
            journal.append(TENANT, session, Stream::Log, lines).await.expect("appended")
        });
    }
    let mut last: Vec<u64> = tasks.join_all().await;
    last.sort_unstable();
    assert_eq!(last, (1..=32).map(|number| number * 2).collect::<Vec<_>>());
    let all = kit.journal.read(TENANT, session, Stream::Log, 0, 99).await.expect("read");
    assert_eq!(all.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=64).collect::<Vec<_>>());
    assert!(all.chunks(2).all(|pair| pair[1].body == json!({ "message": "second" })));
}

async fn appends_are_told_in_order(kit: Kit) {
    let session = session_id();
    let mut feed = kit.journal.appended();
    for number in 0..3 {
        let lines = vec![line(&number.to_string())];
        kit.journal.append(TENANT, session, Stream::Transcript, lines).await.expect("appended");
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(feed.recv().await.expect("the feed goes on").entries.clone());
    }
    let stored = kit.journal.read(TENANT, session, Stream::Transcript, 0, 9).await.expect("read");
    assert_eq!(told, stored);
}

async fn large_batches_are_read_back_whole(kit: Kit) {
    let session = session_id();
    let text = "a line of some length ".repeat(100);
    let lines: Vec<NewEntry> = (0..1_300).map(|number| line(&format!("{number} {text}"))).collect();
    let last = kit.journal.append(TENANT, session, Stream::Log, lines.clone()).await;
    assert_eq!(last.expect("appended"), 1_300);
    let all = kit.journal.read(TENANT, session, Stream::Log, 0, 2_000).await.expect("read");
    assert_eq!(all.len(), 1_300);
    assert!(all.iter().zip(&lines).all(|(entry, line)| entry.body == line.body));
    let middle = kit.journal.read(TENANT, session, Stream::Log, 777, 2).await.expect("read");
    assert_eq!(middle, all[777..779]);
}
