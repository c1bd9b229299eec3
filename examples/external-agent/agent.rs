//! The agent at work: what it fetches, does, tells and brings.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Options;
use crate::memory::{Held, Memory};
use crate::talk::{Answer, LONGEST_WAIT, answered, is_passing};
use crate::work::{counted, failed, run};

/// One agent.
pub(crate) struct Agent {
    options: Options,
    http: Client,
    memory: Mutex<Memory>,
    /// Work that goes on, by idempotency key.
    running: Mutex<HashMap<String, CancellationToken>>,
    jobs: TaskTracker,
    /// No new work is fetched.
    closing: CancellationToken,
    /// What still goes on is given back.
    giving_back: CancellationToken,
    /// The orchestrator does not know it any more.
    is_unknown: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl Agent {
    pub(crate) fn new(options: Options, http: Client, memory: Memory) -> Arc<Self> {
        let agent = Arc::new(Self {
            options,
            http,
            memory: Mutex::new(memory),
            running: Mutex::default(),
            jobs: TaskTracker::new(),
            closing: CancellationToken::new(),
            giving_back: CancellationToken::new(),
            is_unknown: AtomicBool::new(false),
        });
        agent.remember(|_| ());
        agent
    }

    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        let mut memory = locked(&self.memory);
        change(&mut memory);
        if let Err(error) = memory.write(&self.options.state) {
            eprintln!("{} cannot be written: {error}", self.options.state.display());
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let base = self.options.url.trim_end_matches('/');
        let (id, token) = {
            let memory = locked(&self.memory);
            (memory.agent_id.clone(), memory.auth_token.clone())
        };
        let url = format!("{base}/api/v1/agents/external/{id}/{path}");
        let request = self.http.request(method, url).header("X-Agent-Token", token);
        answered(body.iter().fold(request, reqwest::RequestBuilder::json)).await
    }

    /// Repeats a call until there is an answer that says something. Every call of the protocol may be
    /// repeated: the same result gets the same answer.
    async fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut wait = Duration::from_secs(1);
        loop {
            let pause = match self.call(method.clone(), path, body).await {
                Ok(answer) if is_passing(answer.status) => {
                    eprintln!("{path}: {}; trying again", answer.status);
                    answer.retry_after.map_or(wait, Duration::from_secs)
                }
                Ok(answer) => {
                    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) {
                        let why = text(&answer.body, "detail");
                        eprintln!("the orchestrator does not know this agent any more: {why}");
                        self.is_unknown.store(true, Ordering::Relaxed);
                        self.closing.cancel();
                    }
                    return answer;
                }
                Err(error) => {
                    eprintln!("{path}: {error}; trying again");
                    wait
                }
            };
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Fetches work and notices until it is to end.
    async fn fetch(self: Arc<Self>) {
        loop {
            let next = self.insist(Method::GET, "tasks/next?wait=30&notices=true", None);
            let answer = tokio::select! {
                biased;
                () = self.closing.cancelled() => return,
                answer = next => answer,
            };
            match answer.status {
                StatusCode::OK if text(&answer.body, "kind") == "task" => self.take(answer.body),
                StatusCode::OK => self.heed(&answer.body).await,
                StatusCode::NO_CONTENT => {}
                other => {
                    eprintln!("no work: {other}");
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            }
        }
    }

    async fn heed(&self, notice: &Value) {
        match text(notice, "kind") {
            "cancel" => {
                let key = format!("{}:{}", text(notice, "task_id"), notice["fencing_token"]);
                if let Some(cancel) = locked(&self.running).get(&key) {
                    eprintln!("{key}: cancelled: {}", text(notice, "reason"));
                    cancel.cancel();
                }
            }
            "rotate_token" => {
                let rotated = self.insist(Method::POST, "rotate-token", None).await;
                if rotated.status == StatusCode::OK {
                    let token = text(&rotated.body, "auth_token").to_owned();
                    self.remember(|memory| memory.auth_token = token);
                    eprintln!("the token was replaced");
                }
            }
            "drain" => {
                eprintln!("no new work: it ends once it has ended what it has");
                self.closing.cancel();
            }
            _ => {}
        }
    }

    /// Begins a piece of work, unless it goes on already: it may be handed over twice.
    fn take(self: &Arc<Self>, work: Value) {
        let key = text(&work, "idempotency_key").to_owned();
        let cancel = CancellationToken::new();
        if locked(&self.running).contains_key(&key) {
            return;
        }
        locked(&self.running).insert(key.clone(), cancel.clone());
        let held = locked(&self.memory).held.get(&key).cloned();
        let held = held.unwrap_or(Held { work, result: None });
        self.remember(|memory| drop(memory.held.insert(key.clone(), held.clone())));
        let agent = Arc::clone(self);
        self.jobs.spawn(async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = agent.giving_back.cancelled() => agent.give_back(&key).await,
                () = agent.carry_out(&key, held, &cancel) => {}
            }
            // What was not brought yet stays in the file, for the next start.
            let is_kept = agent.giving_back.is_cancelled() && agent.result_of(&key).is_some();
            if !is_kept {
                agent.remember(|memory| drop(memory.held.remove(&key)));
            }
            locked(&agent.running).remove(&key);
        });
    }

    fn result_of(&self, key: &str) -> Option<Value> {
        locked(&self.memory).held.get(key).and_then(|held| held.result.clone())
    }

    async fn give_back(&self, key: &str) {
        if self.result_of(key).is_some() {
            return;
        }
        let Some((task, fencing_token)) = key.rsplit_once(':') else { return };
        let fencing_token: u64 = fencing_token.parse().unwrap_or_default();
        let body = json!({ "fencing_token": fencing_token, "reason": "the agent ends" });
        let nack = self.call(Method::POST, &format!("tasks/{task}/nack"), Some(&body)).await;
        eprintln!("{key}: given back: {:?}", nack.map(|answer| answer.status));
    }

    /// Does a piece of work and brings its result.
    async fn carry_out(&self, key: &str, held: Held, cancel: &CancellationToken) {
        let Held { work, result } = held;
        let result = if let Some(result) = result {
            result
        } else {
            eprintln!("{key}: begun");
            let (tell, told) = mpsc::channel(500);
            let (result, ()) =
                tokio::join!(self.work(&work, tell), self.report(&work, told, cancel));
            let kept = result.clone();
            self.remember(|memory| {
                memory.held.entry(key.to_owned()).and_modify(|held| held.result = Some(kept));
            });
            result
        };
        let path = format!("tasks/{}/result", text(&work, "task_id"));
        let answer = self.insist(Method::POST, &path, Some(&result)).await;
        eprintln!("{key}: {} {}", answer.status, answer.body);
        if matches!(answer.status.as_u16(), 400 | 413 | 422) {
            let why = format!("the result was not accepted: {}", text(&answer.body, "detail"));
            self.insist(Method::POST, &path, Some(&failed(&work, &why))).await;
        }
    }

    async fn work(&self, work: &Value, tell: mpsc::Sender<Value>) -> Value {
        tell.try_send(json!({ "type": "phase", "phase": "executing" })).ok();
        let input = work["input_data"].as_str().or(work["input"].as_str()).unwrap_or_default();
        let Some((program, arguments)) = self.options.command.split_first() else {
            return counted(work, input, &tell);
        };
        let limit = Duration::from_secs(work["timeout_seconds"].as_u64().unwrap_or(3600));
        let ran = tokio::time::timeout(limit, run(program, arguments, input, &tell)).await;
        match ran {
            Ok(Ok((output, None))) => json!({
                "task_id": work["task_id"], "fencing_token": work["fencing_token"],
                "status": "completed", "output_data": { "text": output },
            }),
            Ok(Ok((_, Some(failure)))) => failed(work, &failure),
            Ok(Err(error)) => failed(work, &format!("{program}: {error}")),
            Err(_) => failed(work, &format!("{program} did not end in time")),
        }
    }

    /// Tells what happens, some of it at a time, and heeds what comes back.
    async fn report(
        &self,
        work: &Value,
        mut told: mpsc::Receiver<Value>,
        cancel: &CancellationToken,
    ) {
        let path = format!("tasks/{}/events", text(work, "task_id"));
        let mut events = Vec::new();
        while told.recv_many(&mut events, 100).await > 0 {
            let body = json!({ "fencing_token": work["fencing_token"], "events": events });
            let answer = self.insist(Method::POST, &path, Some(&body)).await;
            events.clear();
            // Somebody else has the work now, or nobody wants it any more.
            if answer.status == StatusCode::CONFLICT || answer.body["cancel_requested"] == true {
                return cancel.cancel();
            }
            for notice in answer.body["notices"].as_array().into_iter().flatten() {
                self.heed(notice).await;
            }
        }
    }

    fn heartbeat(&self, status: &str) -> Value {
        let count = locked(&self.running).len();
        let share = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let load = (share / f64::from(self.options.at_once)).min(1.0);
        json!({ "status": status, "current_load": load, "tasks_in_progress": count })
    }

    /// Says how it is, as often as it was told to.
    async fn beat(self: Arc<Self>) {
        let interval = Duration::from_secs(locked(&self.memory).interval.max(1));
        loop {
            let beat = self.heartbeat("healthy");
            self.insist(Method::POST, "heartbeat", Some(&beat)).await;
            tokio::time::sleep(interval).await;
        }
    }

    /// Works until it is told to end, by a signal or by the orchestrator; whether that knows it still.
    pub(crate) async fn live(self: &Arc<Self>) -> std::io::Result<bool> {
        let (mut term, mut int) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let left: Vec<Value> =
            locked(&self.memory).held.values().map(|held| held.work.clone()).collect();
        for work in left {
            self.take(work);
        }
        let around = TaskTracker::new();
        let beating = around.spawn(Arc::clone(self).beat());
        around.spawn(Arc::clone(self).fetch());
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = self.closing.cancelled() => {}
        }
        self.closing.cancel();
        self.jobs.close();
        eprintln!("ending: {} pieces of work go on", locked(&self.running).len());
        tokio::select! {
            () = self.jobs.wait() => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = tokio::time::sleep(Duration::from_secs(self.options.grace)) => {}
        }
        self.giving_back.cancel();
        self.jobs.wait().await;
        beating.abort();
        let is_known = !self.is_unknown.load(Ordering::Relaxed);
        if is_known {
            let gone = self.heartbeat("offline");
            self.call(Method::POST, "heartbeat", Some(&gone)).await.ok();
        }
        Ok(is_known)
    }
}
