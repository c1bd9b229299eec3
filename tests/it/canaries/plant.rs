//! Secrets of many shapes, each made once, and the places where they are planted.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::repo::TestRepo;
use crate::support::server::{Server, text};

/// A secret that was planted.
#[derive(Debug, Clone)]
pub(super) struct Canary {
    /// Where.
    pub(super) place: &'static str,
    /// What must be found nowhere.
    pub(super) value: String,
    /// The value with what tells that it is secret.
    pub(super) text: String,
}

impl Canary {
    /// A value that the server knows.
    pub(super) fn known(place: &'static str, value: &str) -> Self {
        Self { place, value: value.to_owned(), text: value.to_owned() }
    }
}

/// Makes secrets, each another one, of one shape after another.
#[derive(Default)]
pub(super) struct Nursery(u32);

impl Nursery {
    fn digits(&mut self) -> String {
        self.0 += 1;
        let digest = Sha256::digest(format!("canary {}", self.0));
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("written");
            text
        })
    }

    /// A secret of the next shape.
    pub(super) fn of(&mut self, place: &'static str) -> Canary {
        let hex = self.digits();
        let upper: String = hex.to_ascii_uppercase().replace(['0', '1', '8', '9'], "Q");
        let (value, text) = match self.0 % 9 {
            0 => same(format!("ghp_{}", &hex[..36])),
            1 => same(format!("AKIA{}", &upper[..16])),
            2 => same(format!("iok_{}", &hex[..43])),
            3 => same(format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", &hex[..20], &hex[20..60])),
            4 => same(format!("sk-proj-{}", &hex[..40])),
            5 => inside(format!("Bearer {}", &hex[..32]), &hex[..32]),
            6 => inside(format!("password={}", &hex[..18]), &hex[..18]),
            7 => inside(format!("https://me:{}@example.com/x", &hex[..20]), &hex[..20]),
            _ => same(format!("glpat-{}", &hex[..24])),
        };
        Canary { place, value, text }
    }

    /// One that is known by its own shape, wherever it stands.
    pub(super) fn words(&mut self, place: &'static str) -> Canary {
        let value = format!("ghp_{}", &self.digits()[..36]);
        Canary { place, text: value.clone(), value }
    }

    /// One whose shape nothing but its own letters could tell, spelled for a script: what the agent says
    /// is not what it was told.
    fn spelled(&mut self, place: &'static str) -> Canary {
        let value = format!("ghp_{}", &self.digits()[..36]);
        Canary { place, text: value.replace("ghp_", r"ghp\u005f"), value }
    }
}

fn same(value: String) -> (String, String) {
    (value.clone(), value)
}

fn inside(text: String, value: &str) -> (String, String) {
    (value.to_owned(), text)
}

/// Plants secrets in everything that comes in.
pub(super) async fn plant(
    server: &Server,
    repo: &TestRepo,
    nursery: &mut Nursery,
    canaries: &mut Vec<Canary>,
) {
    let mut sow = Sowing { server, nursery, canaries };
    sow.fields().await;
    sow.agent(repo).await;
    sow.commands().await;
    sow.webhooks().await;
    sow.keys().await;
    sow.edges().await;
}

struct Sowing<'a> {
    server: &'a Server,
    nursery: &'a mut Nursery,
    canaries: &'a mut Vec<Canary>,
}

impl Sowing<'_> {
    fn text(&mut self, place: &'static str) -> String {
        let canary = self.nursery.of(place);
        self.canaries.push(canary.clone());
        canary.text
    }

    fn word(&mut self, place: &'static str) -> String {
        let canary = self.nursery.words(place);
        self.canaries.push(canary.clone());
        canary.value
    }

    fn spelled(&mut self, place: &'static str) -> String {
        let canary = self.nursery.spelled(place);
        self.canaries.push(canary.clone());
        canary.text
    }

    /// Sends something that may be refused; the status and the answer.
    async fn try_to(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.server.send(method, path, Some(&body), None).await.expect("an answer");
        assert_ne!(answer.status.as_u16(), 500, "{path}: {answer:?}");
        let told = answer.body.to_string();
        for canary in &*self.canaries {
            assert!(!told.contains(&canary.value), "{} came back: {told}", canary.place);
        }
        answer.body
    }

    async fn fields(&mut self) {
        for _ in 0..2 {
            let body = json!({
                "title": format!("use {}", self.text("a title")),
                "description": format!("with {}", self.text("a description")),
                "initial_prompt": format!("log in: {} and go", self.text("a prompt")),
                "metadata": { "note": [{ "deep": self.text("a value of metadata") }],
                    "db_password": self.word("a password in metadata"),
                    (self.word("a name in metadata")): 1 },
            });
            let made = self.try_to(Method::POST, "sessions", body).await;
            assert!(made["id"].is_string(), "{made:#}");
            let path = format!("sessions/{}", text(&made["id"]));
            let body = json!({ "title": self.text("a changed title") });
            self.try_to(Method::PATCH, &path, body).await;
            let body = json!({ "reason": self.text("a reason") });
            self.try_to(Method::POST, &format!("{path}/cancel"), body).await;
        }
        let body = json!({ "title": "x", "tags": [self.word("a tag")] });
        self.try_to(Method::POST, "sessions", body).await;
    }

    /// What an agent says is spelled in its script, so that only the agent says it.
    async fn agent(&mut self, repo: &TestRepo) {
        let steps = format!(
            r#"[{{"say":"{}"}},{{"think":"{}"}},{{"tool":{{"tool":"bash","title":"{}","input":{{"command":"{}","nested":[{{"k":"{}"}}]}},"output":"{}"}}}},{{"todo":[{{"content":"{}","status":"pending"}}]}},{{"say":"{}"}}]"#,
            self.spelled("words of an agent"),
            self.spelled("thoughts of an agent"),
            self.spelled("the title of a call"),
            self.spelled("the input of a call"),
            self.spelled("nested input of a call"),
            self.spelled("the output of a call"),
            self.spelled("a list of things to do"),
            self.spelled("the last words of an agent"),
        );
        let gate = json!({ "name": "print", "command": ["sh", "-c", "cat secrets.env"],
            "timeout_seconds": 30 });
        let fields = json!({ "gates": [gate],
            "workspace": { "kind": "git", "repo": repo.text() } });
        let id = self.play(&steps, fields).await;
        self.server.until_status(&id, "completed").await;
        let body = json!({ "success_rate": 0.5, "comment": self.text("a comment") });
        self.try_to(Method::POST, &format!("sessions/{id}/rate"), body).await;
        let steps = format!(
            r#"[{{"fail":{{"type":"provider_error","retryable":false,"message":"refused {}"}}}}]"#,
            self.spelled("why an agent failed"),
        );
        let id = self.play(&steps, json!({})).await;
        self.server.until_status(&id, "failed").await;
        let steps = format!(
            r#"[{{"ask":{{"tool":"bash","patterns":["{}"],"title":"{}"}}}},{{"question":"{}"}}]"#,
            self.spelled("the pattern of an ask"),
            self.spelled("the title of an ask"),
            self.spelled("a question"),
        );
        let id = self.play(&steps, json!({})).await;
        let item = self.server.until_asked(&id).await;
        let path = format!("attention/{}/resolve", text(&item["id"]));
        self.try_to(Method::POST, &path, json!({ "decision": "allow_once" })).await;
        let first = text(&item["id"]).to_owned();
        let item = loop {
            let item = self.server.until_asked(&id).await;
            if item["id"] != first.as_str() {
                break item;
            }
        };
        let path = format!("attention/{}/resolve", text(&item["id"]));
        let body = json!({ "decision": "answer", "answer": self.text("an answer") });
        self.try_to(Method::POST, &path, body).await;
        self.server.until_status(&id, "completed").await;
    }

    async fn play(&mut self, steps: &str, mut fields: Value) -> String {
        fields["initial_prompt"] = json!(format!("Do this.\n```simulated\n{steps}\n```"));
        fields["start"] = json!(true);
        text(&self.try_to(Method::POST, "sessions", fields).await["id"]).to_owned()
    }

    async fn commands(&mut self) {
        let steps = r#"[{"wait_ms": 60000}]"#;
        let id = self.play(steps, json!({})).await;
        self.server.until_status(&id, "running").await;
        let path = format!("sessions/{id}");
        let body = json!({ "text": self.text("a further prompt") });
        self.try_to(Method::POST, &format!("{path}/prompt"), body).await;
        let body = json!({ "text": self.text("a queued prompt"), "mode": "queue" });
        self.try_to(Method::POST, &format!("{path}/prompt"), body).await;
        let body = json!({ "reason": self.text("why it was stopped") });
        self.try_to(Method::POST, &format!("{path}/stop"), body).await;
        let id = self.play(steps, json!({})).await;
        self.server.until_status(&id, "running").await;
        let body = json!({ "error_message": self.text("a declared failure"),
            "error_context": { "facts": [self.text("facts of a failure")] }, "retryable": false });
        self.try_to(Method::POST, &format!("sessions/{id}/fail"), body).await;
        let body = json!({ "scope": "server", "reason": self.text("why nothing is given out") });
        self.try_to(Method::POST, "admissions/hold", body).await;
        self.try_to(Method::POST, "admissions/release", json!({ "scope": "server" })).await;
        let body = json!({ "slug": "nobody", "name": self.text("the name of a tenant") });
        self.try_to(Method::POST, "tenants", body).await;
    }

    async fn webhooks(&mut self) {
        let url = format!("http://me:{}@127.0.0.1:9/x", self.word("the address of a webhook"));
        self.try_to(Method::POST, "webhooks", json!({ "url": url })).await;
        let body = json!({ "url": "http://127.0.0.1:9/x",
            "description": self.text("the description of a webhook"),
            "event_types": [self.word("a type of events")] });
        self.try_to(Method::POST, "webhooks", body).await;
        let body =
            json!({ "url": "http://127.0.0.1:9/x", "description": self.text("of a webhook") });
        let key = format!("hook {}", self.canaries.len());
        let server = self.server;
        let post = |path: String, body: Value, key: String| async move {
            let sent = server.send(Method::POST, &path, Some(&body), Some(&key)).await;
            sent.expect("an answer")
        };
        let made = post("webhooks".to_owned(), body.clone(), key.clone()).await;
        let again = post("webhooks".to_owned(), body, key.clone()).await;
        assert!(again.replayed && again.body["secret"].is_null(), "{again:?}");
        let path = format!("webhooks/{}", text(&made.body["id"]));
        let rotated = post(format!("{path}/rotate"), json!({}), key).await;
        for answer in [&made, &rotated] {
            let secret = text(&answer.body["secret"]);
            assert!(secret.starts_with("whsec_"), "{answer:?}");
            self.canaries.push(Canary::known("the secret of a webhook", secret));
        }
        self.server.post(&format!("{path}/test"), json!({})).await;
    }

    async fn keys(&mut self) {
        let made = loop {
            let name = self.text("the name of a key");
            let is_refused = name.contains('@');
            let body = json!({ "name": name, "role": "member" });
            let key = format!("key {}", self.canaries.len());
            let answer = self.server.send(Method::POST, "keys", Some(&body), Some(&key)).await;
            let answer = answer.expect("an answer");
            assert_eq!(answer.status.is_client_error(), is_refused, "{answer:?}");
            if !is_refused {
                break answer.body;
            }
        };
        let secret = text(&made["secret"]).to_owned();
        assert!(secret.starts_with("iok_"), "{made:#}");
        self.canaries.push(Canary::known("a key that was used", &secret));
        let used = self.server.http.get(format!("{}/api/v1/sessions", self.server.url));
        let used = used.bearer_auth(&secret).send().await.expect("an answer");
        assert!(used.status().is_success());
    }

    /// Headers, paths, queries and bodies that are not what they should be.
    async fn edges(&mut self) {
        let (http, url) = (self.server.http.clone(), self.server.url.clone());
        let mut requests = Vec::new();
        // A peer that shows too many wrong keys is not listened to for a while.
        if self.canaries.len() < 200 {
            let wrong = self.word("a wrong key");
            requests.push(http.get(format!("{url}/api/v1/sessions")).bearer_auth(wrong));
            let basic = self.word("a password in a header");
            requests.push(http.get(format!("{url}/api/v1/sessions")).basic_auth("me", Some(basic)));
        }
        let read = || {
            let request = http.get(format!("{url}/api/v1/sessions"));
            request.bearer_auth(super::ADMIN_KEY).header("X-Tenant-ID", "default")
        };
        for (name, place) in [
            ("X-Request-ID", "X-Request-ID"),
            ("traceparent", "traceparent"),
            ("User-Agent", "User-Agent"),
            ("Cookie", "a cookie"),
            ("Origin", "Origin"),
            ("Referer", "Referer"),
            ("If-Match", "If-Match"),
            ("X-Forwarded-For", "X-Forwarded-For"),
            ("Accept", "Accept"),
        ] {
            let value = self.word(place);
            requests.push(read().header(name, value));
        }
        requests.push(read().header("X-Tenant-ID", self.word("X-Tenant-ID")));
        requests.push(read().query(&[("status", self.word("the value of a parameter"))]));
        requests.push(read().query(&[(self.word("the name of a parameter"), "1")]));
        requests.push(read().query(&[("cursor", self.word("a cursor"))]));
        requests.push(read().query(&[("access_token", self.word("a key in the address"))]));
        for place in ["a path", "another path"] {
            let path = format!("{url}/api/v1/sessions/{}", self.word(place));
            requests.push(
                http.get(path).bearer_auth(super::ADMIN_KEY).header("X-Tenant-ID", "default"),
            );
        }
        let post = || {
            let request = http.post(format!("{url}/api/v1/sessions")).bearer_auth(super::ADMIN_KEY);
            let request = request.header("X-Tenant-ID", "default");
            request.header("Content-Type", "application/json")
        };
        let (name, again) = (self.word("a repeated name"), self.word("broken JSON"));
        requests.push(post().body(format!(r#"{{"{name}":1,"{name}":2}}"#)));
        requests.push(post().body(format!(r#"{{"title":"{again}"#)));
        requests.push(post().body(json!({ (self.word("an unknown name")): 1 }).to_string()));
        let body = json!({ "priority": self.word("a wrong word") }).to_string();
        requests.push(post().body(body));
        let body = json!({ "title": { "a": self.word("a wrong type") } }).to_string();
        requests.push(post().body(body));
        let key = self.word("Idempotency-Key");
        requests.push(post().header("Idempotency-Key", key).body(r#"{"title":"x"}"#));
        let kind = self.word("Content-Type");
        requests.push(read().header("Content-Type", format!("text/{kind}")));
        let body = json!({ "workspace": { "kind": "git",
            "repo": format!("/nowhere/{}", self.word("the path of a repository")) },
            "initial_prompt": "x", "start": true });
        requests.push(post().body(body.to_string()));
        let method = Method::from_bytes(self.word("a method").as_bytes()).expect("a token");
        requests.push(http.request(method, format!("{url}/api/v1/sessions")));
        for request in requests {
            let answer = request.send().await.expect("an answer");
            let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
            let told = headers + &answer.text().await.expect("a body");
            assert_ne!(status.as_u16(), 500, "{told}");
            for canary in &*self.canaries {
                assert!(!told.contains(&canary.value), "{} came back: {told}", canary.place);
            }
        }
    }
}
