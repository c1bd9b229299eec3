//! A repository, the adapter, and one session's worktree in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::workspaces::{WorkspaceError, Workspaces};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::SessionCode;
use orchestrator::domain::workspace::{Workspace, WorkspaceSpec};
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::repo::TestRepo;

/// Everything that a test of workspaces needs.
pub(crate) struct Bench {
    pub(crate) repo: TestRepo,
    pub(crate) folders: Folders,
    pub(crate) data: TempDir,
}

/// The session number `n`.
pub(crate) fn session(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
}

/// An adapter over a data folder.
pub(crate) fn folders(data: &Path, allowed: &[&Path], clock: Arc<dyn Clock>) -> Folders {
    let options = WorkspaceOptions {
        root: data.join("workspaces"),
        closed: vec![data.to_owned()],
        allowed_roots: allowed.iter().map(|path| path.to_path_buf()).collect(),
        git: PathBuf::from("git"),
    };
    Folders::new(options, clock, Arc::new(SystemIds))
}

impl Bench {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::over(TestRepo::with(files))
    }

    pub(crate) fn over(repo: TestRepo) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(data.path(), &[], Arc::new(SystemClock::new()));
        Self { repo, folders, data }
    }

    pub(crate) fn spec(&self) -> WorkspaceSpec {
        WorkspaceSpec::Git { repo: self.repo.text(), base_ref: "HEAD".to_owned(), branch: None }
    }

    pub(crate) async fn prepare(&self, number: u128) -> Workspace {
        self.try_prepare(number, &self.spec()).await.expect("a workspace")
    }

    pub(crate) async fn try_prepare(
        &self,
        number: u128,
        spec: &WorkspaceSpec,
    ) -> Result<Workspace, WorkspaceError> {
        let code = SessionCode::new(u64::try_from(number).expect("small"));
        self.folders.prepare(session(number), code, spec, None).await
    }

    pub(crate) async fn checkpoint(&self, number: u128, workspace: &Workspace) -> String {
        let saved = self.folders.checkpoint(session(number), workspace, "Turn").await;
        saved.expect("a checkpoint").expect("git has commits")
    }
}

/// A path in a workspace.
pub(crate) fn at(workspace: &Workspace, path: &str) -> PathBuf {
    Path::new(&workspace.path).join(path)
}
