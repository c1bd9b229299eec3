//! Sessions that come after others: they begin when those have completed and not before, and say
//! what they wait for, also when they wait in vain.

use orchestrator::application::error::AppError;
use orchestrator::application::ports::store::Store as _;
use orchestrator::application::session::control::DeclaredFailure;
use orchestrator::application::session::create::NewSession;
use orchestrator::application::session::fork::ForkRequest;
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::money::Usd;
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use serde_json::{Map, Value, json};

use super::lab::{Lab, asks, caller, plays};
use crate::support::opencode::eventually;

/// Creates and starts a session that comes after others.
pub(super) async fn begin_after(
    lab: &Lab,
    draft: SessionDraft,
    after: &[SessionId],
) -> Result<SessionId, AppError> {
    let after = after.iter().map(SessionId::to_string).collect();
    let new = NewSession { draft, after, start: true, ..NewSession::default() };
    Ok(lab.sessions.create(&caller(), new).await?.value.id)
}

/// A step that ends the run badly, and for good.
pub(super) fn fails() -> Value {
    json!({ "fail": { "type": "agent_error", "message": "out of luck", "retryable": false } })
}

fn done() -> SessionDraft {
    plays(&json!([]))
}

/// Works until somebody allows it to end.
fn until_allowed() -> SessionDraft {
    plays(&json!([asks()]))
}

async fn lab() -> Lab {
    let lab = Lab::new().await;
    lab.schedule();
    lab.reconcile();
    lab
}

async fn first_reason(lab: &Lab, id: SessionId) -> Option<BlockerCode> {
    let told = lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained");
    assert_eq!(told.next_deadline, None, "nothing happens by itself at some time");
    told.blockers.first().map(|blocker| blocker.code)
}

async fn waits_for(lab: &Lab, id: SessionId, code: BlockerCode) {
    eventually(code.as_str(), async || first_reason(lab, id).await == Some(code)).await;
    assert_eq!(lab.session(id).await.status(), SessionStatus::Pending);
}

/// Where the refusal of a new session points.
async fn refused_at(lab: &Lab, after: Vec<String>) -> Vec<String> {
    let new = NewSession { draft: done(), after, start: true, ..NewSession::default() };
    match lab.sessions.create(&caller(), new).await {
        Err(AppError::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_when_all_before_it_have_completed() {
    let lab = lab().await;
    let (first, second) = (lab.begin(until_allowed()).await, lab.begin(until_allowed()).await);
    let last = begin_after(&lab, done(), &[first, second]).await.expect("created");
    waits_for(&lab, last, BlockerCode::DependencyUnsatisfied).await;
    lab.allow(first).await;
    lab.until(first, SessionStatus::Completed).await;
    waits_for(&lab, last, BlockerCode::DependencyUnsatisfied).await;
    lab.allow(second).await;
    let ended = lab.until(last, SessionStatus::Completed).await;
    let before = lab.session(second).await.stamps.ended_at;
    assert!(ended.stamps.queued_at >= before && before.is_some(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_started_later_waits_as_well_and_a_fork_waits_for_nothing() {
    let lab = lab().await;
    let first = lab.begin(until_allowed()).await;
    let after = vec![lab.session(first).await.code.to_string(), first.to_string()];
    let new = NewSession { draft: done(), after, ..NewSession::default() };
    let second = lab.sessions.create(&caller(), new).await.expect("created").value;
    assert_eq!(second.lineage.after, [first], "named twice, it counts once");
    lab.sessions.start(&caller(), second.id).await.expect("asked");
    waits_for(&lab, second.id, BlockerCode::DependencyUnsatisfied).await;
    let fork =
        lab.sessions.fork(&caller(), second.id, ForkRequest::default()).await.expect("forked");
    lab.sessions.start(&caller(), fork.value.id).await.expect("asked");
    lab.until(fork.value.id, SessionStatus::Completed).await;
    waits_for(&lab, second.id, BlockerCode::DependencyUnsatisfied).await;
    lab.allow(first).await;
    lab.until(second.id, SessionStatus::Completed).await;
    let third = begin_after(&lab, done(), &[first]).await.expect("created");
    assert!(lab.session(third).await.stamps.queued_at.is_some(), "nothing to wait for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_in_vain_after_a_failure_until_that_is_mended() {
    let lab = lab().await;
    let first = lab.begin(plays(&json!([asks(), fails()]))).await;
    let second = begin_after(&lab, done(), &[first]).await.expect("created");
    lab.allow(first).await;
    lab.until(first, SessionStatus::Failed).await;
    waits_for(&lab, second, BlockerCode::DependencyFailed).await;
    // Told the same again, the agent goes on behind the step that failed.
    lab.sessions.retry(&caller(), first, None).await.expect("taken back");
    lab.until(first, SessionStatus::Completed).await;
    lab.until(second, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_in_vain_for_what_was_deleted() {
    let lab = lab().await;
    let new = NewSession { draft: done(), ..NewSession::default() };
    let first = lab.sessions.create(&caller(), new).await.expect("created").value.id;
    let second = begin_after(&lab, done(), &[first]).await.expect("created");
    waits_for(&lab, second, BlockerCode::DependencyUnsatisfied).await;
    lab.sessions.delete(&caller(), first, true).await.expect("deleted");
    waits_for(&lab, second, BlockerCode::DependencyFailed).await;
    lab.sessions.cancel(&caller(), second, None).await.expect("cancelled");
    assert_eq!(first_reason(&lab, second).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_is_refused() {
    let lab = lab().await;
    let failed = lab.begin(plays(&json!([fails()]))).await;
    lab.until(failed, SessionStatus::Failed).await;
    let fine = lab.begin(done()).await.to_string();
    let after = vec![fine.clone(), "IND-999999".to_owned(), failed.to_string(), "?".to_owned()];
    assert_eq!(refused_at(&lab, after).await, ["/after/1", "/after/2", "/after/3"]);
    assert_eq!(refused_at(&lab, vec![fine; 11]).await, ["/after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_although_its_turn_came_while_nobody_looked() {
    let mut lab = Lab::new().await;
    lab.schedule();
    let first = lab.begin(until_allowed()).await;
    let second = begin_after(&lab, done(), &[first]).await.expect("created");
    lab.allow(first).await;
    lab.until(first, SessionStatus::Completed).await;
    lab.restart().await;
    assert_eq!(lab.session(second).await.status(), SessionStatus::Pending);
    lab.reconcile();
    lab.until(second, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_failed_before_it_began_still_comes_after_the_others() {
    let lab = lab().await;
    let first = lab.begin(until_allowed()).await;
    let failure = || DeclaredFailure {
        message: "not like this".to_owned(),
        code: None,
        context: Value::Null,
        retryable: false,
    };
    for by_retry in [true, false] {
        let second = begin_after(&lab, done(), &[first]).await.expect("created");
        lab.sessions.create_checkpoint(&caller(), second, Map::new(), None).await.expect("taken");
        lab.sessions.fail(&caller(), second, failure()).await.expect("failed");
        let again = if by_retry {
            lab.sessions.retry(&caller(), second, None).await
        } else {
            lab.sessions.start(&caller(), second).await
        };
        let again = again.expect("taken back").value;
        assert_eq!(again.status(), SessionStatus::Pending, "by retry: {by_retry}");
        waits_for(&lab, second, BlockerCode::DependencyUnsatisfied).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_to_be_completed_may_be_forgotten() {
    let lab = lab().await;
    let (first, second) = (lab.begin(done()).await, lab.begin(until_allowed()).await);
    lab.until(first, SessionStatus::Completed).await;
    let last = begin_after(&lab, done(), &[first, second]).await.expect("created");
    lab.sessions.delete(&caller(), first, true).await.expect("gone for good");
    waits_for(&lab, last, BlockerCode::DependencyUnsatisfied).await;
    lab.allow(second).await;
    lab.until(last, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_completed_is_known_to_all_who_come_after_it_before_it_is_forgotten() {
    let lab = lab().await;
    let poor = SessionDraft { budget_usd: Some(Usd::ZERO), ..done() };
    for round in 0..5 {
        let first = lab.begin(until_allowed()).await;
        let broke = begin_after(&lab, poor.clone(), &[first]).await.expect("created");
        let after = vec![first.to_string()];
        let later = NewSession { draft: done(), after, ..NewSession::default() };
        let later = lab.sessions.create(&caller(), later).await.expect("created").value.id;
        let next = begin_after(&lab, done(), &[first]).await.expect("created");
        lab.allow(first).await;
        lab.until(first, SessionStatus::Completed).await;
        if round % 2 == 0 {
            eventually("it lacks money alone", async || {
                first_reason(&lab, broke).await == Some(BlockerCode::BudgetExhausted)
            })
            .await;
        }
        // Nobody looks at the others first.
        lab.sessions.delete(&caller(), first, true).await.expect("gone for good");
        let snapshot = lab.store.snapshot(caller().tenant).await.expect("a snapshot");
        assert!(snapshot.followers(first, 10).await.expect("read").is_empty());
        lab.sessions.start(&caller(), later).await.expect("started");
        let patch =
            SessionPatch { budget_usd: Some(Usd::from_dollars(1.0)), ..SessionPatch::default() };
        lab.sessions.patch(&caller(), broke, patch).await.expect("richer");
        for id in [broke, later, next] {
            lab.until(id, SessionStatus::Completed).await;
        }
    }
}
