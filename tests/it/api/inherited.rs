//! What people give on: no more than they have, for no longer, from nowhere else, and by their word.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{Method, StatusCode};
use orchestrator::application::ports::changes::Counter;
use orchestrator::domain::ids::TenantId;
use orchestrator::presentation::api::caller::Peer;
use serde_json::{Value, json};

use super::{as_who, text};
use crate::support::app::{ADMIN, Answer, TestApp, request};

const INVITES: &str = "/api/v1/invites";
const ACCEPT: &str = "/api/v1/invites/accept";
const KEYS: &str = "/api/v1/keys";
const USERS: &str = "/api/v1/users";
const OWN: [(&str, &str); 2] =
    [("origin", "http://localhost:8000"), ("x-requested-with", "orchestrator")];

/// Somebody of the tenant `default`, with a key of theirs that has no end: id and secret.
async fn somebody(app: &TestApp, email: &str, role: &str) -> (String, String) {
    let body = json!({ "email": email, "full_name": email, "role": role });
    let made = app.post(USERS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = text(&made, "id");
    let more = json!({ "user_id": id, "expires_at": null });
    let key = key(app, ADMIN, role, more).await;
    (id, text(&key, "secret"))
}

/// A key that is made with another one.
async fn key(app: &TestApp, with: &str, role: &str, more: Value) -> Answer {
    let mut body = json!({ "name": "made", "role": role });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let made = as_who(app, with, Method::POST, KEYS, Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made
}

async fn invite(app: &TestApp, with: &str, email: &str, role: &str) -> Answer {
    let body = json!({ "email": email, "role": role, "full_name": "N", "expires_in": 2_592_000 });
    let made = as_who(app, with, Method::POST, INVITES, Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made
}

async fn accept(app: &TestApp, invite: &Answer) -> Answer {
    let body = json!({ "token": text(invite, "token") });
    app.send(request(Method::POST, ACCEPT, Some(body), &[])).await
}

async fn change(app: &TestApp, with: &str, id: &str, body: Value) -> Answer {
    let changed = as_who(app, with, Method::PATCH, &format!("{USERS}/{id}"), Some(body)).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    changed
}

async fn role(app: &TestApp, secret: &str) -> Value {
    as_who(app, secret, Method::GET, "/api/v1/whoami", None).await.body["role"].clone()
}

/// In this many minutes, as the API spells it.
fn in_minutes(app: &TestApp, minutes: u64) -> String {
    let at = app.clock.now().after(std::time::Duration::from_mins(minutes));
    json!(at).as_str().expect("a time").to_owned()
}

#[tokio::test]
async fn what_comes_of_an_invitation_ends_with_what_was_shown_for_it_and_stays_where_that_was() {
    let app = TestApp::new().await;
    let (_, anns) = somebody(&app, "ann@example.org", "admin").await;
    let end = in_minutes(&app, 80);
    let limits = json!({ "expires_at": end, "networks": ["127.0.0.1"] });
    let limited = text(&key(&app, &anns, "admin", limits).await, "secret");
    let made = invite(&app, &limited, "mallory@example.org", "admin").await;
    assert_eq!(made.body["expires_at"], json!(end), "no longer than the key");
    let body = json!({ "token": text(&made, "token") });
    let mut elsewhere = request(Method::POST, ACCEPT, Some(body), &[]);
    elsewhere.extensions_mut().insert(Peer(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))));
    assert_eq!(app.send(elsewhere).await.status, StatusCode::UNAUTHORIZED);
    let joined = accept(&app, &made).await;
    assert_eq!(joined.status, StatusCode::CREATED, "{joined:?}");
    let first = &joined.body["key"];
    assert_eq!((&first["networks"], &first["expires_at"]), (&json!(["127.0.0.1/32"]), &json!(end)));
    // A browser ends after twelve hours, and so does what it makes.
    let signing = request(Method::POST, "/api/v1/login", Some(json!({ "key": anns })), &OWN);
    let signed = app.send(signing).await;
    let cookie = signed.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let headers = [OWN[0], OWN[1], ("cookie", &*cookie)];
    let body = Some(json!({ "email": "bob@example.org", "expires_in": 2_592_000 }));
    let made = app.send(request(Method::POST, INVITES, body, &headers)).await;
    assert_eq!(made.body["expires_at"], signed.body["expires_at"], "{made:?}");
    // Whoever has no end invites for as long as ever.
    let open = invite(&app, ADMIN, "eve@example.org", "viewer").await;
    let joined = accept(&app, &open).await;
    assert!(joined.body["key"]["expires_at"].as_str() > Some(&*in_minutes(&app, 89 * 24 * 60)));
    assert_eq!(joined.body["key"]["networks"], json!([]));
}

#[tokio::test]
async fn whoever_raises_somebody_gives_keys_no_more_than_their_own() {
    let app = TestApp::new().await;
    let (_, anns) = somebody(&app, "ann@example.org", "admin").await;
    let (bob, far) = somebody(&app, "bob@example.org", "member").await;
    let near = json!({
        "user_id": bob, "expires_at": in_minutes(&app, 30), "networks": ["127.0.0.1"],
    });
    let near = text(&key(&app, ADMIN, "member", near).await, "secret");
    let limits = json!({ "expires_at": in_minutes(&app, 80), "networks": ["127.0.0.1"] });
    let limited = text(&key(&app, &anns, "admin", limits).await, "secret");
    change(&app, &limited, &bob, json!({ "role": "admin" })).await;
    assert_eq!(
        (role(&app, &far).await, role(&app, &near).await),
        (json!("member"), json!("admin"))
    );
    // What was left behind stays so, whoever raises them later.
    change(&app, ADMIN, &bob, json!({ "role": "viewer" })).await;
    change(&app, ADMIN, &bob, json!({ "role": "admin" })).await;
    assert_eq!(
        (role(&app, &far).await, role(&app, &near).await),
        (json!("member"), json!("admin"))
    );
}

#[tokio::test]
async fn a_role_that_goes_down_and_up_again_widens_no_key() {
    let app = TestApp::new().await;
    let (ann, anns) = somebody(&app, "ann@example.org", "admin").await;
    let kiosk = text(&key(&app, &anns, "viewer", json!({})).await, "secret");
    let clerk = text(&key(&app, &anns, "lead", json!({})).await, "secret");
    let all =
        async || [role(&app, &anns).await, role(&app, &clerk).await, role(&app, &kiosk).await];
    change(&app, ADMIN, &ann, json!({ "role": "viewer" })).await;
    assert_eq!(all().await, ["viewer", "viewer", "viewer"].map(Value::from));
    change(&app, ADMIN, &ann, json!({ "role": "admin" })).await;
    assert_eq!(all().await, ["admin", "lead", "viewer"].map(Value::from));
    let refused = as_who(&app, &kiosk, Method::GET, USERS, None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_comes_back_through_an_invitation_of_before() {
    let app = TestApp::new().await;
    let open = async || app.get(INVITES).await.body["items"].as_array().map_or(0, Vec::len);
    let counted = async || {
        let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
        snapshot.counter(Counter::ApiKeys).await.expect("read")
    };
    let before = counted().await;
    let earlier = invite(&app, ADMIN, "Gone@example.org", "admin").await;
    let body = json!({ "email": "gone@example.org", "full_name": "G", "role": "admin" });
    let made = app.post(USERS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!((open().await, counted().await), (0, before), "it ended with their coming");
    let path = format!("{USERS}/{}", text(&made, "id"));
    let gone = as_who(&app, ADMIN, Method::DELETE, &path, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let back = accept(&app, &earlier).await;
    assert_eq!((back.status, back.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    // So does that of an address that somebody takes.
    let (bob, _) = somebody(&app, "bob@example.org", "member").await;
    let other = invite(&app, ADMIN, "bob2@example.org", "admin").await;
    change(&app, ADMIN, &bob, json!({ "email": "BOB2@example.org" })).await;
    assert_eq!(open().await, 0);
    change(&app, ADMIN, &bob, json!({ "email": "bob@example.org" })).await;
    assert_eq!(accept(&app, &other).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_invitation_is_worth_the_word_of_whoever_gave_it() {
    let app = TestApp::new().await;
    let (ann, anns) = somebody(&app, "ann@example.org", "admin").await;
    let (bob, bobs) = somebody(&app, "bob@example.org", "admin").await;
    let (eve, eves) = somebody(&app, "eve@example.org", "admin").await;
    let service = key(&app, ADMIN, "admin", json!({ "service": true })).await;
    let of_all = [
        (invite(&app, &anns, "a@x.org", "admin").await, StatusCode::UNAUTHORIZED),
        (invite(&app, &bobs, "b@x.org", "admin").await, StatusCode::UNAUTHORIZED),
        (invite(&app, &bobs, "b2@x.org", "member").await, StatusCode::CREATED),
        (invite(&app, &eves, "c@x.org", "viewer").await, StatusCode::UNAUTHORIZED),
        (
            invite(&app, &text(&service, "secret"), "d@x.org", "viewer").await,
            StatusCode::UNAUTHORIZED,
        ),
        (invite(&app, ADMIN, "e@x.org", "admin").await, StatusCode::CREATED),
    ];
    change(&app, ADMIN, &ann, json!({ "is_active": false })).await;
    change(&app, ADMIN, &bob, json!({ "role": "lead" })).await;
    for path in [format!("{USERS}/{eve}"), format!("{KEYS}/{}", text(&service, "id"))] {
        let gone = as_who(&app, ADMIN, Method::DELETE, &path, None).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    }
    for (invite, expected) in of_all {
        let answer = accept(&app, &invite).await;
        assert_eq!(answer.status, expected, "{:?}: {answer:?}", invite.body["email"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_invitations_at_once_leave_one_and_many_who_accept_it_become_one() {
    let app = TestApp::new().await;
    let made = futures_util::future::join_all((0..6).map(|_| {
        let body = json!({ "email": "ann@example.org", "role": "member", "full_name": "Ann" });
        app.post(INVITES, body)
    }));
    let made = made.await;
    let open = app.get(INVITES).await;
    assert_eq!(open.body["items"].as_array().map(Vec::len), Some(1), "{open:?}");
    let good = made.iter().find(|made| made.body["id"] == open.body["items"][0]["id"]);
    let good = good.expect("the last one is open");
    let told = futures_util::future::join_all((0..6).map(|_| accept(&app, good))).await;
    let mut told: Vec<u16> = told.iter().map(|answer| answer.status.as_u16()).collect();
    told.sort_unstable();
    assert_eq!(told, [201, 401, 401, 401, 401, 401]);
}
