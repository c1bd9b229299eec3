//! Who somebody becomes whom the provider vouches for.

use axum::http::{Method, StatusCode};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use super::hostile::person;
use super::ways::{House, session};
use crate::support::app::{Answer, TestApp};

async fn with_domains(domains: &[&str]) -> House {
    House::with(ApiOptions { rate: None, ..ApiOptions::default() }, domains).await
}

async fn patch(app: &TestApp, path: &str, body: Value) -> Answer {
    app.send(app.request(Method::PATCH, path, Some(body))).await
}

async fn change(house: &House, id: &str, body: Value) -> Answer {
    patch(&house.app, &format!("/api/v1/users/{id}"), body).await
}

/// The id of whoever is signed in.
async fn who(house: &House, signed: &Answer) -> String {
    assert_eq!(signed.status, StatusCode::OK, "{signed:?}");
    let me = house.whoami(signed).await;
    me.body["user"]["id"].as_str().unwrap_or_else(|| panic!("{me:?}")).to_owned()
}

fn refused(answer: &Answer) -> String {
    assert_eq!((answer.status, session(answer)), (StatusCode::UNAUTHORIZED, String::new()));
    answer.body.as_str().expect("a page").to_owned()
}

#[tokio::test]
async fn the_name_that_the_provider_gives_decides_once_the_address_has_tied_it() {
    let house = House::new().await;
    let ann = house.let_in("ann@example.org", "member").await;
    let first = house.sign_in(person("ann", "ann@example.org")).await;
    assert_eq!(who(&house, &first).await, ann);
    // With another address she is still herself; whoever gets the old one is not her.
    let moved = house.sign_in(person("ann", "ann@elsewhere.example")).await;
    assert_eq!(who(&house, &moved).await, ann);
    refused(&house.sign_in(person("eve", "ann@example.org")).await);
    let changed = change(&house, &ann, json!({ "identity_provider": "https://x.example" })).await;
    assert_eq!(
        changed.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "nobody ties by hand: {changed:?}"
    );
    let forgotten = change(&house, &ann, json!({ "identity_provider": null })).await;
    assert_eq!(
        (forgotten.status, &forgotten.body["identity_provider"]),
        (StatusCode::OK, &Value::Null)
    );
    let next = house.sign_in(person("ann at another place", "ann@example.org")).await;
    assert_eq!(who(&house, &next).await, ann);
    refused(&house.sign_in(person("ann", "ann@example.org")).await);
}

#[tokio::test]
async fn whoever_is_unknown_switched_off_or_tied_to_another_reads_the_same_words() {
    let house = House::new().await;
    let ann = house.let_in("ann@example.org", "admin").await;
    house.let_in("bob@example.org", "member").await;
    let signed = house.sign_in(person("ann", "ann@example.org")).await;
    let bob = house.sign_in(person("bob", "bob@example.org")).await;
    assert_eq!(bob.status, StatusCode::OK);
    change(&house, &ann, json!({ "is_active": false })).await;
    assert_eq!(house.whoami(&signed).await.status, StatusCode::UNAUTHORIZED, "out at once");
    let words = refused(&house.sign_in(person("nobody", "nobody@example.org")).await);
    assert!(words.contains("Ask an administrator of Default for an invitation"), "{words}");
    for who in [
        person("ann", "ann@example.org"),
        person("eve", "ann@example.org"),
        person("eve", "bob@example.org"),
        person("eve", "not an address"),
    ] {
        assert_eq!(refused(&house.sign_in(who).await), words);
    }
    change(&house, &ann, json!({ "is_active": true })).await;
    assert_eq!(house.whoami(&signed).await.status, StatusCode::UNAUTHORIZED, "out for good");
    let again = house.sign_in(person("ann", "ann@example.org")).await;
    assert_eq!(who(&house, &again).await, ann);
}

#[tokio::test]
async fn without_an_invitation_comes_only_who_may_and_only_as_a_member() {
    let house = with_domains(&["example.org"]).await;
    let new = || person("new", "new@Example.ORG");
    refused(&house.sign_in(new()).await);
    let body = json!({ "settings": { "join_mode": "identity_provider" } });
    let open = patch(&house.app, "/api/v1/tenants/default", body).await;
    assert_eq!(open.body["settings"]["join_mode"], "identity_provider", "{open:?}");
    for email in ["new@elsewhere.example", "new@sub.example.org", "example.org@evil.example"] {
        refused(&house.sign_in(person("new", email)).await);
    }
    let signed = house.sign_in(new()).await;
    let me = house.whoami(&signed).await;
    let user = &me.body["user"];
    assert_eq!(
        (&user["email"], &user["full_name"]),
        (&json!("new@Example.ORG"), &json!("Ann Other"))
    );
    assert_eq!((&user["role"], &user["is_system_admin"]), (&json!("member"), &json!(false)));
    assert_eq!(user["created_by"], json!(house.hostile.issuer()));
    let again = house.sign_in(person("new", "later@elsewhere.example")).await;
    assert_eq!(json!(who(&house, &again).await), user["id"], "from now on the name decides");
    let back = json!({ "settings": { "join_mode": "invite" } });
    patch(&house.app, "/api/v1/tenants/default", back).await;
    refused(&house.sign_in(person("newer", "newer@example.org")).await);
    let body = json!({ "settings": { "join_mode": "open" } });
    let wrong = patch(&house.app, "/api/v1/tenants/default", body).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
}

#[tokio::test]
async fn without_domains_the_mode_lets_nobody_in() {
    let house = House::new().await;
    let body = json!({ "settings": { "join_mode": "identity_provider" } });
    patch(&house.app, "/api/v1/tenants/default", body).await;
    refused(&house.sign_in(person("new", "new@example.org")).await);
}

#[tokio::test]
async fn names_that_cannot_be_shown_are_not_taken_over() {
    let house = with_domains(&["example.org"]).await;
    let body = json!({ "settings": { "join_mode": "identity_provider" } });
    patch(&house.app, "/api/v1/tenants/default", body).await;
    for (number, name) in ["a\u{202e}b", "", "a\nb"].into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let mut new = person(&email, &email);
        new["name"] = json!(name);
        let me = house.whoami(&house.sign_in(new).await).await;
        assert_eq!(me.body["user"]["full_name"], json!(email));
    }
}

#[tokio::test]
async fn two_who_come_at_once_as_one_are_one() {
    let house = with_domains(&["example.org"]).await;
    let body = json!({ "settings": { "join_mode": "identity_provider" } });
    patch(&house.app, "/api/v1/tenants/default", body).await;
    let new = || house.sign_in(person("new", "new@example.org"));
    let all = futures_util::future::join_all((0..8).map(|_| new())).await;
    let mut ids = Vec::new();
    for signed in &all {
        ids.push(who(&house, signed).await);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let users = house.app.get("/api/v1/users").await;
    assert_eq!(users.body["items"].as_array().map(Vec::len), Some(1), "{users:?}");
}
