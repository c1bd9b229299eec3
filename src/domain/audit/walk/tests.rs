//! Chains that were changed, written anew, signed by others, and cut at their beginning.

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::audit::checkpoint::Checkpoint;
use crate::domain::audit::{Actor, AuditEntry, Place};
use crate::domain::event::Subject;
use crate::domain::ids::{AuditId, SessionId};

const OURS: [u8; 32] = [1; 32];
const FOREIGN: [u8; 32] = [2; 32];

/// Stands in for signatures: the sum of message and key, which only these tests know.
fn sum(message: &[u8], key: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    let digest = crate::domain::canonical::sha256(&[message, key].concat());
    signature[..32].copy_from_slice(&digest);
    signature
}

fn verify(message: &[u8], signature: &[u8; 64], key: &[u8; 32]) -> bool {
    sum(message, key) == *signature
}

fn append(chain: &mut Vec<StoredAudit>, entry: AuditEntry) {
    let seq = chain.len() as u64 + 1;
    let id = AuditId::new(Uuid::from_u128(seq.into()));
    let place = Place { tenant_id: TenantId::BOOTSTRAP, seq, id };
    let prev = chain.last().map_or_else(|| NO_HASH.to_owned(), |last| last.hash.clone());
    chain.push(StoredAudit::link(entry, place, prev));
}

fn pause(number: usize) -> AuditEntry {
    AuditEntry {
        at: Timestamp::from_millis(i64::try_from(number).expect("small")),
        actor: Actor::plain("key", "k"),
        action: "pause".to_owned(),
        subject: Subject::session(SessionId::new(Uuid::from_u128(7))),
        ok: true,
        reason: None,
        before: None,
        after: Some(json!({ "number": number })),
        request_id: None,
    }
}

fn signed(last: &StoredAudit, key: [u8; 32]) -> AuditEntry {
    let checkpoint = Checkpoint {
        tenant_id: TenantId::BOOTSTRAP,
        seq: last.place.seq,
        hash: last.hash.clone(),
        at: Timestamp::from_millis(99),
    };
    let signature = sum(checkpoint.message().as_bytes(), &key);
    SignedCheckpoint { checkpoint, key, signature }.entry()
}

fn walked(chain: &[StoredAudit], trusted: Option<[u8; 32]>) -> (Walk, Option<u64>) {
    let mut walk = Walk::new(verify, trusted);
    let first_bad = chain.iter().find_map(|entry| walk.step(entry).err()).or_else(|| walk.end());
    (walk, first_bad)
}

fn first_bad(chain: &[StoredAudit]) -> Option<u64> {
    walked(chain, Some(OURS)).1
}

/// Twenty entries; the tenth and the last are checkpoints.
fn chain() -> Vec<StoredAudit> {
    let mut chain = Vec::new();
    for number in 1..=20_usize {
        let entry = match (number.is_multiple_of(10), chain.last()) {
            (true, Some(last)) => signed(last, OURS),
            _ => pause(number),
        };
        append(&mut chain, entry);
    }
    chain
}

/// The same chain with another fact, every hash behind it taken anew.
fn rewritten(chain: &[StoredAudit], at: usize) -> Vec<StoredAudit> {
    let mut anew = chain[..at].to_vec();
    for (index, stored) in chain.iter().enumerate().skip(at) {
        let mut entry = stored.entry.clone();
        if index == at {
            entry.reason = Some("another one".to_owned());
        }
        append(&mut anew, entry);
    }
    anew
}

#[test]
fn a_walk_names_the_first_entry_that_is_not_as_it_was_written() {
    let chain = chain();
    assert_eq!(first_bad(&chain), None);
    for at in 0..20_usize {
        let number = at as u64 + 1;
        let tampered = |change: &dyn Fn(&mut Vec<StoredAudit>)| {
            let mut chain = chain.clone();
            change(&mut chain);
            first_bad(&chain)
        };
        assert_eq!(tampered(&|chain| chain[at].entry.action.push('d')), Some(number));
        assert_eq!(tampered(&|chain| chain[at].entry.ok = false), Some(number));
        assert_eq!(tampered(&|chain| chain[at].place.tenant_id = TenantId::SYSTEM), Some(number));
        assert_eq!(tampered(&|chain| chain[at].hash.replace_range(0..1, "x")), Some(number));
        if at < 19 {
            assert_eq!(tampered(&|chain| drop(chain.remove(at))), Some(number));
            assert_eq!(tampered(&|chain| chain.swap(at, at + 1)), Some(number));
        }
        // An entry that is written anew with its hash does not fit to the next one.
        let forged = |chain: &mut Vec<StoredAudit>| {
            let StoredAudit { place, mut entry, prev_hash, .. } = chain[at].clone();
            entry.reason = Some("another one".to_owned());
            chain[at] = StoredAudit::link(entry, place, prev_hash);
        };
        assert_eq!(tampered(&forged), (at < 19).then_some(number + 1));
    }
}

#[test]
fn a_chain_that_was_written_anew_is_found_by_the_signature_behind_it() {
    let chain = chain();
    let (walk, bad) = walked(&chain, Some(OURS));
    assert_eq!((bad, walk.vouched()), (None, Some(Vouched { seq: 19, key: OURS })));
    for at in 0..9 {
        assert_eq!(first_bad(&rewritten(&chain, at)), Some(1), "entry {at}");
    }
    for at in 10..19 {
        assert_eq!(first_bad(&rewritten(&chain, at)), Some(10), "entry {at}");
    }
    // What is not signed yet can be written anew, and is told to be unsigned.
    let (walk, bad) = walked(&rewritten(&chain[..15], 12), Some(OURS));
    assert_eq!((bad, walk.vouched().map(|vouched| vouched.seq)), (None, Some(9)));
}

#[test]
fn nobody_else_vouches() {
    let mut chain = chain();
    let last = chain.last().expect("an entry").clone();
    append(&mut chain, signed(&last, FOREIGN));
    let (walk, bad) = walked(&chain, Some(OURS));
    assert_eq!((bad, walk.vouched()), (None, Some(Vouched { seq: 19, key: OURS })));
    let (walk, _) = walked(&chain, None);
    assert_eq!(walk.vouched(), Some(Vouched { seq: 20, key: FOREIGN }));
    // With a signature that is none, the entry is not one that a server wrote.
    let mut entry = signed(&last, OURS);
    entry.after.as_mut().expect("a checkpoint")["signature"] = json!("00".repeat(64));
    chain.truncate(20);
    append(&mut chain, entry);
    assert_eq!(first_bad(&chain), Some(21));
}

#[test]
fn a_chain_without_its_oldest_part_begins_with_a_signature() {
    let chain = chain();
    let (walk, bad) = walked(&chain[9..], Some(OURS));
    assert_eq!((bad, walk.first(), walk.last(), walk.entries()), (None, 10, 20, 11));
    assert_eq!(first_bad(&chain[10..]), Some(1), "nobody vouches for what is gone");
    let mut foreign = chain[..9].to_vec();
    append(&mut foreign, signed(&chain[8], FOREIGN));
    assert_eq!(walked(&foreign[9..], Some(OURS)).1, Some(1));
    assert_eq!(walked(&foreign[9..], None).1, None);
}
