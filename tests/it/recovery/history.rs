//! What was asked of a store and what it acknowledged, and whether what is stored agrees.

use std::collections::HashSet;
use std::sync::Arc;

use orchestrator::application::ports::changes::{Counter, CounterChange, Remembered};
use orchestrator::application::ports::journal::{Journal, NewEntry, Stream};
use orchestrator::application::ports::reads::{SessionQuery, Snapshot};
use orchestrator::application::ports::store::Store;
use orchestrator::domain::ids::SessionId;
use orchestrator::infrastructure::storage::redb::RedbStore;
use serde_json::json;

use crate::contract::fixtures::{TENANT, at, audit, creation, note, session};

/// One unit of work whose parts must stand or fall together.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    code: u64,
    session: SessionId,
    is_acknowledged: bool,
}

/// Everything that was asked.
#[derive(Debug, Default)]
pub(crate) struct History {
    units: Vec<Unit>,
    lines: u64,
}

fn answer_key(code: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&code.to_be_bytes());
    key
}

/// Asks for one unit: a session, two events, an audit entry, a counter, an answer.
async fn ask(store: &RedbStore, code: u64) -> Unit {
    let (session, event) = session(TENANT, code);
    let answer = Remembered {
        key: answer_key(code),
        fingerprint: [0; 32],
        status: 201,
        headers: Vec::new(),
        body: session.id.to_string().into_bytes(),
        expires_at: at(1_000_000),
    };
    let mut second = note(code);
    second.payload.insert("session_id".to_owned(), json!(session.id));
    let set = creation(&session, event)
        .events([second])
        .audit(Some(audit(&session.id.to_string())))
        .count(Counter::OpenSessions, CounterChange::Add(1))
        .count(Counter::SessionCodes, CounterChange::AtLeast(code))
        .remember(Some(answer));
    let is_acknowledged = store.commit(set).await.is_ok();
    Unit { code, session: session.id, is_acknowledged }
}

impl History {
    /// Asks for rounds of concurrent units and a journal line each, until something is refused.
    pub(crate) async fn write(&mut self, store: &Arc<RedbStore>, rounds: u64) {
        for _ in 0..rounds {
            let first = u64::try_from(self.units.len()).expect("few") + 1;
            let asked = (first..first + 4).map(|code| ask(store, code));
            let units = futures_util::future::join_all(asked).await;
            let goes_on = units.iter().all(|unit| unit.is_acknowledged);
            self.units.extend(units);
            let entry =
                NewEntry { at: at(0), kind: "info".to_owned(), body: json!({ "message": "m" }) };
            let stream = (TENANT, SessionId::new(uuid::Uuid::nil()), Stream::Log);
            let last = store.append(stream.0, stream.1, stream.2, vec![entry]).await;
            self.lines = last.unwrap_or(self.lines);
            if !goes_on {
                return;
            }
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.units.iter().filter(|unit| unit.is_acknowledged).count()
    }

    /// What is wrong with what is stored; nothing, when all is well.
    pub(crate) async fn verify(&self, store: &Arc<RedbStore>) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("reading failed: {error}");
        let snapshot = store.snapshot(TENANT).await.map_err(|error| failed(&error))?;
        let mut stored = HashSet::new();
        for unit in &self.units {
            if is_whole(&*snapshot, unit).await? {
                stored.insert(unit.session);
            } else if unit.is_acknowledged {
                return Err(format!("{} was acknowledged and is gone", unit.code));
            }
        }
        let events = snapshot.events(0, None, usize::MAX).await.map_err(|error| failed(&error))?;
        let last = snapshot.last_seq().await.map_err(|error| failed(&error))?;
        let is_gap_free = events.iter().map(|event| event.seq).eq(1..=last);
        if !is_gap_free || events.len() != stored.len() * 2 {
            return Err(format!("{} events for {} sessions", events.len(), stored.len()));
        }
        let open = snapshot.counter(Counter::OpenSessions).await.map_err(|error| failed(&error))?;
        let chain = snapshot.audit(0, usize::MAX).await.map_err(|error| failed(&error))?;
        if usize::try_from(open) != Ok(stored.len()) || chain.len() != stored.len() {
            return Err(format!("counter {open}, audit {}, {}", chain.len(), stored.len()));
        }
        crate::contract::logs::verify_chain(&chain)
            .map_err(|number| format!("the audit chain breaks at {number}"))?;
        let query = SessionQuery { limit: 200, count: true, ..SessionQuery::default() };
        let page = snapshot.sessions(query).await.map_err(|error| failed(&error))?;
        if page.skipped > 0 || page.total != u64::try_from(stored.len()).ok() {
            return Err(format!("the list shows {:?} of {}", page.total, stored.len()));
        }
        self.verify_lines(store).await
    }

    async fn verify_lines(&self, store: &Arc<RedbStore>) -> Result<(), String> {
        let nobody = SessionId::new(uuid::Uuid::nil());
        let lines = store.read(TENANT, nobody, Stream::Log, 0, usize::MAX).await;
        let lines = lines.map_err(|error| format!("reading failed: {error}"))?;
        let count = u64::try_from(lines.len()).expect("few");
        if count < self.lines || !lines.iter().map(|line| line.seq).eq(1..=count) {
            return Err(format!("{count} of {} journal lines", self.lines));
        }
        Ok(())
    }
}

/// Whether a unit is there; an error when only a part of it is.
async fn is_whole(snapshot: &dyn Snapshot, unit: &Unit) -> Result<bool, String> {
    let failed = |error: &dyn std::fmt::Display| format!("reading failed: {error}");
    let session = snapshot.session(unit.session).await.map_err(|error| failed(&error))?;
    let events = snapshot.events(0, Some(unit.session), 9).await;
    let events = events.map_err(|error| failed(&error))?.len();
    let answer = snapshot.remembered(answer_key(unit.code)).await;
    let answer = answer.map_err(|error| failed(&error))?;
    let own = answer.is_some_and(|answer| answer.body == unit.session.to_string().as_bytes());
    match (session.is_some(), events, own) {
        (true, 2, true) => Ok(true),
        (false, 0, false) => Ok(false),
        parts => Err(format!("{} is there in parts: {parts:?}", unit.code)),
    }
}
