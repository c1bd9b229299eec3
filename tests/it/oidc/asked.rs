//! Providers that misbehave while they are asked: bounded, guarded, and never followed elsewhere.

use std::time::Duration;

use orchestrator::application::ports::identity_provider::{IdentityProvider, ProviderError};
use orchestrator::infrastructure::oidc::OidcOptions;
use serde_json::json;
use tokio::time::Instant;

use super::forged::{flow, redeemed};
use super::hostile::{Hostile, Manner, client, person};

fn quick(hostile: &Hostile) -> OidcOptions {
    OidcOptions { answer_time: Duration::from_millis(400), ..hostile.options() }
}

/// Why a provider with this manner is of no use.
async fn useless(manner: Manner) -> (String, [usize; 4]) {
    let hostile = Hostile::start().await;
    hostile.behave(manner.clone());
    let provider = client(quick(&hostile));
    let began = Instant::now();
    let error = redeemed(&hostile, &provider, 0).await.expect_err("of no use");
    assert!(began.elapsed() < Duration::from_secs(5), "{manner:?} took {:?}", began.elapsed());
    assert!(matches!(error, ProviderError::Unavailable(_)), "{manner:?}: {error}");
    (error.to_string(), hostile.counts())
}

#[tokio::test]
async fn what_a_provider_says_of_itself_has_to_hold() {
    for (name, value, why) in [
        ("issuer", json!("http://127.0.0.1:1"), "calls itself"),
        ("issuer", json!(7), "did not answer as a provider does"),
        ("token_endpoint", json!("http://id.example/token"), "must begin with https://"),
        ("token_endpoint", json!("file:///etc/passwd"), "has no host"),
        ("jwks_uri", json!("http://10.0.0.1/keys"), "must begin with https://"),
        ("jwks_uri", json!("https://a:b@id.example/keys"), "no password"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "has no host"),
        ("userinfo_endpoint", json!("ftp://id.example"), "must begin with https://"),
        // By https, but inside the house.
        ("token_endpoint", json!("https://169.254.169.254/token"), "nothing is ever sent there"),
        ("token_endpoint", json!("https://10.0.0.1/token"), "only the host of the issuer"),
        ("token_endpoint", json!("https://[::1]/token"), "only the host of the issuer"),
    ] {
        let (error, [_, _, asked, _]) = useless(Manner::Describes(name, value.clone())).await;
        assert!(error.contains(why), "{name} {value}: {error}");
        assert_eq!(asked, 0, "{name} {value}");
    }
}

#[tokio::test]
async fn answers_that_are_too_large_too_late_or_elsewhere_are_none() {
    let (error, _) = useless(Manner::Huge).await;
    assert!(error.contains("larger than 262144 bytes"), "{error}");
    let (error, _) = useless(Manner::Drips).await;
    assert!(error.contains("no answer"), "{error}");
    let (error, _) = useless(Manner::Slow(Duration::from_secs(30))).await;
    assert!(error.contains("no answer"), "{error}");
    let (error, [_, _, asked, elsewhere]) = useless(Manner::Redirects).await;
    assert!(error.contains("answered 307"), "{error}");
    assert_eq!((asked, elsewhere), (1, 0), "nobody went there");
}

#[tokio::test]
async fn a_provider_that_failed_is_left_alone_for_a_while() {
    let hostile = Hostile::start().await;
    hostile.behave(Manner::Huge);
    let provider = client(quick(&hostile));
    for _ in 0..20 {
        provider.probe().await.expect_err("of no use");
    }
    assert_eq!(hostile.counts()[0], 1);
}

#[tokio::test]
async fn the_address_may_be_told_elsewhere_but_of_the_same_person() {
    let hostile = Hostile::start().await;
    hostile.behave(Manner::Tells("ann"));
    let provider = client(hostile.options());
    let vouched = redeemed(&hostile, &provider, 0).await.expect("in");
    assert_eq!((&*vouched.subject, &*vouched.email), ("ann", "ann@example.org"));
    hostile.behave(Manner::Tells("bob"));
    let error = redeemed(&hostile, &provider, 1).await.expect_err("refused");
    assert!(error.to_string().contains("somebody else"), "{error}");
}

#[tokio::test]
async fn a_code_is_good_once_for_who_began_where_they_began() {
    let hostile = Hostile::start().await;
    let provider = client(hostile.options());
    let ann = || person("ann", "ann@example.org");
    let (one, other) = (flow(1), flow(2));
    let code = hostile.code(&one, ann());
    provider.redeem(&code, &one).await.expect("in");
    provider.redeem(&code, &one).await.expect_err("twice");
    let code = hostile.code(&one, ann());
    provider.redeem(&code, &other).await.expect_err("of another sign-in");
    for code in [String::new(), "made up".to_owned(), "x".repeat(5000)] {
        let error = provider.redeem(&code, &one).await.expect_err("no code");
        assert!(matches!(error, ProviderError::NotVouched(_)), "{error}");
    }
    let mut wrong = hostile.options();
    wrong.client_secret = Some("wrong".to_owned().into());
    let wrong = client(wrong);
    let code = hostile.code(&one, ann());
    let error = wrong.redeem(&code, &one).await.expect_err("not as us");
    assert!(matches!(&error, ProviderError::Unavailable(why) if why.contains("invalid_client")));
}
