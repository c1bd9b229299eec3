//! What is shown in which order, and what keys lead to.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::args::Order;
use super::*;
use crate::domain::time::Timestamp;

fn session(number: u32, status: &str, cost: Option<f64>, updated: &str) -> Value {
    json!({
        "id": format!("id-{number}"), "code": format!("IND-00000{number}"), "status": status,
        "title": format!("Work {number}\u{1b}[31m"), "updated_at": updated,
        "current_agent_name": "AGENT-ONE", "phase": "executing",
        "allowed_actions": ["pause", "stop"],
        "metrics": { "usage": { "cost_usd": cost, "tokens_total": 12_345, "simulated": false } },
    })
}

fn item(number: u32, kind: &str, deadline: &str) -> Value {
    json!({
        "id": format!("item-{number}"), "session_id": format!("id-{number}"), "kind": kind,
        "title": "cargo publish", "deadline": deadline, "created_at": "2026-11-22T12:00:00Z",
        "fingerprint": "f",
    })
}

fn fleet(order: Order) -> Top {
    let sessions = [
        session(1, "running", Some(0.5), "2026-11-22T12:00:59Z"),
        session(2, "running", Some(2.0), "2026-11-22T12:00:30Z"),
        session(3, "running", None, "2026-11-22T11:00:00Z"),
        session(4, "paused", Some(1.0), "2026-11-22T09:00:00Z"),
    ];
    let items = [
        item(1, "permission", "2026-11-22T13:00:00Z"),
        item(3, "question", "2026-11-22T12:30:00Z"),
    ];
    let now = Timestamp::parse("2026-11-22T12:01:00Z").expect("a time");
    let mut top = Top::new(order);
    top.take(rows(&sessions, &items, now));
    top
}

fn codes(top: &Top) -> Vec<&str> {
    top.rows.iter().map(|row| &row.text("code")[9..]).collect()
}

#[test]
fn who_needs_somebody_costs_much_or_is_quiet_comes_first() {
    assert_eq!(codes(&fleet(Order::Attention)), ["3", "1", "2", "4"]);
    assert_eq!(codes(&fleet(Order::Spend)), ["2", "4", "1", "3"]);
    assert_eq!(codes(&fleet(Order::Stall)), ["3", "2", "1", "4"]);
}

#[test]
fn the_chosen_one_stays_chosen_when_the_order_changes() {
    let mut top = fleet(Order::Attention);
    top.press(Key::Down);
    assert_eq!(top.at(), 1);
    top.press(Key::Letter('o'));
    assert_eq!((top.order, top.at()), (Order::Spend, 2));
    for _ in 0..9 {
        top.press(Key::Letter('j'));
    }
    assert_eq!(top.at(), 3);
}

#[test]
fn what_weighs_takes_two_keys() {
    let mut top = fleet(Order::Attention);
    assert_eq!(top.press(Key::Letter('a')), None);
    assert!(top.told.contains("asks for no permission"), "a question is answered with words");
    top.press(Key::Down);
    assert_eq!(top.press(Key::Letter('a')), None);
    assert_eq!(top.press(Key::Letter('y')), None, "another key leaves it");
    assert_eq!(top.over, Over::Nothing);
    top.press(Key::Letter('a'));
    let wish = top.press(Key::Enter);
    assert_eq!(wish, Some(Wish::Approve(item(1, "permission", "2026-11-22T13:00:00Z"))));

    assert_eq!(top.press(Key::Letter('s')), None);
    assert_eq!(top.press(Key::Enter), None);
    top.press(Key::Letter('s'));
    assert_eq!(top.press(Key::Letter('y')), Some(Wish::Command("stop", "id-1".to_owned())));
    assert_eq!(top.press(Key::Letter('p')), Some(Wish::Command("pause", "id-1".to_owned())));
    assert_eq!(top.press(Key::Letter('d')), Some(Wish::Diff("id-1".to_owned())));
    assert_eq!(top.press(Key::Letter('q')), Some(Wish::Leave));
}

fn drawn(top: &Top) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(120, 10)).expect("a screen");
    terminal.draw(|frame| view::draw(frame, top)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..120).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..10).map(|y| line(y).trim_end().to_owned()).collect()
}

#[test]
fn the_screen_shows_the_fleet_and_what_is_asked() {
    let mut top = fleet(Order::Attention);
    let lines = drawn(&top);
    assert!(lines[0].contains("2 need you") && lines[0].contains("$3.50"), "{lines:#?}");
    assert!(lines[0].ends_with("by attention"), "{lines:#?}");
    assert!(lines[1].starts_with("CODE") && lines[1].ends_with("TITLE"), "{lines:#?}");
    let first = &lines[2];
    for word in ["IND-000003", "running", "question", "AGENT-ONE", "12.3k", "1h 01m", "Work 3"] {
        assert!(first.contains(word), "{word}: {lines:#?}");
    }
    assert!(!lines.concat().contains('\u{1b}'), "no title steers the terminal");
    top.press(Key::Letter('s'));
    assert!(drawn(&top)[8].contains("stop IND-000003?"), "{:#?}", drawn(&top));
    let changed = ["@@ -1 +1 @@", "-one", "+two"].map(str::to_owned).to_vec();
    top.over = Over::Changes("1 files".to_owned(), changed, 1);
    let lines = drawn(&top);
    assert_eq!((lines[1].as_str(), lines[2].as_str()), ("-one", "+two"));
    let empty = drawn(&Top::new(Order::Spend));
    assert!(empty[1].contains("Nothing is at work"), "{empty:#?}");
}
