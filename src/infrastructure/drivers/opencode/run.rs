//! One run: a conversation, the prompts that it works on, and what it tells.
//!
//! A prompt is a call that stays open until its run is over. When the call breaks, for whatever
//! reason, the same is posted again: the server joins the two, or takes up what was broken off.
//!
//! Invariant: no prompt is posted before the handle of the conversation is stored.
//! Invariant: every prompt that was taken ends in `TurnEnded`, in `Failed`, or with the run.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use super::client::CallError;
use super::control::{ABORT_TIME, Shared};
use super::doorway::Offer;
use super::host::{Fate, Server};
use super::ids::PromptIds;
use super::limits::Watch;
use super::link::{Link, Signal};
use super::map::Teller;
use super::stream::Events;
use super::turn::{Verdict, failure, judge, outcome};
use super::wire::Fault;
use crate::application::ports::driver::{AgentEvent, DriverError, Prompt, TurnEnd};
use crate::domain::session::attempt::ErrorType;
use crate::domain::session::spec::PermissionPolicy;
use crate::domain::time::Timestamp;

/// Time between two looks at what no event tells.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks at the open asks.
const ASKS_EVERY: u32 = 5;
/// Times that one prompt is posted again after its answer was broken off, or was refused.
const MAX_AGAIN: u32 = 3;
/// Messages that are read to judge a turn.
pub(super) const RECENT: usize = 100;

/// What a run starts with.
pub(super) struct Begin {
    pub(super) server: Arc<Server>,
    /// Says that it is worked with.
    pub(super) seat: TaskTrackerToken,
    pub(super) stream: Events,
    /// Model and agent, as fields of every prompt.
    pub(super) choice: Value,
    pub(super) policy: PermissionPolicy,
    pub(super) prompt: Prompt,
    /// The conversation was made for this run.
    pub(super) made: bool,
    /// The tools of this server.
    pub(super) offer: Option<Offer>,
    /// Why they cannot be had.
    pub(super) remark: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Posting {
    /// To be posted, not before this time.
    Due(Timestamp),
    Open,
    /// The call was answered.
    Answered,
}

/// A prompt that is worked on.
#[derive(Debug)]
pub(super) struct Pending {
    id: Uuid,
    pub(super) ids: PromptIds,
    text: String,
    pub(super) posting: Posting,
    again: u32,
}

pub(super) type Reply = Pin<Box<dyn Future<Output = (Uuid, Result<(), CallError>)> + Send>>;
/// An answer that we gave by ourselves: the ask, and whether it was taken.
pub(super) type Chore = Pin<Box<dyn Future<Output = (String, bool)> + Send>>;

/// The task behind a run.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<Server>,
    /// Says that the server is worked with; `None` after it was left and before the next is reached.
    pub(super) seat: Option<TaskTrackerToken>,
    /// What becomes of those who work with the server.
    pub(super) fates: watch::Receiver<Fate>,
    /// Tools that the agent has running.
    pub(super) running_tools: HashSet<String>,
    pub(super) policy: PermissionPolicy,
    pub(super) teller: Teller,
    pub(super) watch: Watch,
    /// The conversation and its subagents'.
    pub(super) tree: HashSet<String>,
    /// Asks that were told or answered, with what they asked for.
    pub(super) seen: HashMap<String, String>,
    pub(super) chores: FuturesUnordered<Chore>,
    pub(super) pending: Vec<Pending>,
    pub(super) retrying: bool,
    /// The newest error that the server told without a message.
    pub(super) fault: Option<Fault>,
    events: mpsc::Sender<AgentEvent>,
    pub(super) link: Link,
    choice: Value,
    pub(super) replies: FuturesUnordered<Reply>,
    aborting_since: Option<Timestamp>,
    ticks: u32,
    tick_at: Timestamp,
    made: bool,
    offer: Option<Offer>,
    remark: Option<String>,
}

/// The run ends here; with an error that was not told yet, or without.
pub(super) struct Stop(Option<DriverError>);

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self(Some(error))
    }
}

impl Run {
    pub(super) fn new(shared: Arc<Shared>, events: mpsc::Sender<AgentEvent>, begin: Begin) -> Self {
        let Begin { server, seat, stream, choice, policy, prompt, made, offer, remark } = begin;
        let (host, now) = (Arc::clone(&shared.host), shared.host.clock.now());
        let mut run = Self {
            link: Link::new(Arc::clone(&host), shared.place.clone(), stream),
            watch: Watch::new(host.options.limits.clone(), now),
            tree: HashSet::from([shared.session.clone()]),
            shared,
            fates: server.fate.subscribe(),
            server,
            seat: Some(seat),
            running_tools: HashSet::new(),
            policy,
            teller: Teller::default(),
            seen: HashMap::new(),
            chores: FuturesUnordered::new(),
            pending: Vec::new(),
            retrying: false,
            fault: None,
            events,
            choice,
            replies: FuturesUnordered::new(),
            aborting_since: None,
            ticks: 0,
            tick_at: now.after(TICK),
            made,
            offer,
            remark,
        };
        run.take(prompt);
        run
    }

    /// The whole life of the run.
    pub(super) async fn live(mut self, mut orders: mpsc::Receiver<Prompt>) {
        let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
        let stop = tokio::select! {
            stop = self.work(&mut orders) => stop,
            () = shared.cancel.cancelled() => Stop(None),
            () = events.closed() => Stop(None),
        };
        if let Some(error) = stop.0 {
            tokio::select! {
                _ = events.send(AgentEvent::Failed(error)) => {}
                () = shared.cancel.cancelled() => {}
            }
        }
        // When the driver ends, the server ends its runs itself, and they can be taken up later.
        if !self.pending.is_empty() && !shared.host.cancel.is_cancelled() {
            self.server.client.abort(&shared.session).await.ok();
        }
        if let Some(offer) = self.offer.as_ref().filter(|_| !shared.host.cancel.is_cancelled()) {
            offer.withdraw(&self.server.client, &shared.place).await;
        }
        shared.end_tools().await;
        shared.working.send_replace(false);
        shared.ended.cancel();
    }

    async fn work(&mut self, orders: &mut mpsc::Receiver<Prompt>) -> Stop {
        match self.shake_hands().await {
            Ok(true) => {}
            Ok(false) => return Stop(None),
            Err(stop) => return stop,
        }
        if let Err(stop) = self.tell_remark().await {
            return stop;
        }
        if !self.made {
            self.catch_up(true).await;
        }
        loop {
            if let Err(stop) = self.turn_of_events(orders).await {
                return stop;
            }
        }
    }

    /// Says that the agent works without our tools, when it does.
    async fn tell_remark(&mut self) -> Result<(), Stop> {
        let Some(remark) = self.remark.take() else { return Ok(()) };
        let message = format!("the agent works without the tools of this server: {remark}");
        self.tell(AgentEvent::Log { level: "warn", message }).await
    }

    /// Waits until the handle is stored; `false` when the run must not begin.
    async fn shake_hands(&mut self) -> Result<bool, Stop> {
        let (stored, answer) = oneshot::channel();
        // A conversation goes on where it lies.
        let handle = json!({ "session": self.shared.session, "host": self.shared.host.id });
        self.tell(AgentEvent::Handshake { handle, stored }).await?;
        if answer.await.is_ok() {
            return Ok(true);
        }
        self.pending.clear();
        if self.made {
            self.server.client.delete(&self.shared.session).await.ok();
        }
        Ok(false)
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn_of_events(&mut self, orders: &mut mpsc::Receiver<Prompt>) -> Result<(), Stop> {
        self.leave_if_due().await?;
        self.post_what_is_due();
        let shared = Arc::clone(&self.shared);
        let is_there = self.seat.is_some();
        let until_tick = self.tick_at.since(shared.host.clock.now());
        tokio::select! {
            // What was told before an answer is heard before it.
            biased;
            () = shared.host.clock.sleep(until_tick) => self.tick().await?,
            Some(prompt) = orders.recv(), if !shared.aborting() => {
                if self.pending.is_empty() {
                    self.watch.prompted(shared.host.clock.now());
                }
                shared.working.send_replace(true);
                self.take(prompt);
            }
            Some((ask, taken)) = self.chores.next() => {
                if !taken {
                    self.seen.remove(&ask);
                }
            }
            // A server that is gone altogether tells by its stream.
            Ok(()) = self.fates.changed(), if is_there => {}
            signal = self.link.next() => self.signalled(signal).await?,
            Some((id, result)) = self.replies.next() => self.replied(id, result).await?,
        }
        Ok(())
    }

    async fn signalled(&mut self, signal: Signal) -> Result<(), Stop> {
        match signal {
            Signal::Event(event) => self.hear(event).await,
            Signal::Lost => {
                self.teller.was_deaf();
                self.tell(AgentEvent::StreamLost).await
            }
            Signal::Back(server) => {
                (self.seat, self.fates) = (Some(server.used()), server.fate.subscribe());
                self.shared.is_at(&server);
                self.server = server;
                let now = self.shared.host.clock.now();
                self.watch.heard(now);
                for pending in &mut self.pending {
                    if let Posting::Due(at) = &mut pending.posting {
                        *at = now;
                    }
                }
                if let Some(offer) = &self.offer {
                    self.remark = offer.make(&self.server.client, &self.shared.place).await;
                    self.tell_remark().await?;
                }
                self.catch_up(false).await;
                self.tell(AgentEvent::StreamBack).await
            }
            Signal::Failed(error) => Err(error.into()),
        }
    }

    fn take(&mut self, prompt: Prompt) {
        // Told twice, taken once.
        if self.pending.iter().any(|pending| pending.id == prompt.id) {
            return;
        }
        let ids = PromptIds::of(prompt.id, &self.shared.session);
        let posting = Posting::Due(self.shared.host.clock.now());
        self.pending.push(Pending { id: prompt.id, ids, text: prompt.text, posting, again: 0 });
    }

    fn post_what_is_due(&mut self) {
        let now = self.shared.host.clock.now();
        if self.shared.aborting() || !self.link.is_live() {
            return;
        }
        for pending in &mut self.pending {
            if !matches!(pending.posting, Posting::Due(at) if at <= now) {
                continue;
            }
            pending.posting = Posting::Open;
            let mut body = self.choice.clone();
            body["messageID"] = json!(pending.ids.message);
            body["parts"] =
                json!([{ "id": pending.ids.part, "type": "text", "text": pending.text }]);
            let (id, server, shared) =
                (pending.id, Arc::clone(&self.server), Arc::clone(&self.shared));
            self.replies.push(Box::pin(async move {
                (id, server.client.prompt(&shared.session, &body).await)
            }));
        }
    }

    async fn replied(&mut self, id: Uuid, result: Result<(), CallError>) -> Result<(), Stop> {
        let now = self.shared.host.clock.now();
        let fault = self.fault.take();
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) else {
            return Ok(());
        };
        match result {
            Ok(()) => {
                pending.posting = Posting::Answered;
                return self.judge().await;
            }
            Err(error) if error.is_outage() => {
                self.shared.host.suspect();
                pending.posting = Posting::Due(now.after(TICK));
            }
            Err(error @ CallError::Refused { .. }) if !error.is_missing() => {
                pending.again += 1;
                if let Some(fault) = fault {
                    return Err(failure(&fault).into());
                }
                if pending.again > MAX_AGAIN {
                    return Err(DriverError::from(error).into());
                }
                pending.posting = Posting::Due(now.after(TICK));
            }
            Err(error) if error.is_missing() => {
                let message = "OpenCode does not have the conversation any more";
                return Err(DriverError::new(ErrorType::AgentLost, message).into());
            }
            Err(error) => return Err(DriverError::from(error).into()),
        }
        Ok(())
    }

    /// Whether the turn is over, and how it ended.
    async fn judge(&mut self) -> Result<(), Stop> {
        let Some(newest) = self.pending.last() else { return Ok(()) };
        let newest = newest.ids.message.clone();
        let (client, session) = (&self.server.client, self.shared.session.as_str());
        let read = async {
            let statuses = client.statuses(&self.shared.place).await?;
            let busy = statuses.get(session).is_some_and(|status| status.kind != "idle");
            let (messages, older) = client.messages(session, RECENT, None).await?;
            Ok::<_, CallError>((busy, messages, older.is_none()))
        };
        let (busy, messages, whole) = match read.await {
            Ok(read) => read,
            // Asked again at the next tick, or after the stream is back.
            Err(error) if error.is_outage() => {
                self.shared.host.suspect();
                return Ok(());
            }
            Err(error) => return Err(DriverError::from(error).into()),
        };
        if !busy {
            self.tell_messages(&messages, false).await?;
        }
        match judge(&messages, &newest, whole, busy, self.shared.aborting()) {
            Verdict::Working => Ok(()),
            Verdict::Over(over) => {
                self.hear_children().await?;
                self.turn_ended(over.end, over.message_ref, over.text).await
            }
            Verdict::Failed(error) => Err(error.into()),
            Verdict::Interrupted => {
                let now = self.shared.host.clock.now();
                let Some(pending) = self.pending.last_mut() else { return Ok(()) };
                if pending.posting != Posting::Answered {
                    // Its own call is still open and will say.
                    return Ok(());
                }
                pending.again += 1;
                pending.posting = Posting::Due(now);
                if pending.again <= MAX_AGAIN {
                    return Ok(());
                }
                let message = "the answer was broken off again and again";
                Err(DriverError::new(ErrorType::AgentError, message).into())
            }
        }
    }

    async fn turn_ended(
        &mut self,
        end: TurnEnd,
        message_ref: Option<String>,
        text: String,
    ) -> Result<(), Stop> {
        for ask in self.shared.open_asks() {
            self.ask_gone(ask).await?;
        }
        let prompts: Vec<Uuid> = self.pending.drain(..).map(|pending| pending.id).collect();
        self.aborting_since = None;
        self.fault = None;
        for prompt in prompts {
            let (message_ref, text) = (message_ref.clone(), text.clone());
            self.tell(AgentEvent::TurnEnded { prompt, message_ref, text, end }).await?;
        }
        self.shared.aborting.store(false, Ordering::Release);
        self.shared.working.send_replace(false);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Stop> {
        let now = self.shared.host.clock.now();
        self.ticks = self.ticks.wrapping_add(1);
        self.tick_at = now.after(TICK);
        if self.pending.is_empty() {
            self.shared.aborting.store(false, Ordering::Release);
            return Ok(());
        }
        if self.shared.aborting() {
            return self.pursue_abort(now).await;
        }
        if self.link.is_live() && self.shared.open_asks().is_empty() {
            self.watch.silence(now)?;
        }
        if self.pending.iter().any(|pending| pending.posting == Posting::Answered) {
            self.judge().await?;
        }
        if self.link.is_live() && self.ticks.is_multiple_of(ASKS_EVERY) {
            self.look_for_asks().await?;
        }
        Ok(())
    }

    /// An abort may come before the server has begun, or find it deaf.
    async fn pursue_abort(&mut self, now: Timestamp) -> Result<(), Stop> {
        let since = *self.aborting_since.get_or_insert(now);
        let unposted =
            self.pending.iter().all(|pending| matches!(pending.posting, Posting::Due(_)));
        if unposted || now.since(since) >= ABORT_TIME {
            let client = &self.server.client;
            let read = client.messages(&self.shared.session, RECENT, None).await;
            let messages = read.map(|(messages, _)| messages).unwrap_or_default();
            let over = outcome(&messages, TurnEnd::Aborted);
            return self.turn_ended(over.end, over.message_ref, over.text).await;
        }
        self.server.client.abort(&self.shared.session).await.ok();
        self.judge().await
    }

    /// Tells something, waiting for room.
    pub(super) fn tell(
        &self,
        event: AgentEvent,
    ) -> impl Future<Output = Result<(), Stop>> + Send + use<> {
        let events = self.events.clone();
        async move { events.send(event).await.map_err(|_| Stop(None)) }
    }

    /// Tells how a piece grows. When the reader is too slow for that, it is told as a whole.
    pub(super) fn grow(&mut self, part: String, text: String) {
        if let Err(lost) = self.events.try_send(AgentEvent::Delta { part, text })
            && let AgentEvent::Delta { part, .. } = lost.into_inner()
        {
            self.teller.has_gap(&part);
        }
    }
}
