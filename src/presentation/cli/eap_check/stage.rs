//! The orchestrator that is played for an agent: what it was told, and what it answers.
//!
//! Invariant: whatever comes is noted before it is answered; nothing of it is acted on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::application::ports::clock::Clock;
use crate::domain::canonical::canonical;
use crate::domain::eap::registration::{Registration, Unreadable};
use crate::domain::eap::result::TaskResult;
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// Seconds between two heartbeats, as the agent is told: short, so that a check takes no minutes.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// What a refused poll is to wait.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Longest wait of a poll.
const LONGEST_WAIT: u64 = 60;

/// A call of the agent.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) method: String,
    /// Below the agent's own address: `heartbeat`, `tasks/next`, `tasks/result`, …
    pub(super) what: String,
    pub(super) query: String,
    /// Why the token that it showed is not its own.
    pub(super) wrong_token: Option<&'static str>,
    /// It showed a key.
    pub(super) has_key: bool,
    pub(super) body: Option<Map<String, Value>>,
}

/// A piece of work that was given to the agent.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) document: Map<String, Value>,
    /// Its right is void.
    pub(super) is_void: bool,
    /// When it was told so.
    pub(super) told_at: Option<Timestamp>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    /// What it registered with, and what is wrong with that.
    pub(super) registered: Option<(Map<String, Value>, Vec<String>)>,
    pub(super) given: BTreeMap<String, Given>,
    /// Results by task, in order, with their time.
    pub(super) results: Vec<(Timestamp, String, Map<String, Value>)>,
    offers: VecDeque<Map<String, Value>>,
    cancels: VecDeque<String>,
    /// The next poll is answered with 503.
    pub(super) refuses_poll: bool,
    /// The next result gets no answer.
    pub(super) drops_result: bool,
}

/// Status, seconds of Retry-After, and body.
pub(super) type Answer = (u16, Option<u64>, Value);

/// The orchestrator that is played.
pub(super) struct Stage {
    state: Mutex<State>,
    changed: Notify,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) agent_id: String,
    pub(super) auth_token: String,
    pub(super) dispatch_token: String,
    /// The agent registers elsewhere: whatever id and token it has are taken for its own.
    is_stranger: bool,
}

/// A token as the protocol has it.
pub(super) fn token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// An id that nothing else has.
pub(super) fn id() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

fn refusal(status: u16, code: &str, detail: &str) -> Answer {
    (status, None, json!({ "status": status, "code": code, "detail": detail }))
}

impl Stage {
    pub(super) fn new(clock: Arc<dyn Clock>, dispatch_token: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Notify::new(),
            clock,
            agent_id: id(),
            auth_token: token(),
            is_stranger: dispatch_token.is_some(),
            dispatch_token: dispatch_token.unwrap_or_else(token),
        })
    }

    /// The token that the agent is to show; `None` when nobody here knows it.
    pub(super) fn expected(&self) -> Option<&str> {
        (!self.is_stranger).then_some(&self.auth_token)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and wakes whoever waits for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changed.notify_waiters();
        done
    }

    /// Waits until something is known.
    pub(super) async fn until<T>(
        &self,
        limit: Duration,
        look: impl Fn(&State) -> Option<T>,
    ) -> Option<T> {
        let end = self.clock.now().after(limit);
        loop {
            let rings = self.changed.notified();
            if let Some(found) = look(&self.state()) {
                return Some(found);
            }
            let left = end.since(self.clock.now());
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                () = rings => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    /// An assignment that the agent may work on.
    pub(super) fn assignment(&self, input: &str, fencing_token: u64) -> Map<String, Value> {
        let task = id();
        let document = json!({
            "kind": "task", "task_id": task, "session_id": task, "task_type": "session_execution",
            "context": {
                "session": {
                    "id": task, "code": "IND-000001", "title": "A check of the protocol",
                    "session_type": "execution", "priority": "medium",
                },
                "shared": {},
            },
            "input_data": input, "requirements": [], "timeout_seconds": 600, "attempt": 1,
            "fencing_token": fencing_token, "idempotency_key": format!("{task}:{fencing_token}"),
            "lease_expires_at": self.clock.now().after(Duration::from_mins(5)),
        });
        let document = document.as_object().cloned().unwrap_or_default();
        let given = Given { document: document.clone(), is_void: false, told_at: None };
        self.change(|state| state.given.insert(task, given));
        document
    }

    /// Has an assignment fetched.
    pub(super) fn offer(&self, document: Map<String, Value>) {
        self.change(|state| state.offers.push_back(document));
    }

    /// Takes the right to a piece of work away, and has the agent told.
    pub(super) fn cancel(&self, task: &str) {
        self.change(|state| {
            if let Some(given) = state.given.get_mut(task) {
                given.is_void = true;
            }
            state.cancels.push_back(task.to_owned());
        });
    }

    /// Notes a call, and answers it.
    pub(super) async fn answer(&self, path: &str, mut call: Call) -> Option<Answer> {
        let parts: Vec<&str> = path.split('/').collect();
        let (what, task) = match parts[..] {
            ["register"] => ("register".to_owned(), None),
            [_, "tasks", "next"] => ("tasks/next".to_owned(), None),
            [_, "tasks", task, what] => (format!("tasks/{what}"), Some(task.to_owned())),
            [_] => ("agent".to_owned(), None),
            [_, ref rest @ ..] => (rest.join("/"), None),
            [] => (String::new(), None),
        };
        call.what.clone_from(&what);
        let is_own = self.is_stranger || parts.first() == Some(&self.agent_id.as_str());
        let wrong = call.wrong_token;
        self.change(|state| state.calls.push(call.clone()));
        let body = call.body.clone().unwrap_or_default();
        if what == "register" {
            return Some(self.register(body, wrong.is_none()));
        }
        if !is_own {
            return Some(refusal(404, "AGENT_NOT_FOUND", "Agent not found"));
        }
        if wrong.is_some() {
            return Some(refusal(401, "UNAUTHENTICATED", "Invalid agent token"));
        }
        Some(match (call.method.as_str(), what.as_str(), task) {
            ("POST", "heartbeat", None) | ("DELETE", "agent", None) => (204, None, Value::Null),
            ("GET", "tasks/next", None) => self.next(&call.query).await,
            ("POST", "tasks/events", Some(task)) => self.events(&task, &body),
            ("POST", "tasks/result", Some(task)) => return self.result(&task, body),
            ("POST", "tasks/nack", Some(_)) => (200, None, json!({ "accepted": true })),
            ("POST", "rotate-token", None) => {
                let until = self.clock.now().after(Duration::from_mins(5));
                let told = json!({
                    "auth_token": self.auth_token, "dispatch_token": self.dispatch_token,
                    "previous_valid_until": until,
                });
                (200, None, told)
            }
            _ => refusal(404, "NOT_FOUND", "the protocol has no such call"),
        })
    }

    fn register(&self, body: Map<String, Value>, is_again: bool) -> Answer {
        let wrong = wrong_with(&body, self.clock.now());
        let is_wrong = !wrong.is_empty();
        self.change(|state| state.registered = Some((body, wrong.clone())));
        if is_wrong {
            return refusal(400, "PROTOCOL_ERROR", &wrong.join("; "));
        }
        (
            if is_again { 200 } else { 201 },
            None,
            json!({
                "agent_id": self.agent_id, "status": "registered",
                "auth_token": (!is_again).then_some(&self.auth_token),
                "dispatch_token": self.dispatch_token, "approved": true,
                "heartbeat_interval_seconds": INTERVAL.as_secs(), "heartbeat_expiry_seconds": 300,
                "protocol_version": crate::domain::eap::VERSION, "a_field_of_the_future": [1, 2],
            }),
        )
    }

    async fn next(&self, query: &str) -> Answer {
        let wanted: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let wait = wanted.get("wait").map_or(Some(30), |wait| wait.parse().ok());
        let Some(wait) = wait.filter(|wait| *wait <= LONGEST_WAIT) else {
            return refusal(422, "VALIDATION_ERROR", "wait must be 0 to 60");
        };
        if self.change(|state| std::mem::take(&mut state.refuses_poll)) {
            let body = json!({ "status": 503, "code": "BUSY", "detail": "try again later" });
            return (503, Some(RETRY_AFTER.as_secs()), body);
        }
        let takes_notices = wanted.get("notices").is_some_and(|said| said == "true");
        let found = self.until(Duration::from_secs(wait), |state| {
            let has_notice = takes_notices && !state.cancels.is_empty();
            (has_notice || !state.offers.is_empty()).then_some(())
        });
        found.await;
        let next = self.change(|state| {
            let notice = takes_notices.then(|| state.cancels.pop_front()).flatten();
            match notice {
                Some(task) => state.told(&task, self.clock.now()),
                None => state.offers.pop_front().map(Value::Object),
            }
        });
        next.map_or((204, None, Value::Null), |document| (200, None, document))
    }

    fn events(&self, task: &str, body: &Map<String, Value>) -> Answer {
        let now = self.clock.now();
        let notices = self.change(|state| {
            let waiting = std::mem::take(&mut state.cancels);
            waiting.iter().filter_map(|task| state.told(task, now)).collect::<Vec<_>>()
        });
        if notices.is_empty() && !self.state().is_current(task, body) {
            return refusal(409, "STALE_RESULT", "the right to this work is void");
        }
        let end = now.after(Duration::from_mins(5));
        let told =
            json!({ "cancel_requested": false, "lease_expires_at": end, "notices": notices });
        (200, None, told)
    }

    fn result(&self, task: &str, body: Map<String, Value>) -> Option<Answer> {
        let now = self.clock.now();
        let is_current = self.state().is_current(task, &body);
        let wrong = TaskResult::read(&body).err().map(|errors| told(&errors).join("; "));
        let is_dropped = self.change(|state| {
            state.results.push((now, task.to_owned(), body));
            std::mem::take(&mut state.drops_result)
        });
        if is_dropped {
            return None;
        }
        Some(match wrong {
            _ if !is_current => refusal(409, "STALE_RESULT", "the right to this work is void"),
            Some(wrong) => refusal(422, "VALIDATION_ERROR", &wrong),
            None => (200, None, json!({ "accepted": true, "session_status": "completed" })),
        })
    }
}

impl State {
    /// The notice that a piece of work is cancelled; from now on it is told.
    fn told(&mut self, task: &str, now: Timestamp) -> Option<Value> {
        let given = self.given.get_mut(task)?;
        given.told_at = Some(now);
        Some(json!({
            "kind": "cancel", "task_id": task, "fencing_token": given.document["fencing_token"],
            "reason": "a check of the protocol",
        }))
    }

    fn is_current(&self, task: &str, body: &Map<String, Value>) -> bool {
        self.given.get(task).is_some_and(|given| {
            !given.is_void && body.get("fencing_token") == given.document.get("fencing_token")
        })
    }

    /// Results of a piece of work, in order.
    pub(super) fn results_of(&self, task: &str) -> Vec<(Timestamp, &Map<String, Value>)> {
        let of_it = self.results.iter().filter(|(_, of, _)| of == task);
        of_it.map(|(at, _, result)| (*at, result)).collect()
    }
}

/// What is wrong with a registration.
fn wrong_with(body: &Map<String, Value>, now: Timestamp) -> Vec<String> {
    match Registration::read(body) {
        Ok(registration) => {
            let id = AgentId::new(uuid::Uuid::nil());
            let agent = registration.draft.accept(id, TenantId::BOOTSTRAP, now);
            agent.err().map(|errors| told(&errors)).unwrap_or_default()
        }
        Err(Unreadable::Version(version)) => vec![format!("/protocol_version is {version}")],
        Err(Unreadable::Malformed(errors)) => told(&errors),
    }
}

/// Broken rules, each with its place.
pub(super) fn told(errors: &[FieldError]) -> Vec<String> {
    errors.iter().take(5).map(|error| format!("{} {}", error.pointer, error.message)).collect()
}

/// Whether two results say the same.
pub(super) fn is_same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    canonical(&Value::Object(one.clone())) == canonical(&Value::Object(other.clone()))
}
