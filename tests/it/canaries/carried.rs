//! What is carried away from a server: backups as they are and unpacked, exports of every kind, and the
//! copy that is kept of a store before it is changed.

use std::io::Read as _;

use serde_json::json;

use super::plant::Canary;
use super::search::Search;
use crate::backup::upgrade::{KEPT, age};
use crate::support::server::{ADMIN_KEY, Server, Site};

/// What exports are asked for.
const EXPORTS: [&str; 4] = ["", "?redact=true", "?tenant=default", "?tenant=default&redact=true"];

async fn answer(request: reqwest::RequestBuilder) -> Vec<u8> {
    let request = request.bearer_auth(ADMIN_KEY).header("X-Tenant-ID", "default");
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    answer.bytes().await.expect("a body").to_vec()
}

/// Takes a backup for this reason, and every export; where the ordinary word has to be found.
pub(super) async fn carry_away(
    server: &Server,
    reason: &Canary,
    search: &mut Search,
) -> Vec<String> {
    let mut places = Vec::new();
    let request = server.http.post(format!("{}/api/v1/system/backup", server.url));
    let packed = answer(request.json(&json!({ "reason": reason.text }))).await;
    search.look_in("a backup", &packed);
    let tar = zstd::decode_all(&packed[..]).expect("whole");
    search.look_in("a backup without its compression", &tar);
    let mut archive = tar::Archive::new(&tar[..]);
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("a member");
        let path = entry.path().expect("a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        if path.contains("manifest") {
            let told = String::from_utf8_lossy(&bytes).into_owned();
            assert!(told.contains("[REDACTED:"), "the reason is told without the secret: {told}");
        } else {
            places.extend(search.look_deep(&format!("{path} of a backup"), &bytes));
        }
    }
    assert_eq!(places.len(), 2, "the store, and what lies compressed in it: {places:?}");
    for query in EXPORTS {
        let place = format!("an export{query}");
        let lines = answer(server.http.get(format!("{}/api/v1/system/export{query}", server.url)));
        search.look_in(&place, &lines.await);
        places.push(place);
    }
    places
}

/// Makes the store of a site one of an older version, and lets a server take it over; what the copy of
/// before is called.
pub(super) async fn upgraded(site: &Site) -> &'static str {
    age(&site.data());
    site.serve().await.stop().await;
    assert!(site.data().join(KEPT).exists(), "a copy is kept");
    KEPT
}
