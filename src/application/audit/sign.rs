//! Signing the chains: now and then the server vouches for what it wrote.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::AuditService;
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::domain::audit::checkpoint::{ACTION, Checkpoint, SignedCheckpoint};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// How often the chains are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Entries that stand unsigned this long are signed. What a server finds when it sees a chain for the
/// first time may stand so for long, or come from another server: it is signed at once.
const LONGEST: Duration = Duration::from_mins(1);
/// So many entries are signed at the next look.
const MOST: u64 = 1000;

/// What was found of a chain when it was looked at last.
struct Seen {
    /// Number of the newest entry that is signed, or is a checkpoint itself.
    signed: u64,
    /// Since when there is more.
    since: Option<Timestamp>,
}

impl AuditService {
    /// Signs every chain that has grown, now and then and once more when cancelled; what was counted of
    /// refusals is put on record before.
    pub async fn sign(self, stop: CancellationToken) {
        let mut seen = HashMap::new();
        loop {
            let is_last = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.clock.sleep(LOOK) => false,
            };
            self.tell_repeated(is_last).await;
            if let Err(error) = self.sign_due(&mut seen, is_last).await {
                tracing::warn!(%error, "The audit could not be signed");
            }
            if is_last {
                return;
            }
        }
    }

    async fn sign_due(
        &self,
        seen: &mut HashMap<TenantId, Seen>,
        at_once: bool,
    ) -> Result<(), AppError> {
        let tenants = self.store.fleet().await?.tenants().await?;
        for tenant in tenants.iter().map(|found| found.value.id) {
            let now = self.clock.now();
            let snapshot = self.store.snapshot(tenant).await?;
            let Some((seq, hash)) = snapshot.audit_head().await? else { continue };
            let unseen = Seen { signed: 0, since: Some(Timestamp::EPOCH) };
            let chain = seen.entry(tenant).or_insert(unseen);
            if seq == chain.signed {
                continue;
            }
            let since = *chain.since.get_or_insert(now);
            let is_due = now.since(since) >= LONGEST || seq - chain.signed >= MOST;
            if !at_once && !is_due {
                continue;
            }
            let newest = snapshot.audit(seq - 1, 1).await?;
            drop(snapshot);
            let is_signed = newest.first().is_some_and(|newest| newest.entry.action == ACTION);
            let signed = if is_signed { seq } else { self.vouch(tenant, seq, hash).await? };
            *chain = Seen { signed, since: None };
        }
        Ok(())
    }

    /// Vouches for a chain up to an entry; the number of the checkpoint, if nothing came between.
    async fn vouch(&self, tenant_id: TenantId, seq: u64, hash: String) -> Result<u64, AppError> {
        let checkpoint = Checkpoint { tenant_id, seq, hash, at: self.clock.now() };
        let signature = self.signer.sign(checkpoint.message().as_bytes());
        let signed = SignedCheckpoint { checkpoint, key: self.signer.key(), signature };
        self.store.commit(ChangeSet::new(tenant_id).audit(Some(signed.entry()))).await?;
        Ok(seq + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::application::ports::changes::{Expect, Put, Write};
    use crate::application::ports::clock::{Clock, Ids};
    use crate::application::ports::signer::Signer as _;
    use crate::application::ports::store::Store as _;
    use crate::domain::audit::walk::Vouched;
    use crate::domain::tenant::Tenant;
    use crate::infrastructure::clock::SystemClock;
    use crate::infrastructure::ids::SystemIds;
    use crate::infrastructure::keys::sign::KeySigner;
    use crate::infrastructure::storage::memory::MemoryStore;

    #[tokio::test]
    async fn a_chain_is_signed_when_it_has_grown_or_waited_and_not_again() {
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) =
            (Arc::new(SystemClock::new()), Arc::new(SystemIds));
        let store = MemoryStore::new(Arc::clone(&clock), ids);
        let signer = Arc::new(KeySigner::new(&[7; 32]).expect("a key"));
        let audit = AuditService::new(store.clone(), Arc::clone(&clock), signer.clone());
        let tenant = TenantId::BOOTSTRAP;
        let put = Put { expect: Expect::Absent, value: Tenant::bootstrap(clock.now()) };
        let write = Write::Tenant(put);
        store.commit(ChangeSet::new(tenant).write(write)).await.expect("a tenant");
        let mut seen = HashMap::new();
        let vouched = async || audit.verify(tenant).await.expect("read").vouched;
        let up_to = |seq| Some(Vouched { seq, key: signer.key() });
        audit.not_recognised("127.0.0.1", "GET /x", "r").await;
        audit.sign_due(&mut seen, false).await.expect("signed");
        assert_eq!(vouched().await, up_to(1), "it is seen for the first time");
        audit.not_recognised("127.0.0.2", "GET /x", "r").await;
        audit.sign_due(&mut seen, false).await.expect("signed");
        assert_eq!(vouched().await, up_to(1), "not yet");
        seen.get_mut(&tenant).expect("seen").since = Some(Timestamp::EPOCH);
        audit.sign_due(&mut seen, false).await.expect("signed");
        assert_eq!(vouched().await, up_to(3), "it waited");
        for _ in 0..3 {
            seen.remove(&tenant);
            audit.sign_due(&mut seen, true).await.expect("signed");
        }
        assert_eq!(audit.verify(tenant).await.expect("read").entries, 4, "nothing to sign");
        audit.sign_due(&mut seen, false).await.expect("signed");
        for number in 0..MOST {
            audit.not_recognised(&format!("peer {number}"), "GET /x", "r").await;
        }
        audit.sign_due(&mut seen, false).await.expect("signed");
        assert_eq!(vouched().await, up_to(MOST + 4), "it has grown");
    }

    #[tokio::test]
    async fn what_was_counted_of_refusals_is_on_record_when_the_server_ends() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store = MemoryStore::new(Arc::clone(&clock), Arc::new(SystemIds));
        let signer = Arc::new(KeySigner::new(&[7; 32]).expect("a key"));
        let audit = AuditService::new(store.clone(), Arc::clone(&clock), signer);
        let tenant = TenantId::BOOTSTRAP;
        let put = Put { expect: Expect::Absent, value: Tenant::bootstrap(clock.now()) };
        store.commit(ChangeSet::new(tenant).write(Write::Tenant(put))).await.expect("a tenant");
        for peer in ["one", "two", "one", "one", "one"] {
            audit.not_recognised(peer, "GET /x", "r").await;
        }
        let stop = CancellationToken::new();
        stop.cancel();
        audit.clone().sign(stop).await;
        let entries = store.snapshot(tenant).await.expect("a view").audit(0, 10).await;
        let told = |entry: &crate::domain::audit::StoredAudit| {
            let repeated = entry.entry.after.as_ref().and_then(|after| after["repeated"].as_u64());
            (entry.entry.actor.id.clone(), repeated)
        };
        let told: Vec<_> = entries.expect("read").iter().map(told).collect();
        let expected = [("one", None), ("two", None), ("one", Some(3)), ("orchestrator", None)];
        assert_eq!(told, expected.map(|(id, repeated)| (id.to_owned(), repeated)));
    }
}
