//! From one person to a team, with the real binary: a server that goes on, links, keys kept in files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{array, text};
use crate::support::server::{Finished, Site, finish};

/// On a machine of their own: nothing but a folder is theirs.
pub(super) async fn on(site: &Site, folder: &Path, words: &[&str]) -> Finished {
    let folder = folder.to_str().expect("UTF-8");
    let mut command = site.command(&[words, &["--data-dir", folder]].concat());
    command.env_remove("ORCHESTRATOR_KEY").env_remove("ORCHESTRATOR_ADMIN_KEY");
    finish(command).await
}

fn parsed(done: &Finished) -> Value {
    assert_eq!(done.exit, 0, "{done:?}");
    serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{done:?}"))
}

const INIT: &[&str] = &[
    "team",
    "init",
    "Acme",
    "--member",
    "ann@example.org:admin",
    "--member",
    "bob@example.org",
    "--service",
    "ci:lead",
    "--sessions",
    "7",
    "--budget",
    "25",
];

async fn init(site: &Site) -> Value {
    parsed(&site.cli(&[INIT, &["--json"]].concat()).await)
}

fn states(team: &Value) -> Vec<&str> {
    let members = array(&team["members"]).iter().chain(array(&team["services"]));
    members.map(|member| text(&member["state"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_people_come_to_a_server_that_goes_on() {
    let site = Site::simulated();
    let server = site.serve().await;
    let team = init(&site).await;
    assert_eq!((text(&team["tenant"]["slug"]), &team["is_new"]), ("acme", &json!(true)));
    assert_eq!(states(&team), ["invited", "invited", "new key"]);
    let link = |of: usize| text(&team["members"][of]["link"]).to_owned();
    assert!(link(0).starts_with(&format!("{}/login#invite=iok_", server.api.url)), "{team:#}");
    // Once more changes nothing and tells no secret again.
    let again = init(&site).await;
    assert_eq!(states(&again), ["invited before", "invited before", "has a key"]);
    assert_eq!(again["is_new"], json!(false));
    assert!(again["members"][0]["link"].is_null() && again["services"][0]["secret"].is_null());
    let shown = site.cli(&["team", "show", "--tenant", "acme"]).await;
    for word in ["Acme (acme)", "ann@example.org", "invited", "ci", "service", "7", "25"] {
        assert!(shown.exit == 0 && shown.out.contains(word), "{word}: {shown:?}");
    }

    // In the folder of the server nobody joins, and the link stays good.
    let here = site.data();
    let refused = on(&site, &here, &["team", "join", &link(0)]).await;
    assert!(refused.exit == 1 && refused.err.contains("--data-dir"), "{refused:?}");
    let (anns, bobs) = (site.root().join("ann"), site.root().join("bob"));
    let joined = on(&site, &anns, &["team", "join", &link(0), "--name", "Ann Other"]).await;
    assert!(
        joined.exit == 0 && joined.out.contains("ann@example.org, admin of Acme"),
        "{joined:?}"
    );
    let kept = std::fs::metadata(anns.join("member.json")).expect("kept");
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    let twice = on(&site, &bobs, &["team", "join", &link(0), "--name", "Eve"]).await;
    assert!(twice.exit == 77 && twice.err.contains("not good"), "{twice:?}");
    let joined = on(&site, &bobs, &["team", "join", &link(1), "--name", "Bob"]).await;
    assert_eq!(joined.exit, 0, "{joined:?}");

    // From then on their commands act as them, without an address, a key or a tenant.
    let who = parsed(&on(&site, &anns, &["whoami", "--json"]).await);
    assert_eq!((text(&who["user"]["full_name"]), text(&who["role"])), ("Ann Other", "admin"));
    assert_eq!(who["tenant_id"], team["tenant"]["id"]);
    let made = parsed(&on(&site, &bobs, &["session", "create", "hello", "--json"]).await);
    assert_eq!(text(&made["created_by"]), "bob@example.org");
    let refused = on(&site, &bobs, &["user", "list"]).await;
    assert!(refused.exit == 77 && refused.err.contains("admin"), "{refused:?}");
    let invited =
        on(&site, &anns, &["team", "invite", "eve@example.org", "--role", "viewer"]).await;
    let eves = invited.out.trim().to_owned();
    assert!(invited.exit == 0 && eves.contains("/login#invite=iok_"), "{invited:?}");
    let secret = eves.rsplit_once('=').expect("a link").1;
    let elsewhere = site.root().join("eve");
    let words = ["team", "join", secret, "--name", "Eve", "--url", &*server.api.url];
    assert_eq!(on(&site, &elsewhere, &words).await.exit, 0, "the secret alone will do");
    assert_eq!(states(&init(&site).await), ["member", "member", "has a key"]);

    // A service works for the team.
    let secret = text(&team["services"][0]["secret"]);
    let words = ["--url", &*server.api.url, "--key", secret, "--json", "session", "list"];
    let listed = parsed(&site.cli(&words).await);
    assert_eq!(array(&listed["items"]).len(), 1, "{listed:#}");

    // Who is switched off is out at once; the last administrator stays.
    let off = on(&site, &anns, &["user", "deactivate", "BOB@example.org"]).await;
    assert_eq!(off.exit, 0, "{off:?}");
    let out = on(&site, &bobs, &["session", "list"]).await;
    assert!(out.exit == 77 && out.err.contains("valid API key"), "{out:?}");
    let refused = on(&site, &anns, &["user", "remove", "ann@example.org"]).await;
    assert!(refused.exit == 1 && refused.err.contains("last administrator"), "{refused:?}");
    let listed = on(&site, &anns, &["user", "list"]).await;
    for word in ["ann@example.org", "bob@example.org", "inactive", "eve@example.org", "viewer"] {
        assert!(listed.exit == 0 && listed.out.contains(word), "{word}: {listed:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_the_use_of_keys_outlive_the_server() {
    let site = Site::simulated();
    let server = site.serve().await;
    let team = init(&site).await;
    let ann = site.root().join("ann");
    let link = text(&team["members"][0]["link"]);
    assert_eq!(on(&site, &ann, &["team", "join", link, "--name", "Ann"]).await.exit, 0);
    let key = text(&team["services"][0]["secret"]);
    let words = ["--url", &*server.api.url, "--key", key, "whoami"];
    assert_eq!(site.cli(&words).await.exit, 0);
    server.stop().await;
    let server = site.serve().await;
    let users = server.api.of("acme").get("users").await;
    assert_eq!(text(&users["items"][0]["email"]), "ann@example.org");
    let keys = server.api.of("acme").get("keys").await;
    let used = array(&keys["items"]).iter().find(|key| key["name"] == "ci").expect("listed");
    assert!(used["last_used_at"].is_string() && used["user_id"].is_null(), "{used:#}");
    let kept = std::fs::read_to_string(ann.join("member.json")).expect("kept");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    let words = ["--url", &*server.api.url, "--key", text(&kept["key"]), "whoami"];
    let who = site.cli(&words).await;
    assert!(who.exit == 0 && who.out.contains("ann@example.org"), "{who:?}");
    server.stop().await;
    // Without a server there is nothing to join.
    let none = site.cli(&["team", "invite", "eve@example.org", "--tenant", "acme"]).await;
    assert!(none.exit == 69 && none.err.contains("orchestrator serve"), "{none:?}");
    site.keeps_invariants().await;
}
