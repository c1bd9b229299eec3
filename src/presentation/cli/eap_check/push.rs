//! Checks of an agent that is called.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::caller::{Caller, Came, Signed};
use super::judge::{self, Way};
use super::sheet::{Rule, Sheet};
use super::stage::{Stage, is_same, token};

/// Longest time of an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long is looked whether a repeated assignment gives a second result.
const SECOND: Duration = Duration::from_secs(3);
/// So long after an assignment it is cancelled.
const BEFORE_CANCEL: Duration = Duration::from_millis(300);

/// One check of one agent.
pub(super) struct Push<'a, 'b> {
    pub(super) stage: &'a Stage,
    pub(super) caller: &'a Caller,
    pub(super) sheet: &'a mut Sheet<'b>,
    pub(super) input: &'a str,
    /// How long a piece of work may take.
    pub(super) limit: Duration,
}

/// A piece of work that is done.
struct Done {
    work: Map<String, Value>,
    result: Map<String, Value>,
}

/// Whether the agent took work by this answer.
const fn is_taken(status: u16) -> bool {
    matches!(status, 200 | 202)
}

impl Push<'_, '_> {
    pub(super) async fn check(&mut self) {
        if !self.health().await {
            return;
        }
        let done = self.task().await;
        if let Some(done) = &done {
            self.repeat(done).await;
        }
        self.wrong_token().await;
        self.signatures().await;
        self.cancel().await;
        if done.is_some() {
            self.goes_on().await;
        }
        judge::tokens(self.sheet, self.stage);
    }

    async fn health(&mut self) -> bool {
        let rule = Rule::Health;
        self.sheet.waits_for("asking how it is");
        let came = match self.caller.health().await {
            Ok(came) if came.status == 200 => came,
            Ok(came) => {
                self.sheet.fail(rule, came.told());
                return false;
            }
            Err(why) => {
                self.sheet.fail(rule, why);
                return false;
            }
        };
        let read = came.object().and_then(|sent| judge::heartbeat(&sent, self.stage.clock.now()));
        match read {
            Ok(beat) => self.sheet.pass(rule, format!("{beat}, {} ms", came.took.as_millis())),
            Err(why) => self.sheet.fail(rule, why),
        }
        true
    }

    async fn goes_on(&mut self) {
        match self.caller.health().await {
            Ok(came) => self.sheet.judge(Rule::GoesOn, came.status == 200, came.told()),
            Err(why) => self.sheet.fail(Rule::GoesOn, why),
        }
    }

    /// Brings a piece of work and has it done.
    async fn task(&mut self) -> Option<Done> {
        self.sheet.waits_for("bringing a piece of work");
        let plain = self.stage.assignment(self.input, 7);
        let mut odd = self.stage.assignment(self.input, 8);
        odd.insert("a_field_of_the_future".to_owned(), json!({ "deep": [1, { "er": null }] }));
        let mut work = odd;
        let mut answer = self.caller.bring(&work).await;
        if let Ok(came) = &answer
            && matches!(came.status, 400..=499)
            && came.status != 429
        {
            let refused = came.told();
            work = plain;
            answer = self.caller.bring(&work).await;
            let is_the_field = answer.as_ref().is_ok_and(|came| is_taken(came.status));
            if is_the_field {
                self.sheet.fail(Rule::UnknownFields, refused);
            }
        } else if answer.as_ref().is_ok_and(|came| is_taken(came.status)) {
            self.sheet.pass(Rule::UnknownFields, "it took the assignment");
        }
        let came = match answer {
            Ok(came) => came,
            Err(why) => {
                self.sheet.fail(Rule::Task, why);
                return None;
            }
        };
        let took = format!("{} ms", came.took.as_millis());
        self.sheet.judge(Rule::AnswerTime, came.took <= ANSWER, took);
        let size = format!(
            "{} bytes{}",
            came.bytes.len(),
            if came.is_too_large { " and more" } else { "" }
        );
        self.sheet.judge(Rule::AnswerSize, !came.is_too_large, size);
        let (result, way) = self.result_of(&came, &work).await?;
        judge::result(self.sheet, &result, &work, way);
        Some(Done { work, result })
    }

    /// The result, from the answer or as it is brought.
    async fn result_of(
        &mut self,
        came: &Came,
        work: &Map<String, Value>,
    ) -> Option<(Map<String, Value>, Way)> {
        match came.status {
            200 => match came.object() {
                Ok(result) => {
                    self.sheet.pass(Rule::Task, "200 with a result");
                    Some((result, Way::Answered))
                }
                Err(why) => {
                    self.sheet.fail(Rule::Task, format!("200 with {why}"));
                    None
                }
            },
            202 => {
                self.sheet.waits_for("202: waiting for its result");
                let task = work["task_id"].as_str().unwrap_or_default();
                let brought = self.stage.until(self.limit, |state| {
                    state.results_of(task).first().map(|(_, result)| (*result).clone())
                });
                let brought = brought.await;
                let seconds = self.limit.as_secs();
                if brought.is_some() {
                    self.sheet.pass(Rule::Task, "202, and a result later");
                } else {
                    let came = format!("202, and no result within {seconds} s");
                    self.sheet.fail(Rule::Task, came);
                }
                brought.map(|result| (result, Way::Brought))
            }
            _ => {
                self.sheet.fail(Rule::Task, came.told());
                None
            }
        }
    }

    /// The same assignment again.
    async fn repeat(&mut self, done: &Done) {
        self.sheet.waits_for("bringing the same piece of work again");
        let Done { work, result } = done;
        let came = match self.caller.bring(work).await {
            Ok(came) => came,
            Err(why) => return self.sheet.fail(Rule::Repeat, why),
        };
        match (came.status, came.object()) {
            (200, Ok(again)) if is_same(&again, result) => {
                self.sheet.pass(Rule::Repeat, "200 with the same result");
            }
            (200, _) => {
                let told = came.told();
                self.sheet.fail(Rule::Repeat, format!("another result than before: {told}"));
            }
            (202, _) => {
                let task = work["task_id"].as_str().unwrap_or_default();
                let other = self.stage.until(SECOND, |state| {
                    let mut all = state.results_of(task).into_iter();
                    all.any(|(_, again)| !is_same(again, result)).then_some(())
                });
                match other.await {
                    Some(()) => {
                        self.sheet.fail(Rule::Repeat, "202, and another result than before");
                    }
                    None => self.sheet.pass(Rule::Repeat, "202, and no other result"),
                }
            }
            _ => self.sheet.fail(Rule::Repeat, came.told()),
        }
    }

    async fn wrong_token(&mut self) {
        self.sheet.waits_for("showing a wrong token");
        let work = self.stage.assignment(self.input, 9);
        match self.caller.bring_as(&work, Some(&token()), Signed::Right).await {
            Ok(came) => {
                self.sheet.judge(Rule::WrongToken, matches!(came.status, 401 | 403), came.told());
                self.end(came.status, &work).await;
            }
            Err(why) => self.sheet.fail(Rule::WrongToken, why),
        }
    }

    /// An agent need not check signatures; one that does refuses these.
    async fn signatures(&mut self) {
        self.sheet.waits_for("showing wrong signatures");
        let cases = [(Rule::WrongSignature, Signed::Wrong), (Rule::OldSignature, Signed::LongAgo)];
        for (rule, signed) in cases {
            let work = self.stage.assignment(self.input, 10);
            match self.caller.bring_as(&work, None, signed).await {
                Ok(came) if matches!(came.status, 400 | 401 | 403) => {
                    self.sheet.pass(rule, came.told());
                }
                Ok(came) if is_taken(came.status) => {
                    self.sheet.warn(rule, format!("{}: it does not check it", came.status));
                    self.end(came.status, &work).await;
                }
                Ok(came) => self.sheet.warn(rule, came.told()),
                Err(why) => self.sheet.warn(rule, why),
            }
        }
    }

    /// Ends work that should not have been taken.
    async fn end(&self, status: u16, work: &Map<String, Value>) {
        if is_taken(status) {
            self.stage.cancel(work["task_id"].as_str().unwrap_or_default());
            // Whether it can be cancelled is judged elsewhere.
            self.caller.cancel(work).await.ok();
        }
    }

    /// Cancels a piece of work soon after it began.
    async fn cancel(&mut self) {
        self.sheet.waits_for("cancelling a piece of work");
        let work = self.stage.assignment(self.input, 11);
        let cancel = async {
            self.stage.clock.sleep(BEFORE_CANCEL).await;
            self.stage.cancel(work["task_id"].as_str().unwrap_or_default());
            self.caller.cancel(&work).await
        };
        let (_, cancelled) = tokio::join!(self.caller.bring(&work), cancel);
        match cancelled {
            Ok(came) => {
                let is_fine = matches!(came.status, 200..=299 | 404 | 405);
                self.sheet.judge(Rule::Cancel, is_fine, came.told());
            }
            Err(why) => self.sheet.fail(Rule::Cancel, why),
        }
    }
}
