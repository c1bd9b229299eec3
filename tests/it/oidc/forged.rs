//! Tokens that do not hold, one by one: each is refused for what is wrong with it, beside one that holds.

use orchestrator::application::ports::identity_provider::{
    Flow, IdentityProvider, ProviderError, Vouched,
};
use orchestrator::infrastructure::oidc::OidcProvider;
use serde_json::{Value, json};

use super::hostile::{Hostile, How, client, person};

const AT: &str = "http://localhost:8000/login/oidc/callback";

pub(super) fn flow(number: usize) -> Flow {
    Flow {
        state: format!("state {number}"),
        nonce: format!("nonce {number}"),
        verifier: format!("verifier of the flow number {number} that is long enough"),
        redirect_uri: AT.to_owned(),
    }
}

/// Who somebody is who signs in by a new flow.
pub(super) async fn redeemed(
    hostile: &Hostile,
    provider: &OidcProvider,
    number: usize,
) -> Result<Vouched, ProviderError> {
    let flow = flow(number);
    let code = hostile.code(&flow, person("ann", "ann@example.org"));
    provider.redeem(&code, &flow).await
}

/// What is bent, by whom it is signed then, and a word of the reason for which it is refused.
type Case = (&'static str, How, fn(&mut Value, &mut Value), &'static str);

fn shift(claims: &mut Value, name: &str, by: i64) {
    let at = claims["iat"].as_i64().expect("a time");
    claims[name] = json!(at + by);
}

fn without(claims: &mut Value, name: &str) {
    claims.as_object_mut().expect("an object").remove(name);
}

const HOLD: &[Case] = &[
    ("as it should be", How::Rs256, |_, _| {}, ""),
    ("PS256", How::Ps256, |head, _| head["alg"] = json!("PS256"), ""),
    (
        "PS256 by a key for it",
        How::Ps256,
        |head, _| {
            *head = json!({ "alg": "PS256", "kid": "only-ps" });
        },
        "",
    ),
    ("ES256", How::Es256, |head, _| *head = json!({ "alg": "ES256", "kid": "ec" }), ""),
    ("EdDSA", How::Ed, |head, _| *head = json!({ "alg": "EdDSA", "kid": "ed" }), ""),
    (
        "the only key of its kind needs no name",
        How::Ed,
        |head, _| {
            *head = json!({ "alg": "EdDSA" });
        },
        "",
    ),
    (
        "for us and another one, for us first",
        How::Rs256,
        |_, claims| {
            claims["aud"] = json!(["other", "orchestrator"]);
            claims["azp"] = json!("orchestrator");
        },
        "",
    ),
    ("just over, by another clock", How::Rs256, |_, claims| shift(claims, "exp", -30), ""),
    ("not yet, by another clock", How::Rs256, |_, claims| shift(claims, "nbf", 30), ""),
    ("verified, as a text", How::Rs256, |_, claims| claims["email_verified"] = json!("true"), ""),
    ("a long name", How::Rs256, |_, claims| claims["sub"] = json!("s".repeat(255)), ""),
];

const FORGED: &[Case] = &[
    ("alg none", How::Unsigned, |head, _| head["alg"] = json!("none"), "token is none"),
    ("alg None", How::Unsigned, |head, _| head["alg"] = json!("None"), "token is none"),
    ("no signature", How::Unsigned, |_, _| {}, "not hold"),
    (
        "HS256 with the public key",
        How::HmacOfModulus,
        |head, _| {
            head["alg"] = json!("HS256");
        },
        "key that the provider does not show",
    ),
    (
        "HS256 with a secret that is shown",
        How::HmacShown,
        |head, _| {
            *head = json!({ "alg": "HS256", "kid": "shown" });
        },
        "key that the provider does not show",
    ),
    ("HS256 without a name", How::HmacShown, |head, _| *head = json!({ "alg": "HS256" }), "key"),
    ("RS384", How::Rs384, |head, _| head["alg"] = json!("RS384"), "key"),
    ("RS256 by a key for PS256", How::Rs256, |head, _| head["kid"] = json!("only-ps"), "key"),
    ("by a key for sealing", How::Rs256, |head, _| head["kid"] = json!("sealing"), "key"),
    (
        "RS256 in the name of another kind of key",
        How::Rs256,
        |head, _| {
            head["kid"] = json!("ec");
        },
        "key",
    ),
    (
        "ES256 in the name of another kind of key",
        How::Es256,
        |head, _| {
            *head = json!({ "alg": "ES256", "kid": "rsa" });
        },
        "key",
    ),
    (
        "a key that it brings along",
        How::Stranger,
        |head, _| {
            head["jwk"] = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
        },
        "not hold",
    ),
    ("another key in the name of the known one", How::Stranger, |_, _| {}, "not hold"),
    ("no name, and several keys", How::Rs256, |head, _| *head = json!({ "alg": "PS256" }), "key"),
    ("something critical", How::Rs256, |head, _| head["crit"] = json!(["b64"]), "not known here"),
    (
        "another issuer",
        How::Rs256,
        |_, claims| {
            claims["iss"] = json!("http://127.0.0.1:1");
        },
        "another issuer",
    ),
    (
        "the issuer with a / more",
        How::Rs256,
        |_, claims| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().expect("a text")));
        },
        "another issuer",
    ),
    ("for somebody else", How::Rs256, |_, claims| claims["aud"] = json!("other"), "somebody else"),
    ("for nobody", How::Rs256, |_, claims| claims["aud"] = json!([]), "somebody else"),
    (
        "for several",
        How::Rs256,
        |_, claims| {
            claims["aud"] = json!(["orchestrator", "other"]);
        },
        "several",
    ),
    (
        "for another one first",
        How::Rs256,
        |_, claims| {
            claims["aud"] = json!(["orchestrator", "other"]);
            claims["azp"] = json!("other");
        },
        "given to somebody else",
    ),
    (
        "given to another one",
        How::Rs256,
        |_, claims| {
            claims["azp"] = json!("other");
        },
        "given to somebody else",
    ),
    ("over", How::Rs256, |_, claims| shift(claims, "exp", -61), "expired"),
    ("without end", How::Rs256, |_, claims| without(claims, "exp"), "not hold"),
    ("an end that is none", How::Rs256, |_, claims| claims["exp"] = json!("soon"), "not hold"),
    ("not yet", How::Rs256, |_, claims| shift(claims, "nbf", 90), "not good yet"),
    ("from the future", How::Rs256, |_, claims| shift(claims, "iat", 90), "future"),
    ("from long ago", How::Rs256, |_, claims| shift(claims, "iat", -4000), "long ago"),
    ("from no time", How::Rs256, |_, claims| without(claims, "iat"), "not hold"),
    ("of another sign-in", How::Rs256, |_, claims| claims["nonce"] = json!("x"), "another sign-in"),
    ("of no sign-in", How::Rs256, |_, claims| without(claims, "nonce"), "another sign-in"),
    ("about nobody", How::Rs256, |_, claims| claims["sub"] = json!(""), "names nobody"),
    ("about somebody without a name", How::Rs256, |_, claims| without(claims, "sub"), "not hold"),
    (
        "about too long a name",
        How::Rs256,
        |_, claims| {
            claims["sub"] = json!("s".repeat(256));
        },
        "names nobody",
    ),
    (
        "an address that is not verified",
        How::Rs256,
        |_, claims| {
            claims["email_verified"] = json!(false);
        },
        "no e-mail",
    ),
    (
        "an address of which nothing is said",
        How::Rs256,
        |_, claims| {
            without(claims, "email_verified");
        },
        "no e-mail",
    ),
    (
        "verified, with another word",
        How::Rs256,
        |_, claims| {
            claims["email_verified"] = json!(1);
        },
        "no e-mail",
    ),
    ("no address", How::Rs256, |_, claims| without(claims, "email"), "no e-mail"),
    ("an empty address", How::Rs256, |_, claims| claims["email"] = json!(""), "no e-mail"),
];

#[tokio::test]
async fn what_holds_is_taken_and_every_forgery_refused_for_its_reason() {
    let hostile = Hostile::start().await;
    let provider = client(hostile.options());
    for (number, (name, how, bend, why)) in HOLD.iter().chain(FORGED).enumerate() {
        hostile.bend(move |head, claims| {
            bend(head, claims);
            *how
        });
        let found = redeemed(&hostile, &provider, number).await;
        if why.is_empty() {
            let vouched = found.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(vouched.email, "ann@example.org", "{name}");
        } else {
            let error = found.expect_err(name);
            assert!(!matches!(error, ProviderError::Unavailable(_)), "{name}: {error}");
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }
    let [described, shown, asked, _] = hostile.counts();
    assert_eq!((described, shown), (1, 1), "asked once, whatever was brought");
    assert_eq!(asked, HOLD.len() + FORGED.len());
}

#[tokio::test]
async fn made_up_names_of_keys_make_nobody_look_again() {
    let hostile = Hostile::start().await;
    let provider = client(hostile.options());
    redeemed(&hostile, &provider, 0).await.expect("in");
    hostile.bend(|head, _| {
        head["kid"] = json!("made up");
        How::Rs256
    });
    for number in 1..50 {
        let error = redeemed(&hostile, &provider, number).await.expect_err("refused");
        assert!(error.to_string().contains("does not show"), "{error}");
    }
    assert_eq!(hostile.counts()[1], 1);
    // Were there no such time between two looks, each of them would be one.
    let mut eager = hostile.options();
    eager.refetch_after = std::time::Duration::ZERO;
    let eager = client(eager);
    for number in 50..60 {
        redeemed(&hostile, &eager, number).await.expect_err("refused");
    }
    assert_eq!(hostile.counts()[1], 11);
}

#[tokio::test]
async fn keys_that_cannot_be_looked_at_let_nobody_in_and_are_looked_at_again() {
    let hostile = Hostile::start().await;
    let mut options = hostile.options();
    options.refetch_after = std::time::Duration::ZERO;
    let provider = client(options);
    hostile.behave(super::hostile::Manner::NoKeys);
    let error = redeemed(&hostile, &provider, 0).await.expect_err("refused");
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error}");
    hostile.behave(super::hostile::Manner::Honest);
    redeemed(&hostile, &provider, 1).await.expect("in");
}
