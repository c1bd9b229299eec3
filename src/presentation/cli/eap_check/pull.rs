//! Checks of an agent that fetches its work.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::judge::{self, Way};
use super::sheet::{Rule, Sheet};
use super::stage::{INTERVAL, RETRY_AFTER, Stage, State, is_same};
use crate::domain::time::Timestamp;

/// How long is waited for a call that is due at once.
const SOON: Duration = Duration::from_secs(20);
/// Longest wait for a call after one that failed.
const AGAIN: Duration = Duration::from_secs(40);
/// A result that was on its way when its work was cancelled may still come.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// How long is looked whether cancelled work goes on.
const LOOK: Duration = Duration::from_secs(3);
/// Clocks of two processes, and the time of a call.
const SLACK: Duration = Duration::from_millis(200);

/// One check of one agent.
pub(super) struct Pull<'a, 'b> {
    pub(super) stage: &'a Stage,
    pub(super) sheet: &'a mut Sheet<'b>,
    pub(super) input: &'a str,
    /// How long a piece of work may take.
    pub(super) limit: Duration,
}

/// When it asked for work.
fn polls(state: &State) -> Vec<Timestamp> {
    let polls = state.calls.iter().filter(|call| call.what == "tasks/next");
    polls.map(|call| call.at).collect()
}

impl Pull<'_, '_> {
    pub(super) async fn check(&mut self) {
        // What follows needs what came before: without it, each would fail by waiting in vain.
        if self.polls().await && self.is_recognised() && self.work().await {
            self.cancel().await;
            self.goes_on().await;
        }
        self.heartbeats().await;
        judge::tokens(self.sheet, self.stage);
    }

    /// The first poll is refused for a while: the next one is to come after that.
    async fn polls(&mut self) -> bool {
        self.sheet.waits_for("waiting until it asks for work");
        let first = self.stage.until(SOON, |state| polls(state).first().copied()).await;
        let Some(first) = first else {
            self.sheet.fail(Rule::Polls, format!("no call within {} s", SOON.as_secs()));
            return false;
        };
        let query = self
            .stage
            .state()
            .calls
            .iter()
            .find(|call| call.what == "tasks/next")
            .map(|call| (call.method.clone(), call.query.clone()));
        let (method, query) = query.unwrap_or_default();
        let wait = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "wait")
            .map_or(Some(30), |(_, wait)| wait.parse::<u64>().ok());
        let is_fine = method == "GET" && wait.is_some_and(|wait| wait <= 60);
        self.sheet.judge(Rule::Polls, is_fine, format!("{method} tasks/next?{query}"));
        self.sheet.waits_for("waiting until it asks again");
        let next = self.stage.until(AGAIN, |state| polls(state).get(1).copied()).await;
        let Some(gap) = next.map(|next| next.since(first)) else {
            self.sheet.fail(Rule::BacksOff, format!("no call within {} s", AGAIN.as_secs()));
            return false;
        };
        let came = format!("{:.1} s of {} s", gap.as_secs_f64(), RETRY_AFTER.as_secs());
        self.sheet.judge(Rule::BacksOff, gap + SLACK >= RETRY_AFTER, came);
        true
    }

    /// Whether it shows its own token; what it shows else is told with the tokens.
    fn is_recognised(&self) -> bool {
        let known = self.stage.state();
        known.calls.iter().any(|call| call.what == "tasks/next" && call.wrong_token.is_none())
    }

    /// Gives it a piece of work; the first answer to its result is lost. Whether there is one.
    async fn work(&mut self) -> bool {
        self.sheet.waits_for("waiting for a result");
        let mut work = self.stage.assignment(self.input, 7);
        work.insert("a_field_of_the_future".to_owned(), json!({ "deep": [1, { "er": null }] }));
        self.stage.change(|state| state.drops_result = true);
        self.stage.offer(work.clone());
        let task = work["task_id"].as_str().unwrap_or_default();
        let result = |state: &State, number: usize| -> Option<Map<String, Value>> {
            state.results_of(task).get(number).map(|(_, result)| (*result).clone())
        };
        let Some(first) = self.stage.until(self.limit, |state| result(state, 0)).await else {
            let seconds = self.limit.as_secs();
            self.stage.change(|state| state.drops_result = false);
            self.sheet.fail(Rule::Task, format!("no result within {seconds} s"));
            return false;
        };
        self.sheet.pass(Rule::Task, "a result");
        self.sheet.pass(Rule::UnknownFields, "it took the assignment");
        judge::result(self.sheet, &first, &work, Way::Brought);
        self.sheet.waits_for("waiting for the same result, which had no answer");
        let again = self.limit.min(AGAIN);
        match self.stage.until(again, |state| result(state, 1)).await {
            Some(second) if is_same(&first, &second) => {
                self.sheet.pass(Rule::ResultRepeat, "the same result");
            }
            Some(_) => self.sheet.fail(Rule::ResultRepeat, "another result than before"),
            None => {
                let seconds = again.as_secs();
                self.sheet.fail(Rule::ResultRepeat, format!("nothing within {seconds} s"));
            }
        }
        true
    }

    /// Gives it a piece of work and takes it away again.
    async fn cancel(&mut self) {
        self.sheet.waits_for("cancelling a piece of work");
        let work = self.stage.assignment(self.input, 8);
        let task = work["task_id"].as_str().unwrap_or_default().to_owned();
        let before = polls(&self.stage.state()).len();
        self.stage.offer(work);
        // The next poll after it was handed over, or a report on it, is told.
        self.stage.until(SOON, |state| (polls(state).len() > before).then_some(())).await;
        self.stage.cancel(&task);
        let told = self.stage.until(SOON, |state| state.given.get(&task)?.told_at).await;
        let Some(told) = told else {
            let words = "it takes no notices: neither notices=true, nor reports on its work; the refusal \
                         of its result is all that it hears";
            return self.sheet.warn(Rule::Cancel, words);
        };
        self.stage.clock.sleep(LOOK).await;
        let results: Vec<Timestamp> =
            self.stage.state().results_of(&task).iter().map(|(at, _)| *at).collect();
        if results.iter().any(|at| at.since(told) > ON_ITS_WAY) {
            self.sheet.fail(Rule::Cancel, "a result long after the notice");
        } else if results.is_empty() {
            self.sheet.pass(Rule::Cancel, "no result after the notice");
        } else {
            let words = "a result before it could heed the notice: give it more to do with --input";
            self.sheet.warn(Rule::Cancel, words);
        }
    }

    async fn goes_on(&mut self) {
        self.sheet.waits_for("giving it another piece of work");
        let work = self.stage.assignment(self.input, 9);
        let task = work["task_id"].as_str().unwrap_or_default().to_owned();
        self.stage.offer(work);
        let limit = self.limit + SOON;
        let done = self.stage.until(limit, |state| state.results_of(&task).first().map(|_| ()));
        let is_done = done.await.is_some();
        let came = if is_done { "another result" } else { "no result of another piece of work" };
        self.sheet.judge(Rule::GoesOn, is_done, came);
    }

    /// The server calls an agent late after two intervals without a sign of life.
    async fn heartbeats(&mut self) {
        self.sheet.waits_for("waiting for heartbeats");
        let times = |state: &State| -> Vec<Timestamp> {
            let beats = state.calls.iter().filter(|call| call.what == "heartbeat");
            beats.map(|call| call.at).collect()
        };
        self.stage.until(INTERVAL * 5, |state| (times(state).len() >= 3).then_some(())).await;
        let state = self.stage.state();
        let beats: Vec<_> = state.calls.iter().filter(|call| call.what == "heartbeat").collect();
        let now = self.stage.clock.now();
        let nothing = Map::new();
        let wrong = beats
            .iter()
            .find_map(|call| judge::heartbeat(call.body.as_ref().unwrap_or(&nothing), now).err());
        match wrong {
            _ if beats.is_empty() => self.sheet.fail(Rule::Heartbeat, "none"),
            Some(wrong) => self.sheet.fail(Rule::Heartbeat, wrong),
            None => self.sheet.pass(Rule::Heartbeat, format!("{} of them", beats.len())),
        }
        let began = state.calls.iter().find(|call| call.what == "register").map(|call| call.at);
        let all: Vec<Timestamp> = began.into_iter().chain(times(&state)).chain([now]).collect();
        let longest = all.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default();
        let told = format!("{:.1} s at most, of {} s", longest.as_secs_f64(), INTERVAL.as_secs());
        if longest > INTERVAL * 2 {
            self.sheet.fail(Rule::Interval, told);
        } else if longest > INTERVAL.mul_f64(1.5) {
            self.sheet.warn(Rule::Interval, told);
        } else {
            self.sheet.pass(Rule::Interval, told);
        }
    }
}
