//! Tables as `text/csv`, for spreadsheets.
//!
//! Invariant: what an agent named is text in every spreadsheet: a cell that could be taken for a
//! formula begins with an apostrophe. Source of the format: RFC 4180.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::dto::usage::{GroupDto, ReportDto, SumsDto};

const COLUMNS: [&str; 17] = [
    "day",
    "model_identifier",
    "agent_id",
    "agent_name",
    "session_id",
    "simulated",
    "sessions",
    "records",
    "unpriced_records",
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "tokens_reasoning",
    "tokens_total",
    "cost_usd",
    "wall_seconds",
];

/// What was used, one group a line below the names of the columns.
#[must_use]
pub(super) fn usage(report: &ReportDto) -> Response {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    for group in &report.items {
        let cells: Vec<String> = cells(group).iter().map(|cell| escape(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    let mut response = text.into_response();
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    response.headers_mut().insert(header::CONTENT_TYPE, csv);
    response
}

fn cells(group: &GroupDto) -> [String; 17] {
    let GroupDto {
        day,
        model_identifier,
        agent_id,
        agent_name,
        session_id,
        simulated,
        sessions,
        sums,
    } = group;
    let SumsDto {
        records,
        unpriced_records,
        tokens_input,
        tokens_output,
        tokens_cache_read,
        tokens_cache_write,
        tokens_reasoning,
        tokens_total,
        cost_usd,
        wall_seconds,
    } = sums;
    [
        day.clone().unwrap_or_default(),
        model_identifier.clone().unwrap_or_default(),
        agent_id.map(|id| id.to_string()).unwrap_or_default(),
        agent_name.clone().unwrap_or_default(),
        session_id.map(|id| id.to_string()).unwrap_or_default(),
        simulated.to_string(),
        sessions.map(|count| count.to_string()).unwrap_or_default(),
        records.to_string(),
        unpriced_records.to_string(),
        tokens_input.to_string(),
        tokens_output.to_string(),
        tokens_cache_read.to_string(),
        tokens_cache_write.to_string(),
        tokens_reasoning.to_string(),
        tokens_total.to_string(),
        cost_usd.map(|cost| format!("{:.6}", cost.dollars())).unwrap_or_default(),
        wall_seconds.to_string(),
    ]
}

fn escape(cell: &str) -> String {
    let risky = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if risky { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn cells_are_text_whatever_is_in_them() {
        for (cell, written) in [
            ("a/b", "a/b"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"\n", "\"say \"\"hi\"\"\n\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("", ""),
        ] {
            assert_eq!(escape(cell), written);
        }
    }
}
