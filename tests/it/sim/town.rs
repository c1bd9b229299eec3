//! What agents remember: conversations, turns, and who works for whom. It outlives the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use orchestrator::application::ports::driver::{Ask, Assignment, TurnEnd};
use orchestrator::domain::attention::{AttentionKind, Risk};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::attempt::ErrorType;
use serde_json::{Value, json};
use uuid::Uuid;

use super::weather::Weather;

/// What an agent does next in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Takes so many milliseconds.
    Work(u64),
    /// Says something.
    Say,
    /// Reports tokens and millionths of a dollar; maybe twice.
    Spend(u64, i64, bool),
    /// Asks a person; maybe twice, maybe the first ask is lost.
    Ask(AttentionKind, bool),
    /// Its stream is down for so many milliseconds.
    LoseStream(u64),
    /// Its provider is down for so many milliseconds.
    LoseProvider(u64),
    /// Does nothing for ever.
    Hang,
    /// Fails.
    Break(ErrorType),
    /// Is gone without a word.
    Vanish,
    /// Ends the turn; maybe it says so twice.
    End(TurnEnd, bool),
}

/// One prompt and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) acts: VecDeque<Act>,
    /// Ignores being told to end.
    pub(crate) is_deaf: bool,
    pub(crate) ask: Option<Ask>,
    pub(crate) over: Option<TurnEnd>,
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) turns: BTreeMap<Uuid, Turn>,
}

struct Run {
    session: SessionId,
    token: u64,
    is_open: bool,
}

#[derive(Default)]
struct Book {
    talks: BTreeMap<String, Talk>,
    runs: BTreeMap<u64, Run>,
    tokens: BTreeMap<SessionId, u64>,
    /// Tokens of distinct calls.
    spent: BTreeMap<SessionId, u64>,
    answers: BTreeMap<String, String>,
    named: u64,
    problems: BTreeSet<String>,
}

/// All agents.
pub(crate) struct Town {
    book: Mutex<Book>,
    pub(crate) weather: Arc<Weather>,
    /// Every turn takes so many milliseconds and ends well.
    steady: Option<u64>,
}

impl Town {
    pub(crate) fn new(weather: Arc<Weather>) -> Self {
        Self { book: Mutex::default(), weather, steady: None }
    }

    /// Agents that need so long for every turn, and do nothing else.
    pub(crate) fn steady(weather: Arc<Weather>, millis: u64) -> Self {
        Self { steady: Some(millis), ..Self::new(weather) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("whole")
    }

    /// A new name, never given before.
    pub(crate) fn name(&self, what: &str) -> String {
        let mut book = self.book();
        book.named += 1;
        format!("{what}-{}", book.named)
    }

    /// The server is gone, and every run with it.
    pub(crate) fn server_is_gone(&self) {
        self.book().runs.clear();
    }

    /// A run begins: its token is higher than all before, and it is the only one of its session.
    pub(crate) fn begin(&self, assignment: &Assignment) -> u64 {
        let (session, token) = (assignment.session, assignment.fencing_token);
        let mut book = self.book();
        let last = book.tokens.insert(session, token).unwrap_or(0);
        // The run of a token that a server died with is taken up with the same token.
        if token < last {
            book.problems.insert(format!("I5: {session} was given token {token} after {last}"));
        }
        let other = book.runs.values().find(|run| run.session == session && run.is_open);
        if let Some(other) = other {
            let text = format!("I6: {session} runs under {token} and {} at once", other.token);
            book.problems.insert(text);
        }
        book.named += 1;
        let number = book.named;
        book.runs.insert(number, Run { session, token, is_open: true });
        number
    }

    /// A run is over.
    pub(crate) fn end(&self, run: u64) {
        if let Some(run) = self.book().runs.get_mut(&run) {
            run.is_open = false;
        }
    }

    /// Runs that are open, with their tokens.
    pub(crate) fn open(&self) -> Vec<(SessionId, u64)> {
        let book = self.book();
        let open = book.runs.values().filter(|run| run.is_open);
        open.map(|run| (run.session, run.token)).collect()
    }

    /// What went wrong, as agents see it.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.book().problems.iter().cloned().collect()
    }

    /// Tokens of distinct calls that were reported for a session.
    pub(crate) fn spent(&self, session: SessionId) -> u64 {
        self.book().spent.get(&session).copied().unwrap_or(0)
    }

    pub(crate) fn spend(&self, session: SessionId, tokens: u64) {
        // What no call can have used must not count.
        let tokens = if tokens == u64::MAX { 0 } else { tokens };
        let mut book = self.book();
        let spent = book.spent.entry(session).or_default();
        *spent = spent.saturating_add(tokens);
    }

    /// The conversation behind a handle, or a new one; its name.
    pub(crate) fn talk(&self, handle: Option<&Value>) -> String {
        let known = handle.and_then(|handle| handle["talk"].as_str()).map(str::to_owned);
        if let Some(known) = known.filter(|known| self.book().talks.contains_key(known)) {
            return known;
        }
        let name = self.name("talk");
        let talk = Talk { turns: BTreeMap::new() };
        self.book().talks.insert(name.clone(), talk);
        name
    }

    /// A prompt is told: a turn begins, unless it is known.
    pub(crate) fn told(&self, talk: &str, prompt: Uuid) {
        let mut turn = Some(self.plan());
        self.turn(talk, prompt, |known| {
            if known.acts.is_empty() && known.over.is_none() {
                *known = turn.take().expect("once");
            }
        });
    }

    /// Looks at a turn.
    pub(crate) fn turn<T>(&self, talk: &str, prompt: Uuid, look: impl FnOnce(&mut Turn) -> T) -> T {
        let mut book = self.book();
        let talk = book.talks.get_mut(talk).expect("a conversation that began");
        look(talk.turns.entry(prompt).or_default())
    }

    /// An answer comes; the same ask is never answered in two ways.
    pub(crate) fn answered(&self, agent_ref: &str, answer: &str) {
        let mut book = self.book();
        if let Some(before) = book.answers.insert(agent_ref.to_owned(), answer.to_owned())
            && before.split('(').next() != answer.split('(').next()
        {
            let text = format!("{agent_ref} was answered {before} and then {answer}");
            book.problems.insert(text);
        }
    }

    /// A new ask.
    pub(crate) fn ask(&self, kind: AttentionKind) -> Ask {
        let agent_ref = self.name("ask");
        Ask {
            fingerprint: agent_ref.clone(),
            agent_ref,
            kind,
            tool: "bash".to_owned(),
            patterns: vec!["rm *".to_owned()],
            title: "May it be removed?".to_owned(),
            payload: json!({}),
            risk: Risk::Medium,
        }
    }

    /// What a turn will be like.
    fn plan(&self) -> Turn {
        if let Some(millis) = self.steady {
            let acts = VecDeque::from([Act::Work(millis), Act::End(TurnEnd::Done, false)]);
            return Turn { acts, ..Turn::default() };
        }
        let dice = |bound| self.weather.below(bound);
        let mut acts = VecDeque::new();
        for _ in 0..=dice(4) {
            acts.push_back(Act::Work(10 + dice(8000)));
            match dice(10) {
                0..4 => acts.push_back(Act::Spend(
                    dice(2000),
                    i64::try_from(dice(20_000)).expect("small"),
                    dice(4) == 0,
                )),
                4..6 => acts.push_back(Act::Say),
                6 => acts.push_back(Act::Ask(AttentionKind::Permission, dice(2) == 0)),
                7 => acts.push_back(Act::Ask(AttentionKind::Question, dice(2) == 0)),
                8 => acts.push_back(Act::LoseStream(dice(20_000))),
                _ => acts.push_back(Act::LoseProvider(dice(20_000))),
            }
        }
        acts.push_back(match dice(24) {
            0 => Act::Hang,
            1 => Act::Vanish,
            2 => Act::Break(ErrorType::AgentError),
            3 => Act::Break(ErrorType::ProviderError),
            4 => Act::Break(ErrorType::PermissionDenied),
            5 => Act::End(TurnEnd::Cut, false),
            6 => Act::End(TurnEnd::Rejected, false),
            7 => Act::Spend(u64::MAX, i64::MAX, false),
            8..12 => Act::End(TurnEnd::Done, true),
            _ => Act::End(TurnEnd::Done, false),
        });
        acts.push_back(Act::End(TurnEnd::Done, false));
        Turn { acts, is_deaf: dice(8) == 0, ask: None, over: None }
    }
}
