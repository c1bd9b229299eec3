//! The event stream of a run, opened again whenever it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::host::{Host, Server};
use super::stream::Events;
use super::wire::Event;
use crate::application::ports::driver::DriverError;

/// Times that a stream is opened again before the server counts as lost.
const TRIES: u32 = 12;

type Opening = Pin<Box<dyn Future<Output = Result<(Arc<Server>, Events), DriverError>> + Send>>;

enum State {
    Live(Events),
    Opening(Opening),
}

/// What the link says.
pub(super) enum Signal {
    /// Something happened.
    Event(Event),
    /// The stream ended; it is being opened again.
    Lost,
    /// It is open again, possibly at a new server; what happened in between is not told.
    Back(Arc<Server>),
    /// It cannot be opened any more.
    Failed(DriverError),
}

/// A stream that comes back.
pub(super) struct Link {
    host: Arc<Host>,
    place: String,
    state: State,
}

impl Link {
    pub(super) fn new(host: Arc<Host>, place: String, events: Events) -> Self {
        Self { host, place, state: State::Live(events) }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Forgets the stream that is open, or is being opened; `Lost` is not told of it, `Back` is.
    pub(super) fn reopen(&mut self) {
        self.state = State::Opening(Box::pin(open(Arc::clone(&self.host), self.place.clone())));
    }

    /// May be dropped at any time without losing anything.
    pub(super) async fn next(&mut self) -> Signal {
        match &mut self.state {
            State::Live(events) => match events.next().await {
                Some(event) if event.kind != "server.instance.disposed" => Signal::Event(event),
                _ => {
                    self.host.suspect();
                    self.reopen();
                    Signal::Lost
                }
            },
            State::Opening(opening) => match opening.await {
                Ok((server, events)) => {
                    self.state = State::Live(events);
                    Signal::Back(server)
                }
                Err(error) => Signal::Failed(error),
            },
        }
    }
}

async fn open(host: Arc<Host>, place: String) -> Result<(Arc<Server>, Events), DriverError> {
    let mut wait = Duration::from_millis(100);
    let mut tried = 0;
    loop {
        // Between the death of a server and its discovery this is still the old one.
        host.clock.sleep(wait).await;
        let found = host.server().await;
        let error = match found {
            Ok(server) => match Events::open(&server.client, &place).await {
                Ok(events) => return Ok((server, events)),
                Err(error) => {
                    host.suspect();
                    DriverError::from(error)
                }
            },
            // A server of ours was tried again and again before it says this.
            Err(error) if host.options.attach.is_none() || !error.retryable => return Err(error),
            Err(error) => error,
        };
        tried += 1;
        if tried >= TRIES {
            return Err(error);
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}
