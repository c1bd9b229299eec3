//! What was left open is planned, and done by the steps of the plan, each of them as often as one
//! likes.

use std::sync::Arc;

use orchestrator::application::ports::store::Store;
use orchestrator::application::principal::{Principal, RequestContext};
use orchestrator::application::supervise::recover::service::RecoveryService;
use orchestrator::application::supervise::recover::{Done, plan::Step};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;

use super::lab::{Lab, asks, caller, plays, plays_in, writes};
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;

fn recovery(lab: &Lab) -> RecoveryService {
    let (store, clock) = (Arc::clone(&lab.store) as _, Arc::clone(&lab.clock) as _);
    RecoveryService::new(lab.supervisors.clone(), store, clock)
}

fn operator() -> RequestContext {
    let ctx = caller();
    RequestContext { principal: Principal { is_system: true, ..ctx.principal.clone() }, ..ctx }
}

fn told(steps: &[Step]) -> Vec<(String, &'static str)> {
    let mut told: Vec<(String, &'static str)> = steps
        .iter()
        .map(|step| (step.code.expect("readable").to_string(), step.measure.as_str()))
        .collect();
    told.sort_unstable();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_left_open_has_a_step_and_a_reason() {
    let repo = TestRepo::with(&[("a.txt", "a\n")]);
    let mut lab = Lab::new().await;
    lab.schedule();
    let asking = lab.begin(plays(&json!([asks(), { "say": "Done." }]))).await;
    lab.asked(asking).await;
    let short =
        SessionDraft { max_duration_seconds: Some(60), ..plays(&json!([{ "hang": true }])) };
    let short = lab.begin(short).await;
    lab.wait(short, "a conversation", |session| session.run.handle.is_some()).await;
    // A paused one is stopped, and nobody is there to put its folder away.
    let steps = json!([writes("b.txt", "b\n"), { "hang": true }]);
    let stopped = lab.begin(plays_in(&repo, &steps)).await;
    let file = lab.folder(stopped).join("b.txt");
    eventually("the file", async || file.exists()).await;
    lab.sessions.pause(&caller(), stopped).await.expect("asked");
    lab.until(stopped, SessionStatus::Paused).await;
    eventually("let go", async || !lab.sessions.wake().is_supervised(stopped)).await;
    lab.sessions.stop(&caller(), stopped, None).await.expect("stopped");
    assert!(
        recovery(&lab).plan().await.expect("a plan").iter().all(|step| { step.session == stopped })
    );
    lab.abandon().await;
    lab.clock.jump(std::time::Duration::from_secs(61));
    lab.replace_supervisors();
    let recovery = recovery(&lab);
    let ctx = operator();
    let steps = recovery.plan().await.expect("a plan");
    let expected = [("IND-000001", "resume"), ("IND-000002", "expire"), ("IND-000003", "put_away")]
        .map(|(code, action)| (code.to_owned(), action));
    assert_eq!(told(&steps), expected, "{steps:?}");
    assert!(steps.iter().all(|step| !step.reason.is_empty()));
    assert_eq!(recovery.plan().await.expect("the same"), steps, "a plan changes nothing");
    // One of them, twice; then the rest.
    let worktree = vec![format!("worktree:{stopped}")];
    let done = recovery.apply(&ctx, Some(&worktree)).await.expect("done");
    assert_eq!((done.len(), &done[0].1), (1, &Done::Done));
    assert!(!lab.folder(stopped).exists());
    assert!(recovery.apply(&ctx, Some(&worktree)).await.expect("nothing is left").is_empty());
    let saved = format!("refs/orchestrator/{stopped}/latest:b.txt");
    assert_eq!(repo.git(&["show", &saved]), "b", "the work is kept");
    let done = recovery.apply(&ctx, None).await.expect("done");
    assert!(done.iter().all(|(_, done)| *done == Done::Done), "{done:?}");
    lab.until(short, SessionStatus::Timeout).await;
    lab.allow(asking).await;
    lab.until(asking, SessionStatus::Completed).await;
    // What has ended meanwhile leaves its folder, until somebody looks.
    let nothing = async || {
        let done = recovery.apply(&ctx, None).await.expect("done");
        assert!(told_of(&done), "{done:?}");
        recovery.plan().await.expect("a plan").is_empty()
    };
    eventually("nothing is left", nothing).await;
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let audit = snapshot.audit(0, 1000).await.expect("readable");
    let applied = audit.iter().filter(|entry| entry.entry.action == "recovery.apply").count();
    assert!(applied > 3, "on record, each time: {applied}");
}

/// Whether only folders were put away.
fn told_of(done: &[(Step, Done)]) -> bool {
    done.iter().all(|(step, done)| step.measure.kind() == "worktree" && *done != Done::Nothing)
}
