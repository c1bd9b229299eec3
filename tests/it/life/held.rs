//! Workspaces with the real git, some calls of which can be held up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use orchestrator::application::ports::workspaces::{
    Checkout, Diff, DiffEnd, MergeMode, MergeReport, Removal, WorkspaceError, Workspaces,
};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::SessionCode;
use orchestrator::domain::workspace::{Workspace, WorkspaceSpec};
use orchestrator::infrastructure::workspaces::Folders;
use tokio::sync::watch;

/// What is held up: calls of these names, of these sessions or of all.
type Holds = Vec<(&'static str, Option<SessionId>)>;

/// The workspaces, and what is held up.
pub(crate) struct Held {
    folders: Folders,
    holds: watch::Sender<Holds>,
    calls: Mutex<Vec<(&'static str, SessionId)>>,
    /// No folder can be put away.
    pub(crate) keeps: AtomicBool,
}

impl Held {
    pub(crate) fn new(folders: Folders) -> Self {
        Self {
            folders,
            holds: watch::Sender::new(Holds::new()),
            calls: Mutex::default(),
            keeps: AtomicBool::new(false),
        }
    }

    /// From now on calls of this name wait before they begin.
    pub(crate) fn hold(&self, call: &'static str, session: Option<SessionId>) {
        self.holds.send_modify(|holds| holds.push((call, session)));
    }

    /// Everything goes on.
    pub(crate) fn release(&self) {
        self.holds.send_modify(Vec::clear);
    }

    /// How often a call came in, waiting or not.
    pub(crate) fn calls(&self, call: &str, session: SessionId) -> usize {
        let calls = self.calls.lock().expect("whole");
        calls.iter().filter(|known| known.0 == call && known.1 == session).count()
    }

    async fn pass(&self, call: &'static str, session: SessionId) {
        self.calls.lock().expect("whole").push((call, session));
        let mut holds = self.holds.subscribe();
        let free = |holds: &Holds| {
            !holds
                .iter()
                .any(|(name, whose)| *name == call && whose.is_none_or(|whose| whose == session))
        };
        holds.wait_for(free).await.expect("the sender lives as long");
    }
}

#[async_trait]
impl Workspaces for Held {
    async fn check(&self, spec: &WorkspaceSpec) -> Result<(), WorkspaceError> {
        self.folders.check(spec).await
    }

    async fn prepare(
        &self,
        session: SessionId,
        code: SessionCode,
        spec: &WorkspaceSpec,
        from_commit: Option<&str>,
    ) -> Result<Workspace, WorkspaceError> {
        self.pass("prepare", session).await;
        self.folders.prepare(session, code, spec, from_commit).await
    }

    async fn checkpoint(
        &self,
        session: SessionId,
        workspace: &Workspace,
        message: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        self.pass("checkpoint", session).await;
        self.folders.checkpoint(session, workspace, message).await
    }

    async fn diff(&self, workspace: &Workspace, head: DiffEnd) -> Result<Diff, WorkspaceError> {
        self.folders.diff(workspace, head).await
    }

    async fn merge(
        &self,
        session: SessionId,
        workspace: &Workspace,
        mode: MergeMode,
        message: &str,
    ) -> Result<MergeReport, WorkspaceError> {
        self.pass("merge", session).await;
        self.folders.merge(session, workspace, mode, message).await
    }

    async fn restore(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        self.pass("restore", session).await;
        self.folders.restore(session, workspace, commit).await
    }

    async fn check_out(
        &self,
        session: SessionId,
        workspace: &Workspace,
        commit: Option<&str>,
    ) -> Result<Checkout, WorkspaceError> {
        self.folders.check_out(session, workspace, commit).await
    }

    async fn give_back(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<(), WorkspaceError> {
        self.folders.give_back(session, workspace).await
    }

    async fn remove(
        &self,
        session: SessionId,
        workspace: &Workspace,
    ) -> Result<Removal, WorkspaceError> {
        self.pass("remove", session).await;
        if self.keeps.load(Ordering::SeqCst) {
            return Ok(Removal::Kept { reason: "somebody is in it".to_owned() });
        }
        self.folders.remove(session, workspace).await
    }

    async fn purge_trash(&self) -> Result<usize, WorkspaceError> {
        self.folders.purge_trash().await
    }

    async fn list(&self) -> Result<Vec<SessionId>, WorkspaceError> {
        self.folders.list().await
    }
}
