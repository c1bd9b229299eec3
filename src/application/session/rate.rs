//! Ratings: a person's judgement of finished work.

use super::SessionService;
use super::change::{By, Change};
use super::checkpoint::not_now;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::session::rating::Rating;
use crate::domain::version::Versioned;

impl SessionService {
    /// Judges a session that has ended; the comment goes to the audit.
    ///
    /// # Errors
    /// `NotNow` while it has not ended, `SessionNotFound`.
    pub async fn rate(
        &self,
        ctx: &RequestContext,
        id: SessionId,
        rating: Rating,
        comment: Option<&str>,
    ) -> Result<Versioned<Session>, AppError> {
        let by = By::Caller(ctx);
        let decide = |change: &mut Change| {
            let event = change.session.rate(rating, by.name(), self.clock.now());
            let event = event
                .ok_or_else(|| not_now(&change.session, "it can be rated once it has ended"))?;
            change.tell([event]);
            Ok(())
        };
        Ok(self.change(by, id, "rate", comment, decide).await?.0)
    }
}
