//! How `top` looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Clear, Paragraph, Row as Drawn, Table, TableState};
use serde_json::{Value, json};

use super::super::args::Order;
use super::super::format::{UNKNOWN, count, line, money, plain, seconds};
use super::model::{Over, Row, Top};

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// The only yellow: a person is needed.
const NEEDS: Style = Style::new().fg(Color::Black).bg(Color::Yellow);
/// The heads of the columns; that by which the rows are ordered is strong.
pub(super) const HEADS: [&str; 9] =
    ["CODE", "STATUS", "NEEDS", "AGENT", "PHASE", "COST", "TOKENS", "QUIET", "TITLE"];

/// What a row says, column by column.
pub(super) fn words(row: &Row) -> [String; 9] {
    let usage = &row.session["metrics"]["usage"];
    let known = |value: &Value| if value.is_null() { UNKNOWN.to_owned() } else { plain(value) };
    let simulated = if usage["simulated"] == true { " sim" } else { "" };
    [
        plain(&row.session["code"]),
        plain(&row.session["status"]).replace('_', " "),
        row.item.as_ref().map_or_else(String::new, |item| plain(&item["kind"])),
        known(&row.session["current_agent_name"]),
        known(&row.session["phase"]),
        format!("{}{simulated}", money(&usage["cost_usd"])),
        count(&usage["tokens_total"]),
        row.quiet.map_or_else(|| UNKNOWN.to_owned(), |quiet| seconds(&json!(quiet.floor()))),
        line(row.text("title"), 200),
    ]
}

fn colour(status: &str) -> Color {
    match status {
        "running" => Color::Green,
        "degraded" | "paused" => Color::Yellow,
        "queued" => Color::Blue,
        "failed" | "timeout" => Color::Red,
        _ => Color::Gray,
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, top: &Top) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [head, list, told, keys] = areas.areas(frame.area());
    frame.render_widget(summary(top), head);
    table(frame, top, list);
    let said = match &top.over {
        Over::Sure(question, _, _) => Line::styled(line(question, 300), NEEDS),
        Over::Nothing | Over::Changes(..) => Line::raw(line(&top.told, 300)),
    };
    frame.render_widget(said, told);
    let help = "j k choose · o order · a allow · p pause · s stop · d changes · q leave";
    frame.render_widget(Line::styled(help, DIM), keys);
    if let Over::Changes(name, lines, from) = &top.over {
        changes(frame, name, lines, *from);
    }
}

fn summary(top: &Top) -> Line<'static> {
    let with = |status: &str| top.rows.iter().filter(|row| row.text("status") == status).count();
    let waiting = top.rows.iter().filter(|row| row.item.is_some()).count();
    let spent = |simulated: bool| -> f64 {
        let of = top
            .rows
            .iter()
            .filter(|row| (row.session["metrics"]["usage"]["simulated"] == true) == simulated);
        of.filter_map(Row::cost).sum()
    };
    let by = match top.order {
        Order::Attention => "attention",
        Order::Spend => "spend",
        Order::Stall => "stall",
    };
    let mut spans = vec![
        Span::styled("ORCHESTRATOR  ", STRONG),
        Span::styled(format!(" {waiting} need you "), if waiting > 0 { NEEDS } else { DIM }),
        Span::raw(format!("  {} running, {} degraded, ", with("running"), with("degraded"))),
        Span::raw(format!("{} paused, {} queued  ", with("paused"), with("queued"))),
        Span::raw(money(&json!(spent(false)))),
    ];
    if spent(true) > 0.0 {
        spans.push(Span::styled(format!("  {} simulated", money(&json!(spent(true)))), DIM));
    }
    spans.push(Span::styled(format!("  by {by}"), DIM));
    Line::from(spans)
}

fn table(frame: &mut Frame<'_>, top: &Top, area: Rect) {
    if top.rows.is_empty() {
        let text = "Nothing is at work. orchestrator run 'what is to be done' begins something.";
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let ordered = match top.order {
        Order::Attention => "NEEDS",
        Order::Spend => "COST",
        Order::Stall => "QUIET",
    };
    let head = HEADS.map(|name| Cell::new(name).style(if name == ordered { STRONG } else { DIM }));
    let rows = top.rows.iter().map(|row| {
        let words = words(row);
        let status = Style::new().fg(colour(row.text("status")));
        Drawn::new(words.into_iter().enumerate().map(|(column, text)| {
            let style = match column {
                1 => status,
                2 if !text.is_empty() => NEEDS,
                3 | 4 => DIM,
                _ => Style::new(),
            };
            Cell::new(text).style(style)
        }))
    });
    let widths = [10, 9, 11, 18, 10, 11, 7, 8].map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Min(10)]);
    let table = Table::new(rows, widths)
        .header(Drawn::new(head))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(top.at());
    frame.render_stateful_widget(table, area, &mut state);
}

fn changes(frame: &mut Frame<'_>, name: &str, lines: &[String], from: usize) {
    let area = frame.area();
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let shown = lines.iter().skip(from).take(usize::from(body.height)).map(|text| {
        let colour = match text.chars().next() {
            Some('+') => Color::Green,
            Some('-') => Color::Red,
            Some('@') => Color::Cyan,
            _ => Color::Reset,
        };
        Line::styled(text.as_str(), Style::new().fg(colour))
    });
    frame.render_widget(Clear, area);
    let place = format!("{name}  line {} of {}  j k, space, esc", from + 1, lines.len().max(1));
    frame.render_widget(Line::styled(place, STRONG), head);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), body);
}
