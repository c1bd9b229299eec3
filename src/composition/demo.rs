//! `demo`: a server on a throw-away folder with simulated sessions in every interesting state.
//!
//! Everything in it is labelled: the agent is called `AGENT-SIMULATED`, every session carries the
//! tag `simulated`, and whatever the agent reports says so by itself.

use std::sync::Arc;

use serde_json::{Value, json};

use super::host::ThisMachine;
use super::lifecycle;
use super::server::Running;
use super::settings::{Enabled, StoreLocation};
use crate::application::error::AppError;
use crate::application::ports::clock::Clock;
use crate::application::principal::{Principal, RequestContext};
use crate::application::session::create::NewSession;
use crate::domain::ids::{KeyId, SessionId, TenantId};
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::spec::Priority;
use crate::domain::tenant::key::Role;
use crate::domain::tenant::network::Reach;
use crate::domain::tenant::scope::Scopes;
use crate::infrastructure::drivers::limits::raise_descriptors;
use crate::presentation::cli::args::DemoArgs;
use crate::presentation::cli::exit::{CliError, code};

/// Sessions of the demonstration: title, urgency, what the agent does.
fn cast() -> Vec<(&'static str, Priority, Value)> {
    let say = |text: &str| json!({ "say": text });
    let wait = |seconds: u64| json!({ "wait_ms": seconds * 1000 });
    let tokens = json!({ "usage": { "input": 5200, "output": 640, "cost_usd": 0.0214 } });
    let read = json!({ "tool": { "tool": "read", "title": "src/parser.rs",
        "output": "fn parse(input: &str) -> Result<Ast, Error> {" } });
    let test = json!({ "tool": { "tool": "bash", "title": "cargo test",
        "input": { "command": "cargo test" }, "output": "test result: ok. 42 passed" } });
    let note = json!({ "tool": { "tool": "write", "title": "NOTES.md",
        "write": { "path": "NOTES.md", "content": "# Notes\n\nWritten by a simulated agent.\n" } } });
    let todo = json!({ "todo": [
        { "content": "Read the parser", "status": "completed" },
        { "content": "Handle empty input", "status": "in_progress" },
        { "content": "Add a test", "status": "pending" },
    ] });
    let mut long =
        vec![json!({ "phase": "planning" }), say("Looking round first."), read.clone(), todo];
    for round in 1..=120 {
        long.push(json!({ "phase": "executing" }));
        long.push(say(&format!("Step {round}: going on with the parser.")));
        long.extend([test.clone(), tokens.clone(), wait(15)]);
    }
    let ask = json!({ "ask": { "tool": "bash", "patterns": ["git push origin main"],
        "title": "git push origin main" } });
    let question =
        json!({ "question": "Which database should the cache use: Redis or the store?" });
    let failure = json!({ "fail": { "type": "provider_error", "retryable": false,
        "message": "the provider refused the key (401)" } });
    vec![
        ("Rewrite the parser for empty input", Priority::High, Value::Array(long)),
        (
            "Release 2.4 to production",
            Priority::Critical,
            json!([say("The build is green."), test, tokens, ask, wait(30), say("Pushed.")]),
        ),
        (
            "Choose a cache",
            Priority::Medium,
            json!([say("Two ways are open."), question, say("Done.")]),
        ),
        (
            "Document the configuration",
            Priority::Medium,
            json!([read, note, tokens, say("Documented.")]),
        ),
        (
            "Migrate to the new provider",
            Priority::Low,
            json!([say("Calling the provider."), failure]),
        ),
        (
            "Tidy the changelog",
            Priority::Low,
            json!([json!({ "provider_retry_ms": 600_000 }), say("Done.")]),
        ),
        ("Upgrade dependencies", Priority::Deferred, json!([wait(1), say("Nothing to do.")])),
    ]
}

/// Serves a demonstration until somebody asks it to end.
pub(super) async fn demo(host: &ThisMachine, args: &DemoArgs) -> Result<(), CliError> {
    let folder = Folder::choose();
    let mut settings = host.load()?;
    settings.server.data_dir.clone_from(&folder.0);
    settings.workspaces.root = folder.0.join("workspaces");
    settings.store.location = StoreLocation::Redb(folder.0.join("store.redb"));
    settings.opencode.enabled = Enabled::No;
    settings.simulated.enabled = true;
    settings.simulated.seed = args.seed.unwrap_or(settings.simulated.seed);
    // What was named went through the settings, which look at who could reach it.
    if args.listen.is_none() {
        settings.server.listen.set_port(0);
    }
    lifecycle::log(&settings)?;
    let hangup = lifecycle::hangups()?;
    raise_descriptors();
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let running = Box::pin(Running::start(&settings, &host.environment, clock, true)).await?;
    let told =
        |error: AppError| CliError::new(code::FAILED, format!("the demonstration failed: {error}"));
    populate(&running).await.map_err(told)?;
    Box::pin(lifecycle::until_told(host, &settings, (running, hangup), true)).await
}

async fn populate(running: &Running) -> Result<(), AppError> {
    let ctx = director(running);
    let sessions = &running.graph.sessions;
    let mut made: Vec<SessionId> = Vec::new();
    for (title, priority, script) in cast() {
        let prompt = format!("{title}.\n\n```simulated\n{script}\n```");
        let waits = priority == Priority::Deferred;
        let draft = SessionDraft {
            title: Some(format!("{title} [simulated]")),
            priority: Some(priority),
            initial_prompt: prompt,
            tags: vec!["simulated".to_owned(), "demo".to_owned()],
            max_retries: Some(0),
            ..SessionDraft::default()
        };
        let new = NewSession { draft, start: !waits, ..NewSession::default() };
        made.push(sessions.create(&ctx, new).await?.value.id);
    }
    if let Some(last_started) = made.get(5) {
        sessions
            .pause(&ctx, *last_started)
            .await
            .map_or_else(|error| tracing::debug!(%error, "That session had ended already"), |_| ());
    }
    Ok(())
}

/// Whoever sets the scene.
fn director(running: &Running) -> RequestContext {
    let principal = Principal {
        user: None,
        agent: None,
        home: None,
        reach: Reach::default(),
        key: KeyId::new(running.graph.ids.uuid()),
        name: "demo".to_owned(),
        role: Role::Admin,
        scopes: Scopes::all(),
        is_system: true,
        credential: None,
    };
    RequestContext {
        tenant: TenantId::BOOTSTRAP,
        principal,
        request_id: "demo".to_owned(),
        if_match: None,
        repeat: None,
    }
}

/// A folder that goes with the demonstration.
struct Folder(std::path::PathBuf);

impl Folder {
    /// The folder's name; the server makes it.
    fn choose() -> Self {
        Self(std::env::temp_dir().join(format!("orchestrator-demo-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary folders.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
