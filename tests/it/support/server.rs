//! The real executable as people run it: a site with settings of its own, servers on it one after
//! another, and its command line.
//!
//! Invariant: nothing of this machine's settings reaches it, and every process ends with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::guard;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{RedbOptions, RedbStore};
use reqwest::{Client, Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::invariants::broken;
use super::opencode::{PATIENCE, opencode_program};
use super::scripted_llm::ScriptedLlm;

/// Key of the administrator on every site.
pub(crate) const ADMIN_KEY: &str = "iok_the-administrator-of-a-site-for-tests";

/// A data directory, a home and settings; servers start on it one after another.
pub(crate) struct Site {
    root: TempDir,
    settings: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    /// Program and first arguments that servers are started through.
    tracer: Vec<String>,
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: i32,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

impl Site {
    /// A site with the simulated agent alone, which takes 5 ms a step.
    pub(crate) fn simulated() -> Self {
        Self::bare()
            .with("AGENTS__OPENCODE__ENABLED", "false")
            .with("AGENTS__SIMULATED__ENABLED", "true")
            .with("AGENTS__SIMULATED__LATENCY_MS", "5")
    }

    /// A site with the real OpenCode, whose only model follows scripts.
    pub(crate) fn opencode(llm: &ScriptedLlm) -> Self {
        let site = Self::bare();
        let config = site.root.path().join("opencode.json");
        let text = opencode_config(&llm.url()).to_string();
        std::fs::write(&config, text).expect("written");
        let program = json!([opencode_program()]).to_string();
        site.with("AGENTS__OPENCODE__COMMAND", &program)
            .with("AGENTS__OPENCODE__CONFIG_FILE", config.to_str().expect("UTF-8"))
            .with("AGENTS__OPENCODE__ENABLED", "true")
    }

    /// A site without any setting but its place, its key and a free port; and tests ask more often
    /// than people do.
    pub(crate) fn bare() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join("home")).expect("a home");
        let site = Self { root, settings: Vec::new(), variables: Vec::new(), tracer: Vec::new() };
        site.with("SERVER__REQUESTS_PER_SECOND", "0")
    }

    /// The same with one more setting, named as its variable without the prefix.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with one more variable that is no setting.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with servers that are traced to this file: whom they connect to, and their end.
    pub(crate) fn traced(mut self, file: &Path) -> Self {
        let file = file.to_str().expect("UTF-8");
        let words = ["strace", "-D", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg"];
        self.tracer = words.into_iter().chain(["-o", file]).map(str::to_owned).collect();
        self
    }

    /// Where everything is kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// A folder of the site for whatever a test needs.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The store of a site whose server does not run.
    pub(crate) fn store(&self) -> Arc<RedbStore> {
        let (options, clock) = (RedbOptions::new(self.data()), Arc::new(SystemClock::new()));
        RedbStore::open(options, clock, Arc::new(SystemIds)).expect("the store opens")
    }

    /// What is stored keeps every invariant, whatever became of the server.
    pub(crate) async fn keeps_invariants(&self) {
        let store = self.store();
        let (wrong, _) = broken(&*store).await.expect("readable");
        store.close().await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// The executable in this site's surroundings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.surrounded(Command::new(env!("CARGO_BIN_EXE_orchestrator")), arguments)
    }

    fn surrounded(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("TMPDIR", self.root.path())
            .env("ORCHESTRATOR_LISTEN", "127.0.0.1:0")
            .env("ORCHESTRATOR_DATA_DIR", self.data())
            .env("ORCHESTRATOR_ADMIN_KEY", ADMIN_KEY)
            .env("ORCHESTRATOR_KEY", ADMIN_KEY)
            .envs(self.settings.iter().map(|(name, value)| (format!("ORCHESTRATOR_{name}"), value)))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command of the executable to its end.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Finished {
        finish(self.command(arguments)).await
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn serve(&self) -> Server {
        self.start(&["serve"]).await
    }

    /// Starts a server with these words and waits until it is ready.
    pub(crate) async fn start(&self, words: &[&str]) -> Server {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file());
        let mut command = match self.tracer.split_first() {
            None => self.command(words),
            Some((tracer, rest)) => {
                let mut command = Command::new(tracer);
                command.args(rest).arg(env!("CARGO_BIN_EXE_orchestrator"));
                self.surrounded(command, words)
            }
        };
        command.stdout(Stdio::piped()).stderr(Stdio::from(log.expect("a log")));
        let mut child = command.spawn().expect("the executable starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let ready = read.is_ok().then(|| serde_json::from_str::<Value>(&line).ok()).flatten();
        let ready = ready.unwrap_or_else(|| panic!("not ready but {line:?}: {}", self.log()));
        let url = ready["url"].as_str().expect("a url").to_owned();
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Server { child, stdout, ready, api: Api { url, http, tenant: "default" } }
    }

    /// What all servers of the site logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.root.path().join("server.log")
    }

    /// Processes of agents that servers of this site started.
    pub(crate) fn agent_processes(&self) -> Vec<i32> {
        let home = self.data().join("hosts").display().to_string();
        guard::marked("ORCHESTRATOR_HOST=*").into_iter().filter(|pid| names(*pid, &home)).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- log of the servers ---\n{log}");
        } else {
            assert!(!log.contains("panicked"), "a server panicked:\n{log}");
        }
    }
}

/// Whether the environment of a process holds these words.
fn names(pid: i32, words: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&environment).contains(words)
}

/// What `OpenCode` knows of models: the one that follows scripts.
fn opencode_config(url: &impl std::fmt::Display) -> Value {
    json!({
        "enabled_providers": ["lab"], "model": "lab/scripted", "small_model": "lab/scripted",
        "lsp": false, "formatter": false,
        "provider": { "lab": {
            "npm": "@ai-sdk/openai-compatible", "name": "Lab",
            "options": { "baseURL": format!("{url}/v1"), "apiKey": "canary-of-the-provider" },
            "models": { "scripted": {
                "name": "Scripted", "tool_call": true,
                "limit": { "context": 200_000, "output": 8192 },
                "cost": { "input": 1, "output": 2 },
            } },
        } },
    })
}

/// Waits for the end of a command.
pub(crate) async fn finish(mut command: Command) -> Finished {
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended.expect("the command ends").expect("the executable runs");
    Finished {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        exit: output.status.code().unwrap_or(-1),
    }
}

/// A server that answers; it ends with the value.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The ready line.
    pub(crate) ready: Value,
    /// How it is spoken to.
    pub(crate) api: Api,
}

impl Server {
    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        let number = self.child.id().expect("it runs").cast_signed();
        Pid::from_raw(number).expect("a process")
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("it takes signals");
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is ended");
    }

    /// Waits for its end: the exit code and what else it wrote on standard output.
    pub(crate) async fn ended(mut self, limit: Duration) -> (i32, String) {
        let mut rest = String::new();
        let ended = tokio::time::timeout(limit, async {
            self.stdout.read_to_string(&mut rest).await.expect("UTF-8");
            self.child.wait().await.expect("it ends")
        });
        let status = ended.await.expect("it ends in time");
        (status.code().unwrap_or(-1), rest)
    }

    /// Asks it to end and waits until it has, in order.
    pub(crate) async fn stop(self) {
        self.terminate();
        let (exit, rest) = self.ended(Duration::from_secs(25)).await;
        assert_eq!((exit, rest.as_str()), (0, ""));
    }
}

impl std::ops::Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// How a server is spoken to.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) http: Client,
    /// Whose data.
    tenant: &'static str,
}

impl Api {
    /// The same for another tenant.
    pub(crate) fn of(&self, tenant: &'static str) -> Self {
        Self { tenant, ..self.clone() }
    }

    /// One request, with whatever comes back; an error when the server is gone.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let address = format!("{}/api/v1/{path}", self.url);
        let mut request = self.http.request(method, address).bearer_auth(ADMIN_KEY);
        request = request.header("X-Tenant-ID", self.tenant);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
        Ok(Answer { status, replayed: headers.contains_key("idempotency-replayed"), body })
    }

    /// Reads something that must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, None, None).await.expect("an answer");
        assert!(answer.status.is_success(), "GET {path}: {answer:?}");
        answer.body
    }

    /// A command that must be accepted.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.send(Method::POST, path, Some(&body), None).await.expect("an answer");
        assert!(answer.status.is_success(), "POST {path} {body}: {answer:?}");
        answer.body
    }

    /// Takes the bounds of the default tenant away.
    pub(crate) async fn lift_quotas(&self) {
        let none = json!({
            "max_concurrent_sessions": null, "max_queue_depth": null, "max_tokens_per_month": null,
        });
        let path = "tenants/default/quotas";
        let answer = self.send(Method::PUT, path, Some(&none), None).await.expect("an answer");
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// A command that must be refused with this status.
    pub(crate) async fn refused(&self, path: &str, body: Value, status: u16) -> Value {
        let answer = self.send(Method::POST, path, Some(&body), None).await.expect("an answer");
        assert_eq!(answer.status.as_u16(), status, "POST {path} {body}: {answer:?}");
        answer.body
    }

    /// A session as it stands.
    pub(crate) async fn session(&self, id: &str) -> Value {
        self.get(&format!("sessions/{id}")).await
    }

    /// Waits until a session is as wanted.
    pub(crate) async fn until(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let session = self.session(id).await;
            if wanted(&session) {
                return session;
            }
            if tokio::time::Instant::now() > deadline {
                let events = self.get(&format!("sessions/{id}/events")).await;
                let why = self.get(&format!("sessions/{id}/explain")).await;
                panic!("waited in vain for {what}: {session:#}\n{why:#}\n{events:#}");
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until a session has this status.
    pub(crate) async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, status, |session| session["status"] == status).await
    }

    /// Waits for an open item of a session.
    pub(crate) async fn until_asked(&self, id: &str) -> Value {
        self.until(id, "an ask", |session| session["attention"] != "none").await;
        let items = self.get("attention?state=open&limit=200").await;
        let mine = array(&items["items"]).iter().find(|item| item["session_id"] == id);
        mine.unwrap_or_else(|| panic!("no item of {id} in {items:#}")).clone()
    }

    /// All pages of a list.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit=200{cursor}")).await;
            items.extend_from_slice(array(&page["items"]));
            if page["has_more"] != true {
                return items;
            }
            cursor = match (page["next_cursor"].as_str(), &page["next_after"]) {
                (Some(next), _) => format!("&cursor={next}"),
                (None, after) => format!("&after={after}"),
            };
        }
    }
}

/// The members of a JSON list.
pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text within JSON.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
