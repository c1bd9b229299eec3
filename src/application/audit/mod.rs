//! Reading and verifying the audit of a tenant, and putting refusals on record.

mod refusals;
mod retire;
mod sign;

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use self::refusals::{Noted, Refusal, Refusals, Repeated};
use super::error::AppError;
use super::ports::changes::ChangeSet;
use super::ports::clock::Clock;
use super::ports::signer::Signer;
use super::ports::store::{Store, StoreError};
use super::principal::RequestContext;
use crate::domain::audit::tail::Tail;
use crate::domain::audit::walk::{Vouched, Walk};
use crate::domain::audit::{Actor, AuditEntry, StoredAudit};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

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
    /// Public key of who vouches for the removed ones.
    pub founder: Option<[u8; 32]>,
    /// Hash of the last of them.
    pub head: String,
    /// How far this server has signed them.
    pub vouched: Option<Vouched>,
    /// Number and time of the first one that it has not signed yet.
    pub unsigned: Option<(u64, Timestamp)>,
    /// Number of the first entry that is missing, out of place, unreadable or changed.
    pub first_bad: Option<u64>,
}

/// The use cases of the audit.
#[derive(Clone)]
pub struct AuditService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    signer: Arc<dyn Signer>,
    refusals: Arc<Refusals>,
}

impl AuditService {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, signer: Arc<dyn Signer>) -> Self {
        Self { store, clock, signer, refusals: Arc::default() }
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
        let mut tail = Tail::default();
        let verdict = |walk: &Walk, tail: &Tail, first_bad| Verdict {
            entries: walk.entries(),
            first: walk.first(),
            founder: walk.founder(),
            head: walk.head().to_owned(),
            vouched: walk.vouched(),
            unsigned: tail.first(),
            first_bad,
        };
        loop {
            let page = match snapshot.audit(walk.last(), PAGE).await {
                Ok(page) => page,
                // Which of them it is, is found one by one.
                Err(StoreError::Quarantined) => match snapshot.audit(walk.last(), 1).await {
                    Ok(one) => one,
                    Err(StoreError::Quarantined) => {
                        return Ok(verdict(&walk, &tail, Some(walk.last() + 1)));
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            };
            if page.is_empty() {
                return Ok(verdict(&walk, &tail, walk.end()));
            }
            for entry in &page {
                if let Err(number) = walk.step(entry) {
                    return Ok(verdict(&walk, &tail, Some(number)));
                }
                let vouched = walk.vouched().map(|vouched| vouched.seq);
                tail.follow(entry.place.seq, entry.entry.at, vouched);
            }
        }
    }

    /// Puts on record that somebody wanted more than they may; equal refusals that follow within a minute
    /// are counted, and the count is put on record when it is over. A store that takes no writes does not
    /// keep the refusal from being one.
    pub async fn refused(&self, ctx: &RequestContext, action: &str, reason: &str) {
        let request = Some(ctx.request_id.clone());
        self.refusal(ctx.tenant, ctx.actor(), action, reason, request).await;
    }

    /// Puts on record that somebody showed a secret that is not accepted, where those who run the
    /// server are at home. Whoever calls this bounds how often a peer can have it done.
    pub async fn not_recognised(&self, peer: &str, action: &str, request_id: &str) {
        self.not_let_in(peer, action, "no valid credential", request_id).await;
    }

    /// The same with another reason.
    pub async fn not_let_in(&self, peer: &str, action: &str, reason: &str, request_id: &str) {
        let actor = Actor::plain("peer", peer);
        let request = Some(request_id.to_owned());
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
        let (action, reason) = (action.to_owned(), reason.to_owned());
        let refusal = Refusal { tenant, actor, action, reason };
        let now = self.clock.now();
        let Noted { is_first, ended } = self.refusals.note(&refusal, now);
        self.tell(ended, now).await;
        if is_first && !self.put(AuditEntry { request_id, ..entry(&refusal, now) }, tenant).await {
            self.refusals.forget(&refusal);
        }
    }

    /// Puts on record how many refusals followed others whose minute is over, or all.
    async fn tell_repeated(&self, all: bool) {
        let now = self.clock.now();
        self.tell(self.refusals.over(now, all), now).await;
    }

    async fn tell(&self, ended: Vec<Repeated>, now: Timestamp) {
        for Repeated { refusal, since, count } in ended {
            let after = Some(json!({ "repeated": count, "since": since }));
            self.put(AuditEntry { after, ..entry(&refusal, now) }, refusal.tenant).await;
        }
    }

    async fn put(&self, entry: AuditEntry, tenant: TenantId) -> bool {
        let action = entry.action.clone();
        let put = self.store.commit(ChangeSet::new(tenant).audit(Some(entry))).await;
        if let Err(error) = &put {
            tracing::warn!(%error, action, "A refusal could not be put on record");
        }
        put.is_ok()
    }
}

fn entry(refusal: &Refusal, at: Timestamp) -> AuditEntry {
    let Refusal { tenant, actor, action, reason } = refusal.clone();
    AuditEntry {
        at,
        actor,
        action,
        subject: Subject { kind: SubjectKind::Tenant, id: tenant.uuid() },
        ok: false,
        reason: Some(reason),
        before: None,
        after: None,
        request_id: None,
    }
}
