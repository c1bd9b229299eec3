//! Transcripts and logs, at once or as they come, and watching a session to its end.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use super::super::client::Client;
use super::super::exit::{CliError, code};
use super::super::feed;
use super::super::format::{clean, plain};
use super::super::output::{ALERT, BAD, DIM, Printer, painted};
use super::super::run::follow::{End, Follower};
use super::super::run::view::View;
use super::super::run::{conclude, exit_of};
use super::show::items;
use crate::domain::session::status::SessionStatus;

/// Time between two looks whether a followed session has ended.
const LOOK: Duration = Duration::from_secs(2);
/// Silence after the end that means that nothing more comes.
const SETTLE: Duration = Duration::from_millis(800);

pub(super) async fn transcript(
    session: &str,
    follow: bool,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut view = View::of_everything();
    let mut show = |entry: &Value| {
        if printer.is_json() { printer.json_line(entry) } else { printer.lines(view.entry(entry)) }
    };
    entries(client, session, "transcript", 0, follow, printer, &mut show).await?;
    if !printer.is_json() {
        printer.lines(view.flush());
    }
    Ok(code::OK)
}

pub(super) async fn logs(
    session: &str,
    follow: bool,
    after: u64,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut show = |entry: &Value| {
        if printer.is_json() { printer.json_line(entry) } else { printer.line(log_line(entry)) }
    };
    entries(client, session, "logs", after, follow, printer, &mut show).await?;
    Ok(code::OK)
}

/// A log line: time, level, message.
fn log_line(entry: &Value) -> String {
    let body = entry.get("body").unwrap_or(entry);
    let word = |names: [&str; 3]| {
        names.iter().find_map(|name| entry.get(*name)?.as_str()).unwrap_or_default().to_owned()
    };
    let (at, level) = (word(["at", "timestamp", "time"]), word(["level", "kind", "severity"]));
    let level = match level.as_str() {
        "error" => painted("error", BAD),
        "warn" => painted("warn ", ALERT),
        other => format!("{other:5}"),
    };
    let message = clean(body["message"].as_str().unwrap_or_default());
    format!("{} {level} {message}", painted(&at, DIM))
}

/// Entries of a stream of the session: all that are there, and with `follow` those that come until
/// the session ends.
async fn entries(
    client: &Client,
    session: &str,
    stream: &str,
    after: u64,
    follow: bool,
    printer: &Printer,
    show: &mut impl FnMut(&Value),
) -> Result<(), CliError> {
    if !follow {
        return pages(client, session, stream, after, show).await;
    }
    let mut feed = feed::follow(client, &["sessions", session, stream], &[], Some(after), true);
    let clock = client.clock.clone();
    let mut ended = false;
    // It outlives the turns of the loop: a busy stream must not put off the next look.
    let mut next_look = clock.sleep(SETTLE);
    while !printer.is_broken() {
        tokio::select! {
            entry = feed.next() => match entry {
                Some(entry) => show(&entry?),
                None => return Ok(()),
            },
            () = &mut next_look => {
                if ended {
                    return Ok(());
                }
                next_look = clock.sleep(LOOK);
                let now = client.get(&["sessions", session], &[]).await?;
                ended = SessionStatus::parse(&plain(&now["status"]))
                    .is_some_and(SessionStatus::is_terminal);
            }
        }
    }
    Ok(())
}

async fn pages(
    client: &Client,
    session: &str,
    stream: &str,
    mut after: u64,
    show: &mut impl FnMut(&Value),
) -> Result<(), CliError> {
    loop {
        let query = [("after", after.to_string()), ("limit", "200".to_owned())];
        let page = client.get(&["sessions", session, stream], &query).await?;
        let before = after;
        for entry in items(&page) {
            show(entry);
            after = entry["seq"].as_u64().unwrap_or(after).max(after);
        }
        if after == before || page["has_more"] == false {
            return Ok(());
        }
    }
}

pub(super) async fn watch(
    session: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let found = client.get(&["sessions", session], &[]).await?;
    let mut follower = Follower::new(client, printer, &found);
    let end = Box::pin(follower.run()).await?;
    drop(follower);
    match end {
        End::Ended(session) => {
            conclude(&session, client, printer).await;
            Ok(exit_of(&plain(&session["status"])))
        }
        End::Interrupted => Ok(code::STOPPED),
    }
}
