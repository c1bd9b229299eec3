//! An agent that does what the test says: it can be full, hang, and be deaf to answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use orchestrator::application::ports::driver::{
    Abilities, AgentDriver, AgentEvent, Answer, Assignment, DriverError, ProbeReport, Prompt,
    RunControl, Running, TurnEnd,
};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::attempt::ErrorType;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Events on their way; a full channel makes the test wait.
const EVENTS: usize = 16;

/// The strings.
#[derive(Default)]
pub(crate) struct Strings {
    /// Does not even say whether it could work.
    mute: bool,
    pub(crate) full: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) deaf: AtomicBool,
    pub(crate) starts: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    /// Turns that were to be ended.
    pub(crate) aborts: AtomicUsize,
    /// Answers that were not heard.
    pub(crate) missed: AtomicUsize,
    answers: Mutex<Vec<(String, Answer)>>,
    /// What they were about.
    answered: Mutex<Vec<String>>,
    /// What it was told last.
    prompt: Mutex<Uuid>,
    stage: Mutex<Option<mpsc::Sender<AgentEvent>>>,
}

impl Strings {
    /// Of an agent that may not even answer a probe.
    pub(crate) fn mute(mute: bool) -> Self {
        Self { mute, ..Self::default() }
    }

    /// The newest run tells something.
    pub(crate) async fn tell(&self, event: AgentEvent) {
        let stage = self.stage.lock().expect("whole").clone().expect("a run");
        stage.send(event).await.expect("somebody listens");
    }

    /// The newest run says that its turn is over.
    pub(crate) async fn ends(&self, text: &str, end: TurnEnd) {
        let prompt = self.prompted();
        let text = text.to_owned();
        self.tell(AgentEvent::TurnEnded { prompt, message_ref: None, text, end }).await;
    }

    /// The newest run has done what it was told.
    pub(crate) async fn is_done(&self) {
        self.ends("done", TurnEnd::Done).await;
    }

    /// The prompt that was told last.
    pub(crate) fn prompted(&self) -> Uuid {
        *self.prompt.lock().expect("whole")
    }

    /// Whether there is a run that somebody listens to.
    pub(crate) fn is_playing(&self) -> bool {
        let stage = self.stage.lock().expect("whole");
        stage.as_ref().is_some_and(|stage| !stage.is_closed())
    }

    /// Whether all that the newest run told was taken; all but the last of it is seen to then.
    pub(crate) fn is_heard(&self) -> bool {
        let stage = self.stage.lock().expect("whole");
        stage.as_ref().is_some_and(|stage| stage.capacity() == stage.max_capacity())
    }

    /// Fingerprints of the asks that were answered.
    pub(crate) fn answered(&self) -> Vec<String> {
        self.answered.lock().expect("whole").clone()
    }

    /// Answers that were heard.
    pub(crate) fn answers(&self) -> Vec<(String, Answer)> {
        self.answers.lock().expect("whole").clone()
    }
}

/// The agent.
pub(crate) struct Puppet(pub(crate) Arc<Strings>);

#[async_trait]
impl AgentDriver for Puppet {
    fn kind(&self) -> AgentKind {
        if self.0.mute { AgentKind::Opencode } else { AgentKind::Simulated }
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    async fn probe(&self, _: TenantId, _: &Map<String, Value>) -> Result<ProbeReport, DriverError> {
        if self.0.mute {
            std::future::pending::<()>().await;
        }
        Ok(ProbeReport { version: "1".to_owned(), details: Value::Null })
    }

    async fn start(&self, work: Assignment) -> Result<Running, DriverError> {
        self.0.starts.fetch_add(1, Ordering::SeqCst);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.full.load(Ordering::SeqCst) {
            return Err(DriverError::full("it works on one run already"));
        }
        *self.0.prompt.lock().expect("whole") = work.prompt.id;
        let (stage, events) = mpsc::channel(EVENTS);
        *self.0.stage.lock().expect("whole") = Some(stage);
        Ok(Running { control: Box::new(Hand(Arc::clone(&self.0))), events })
    }

    async fn reap(&self) -> usize {
        0
    }

    async fn shutdown(&self) {}
}

struct Hand(Arc<Strings>);

#[async_trait]
impl RunControl for Hand {
    async fn prompt(&self, prompt: Prompt) -> Result<(), DriverError> {
        *self.0.prompt.lock().expect("whole") = prompt.id;
        Ok(())
    }

    async fn abort(&self) -> Result<(), DriverError> {
        self.0.aborts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn answer(
        &self,
        agent_ref: &str,
        fingerprint: &str,
        answer: Answer,
    ) -> Result<(), DriverError> {
        if self.0.deaf.load(Ordering::SeqCst) {
            self.0.missed.fetch_add(1, Ordering::SeqCst);
            return Err(DriverError::new(ErrorType::AgentLost, "it does not listen"));
        }
        self.0.answered.lock().expect("whole").push(fingerprint.to_owned());
        self.0.answers.lock().expect("whole").push((agent_ref.to_owned(), answer));
        Ok(())
    }

    async fn close(&self) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
    }
}
