//! Every cause for which a session waits, brought about one after another: what it is called, what
//! people read, since when, what helps, and the command that mends it.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::ports::clock::Clock;
use orchestrator::application::session::explain::Blocker;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::money::Usd;
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::after::{begin_after, fails};
use super::explained::{admissions, agent, tenant_hold};
use super::lab::{Lab, asks, caller, plays};
use crate::support::opencode::eventually;

/// The reasons that a session gives.
async fn reasons(lab: &Lab, id: SessionId) -> Vec<Blocker> {
    lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained").blockers
}

/// The reason with this code, once the session gives it; with the moments and names that differ
/// from run to run left out.
async fn reason(lab: &Lab, id: SessionId, code: BlockerCode) -> String {
    let find = async || reasons(lab, id).await.into_iter().find(|told| told.code == code);
    eventually(code.as_str(), async || find().await.is_some()).await;
    let Blocker { code, text, object, since, remedy, command } = find().await.expect("told");
    let since = since.expect("every cause began at some time");
    assert!(since <= lab.clock.now(), "{code}: {since}");
    let command = command.expect("every cause has a command");
    let object = if object.is_some() { "an object" } else { "no object" };
    let lines = [format!("{code}: {text}"), remedy, command, object.to_owned()];
    lines.map(|line| same(&line)).join("\n  ") + "\n"
}

/// The words without what differs from run to run.
fn same(line: &str) -> String {
    let same = |word: &str| {
        let bare = word.trim_end_matches([':', ';', ',']);
        let rest = &word[bare.len()..];
        match (Timestamp::parse(bare), Uuid::parse_str(bare)) {
            (Some(_), _) => format!("TIME{rest}"),
            (None, Ok(_)) => format!("ID{rest}"),
            (None, Err(_)) => word.to_owned(),
        }
    };
    line.split(' ').map(same).collect::<Vec<_>>().join(" ")
}

fn on(agent: &str, draft: SessionDraft) -> SessionDraft {
    SessionDraft { agent: Some(agent.to_owned()), ..draft }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cause_reads_well() {
    let lab = Lab::with_slots(9).await;
    agent(&lab, 1, AgentKind::Simulated, &["testing"]).await;
    agent(&lab, 3, AgentKind::Acp, &["deployment"]).await;
    lab.schedule();
    lab.reconcile();
    let mut told = Vec::new();
    let hangs = || plays(&json!([{ "hang": true }]));
    // Nobody asked for it, or not for now.
    let mut later = hangs();
    later.not_before = Some(lab.clock.now().after(Duration::from_mins(10)));
    let later = lab.begin(later).await;
    told.push(reason(&lab, later, BlockerCode::NotBefore).await);
    let new = orchestrator::application::session::create::NewSession {
        draft: hangs(),
        ..Default::default()
    };
    let idle = lab.sessions.create(&caller(), new).await.expect("created").value.id;
    told.push(reason(&lab, idle, BlockerCode::NotStarted).await);
    // It comes after others.
    let follows = begin_after(&lab, hangs(), &[idle]).await.expect("created");
    told.push(reason(&lab, follows, BlockerCode::DependencyUnsatisfied).await);
    lab.sessions.cancel(&caller(), idle, None).await.expect("cancelled");
    told.push(reason(&lab, follows, BlockerCode::DependencyFailed).await);
    let loses = lab.begin(on("AGENT-SIMULATED", plays(&json!([asks(), fails()])))).await;
    let hopes = begin_after(&lab, hangs(), &[loses]).await.expect("created");
    lab.allow(loses).await;
    told.push(reason(&lab, hopes, BlockerCode::DependencyFailed).await);
    // Agents: busy, absent, without what it takes.
    let busy = lab.begin(on("AGENT-1", hangs())).await;
    lab.until(busy, SessionStatus::Running).await;
    let waits = lab.begin(on("AGENT-1", hangs())).await;
    told.push(reason(&lab, waits, BlockerCode::NoAgentCapacity).await);
    let down = lab.begin(on("AGENT-3", hangs())).await;
    told.push(reason(&lab, down, BlockerCode::NoAgentAlive).await);
    let needs = vec!["testing".to_owned(), "deployment".to_owned()];
    let able = SessionDraft { required_capabilities: needs, ..on("AGENT-1", hangs()) };
    let able = lab.begin(able).await;
    told.push(reason(&lab, able, BlockerCode::NoAgentCapability).await);
    // Its budget is spent while it waits.
    let patch = SessionPatch { budget_usd: Some(Some(Usd::ZERO)), ..SessionPatch::default() };
    lab.sessions.patch(&caller(), waits, patch).await.expect("patched");
    told.push(reason(&lab, waits, BlockerCode::BudgetExhausted).await);
    // People.
    let asking = lab.begin(plays(&json!([asks()]))).await;
    told.push(reason(&lab, asking, BlockerCode::HumanPermission).await);
    let question = lab.begin(plays(&json!([{ "question": "Which one?" }]))).await;
    told.push(reason(&lab, question, BlockerCode::HumanQuestion).await);
    lab.sessions.pause(&caller(), busy).await.expect("paused");
    lab.until(busy, SessionStatus::Paused).await;
    told.push(reason(&lab, busy, BlockerCode::Paused).await);
    // Its files are still in use.
    let files = lab.begin(on("AGENT-3", hangs())).await;
    let bell = lab.sessions.wake().supervise(files).expect("nobody supervises it");
    told.push(reason(&lab, files, BlockerCode::WorkspaceLocked).await);
    drop(bell);
    // The provider of the model wants to be left alone.
    let fails = json!([{ "fail": {
        "type": "provider_error", "message": "too many requests", "overloaded_seconds": 600,
    } }]);
    let model = |draft| SessionDraft { model_identifier: Some("lab/small".to_owned()), ..draft };
    let failing = lab.begin(on("AGENT-SIMULATED", model(plays(&fails)))).await;
    told.push(reason(&lab, failing, BlockerCode::RetryBackoff).await);
    let cooling = lab.begin(on("AGENT-SIMULATED", model(hangs()))).await;
    told.push(reason(&lab, cooling, BlockerCode::ProviderCooldown).await);
    let other = lab.begin(on("AGENT-SIMULATED", hangs())).await;
    lab.until(other, SessionStatus::Running).await;
    assert_eq!(lab.session(cooling).await.status(), SessionStatus::Queued);
    // Quotas, when the time of the session comes.
    lab.bound(Quotas { max_queue_depth: Some(0), ..Quotas::UNLIMITED }).await;
    lab.clock.jump(Duration::from_mins(11));
    told.push(reason(&lab, later, BlockerCode::QuotaQueueDepth).await);
    lab.until(cooling, SessionStatus::Running).await;
    lab.bound(Quotas { max_concurrent_sessions: Some(1), ..Quotas::UNLIMITED }).await;
    told.push(reason(&lab, later, BlockerCode::QuotaConcurrentSessions).await);
    lab.bound(Quotas::UNLIMITED).await;
    lab.until(later, SessionStatus::Running).await;
    // The machine.
    *lab.store.short_of_room.lock().expect("whole") = Some("3 MiB are free".to_owned());
    told.push(reason(&lab, down, BlockerCode::DiskLow).await);
    *lab.store.short_of_room.lock().expect("whole") = None;
    *lab.store.read_only.lock().expect("whole") = Some("the disk is full".to_owned());
    told.push(reason(&lab, down, BlockerCode::StoreReadOnly).await);
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true
    }, { insta::assert_snapshot!("causes", told.join("\n")) });
}

/// Time that the scheduler would need many times over to give something out.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begins_below_the_low_mark_of_the_disk() {
    let lab = Lab::with_slots(1).await;
    lab.schedule();
    let room = |reason: Option<&str>| {
        *lab.store.short_of_room.lock().expect("whole") = reason.map(str::to_owned);
    };
    let paused = lab.begin(plays(&json!([asks()]))).await;
    lab.asked(paused).await;
    lab.sessions.pause(&caller(), paused).await.expect("paused");
    lab.until(paused, SessionStatus::Paused).await;
    let running = lab.begin(plays(&json!([{ "hang": true }]))).await;
    lab.until(running, SessionStatus::Running).await;
    let waits = lab.begin(plays(&json!([]))).await;
    told(&lab, waits, BlockerCode::SlotsFull).await;
    room(Some("3 MiB are free"));
    lab.sessions.resume(&caller(), paused).await.expect("asked to go on");
    lab.sessions.stop(&caller(), running, None).await.expect("stopped");
    for id in [waits, paused] {
        told(&lab, id, BlockerCode::DiskLow).await;
    }
    tokio::time::sleep(A_WHILE).await;
    for id in [waits, paused] {
        assert!(!lab.session(id).await.status().is_executing());
    }
    room(None);
    // Whichever comes first has the slot.
    let begins = async || {
        let waits = lab.session(waits).await.status();
        waits != SessionStatus::Queued || lab.session(paused).await.status().is_executing()
    };
    eventually("work", begins).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_answered_has_stopped_every_grant_that_came_after_it() {
    let lab = Lab::new().await;
    lab.schedule();
    lab.store.no_tokens.send_replace(true);
    let id = lab.begin(plays(&json!([{ "hang": true }]))).await;
    // The scheduler has looked at the holds, and its grant is on the way.
    eventually("a grant", async || lab.store.wanted_tokens.load(SeqCst) > 0).await;
    let admissions = admissions(&lab);
    let (ctx, wanted) = (caller(), tenant_hold(None));
    let answer = admissions.hold(&ctx, &wanted);
    tokio::pin!(answer);
    let early = tokio::time::timeout(A_WHILE, &mut answer).await;
    lab.store.no_tokens.send_replace(false);
    if let Ok(early) = early {
        early.expect("held");
        tokio::time::sleep(A_WHILE).await;
        let status = lab.session(id).await.status();
        assert_eq!(status, SessionStatus::Queued, "it was given out after the hold");
    } else {
        answer.await.expect("held");
        let status = lab.session(id).await.status();
        assert!(status.is_executing(), "its grant came first: {status}");
    }
    let later = lab.begin(plays(&json!([]))).await;
    told(&lab, later, BlockerCode::AdmissionsHeld).await;
}

async fn told(lab: &Lab, id: SessionId, code: BlockerCode) {
    let is_told = async || reasons(lab, id).await.iter().any(|reason| reason.code == code);
    eventually(code.as_str(), is_told).await;
}
