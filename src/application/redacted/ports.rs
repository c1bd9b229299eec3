//! Journals, gates and receivers of webhooks.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::application::ports::clock::NoSecret;
use crate::application::ports::gates::{GateRun, Gates};
use crate::application::ports::journal::{Appended, Entry, Journal, NewEntry, Stream};
use crate::application::ports::notifier::{AddressError, Message, Notifier};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::redact::Redactor;
use crate::domain::session::spec::Gate;
use crate::domain::webhook::Secret;
use crate::domain::webhook::delivery::Answer;

/// A journal into which no secret is written.
pub struct RedactedJournal {
    inner: Arc<dyn Journal>,
    redactor: Redactor,
}

impl RedactedJournal {
    /// Before this journal.
    #[must_use]
    pub fn new(inner: Arc<dyn Journal>, redactor: Redactor) -> Self {
        Self { inner, redactor }
    }
}

#[async_trait]
impl Journal for RedactedJournal {
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        mut entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError> {
        for entry in &mut entries {
            self.redactor.clean_json(&mut entry.body);
        }
        self.inner.append(tenant, session, stream, entries).await
    }

    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(tenant, session, stream, after, limit).await
    }

    async fn weight(&self, tenant: TenantId, session: SessionId) -> Result<u64, StoreError> {
        self.inner.weight(tenant, session).await
    }

    fn appended(&self) -> broadcast::Receiver<Arc<Appended>> {
        self.inner.appended()
    }
}

/// Gates whose output is free of secrets.
pub struct RedactedGates {
    inner: Arc<dyn Gates>,
    redactor: Redactor,
}

impl RedactedGates {
    /// Behind these gates.
    #[must_use]
    pub fn new(inner: Arc<dyn Gates>, redactor: Redactor) -> Self {
        Self { inner, redactor }
    }
}

#[async_trait]
impl Gates for RedactedGates {
    async fn run(&self, gate: &Gate, folder: &Path) -> GateRun {
        let mut run = self.inner.run(gate, folder).await;
        // What a report keeps is the end of the whole: a secret that is cut there is known by its
        // beginning only.
        let kept = run.report.output.len();
        self.redactor.clean(&mut run.output);
        let mut start = run.output.len().saturating_sub(kept);
        while !run.output.is_char_boundary(start) {
            start += 1;
        }
        run.output[start..].clone_into(&mut run.report.output);
        self.redactor.clean(&mut run.report.output);
        run
    }
}

/// A way out whose answers are free of secrets.
pub struct RedactedNotifier {
    inner: Arc<dyn Notifier>,
    redactor: Redactor,
}

impl RedactedNotifier {
    /// Before this way out.
    #[must_use]
    pub fn new(inner: Arc<dyn Notifier>, redactor: Redactor) -> Self {
        Self { inner, redactor }
    }
}

#[async_trait]
impl Notifier for RedactedNotifier {
    async fn check(&self, url: &str) -> Result<(), AddressError> {
        self.inner.check(url).await
    }

    async fn send(&self, message: &Message) -> Answer {
        let mut answer = self.inner.send(message).await;
        for text in [&mut answer.attempt.error, &mut answer.attempt.response].into_iter().flatten()
        {
            self.redactor.clean(text);
        }
        answer
    }

    fn new_secret(&self) -> Result<Secret, NoSecret> {
        self.inner.new_secret()
    }
}
