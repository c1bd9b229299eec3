//! Workspaces without a disk, and gates without commands: who has a folder is kept across lives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::gates::{GateRun, Gates};
use orchestrator::application::ports::workspaces::{
    Checkout, Diff, DiffEnd, MergeMode, MergeReport, Removal, WorkspaceError, Workspaces,
};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::SessionCode;
use orchestrator::domain::session::gates::GateReport;
use orchestrator::domain::session::spec::Gate;
use orchestrator::domain::workspace::{Workspace, WorkspaceKind, WorkspaceSpec};

use super::time::SimClock;
use super::weather::Weather;

/// Folders, with the number of times that their work was saved.
pub(crate) struct SimFiles {
    folders: Mutex<BTreeMap<SessionId, u64>>,
    clock: Arc<SimClock>,
    weather: Arc<Weather>,
}

impl SimFiles {
    pub(crate) fn new(clock: Arc<SimClock>, weather: Arc<Weather>) -> Self {
        Self { folders: Mutex::default(), clock, weather }
    }

    /// Who has a folder.
    pub(crate) fn folders(&self) -> Vec<SessionId> {
        self.folders.lock().expect("whole").keys().copied().collect()
    }

    /// What ends a session when it fails.
    async fn works_for(&self, session: SessionId, fails: f64) -> Result<(), WorkspaceError> {
        self.works(0.0).await?;
        if self.weather.strikes_at(session, fails) {
            return Err(WorkspaceError::Failed("git failed".to_owned()));
        }
        Ok(())
    }

    async fn works(&self, fails: f64) -> Result<(), WorkspaceError> {
        self.weather.moment().await;
        if self.weather.strikes(0.004) {
            self.clock.sleep(Duration::from_secs(8)).await;
        }
        if self.weather.strikes(fails) {
            return Err(WorkspaceError::Failed("git failed".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Workspaces for SimFiles {
    async fn check(&self, _: &WorkspaceSpec) -> Result<(), WorkspaceError> {
        Ok(())
    }

    async fn prepare(
        &self,
        session: SessionId,
        code: SessionCode,
        spec: &WorkspaceSpec,
        _: Option<&str>,
    ) -> Result<Workspace, WorkspaceError> {
        self.works_for(session, 0.02).await?;
        self.folders.lock().expect("whole").entry(session).or_default();
        let is_git = spec.kind() == WorkspaceKind::Git;
        let text = |text: &str| is_git.then(|| text.to_owned());
        Ok(Workspace {
            kind: spec.kind(),
            path: format!("/simulated/{session}"),
            repo: text("/simulated/repo"),
            branch: text(&format!("orchestrator/{code}")),
            base_commit: text("0000000000000000000000000000000000000000"),
            base_branch: text("main"),
        })
    }

    async fn checkpoint(
        &self,
        session: SessionId,
        workspace: &Workspace,
        _: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        self.works(0.01).await?;
        let mut folders = self.folders.lock().expect("whole");
        let Some(saved) = folders.get_mut(&session) else {
            return Err(WorkspaceError::Failed("there is no such folder".to_owned()));
        };
        *saved += 1;
        Ok((workspace.kind == WorkspaceKind::Git).then(|| format!("{saved:040}")))
    }

    async fn diff(&self, _: &Workspace, _: DiffEnd) -> Result<Diff, WorkspaceError> {
        Err(WorkspaceError::Failed("nothing is compared here".to_owned()))
    }

    async fn merge(
        &self,
        _: SessionId,
        _: &Workspace,
        _: MergeMode,
        _: &str,
    ) -> Result<MergeReport, WorkspaceError> {
        Err(WorkspaceError::Conflict { files: vec!["a".to_owned()] })
    }

    async fn restore(
        &self,
        _: SessionId,
        _: &Workspace,
        _: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        self.works(0.01).await.map(|()| None)
    }

    async fn check_out(
        &self,
        _: SessionId,
        workspace: &Workspace,
        commit: Option<&str>,
    ) -> Result<Checkout, WorkspaceError> {
        self.works(0.02).await?;
        let commit = commit.map(str::to_owned);
        Ok(Checkout { folder: workspace.path.clone().into(), tree_hash: commit.clone(), commit })
    }

    async fn give_back(&self, _: SessionId, _: &Workspace) -> Result<(), WorkspaceError> {
        self.works(0.01).await
    }

    async fn remove(&self, session: SessionId, _: &Workspace) -> Result<Removal, WorkspaceError> {
        self.works(0.03).await?;
        if self.weather.strikes(0.03) {
            return Ok(Removal::Kept { reason: "it is busy".to_owned() });
        }
        let was_there = self.folders.lock().expect("whole").remove(&session).is_some();
        Ok(if was_there { Removal::Removed } else { Removal::Nothing })
    }

    async fn list(&self) -> Result<Vec<SessionId>, WorkspaceError> {
        self.works(0.01).await?;
        Ok(self.folders())
    }

    async fn purge_trash(&self) -> Result<usize, WorkspaceError> {
        self.works(0.01).await.map(|()| 0)
    }
}

#[async_trait]
impl Gates for SimFiles {
    async fn run(&self, gate: &Gate, _: &Path) -> GateRun {
        let took = 1 + self.weather.below(5);
        self.clock.sleep(Duration::from_secs(took)).await;
        self.weather.moment().await;
        let passed = self.weather.below(4) > 0;
        let report = GateReport {
            name: gate.name.clone(),
            required: gate.required,
            passed,
            exit_code: Some(i32::from(!passed)),
            timed_out: false,
            duration_ms: took * 1000,
            output: String::new(),
        };
        GateRun { report, output: String::new() }
    }
}
