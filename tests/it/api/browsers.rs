//! Browsers, and links to them: with whom they end, whom they show, and how many there are.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::json;

use super::login::{OWN, cookie, link, sign_in, signing_in, text, who};
use crate::support::app::{ADMIN, Answer, TestApp, request};

async fn look(app: &TestApp, token: &str, headers: &[(&str, &str)]) -> Answer {
    let body = Some(json!({ "token": token }));
    app.send(request(Method::POST, "/api/v1/login/look", body, headers)).await
}

#[tokio::test]
async fn a_browser_ends_with_the_secret_that_was_shown_for_it() {
    let app = TestApp::new().await;
    let body = json!({ "name": "ann", "role": "admin", "expires_at": null });
    let made = app.post("/api/v1/keys", body).await;
    let (id, leaked) = (text(&made.body, "id").to_owned(), text(&made.body, "secret").to_owned());
    let rotate = async |seconds: u32| {
        let body = json!({ "grace_seconds": seconds });
        let rotated = app.post(&format!("/api/v1/keys/{id}/rotate"), body).await;
        text(&rotated.body, "secret").to_owned()
    };
    let token = async |key: &str| link(&app, key).await.body["token"].as_str().map(str::to_owned);
    let by_leaked = cookie(&sign_in(&app, json!({ "key": leaked })).await);
    let stale = token(&leaked).await.expect("a link");
    // While the secret of before is accepted, what it opened is, too, and no longer.
    let second = rotate(3600).await;
    assert_eq!(who(&app, &by_leaked).await.status, StatusCode::OK);
    let late = sign_in(&app, json!({ "token": token(&leaked).await.expect("a link") })).await;
    let set = late.header("set-cookie");
    let is_short = set.contains("Max-Age=35") || set.contains("Max-Age=3600;");
    assert!(is_short, "it ends with the grace: {late:?}");
    let by_second = cookie(&sign_in(&app, json!({ "key": second })).await);
    let unused = token(&second).await.expect("a link");
    let third = rotate(0).await;
    for gone in [&by_leaked, &cookie(&late), &by_second] {
        assert_eq!(who(&app, gone).await.status, StatusCode::UNAUTHORIZED);
    }
    for link in [stale, unused] {
        let refused = sign_in(&app, json!({ "token": link })).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    }
    let by_third = cookie(&sign_in(&app, json!({ "key": third })).await);
    assert_eq!(who(&app, &by_third).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_looks_at_a_link_sees_whom_it_signs_in_and_it_stays_good() {
    let app = TestApp::new().await;
    let key = app.key(app.other, Role::Lead).await;
    let token = link(&app, &key).await.body["token"].as_str().expect("a token").to_owned();
    for _ in 0..3 {
        let seen = look(&app, &token, &OWN).await;
        assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
        assert_eq!(seen.header("set-cookie"), "");
        let told = (text(&seen.body, "who"), text(&seen.body, "tenant_name"));
        assert_eq!(told, ("lead of tests", "Other"));
    }
    assert_eq!(look(&app, &token, &OWN[..1]).await.code(), "CSRF_REFUSED", "as signing in itself");
    let first = sign_in(&app, json!({ "token": token })).await;
    assert_eq!(
        (text(&first.body, "who"), text(&first.body, "tenant_name")),
        ("lead of tests", "Other")
    );
    // Used, unknown, and of a key that is gone: one refusal, which counts.
    let spent = look(&app, &token, &OWN).await;
    assert_eq!((spent.status, spent.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    for _ in 0..9 {
        assert_eq!(look(&app, "iol_none", &OWN).await.body["detail"], spent.body["detail"]);
    }
    assert_eq!(look(&app, "iol_none", &OWN).await.code(), "RATE_LIMITED");
    // Whoever signs in where somebody was signed in ends that.
    let before = cookie(&first);
    let mut asked = signing_in(json!({ "key": app.key(TenantId::BOOTSTRAP, Role::Viewer).await }));
    asked.headers_mut().insert("cookie", before.parse().expect("plain"));
    assert_eq!(app.send(asked).await.status, StatusCode::OK);
    assert_ne!(who(&app, &before).await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_tenant_leaves_room_for_the_links_of_all_others() {
    let app = TestApp::new().await;
    for _ in 0..51 {
        let key = app.key(app.other, Role::Viewer).await;
        for _ in 0..20 {
            assert_eq!(link(&app, &key).await.status, StatusCode::CREATED);
        }
    }
    let mine = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let token = link(&app, &mine).await.body["token"].as_str().expect("a token").to_owned();
    assert_eq!(sign_in(&app, json!({ "token": token })).await.status, StatusCode::OK);
    assert_eq!(link(&app, ADMIN).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_signs_in_so_many_browsers_and_they_are_listed_apart() {
    let app = TestApp::new().await;
    let key = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let mut told = Vec::new();
    for _ in 0..51 {
        let ten = (0..10).map(|_| sign_in(&app, json!({ "key": key })));
        told.extend(futures_util::future::join_all(ten).await);
    }
    let refused: Vec<&Answer> = told.iter().filter(|told| told.status != StatusCode::OK).collect();
    assert_eq!(refused.len(), 10, "500 and no more, however many come at once");
    assert_eq!(refused[0].code(), "QUOTA_EXCEEDED");
    assert!(text(&refused[0].body, "remedy").contains("another key"), "{:?}", refused[0]);
    let kinds = async |kind: &str| {
        let listed = app.get(&format!("/api/v1/keys?limit=200&kind={kind}")).await;
        let items = listed.body["items"].as_array().expect("items").clone();
        assert!(items.iter().all(|item| item["kind"] == kind), "{kind}");
        items.len()
    };
    assert_eq!((kinds("key").await, kinds("browser").await), (2, 200));
    let wrong = app.get("/api/v1/keys?kind=invite").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}
