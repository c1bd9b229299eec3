//! Nothing waits without a reason: after every step of random histories each session that is not
//! over has a reason to wait or a run, and each reason reads well.

use std::time::Duration;

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::Store;
use orchestrator::application::scheduler::admissions::{Admission, AdmissionService};
use orchestrator::application::session::create::NewSession;
use orchestrator::application::session::explain::Explanation;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::schedule::hold::HoldScope;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::quotas::Quotas;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use uuid::Uuid;

use super::lab::{Lab, asks, caller, plays};
use crate::support::opencode::eventually;

/// One step of a history; numbers choose among the sessions that there are.
#[derive(Debug, Clone)]
enum Step {
    Create { start: bool, steps: usize, needs: bool, later: bool },
    Start(usize),
    Pause(usize),
    Resume(usize),
    Stop(usize),
    Retry(usize),
    Delete(usize),
    Spend(usize),
    Hold(bool),
    Bound(bool),
    Cool(bool),
    Room(bool),
    ReadOnly(bool),
    Jump(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let create = (any::<bool>(), 0..5usize, 0..8u8).prop_map(|(start, steps, rest)| {
        let (needs, later) = (rest == 0, rest == 1);
        Step::Create { start, steps, needs, later }
    });
    prop_oneof![
        5 => create,
        2 => (0..20usize).prop_map(Step::Start),
        2 => (0..20usize).prop_map(Step::Pause),
        2 => (0..20usize).prop_map(Step::Resume),
        2 => (0..20usize).prop_map(Step::Stop),
        1 => (0..20usize).prop_map(Step::Retry),
        1 => any::<bool>().prop_map(Step::Hold),
        1 => (0..20usize).prop_map(Step::Delete),
        1 => (0..20usize).prop_map(Step::Spend),
        1 => any::<bool>().prop_map(Step::Bound),
        1 => any::<bool>().prop_map(Step::Cool),
        1 => any::<bool>().prop_map(Step::Room),
        1 => any::<bool>().prop_map(Step::ReadOnly),
        1 => (1..900u64).prop_map(Step::Jump),
    ]
}

pub(super) fn admissions(lab: &Lab) -> AdmissionService {
    let (store, clock) = (lab.store.clone(), lab.clock.clone());
    AdmissionService::new(store as _, clock as _, lab.queue.clone())
}

pub(super) fn tenant_hold(reason: Option<&str>) -> Admission {
    Admission { scope: HoldScope::Tenant, agent: None, reason: reason.map(str::to_owned) }
}

async fn take(lab: &Lab, step: &Step, made: &mut Vec<SessionId>) {
    let ctx = caller();
    let chosen = |nth: &usize| made.get(nth % made.len().max(1)).copied();
    // What a command refuses in a state is not of interest here.
    match step {
        Step::Create { start, steps, needs, later } => {
            let overloaded = json!({ "type": "provider_error", "overloaded_seconds": 60 });
            let work = [
                json!([]),
                json!([asks()]),
                json!([{ "hang": true }]),
                json!([{ "fail": { "type": "agent_error" } }]),
                json!([{ "fail": overloaded }]),
            ];
            let not_before = later.then(|| lab.clock.now().after(Duration::from_mins(5)));
            let required_capabilities =
                if *needs { vec!["deployment".to_owned()] } else { Vec::new() };
            let draft = SessionDraft { required_capabilities, not_before, ..plays(&work[*steps]) };
            let new = NewSession { draft, start: *start, ..NewSession::default() };
            made.extend(lab.sessions.create(&ctx, new).await.map(|session| session.value.id));
        }
        Step::Start(nth) => {
            if let Some(id) = chosen(nth) {
                drop(lab.sessions.start(&ctx, id).await);
            }
        }
        Step::Pause(nth) => {
            if let Some(id) = chosen(nth) {
                drop(lab.sessions.pause(&ctx, id).await);
            }
        }
        Step::Resume(nth) => {
            if let Some(id) = chosen(nth) {
                drop(lab.sessions.resume(&ctx, id).await);
            }
        }
        Step::Stop(nth) => {
            if let Some(id) = chosen(nth) {
                drop(lab.sessions.stop(&ctx, id, None).await);
            }
        }
        Step::Retry(nth) => {
            if let Some(id) = chosen(nth) {
                drop(lab.sessions.retry(&ctx, id, None).await);
            }
        }
        Step::Delete(nth) => {
            if let Some(id) = chosen(nth)
                && lab.sessions.delete(&ctx, id, false).await.is_ok()
            {
                made.retain(|kept| *kept != id);
            }
        }
        Step::Spend(nth) => {
            if let Some(id) = chosen(nth) {
                let budget_usd = Some(Some(Usd::ZERO));
                let patch = SessionPatch { budget_usd, ..SessionPatch::default() };
                drop(lab.sessions.patch(&ctx, id, patch).await);
            }
        }
        Step::Bound(is_bound) => {
            let most = is_bound.then_some(1);
            let mut bound = Quotas::UNLIMITED;
            (bound.max_queue_depth, bound.max_concurrent_sessions) = (most, most);
            *lab.store.read_only.lock().expect("whole") = None;
            lab.bound(bound).await;
        }
        Step::Cool(is_on) => {
            let (cooldowns, now) = (lab.agents.cooldowns(), lab.clock.now());
            for agent in lab.agents.list(TenantId::BOOTSTRAP).await.expect("readable") {
                if *is_on {
                    cooldowns.begin(agent.id, None, "overloaded", None, now);
                } else {
                    cooldowns.end(agent.id, None);
                }
            }
        }
        Step::ReadOnly(is_read_only) => {
            let reason = is_read_only.then(|| "the disk is full".to_owned());
            *lab.store.read_only.lock().expect("whole") = reason;
        }
        Step::Hold(true) => drop(admissions(lab).hold(&ctx, &tenant_hold(None)).await),
        Step::Hold(false) => drop(admissions(lab).release(&ctx, &tenant_hold(None)).await),
        Step::Room(is_short) => {
            let reason = is_short.then(|| "3 MiB are free".to_owned());
            *lab.store.short_of_room.lock().expect("whole") = reason;
        }
        Step::Jump(seconds) => lab.clock.jump(Duration::from_secs(*seconds)),
    }
}

fn check(explanation: &Explanation, history: &[Step]) {
    let Explanation { state, blockers, agent, summary, .. } = explanation;
    if state.is_terminal() {
        return;
    }
    let explained = !blockers.is_empty() || (state.is_executing() && agent.is_some());
    assert!(explained, "{state} without a reason: {summary}; after {history:?}");
    for blocker in blockers {
        let reads = !blocker.text.is_empty() && !blocker.remedy.is_empty();
        assert!(reads && blocker.since.is_some() && blocker.command.is_some(), "{blocker:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_without_a_reason() {
    let mut runner = TestRunner::deterministic();
    let histories = proptest::collection::vec(step(), 30);
    for _ in 0..4 {
        let history = histories.new_tree(&mut runner).expect("a history").current();
        let lab = Lab::with_slots(2).await;
        lab.schedule();
        lab.reconcile();
        let mut made = Vec::new();
        for (at, step) in history.iter().enumerate() {
            take(&lab, step, &mut made).await;
            for id in &made {
                let told = lab.sessions.explain(&caller(), &lab.queue, *id).await;
                check(&told.expect("explained"), &history[..=at]);
            }
        }
    }
}

/// An agent of the first tenant.
pub(super) async fn agent(lab: &Lab, number: u128, kind: AgentKind, capabilities: &[&str]) {
    let slugs = capabilities.iter().copied();
    let mut draft = AgentDraft::new(format!("AGENT-{number}"), kind, slugs).with_capacity(1);
    if kind == AgentKind::Acp {
        draft.config.insert("command".to_owned(), json!(["agent"]));
    }
    let id = AgentId::new(Uuid::from_u128(number));
    let agent = draft.accept(id, TenantId::BOOTSTRAP, lab.clock.now()).expect("valid");
    let put = Put { expect: Expect::Absent, value: agent };
    let set = ChangeSet::new(TenantId::BOOTSTRAP).write(Write::Agent(put));
    lab.store.commit(set).await.expect("registered");
}

/// The first reason that a session gives, once it is this one.
async fn reason(lab: &Lab, id: SessionId, code: BlockerCode) -> String {
    let first = async || {
        let told = lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained");
        told.blockers.first().cloned()
    };
    eventually(code.as_str(), async || first().await.is_some_and(|told| told.code == code)).await;
    let told = first().await.expect("still there");
    let object = if told.object.is_some() { "an object" } else { "no object" };
    assert!(told.since.is_some(), "{told:?}");
    let (text, remedy) = (&told.text, &told.remedy);
    let command = told.command.as_deref().unwrap_or("no command");
    format!("{}: {text}\n  {remedy}\n  {command}\n  {object}\n", told.code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_read_well() {
    let lab = Lab::with_slots(2).await;
    agent(&lab, 1, AgentKind::Simulated, &["testing"]).await;
    agent(&lab, 2, AgentKind::Simulated, &["testing", "code_review"]).await;
    agent(&lab, 3, AgentKind::Acp, &["deployment"]).await;
    lab.schedule();
    let on = |agent: &str, needs: &[&str]| SessionDraft {
        agent: Some(agent.to_owned()).filter(|name| !name.is_empty()),
        required_capabilities: needs.iter().map(|&slug| slug.to_owned()).collect(),
        ..plays(&json!([{ "hang": true }]))
    };
    let mut told = Vec::new();
    let busy = lab.begin(on("AGENT-1", &[])).await;
    lab.until(busy, SessionStatus::Running).await;
    let second = lab.begin(on("AGENT-1", &[])).await;
    told.push(reason(&lab, second, BlockerCode::NoAgentCapacity).await);
    let down = lab.begin(on("AGENT-3", &[])).await;
    told.push(reason(&lab, down, BlockerCode::NoAgentAlive).await);
    let incapable = lab.begin(on("AGENT-2", &["testing", "deployment"])).await;
    told.push(reason(&lab, incapable, BlockerCode::NoAgentCapability).await);
    let other = lab.begin(on("AGENT-SIMULATED", &[])).await;
    lab.until(other, SessionStatus::Running).await;
    let full = lab.begin(on("", &[])).await;
    told.push(reason(&lab, full, BlockerCode::SlotsFull).await);
    let wanted =
        Admission { scope: HoldScope::Agent, agent: Some("AGENT-2".to_owned()), reason: None };
    admissions(&lab).hold(&caller(), &wanted).await.expect("held");
    let held = lab.begin(on("AGENT-2", &[])).await;
    told.push(reason(&lab, held, BlockerCode::AdmissionsHeld).await);
    let wanted = tenant_hold(Some("the provider is down"));
    admissions(&lab).hold(&caller(), &wanted).await.expect("held");
    told.push(reason(&lab, full, BlockerCode::AdmissionsHeld).await);
    *lab.store.short_of_room.lock().expect("whole") = Some("3 MiB are free".to_owned());
    told.push(reason(&lab, full, BlockerCode::DiskLow).await);
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true
    }, { insta::assert_snapshot!("reasons", told.join("\n")) });
}
