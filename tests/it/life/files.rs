//! Worktrees: none is left behind, none is taken away from somebody, and no refused command moved
//! anything.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::error::AppError;
use orchestrator::application::ports::workspaces::MergeMode;
use orchestrator::application::principal::RequestContext;
use orchestrator::application::session::control::DeclaredFailure;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::{Value, json};

use super::lab::{Lab, asks, caller, plays_in, writes};
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;

fn repo() -> TestRepo {
    TestRepo::with(&[("a.txt", "a\n")])
}

async fn put_away(lab: &Lab, id: orchestrator::domain::ids::SessionId) {
    eventually("the folder is put away", async || !lab.folder(id).exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_stopped_while_its_worktree_is_made_leaves_none() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.files.hold("prepare", None);
    lab.schedule();
    lab.reconcile();
    let id = lab.begin(plays_in(&repo, &json!([]))).await;
    eventually("the worktree begins", async || lab.files.calls("prepare", id) > 0).await;
    lab.sessions.stop(&caller(), id, None).await.expect("stopped");
    lab.files.release();
    eventually("it is put away", async || lab.files.calls("remove", id) > 0).await;
    assert!(repo.git(&["for-each-ref", "refs/orchestrator"]).contains("about"), "it was made");
    put_away(&lab, id).await;
    assert_eq!(repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_worktree_is_being_made_is_not_purged() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.files.hold("prepare", None);
    lab.schedule();
    let id = lab.begin(plays_in(&repo, &json!([]))).await;
    eventually("the worktree begins", async || lab.files.calls("prepare", id) > 0).await;
    lab.sessions.stop(&caller(), id, None).await.expect("stopped");
    let refused = lab.sessions.delete(&caller(), id, true).await;
    assert!(matches!(refused, Err(AppError::NotNow { .. })), "{refused:?}");
    lab.files.release();
    eventually("let go", async || !lab.sessions.wake().is_supervised(id)).await;
    lab.sessions.delete(&caller(), id, true).await.expect("purged");
    assert!(!lab.folder(id).exists(), "nobody would find it any more");
    assert_eq!(repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
}

/// A session that was paused with work in its worktree.
async fn paused(
    lab: &Lab,
    repo: &TestRepo,
    more: SessionDraft,
) -> orchestrator::domain::ids::SessionId {
    let steps = json!([writes("b.txt", "b\n"), { "hang": true }]);
    let id = lab
        .begin(SessionDraft {
            pause_timeout_seconds: more.pause_timeout_seconds,
            ..plays_in(repo, &steps)
        })
        .await;
    let file = lab.folder(id).join("b.txt");
    eventually("the file", async || file.exists()).await;
    lab.sessions.pause(&caller(), id).await.expect("asked");
    lab.until(id, SessionStatus::Paused).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_ends_a_paused_session_puts_its_worktree_away() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    lab.reconcile();
    let mut all = Vec::new();
    for way in 0..4 {
        let more =
            SessionDraft { pause_timeout_seconds: Some(Some(60)), ..SessionDraft::default() };
        let id = paused(&lab, &repo, more).await;
        let ctx = caller();
        match way {
            0 => drop(lab.sessions.stop(&ctx, id, None).await.expect("stopped")),
            1 => drop(lab.sessions.cancel(&ctx, id, None).await.expect("cancelled")),
            2 => {
                let failure = DeclaredFailure {
                    message: "no".to_owned(),
                    code: None,
                    context: Value::Null,
                    retryable: false,
                };
                drop(lab.sessions.fail(&ctx, id, failure).await.expect("failed"));
            }
            _ => {
                lab.clock.jump(Duration::from_secs(61));
                lab.until(id, SessionStatus::Timeout).await;
            }
        }
        all.push(id);
    }
    for id in all {
        put_away(&lab, id).await;
        let saved = format!("refs/orchestrator/{id}/latest:b.txt");
        assert_eq!(repo.git(&["show", &saved]), "b", "the work is kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_deleted_before_its_retry_leaves_no_worktree() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let fail = json!({ "fail": { "type": "provider_error" } });
    let steps = json!([writes("b.txt", "b\n"), fail]);
    let id = lab.begin(plays_in(&repo, &steps)).await;
    lab.wait(id, "a retry", |session| session.run.next_attempt_at.is_some()).await;
    lab.sessions.delete(&caller(), id, false).await.expect("deleted");
    assert!(lab.folder(id).exists());
    lab.reconcile();
    put_away(&lab, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_is_refused_moved_nothing() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let id = lab.begin(plays_in(&repo, &json!([writes("b.txt", "b\n")]))).await;
    lab.until(id, SessionStatus::Completed).await;
    let before = repo.git(&["rev-parse", "main"]);
    let ctx = RequestContext { if_match: Some(1), ..caller() };
    let refused = lab.sessions.merge(&ctx, id, MergeMode::Merge, None).await.expect_err("old");
    assert!(matches!(refused, AppError::VersionMismatch { .. }), "{refused:?}");
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    let report = lab.sessions.merge(&caller(), id, MergeMode::Merge, None).await.expect("merged");
    assert_eq!(report.files, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_beside_a_merge_does_not_refuse_what_was_merged() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let id = lab.begin(plays_in(&repo, &json!([writes("b.txt", "b\n")]))).await;
    lab.until(id, SessionStatus::Completed).await;
    eventually("put away", async || !lab.folder(id).exists()).await;
    let version = lab.version(id).await;
    lab.files.hold("merge", Some(id));
    let ctx = RequestContext { if_match: Some(version), ..caller() };
    let merge = lab.sessions.merge(&ctx, id, MergeMode::Squash, None);
    let ((), merged) = tokio::join!(
        async {
            eventually("merging", async || lab.files.calls("merge", id) > 0).await;
            lab.rename(id, "Another title").await;
            lab.files.release();
        },
        merge,
    );
    assert_eq!(merged.expect("merged").files, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_refused_changed_no_file() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let id = paused(&lab, &repo, SessionDraft::default()).await;
    let ctx = RequestContext { if_match: Some(1), ..caller() };
    lab.sessions
        .create_checkpoint(&caller(), id, serde_json::Map::new(), None)
        .await
        .expect("taken");
    let newest = lab.session(id).await.run.last_checkpoint;
    std::fs::write(lab.folder(id).join("b.txt"), "changed by hand\n").expect("written");
    let refused = lab.sessions.restore(&ctx, id, newest).await.expect_err("an old version");
    assert!(matches!(refused, AppError::VersionMismatch { .. }), "{refused:?}");
    let text = || std::fs::read_to_string(lab.folder(id).join("b.txt")).expect("there");
    assert_eq!(text(), "changed by hand\n");
    lab.sessions.restore(&caller(), id, newest).await.expect("restored");
    assert_eq!(text(), "b\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_works_in_a_worktree_while_it_is_merged() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let id = paused(&lab, &repo, SessionDraft::default()).await;
    lab.files.hold("merge", Some(id));
    let ctx = caller();
    let merge = lab.sessions.merge(&ctx, id, MergeMode::Merge, None);
    let ((), merged) = tokio::join!(
        async {
            eventually("merging", async || lab.files.calls("merge", id) > 0).await;
            let asked = lab.sessions.resume(&caller(), id).await.expect("asked");
            assert!(!asked.settled, "it waits for the merge");
            lab.files.release();
        },
        merge,
    );
    merged.expect("merged");
    lab.until(id, SessionStatus::Running).await;
    assert!(lab.folder(id).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_taken_back_goes_on_from_there() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let steps = json!([writes("b.txt", "old\n"), asks(), writes("b.txt", "new\n")]);
    let id = lab.begin(plays_in(&repo, &steps)).await;
    lab.asked(id).await;
    let taken = lab
        .sessions
        .create_checkpoint(&caller(), id, serde_json::Map::new(), None)
        .await
        .expect("taken");
    lab.sessions.pause(&caller(), id).await.expect("asked");
    lab.allow(id).await;
    let paused = lab.until(id, SessionStatus::Paused).await;
    assert!(paused.run.prompt.is_none(), "its turn was over");
    lab.sessions.restore(&caller(), id, taken.sequence).await.expect("restored");
    assert_eq!(lab.session(id).await.metrics.result, None);
    lab.sessions.resume(&caller(), id).await.expect("asked");
    lab.asked(id).await;
    assert_eq!(lab.session(id).await.status(), SessionStatus::Running);
    lab.allow(id).await;
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_folder_cannot_be_put_away_is_not_purged() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let id = lab.begin(plays_in(&repo, &json!([asks()]))).await;
    lab.asked(id).await;
    lab.files.keeps.store(true, SeqCst);
    lab.sessions.stop(&caller(), id, None).await.expect("stopped");
    let refused = lab.sessions.delete(&caller(), id, true).await;
    assert!(matches!(refused, Err(AppError::NotNow { .. })), "{refused:?}");
    assert!(lab.session(id).await.stamps.deleted_at.is_some(), "its record finds the folder");
    lab.files.keeps.store(false, SeqCst);
    lab.sessions.delete(&caller(), id, true).await.expect("purged");
    put_away(&lab, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_work_on_the_files_of_an_ended_session_holds_up_no_other_folder() {
    let (lab, repo) = (Lab::new().await, repo());
    lab.schedule();
    let long = paused(&lab, &repo, SessionDraft::default()).await;
    lab.files.hold("merge", Some(long));
    let ctx = caller();
    let merge = lab.sessions.merge(&ctx, long, MergeMode::Patch, None);
    let meanwhile = async {
        eventually("merging", async || lab.files.calls("merge", long) > 0).await;
        lab.sessions.stop(&caller(), long, None).await.expect("stopped");
        lab.reconcile();
        let other = paused(&lab, &repo, SessionDraft::default()).await;
        lab.sessions.stop(&caller(), other, None).await.expect("stopped");
        put_away(&lab, other).await;
        assert!(lab.folder(long).exists(), "somebody works on it");
        lab.files.release();
    };
    let (merged, ()) = tokio::join!(merge, meanwhile);
    assert!(merged.expect("a patch").patch.is_some());
    put_away(&lab, long).await;
}
