//! Children of sessions that end abnormally follow them, as each wants, whoever dies meanwhile.

use std::collections::BTreeMap;

use orchestrator::application::error::AppError;
use orchestrator::application::ports::reads::OwedChildren;
use orchestrator::application::ports::store::Store as _;
use orchestrator::application::session::control::DeclaredFailure;
use orchestrator::application::session::create::{MAX_CHILDREN, NewSession};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::checkpoint::CheckpointTrigger;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::spec::OnParentEnd;
use orchestrator::domain::session::status::SessionStatus;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::lab::{Lab, asks, caller, plays, plays_in, writes};
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;

/// A child of a session, with a wish.
async fn child(
    lab: &Lab,
    parent: SessionId,
    wish: OnParentEnd,
    draft: SessionDraft,
    start: bool,
) -> Result<SessionId, AppError> {
    let draft = SessionDraft { on_parent_end: Some(wish), ..draft };
    let parent = Some(parent.to_string());
    let new = NewSession { draft, parent, start, ..NewSession::default() };
    Ok(lab.sessions.create(&caller(), new).await?.value.id)
}

async fn owed(lab: &Lab) -> Vec<OwedChildren> {
    lab.store.fleet().await.expect("a fleet").owed_children(99).await.expect("read")
}

/// Does by hand what the scan does, until nothing is owed.
async fn settle(lab: &Lab) {
    loop {
        let found = owed(lab).await;
        if found.is_empty() {
            return;
        }
        for OwedChildren { tenant, parent, at } in found {
            lab.sessions.treat_children(tenant, parent, at).await.expect("treated");
        }
    }
}

fn hangs() -> SessionDraft {
    plays(&json!([{ "hang": true }]))
}

fn failure(retryable: bool) -> DeclaredFailure {
    let message = "out of luck".to_owned();
    DeclaredFailure { message, code: None, context: Value::Null, retryable }
}

async fn running(lab: &Lab, id: SessionId) {
    lab.wait(id, "a conversation", |session| session.run.handle.is_some()).await;
}

#[tokio::test]
async fn a_session_has_a_bounded_number_of_children() {
    let lab = Lab::new().await;
    let one = || plays(&json!([{ "say": "x" }]));
    let parent = lab.begin(one()).await;
    for _ in 0..MAX_CHILDREN {
        child(&lab, parent, OnParentEnd::Cascade, one(), false).await.expect("there is room");
    }
    let refused = child(&lab, parent, OnParentEnd::Cascade, one(), false).await;
    let Err(AppError::Invalid(errors)) = refused else { panic!("{refused:?}") };
    assert_eq!(errors[0].pointer, "/parent_id");
    assert!(errors[0].message.contains("has 100 children"), "{}", errors[0].message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_end_owed_does_not_touch_the_children_of_the_next_life() {
    let lab = Lab::new().await;
    lab.schedule();
    let parent = lab.begin(hangs()).await;
    running(&lab, parent).await;
    lab.sessions.fail(&caller(), parent, failure(false)).await.expect("failed");
    let at = lab.session(parent).await.stamps.ended_at.expect("it ended");
    lab.sessions.retry(&caller(), parent, None).await.expect("taken back");
    let later = child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    let tenant = lab.session(parent).await.tenant_id;
    // A scan that had read the debt before it was settled comes late.
    lab.sessions.treat_children(tenant, parent, at).await.expect("nothing to do");
    assert_eq!(lab.session(later).await.status(), SessionStatus::Pending);
    lab.sessions.stop(&caller(), parent, None).await.ok();
    settle(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_a_stopped_session_follow_it_all_the_way_down() {
    let (lab, repo) = (Lab::new().await, TestRepo::with(&[("a.txt", "a\n")]));
    lab.schedule();
    lab.reconcile();
    let parent = lab.begin(hangs()).await;
    running(&lab, parent).await;
    let steps = json!([writes("b.txt", "b\n"), { "hang": true }]);
    let works = child(&lab, parent, OnParentEnd::Cascade, plays_in(&repo, &steps), true).await;
    let works = works.expect("created");
    let paused = child(&lab, parent, OnParentEnd::Cascade, hangs(), true).await.expect("created");
    let lost = child(&lab, parent, OnParentEnd::Orphan, hangs(), true).await.expect("created");
    let free = child(&lab, parent, OnParentEnd::Continue, hangs(), true).await.expect("created");
    let waits = child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    for id in [works, paused, lost, free] {
        running(&lab, id).await;
    }
    eventually("a file", async || lab.folder(works).join("b.txt").exists()).await;
    lab.sessions.pause(&caller(), paused).await.expect("asked");
    lab.until(paused, SessionStatus::Paused).await;
    let below = child(&lab, works, OnParentEnd::Orphan, hangs(), true).await.expect("created");
    let leaf = child(&lab, below, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    let spared = child(&lab, free, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    running(&lab, below).await;

    lab.sessions.stop(&caller(), parent, Some("enough")).await.expect("stopped");
    for (id, status) in [
        (works, SessionStatus::Stopped),
        (paused, SessionStatus::Stopped),
        (lost, SessionStatus::Orphaned),
        (waits, SessionStatus::Cancelled),
        (below, SessionStatus::Orphaned),
        (leaf, SessionStatus::Cancelled),
    ] {
        let ended = lab.until(id, status).await;
        assert!(ended.run.lease.is_none() && ended.stamps.ended_at.is_some());
    }
    let stopped = lab.session(works).await;
    assert_eq!(stopped.status_reason(), Some("its parent IND-000001 was stopped"));
    let code = stopped.code;
    let reason = format!("its parent {code} was stopped");
    assert_eq!(lab.session(below).await.status_reason(), Some(reason.as_str()));
    // What it did is kept, in a checkpoint of its own.
    let taken = lab.sessions.checkpoints(&caller(), works).await.expect("listed");
    let newest = taken.last().expect("a checkpoint");
    assert_eq!(newest.trigger, CheckpointTrigger::Stop);
    let commit = newest.workspace_ref.as_deref().expect("a commit");
    assert_eq!(repo.git(&["show", &format!("{commit}:b.txt")]), "b");
    for id in [free, spared] {
        assert!(lab.session(id).await.status().is_open());
    }
    eventually("nothing is owed", async || owed(&lab).await.is_empty()).await;
    lab.sessions.stop(&caller(), free, None).await.expect("stopped");
    lab.until(spared, SessionStatus::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_end_and_one_that_is_tried_again_leave_children_alone() {
    let lab = Lab::new().await;
    lab.schedule();
    let good = lab.begin(plays(&json!([asks(), { "say": "Done." }]))).await;
    let tried = lab.begin(hangs()).await;
    running(&lab, tried).await;
    lab.asked(good).await;
    let mut children = Vec::new();
    for parent in [good, tried] {
        for wish in OnParentEnd::ALL {
            children.push(child(&lab, parent, *wish, hangs(), false).await.expect("created"));
        }
    }
    lab.allow(good).await;
    lab.until(good, SessionStatus::Completed).await;
    let failed = lab.sessions.fail(&caller(), tried, failure(true)).await.expect("failed");
    assert_eq!(failed.value.status(), SessionStatus::Pending, "another attempt follows");
    assert!(owed(&lab).await.is_empty());
    // Deleted, it ended no worse.
    lab.sessions.delete(&caller(), good, false).await.expect("deleted");
    assert!(owed(&lab).await.is_empty());
    for id in children {
        assert_eq!(lab.session(id).await.status(), SessionStatus::Pending);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_server_owed_is_found_by_the_next() {
    let lab = Lab::new().await;
    lab.schedule();
    let parent = lab.begin(hangs()).await;
    running(&lab, parent).await;
    let works = child(&lab, parent, OnParentEnd::Cascade, hangs(), true).await.expect("created");
    running(&lab, works).await;
    lab.sessions.stop(&caller(), parent, None).await.expect("stopped");
    assert_eq!(lab.session(works).await.status(), SessionStatus::Running);
    assert_eq!(owed(&lab).await.len(), 1, "it is stored with the end");
    lab.reconcile();
    lab.until(works, SessionStatus::Stopped).await;
    eventually("nothing is owed", async || owed(&lab).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_a_deleted_session_follow_it_also_when_it_is_purged_at_once() {
    let lab = Lab::new().await;
    lab.reconcile();
    for purge in [false, true] {
        let new = NewSession { draft: hangs(), ..NewSession::default() };
        let parent = lab.sessions.create(&caller(), new).await.expect("created").value;
        let below = child(&lab, parent.id, OnParentEnd::Cascade, hangs(), false).await;
        let below = below.expect("created");
        lab.sessions.delete(&caller(), parent.id, purge).await.expect("deleted");
        let ended = lab.until(below, SessionStatus::Cancelled).await;
        let reason = format!("its parent {} was deleted", parent.code);
        assert_eq!(ended.status_reason(), Some(reason.as_str()));
    }
    eventually("nothing is owed", async || owed(&lab).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_child_holds_up_no_other_and_is_tried_again() {
    let lab = Lab::new().await;
    let new = NewSession { draft: hangs(), ..NewSession::default() };
    let parent = lab.sessions.create(&caller(), new).await.expect("created").value.id;
    let mut children = Vec::new();
    for _ in 0..5 {
        children
            .push(child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await.expect("one"));
    }
    lab.store.damage(children[1]);
    lab.reconcile();
    lab.sessions.cancel(&caller(), parent, None).await.expect("cancelled");
    for id in [0, 2, 3, 4].map(|index| children[index]) {
        lab.until(id, SessionStatus::Cancelled).await;
    }
    assert_eq!(lab.session(children[1]).await.status(), SessionStatus::Pending);
    assert_eq!(owed(&lab).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_taken_back_begins_with_a_new_family() {
    let lab = Lab::new().await;
    lab.schedule();
    let parent = lab.begin(hangs()).await;
    running(&lab, parent).await;
    let old = child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    lab.sessions.fail(&caller(), parent, failure(false)).await.expect("failed");
    let refused = child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "an ended session takes no children");
    lab.sessions.retry(&caller(), parent, None).await.expect("taken back");
    let new = child(&lab, parent, OnParentEnd::Cascade, hangs(), false).await.expect("created");
    lab.reconcile();
    lab.until(old, SessionStatus::Cancelled).await;
    assert!(owed(&lab).await.is_empty());
    assert_eq!(lab.session(new).await.status(), SessionStatus::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_comes_while_its_parent_ends_is_refused_or_follows() {
    let lab = Lab::new().await;
    lab.reconcile();
    let mut late = 0;
    for _ in 0..40 {
        let new = NewSession { draft: hangs(), ..NewSession::default() };
        let parent = lab.sessions.create(&caller(), new).await.expect("created").value.id;
        let ctx = caller();
        let (made, ended) = tokio::join!(
            child(&lab, parent, OnParentEnd::Cascade, hangs(), false),
            lab.sessions.cancel(&ctx, parent, None),
        );
        ended.expect("cancelled");
        match made {
            Ok(id) => drop(lab.until(id, SessionStatus::Cancelled).await),
            Err(AppError::Invalid(_)) => late += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(late < 40, "some came in time");
}

/// A forest that is planted and cut at random ends as a plain recursion over it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_forests_end_as_the_rule_says() {
    for seed in 0..12 {
        let mut chance = StdRng::seed_from_u64(seed);
        let lab = Lab::new().await;
        let mut all: Vec<(SessionId, Option<usize>, OnParentEnd)> = Vec::new();
        for _ in 0..24 {
            let wish = OnParentEnd::ALL[chance.random_range(0..OnParentEnd::ALL.len())];
            let above = chance.random_range(0..=all.len()).checked_sub(1);
            let start = chance.random_bool(0.5);
            let made = if let Some(index) = above {
                child(&lab, all[index].0, wish, hangs(), start).await
            } else {
                let new = NewSession { draft: hangs(), start, ..NewSession::default() };
                lab.sessions.create(&caller(), new).await.map(|made| made.value.id)
            };
            // Ten levels are the most.
            let Ok(id) = made else { continue };
            all.push((id, above, wish));
        }
        let cut: Vec<usize> = (0..all.len()).filter(|_| chance.random_bool(0.15)).collect();
        let mut expected: BTreeMap<usize, &str> = BTreeMap::new();
        for (index, (_, above, wish)) in all.iter().enumerate() {
            let above_ended = above.is_some_and(|above| expected.contains_key(&above));
            if cut.contains(&index) {
                expected.insert(index, "cancelled");
            } else if above_ended && *wish == OnParentEnd::Orphan {
                expected.insert(index, "orphaned");
            } else if above_ended && *wish == OnParentEnd::Cascade {
                expected.insert(index, "cancelled");
            }
        }
        // From the leaves up, so that none has ended before it is cut.
        for index in cut.iter().rev() {
            lab.sessions.cancel(&caller(), all[*index].0, None).await.expect("cancelled");
        }
        settle(&lab).await;
        for (index, (id, _, _)) in all.iter().enumerate() {
            let status = lab.session(*id).await.status();
            match expected.get(&index) {
                Some(ended) => assert_eq!(status.as_str(), *ended, "seed {seed}, {index}"),
                None => assert!(status.is_open(), "seed {seed}, {index} is {status}"),
            }
        }
    }
}
