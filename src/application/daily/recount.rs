//! Counters against rows, while the store is in use.
//!
//! Counter and rows are read at one moment, so that their difference is exact; it is added to the
//! counter, which commutes with whatever was committed meanwhile. A tenant whose counters cannot be
//! checked keeps no other from its turn.

use serde_json::{Value, json};

use super::Daily;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange};
use crate::application::ports::reads::Recount;
use crate::domain::ids::TenantId;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;
use crate::domain::usage::period::Month;

/// The counters that count rows; one that the store cannot count is passed over.
fn counters(now: Timestamp) -> impl Iterator<Item = (String, Counter)> {
    let in_status = SessionStatus::ALL
        .iter()
        .map(|status| (format!("sessions_in.{status}"), Counter::SessionsIn(*status)));
    let others = [
        ("open_sessions".to_owned(), Counter::OpenSessions),
        ("webhooks".to_owned(), Counter::Webhooks),
        ("agents".to_owned(), Counter::Agents),
        ("api_keys".to_owned(), Counter::ApiKeys),
        ("users".to_owned(), Counter::Users),
        ("stored_bytes".to_owned(), Counter::StoredBytes),
    ];
    let this = Month::of(now);
    let of_month = |month: Month| {
        let tokens = (format!("tokens.{month}"), Counter::MonthTokens(month));
        [tokens, (format!("cost.{month}"), Counter::MonthMicros(month))]
    };
    let months = [this.before(), this].into_iter().flat_map(of_month);
    others.into_iter().chain(in_status).chain(months)
}

impl Daily {
    /// Mends counters that disagree with their rows, and tells of it.
    pub(super) async fn recount(&self) -> Result<usize, AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        let (mut mended, mut failed) = (0, None);
        for tenant in tenants.iter().map(|found| found.value.id) {
            match self.recount_of(tenant).await {
                Ok(count) => mended += count,
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %error, "The counters of tenant {tenant} could not be checked");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(mended), Err)
    }

    async fn recount_of(&self, tenant: TenantId) -> Result<usize, AppError> {
        let wrong = self.wrong(tenant).await?;
        if wrong.is_empty() {
            return Ok(0);
        }
        let mut set = ChangeSet::new(tenant);
        let mut told: Vec<Value> = Vec::new();
        for (name, counter, Recount { stored, counted }) in wrong {
            // The commit takes a damaged one as the rows say by then, and writes it.
            let by = stored.map_or(0, |stored| counted - stored);
            set = set.count(counter, CounterChange::Add(by));
            told.push(json!({ "counter": name, "stored": stored, "counted": counted }));
        }
        self.store.commit(set).await?;
        let count = told.len();
        let message = format!("{count} counters of a tenant were wrong and are counted anew");
        tracing::warn!(tenant.id = %tenant, count, "{message}");
        let details = json!({ "tenant_id": tenant, "counters": told });
        self.alert("COUNTERS_MENDED", &message, &details).await?;
        Ok(count)
    }

    async fn wrong(&self, tenant: TenantId) -> Result<Vec<(String, Counter, Recount)>, AppError> {
        let fleet = self.store.fleet().await?;
        let mut wrong = Vec::new();
        for (name, counter) in counters(self.clock.now()) {
            if let Some(recount) = fleet.recount(tenant, counter).await?
                && recount.stored != Some(recount.counted)
            {
                wrong.push((name, counter, recount));
            }
        }
        Ok(wrong)
    }
}
