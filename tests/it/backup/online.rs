//! A backup of a server that many write to, and of one that does not run.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use orchestrator::application::error::AppError;
use orchestrator::application::ports::archives::{Archives as _, Wanted};
use orchestrator::application::ports::journal::{Journal as _, NewEntry, Stream};
use orchestrator::application::principal::{Principal, RequestContext};
use orchestrator::application::system::archive::ArchiveService;
use orchestrator::domain::ids::KeyId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::network::Reach;
use orchestrator::domain::tenant::scope::Scopes;
use orchestrator::presentation::api::problem::Problem;
use serde_json::{Value, json};

use super::{back_up, busy_site, files, path, restored, used_site, worked_on};
use crate::contract::fixtures::{SetClock, TENANT, at, open_redb, stored};
use crate::e2e::writers::write_until_gone;
use crate::support::opencode::eventually;
use crate::support::server::{ADMIN_KEY, Api, Site, array, text};

/// Who writes at the same time.
const WRITERS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_a_store_that_keeps_every_invariant() {
    let site = busy_site();
    let server = site.serve().await;
    server.lift_quotas().await;
    let api = server.api.clone();
    let taken = async {
        let mut taken = Vec::new();
        for round in 0..4 {
            until_more_than(&api, 20 * (round + 1)).await;
            let before = api.all("sessions").await;
            taken.push((before, back_up(&site, &format!("round-{round}.tar.zst")).await));
        }
        let refused = restored(&site, &taken[0].1).await;
        assert_eq!(refused.exit, 75, "a server holds it: {refused:?}");
        server.kill().await;
        taken
    };
    let writers = (0..WRITERS).map(|writer| write_until_gone(&api, 7, writer));
    let (told, taken) = tokio::join!(futures_util::future::join_all(writers), taken);
    let created: usize = told.iter().map(|told| told.creates.len()).sum();
    assert!(created > 50, "only {created} were created meanwhile");
    let refused = restored(&site, &taken[0].1).await;
    assert_eq!(refused.exit, 1, "a store is there: {refused:?}");
    assert!(refused.err.contains("holds a store already"), "{refused:?}");
    for (before, file) in &taken {
        let other = busy_site();
        let done = restored(&other, file).await;
        assert_eq!(done.exit, 0, "{done:?}");
        other.keeps_invariants().await;
        let server = other.serve().await;
        let now = server.all("sessions").await;
        for session in before {
            let found = now.iter().find(|one| one["id"] == session["id"]);
            let found = found.unwrap_or_else(|| panic!("acknowledged and not in it: {session:#}"));
            assert!(found["revision"].as_u64() >= session["revision"].as_u64(), "{found:#}");
        }
        goes_on(&server.api).await;
        server.stop().await;
        other.keeps_invariants().await;
    }
}

/// Waits until so many sessions are there.
async fn until_more_than(api: &Api, count: usize) {
    eventually("sessions", async || api.all("sessions").await.len() > count).await;
}

/// What a server on a restored store says, and that it works.
async fn goes_on(api: &Api) {
    let info = api.get("system/info").await;
    assert!(info["restored_at"].is_string(), "{info:#}");
    let audit = api.get("audit?action=restore").await;
    assert_eq!(array(&audit["items"]).len(), 1, "{audit:#}");
    assert_eq!(api.get("audit/verify").await["intact"], json!(true));
    let id = worked_on(api, "after the restore").await;
    let session = api.session(&id).await;
    let code = text(&session["code"]).trim_start_matches("IND-").parse::<u64>();
    assert!(code.is_ok_and(|code| code > 10_000), "{session:#}");
    let attempts = api.get(&format!("sessions/{id}/attempts")).await;
    let token = attempts["items"][0]["leases"][0]["fencing_token"].as_u64();
    assert!(token > Some(1 << 32), "{attempts:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_a_server_replaces_nothing_unless_told() {
    let site = used_site().await;
    let file = back_up(&site, "mine.tar.zst").await;
    let facts = std::fs::metadata(&file).expect("there");
    assert_eq!(facts.mode() & 0o777, 0o600);
    let verified = site.cli(&["backup", "--verify", path(&file), "--json"]).await;
    assert_eq!(verified.exit, 0, "{verified:?}");
    let told: Value = serde_json::from_str(&verified.out).expect("JSON");
    assert_eq!(told["manifest"]["tables"]["sessions.k1"], json!(3), "{told:#}");
    let before = std::fs::read(&file).expect("readable");
    let refused = site.cli(&["backup", path(&file)]).await;
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.err.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read(&file).expect("readable"), before);
    let forced = site.cli(&["backup", path(&file), "--force", "--reason", "tuesday"]).await;
    assert_eq!(forced.exit, 0, "{forced:?}");
    assert!(forced.err.contains("git repositories"), "it says what is not in it: {forced:?}");
    assert_ne!(std::fs::read(&file).expect("readable"), before);
    let leftovers: Vec<String> = files(site.root());
    assert_eq!(leftovers, [""; 0], "nothing in part is left");
    assert_eq!(files(&site.data()), ["store.redb"], "nor beside the store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_no_key() {
    let site = used_site().await;
    let server = site.serve().await;
    let key = server.post("keys", json!({ "name": "ci", "role": "member" })).await;
    let secret = text(&key["secret"]).to_owned();
    assert!(secret.starts_with("iok_"), "{key:#}");
    let file = back_up(&site, "a.tar.zst").await;
    server.stop().await;
    let packed = std::fs::File::open(&file).expect("readable");
    let bytes = zstd::decode_all(packed).expect("any reader of zstd takes it");
    for canary in [ADMIN_KEY, &secret] {
        let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
        assert!(!found, "a key lies in it");
    }
    let title = b"number 2";
    assert!(bytes.windows(title.len()).any(|part| part == title), "the check is blind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_system_administrator_takes_a_backup_and_it_is_on_record() {
    let site = Site::simulated();
    let server = site.serve().await;
    let made = server.post("keys", json!({ "name": "lead", "role": "admin" })).await;
    let address = format!("{}/api/v1/system/backup", server.url);
    let asked = server.http.post(&address).bearer_auth(text(&made["secret"]));
    let refused = asked.timeout(Duration::from_secs(30)).send().await.expect("an answer");
    assert_eq!(refused.status().as_u16(), 403);
    back_up(&site, "a.tar.zst").await;
    let audit = server.get("audit?action=backup").await;
    assert_eq!(array(&audit["items"])[0]["outcome"], json!("ok"), "{audit:#}");
    server.stop().await;
}

#[tokio::test]
async fn a_backup_that_waits_too_long_for_another_one_is_told_so() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let store = open_redb(dir.path(), &SetClock::new());
    let kept = stored(&*store, TENANT, 1).await;
    // What does not get smaller by packing, so that the archive does not fit between maker and taker.
    let noise: Vec<u64> = (0..400_000).map(|_| rand::random()).collect();
    for part in noise.chunks(40_000) {
        let body = json!({ "message": format!("{part:x?}") });
        let entry = NewEntry { at: at(1), kind: "info".to_owned(), body };
        let done = store.append(TENANT, kept.id, Stream::Log, vec![entry]).await;
        done.expect("kept");
    }
    let wanted = || Wanted { by: "me".to_owned(), reason: None, at: at(2) };
    let mut first = store.backup(wanted()).await.expect("begun");
    let waits = ArchiveService::new(store.clone(), store.clone(), SetClock::new());
    let ctx = director();
    tokio::time::pause();
    let mut waiting = std::pin::pin!(waits.backup(&ctx, None));
    let refused = loop {
        tokio::select! {
            biased;
            answer = &mut waiting => break answer.expect_err("the desk is taken"),
            () = tokio::time::advance(Duration::from_millis(100)) => {}
        }
    };
    tokio::time::resume();
    assert!(matches!(refused, AppError::CopyUnderWay), "{refused:?}");
    let problem = Problem::from(refused).body(None);
    assert_eq!((&problem["code"], &problem["status"]), (&json!("LOCKED"), &json!(423)));
    assert!(text(&problem["detail"]).contains("another backup or export"), "{problem}");
    while first.recv().await.is_some() {}
    let second = waits.backup(&ctx, None).await;
    second.expect("it is its turn").close();
    store.close().await;
}

fn director() -> RequestContext {
    let principal = Principal {
        user: None,
        agent: None,
        home: None,
        reach: Reach::default(),
        key: KeyId::new(uuid::Uuid::nil()),
        name: "somebody".to_owned(),
        role: Role::Admin,
        scopes: Scopes::all(),
        is_system: true,
        credential: None,
    };
    let request_id = "r".to_owned();
    RequestContext { tenant: TENANT, principal, request_id, if_match: None, repeat: None }
}
