//! People of several tenants who ask for everything that can be asked for, at any moment.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::attention::Decided;
use orchestrator::application::error::AppError;
use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::driver::DriverError;
use orchestrator::application::principal::{Rendered, Repeat, RequestContext, Subject};
use orchestrator::application::scheduler::admissions::Admission;
use orchestrator::application::session::control::DeclaredFailure;
use orchestrator::application::session::create::NewSession;
use orchestrator::application::session::fork::ForkRequest;
use orchestrator::application::session::report::{CallUsage, Holder};
use orchestrator::domain::attention::{AttentionKind, AttentionState, Decision};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::schedule::hold::HoldScope;
use orchestrator::domain::session::PromptMode;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::life::Outcome;
use orchestrator::domain::session::retry::RetryPolicy;
use orchestrator::domain::session::spec::{Gate, OnParentEnd, Priority};
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::usage::Usage;
use orchestrator::domain::version::Versioned;
use orchestrator::domain::workspace::WorkspaceSpec;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};

use super::caller::caller;
use super::ledger::{Ledger, Request};
use super::life::Server;

/// Somebody at work.
pub(crate) struct Person {
    pub(crate) server: Arc<Server>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) dice: StdRng,
}

impl Person {
    pub(crate) fn new(
        server: Arc<Server>,
        ledger: Arc<Ledger>,
        tenants: Vec<TenantId>,
        seed: u64,
    ) -> Self {
        Self { server, ledger, tenants, dice: StdRng::seed_from_u64(seed) }
    }

    /// Asks for so many things, with pauses.
    pub(crate) async fn work(mut self, count: u64) {
        for _ in 0..count {
            let pause = match self.dice.random_range(0..4) {
                0 => 0,
                1 => self.dice.random_range(0..50),
                2 => self.dice.random_range(0..2000),
                _ => self.dice.random_range(0..20_000),
            };
            self.server.clock.sleep(Duration::from_millis(pause)).await;
            Box::pin(self.step()).await;
        }
    }

    async fn step(&mut self) {
        let tenant = self.tenants[self.dice.random_range(0..self.tenants.len())];
        let request = format!("request-{}", self.ledger.number());
        let ctx = caller(tenant, &request);
        let kind = self.dice.random_range(0..100);
        if kind < 24 {
            return self.create(tenant).await;
        }
        if kind < 30 {
            return self.repeat().await;
        }
        if kind < 39 {
            return self.answer(&ctx).await;
        }
        let known = self.ledger.known(tenant);
        if known.is_empty() {
            return;
        }
        // Mostly what is young: it is still open.
        let young = known.len().saturating_sub(5);
        let from = if self.dice.random_bool(0.7) { young } else { 0 };
        let id = known[self.dice.random_range(from..known.len())];
        let standing: &[SessionStatus] = match kind {
            66..70 => &[SessionStatus::Running],
            72..76 => &[SessionStatus::Paused],
            89..93 => &[SessionStatus::Failed, SessionStatus::Timeout],
            _ => &[],
        };
        let id = self.one_of(&known, standing).await.unwrap_or(id);
        match kind {
            39..45 => self.explain(&ctx, id).await,
            45..47 => self.trespass(id).await,
            47 => Box::pin(self.haunt(&ctx, id)).await,
            48..50 => self.hold(&ctx).await,
            50..53 => self.delete(&ctx, id).await,
            53..56 => self.fork(&ctx, id).await,
            56..60 => self.checkpoint(&ctx, id).await,
            _ => self.command(&ctx, id, kind).await,
        }
    }

    /// The newest of these sessions that stands so.
    async fn one_of(&self, known: &[SessionId], standing: &[SessionStatus]) -> Option<SessionId> {
        if standing.is_empty() {
            return None;
        }
        let fleet = self.server.store.fleet().await.ok()?;
        let found = fleet.sessions_in(standing).await.ok()?;
        let mut ids = found.iter().rev().map(|found| found.value.id);
        ids.find(|id| known.contains(id))
    }

    /// A change of one session.
    async fn command(&mut self, ctx: &RequestContext, id: SessionId, kind: u64) {
        let sessions = &self.server.sessions;
        let (verb, done): (_, Result<Versioned<_>, AppError>) = match kind {
            60..66 => ("start", sessions.start(ctx, id).await),
            66..72 => ("pause", sessions.pause(ctx, id).await.map(|settled| settled.session)),
            72..78 => ("resume", sessions.resume(ctx, id).await.map(|settled| settled.session)),
            78..82 => ("stop", sessions.stop(ctx, id, Some("enough")).await),
            82..85 => ("cancel", sessions.cancel(ctx, id, None).await),
            85..87 => {
                let outcome = Outcome::default();
                ("complete", sessions.complete(ctx, id, outcome, "good enough").await)
            }
            87..89 => {
                let failure = DeclaredFailure {
                    message: "no good".to_owned(),
                    code: None,
                    context: Value::Null,
                    retryable: self.dice.random_bool(0.5),
                };
                ("fail", sessions.fail(ctx, id, failure).await)
            }
            89..94 => ("retry", sessions.retry(ctx, id, None).await),
            94..97 => {
                let mode = if self.dice.random_bool(0.5) {
                    PromptMode::Queue
                } else {
                    PromptMode::Interrupt
                };
                // Whoever is well behaved gets the queued ones, and has to do them all.
                let honest = self.ledger.honest(ctx.tenant).filter(|_| mode == PromptMode::Queue);
                let (id, words) = (honest.unwrap_or(id), format!("And this, {}.", ctx.request_id));
                let done = sessions.prompt(ctx, id, &words, mode).await;
                if done.is_ok() {
                    self.ledger.prompted(id, &words);
                }
                ("prompt", done)
            }
            _ => {
                let budget = self.dice.random_range(0..100_000);
                let patch = SessionPatch {
                    budget_usd: Some(self.dice.random_bool(0.7).then(|| Usd::from_micros(budget))),
                    ..SessionPatch::default()
                };
                ("patch", sessions.patch(ctx, id, patch).await)
            }
        };
        self.note(ctx, verb, done);
    }

    fn note(
        &self,
        ctx: &RequestContext,
        verb: &str,
        done: Result<Versioned<orchestrator::domain::session::Session>, AppError>,
    ) {
        match done {
            Ok(session) => {
                self.ledger.changed(ctx.tenant, &ctx.request_id, &session);
                self.ledger.done(verb);
            }
            Err(error) => self.ledger.refused(verb, &error),
        }
    }

    async fn create(&mut self, tenant: TenantId) {
        let number = self.ledger.number();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let new = if self.dice.random_bool(0.25) {
            NewSession { draft: self.honest_draft(number), start: true, ..NewSession::default() }
        } else {
            let (draft, parent) = (self.draft(number), self.parent(tenant));
            let (after, start) = (self.after(tenant), self.dice.random_bool(0.85));
            NewSession { draft, parent, after, start, created_by: None }
        };
        let title = new.draft.title.clone().expect("named");
        let place = self.ledger.ask(Request { tenant, title, key, new, answer: None });
        self.ask(place).await;
    }

    /// Tells one of the latest requests again, whose answer may have been lost.
    async fn repeat(&mut self) {
        let known = self.ledger.requests();
        if !known.is_empty() {
            let from = known.start.max(known.end.saturating_sub(10));
            let place = self.dice.random_range(from..known.end);
            self.ask(place).await;
        }
    }

    /// Asks for a session as the edge does: an answer that is remembered is the answer.
    async fn ask(&mut self, place: usize) {
        let Request { tenant, title, key, new, answer: _ } = self.ledger.request(place);
        let remembered = async || -> Option<SessionId> {
            let snapshot = self.server.store.snapshot(tenant).await.ok()?;
            let answer = snapshot.remembered(key).await.ok()??;
            SessionId::parse(std::str::from_utf8(&answer.body).ok()?)
        };
        if let Some(id) = remembered().await {
            return self.ledger.created(place, id);
        }
        let render = |subject: &Subject<'_>| {
            let Subject::Session(session) = subject else {
                unreachable!("a session was asked for")
            };
            let body = session.value.id.to_string().into_bytes();
            Rendered { status: 201, headers: Vec::new(), body }
        };
        let repeat = Repeat { key, fingerprint: [0; 32], render: Arc::new(render) };
        let ctx = RequestContext { repeat: Some(repeat), ..caller(tenant, &title) };
        match self.server.sessions.create(&ctx, new).await {
            Ok(session) => {
                self.ledger.created(place, session.value.id);
                self.ledger.changed(tenant, &title, &session);
                self.ledger.audited(tenant, &title);
                self.ledger.done("create");
            }
            Err(error) => self.ledger.refused("create", &error),
        }
    }

    fn parent(&mut self, tenant: TenantId) -> Option<String> {
        let known = self.ledger.known(tenant);
        let parent = known.get(self.dice.random_range(0..known.len().max(1)))?;
        self.dice.random_bool(0.2).then(|| parent.to_string())
    }

    /// Some come after others; those that can no longer complete are refused.
    fn after(&mut self, tenant: TenantId) -> Vec<String> {
        let known = self.ledger.known(tenant);
        let other = known.get(self.dice.random_range(0..known.len().max(1)));
        let other = other.filter(|_| self.dice.random_bool(0.2));
        other.map(SessionId::to_string).into_iter().collect()
    }

    /// Work that nothing bounds, so that it is done whatever the weather.
    fn honest_draft(&mut self, number: u64) -> SessionDraft {
        SessionDraft {
            title: Some(format!("Honest number {number}")),
            max_duration_seconds: Some(3600),
            queue_timeout_seconds: Some(None),
            pause_timeout_seconds: Some(Some(300)),
            degraded_grace_seconds: Some(3600),
            budget_usd: None,
            token_budget: None,
            not_before: None,
            on_parent_end: None,
            gates: Vec::new(),
            ..self.draft(number)
        }
    }

    fn draft(&mut self, number: u64) -> SessionDraft {
        let dice = &mut self.dice;
        let agents = [None, None, Some("AGENT-OPENCODE"), Some("AGENT-SIMULATED")];
        let workspace = if dice.random_bool(0.5) {
            WorkspaceSpec::None
        } else {
            WorkspaceSpec::Git {
                repo: "/simulated/repo".to_owned(),
                base_ref: "main".to_owned(),
                branch: None,
            }
        };
        let gate = Gate {
            name: "tests".to_owned(),
            command: vec!["true".to_owned()],
            timeout_seconds: 60,
            required: true,
        };
        let judged = workspace != WorkspaceSpec::None && dice.random_bool(0.3);
        SessionDraft {
            title: Some(format!("Request number {number}")),
            initial_prompt: "Do this.".to_owned(),
            priority: Some(Priority::ALL[dice.random_range(0..Priority::ALL.len())]),
            on_parent_end: Some(OnParentEnd::ALL[dice.random_range(0..OnParentEnd::ALL.len())]),
            agent: agents[dice.random_range(0..agents.len())].map(str::to_owned),
            max_duration_seconds: Some(dice.random_range(60..200)),
            queue_timeout_seconds: Some(Some(dice.random_range(60..600))),
            pause_timeout_seconds: Some(Some(dice.random_range(60..300))),
            degraded_grace_seconds: Some(dice.random_range(10..60)),
            budget_usd: dice
                .random_bool(0.2)
                .then(|| Usd::from_micros(dice.random_range(1000..50_000))),
            token_budget: dice.random_bool(0.2).then(|| dice.random_range(500..5000)),
            retry: Some(RetryPolicy {
                max_retries: dice.random_range(0..4),
                initial_backoff_seconds: dice.random_range(0..10),
                ..RetryPolicy::default()
            }),
            not_before: dice.random_bool(0.1).then(|| {
                self.server.clock.now().after(Duration::from_secs(dice.random_range(1..60)))
            }),
            gates: if judged { vec![gate] } else { Vec::new() },
            workspace,
            ..SessionDraft::default()
        }
    }

    async fn fork(&mut self, ctx: &RequestContext, id: SessionId) {
        let title = Some(format!("Fork number {}", self.ledger.number()));
        let request = ForkRequest { title, ..ForkRequest::default() };
        match self.server.sessions.fork(ctx, id, request).await {
            Ok(session) => {
                self.ledger.learned(ctx.tenant, session.value.id);
                self.ledger.changed(ctx.tenant, &ctx.request_id, &session);
                self.ledger.audited(ctx.tenant, &ctx.request_id);
                self.ledger.done("fork");
            }
            Err(error) => self.ledger.refused("fork", &error),
        }
    }

    async fn delete(&mut self, ctx: &RequestContext, id: SessionId) {
        let purge = self.dice.random_bool(0.5);
        if purge {
            // From here on it may be gone, whatever the answer.
            self.ledger.purged(id);
        }
        match self.server.sessions.delete(ctx, id, purge).await {
            Ok(()) => self.ledger.done("delete"),
            Err(error) => self.ledger.refused("delete", &error),
        }
    }

    async fn checkpoint(&mut self, ctx: &RequestContext, id: SessionId) {
        let sessions = &self.server.sessions;
        if self.dice.random_bool(0.5) {
            match sessions.create_checkpoint(ctx, id, Map::new(), None).await {
                Ok(_) => self.ledger.done("checkpoint"),
                Err(error) => self.ledger.refused("checkpoint", &error),
            }
        } else {
            let restored = sessions.restore(ctx, id, self.dice.random_range(1..4)).await;
            self.note(ctx, "restore", restored);
        }
    }

    /// Holds or releases a tenant.
    async fn hold(&mut self, ctx: &RequestContext) {
        let wanted = Admission { scope: HoldScope::Tenant, agent: None, reason: None };
        let admissions = &self.server.admissions;
        let done = if self.dice.random_bool(0.3) {
            admissions.hold(ctx, &wanted).await
        } else {
            admissions.release(ctx, &wanted).await
        };
        match done {
            Ok(_) => self.ledger.done("hold"),
            Err(error) => self.ledger.refused("hold", &error),
        }
    }

    /// Decides something that an agent asks.
    async fn answer(&mut self, ctx: &RequestContext) {
        let open = Some(AttentionState::Open);
        let items = match self.server.attention.list(ctx, None, open, None, 20).await {
            Ok(items) => items,
            Err(error) => return self.ledger.refused("items", &error),
        };
        let Some(item) = items.get(self.dice.random_range(0..items.len().max(1))) else { return };
        let words = format!("Yes, says {}.", ctx.request_id);
        let (decision, text) = match item.value.kind {
            AttentionKind::Permission if self.dice.random_bool(0.3) => (Decision::Deny, None),
            AttentionKind::Permission if self.dice.random_bool(0.3) => {
                (Decision::AllowAlways, None)
            }
            AttentionKind::Permission => (Decision::AllowOnce, None),
            AttentionKind::Question => (Decision::Answer, Some(words.as_str())),
            AttentionKind::Review | AttentionKind::Budget => (Decision::Acknowledge, None),
        };
        let fingerprint = Some(item.value.fingerprint.as_str());
        let decided = Decided { decision, answer: text, fingerprint };
        match self.server.attention.resolve(ctx, item.value.id, decided).await {
            Ok(settled) => {
                self.ledger.decided(&settled);
                self.ledger.audited(ctx.tenant, &ctx.request_id);
                self.ledger.done("resolve");
            }
            Err(error) => self.ledger.refused("resolve", &error),
        }
    }

    /// A session that waits always says for what, and one that works says who works on it.
    async fn explain(&mut self, ctx: &RequestContext, id: SessionId) {
        let told = match self.server.sessions.explain(ctx, &self.server.queue, id).await {
            Ok(told) => told,
            Err(error) => return self.ledger.refused("explain", &error),
        };
        let waits = matches!(
            told.state,
            SessionStatus::Pending | SessionStatus::Queued | SessionStatus::Paused
        );
        let works = matches!(told.state, SessionStatus::Running | SessionStatus::Degraded);
        let says_nothing =
            told.blockers.iter().any(|it| it.text.is_empty() || it.remedy.is_empty());
        if waits && told.blockers.is_empty() || works && told.agent.is_none() || says_nothing {
            self.ledger.problem(format!("I8: {id} is explained by {told:?}"));
        }
        self.ledger.done("explain");
    }

    /// Somebody else's session does not exist, whatever is asked of it.
    async fn trespass(&mut self, id: SessionId) {
        let Some(session) = self.owner(id) else { return };
        for tenant in self.tenants.iter().filter(|tenant| **tenant != session) {
            let ctx = caller(*tenant, "trespass");
            let seen = [
                self.server.sessions.get(&ctx, id).await.err(),
                self.server.sessions.stop(&ctx, id, None).await.err(),
                self.server.sessions.delete(&ctx, id, true).await.err(),
            ];
            for error in seen {
                match error {
                    Some(AppError::SessionNotFound | AppError::StoreReadOnly(_)) => {}
                    other => self.ledger.problem(format!("I10: {id} for {tenant}: {other:?}")),
                }
            }
        }
        self.ledger.done("trespass");
    }

    /// What an agent tells under a lease that is over, or was never given, changes nothing.
    async fn haunt(&mut self, ctx: &RequestContext, session: SessionId) {
        let sessions = &self.server.sessions;
        let Ok(found) = sessions.get(ctx, session).await else { return };
        let held = found.value.run.lease.as_ref().map(|lease| lease.fencing_token);
        let fencing_token = match held {
            Some(held) if held > 1 => held - 1,
            _ => self.dice.random_range(1_000_000..2_000_000),
        };
        let holder = Holder { tenant: ctx.tenant, session, fencing_token };
        let usage = Usage { tokens_input: 1, ..Usage::default() };
        let call = CallUsage { key: "of a ghost".to_owned(), usage, model: None };
        let lost = DriverError::new(ErrorType::AgentError, "it haunts");
        let told = [
            sessions.step(holder, &[call], Some("message of a ghost")).await,
            sessions.handshake(holder, &Value::Null).await,
            sessions.run_failed(holder, &lost, None).await,
            sessions.nothing_left(holder).await,
        ];
        for done in told {
            match done {
                Err(AppError::StaleResult | AppError::SessionNotFound) => {}
                Err(error) if error.passes() => {}
                other => {
                    let text = format!("I6: {session} takes word under {fencing_token}: {other:?}");
                    self.ledger.problem(text);
                }
            }
        }
        self.ledger.done("haunt");
    }

    fn owner(&self, id: SessionId) -> Option<TenantId> {
        let known = |tenant: &&TenantId| self.ledger.known(**tenant).contains(&id);
        self.tenants.iter().find(known).copied()
    }
}
