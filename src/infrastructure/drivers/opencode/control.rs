//! The way to command a run, and what its task and its commander share.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::client::CallError;
use super::host::{Host, Server};
use super::permission::answers;
use super::wire::Question;
use crate::application::ports::driver::{Answer, DriverError, Prompt, RunControl};
use crate::domain::attention::DEFAULT_ANSWER;
use crate::infrastructure::drivers::guard;
use crate::infrastructure::drivers::marker::Marker;

/// How long an abort may take before the turn is taken for ended.
pub(super) const ABORT_TIME: Duration = Duration::from_secs(5);
/// Words for a call that was refused without words.
const NO_WORDS: &str = "This was not allowed. Go on without it.";

/// An ask that is open at the agent.
#[derive(Debug, Clone)]
pub(super) enum OpenAsk {
    /// A permission and what it would touch.
    Permission { permission: String, patterns: Vec<String> },
    /// Questions.
    Question(Vec<Question>),
}

/// What the task of a run and its commander share.
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    /// The server that works on it, which another one may be taking over from.
    server: Mutex<Arc<Server>>,
    pub(super) session: String,
    /// The directory.
    pub(super) place: String,
    /// Whether nobody else works in it.
    pub(super) is_private: bool,
    /// Ends the run.
    pub(super) cancel: CancellationToken,
    /// The run is over.
    pub(super) ended: CancellationToken,
    pub(super) aborting: AtomicBool,
    /// Whether a turn is on.
    pub(super) working: watch::Sender<bool>,
    /// By their names, with their fingerprints.
    asks: Mutex<HashMap<String, (String, OpenAsk)>>,
    allowed: Mutex<HashSet<(String, Vec<String>)>>,
}

impl Shared {
    pub(super) fn new(
        host: Arc<Host>,
        server: Arc<Server>,
        session: String,
        place: String,
        is_private: bool,
    ) -> Self {
        let cancel = host.cancel.child_token();
        Self {
            host,
            server: Mutex::new(server),
            session,
            place,
            is_private,
            cancel,
            ended: CancellationToken::new(),
            aborting: AtomicBool::new(false),
            working: watch::Sender::new(true),
            asks: Mutex::default(),
            allowed: Mutex::default(),
        }
    }

    /// The server that works on it now.
    pub(super) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another server works on it from here on.
    pub(super) fn is_at(&self, server: &Arc<Server>) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(server);
    }

    /// Ends what the agent's tools left running in a directory of its own, such as a server that was
    /// put in the background. When the driver ends, all of them end anyway.
    pub(super) async fn end_tools(&self) {
        let options = &self.host.options;
        if !self.is_private || options.attach.is_some() || self.host.cancel.is_cancelled() {
            return;
        }
        let (marker, folder) =
            (Marker::any(&options.marker, &options.state_dir), PathBuf::from(&self.place));
        let swept = spawn_blocking(move || guard::sweep_below(&marker, &folder)).await.unwrap_or(0);
        if swept > 0 {
            info!(processes = swept, folder = self.place, "Processes of a run are ended with it");
        }
    }

    pub(super) fn opened(&self, id: &str, fingerprint: &str, ask: OpenAsk) {
        let ask = (fingerprint.to_owned(), ask);
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), ask);
    }

    /// Whether it was open.
    pub(super) fn closed(&self, id: &str) -> bool {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
    }

    pub(super) fn open_asks(&self) -> Vec<String> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Whether the same was allowed for good in this run.
    pub(super) fn is_allowed(&self, permission: &str, patterns: &[String]) -> bool {
        let key = (permission.to_owned(), patterns.to_vec());
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner).contains(&key)
    }

    pub(super) fn aborting(&self) -> bool {
        self.aborting.load(Ordering::Acquire)
    }

    /// What is open under this name, if it still is what the fingerprint stands for.
    fn ask(&self, id: &str, fingerprint: &str) -> Option<OpenAsk> {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        asks.get(id).filter(|(known, _)| known == fingerprint).map(|(_, ask)| ask.clone())
    }

    /// Remembers a permission for the rest of the run. OpenCode is told `once` each time: its own
    /// `always` would hold for every conversation of the directory.
    fn remember(&self, ask: &OpenAsk) {
        if let OpenAsk::Permission { permission, patterns } = ask {
            let key = (permission.clone(), patterns.clone());
            self.allowed.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
    }
}

/// Commands a run.
pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) prompts: mpsc::Sender<Prompt>,
}

impl Control {
    async fn reply(&self, id: &str, ask: &OpenAsk, answer: Answer) -> Result<(), DriverError> {
        let (shared, server) = (&self.shared, self.shared.server());
        let (client, place) = (&server.client, shared.place.as_str());
        let replied = match (ask, answer) {
            (OpenAsk::Permission { .. }, Answer::Deny(words)) => {
                // Without words the whole run would end.
                let words = if words.trim().is_empty() { NO_WORDS } else { &words };
                client.decide(place, id, "reject", Some(words)).await
            }
            (OpenAsk::Permission { .. }, Answer::Text(words)) => {
                client.decide(place, id, "reject", Some(&words)).await
            }
            (OpenAsk::Permission { .. }, Answer::AllowOnce | Answer::AllowAlways) => {
                client.decide(place, id, "once", None).await
            }
            (OpenAsk::Question(questions), Answer::Text(words) | Answer::Deny(words)) => {
                let words = if words.trim().is_empty() { DEFAULT_ANSWER } else { &words };
                client.reply(place, id, &answers(questions, words)).await
            }
            (OpenAsk::Question(questions), Answer::AllowOnce | Answer::AllowAlways) => {
                client.reply(place, id, &answers(questions, DEFAULT_ANSWER)).await
            }
        };
        match replied {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => {
                self.suspect(&error);
                Err(error.into())
            }
        }
    }

    fn suspect(&self, error: &CallError) {
        if error.is_outage() {
            self.shared.host.suspect();
        }
    }
}

#[async_trait]
impl RunControl for Control {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        // A run that is over takes nothing more; that is no error.
        tokio::select! {
            sent = self.prompts.send(prompt) => drop(sent),
            () = self.shared.ended.cancelled() => {}
        }
        Ok(())
    }

    async fn abort(&self) -> Result<(), DriverError> {
        let shared = &self.shared;
        if shared.ended.is_cancelled() || !*shared.working.borrow() {
            return Ok(());
        }
        shared.aborting.store(true, Ordering::Release);
        let mut working = shared.working.subscribe();
        let told = async {
            if let Err(error) = shared.server().client.abort(&shared.session).await {
                self.suspect(&error);
            }
            working.wait_for(|working| !working).await.ok();
        };
        // Past this the run says by itself that the turn was aborted.
        tokio::select! {
            () = told => {}
            () = shared.ended.cancelled() => {}
            () = shared.host.clock.sleep(ABORT_TIME) => {}
        }
        Ok(())
    }

    async fn answer(
        &self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError> {
        let Some(ask) = self.shared.ask(agent_ref, fingerprint) else { return Ok(()) };
        if answer == Answer::AllowAlways {
            self.shared.remember(&ask);
        }
        self.reply(agent_ref, &ask, answer).await
    }

    async fn close(&self) {
        self.shared.cancel.cancel();
        tokio::select! {
            () = self.shared.ended.cancelled() => {}
            () = self.shared.host.clock.sleep(ABORT_TIME * 2) => {}
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}
