//! What becomes of a session whose agent holds its work for done and whose gates were run.

use serde_json::json;

use super::SessionService;
use super::change::{By, Change};
use super::control::apply;
use super::next::take_prompt;
use super::report::{Holder, SUPERVISOR};
use super::usage::Obstacle;
use crate::application::error::AppError;
use crate::domain::session::Cause;
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
        let is_off = self.bounds(holder.tenant).await?.is_off;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let event = change.session.verified(verification.clone(), now);
            change.tell([event]);
            if something_else_is_wanted(change, by.cause(now), is_off)? {
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

    /// The gates are left where they are: somebody wants a pause, has more to say to the agent, or
    /// switched the tenant off.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn leave_gates(&self, holder: Holder) -> Result<(), AppError> {
        let by = By::Part(holder.tenant, SUPERVISOR);
        let is_off = self.bounds(holder.tenant).await?.is_off;
        let decide = |change: &mut Change| {
            let cause = by.cause(self.clock.now());
            something_else_is_wanted(change, cause, is_off).map(drop)
        };
        self.report(holder, "leave_gates", decide).await.map(drop)
    }
}

/// Pauses a session that is to pause, or that goes on at its agent as soon as there is a slot.
fn something_else_is_wanted(
    change: &mut Change,
    cause: Cause<'_>,
    is_off: bool,
) -> Result<bool, AppError> {
    let pause = change.session.run.pause_wanted.is_some() || is_off;
    let more = take_prompt(&mut change.session);
    if !pause && more.is_none() {
        return Ok(false);
    }
    change.session.run.prompt = more;
    let cause = match (is_off, pause) {
        (true, _) => cause.because(Obstacle::TenantInactive.reason()),
        (false, true) => cause,
        (false, false) => cause.because("the agent is told something more"),
    };
    apply(change, |session| session.pause(cause))?;
    change.session.run.resume_wanted = !pause;
    Ok(true)
}
