//! The bound of a journal, and what waits for it.

use super::*;
use crate::application::ports::clock::Ids;
use crate::domain::ids::{SessionId, TenantId};
use crate::infrastructure::clock::ManualClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::storage::memory::MemoryStore;

const KIB: usize = 1024;

struct Kit {
    journal: Arc<MemoryStore>,
    holder: Holder,
}

impl Kit {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let journal = MemoryStore::new(clock, Arc::new(SystemIds));
        let session = SessionId::new(SystemIds.uuid());
        let holder = Holder { tenant: TenantId::BOOTSTRAP, session, fencing_token: 1 };
        Self { journal, holder }
    }

    async fn outbox(&self, bound: usize) -> Outbox {
        let journal = Arc::clone(&self.journal) as Arc<dyn Journal>;
        let mut outbox = Outbox::new(self.holder, journal, bound as u64);
        outbox.begin().await;
        outbox
    }

    async fn read(&self, stream: Stream) -> Vec<Value> {
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        let read = self.journal.read(tenant, session, stream, 0, usize::MAX).await;
        read.expect("read").into_iter().map(|entry| entry.body).collect()
    }
}

fn says(body: &Value, part: &str) -> bool {
    body["message"].as_str().is_some_and(|text| text.contains(part))
}

#[tokio::test]
async fn a_journal_that_is_full_says_so_once_and_takes_no_more() {
    let kit = Kit::new();
    let line = "x".repeat(KIB);
    let mut outbox = kit.outbox(20 * KIB).await;
    for _ in 0..12 {
        outbox.log("info", &line, Timestamp::EPOCH);
    }
    outbox.flush().await;
    drop(outbox);
    let mut outbox = kit.outbox(20 * KIB).await;
    for _ in 0..50 {
        let body = json!({ "text": line });
        let item = TranscriptItem { id: "p".to_owned(), kind: "text", body };
        outbox.transcript(item, Timestamp::EPOCH);
        outbox.log("info", &line, Timestamp::EPOCH);
        outbox.flush().await;
    }
    let (log, said) = (kit.read(Stream::Log).await, kit.read(Stream::Transcript).await);
    assert_eq!(log.iter().filter(|body| says(body, "is full")).count(), 1);
    assert!(log.last().is_some_and(|body| says(body, "is full")));
    assert_eq!(outbox.dropped, 112 - (log.len() + said.len() - 1) as u64);
    let (tenant, session) = (kit.holder.tenant, kit.holder.session);
    let weight = kit.journal.weight(tenant, session).await.expect("read");
    assert!(weight > 18 * 1024 && weight < 21 * 1024, "{weight}");
}

#[tokio::test]
async fn no_bound_takes_everything_and_a_huge_line_is_cut() {
    let kit = Kit::new();
    let mut outbox = kit.outbox(0).await;
    let body = json!({ "text": "\u{1}".repeat(HEAVIEST_LINE / 4) });
    outbox.transcript(TranscriptItem { id: "p".to_owned(), kind: "text", body }, Timestamp::EPOCH);
    outbox.log("info", "after it", Timestamp::EPOCH);
    outbox.flush().await;
    let said = kit.read(Stream::Transcript).await;
    assert!(says(&said[0], "was cut") && said[0]["id"] == "p");
    assert!(said[0].to_string().len() < 8 * CUT_TO);
    assert_eq!(kit.read(Stream::Log).await.len(), 1);
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let kit = Kit::new();
    let mut outbox = kit.outbox(0).await;
    for number in 0..MOST + 10 {
        outbox.log("info", &number.to_string(), Timestamp::EPOCH);
    }
    assert!(outbox.is_due());
    outbox.flush().await;
    assert!(!outbox.is_due() && outbox.is_empty());
    let log = kit.read(Stream::Log).await;
    assert_eq!((log.len(), outbox.dropped), (MOST, 10));
    assert!(says(&log[0], "10"), "the oldest gave way");
}
