//! `top`: the fleet in the terminal; who needs a person, what costs, and what does not get on.
//!
//! Invariant: the terminal is as it was when this returns, however it returns.

mod model;
mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};

use self::model::{Key, Over, Row, Top, Wish, rows, sort};
use super::args::{DecisionWord, TopArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{clean, plain};
use super::output::Printer;

/// From one answer of the server to the next question.
const LOOK: Duration = Duration::from_secs(1);
/// How often the thread that reads keys looks whether it is over.
const KEYS: Duration = Duration::from_millis(100);
/// Keys that were typed and not taken yet; whoever types faster waits.
const TYPED: usize = 64;
/// Keys without a letter.
const PLAIN: [(KeyCode, Key); 4] = [
    (KeyCode::Up, Key::Up),
    (KeyCode::Down, Key::Down),
    (KeyCode::Enter, Key::Enter),
    (KeyCode::Esc, Key::Escape),
];
/// Statuses of what is not over.
const OPEN: [&str; 5] = ["running", "degraded", "paused", "queued", "pending"];

/// The terminal, which is given back as it was.
struct Screen(DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Tells the thread that reads keys that it is over.
struct Typing(Arc<AtomicBool>);

impl Drop for Typing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `top`.
pub(super) async fn run(
    args: &TopArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let is_shown = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if args.once || printer.is_json() || !is_shown {
        return once(args, client, printer).await;
    }
    let failed = |error: std::io::Error| {
        CliError::new(code::FAILED, format!("the terminal cannot be used: {error}"))
            .remedy("orchestrator top --once prints the same once")
    };
    let mut screen = Screen(ratatui::try_init().map_err(failed)?);
    let (sender, keys) = mpsc::channel(TYPED);
    let over = Arc::new(AtomicBool::new(false));
    let _typing = Typing(Arc::clone(&over));
    let reader = std::thread::Builder::new().name("keys".to_owned());
    reader.spawn(move || read_keys(&sender, &over)).map_err(failed)?;
    watch(Top::new(args.sort), client, keys, |top| {
        screen.0.draw(|frame| view::draw(frame, top)).map(drop).map_err(failed)
    })
    .await?;
    Ok(code::OK)
}

async fn once(args: &TopArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let mut found = read(client).await?;
    sort(&mut found, args.sort);
    if printer.is_json() {
        let told = |row: &Row| json!({ "session": row.session, "attention": row.item, "quiet_seconds": row.quiet });
        printer.json(&json!({ "items": found.iter().map(told).collect::<Vec<_>>() }));
    } else if found.is_empty() {
        printer.note("nothing is at work");
    } else {
        let lines: Vec<Vec<String>> = found.iter().map(|row| view::words(row).to_vec()).collect();
        printer.status_table(&view::HEADS, &lines);
    }
    Ok(code::OK)
}

/// Every session that is not over, and what it asks for.
async fn read(client: &Client) -> Result<Vec<Row>, CliError> {
    let mut query: Vec<(&str, &str)> = OPEN.iter().map(|status| ("status", *status)).collect();
    query.push(("limit", "200"));
    let sessions = client.json(client.request(Method::GET, &["sessions"]).query(&query));
    let open = [("state", "open"), ("limit", "200")];
    let items = client.json(client.request(Method::GET, &["attention"]).query(&open));
    let (sessions, items) = tokio::try_join!(sessions, items)?;
    let list = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    Ok(rows(&list(&sessions), &list(&items), client.clock.now()))
}

/// Shows what there is until somebody leaves.
async fn watch(
    mut top: Top,
    client: &Client,
    mut keys: Receiver<Key>,
    mut draw: impl FnMut(&Top) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut reading = Box::pin(look(client, Duration::ZERO));
    loop {
        draw(&top)?;
        let wish = tokio::select! {
            biased;
            key = keys.recv() => match key {
                Some(key) => top.press(key),
                None => return Ok(()),
            },
            found = &mut reading => {
                match found {
                    Ok(found) => top.take(found),
                    Err(error) => top.told = error.message,
                }
                reading = Box::pin(look(client, LOOK));
                None
            }
        };
        match wish {
            None => {}
            Some(Wish::Leave) => return Ok(()),
            Some(wish) => {
                "asking the server".clone_into(&mut top.told);
                draw(&top)?;
                fulfil(&mut top, wish, client).await;
                reading = Box::pin(look(client, Duration::ZERO));
            }
        }
    }
}

async fn look(client: &Client, after: Duration) -> Result<Vec<Row>, CliError> {
    client.clock.sleep(after).await;
    read(client).await
}

/// Does what somebody wants; what came of it is told on the screen.
async fn fulfil(top: &mut Top, wish: Wish, client: &Client) {
    let post = |segments: &[&str], body: Value| {
        client.json(client.request(Method::POST, segments).json(&body))
    };
    let outcome = match wish {
        Wish::Leave => return,
        Wish::Approve(item) => {
            let mut body = json!({ "decision": DecisionWord::Allow.as_api() });
            // What was read is what is allowed, and nothing that it may have become.
            body["fingerprint"] = item["fingerprint"].clone();
            let id = plain(&item["id"]);
            let told = post(&["attention", &id, "resolve"], body).await;
            told.map(|settled| {
                format!("{}: {}", plain(&settled["title"]), plain(&settled["decision"]))
            })
        }
        Wish::Command(verb, id) => {
            let told = post(&["sessions", &id, verb], json!({ "reason": "from top" })).await;
            told.map(|session| {
                format!("{}: {}", plain(&session["code"]), plain(&session["status"]))
            })
        }
        Wish::Diff(id) => {
            let asked = client.request(Method::GET, &["sessions", &id, "diff"]);
            client.json(asked).await.map(|diff| {
                let files = diff["files"].as_array().map_or(&[][..], Vec::as_slice);
                let patches = files.iter().filter_map(|file| file["patch"].as_str());
                let lines: Vec<String> = patches
                    .flat_map(str::lines)
                    .map(|line| clean(line).replace('\t', "    "))
                    .collect();
                if lines.is_empty() {
                    return "nothing was changed".to_owned();
                }
                let name = format!("{} files", files.len());
                top.over = Over::Changes(name, lines, 0);
                String::new()
            })
        }
    };
    top.told = outcome.unwrap_or_else(|error| error.message);
}

/// Reads keys until it is over; a terminal that is gone ends `top`.
fn read_keys(sender: &Sender<Key>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let read = match event::poll(KEYS) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(_) => return,
        };
        let Ok(read) = read else { return };
        let Event::Key(pressed) = read else { continue };
        if pressed.kind == KeyEventKind::Release {
            continue;
        }
        let is_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
        let key = if let KeyCode::Char(letter) = pressed.code {
            Some(Key::Letter(if is_control && letter == 'c' { 'q' } else { letter }))
        } else {
            PLAIN.iter().find(|(code, _)| *code == pressed.code).map(|(_, key)| *key)
        };
        let Some(key) = key else { continue };
        if sender.blocking_send(key).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
