//! What people asked for, and what they were told: what a store is held against afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use orchestrator::application::error::AppError;
use orchestrator::application::session::create::NewSession;
use orchestrator::domain::attention::AttentionItem;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::Session;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::version::Versioned;

use super::town::is_honest;
use crate::support::invariants::Shown;

/// A request that creates a session, told again until its answer is known.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) tenant: TenantId,
    pub(crate) title: String,
    pub(crate) key: [u8; 32],
    pub(crate) new: NewSession,
    pub(crate) answer: Option<SessionId>,
}

#[derive(Default)]
struct Entries {
    requests: Vec<Request>,
    known: Vec<(TenantId, SessionId)>,
    /// Sessions of agents that do everything as they should, which nobody stops.
    honest: Vec<(TenantId, SessionId)>,
    /// The newest version that was acknowledged.
    versions: BTreeMap<SessionId, u64>,
    purged: BTreeSet<SessionId>,
    /// Requests whose change was acknowledged.
    audited: Vec<(TenantId, String)>,
    /// Prompts that were taken, and their words.
    prompts: Vec<(SessionId, String)>,
    /// What people decided.
    decided: Vec<Versioned<AttentionItem>>,
    /// Requests and sessions before these, and all that was made before this time, are from before a
    /// long time in which nobody was there.
    long_ago: (usize, BTreeSet<SessionId>, Option<Timestamp>),
    asked: u64,
    problems: BTreeSet<String>,
    outcomes: BTreeMap<String, u64>,
}

/// The ledger of one simulation.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("whole")
    }

    /// A new number for a request.
    pub(crate) fn number(&self) -> u64 {
        let mut entries = self.entries();
        entries.asked += 1;
        entries.asked
    }

    /// A request goes out; its place.
    pub(crate) fn ask(&self, request: Request) -> usize {
        let mut entries = self.entries();
        entries.requests.push(request);
        entries.requests.len() - 1
    }

    pub(crate) fn request(&self, place: usize) -> Request {
        self.entries().requests[place].clone()
    }

    /// Places of requests that are remembered.
    pub(crate) fn requests(&self) -> std::ops::Range<usize> {
        let entries = self.entries();
        entries.long_ago.0..entries.requests.len()
    }

    /// A request was answered: always with the same session.
    pub(crate) fn created(&self, place: usize, id: SessionId) {
        let mut entries = self.entries();
        let request = &mut entries.requests[place];
        let (tenant, is_honest) = (request.tenant, is_honest(&request.title));
        if let Some(before) = request.answer.replace(id) {
            if before != id {
                let text = format!("I12: {} was answered {before} and {id}", request.title);
                entries.problems.insert(text);
            }
            return;
        }
        if is_honest {
            entries.honest.push((tenant, id));
        } else {
            entries.known.push((tenant, id));
        }
    }

    /// A session came to be by another way.
    pub(crate) fn learned(&self, tenant: TenantId, id: SessionId) {
        self.entries().known.push((tenant, id));
    }

    /// Sessions of a tenant that people know of.
    pub(crate) fn known(&self, tenant: TenantId) -> Vec<SessionId> {
        let entries = self.entries();
        let own = entries.known.iter().filter(|(whose, _)| *whose == tenant);
        own.map(|(_, id)| *id).collect()
    }

    /// The newest session of a tenant whose agents do everything as they should.
    pub(crate) fn honest(&self, tenant: TenantId) -> Option<SessionId> {
        let entries = self.entries();
        let mut own = entries.honest.iter().rev().filter(|(whose, _)| *whose == tenant);
        own.next().map(|(_, id)| *id)
    }

    /// A prompt was taken.
    pub(crate) fn prompted(&self, id: SessionId, words: &str) {
        self.entries().prompts.push((id, words.to_owned()));
    }

    /// Prompts that were taken.
    pub(crate) fn prompts(&self) -> Vec<(SessionId, String)> {
        self.entries().prompts.clone()
    }

    /// Somebody's decision was taken.
    pub(crate) fn decided(&self, item: &Versioned<AttentionItem>) {
        self.entries().decided.push(item.clone());
    }

    /// Days pass: answers are remembered no longer, and what ended may go.
    pub(crate) fn days_pass(&self, now: Timestamp) {
        let mut entries = self.entries();
        let all = entries.known.iter().chain(&entries.honest).map(|(_, id)| *id);
        let all = all.chain(entries.versions.keys().copied()).collect();
        entries.long_ago = (entries.requests.len(), all, Some(now));
    }

    /// Whether a session is from before a long time in which nobody was there.
    pub(crate) fn is_old(&self, session: &Session) -> bool {
        self.entries().long_ago.2.is_some_and(|then| session.stamps.created_at < then)
    }

    /// A change was acknowledged.
    pub(crate) fn changed(&self, tenant: TenantId, request: &str, session: &Versioned<Session>) {
        let mut entries = self.entries();
        if session.value.tenant_id != tenant {
            entries.problems.insert(format!("I10: {request} of {tenant} got a foreign session"));
        }
        let known = entries.versions.entry(session.value.id).or_default();
        *known = (*known).max(session.version.get());
    }

    /// A change that is audited was acknowledged.
    pub(crate) fn audited(&self, tenant: TenantId, request: &str) {
        self.entries().audited.push((tenant, request.to_owned()));
    }

    /// A session was purged, or may have been.
    pub(crate) fn purged(&self, id: SessionId) {
        self.entries().purged.insert(id);
    }

    /// A request was refused: no client may bring about what is nobody's fault but ours.
    pub(crate) fn refused(&self, verb: &str, error: &AppError) {
        let mut text = format!("I14: {verb}: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        let is_ours = matches!(error, AppError::Internal(_) | AppError::RecordQuarantined);
        let mut entries = self.entries();
        if is_ours {
            entries.problems.insert(text);
        }
        let name = format!("{error:?}");
        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
        *entries.outcomes.entry(format!("{verb} {name}")).or_default() += 1;
    }

    /// A request was done.
    pub(crate) fn done(&self, verb: &str) {
        *self.entries().outcomes.entry(format!("{verb} ok")).or_default() += 1;
    }

    pub(crate) fn problem(&self, text: String) {
        self.entries().problems.insert(text);
    }

    /// How often each request had which outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, u64> {
        self.entries().outcomes.clone()
    }

    /// Holds what is stored against what people were told.
    pub(crate) fn verify(&self, all: &[Shown]) -> Vec<String> {
        let entries = self.entries();
        let mut wrong: Vec<String> = entries.problems.iter().cloned().collect();
        for (id, version) in &entries.versions {
            let stored = all.iter().find_map(|shown| shown.sessions.get(id));
            match stored {
                Some((stored, _)) if stored < version => {
                    wrong.push(format!("I1: {id} has version {stored}, {version} was told"));
                }
                None if !entries.purged.contains(id) && !entries.long_ago.1.contains(id) => {
                    wrong.push(format!("I1: {id} was acknowledged and is gone"));
                }
                Some(_) | None => {}
            }
        }
        for told in &entries.decided {
            let mut items = all.iter().flat_map(|shown| &shown.items);
            let stored = items.find(|item| item.id == told.value.id);
            let same = |item: &AttentionItem| {
                (item.decision, &item.answer) == (told.value.decision, &told.value.answer)
            };
            if stored.is_some_and(|item| !same(item)) {
                let (id, decision) = (told.value.id, told.value.decision);
                wrong.push(format!("I2: {id} was decided {decision:?}, it is {stored:?}"));
            }
        }
        for (tenant, request) in &entries.audited {
            let own = all.iter().find(|shown| shown.tenant == *tenant);
            if !own.is_some_and(|shown| shown.requests.contains(request)) {
                wrong.push(format!("I2: {request} was done and is not in the audit"));
            }
        }
        for request in &entries.requests {
            let own = all.iter().filter(|shown| shown.tenant == request.tenant);
            let made: Vec<SessionId> = own
                .flat_map(|shown| shown.sessions.values())
                .filter(|(_, session)| session.spec.title == request.title)
                .map(|(_, session)| session.id)
                .collect();
            if made.len() > 1 {
                wrong.push(format!("I12: {} made {} sessions", request.title, made.len()));
            }
            if let (Some(answer), Some(made)) = (request.answer, made.first())
                && answer != *made
            {
                wrong.push(format!("I12: {} made {made}, told was {answer}", request.title));
            }
        }
        wrong
    }
}
