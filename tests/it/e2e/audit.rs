//! The audit as a file: whatever is changed in it is found, with the number of the first bad entry.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use orchestrator::domain::audit::link_hash;
use orchestrator::domain::canonical::canonical;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::text;
use crate::support::server::{Finished, Site};

async fn verify(site: &Site, file: &Path, more: &[&str]) -> (Finished, Value) {
    let file = file.display().to_string();
    let words = [&["--json", "audit", "verify", "--file", &file], more].concat();
    let done = site.cli(&words).await;
    let verdict = serde_json::from_str(&done.out).unwrap_or_default();
    (done, verdict)
}

/// One random change of a line-by-line export; the number of the first entry that is bad then.
fn tamper(lines: &[String], chance: &mut StdRng) -> (Vec<String>, u64) {
    let mut lines = lines.to_vec();
    // What is done to the newest entry alone is seen only by whoever kept its hash.
    let at = chance.random_range(0..lines.len() - 1);
    let number = at as u64 + 1;
    match chance.random_range(0..6) {
        0 => {
            let mut bytes = lines[at].clone().into_bytes();
            let place = chance.random_range(0..bytes.len());
            bytes[place] = if bytes[place] == b'3' { b'4' } else { b'3' };
            lines[at] = String::from_utf8(bytes).expect("ASCII");
        }
        1 => drop(lines.remove(at)),
        2 => lines.swap(at, at + 1),
        3 => {
            let copied = chance.random_range(0..lines.len());
            lines.insert(at, lines[copied].clone());
            // In front of itself it stands in its own place, and then once more.
            return (lines, if copied == at { number + 1 } else { number });
        }
        4 => {
            forge(&mut lines, at, None);
            return (lines, number + 1);
        }
        _ => {
            let place = chance.random_range(0..lines[at].len());
            lines[at].insert(place, ' ');
        }
    }
    (lines, number)
}

/// Another fact in an entry, with the hash that fits to it; behind another one when given.
fn forge(lines: &mut [String], at: usize, prev_hash: Option<&Value>) -> Value {
    let mut entry: Value = serde_json::from_str(&lines[at]).expect("an entry");
    match prev_hash {
        None => entry["reason"] = json!("another one"),
        Some(prev_hash) => entry["prev_hash"] = prev_hash.clone(),
    }
    let mut bare = entry.clone();
    bare.as_object_mut().expect("an object").retain(|name, _| !name.ends_with("hash"));
    entry["hash"] = json!(link_hash(text(&entry["prev_hash"]), &canonical(&bare)));
    lines[at] = entry.to_string();
    entry["hash"].clone()
}

fn write(file: &Path, lines: &[String]) {
    std::fs::write(file, lines.join("\n") + "\n").expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_an_exported_audit_is_found_with_its_number() {
    let site = Site::simulated();
    // What happened until a server went down is signed by then.
    for run in 0..3 {
        let server = site.serve().await;
        for number in 0..12 {
            let prompt = json!({ "initial_prompt": format!("run {run}, number {number}") });
            let id = text(&server.api.post("sessions", prompt).await["id"]).to_owned();
            let reason = json!({ "reason": "enough" });
            server.api.post(&format!("sessions/{id}/cancel"), reason).await;
        }
        server.stop().await;
    }
    let _server = site.serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, changed) = (folder.path().join("audit.jsonl"), folder.path().join("changed.jsonl"));
    let exported = site.cli(&["audit", "export", &file.display().to_string()]).await;
    assert_eq!(exported.exit, 0, "{exported:?}");
    let text_of = std::fs::read_to_string(&file).expect("written");
    let lines: Vec<String> = text_of.lines().map(str::to_owned).collect();
    let (done, whole) = verify(&site, &file, &[]).await;
    assert_eq!((done.exit, &whole["intact"]), (0, &json!(true)), "{done:?}");
    assert_eq!(whole["entries"], json!(lines.len()));
    let (signer, up_to) = (text(&whole["signed_by"]), whole["signed_up_to"].as_u64());
    assert!(up_to.is_some_and(|seq| seq >= 72), "three times twelve by two: {whole}");
    let told: Value = {
        let done = site.cli(&["--json", "audit", "verify"]).await;
        serde_json::from_str(&done.out).expect("JSON")
    };
    assert_eq!(told["signed_by"], whole["signed_by"], "it is the server's own key");

    let seed = rand::rng().random();
    let mut chance = StdRng::seed_from_u64(seed);
    for round in 0..500 {
        let (lines, first_bad) = tamper(&lines, &mut chance);
        write(&changed, &lines);
        let (done, verdict) = verify(&site, &changed, &["--signer", signer]).await;
        let found = (done.exit, &verdict["intact"], verdict["first_bad"].as_u64());
        assert_eq!(found, (65, &json!(false), Some(first_bad)), "seed {seed}, round {round}");
    }

    // Whoever writes every hash anew has no signature for it.
    let mut anew = lines.clone();
    let mut hash = forge(&mut anew, 4, None);
    for at in 5..anew.len() {
        hash = forge(&mut anew, at, Some(&hash));
    }
    write(&changed, &anew);
    let (done, verdict) = verify(&site, &changed, &["--signer", signer]).await;
    assert_eq!((done.exit, verdict["first_bad"].as_u64()), (65, Some(1)), "{done:?}");
    // A tail that was cut off is found by whoever kept the newest hash.
    write(&changed, &lines[..lines.len() - 3]);
    let (done, _) = verify(&site, &changed, &[]).await;
    assert_eq!(done.exit, 0, "nothing tells");
    let (done, verdict) = verify(&site, &changed, &["--head", text(&whole["head"])]).await;
    assert_eq!((done.exit, &verdict["intact"]), (65, &json!(false)));
    // Another server did not sign it.
    let (done, verdict) = verify(&site, &file, &["--signer", &"7".repeat(64)]).await;
    assert_eq!((done.exit, &verdict["intact"]), (65, &json!(false)), "{done:?}");
    assert_eq!(verdict["signed_up_to"], Value::Null);
}

/// All hashes taken anew, and no signature among them: the numbers go on from 1.
fn stripped(lines: &[String]) -> Vec<String> {
    let is_kept = |line: &&String| !line.contains("\"action\":\"sign_audit\"");
    let mut kept: Vec<String> = lines.iter().filter(is_kept).cloned().collect();
    let mut hash = json!("0".repeat(64));
    for at in 0..kept.len() {
        let mut entry: Value = serde_json::from_str(&kept[at]).expect("an entry");
        entry["seq"] = json!(at + 1);
        kept[at] = entry.to_string();
        hash = forge(&mut kept, at, Some(&hash));
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_signer_has_to_vouch_and_what_is_missing_is_told() {
    let site = Site::simulated();
    for run in 0..2 {
        let server = site.serve().await;
        for number in 0..4 {
            let prompt = json!({ "initial_prompt": format!("run {run}, number {number}") });
            server.api.post("sessions", prompt).await;
        }
        server.stop().await;
    }
    let server = site.serve().await;
    server.api.post("sessions", json!({ "initial_prompt": "not signed yet" })).await;
    let (file, changed) = (site.root().join("audit.jsonl"), site.root().join("changed.jsonl"));
    let exported = site.cli(&["audit", "export", &file.display().to_string()]).await;
    assert_eq!(exported.exit, 0, "{exported:?}");
    let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it names people and addresses");
    let text_of = std::fs::read_to_string(&file).expect("written");
    let lines: Vec<String> = text_of.lines().map(str::to_owned).collect();
    let told: Value = {
        let done = site.cli(&["--json", "audit", "verify"]).await;
        serde_json::from_str(&done.out).expect("JSON")
    };
    server.stop().await;
    let signer = text(&told["signed_by"]);
    assert_eq!((&told["intact"], &told["complete"]), (&json!(true), &json!(true)));

    let (done, whole) = verify(&site, &file, &["--signer", signer]).await;
    assert_eq!((done.exit, &whole["complete"]), (0, &json!(true)), "{done:?}");
    let from = whole["unsigned_from"].as_u64().expect("the newest is not signed");
    assert_eq!(whole["unsigned_since"], told["unsigned_since"]);
    let path = file.display().to_string();
    let done = site.cli(&["audit", "verify", "--file", &path, "--signer", signer]).await;
    assert!(
        done.out.contains(&format!("entries {from} to {} are not signed yet", lines.len())),
        "{done:?}"
    );

    // Written anew without its signatures: it is a chain, but not that signer's.
    write(&changed, &stripped(&lines));
    let (done, verdict) = verify(&site, &changed, &[]).await;
    assert_eq!((done.exit, &verdict["signed_by"]), (0, &Value::Null), "{done:?}");
    let (done, verdict) = verify(&site, &changed, &["--signer", signer]).await;
    assert_eq!((done.exit, &verdict["intact"]), (65, &json!(false)), "{done:?}");

    // Its beginning was cut off where a signature stands.
    let cut = lines.iter().position(|line| line.contains("\"action\":\"sign_audit\""));
    let cut = cut.expect("a signature");
    write(&changed, &lines[cut..]);
    let (done, verdict) = verify(&site, &changed, &["--signer", signer]).await;
    let found = (done.exit, &verdict["complete"], verdict["first"].as_u64());
    assert_eq!(found, (0, &json!(false), Some(cut as u64 + 1)), "{done:?}");
    let path = changed.display().to_string();
    let done = site.cli(&["audit", "verify", "--file", &path, "--signer", signer]).await;
    assert!(done.out.contains(&format!("entries 1 to {cut} are not here")), "{done:?}");
    let (done, _) = verify(&site, &changed, &[]).await;
    assert_eq!(done.exit, 65, "nobody is named who vouches for the rest: {done:?}");
    write(&changed, &lines[cut + 1..]);
    let (done, _) = verify(&site, &changed, &["--signer", signer]).await;
    assert_eq!(done.exit, 65, "nothing vouches for the rest: {done:?}");
}
