//! What becomes of a session whose agent holds its work for done and whose gates were run.

use serde_json::json;

use super::SessionService;
use super::change::{By, Change};
use super::control::apply;
use super::next::take_prompt;
use super::report::{Holder, SUPERVISOR};
use crate::application::error::AppError;
use crate::domain::session::gates::Verification;

impl SessionService {
    /// The gates said something: the session completes or fails by it, unless somebody wanted
    /// something else meanwhile.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn judged(
        &self,
        holder: Holder,
        verification: &Verification,
    ) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let event = change.session.verified(verification.clone(), now);
            change.tell([event]);
            if self.something_else_is_wanted(change, by)? {
                return Ok(());
            }
            if verification.passed {
                let result = change.session.metrics.result.clone().unwrap_or_else(|| json!({}));
                let outcome = verification.outcome(result);
                return apply(change, |session| session.complete(outcome, by.cause(now)));
            }
            self.fail_with(change, verification.refusal(), verification.commit.clone(), by)
        };
        self.report(holder, "judge", decide).await.map(drop)
    }

    /// The gates are left where they are: somebody wants a pause, or has more to say to the agent.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn leave_gates(&self, holder: Holder) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let decide = |change: &mut Change| self.something_else_is_wanted(change, by).map(drop);
        self.report(holder, "leave_gates", decide).await.map(drop)
    }

    /// Pauses a session that is to pause, or that goes on at its agent as soon as there is a slot.
    fn something_else_is_wanted(&self, change: &mut Change, by: By<'_>) -> Result<bool, AppError> {
        let pause = change.session.run.pause_wanted.is_some();
        let more = take_prompt(&mut change.session);
        if !pause && more.is_none() {
            return Ok(false);
        }
        change.session.run.prompt = more;
        let cause = by.cause(self.clock.now());
        let cause = if pause { cause } else { cause.because("the agent is told something more") };
        apply(change, |session| session.pause(cause))?;
        change.session.run.resume_wanted = !pause;
        Ok(true)
    }
}
