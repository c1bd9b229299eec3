//! Random chains, random limits, and work that is cut off: what is left always verifies, and whatever
//! is changed in it is found.

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::application::audit::Verdict;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Clock;
use crate::application::ports::signer::Signer as _;
use crate::application::ports::store::Store as _;
use crate::domain::audit::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::domain::audit::{Actor, AuditEntry, StoredAudit};
use crate::domain::event::{Subject, SubjectKind};
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::keys::sign::KeySigner;
use crate::infrastructure::storage::memory::MemoryStore;

use std::sync::Arc;

const TENANT: TenantId = TenantId::BOOTSTRAP;

/// What is written next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Somebody does something.
    Entry,
    /// This server vouches for everything but the newest so many entries.
    Signed(usize),
    /// Another server does.
    Foreign(usize),
}

/// A store with a chain.
struct Chain {
    store: Arc<MemoryStore>,
    audit: AuditService,
    ours: Arc<KeySigner>,
    theirs: KeySigner,
}

impl Chain {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store = MemoryStore::new(Arc::clone(&clock), Arc::new(SystemIds));
        let ours = Arc::new(KeySigner::new(&[7; 32]).expect("a key"));
        let theirs = KeySigner::new(&[8; 32]).expect("a key");
        let audit = AuditService::new(store.clone(), clock, ours.clone());
        Self { store, audit, ours, theirs }
    }

    async fn of(written: &[(Next, i64)]) -> Self {
        let chain = Self::new();
        let mut at = 0;
        for (next, millis) in written {
            at += millis;
            chain.write(*next, Timestamp::from_millis(at)).await;
        }
        chain
    }

    async fn write(&self, next: Next, at: Timestamp) {
        let entries = self.held().await;
        let signed = |signer: &KeySigner, late: usize| {
            let up_to = entries.len().checked_sub(late + 1)?;
            Some(signed(signer, &entries[up_to], at).entry())
        };
        let entry = match next {
            Next::Entry => None,
            Next::Signed(late) => signed(&self.ours, late),
            Next::Foreign(late) => signed(&self.theirs, late),
        };
        self.put(entry.unwrap_or_else(|| plain(at))).await;
    }

    async fn put(&self, entry: AuditEntry) {
        let set = ChangeSet::new(TENANT).audit(Some(entry));
        self.store.commit(set).await.expect("stored");
    }

    async fn held(&self) -> Vec<StoredAudit> {
        let snapshot = self.store.snapshot(TENANT).await.expect("a snapshot");
        snapshot.audit(0, usize::MAX).await.expect("read")
    }

    async fn verdict(&self) -> Verdict {
        self.audit.verify(TENANT).await.expect("read")
    }

    async fn retire(&self, before: i64, batch: usize) -> usize {
        let before = Timestamp::from_millis(before);
        self.audit.retire(TENANT, before, batch).await.expect("done")
    }
}

fn signed(signer: &KeySigner, last: &StoredAudit, at: Timestamp) -> SignedCheckpoint {
    let (seq, hash) = (last.place.seq, last.hash.clone());
    let checkpoint = Checkpoint { tenant_id: TENANT, seq, hash, at };
    let signature = signer.sign(checkpoint.message().as_bytes());
    SignedCheckpoint { checkpoint, key: signer.key(), signature }
}

fn plain(at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: Actor { kind: "key".to_owned(), id: "k".to_owned(), key: None, role: None },
        action: "pause".to_owned(),
        subject: Subject { kind: SubjectKind::Tenant, id: Uuid::from_u128(7) },
        ok: true,
        reason: None,
        before: None,
        after: Some(json!({ "a": 1 })),
        request_id: None,
    }
}

/// The first bad entry of what somebody holds.
fn first_bad(entries: &[StoredAudit], signer: &KeySigner) -> Option<u64> {
    let mut walk = Walk::new(signer.verifier(), Some(signer.key()));
    entries.iter().find_map(|entry| walk.step(entry).err()).or_else(|| walk.end())
}

fn written() -> impl Strategy<Value = Vec<(Next, i64)>> {
    let next = prop_oneof![
        6 => Just(Next::Entry),
        3 => (0_usize..4).prop_map(Next::Signed),
        1 => (0_usize..4).prop_map(Next::Foreign),
    ];
    proptest::collection::vec((next, 0_i64..20), 1..60)
}

fn waited<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

proptest! {
    #[test]
    fn what_is_left_verifies_wherever_it_was_cut_off_and_every_change_of_it_is_found(
        written in written(),
        limits in proptest::collection::vec((0_i64..700, 1_usize..20, 1_usize..4), 1..4),
        (place, kind) in (any::<proptest::sample::Index>(), 0_u8..4),
    ) {
        waited(async {
            let chain = Chain::of(&written).await;
            let whole = chain.held().await;
            prop_assert_eq!(chain.verdict().await.first_bad, None);
            let mut oldest = 0;
            for (before, batch, steps) in limits {
                oldest = oldest.max(before);
                // Cut off after some of its commits: each leaves a chain.
                for _ in 0..steps {
                    chain.retire(before, batch).await;
                    let (held, verdict) = (chain.held().await, chain.verdict().await);
                    prop_assert_eq!(verdict.first_bad, None);
                    let gone = whole.len() - held.len();
                    prop_assert_eq!(&held[..], &whole[gone..], "the newest part, as it was");
                    prop_assert_eq!(verdict.first, held[0].place.seq);
                    prop_assert_eq!(verdict.founder.is_some(), gone > 0);
                    let is_old = |entry: &StoredAudit| entry.entry.at.millis() < oldest;
                    prop_assert!(whole[..gone].iter().all(is_old));
                }
            }
            while chain.retire(oldest, 3).await > 0 {}
            let held = chain.held().await;
            // What is gone stays gone, and it is as much as was vouched for among what is old.
            let old = whole.iter().take_while(|entry| entry.entry.at.millis() < oldest);
            let vouched = old.filter(|entry| entry.entry.action == "sign_audit").filter_map(|entry| {
                let after = entry.entry.after.as_ref()?;
                let signed = SignedCheckpoint::read(TENANT, entry.entry.at, after)?;
                (signed.key == chain.ours.key()).then_some(signed.checkpoint.seq)
            });
            let newest = vouched.max().unwrap_or(0);
            prop_assert_eq!(held[0].place.seq, newest + 1);
            let mut spoilt = held.clone();
            let at = place.index(held.len());
            match kind {
                0 => spoilt[at].entry.reason = Some("another one".to_owned()),
                1 => {
                    let StoredAudit { place, mut entry, prev_hash, .. } = spoilt[at].clone();
                    entry.reason = Some("another one".to_owned());
                    spoilt[at] = StoredAudit::link(entry, place, prev_hash);
                }
                2 => spoilt[at].place.seq += 1,
                _ => drop(spoilt.remove(at)),
            }
            // The newest entry alone is known only by whoever kept its hash; a beginning that is cut
            // off where a signature vouches is seen by the number that it then begins with.
            let is_cut = kind == 3 && (at == 0 || at + 1 == held.len());
            let is_seen = !is_cut && (at + 1 < held.len() || kind != 1);
            prop_assert!(!is_seen || first_bad(&spoilt, &chain.ours).is_some(), "{} of {}", at, held.len());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_old_part_goes_in_batches_that_end_where_a_signature_vouches() {
    let mut written: Vec<(Next, i64)> = Vec::new();
    for _ in 0..6 {
        written.extend([(Next::Entry, 1); 9]);
        written.push((Next::Signed(0), 1));
    }
    let chain = Chain::of(&written).await;
    assert_eq!(chain.retire(5, 100).await, 0, "nobody vouches for what is old");
    // Written at 1 to 60; the checkpoints are 10, 20, and so on.
    assert_eq!(chain.retire(46, 10_000).await, 39);
    assert_eq!(chain.retire(46, 10_000).await, 0);
    let verdict = chain.verdict().await;
    let founder = Some(chain.ours.key());
    assert_eq!((verdict.first, verdict.entries, verdict.founder), (40, 21, founder));
    assert_eq!((verdict.first_bad, verdict.vouched.map(|vouched| vouched.seq)), (None, Some(59)));
    chain.write(Next::Entry, Timestamp::from_millis(99)).await;
    assert_eq!(chain.held().await.last().expect("one").place.seq, 61, "numbers go on");
}

#[tokio::test]
async fn what_is_signed_by_nobody_else_or_falsely_is_no_anchor() {
    let chain = Chain::of(&[(Next::Entry, 1), (Next::Entry, 1), (Next::Foreign(0), 1)]).await;
    assert_eq!(chain.retire(100, 1).await, 0, "another server vouches");
    let last = chain.held().await.pop().expect("an entry");
    let mut forged = signed(&chain.ours, &last, Timestamp::from_millis(4));
    forged.signature[0] ^= 1;
    chain.put(forged.entry()).await;
    chain.write(Next::Signed(0), Timestamp::from_millis(5)).await;
    assert_eq!(chain.retire(100, 1).await, 0, "nothing behind a forgery is believed");
    assert_eq!((chain.held().await.len(), chain.verdict().await.first_bad), (5, Some(4)));
    // What comes in front of it is vouched for, and may go; the forgery stays and is found.
    let chain = Chain::of(&[(Next::Entry, 1), (Next::Signed(0), 1), (Next::Entry, 1)]).await;
    let last = chain.held().await.pop().expect("an entry");
    let mut forged = signed(&chain.ours, &last, Timestamp::from_millis(4));
    forged.checkpoint.hash = "ab".repeat(32);
    chain.put(forged.entry()).await;
    assert_eq!((chain.retire(100, 1).await, chain.retire(100, 1).await), (1, 0));
    let verdict = chain.verdict().await;
    assert_eq!((verdict.first, verdict.first_bad), (2, Some(4)));
}

#[tokio::test]
async fn a_chain_of_another_server_is_taken_over_once_this_one_has_signed_it() {
    let chain = Chain::of(&[(Next::Entry, 1), (Next::Entry, 1), (Next::Foreign(0), 1)]).await;
    let moved = async || chain.store.remove_outdated(Outdated::Audit(TENANT, 2), 9).await;
    assert_eq!(moved().await.expect("done"), 2, "as the other server did");
    assert_eq!(chain.verdict().await.first_bad, Some(1), "its word is not enough");
    chain.write(Next::Signed(0), Timestamp::from_millis(9)).await;
    let verdict = chain.verdict().await;
    assert_eq!((verdict.first, verdict.first_bad), (3, None));
    assert_eq!(verdict.founder, Some(chain.theirs.key()));
}
