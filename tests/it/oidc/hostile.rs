//! A provider that signs whatever a test wants, and counts what it is asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding,
};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use orchestrator::application::ports::identity_provider::Flow;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::oidc::{OidcOptions, OidcProvider};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub(super) const CLIENT: &str = "orchestrator";
pub(super) const SECRET: &str = "s3cret of:the/client";

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Rs256,
    Rs384,
    Ps256,
    Es256,
    Ed,
    /// By another key of the same kind.
    Stranger,
    /// With what everybody may know of the key, as if it were a secret.
    HmacOfModulus,
    /// With a secret that the provider shows among its keys.
    HmacShown,
    /// Not at all.
    Unsigned,
}

/// What is done to a token before it is signed.
pub(super) type Bend = dyn Fn(&mut Value, &mut Value) -> How + Send + Sync;

/// How the provider behaves beside that.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Manner {
    Honest,
    /// The description has another value for this.
    Describes(&'static str, Value),
    /// The description is this large.
    Huge,
    /// Codes are given by another place, to which it redirects.
    Redirects,
    /// It answers a code after this time.
    Slow(Duration),
    /// It sends its description byte by byte.
    Drips,
    /// It shows no keys.
    NoKeys,
    /// It tells more of people elsewhere, about this subject.
    Tells(&'static str),
}

struct Keys {
    rsa: RsaKeyPair,
    stranger: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

/// What a code was given for.
struct Given {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    who: Value,
}

struct Shared {
    issuer: String,
    keys: Keys,
    bend: Mutex<Arc<Bend>>,
    manner: Mutex<Manner>,
    codes: Mutex<HashMap<String, Given>>,
    described: AtomicUsize,
    shown: AtomicUsize,
    asked: AtomicUsize,
    elsewhere: AtomicUsize,
}

/// The provider, on a port of its own.
pub(super) struct Hostile {
    shared: Arc<Shared>,
    served: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn seconds() -> i64 {
    use orchestrator::application::ports::clock::Clock as _;
    SystemClock::new().now().millis() / 1000
}

/// Somebody whom the provider vouches for.
pub(super) fn person(subject: &str, email: &str) -> Value {
    json!({ "sub": subject, "email": email, "email_verified": true, "name": "Ann Other" })
}

impl Hostile {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let generate = || RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let keys = Keys {
            rsa: generate(),
            stranger: generate(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            ed: Ed25519KeyPair::generate().expect("a key"),
        };
        let honest: Arc<Bend> = Arc::new(|_: &mut Value, _: &mut Value| How::Rs256);
        let shared = Arc::new(Shared {
            issuer: format!("http://127.0.0.1:{port}"),
            keys,
            bend: Mutex::new(honest),
            manner: Mutex::new(Manner::Honest),
            codes: Mutex::default(),
            described: AtomicUsize::new(0),
            shown: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            elsewhere: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(show))
            .route("/token", post(give))
            .route("/elsewhere", post(elsewhere))
            .route("/me", get(tell))
            .with_state(Arc::clone(&shared));
        let served = TaskTracker::new().spawn(async move {
            axum::serve(listener, routes).await.expect("served");
        });
        Self { shared, served }
    }

    pub(super) fn issuer(&self) -> String {
        self.shared.issuer.clone()
    }

    pub(super) fn options(&self) -> OidcOptions {
        let mut options = OidcOptions::new(self.issuer(), CLIENT.to_owned());
        options.client_secret = Some(SECRET.to_owned().into());
        options
    }

    pub(super) fn bend(
        &self,
        bend: impl Fn(&mut Value, &mut Value) -> How + Send + Sync + 'static,
    ) {
        *self.shared.bend.lock().expect("no panic") = Arc::new(bend);
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("no panic") = manner;
    }

    /// Descriptions, keys and codes that were asked for, and how often somebody followed a redirect.
    pub(super) fn counts(&self) -> [usize; 4] {
        let Shared { described, shown, asked, elsewhere, .. } = self.shared.as_ref();
        [described, shown, asked, elsewhere].map(|count| count.load(Ordering::SeqCst))
    }

    /// What somebody who signs in at this address brings back.
    pub(super) fn code_for(&self, address: &str, who: Value) -> String {
        let url = url::Url::parse(address).expect("an address");
        assert_eq!(url.path(), "/authorize", "{address}");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((&*asked["response_type"], &*asked["client_id"]), ("code", CLIENT));
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        self.code_of(Given {
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            who,
        })
    }

    /// The same for a flow that no browser walks.
    pub(super) fn code(&self, flow: &Flow, who: Value) -> String {
        self.code_of(Given {
            nonce: flow.nonce.clone(),
            challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(flow.verifier.as_bytes())),
            redirect_uri: flow.redirect_uri.clone(),
            who,
        })
    }

    fn code_of(&self, given: Given) -> String {
        let mut codes = self.shared.codes.lock().expect("no panic");
        let code = format!("code-{}-{}", codes.len(), given.nonce);
        codes.insert(code.clone(), given);
        code
    }
}

async fn describe(State(shared): State<Arc<Shared>>) -> Response {
    shared.described.fetch_add(1, Ordering::SeqCst);
    let issuer = &shared.issuer;
    let mut told = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    });
    let manner = shared.manner.lock().expect("no panic").clone();
    match manner {
        Manner::Describes(name, value) => told[name] = value,
        Manner::Tells(_) => told["userinfo_endpoint"] = json!(format!("{issuer}/me")),
        Manner::Huge => told["padding"] = json!("x".repeat(300 * 1024)),
        Manner::Drips => {
            let bytes = told.to_string().into_bytes();
            let drops = futures_util::stream::unfold((bytes, 0), |(bytes, at)| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let byte = *bytes.get(at)?;
                Some((Ok::<_, std::io::Error>(vec![byte]), (bytes, at + 1)))
            });
            return Body::from_stream(drops).into_response();
        }
        Manner::Honest | Manner::Redirects | Manner::Slow(_) | Manner::NoKeys => {}
    }
    Json(told).into_response()
}

async fn show(State(shared): State<Arc<Shared>>) -> Response {
    shared.shown.fetch_add(1, Ordering::SeqCst);
    if *shared.manner.lock().expect("no panic") == Manner::NoKeys {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let Keys { rsa, ec, ed, .. } = &shared.keys;
    let spell = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = rsa.public_key();
    let point = ec.public_key().as_ref();
    let modulus = spell(public.modulus().big_endian_without_leading_zero());
    let exponent = spell(public.exponent().big_endian_without_leading_zero());
    Json(json!({ "keys": [
        { "kty": "from the future", "kid": "future", "x": 1 },
        "no key at all",
        { "kty": "oct", "kid": "shown", "k": spell(b"a secret that is none"), "alg": "HS256" },
        { "kty": "RSA", "kid": "sealing", "use": "enc", "n": modulus, "e": exponent },
        { "kty": "RSA", "kid": "rsa", "use": "sig", "n": modulus, "e": exponent },
        { "kty": "RSA", "kid": "only-ps", "alg": "PS256", "n": modulus, "e": exponent },
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": spell(&point[1..33]), "y": spell(&point[33..]) },
        { "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": spell(ed.public_key().as_ref()) },
    ] }))
    .into_response()
}

async fn give(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let manner = shared.manner.lock().expect("no panic").clone();
    match manner {
        Manner::Redirects => {
            let place = [(header::LOCATION, format!("{}/elsewhere", shared.issuer))];
            return (StatusCode::TEMPORARY_REDIRECT, place).into_response();
        }
        Manner::Slow(time) => tokio::time::sleep(time).await,
        Manner::Honest
        | Manner::Describes(..)
        | Manner::Huge
        | Manner::Drips
        | Manner::NoKeys
        | Manner::Tells(_) => {}
    }
    answer(&shared, &headers, &body, matches!(manner, Manner::Tells(_)))
}

async fn elsewhere(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.elsewhere.fetch_add(1, Ordering::SeqCst);
    answer(&shared, &headers, &body, false)
}

async fn tell(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|head| head.to_str().ok());
    if shown != Some("Bearer the-access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Manner::Tells(subject) = *shared.manner.lock().expect("no panic") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Json(person(subject, "ann@example.org")).into_response()
}

/// As RFC 6749 and 7636 want it: each code once, for who began, from where they began.
fn answer(shared: &Shared, headers: &HeaderMap, body: &[u8], is_short: bool) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let refuse = |why: &str| {
        (StatusCode::BAD_REQUEST, Json(json!({ "error": why, "error_description": "<b>" })))
            .into_response()
    };
    let spelled: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let wanted = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{spelled}")));
    if headers.get(header::AUTHORIZATION).is_none_or(|head| head.as_bytes() != wanted.as_bytes()) {
        return refuse("invalid_client");
    }
    let code = form.get("code").cloned().unwrap_or_default();
    let Some(given) = shared.codes.lock().expect("no panic").remove(&code) else {
        return refuse("invalid_grant");
    };
    let verifier = form.get("code_verifier").map_or("", String::as_str);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    if challenge != given.challenge || form.get("redirect_uri") != Some(&given.redirect_uri) {
        return refuse("invalid_grant");
    }
    let token = signed(shared, &given, is_short);
    Json(json!({ "id_token": token, "access_token": "the-access", "token_type": "Bearer" }))
        .into_response()
}

/// A token, bent as the test wants it.
fn signed(shared: &Shared, given: &Given, is_short: bool) -> String {
    let mut claims = json!({
        "iss": shared.issuer, "aud": CLIENT, "iat": seconds(), "exp": seconds() + 300,
        "nonce": given.nonce,
    });
    for (name, value) in given.who.as_object().into_iter().flatten() {
        if !is_short || name == "sub" {
            claims[name] = value.clone();
        }
    }
    let mut head = json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" });
    let bend = Arc::clone(&shared.bend.lock().expect("no panic"));
    let how = bend(&mut head, &mut claims);
    let spell = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", spell(&head), spell(&claims));
    let signature = signature(&shared.keys, how, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn signature(keys: &Keys, how: How, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let rsa = |key: &RsaKeyPair, way: &'static dyn RsaEncoding| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(way, &random, message, &mut signature).expect("signed");
        signature
    };
    let hmac = |secret: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    };
    match how {
        How::Rs256 => rsa(&keys.rsa, &RSA_PKCS1_SHA256),
        How::Rs384 => rsa(&keys.rsa, &RSA_PKCS1_SHA384),
        How::Ps256 => rsa(&keys.rsa, &RSA_PSS_SHA256),
        How::Stranger => rsa(&keys.stranger, &RSA_PKCS1_SHA256),
        How::Es256 => keys.ec.sign(&random, message).expect("signed").as_ref().to_vec(),
        How::Ed => keys.ed.sign(message).as_ref().to_vec(),
        How::HmacOfModulus => {
            let public = keys.rsa.public_key();
            hmac(public.modulus().big_endian_without_leading_zero())
        }
        How::HmacShown => hmac(b"a secret that is none"),
        How::Unsigned => Vec::new(),
    }
}

/// What is tested, as its settings have it.
pub(super) fn client(options: OidcOptions) -> OidcProvider {
    OidcProvider::new(options, Arc::new(SystemClock::new())).expect("a client")
}
