//! What agents did and heard, held against what is stored: use is counted once, decisions arrive as
//! they were made, prompts are done, and work without a fault is completed.

use std::time::Duration;

use orchestrator::application::ports::driver::Answer;
use orchestrator::domain::attention::{AttentionItem, AttentionState, Decision};
use orchestrator::domain::event::EventType;
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::Session;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::time::Timestamp;

use super::ledger::Ledger;
use super::town::{Town, is_honest};
use crate::support::invariants::Shown;

/// What holds after every crash.
pub(crate) fn at_any_time(all: &[Shown], town: &Town) -> Vec<String> {
    let mut wrong = Vec::new();
    for shown in all {
        for (_, session) in shown.sessions.values() {
            use_was_made(shown, session, town, &mut wrong);
        }
    }
    answers(all, town, &mut wrong);
    wrong
}

/// What holds when everything has come to its end.
pub(crate) fn at_the_end(
    all: &[Shown],
    town: &Town,
    ledger: &Ledger,
    now: Timestamp,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for shown in all {
        nothing_is_kept_for_ever(shown, now, &mut wrong);
        for (_, session) in shown.sessions.values() {
            nothing_is_lost(shown, session, town, &mut wrong);
            if is_honest(&session.spec.title) && !ledger.is_old(session) {
                is_completed(shown, session, town, &mut wrong);
            }
        }
    }
    let sessions =
        || all.iter().flat_map(|shown| shown.sessions.values().map(move |it| (shown, it)));
    for (id, words) in ledger.prompts() {
        let found = sessions().find(|(_, (_, session))| session.id == id);
        let Some((shown, (_, session))) = found else { continue };
        if ended_by_itself(shown, session) && !town.was_told(id, &words) {
            wrong.push(format!("I1: {} is completed and was never told “{words}”", session.code));
        }
    }
    wrong
}

/// What ended or happened 30 days ago is gone, with a day for the job that does it.
fn nothing_is_kept_for_ever(shown: &Shown, now: Timestamp, wrong: &mut Vec<String>) {
    let is_old = |at: Timestamp| now.since(at) > Duration::from_hours(31 * 24);
    if let Some(event) = shown.events.first().filter(|event| is_old(event.event.occurred_at)) {
        wrong.push(format!("retention: event {} of {} is kept too long", event.seq, shown.tenant));
    }
    for (_, session) in shown.sessions.values() {
        let stamps = &session.stamps;
        let ended = stamps.ended_at.filter(|_| session.status().is_terminal());
        if stamps.deleted_at.or(ended).is_some_and(is_old) {
            wrong.push(format!("retention: {} is kept too long", session.code));
        }
    }
}

/// I12: what is counted was used, and nothing is counted twice.
fn use_was_made(shown: &Shown, session: &Session, town: &Town, wrong: &mut Vec<String>) {
    let made = town.calls(session.id);
    let attempts = &shown.attempts[&session.id];
    let counted = || attempts.iter().flat_map(|attempt| &attempt.counted_calls);
    let (mut tokens, mut micros) = (0, 0);
    for key in counted() {
        match made.get(key) {
            Some(call) => (tokens, micros) = (tokens + call.tokens, micros + call.micros),
            None => wrong.push(format!("I12: {} counts {key}, which nobody made", session.code)),
        }
    }
    let usage = &session.metrics.usage;
    let cost = usage.cost_usd.map_or(0, Usd::micros);
    if (usage.tokens_total(), cost) != (tokens, micros) {
        let (code, counts) = (session.code, usage.tokens_total());
        wrong.push(format!(
            "I12: {code} counts {counts} tokens for {cost}, its calls are {tokens} for {micros}"
        ));
    }
}

/// I12: every call of a turn whose end was taken is counted, by whom can be found again.
fn nothing_is_lost(shown: &Shown, session: &Session, town: &Town, wrong: &mut Vec<String>) {
    let attempts = &shown.attempts[&session.id];
    let last = attempts.last().and_then(|attempt| attempt.leases.last());
    let is_found_again = last.is_some_and(|lease| lease.agent_name == "AGENT-OPENCODE");
    if !is_found_again || !ended_by_itself(shown, session) {
        return;
    }
    let message = session.run.message_ref.as_deref();
    for call in message.and_then(|message| town.calls_until(message)).unwrap_or_default() {
        if !attempts.iter().any(|attempt| attempt.counted_calls.contains(&call.key)) {
            wrong.push(format!("I12: {} does not count {}", session.code, call.key));
        }
    }
}

/// Whether its agent completed it, and no person.
fn ended_by_itself(shown: &Shown, session: &Session) -> bool {
    let of_session = shown.events.iter().rev().filter(|event| {
        event.event.subject.id == session.id.uuid()
            && event.event.event_type == EventType::SessionStatusChanged
    });
    let last = of_session.map(|event| &event.event.payload).next();
    session.status() == SessionStatus::Completed
        && last.is_some_and(|payload| payload.get("actor").is_some_and(|it| it == "supervisor"))
}

/// G-05: who did everything as it should is completed, unless the weather was in the way.
fn is_completed(shown: &Shown, session: &Session, town: &Town, wrong: &mut Vec<String>) {
    let status = session.status();
    let is_clean = session.metrics.previous_errors.is_empty();
    if status == SessionStatus::Completed && is_clean || town.weather.struck(session.id) {
        return;
    }
    let lacked_money = shown.events.iter().any(|event| {
        event.event.subject.id == session.id.uuid()
            && event.event.payload.get("reason").is_some_and(|it| it == "budget_exhausted")
    });
    if !lacked_money {
        let (code, metrics) = (session.code, &session.metrics);
        let error = metrics.error.as_ref().or(metrics.previous_errors.last());
        wrong.push(format!("G-05: {code} of {} is {status}: {error:?}", shown.tenant));
    }
}

/// I2: what an agent heard is what was decided.
fn answers(all: &[Shown], town: &Town, wrong: &mut Vec<String>) {
    for heard in town.heard() {
        let own = all.iter().find(|shown| shown.sessions.contains_key(&heard.session));
        let Some(own) = own else { continue };
        let mut items = own.items.iter().filter(|item| {
            item.session_id == heard.session && item.fingerprint == heard.fingerprint
        });
        if !items.any(|item| says(item, &heard.answer)) {
            let (id, answer) = (heard.session, &heard.answer);
            wrong.push(format!("I2: {id} heard {answer:?} of {}", heard.fingerprint));
        }
    }
}

fn says(item: &AttentionItem, heard: &Answer) -> bool {
    item.state != AttentionState::Open
        && match (heard, item.decision) {
            (Answer::AllowOnce, decision) => decision == Some(Decision::AllowOnce),
            (Answer::AllowAlways, decision) => decision == Some(Decision::AllowAlways),
            (Answer::Deny(_), decision) => decision == Some(Decision::Deny),
            (Answer::Text(text), decision) => {
                decision == Some(Decision::Answer) && item.answer.as_ref() == Some(text)
            }
        }
}
