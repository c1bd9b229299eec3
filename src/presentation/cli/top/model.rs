//! What `top` shows and what its keys mean, as values.
//!
//! Invariant: nothing that changes a session is asked for by one key alone, but pausing and resuming, which
//! undo each other.

use serde_json::Value;

use super::super::args::Order;
use crate::domain::time::Timestamp;

/// A session that is not over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// As the server told it.
    pub session: Value,
    /// The oldest thing that it asks of a person.
    pub item: Option<Value>,
    /// Seconds since anything about it changed; nothing where nobody works on it.
    pub quiet: Option<f64>,
}

impl Row {
    /// A text of the session; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.session[name].as_str().unwrap_or_default()
    }

    /// US dollars, where they are known.
    pub(super) fn cost(&self) -> Option<f64> {
        self.session["metrics"]["usage"]["cost_usd"].as_f64()
    }

    fn may(&self, verb: &str) -> bool {
        let actions = self.session["allowed_actions"].as_array();
        actions.is_some_and(|actions| actions.iter().any(|action| action == verb))
    }
}

/// The rows of what the server told.
pub(super) fn rows(sessions: &[Value], items: &[Value], now: Timestamp) -> Vec<Row> {
    let row = |session: &Value| {
        let of_it = items.iter().filter(|item| item["session_id"] == session["id"]);
        let works = matches!(session["status"].as_str(), Some("running" | "degraded"));
        let at = session["updated_at"].as_str().and_then(Timestamp::parse);
        Row {
            session: session.clone(),
            item: of_it.min_by_key(|item| item["created_at"].as_str().map(str::to_owned)).cloned(),
            quiet: at.filter(|_| works).map(|at| now.since(at).as_secs_f64()),
        }
    };
    sessions.iter().map(row).collect()
}

/// Puts rows in order; what is the same stays by code.
pub(super) fn sort(rows: &mut [Row], order: Order) {
    rows.sort_by(|one, other| one.text("code").cmp(other.text("code")));
    match order {
        Order::Attention => rows.sort_by_key(|row| {
            let deadline = row.item.as_ref().map(|item| item["deadline"].as_str().unwrap_or("~"));
            let works = row.quiet.is_none();
            (row.item.is_none(), deadline.map(str::to_owned), works)
        }),
        Order::Spend => rows.sort_by(|one, other| {
            let cost = |row: &Row| row.cost().unwrap_or(-1.0);
            cost(other).total_cmp(&cost(one))
        }),
        Order::Stall => rows.sort_by(|one, other| {
            let quiet = |row: &Row| row.quiet.unwrap_or(-1.0);
            quiet(other).total_cmp(&quiet(one))
        }),
    }
}

/// A key that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Enter,
    Escape,
    Letter(char),
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Allow this item, once.
    Approve(Value),
    /// A command to a session, by its verb.
    Command(&'static str, String),
    /// What a session changed.
    Diff(String),
    Leave,
}

/// What is on the screen besides the list.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Over {
    #[default]
    Nothing,
    /// A question, and what is done when it is confirmed with this key.
    Sure(String, Key, Wish),
    /// The changes of a session, from a line on.
    Changes(String, Vec<String>, usize),
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub rows: Vec<Row>,
    pub order: Order,
    /// The chosen session, by id, so that it stays chosen when the order changes.
    chosen: Option<String>,
    pub over: Over,
    /// What came of the last wish, or why nothing is known.
    pub told: String,
}

impl Top {
    /// An empty list in this order.
    pub(super) fn new(order: Order) -> Self {
        Self { order, told: "reading".to_owned(), ..Self::default() }
    }

    /// Takes what the server told.
    pub(super) fn take(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        sort(&mut self.rows, self.order);
        if self.told == "reading" {
            self.told.clear();
        }
    }

    /// The place of the chosen row.
    pub(super) fn at(&self) -> usize {
        let place = |id: &String| self.rows.iter().position(|row| row.text("id") == id);
        self.chosen.as_ref().and_then(place).unwrap_or(0)
    }

    fn row(&self) -> Option<&Row> {
        self.rows.get(self.at())
    }

    fn go(&mut self, forward: bool) {
        let at = self.at();
        let next = if forward { at + 1 } else { at.saturating_sub(1) };
        let last = self.rows.len().saturating_sub(1);
        self.chosen = self.rows.get(next.min(last)).map(|row| row.text("id").to_owned());
    }

    /// What a key leads to.
    pub(super) fn press(&mut self, key: Key) -> Option<Wish> {
        match std::mem::take(&mut self.over) {
            Over::Sure(_, yes, wish) if key == yes => return Some(wish),
            Over::Sure(..) => {
                "nothing was done".clone_into(&mut self.told);
                return None;
            }
            Over::Changes(name, lines, from) => {
                let last = lines.len().saturating_sub(1);
                let from = match key {
                    Key::Down | Key::Letter('j') => (from + 1).min(last),
                    Key::Up | Key::Letter('k') => from.saturating_sub(1),
                    Key::Letter(' ') => (from + 20).min(last),
                    Key::Enter | Key::Escape | Key::Letter(_) => return None,
                };
                self.over = Over::Changes(name, lines, from);
                return None;
            }
            Over::Nothing => {}
        }
        match key {
            Key::Down | Key::Letter('j') => self.go(true),
            Key::Up | Key::Letter('k') => self.go(false),
            Key::Letter('o') => {
                self.order = match self.order {
                    Order::Attention => Order::Spend,
                    Order::Spend => Order::Stall,
                    Order::Stall => Order::Attention,
                };
                sort(&mut self.rows, self.order);
            }
            Key::Letter('q') | Key::Escape => return Some(Wish::Leave),
            Key::Enter | Key::Letter('d') => {
                return self.row().map(|row| Wish::Diff(row.text("id").to_owned()));
            }
            Key::Letter('p') => return self.pause(),
            Key::Letter('a') => self.ask_to_approve(),
            Key::Letter('s') => self.ask_to_stop(),
            Key::Letter(_) => {}
        }
        None
    }

    fn pause(&mut self) -> Option<Wish> {
        let row = self.row()?;
        let verb = ["pause", "resume"].into_iter().find(|verb| row.may(verb));
        let wish = verb.map(|verb| Wish::Command(verb, row.text("id").to_owned()));
        if wish.is_none() {
            self.told = format!("{} cannot be paused now", row.text("code"));
        }
        wish
    }

    fn ask_to_approve(&mut self) {
        let Some(row) = self.row() else { return };
        let permission = row.item.as_ref().filter(|item| item["kind"] == "permission");
        match permission {
            Some(item) => {
                let title = item["title"].as_str().unwrap_or_default();
                let question = format!("allow {} once: {title}? enter does", row.text("code"));
                self.over = Over::Sure(question, Key::Enter, Wish::Approve(item.clone()));
            }
            None => self.told = format!("{} asks for no permission", row.text("code")),
        }
    }

    fn ask_to_stop(&mut self) {
        let Some(row) = self.row() else { return };
        let (code, id) = (row.text("code"), row.text("id").to_owned());
        if row.may("stop") {
            let question = format!("stop {code}? its work so far is kept; y does");
            self.over = Over::Sure(question, Key::Letter('y'), Wish::Command("stop", id));
        } else {
            self.told = format!("{code} cannot be stopped now");
        }
    }
}
