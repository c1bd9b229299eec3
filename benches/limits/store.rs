//! The probe's store: redb, one writer thread, group commit.
//!
//! Invariant: an insert is acknowledged after the commit that contains it was synced.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::record::Record;

/// id(16) → record
const RECORDS: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("records");
/// status(1) ‖ id(16) → ()
const BY_STATUS: TableDefinition<&[u8; 17], ()> = TableDefinition::new("by_status");
/// tag(8) ‖ id(16) → ()
const BY_TAG: TableDefinition<&[u8; 24], ()> = TableDefinition::new("by_tag");
/// number(8) → id(16)
const BY_NUMBER: TableDefinition<&[u8; 8], &[u8; 16]> = TableDefinition::new("by_number");

/// Most inserts of one commit.
const GROUP: usize = 1024;

/// One insert on its way to the writer.
struct Job {
    id: [u8; 16],
    value: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The store behind its writer.
pub(super) struct Store {
    database: Arc<Database>,
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// Opens or creates the store in a folder and starts its writer.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let database = Database::builder()
            .set_cache_size(64 * 1024 * 1024)
            .create(folder.join("probe.redb"))?;
        let database = Arc::new(database);
        let next = commit(&database, &[], 0)?;
        // Full: inserts wait for the writer, which is what a closed loop of clients is about.
        let (jobs, queue) = mpsc::channel(4 * GROUP);
        let writing = database.clone();
        std::thread::Builder::new()
            .name("probe-writer".to_owned())
            .spawn(move || write(&writing, queue, next))?;
        Ok(Self { database, jobs })
    }

    /// Inserts a record; it is durable once this returns.
    pub(super) async fn insert(&self, record: &Record) -> anyhow::Result<()> {
        let (done, result) = oneshot::channel();
        let job = Job { id: *record.id.as_bytes(), value: record.encode()?, done };
        self.jobs.send(job).await.map_err(|_| anyhow::anyhow!("the writer ended"))?;
        result.await?.map_err(anyhow::Error::msg)
    }

    /// One record.
    pub(super) fn read(&self, id: Uuid) -> anyhow::Result<Option<Record>> {
        let records = self.database.begin_read()?.open_table(RECORDS)?;
        records.get(id.as_bytes())?.map(|value| Record::decode(value.value())).transpose()
    }

    /// The newest records of one status.
    pub(super) fn newest(&self, limit: usize) -> anyhow::Result<Vec<Record>> {
        let reading = self.database.begin_read()?;
        let (index, records) = (reading.open_table(BY_STATUS)?, reading.open_table(RECORDS)?);
        let mut found = Vec::with_capacity(limit);
        for entry in index.range::<&[u8; 17]>(&[0; 17]..&[1; 17])?.rev().take(limit) {
            let key: [u8; 16] = entry?.0.value()[1..].try_into()?;
            if let Some(value) = records.get(&key)? {
                found.push(Record::decode(value.value())?);
            }
        }
        Ok(found)
    }
}

/// Takes whatever has queued up while the last commit ran; a lone insert never waits for company.
fn write(database: &Database, mut queue: mpsc::Receiver<Job>, mut next: u64) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            let Ok(job) = queue.try_recv() else { break };
            group.push(job);
        }
        let result = commit(database, &group, next).map_err(|error| error.to_string());
        next = result.clone().unwrap_or(next);
        for job in group {
            // A client that went away gets no answer; its record stays.
            drop(job.done.send(result.clone().map(drop)));
        }
    }
}

/// Writes a group in one transaction and returns the number behind the newest record.
fn commit(database: &Database, group: &[Job], mut next: u64) -> anyhow::Result<u64> {
    let mut writing = database.begin_write()?;
    writing.set_durability(Durability::Immediate)?;
    writing.set_quick_repair(true);
    {
        let mut records = writing.open_table(RECORDS)?;
        let mut by_status = writing.open_table(BY_STATUS)?;
        let mut by_tag = writing.open_table(BY_TAG)?;
        let mut by_number = writing.open_table(BY_NUMBER)?;
        if next == 0 {
            use redb::ReadableTable;
            let newest = by_number.last()?.map(|entry| u64::from_be_bytes(*entry.0.value()));
            next = newest.unwrap_or(0) + 1;
        }
        for job in group {
            let mut status_key = [0; 17];
            status_key[1..].copy_from_slice(&job.id);
            let mut tag_key = *b"bench\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            tag_key[8..].copy_from_slice(&job.id);
            records.insert(&job.id, job.value.as_slice())?;
            by_status.insert(&status_key, ())?;
            by_tag.insert(&tag_key, ())?;
            by_number.insert(&next.to_be_bytes(), &job.id)?;
            next += 1;
        }
    }
    writing.commit()?;
    Ok(next)
}
