//! People: let in, changed and sent away; what becomes of their keys.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::scope::{Access, Area, Scope, Scopes};
use serde_json::{Value, json};

use super::{as_who, text};
use crate::support::app::{ADMIN, Answer, TestApp};

const USERS: &str = "/api/v1/users";
const KEYS: &str = "/api/v1/keys";

/// Somebody of the tenant `default`, with a key of theirs: id and secret.
async fn somebody(app: &TestApp, email: &str, role: &str) -> (String, String) {
    let body = json!({ "email": email, "full_name": email, "role": role });
    let made = app.post(USERS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = text(&made, "id");
    (id.clone(), key_of(app, &id, role).await)
}

async fn key_of(app: &TestApp, user: &str, role: &str) -> String {
    let body = json!({ "name": "theirs", "role": role, "user_id": user });
    let made = app.post(KEYS, body).await;
    assert_eq!((made.status, &made.body["user_id"]), (StatusCode::CREATED, &json!(user)));
    text(&made, "secret")
}

async fn change(app: &TestApp, who: &str, id: &str, body: Value) -> Answer {
    as_who(app, who, Method::PATCH, &format!("{USERS}/{id}"), Some(body)).await
}

async fn remove(app: &TestApp, who: &str, id: &str) -> Answer {
    as_who(app, who, Method::DELETE, &format!("{USERS}/{id}"), None).await
}

async fn whoami(app: &TestApp, secret: &str) -> Answer {
    as_who(app, secret, Method::GET, "/api/v1/whoami", None).await
}

#[tokio::test]
async fn people_come_change_and_go() {
    let app = TestApp::new().await;
    let body = json!({ "email": " Ann@Example.org ", "full_name": "Ann" });
    let made = app.post(USERS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = text(&made, "id");
    assert_eq!(made.header("location"), format!("{USERS}/{id}"));
    assert_eq!(made.body["role"], "member");
    assert_eq!(made.body["email"], "Ann@Example.org");
    assert_eq!(
        (&made.body["is_active"], &made.body["is_system_admin"]),
        (&json!(true), &json!(false))
    );
    let twice = json!({ "email": "ann@example.ORG", "full_name": "Another" });
    let taken = app.post(USERS, twice.clone()).await;
    assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    assert_eq!(taken.body["errors"][0]["pointer"], "/email");
    let path = format!("{USERS}/{id}");
    let found = app.get(&path).await;
    assert_eq!(found.header("etag"), "\"v1\"");
    let changed = change(&app, ADMIN, &id, json!({ "role": "lead", "email": "a@b.example" })).await;
    assert_eq!((changed.status, &changed.body["role"]), (StatusCode::OK, &json!("lead")));
    assert_eq!(app.post(USERS, twice).await.status, StatusCode::CREATED, "the address is free");
    let taken = change(&app, ADMIN, &id, json!({ "email": "ANN@example.org" })).await;
    assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    let mut request = app.request(Method::PATCH, &path, Some(json!({ "full_name": "x" })));
    request.headers_mut().insert("if-match", "\"v1\"".parse().expect("valid"));
    let stale = app.send(request).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(remove(&app, ADMIN, &id).await.status, StatusCode::NO_CONTENT);
    let gone = app.get(&path).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, "USER_NOT_FOUND"));
    // What happened is told to administrators, and stands in the audit with both sides.
    let events = app.get("/api/v1/events?limit=200").await.body.to_string();
    for event in ["tenant.user_added", "tenant.user_updated", "tenant.user_removed"] {
        assert!(events.contains(event), "{event}");
    }
    let audit = app.get(&format!("/api/v1/audit?subject={id}")).await;
    let actions: Vec<&str> =
        items(&audit).iter().filter_map(|one| one["action"].as_str()).collect();
    assert_eq!(actions, ["create_user", "update_user", "remove_user"]);
    let update = &items(&audit)[1];
    assert_eq!(
        (&update["before"]["role"], &update["after"]["role"]),
        (&json!("member"), &json!("lead"))
    );
}

fn items(answer: &Answer) -> &[Value] {
    answer.body["items"].as_array().map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn a_repetition_lets_nobody_in_twice_and_what_is_wrong_is_named() {
    let app = TestApp::new().await;
    let body = json!({ "email": "ann@example.org", "full_name": "Ann" });
    let ask = || {
        let mut request = app.request(Method::POST, USERS, Some(body.clone()));
        request.headers_mut().insert("idempotency-key", "one".parse().expect("valid"));
        app.send(request)
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(first.body, second.body);
    for (body, pointer) in [
        (json!({ "full_name": "x" }), "/email"),
        (json!({ "email": "x", "full_name": "x" }), "/email"),
        (json!({ "email": "x@y.z" }), "/full_name"),
        (json!({ "email": "x@y.z", "full_name": "a\u{7}" }), "/full_name"),
        (json!({ "email": "x@y.z", "full_name": "x", "role": "owner" }), "/role"),
        (json!({ "email": "x@y.z", "full_name": "x", "tenant_id": "t" }), "/tenant_id"),
        (
            json!({ "email": "x@y.z", "full_name": "x", "is_system_admin": true }),
            "/is_system_admin",
        ),
    ] {
        let answer = app.post(USERS, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn people_are_paged_and_those_of_another_tenant_do_not_exist() {
    let app = TestApp::new().await;
    for n in 0..5 {
        somebody(&app, &format!("u{n}@example.org"), "viewer").await;
    }
    let (mut emails, mut path) = (Vec::new(), format!("{USERS}?limit=2"));
    loop {
        let page = app.get(&path).await;
        emails.extend(items(&page).iter().map(|user| user["email"].clone()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("{USERS}?limit=2&cursor={cursor}");
    }
    let expected: Vec<Value> = (0..5).map(|n| json!(format!("u{n}@example.org"))).collect();
    assert_eq!(emails, expected);
    let (id, _) = somebody(&app, "mine@example.org", "viewer").await;
    let stranger = app.key(app.other, Role::Admin).await;
    let random = "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3";
    for (method, body) in [
        (Method::GET, None),
        (Method::DELETE, None),
        (Method::PATCH, Some(json!({ "role": "lead" }))),
    ] {
        let mut told = Vec::new();
        for id in [&*id, random] {
            let path = format!("{USERS}/{id}");
            let mut answer = as_who(&app, &stranger, method.clone(), &path, body.clone()).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "USER_NOT_FOUND"));
            answer.body["request_id"].take();
            told.push(answer.body);
        }
        assert_eq!(told[0], told[1]);
    }
    // A key for somebody elsewhere cannot be made either.
    let body = Some(json!({ "name": "x", "role": "viewer", "user_id": id }));
    let refused = as_who(&app, &stranger, Method::POST, KEYS, body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::NOT_FOUND, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn a_key_is_worth_no_more_than_whoever_holds_it_and_nothing_without_them() {
    let app = TestApp::new().await;
    let (id, secret) = somebody(&app, "ann@example.org", "lead").await;
    let limited = key_of(&app, &id, "viewer").await;
    let role = async |secret: &str| whoami(&app, secret).await.body["role"].clone();
    let me = whoami(&app, &secret).await;
    assert_eq!(me.body["user"]["email"], "ann@example.org");
    assert_eq!((&me.body["name"], &me.body["role"]), (&json!("ann@example.org"), &json!("lead")));
    // A role of theirs holds at once; a key that had less keeps what it has.
    change(&app, ADMIN, &id, json!({ "role": "admin" })).await;
    assert_eq!((role(&secret).await, role(&limited).await), (json!("admin"), json!("viewer")));
    change(&app, ADMIN, &id, json!({ "role": "member" })).await;
    assert_eq!((role(&secret).await, role(&limited).await), (json!("member"), json!("viewer")));
    let body = Some(json!({ "name": "x", "role": "viewer" }));
    let refused = as_who(&app, &secret, Method::POST, KEYS, body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "FORBIDDEN"));
    // What they do stands in the audit under their name.
    let body = Some(json!({ "initial_prompt": "x" }));
    let made = as_who(&app, &secret, Method::POST, "/api/v1/sessions", body).await;
    assert_eq!(made.body["created_by"], "ann@example.org");
    let audit = app.get(&format!("/api/v1/audit?actor={id}")).await;
    assert_eq!(items(&audit)[0]["actor"]["kind"], "user", "{audit:?}");
    // Switched off, nothing of theirs opens anything, and switched on again nothing of before does.
    let off = change(&app, ADMIN, &id, json!({ "is_active": false })).await;
    assert_eq!(off.body["is_active"], false);
    let unknown = whoami(&app, "iok_never-made").await;
    for secret in [&secret, &limited] {
        let refused = whoami(&app, secret).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let bare = |answer: &Answer| (answer.body["detail"].clone(), answer.body["code"].clone());
        assert_eq!(bare(&refused), bare(&unknown), "no word on why");
    }
    let body = json!({ "name": "x", "role": "viewer", "user_id": id });
    assert_eq!(app.post(KEYS, body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "inactive");
    change(&app, ADMIN, &id, json!({ "is_active": true })).await;
    assert_eq!(whoami(&app, &secret).await.status, StatusCode::UNAUTHORIZED);
    let fresh = key_of(&app, &id, "member").await;
    assert_eq!(whoami(&app, &fresh).await.status, StatusCode::OK);
    assert_eq!(remove(&app, ADMIN, &id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(whoami(&app, &fresh).await.status, StatusCode::UNAUTHORIZED);
    let keys = app.get(&format!("{KEYS}?limit=200")).await;
    let theirs = items(&keys).iter().filter(|key| key["user_id"] == json!(id));
    assert!(theirs.clone().count() == 3 && theirs.clone().all(|key| key["revoked_at"].is_string()));
}

#[tokio::test]
async fn a_tenant_keeps_an_administrator_whom_its_people_cannot_send_away() {
    let app = TestApp::new().await;
    let (ann, anns) = somebody(&app, "ann@example.org", "admin").await;
    for refused in [
        change(&app, &anns, &ann, json!({ "role": "lead" })).await,
        change(&app, &anns, &ann, json!({ "is_active": false })).await,
        remove(&app, &anns, &ann).await,
    ] {
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "LAST_ADMINISTRATOR"));
    }
    let (bob, bobs) = somebody(&app, "bob@example.org", "admin").await;
    assert_eq!(change(&app, &anns, &ann, json!({ "role": "lead" })).await.status, StatusCode::OK);
    let refused = change(&app, &bobs, &bob, json!({ "role": "lead" })).await;
    assert_eq!(refused.code(), "LAST_ADMINISTRATOR");
    // Both at once: one of them stays.
    change(&app, ADMIN, &ann, json!({ "role": "admin" })).await;
    let anns = key_of(&app, &ann, "admin").await;
    let (lead, off) = (json!({ "role": "lead" }), json!({ "is_active": false }));
    let (one, other) =
        tokio::join!(change(&app, &anns, &bob, lead), change(&app, &bobs, &ann, off));
    assert!(!(one.status == StatusCode::OK && other.status == StatusCode::OK), "{one:?} {other:?}");
    // A key of nobody may: whoever holds it still administrates.
    let service = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    for id in [&ann, &bob] {
        assert_eq!(remove(&app, &service, id).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn nobody_makes_anybody_more_than_they_are() {
    let app = TestApp::new().await;
    // An administrator of the tenant has no hand in those of the system.
    let (root, roots) = {
        let body = json!({
            "email": "root@example.org", "full_name": "R", "role": "admin", "is_system_admin": true,
        });
        let made = app.post(USERS, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let id = text(&made, "id");
        (id.clone(), key_of(&app, &id, "admin").await)
    };
    let key = crate::support::app::bearer(&roots);
    let headers = [("authorization", &*key), ("x-tenant-id", "other")];
    let request = crate::support::app::request(Method::GET, "/api/v1/whoami", None, &headers);
    let there = app.send(request).await;
    assert_eq!((&there.body["is_system"], &there.body["user"]["id"]), (&json!(true), &json!(root)));
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let listed = as_who(&app, &admin, Method::GET, KEYS, None).await;
    let theirs = items(&listed).iter().find(|key| key["user_id"] == json!(root)).expect("listed");
    let rotate = format!("{KEYS}/{}/rotate", theirs["id"].as_str().expect("an id"));
    let system =
        json!({ "email": "x@y.z", "full_name": "X", "role": "admin", "is_system_admin": true });
    let for_root = json!({ "name": "x", "role": "viewer", "user_id": root });
    for refused in [
        change(&app, &admin, &root, json!({ "role": "viewer" })).await,
        remove(&app, &admin, &root).await,
        as_who(&app, &admin, Method::POST, USERS, Some(system)).await,
        as_who(&app, &admin, Method::POST, KEYS, Some(for_root)).await,
        as_who(&app, &admin, Method::POST, &rotate, Some(json!({}))).await,
    ] {
        let told = (refused.status, refused.code());
        assert_eq!(told, (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION"), "{refused:?}");
    }
    // Whoever may do little with people gives nobody more of everything.
    let (id, _) = somebody(&app, "ann@example.org", "member").await;
    let scopes = Scopes::of([Scope::Of(Area::Users, Access::Write)]);
    let narrow = app.key_with(TenantId::BOOTSTRAP, Role::Admin, scopes, false).await;
    let refused = change(&app, &narrow, &id, json!({ "role": "admin" })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION"));
    assert_eq!(
        change(&app, &narrow, &id, json!({ "role": "viewer" })).await.status,
        StatusCode::OK
    );
}
