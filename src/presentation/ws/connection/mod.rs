//! One socket: what it joined, where it stands, and when it is over.
//!
//! Invariant: `position` is the number of the newest event that was sent or did not concern this
//! socket; a batch that does not follow it is replaced by reading the store, so that nothing is left
//! out and nothing comes twice.

mod own;
mod wishes;

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::own::Own;
use super::frame::{Asked, Frame, failure, notice};
use super::hub::{Batch, Channel};
use super::rooms::Room;
use super::seats::Seat;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::time::Timestamp;
use crate::presentation::api::state::{AppState, WsOptions};

/// Events read from the store at once.
const PAGE: usize = 500;
/// Malformed frames in a row that close a socket.
const MALFORMED: u32 = 10;
/// Rooms of one socket.
const MAX_ROOMS: usize = 200;

/// Close codes of RFC 6455 and our own.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_LARGE: u16 = 1009;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const UNAUTHENTICATED: u16 = 4401;
    pub(super) const SLOW: u16 = 4008;
}

/// How a socket begins.
pub struct Start {
    /// Rooms that its path joins.
    pub rooms: Vec<Room>,
    /// Stored events with a larger number come first.
    pub after: Option<u64>,
    /// A label of the client.
    pub client_id: Option<String>,
    /// The external agent that showed its own token for it.
    pub own: Option<AgentId>,
}

/// Why a socket ends.
enum End {
    /// With this code and reason.
    Close(u16, String),
    /// The other side is gone or takes nothing.
    Gone,
}

type Step = Result<(), End>;

impl From<AppError> for End {
    fn from(error: AppError) -> Self {
        tracing::warn!(%error, "A socket could not be served any longer");
        Self::Close(code::INTERNAL, "the events could not be read; connect again".to_owned())
    }
}

/// The end of the socket of an agent that is there no more.
fn removed() -> End {
    End::Close(code::UNAUTHENTICATED, "the agent was removed".to_owned())
}

struct Joined {
    room: Room,
    /// It covers events with a larger number.
    from: u64,
}

struct Connection {
    app: AppState,
    ctx: RequestContext,
    sink: SplitSink<WebSocket, Message>,
    channel: Arc<Channel>,
    rooms: Vec<Joined>,
    position: u64,
    taken: (u64, u64),
    malformed: u32,
    is_recorded: bool,
    heard_at: Timestamp,
    /// What is told to an external agent that showed its own token.
    own: Option<Own>,
}

/// Serves one socket to its end.
pub async fn run(socket: WebSocket, app: AppState, ctx: RequestContext, start: Start, seat: Seat) {
    app.metrics.sockets().inc();
    let (sink, stream) = socket.split();
    let channel = app.hub.join(ctx.tenant);
    let live = channel.listen();
    let own = start.own.map(|agent| Own::new(agent, app.external.bell(agent)));
    let mut connection = Connection {
        own,
        taken: channel.sent(),
        heard_at: app.clock.now(),
        app: app.clone(),
        ctx,
        sink,
        channel,
        rooms: Vec::new(),
        is_recorded: false,
        position: 0,
        malformed: 0,
    };
    let end = match connection.begin(start).await {
        Ok(()) => connection.serve(stream, live, seat.over()).await,
        Err(end) => end,
    };
    if let End::Close(code, reason) = end {
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // The other side may be gone already; then there is nobody to tell.
        drop(timeout(app.options.ws.stall, connection.sink.send(frame)).await);
    }
    for joined in connection.rooms.drain(..) {
        connection.channel.leave(joined.room);
    }
    app.metrics.sockets().dec();
    drop(seat);
}

impl Connection {
    fn options(&self) -> &WsOptions {
        &self.app.options.ws
    }

    async fn begin(&mut self, start: Start) -> Step {
        let Start { rooms, after, client_id, own: _ } = start;
        let head = self.app.events.head(self.ctx.tenant).await?;
        let names: Vec<String> = rooms.iter().map(Room::to_string).collect();
        let client_id = client_id.unwrap_or_else(|| self.app.ids.uuid().to_string());
        let payload = json!({
            "client_id": client_id, "rooms": names,
            "server_time": self.app.clock.now(), "head_seq": self.shown(head),
        });
        self.tell("connection.established", &payload).await?;
        self.position = after.unwrap_or(head).min(head);
        for room in rooms {
            self.join(room, self.position).await?;
        }
        if after.is_some() {
            self.catch_up().await?;
        }
        self.tell_what_lies().await?;
        self.flush().await
    }

    /// How much happens in a tenant is no business of an agent of others.
    fn shown(&self, head: u64) -> Option<u64> {
        self.own.is_none().then_some(head)
    }

    async fn serve(
        &mut self,
        mut stream: SplitStream<WebSocket>,
        mut live: Receiver<Arc<Batch>>,
        over: &CancellationToken,
    ) -> End {
        let mut beat = interval(self.options().heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let shutdown = self.app.shutdown.clone();
        loop {
            let step = tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    Err(End::Close(code::GOING_AWAY, "the server is shutting down".to_owned()))
                }
                () = over.cancelled() => {
                    Err(End::Close(code::UNAUTHENTICATED, "the key is no longer accepted".to_owned()))
                }
                message = stream.next() => self.hear(message).await,
                _ = beat.tick() => self.beat().await,
                () = own::watched(&mut self.own) => self.tell_what_lies().await,
                batch = live.recv() => self.live(batch, &mut live).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Takes a batch and everything that is ready behind it, then sends all at once.
    async fn live(
        &mut self,
        mut batch: Result<Arc<Batch>, RecvError>,
        live: &mut Receiver<Arc<Batch>>,
    ) -> Step {
        loop {
            match batch {
                Ok(batch) => self.take(&batch).await?,
                Err(RecvError::Lagged(_)) => return Err(self.slow()),
                Err(RecvError::Closed) => return Err(End::Gone),
            }
            batch = match live.try_recv() {
                Ok(batch) => Ok(batch),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
            };
        }
        self.flush().await
    }

    async fn take(&mut self, batch: &Batch) -> Step {
        self.taken = (batch.frames_so_far, batch.bytes_so_far);
        let (frames, bytes) = self.channel.sent();
        let behind = frames.saturating_sub(self.taken.0);
        if usize::try_from(behind).unwrap_or(usize::MAX) > self.options().behind_frames
            || bytes.saturating_sub(self.taken.1) > self.options().behind_bytes
        {
            return Err(self.slow());
        }
        if batch.before.is_some_and(|before| before > self.position) {
            self.catch_up().await?;
        }
        for frame in &batch.frames {
            if frame.seq.is_none_or(|seq| seq > self.position) {
                self.pass_on(frame).await?;
            }
        }
        Ok(())
    }

    /// Sends a frame that is wanted. Of an agent that is gone, the socket that it opened goes too.
    async fn pass_on(&mut self, frame: &Frame) -> Step {
        if self.wants(frame) {
            self.send(frame.text.clone()).await?;
        }
        self.position = self.position.max(frame.seq.unwrap_or(0));
        match &self.own {
            Some(own) if frame.is_farewell && frame.is_about(own.agent) => Err(removed()),
            Some(_) | None => Ok(()),
        }
    }

    fn wants(&self, frame: &Frame) -> bool {
        let covered = |joined: &Joined| {
            joined.room.holds(frame) && frame.seq.is_none_or(|seq| seq > joined.from)
        };
        self.may_see(frame) && self.rooms.iter().any(covered)
    }

    fn may_see(&self, frame: &Frame) -> bool {
        let principal = &self.ctx.principal;
        let is_told = |own: &Own| frame.is_for_its_agent && frame.is_about(own.agent);
        principal.role >= frame.needs
            && (principal.is_system || !frame.of_system)
            && self.own.as_ref().is_none_or(is_told)
    }

    fn slow(&self) -> End {
        End::Close(code::SLOW, format!("too slow; resume with after={}", self.position))
    }

    /// Sends what is stored behind `position` and wanted.
    async fn catch_up(&mut self) -> Step {
        loop {
            let only = self.only_session();
            let page = match self.page(self.position, only).await? {
                Ok(page) => page,
                Err(oldest) => {
                    self.position = oldest;
                    continue;
                }
            };
            for event in &page {
                self.pass_on(&Frame::event(event)).await?;
            }
            self.flush().await?;
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// The one session that this socket is about, so that no other's events are read.
    fn only_session(&self) -> Option<SessionId> {
        match self.rooms.as_slice() {
            [Joined { room: Room::Session(id), from: _ }] => Some(*id),
            _ => None,
        }
    }

    /// A page of stored events, or the oldest number that can be asked for, after telling of the gap.
    async fn page(
        &mut self,
        after: u64,
        session: Option<SessionId>,
    ) -> Result<Result<Vec<crate::domain::event::StoredEvent>, u64>, End> {
        match self.app.events.page(self.ctx.tenant, after, session, PAGE).await {
            Ok(page) => Ok(Ok(page)),
            Err(AppError::CursorExpired { oldest }) => {
                let payload = json!({ "requested": after, "oldest": oldest });
                self.tell("gap", &payload).await?;
                Ok(Err(oldest))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Step {
        self.heard_at = self.app.clock.now();
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => {
                return self.malformed("frames must be text").await;
            }
            Some(Err(error)) if error.to_string().contains("too long") => {
                return Err(End::Close(code::TOO_LARGE, "a frame may have 64 KiB".to_owned()));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        match Asked::parse(&text) {
            Ok(asked) => {
                self.malformed = 0;
                self.answer(asked).await
            }
            Err(message) => self.malformed(&message).await,
        }
    }

    async fn malformed(&mut self, message: &str) -> Step {
        self.malformed += 1;
        self.error("VALIDATION_ERROR", message).await?;
        if self.malformed >= MALFORMED {
            return Err(End::Close(code::POLICY, "ten malformed frames in a row".to_owned()));
        }
        Ok(())
    }

    async fn beat(&mut self) -> Step {
        let now = self.app.clock.now();
        if now.since(self.heard_at) > self.options().silence {
            return Err(End::Gone);
        }
        if let Some(own) = &self.own
            && !self.app.external.is_there(own.agent, Some(self.ctx.tenant)).await?
        {
            return Err(removed());
        }
        self.sign("heartbeat").await?;
        self.put(Message::Ping(bytes::Bytes::new())).await?;
        self.flush().await
    }

    /// A sign of life: the newest number, and the one up to which all that it may see was sent.
    async fn sign(&mut self, name: &str) -> Step {
        let head = self.app.events.head(self.ctx.tenant).await?;
        let payload = json!({
            "server_time": self.app.clock.now(), "head_seq": self.shown(head),
            "position": self.shown(self.position),
        });
        self.tell(name, &payload).await
    }

    async fn error(&mut self, code: &str, message: &str) -> Step {
        self.tell("error", &failure(code, message, &self.app.options.redactor)).await?;
        self.flush().await
    }

    async fn tell(&mut self, name: &str, payload: &Value) -> Step {
        let text = notice(name, self.ctx.tenant, self.app.clock.now(), payload);
        self.send(text).await
    }

    async fn send(&mut self, text: Utf8Bytes) -> Step {
        self.put(Message::Text(text)).await
    }

    async fn put(&mut self, message: Message) -> Step {
        match timeout(self.app.options.ws.stall, self.sink.feed(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn flush(&mut self) -> Step {
        match timeout(self.app.options.ws.stall, self.sink.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
