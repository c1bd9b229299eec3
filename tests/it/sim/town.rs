//! What agents remember: conversations, turns, and who works for whom. It outlives the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use orchestrator::application::ports::driver::{Answer, Ask, Assignment, Prompt, TurnEnd};
use orchestrator::domain::attention::{AttentionKind, Risk};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::Phase;
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
    /// Makes a call and reports it; maybe twice.
    Spend(Call, bool),
    /// Reports what no call can have used.
    Lie,
    /// Asks a person these things at once; maybe twice.
    Ask(Vec<AttentionKind>, bool),
    /// Asks a person, and after so many milliseconds wants no answer any more.
    AskInVain(AttentionKind, u64),
    /// Says what it does.
    Phase(Phase),
    /// Says so many words and pieces, one after another.
    Flood(u64),
    /// Says once more that an earlier turn is over.
    Echo,
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

/// One call of a model: its name, tokens and millionths of a dollar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) key: String,
    pub(crate) tokens: u64,
    pub(crate) micros: i64,
}

/// One prompt and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) acts: VecDeque<Act>,
    /// Ignores being told to end.
    pub(crate) is_deaf: bool,
    /// What is asked and not answered.
    pub(crate) asks: Vec<Ask>,
    /// Calls that were made, oldest first.
    pub(crate) calls: Vec<Call>,
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
    /// It does everything as it should.
    is_honest: bool,
    /// What it works on, when its agent works on without the server.
    works: Option<(String, Uuid)>,
}

/// What an agent was told of an ask.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) session: SessionId,
    pub(crate) fingerprint: String,
    pub(crate) answer: Answer,
}

#[derive(Default)]
struct Book {
    talks: BTreeMap<String, Talk>,
    runs: BTreeMap<u64, Run>,
    tokens: BTreeMap<SessionId, u64>,
    /// Calls that were made for each, by their names.
    calls: BTreeMap<SessionId, BTreeMap<String, Call>>,
    /// Texts that each was told.
    prompts: BTreeMap<SessionId, Vec<String>>,
    /// Whose ask a name is, and its fingerprint.
    asked: BTreeMap<String, (SessionId, String)>,
    answers: BTreeMap<String, Answer>,
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

    /// The server is gone, and every run with it; agents that outlive it work on for so long.
    pub(crate) fn server_is_gone(&self, for_millis: u64) {
        let runs = std::mem::take(&mut self.book().runs);
        for run in runs.into_values().filter(|run| run.is_open) {
            if let Some((talk, prompt)) = run.works {
                self.works_on(run.session, &talk, prompt, for_millis);
            }
        }
    }

    /// An agent goes on by itself until it needs somebody.
    fn works_on(&self, session: SessionId, talk: &str, prompt: Uuid, mut left: u64) {
        let mut made = Vec::new();
        self.turn(talk, prompt, |turn| {
            while turn.over.is_none() && turn.asks.is_empty() {
                match turn.acts.front_mut() {
                    Some(Act::Work(millis)) if *millis > left => {
                        *millis -= left;
                        return;
                    }
                    Some(Act::Work(millis)) => left -= *millis,
                    Some(Act::Spend(call, _)) => {
                        made.push(call.clone());
                        note_call(turn);
                    }
                    Some(Act::End(end, _)) => turn.over = Some(*end),
                    Some(Act::Say | Act::Phase(_) | Act::Flood(_) | Act::LoseStream(_)) => {}
                    Some(_) | None => return,
                }
                turn.acts.pop_front();
            }
        });
        for call in made {
            self.spend(session, &call);
        }
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
        let is_honest = is_honest(&assignment.title);
        let run = Run { session, token, is_open: true, is_honest, works: None };
        book.runs.insert(number, run);
        number
    }

    /// A run begins with a prompt; who outlives the server is known to work on it.
    pub(crate) fn works(&self, run: u64, talk: &str, prompt: Uuid, outlives: bool) {
        if let Some(run) = self.book().runs.get_mut(&run) {
            run.works = outlives.then(|| (talk.to_owned(), prompt));
        }
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

    /// Calls that were made for a session, by their names.
    pub(crate) fn calls(&self, session: SessionId) -> BTreeMap<String, Call> {
        self.book().calls.get(&session).cloned().unwrap_or_default()
    }

    /// A call was made.
    pub(crate) fn spend(&self, session: SessionId, call: &Call) {
        let mut book = self.book();
        book.calls.entry(session).or_default().insert(call.key.clone(), call.clone());
    }

    /// Calls of the turn that ended with this message; `None` when there was no such turn.
    pub(crate) fn calls_until(&self, message: &str) -> Option<Vec<Call>> {
        let prompt = Uuid::parse_str(message.strip_prefix("message-")?).ok()?;
        let book = self.book();
        let turn = book.talks.values().find_map(|talk| talk.turns.get(&prompt))?;
        Some(turn.calls.clone())
    }

    /// Whether a session was told words that hold these.
    pub(crate) fn was_told(&self, session: SessionId, words: &str) -> bool {
        let book = self.book();
        let told = book.prompts.get(&session);
        told.is_some_and(|told| told.iter().any(|text| text.contains(words)))
    }

    /// Every answer that reached an agent.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let book = self.book();
        let heard = book.answers.iter().filter_map(|(agent_ref, answer)| {
            let (session, fingerprint) = book.asked.get(agent_ref)?.clone();
            Some(Heard { session, fingerprint, answer: answer.clone() })
        });
        heard.collect()
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

    /// A prompt is told: a turn begins, unless it is known. Then what is asked may have a new name.
    pub(crate) fn told(&self, run: u64, talk: &str, prompt: &Prompt) {
        let found = self.book().runs.get(&run).map(|run| (run.session, run.is_honest));
        let (session, is_honest) = found.expect("a run that began");
        self.book().prompts.entry(session).or_default().push(prompt.text.clone());
        let mut turn = Some(if is_honest { self.honest() } else { self.plan() });
        let is_renamed = self.weather.below(2) == 0;
        let open = self.turn(talk, prompt.id, |known| {
            if known.acts.is_empty() && known.over.is_none() {
                *known = turn.take().expect("once");
            }
            known.asks.len()
        });
        for index in 0..if is_renamed { open } else { 0 } {
            let agent_ref = self.name("ask");
            let renamed = self.turn(talk, prompt.id, |turn| {
                turn.asks[index].agent_ref.clone_from(&agent_ref);
                turn.asks[index].clone()
            });
            self.note_ask(session, &renamed);
        }
    }

    /// Another turn of a conversation that is over.
    pub(crate) fn earlier(&self, talk: &str, prompt: Uuid) -> Option<(Uuid, TurnEnd)> {
        let book = self.book();
        let mut others = book.talks.get(talk)?.turns.iter().filter(|(id, _)| **id != prompt);
        others.find_map(|(id, turn)| Some((*id, turn.over?)))
    }

    /// Looks at a turn.
    pub(crate) fn turn<T>(&self, talk: &str, prompt: Uuid, look: impl FnOnce(&mut Turn) -> T) -> T {
        let mut book = self.book();
        let talk = book.talks.get_mut(talk).expect("a conversation that began");
        look(talk.turns.entry(prompt).or_default())
    }

    /// An answer comes; the same ask is never answered in two ways.
    pub(crate) fn answered(&self, agent_ref: &str, answer: &Answer) {
        let mut book = self.book();
        if let Some(before) = book.answers.insert(agent_ref.to_owned(), answer.clone())
            && before != *answer
        {
            let text = format!("{agent_ref} was answered {before:?} and then {answer:?}");
            book.problems.insert(text);
        }
    }

    /// New asks, made at once; two of a kind may be about the same.
    pub(crate) fn ask(&self, session: SessionId, kinds: &[AttentionKind]) -> Vec<Ask> {
        let mut asks: Vec<Ask> = Vec::new();
        for kind in kinds {
            let same = asks.iter().find(|ask| ask.kind == *kind && self.weather.below(2) == 0);
            let fingerprint = same.map(|ask| ask.fingerprint.clone());
            let ask = Ask {
                fingerprint: fingerprint.unwrap_or_else(|| self.name("print")),
                agent_ref: self.name("ask"),
                kind: *kind,
                tool: "bash".to_owned(),
                patterns: vec!["rm *".to_owned()],
                title: "May it be removed?".to_owned(),
                payload: json!({}),
                risk: Risk::Medium,
            };
            self.note_ask(session, &ask);
            asks.push(ask);
        }
        asks
    }

    fn note_ask(&self, session: SessionId, ask: &Ask) {
        let whose = (session, ask.fingerprint.clone());
        self.book().asked.insert(ask.agent_ref.clone(), whose);
    }

    /// A turn without any fault.
    fn honest(&self) -> Turn {
        let dice = |bound| self.weather.below(bound);
        let mut acts = VecDeque::from([Act::Work(10 + dice(8000)), self.call()]);
        match dice(5) {
            0 => acts.push_back(Act::Ask(vec![AttentionKind::Question], false)),
            1 => acts.push_back(Act::LoseStream(dice(4000))),
            2 => acts.push_back(Act::Phase(Phase::Reviewing)),
            3 => acts.push_back(Act::Say),
            _ => acts.push_back(Act::Work(dice(20_000))),
        }
        acts.extend([self.call(), Act::End(TurnEnd::Done, false)]);
        Turn { acts, ..Turn::default() }
    }

    fn call(&self) -> Act {
        let dice = |bound| self.weather.below(bound);
        let micros = i64::try_from(dice(20_000)).expect("small");
        Act::Spend(Call { key: self.name("call"), tokens: dice(2000), micros }, dice(4) == 0)
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
            let kinds = [AttentionKind::Permission, AttentionKind::Question];
            let kind = || kinds[usize::from(dice(2) == 0)];
            acts.push_back(match dice(22) {
                0..8 => self.call(),
                8..11 => Act::Say,
                11..14 => Act::Ask(vec![kind()], dice(2) == 0),
                14 => Act::Ask(vec![kind(), kind()], dice(2) == 0),
                15 => Act::AskInVain(kind(), dice(30_000)),
                16 => Act::Phase(if dice(2) == 0 { Phase::Planning } else { Phase::Executing }),
                17 => Act::Flood(1 + dice(60)),
                18 => Act::Echo,
                19 => Act::LoseStream(dice(20_000)),
                _ => Act::LoseProvider(dice(20_000)),
            });
        }
        acts.push_back(match dice(24) {
            0 => Act::Hang,
            1 => Act::Vanish,
            2 => Act::Break(ErrorType::AgentError),
            3 => Act::Break(ErrorType::ProviderError),
            4 => Act::Break(ErrorType::PermissionDenied),
            5 => Act::End(TurnEnd::Cut, false),
            6 => Act::End(TurnEnd::Rejected, false),
            7 => Act::Lie,
            8..12 => Act::End(TurnEnd::Done, true),
            _ => Act::End(TurnEnd::Done, false),
        });
        acts.push_back(Act::End(TurnEnd::Done, false));
        Turn { acts, is_deaf: dice(8) == 0, ..Turn::default() }
    }
}

/// The call that stands next in a turn is made, once.
pub(crate) fn note_call(turn: &mut Turn) {
    if let Some(Act::Spend(call, _)) = turn.acts.front()
        && !turn.calls.contains(call)
    {
        turn.calls.push(call.clone());
    }
}

/// Whether the agents of a session do everything as they should, by its title.
pub(crate) fn is_honest(title: &str) -> bool {
    title.starts_with("Honest")
}
