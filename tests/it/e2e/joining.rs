//! Into a team whose server vouches for itself, and everything that people mistype on the way.

use serde_json::{Value, json};

use super::team::on;
use super::text;
use crate::support::server::Site;

fn parsed(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|_| panic!("{printed}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_comes_to_a_server_that_vouches_for_itself() {
    let site = Site::simulated().with("SERVER__TLS", "self-signed");
    let server = site.serve().await;
    let told = site.cli(&["team", "init", "Acme", "--member", "ann@example.org"]).await;
    assert_eq!(told.exit, 0, "{told:?}");
    let certificate = site.data().join("self-signed.pem");
    let certificate = certificate.to_str().expect("UTF-8");
    for words in [certificate, "--cacert self-signed.pem team join LINK --name 'Your Name'"] {
        assert!(told.err.contains(words), "{words}: {told:?}");
    }
    let link = told.out.split_whitespace().find(|word| word.contains("#invite=")).expect("a link");
    let anns = site.root().join("ann");
    let words = ["team", "join", link, "--name", "Ann"];
    let unknown = on(&site, &anns, &words).await;
    assert!(unknown.exit == 69 && unknown.err.contains("--cacert"), "{unknown:?}");
    // Without a terminal nobody is asked, and the link is as good as before.
    let trusting = ["--cacert", certificate, "team", "join", link];
    let nameless = on(&site, &anns, &trusting).await;
    assert!(nameless.exit == 64 && nameless.err.contains("--name 'Your Name'"), "{nameless:?}");
    let joined = on(&site, &anns, &[&trusting[..], &["--name", "Ann"]].concat()).await;
    assert!(joined.exit == 0 && joined.out.contains("member of Acme"), "{joined:?}");
    // The certificate was kept beside the key.
    let who = on(&site, &anns, &["whoami"]).await;
    assert!(who.exit == 0 && who.out.contains("ann@example.org"), "{who:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mistyped_costs_no_link_and_no_key() {
    let site = Site::simulated();
    let server = site.serve().await;
    for (more, says) in [
        (&["--address", "server:8443"][..], "https://server:8443"),
        (&["--member", "nomail"], "nomail"),
        (&["--member", "Z1@x.org:admin"], "z1@x.org is named twice"),
        (&["--service", "ci", "--service", "ci:lead"], "ci is named twice"),
    ] {
        let words = [&["team", "init", "Zed Co", "--member", "z1@x.org"][..], more].concat();
        let refused = site.cli(&words).await;
        assert!(refused.exit == 64 && refused.err.contains(says), "{words:?}: {refused:?}");
    }
    let none = site.cli(&["team", "show", "--tenant", "zed-co"]).await;
    assert_ne!(none.exit, 0, "nothing was made: {none:?}");
    let made = site.cli(&["team", "init", "Zed Co", "--member", "z1@x.org", "--json"]).await;
    let link = text(&parsed(&made.out)["members"][0]["link"]).to_owned();
    let wrong = ["team", "invite", "z1@x.org", "--tenant", "zed-co", "--address", "foo"];
    assert_eq!(site.cli(&wrong).await.exit, 64);
    let told = site.cli(&["team", "init", "Zed Co", "--member", "z1@x.org:lead"]).await;
    assert!(told.err.contains("team invite z1@x.org --role lead --tenant zed-co"), "{told:?}");

    let (ann, page) = (site.root().join("ann"), format!("{}/login", server.api.url));
    for wrong in [&*page, &format!("{page}#token=iol_x"), "hello"] {
        let refused = on(&site, &ann, &["team", "join", wrong]).await;
        assert!(refused.exit == 64 && refused.err.contains("#invite=iok_"), "{wrong}: {refused:?}");
    }
    let joined = on(&site, &ann, &["team", "join", &link, "--name", "Zoe"]).await;
    assert_eq!(joined.exit, 0, "the first link still is good: {joined:?}");
    let told = site.cli(&["team", "init", "Zed Co", "--member", "z1@x.org:lead"]).await;
    let way = "user change z1@x.org --role lead --tenant zed-co";
    assert!(told.exit == 0 && told.err.contains(way), "{told:?}");

    // A second team does not take the place of the first unless it is to.
    let invited = site.cli(&["team", "invite", "zoe@x.org"]).await;
    assert!(invited.err.contains("member of Default (default)"), "{invited:?}");
    let second = invited.out.trim();
    let words = ["team", "join", second, "--name", "Zoe"];
    let refused = on(&site, &ann, &words).await;
    let told = refused.err.contains("--force") && refused.err.contains("z1@x.org");
    assert!(refused.exit == 1 && told, "{refused:?}");
    let who = parsed(&on(&site, &ann, &["whoami", "--json"]).await.out);
    assert_eq!(who["user"]["email"], json!("z1@x.org"), "the key of before is still there");
    let joined = on(&site, &ann, &[&words[..], &["--force"]].concat()).await;
    assert_eq!(joined.exit, 0, "{joined:?}");
    let who = parsed(&on(&site, &ann, &["whoami", "--json"]).await.out);
    assert_eq!(who["user"]["email"], json!("zoe@x.org"));

    // A key that was made for less is told of when somebody is raised.
    let words = ["key", "create", "kiosk", "--role", "viewer", "--user", "zoe@x.org"];
    assert_eq!(site.cli(&words).await.exit, 0);
    let raised = site.cli(&["user", "change", "zoe@x.org", "--role", "lead"]).await;
    assert!(raised.exit == 0 && raised.err.contains("kiosk (viewer)"), "{raised:?}");
    assert!(!raised.err.contains("first key"), "that one has all: {raised:?}");
    server.stop().await;
}
