//! Reading and verifying the audit of a tenant, and putting refusals on record.

mod sign;

use std::sync::Arc;

use uuid::Uuid;

use super::error::AppError;
use super::ports::changes::ChangeSet;
use super::ports::clock::Clock;
use super::ports::signer::Signer;
use super::ports::store::{Store, StoreError};
use super::principal::RequestContext;
use crate::domain::audit::walk::{Vouched, Walk};
use crate::domain::audit::{Actor, AuditEntry, StoredAudit};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::TenantId;

/// Entries that are read at once.
const PAGE: usize = 500;
/// Entries that are read for one page of a filtered list.
const READ_AT_MOST: usize = 20 * PAGE;

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only this verb.
    pub action: Option<String>,
    /// Only of this actor, by id.
    pub actor: Option<String>,
    /// Only about this subject.
    pub subject: Option<Uuid>,
    /// Only what was done, or only what was refused.
    pub ok: Option<bool>,
}

impl AuditFilter {
    fn wants(&self, entry: &AuditEntry) -> bool {
        self.action.as_ref().is_none_or(|action| *action == entry.action)
            && self.actor.as_ref().is_none_or(|actor| *actor == entry.actor.id)
            && self.subject.is_none_or(|subject| subject == entry.subject.id)
            && self.ok.is_none_or(|ok| ok == entry.ok)
    }
}

/// A page of the audit.
#[derive(Debug)]
pub struct AuditPage {
    /// The entries in order.
    pub items: Vec<StoredAudit>,
    /// Number of the last entry that was looked at; `None` when there was none.
    pub next_after: Option<u64>,
    /// Whether there is more.
    pub has_more: bool,
}

/// What became of a look along the whole chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that are as they were written, from the first on.
    pub entries: u64,
    /// Number of the first of them: 1 unless the oldest were removed.
    pub first: u64,
    /// Hash of the last of them.
    pub head: String,
    /// How far this server has signed them.
    pub vouched: Option<Vouched>,
    /// Number of the first entry that is missing, out of place, unreadable or changed.
    pub first_bad: Option<u64>,
}

/// The use cases of the audit.
#[derive(Clone)]
pub struct AuditService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    signer: Arc<dyn Signer>,
}

impl AuditService {
    /// Over this store.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        signer: Arc<dyn Signer>,
    ) -> Self {
        Self { store, clock, signer }
    }

    /// Entries with a larger number than `after`, in order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        tenant: TenantId,
        after: u64,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<AuditPage, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let (mut items, mut last, mut read) = (Vec::new(), after, 0);
        loop {
            let found = snapshot.audit(last, PAGE).await?;
            let is_end = found.len() < PAGE;
            read += found.len();
            for entry in found {
                if items.len() == limit && filter.wants(&entry.entry) {
                    return Ok(AuditPage { items, next_after: Some(last), has_more: true });
                }
                last = entry.place.seq;
                if filter.wants(&entry.entry) {
                    items.push(entry);
                }
            }
            if is_end || read >= READ_AT_MOST {
                let next_after = (last > after).then_some(last);
                return Ok(AuditPage { items, next_after, has_more: !is_end });
            }
        }
    }

    /// Looks along the whole chain of a tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self, tenant: TenantId) -> Result<Verdict, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let mut walk = Walk::new(self.signer.verifier(), Some(self.signer.key()));
        let verdict = |walk: &Walk, first_bad| Verdict {
            entries: walk.entries(),
            first: walk.first(),
            head: walk.head().to_owned(),
            vouched: walk.vouched(),
            first_bad,
        };
        loop {
            let page = match snapshot.audit(walk.last(), PAGE).await {
                Ok(page) => page,
                // Which of them it is, is found one by one.
                Err(StoreError::Quarantined) => match snapshot.audit(walk.last(), 1).await {
                    Ok(one) => one,
                    Err(StoreError::Quarantined) => {
                        return Ok(verdict(&walk, Some(walk.last() + 1)));
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            };
            if page.is_empty() {
                return Ok(verdict(&walk, None));
            }
            for entry in &page {
                if let Err(number) = walk.step(entry) {
                    return Ok(verdict(&walk, Some(number)));
                }
            }
        }
    }

    /// Puts on record that somebody wanted more than they may. A store that takes no writes does not
    /// keep the refusal from being one.
    pub async fn refused(&self, ctx: &RequestContext, action: &str, reason: &str) {
        let request = Some(ctx.request_id.clone());
        self.refusal(ctx.tenant, ctx.actor(), action, reason, request).await;
    }

    /// Puts on record that somebody showed a secret that is not accepted, where those who run the
    /// server are at home. Whoever calls this bounds how often a peer can have it done.
    pub async fn not_recognised(&self, peer: &str, action: &str, request_id: &str) {
        let actor = Actor { kind: "peer".to_owned(), id: peer.to_owned(), role: None };
        let (reason, request) = ("no valid credential", Some(request_id.to_owned()));
        self.refusal(TenantId::BOOTSTRAP, actor, action, reason, request).await;
    }

    async fn refusal(
        &self,
        tenant: TenantId,
        actor: Actor,
        action: &str,
        reason: &str,
        request_id: Option<String>,
    ) {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor,
            action: action.to_owned(),
            subject: Subject { kind: SubjectKind::Tenant, id: tenant.uuid() },
            ok: false,
            reason: Some(reason.to_owned()),
            before: None,
            after: None,
            request_id,
        };
        let set = ChangeSet::new(tenant).audit(Some(entry));
        if let Err(error) = self.store.commit(set).await {
            tracing::warn!(%error, action, "A refusal could not be put on record");
        }
    }
}
