//! The result in four forms: a table, JSON, Markdown, CSV.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::machine::Machine;
use super::measure::Figure;
use super::process::LIFTED;

/// What a row should reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    /// This share of the probe, or more.
    Share(f64),
    /// This value, or less.
    AtMost(f64),
}

/// What the value of a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// More is better.
    #[serde(rename = "per second")]
    PerSecond,
    /// Less is better.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Less is better.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Less is better.
    #[serde(rename = "bytes")]
    Bytes,
    /// Less is better.
    #[serde(rename = "%")]
    Percent,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Bytes => "bytes",
            Self::Percent => "%",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// What was done.
    pub(super) name: &'static str,
    /// How much of it at once, on how much.
    pub(super) case: String,
    /// What the values count.
    pub(super) unit: Unit,
    /// The product.
    pub(super) server: Option<Figure>,
    /// The limit.
    pub(super) probe: Option<Figure>,
    /// What should be reached.
    pub(super) goal: Option<Goal>,
    /// What went wrong first, if anything.
    pub(super) trouble: Option<String>,
}

impl Row {
    /// The server's value as a share of the probe's.
    pub(super) fn share(&self) -> Option<f64> {
        let (server, probe) = (self.server.as_ref()?, self.probe.as_ref()?);
        (probe.value > 0.0).then(|| server.value / probe.value)
    }

    fn is_reached(&self) -> Option<bool> {
        match self.goal? {
            Goal::Share(least) => self.share().map(|share| share >= least),
            Goal::AtMost(most) => self.server.as_ref().map(|figure| figure.value <= most),
        }
    }

    /// The cells of a line.
    fn cells(&self) -> [String; 9] {
        let value = |figure: Option<&Figure>| {
            figure.map_or_else(dash, |figure| {
                format!("{} {}", number(figure.value), self.unit.name())
            })
        };
        let detail = |figure: Option<&Figure>, of: fn(&Figure) -> Option<f64>| {
            figure.and_then(of).map_or_else(dash, number)
        };
        let (server, probe) = (self.server.as_ref(), self.probe.as_ref());
        let pair = |of| format!("{} / {}", detail(server, of), detail(probe, of));
        let goal = match self.goal {
            None => dash(),
            Some(Goal::Share(least)) => format!("≥ {least}"),
            Some(Goal::AtMost(most)) => format!("≤ {} {}", number(most), self.unit.name()),
        };
        let reached = match self.is_reached() {
            None => dash(),
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
        };
        [
            self.name.to_owned(),
            self.case.clone(),
            value(server),
            value(probe),
            self.share().map_or_else(dash, |share| format!("{share:.2}")),
            goal,
            reached,
            pair(|figure| figure.p99_ms),
            pair(|figure| figure.cpu_us),
        ]
    }
}

const HEADS: [&str; 9] = [
    "row",
    "case",
    "server",
    "limit probe",
    "ratio",
    "goal",
    "reached",
    "p99 ms, server / probe",
    "CPU µs per operation, server / probe",
];

/// Everything that was measured in one run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Version of the server.
    pub(super) version: &'static str,
    /// When the run began, in UTC.
    pub(super) at: String,
    /// Where.
    pub(super) machine: Machine,
    /// Rounds of each side.
    pub(super) rounds: usize,
    /// Whether the stores and windows were small.
    pub(super) quick: bool,
    /// The measurements.
    pub(super) rows: Vec<Row>,
    /// Rows that were not begun for want of time.
    pub(super) left_out: Vec<&'static str>,
}

impl Report {
    /// Whether anything could be measured.
    pub(super) fn has_figures(&self) -> bool {
        self.rows.iter().any(|row| row.server.is_some() || row.probe.is_some())
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let mut value = serde_json::to_value(self).expect("figures always become JSON");
        value["lifted_limits"] =
            LIFTED.iter().map(|(key, value)| format!("{key}={value}")).collect();
        for (row, shown) in self.rows.iter().zip(value["rows"].as_array_mut().into_iter().flatten())
        {
            shown["ratio"] = row.share().into();
            shown["reached"] = row.is_reached().into();
        }
        format!("{value:#}\n")
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(HEADS);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{}\n{table}\n", self.head());
        for line in self.notes() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// For documents.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n| {} |\n", self.head(), HEADS.join(" | "));
        text.push_str("|---|---|---:|---:|---:|---:|---|---:|---:|\n");
        for row in &self.rows {
            text.extend(["| ", &row.cells().join(" | "), " |\n"]);
        }
        for line in self.notes() {
            text.extend(["\n", line.as_str(), "\n"]);
        }
        text
    }

    /// For spreadsheets: one line for each side of each row.
    pub(super) fn csv(&self) -> String {
        let mut text =
            "row,case,unit,side,median,worst,best,p99_ms,cpu_us,rounds,failed\n".to_owned();
        for row in &self.rows {
            for (side, figure) in [("server", &row.server), ("probe", &row.probe)] {
                let Some(Figure { value, range, p99_ms, cpu_us, rounds, failed }) = figure else {
                    continue;
                };
                let optional =
                    |value: &Option<f64>| value.map_or_else(String::new, |v| v.to_string());
                text.extend([format!(
                    "{},\"{}\",{},{side},{value},{},{},{},{},{rounds},{failed}\n",
                    row.name,
                    row.case,
                    row.unit.name(),
                    range.0,
                    range.1,
                    optional(p99_ms),
                    optional(cpu_us),
                )]);
            }
        }
        text
    }

    fn head(&self) -> String {
        let kind = if self.quick { "quick, " } else { "" };
        format!(
            "orchestrator {} at {} ({kind}medians of {} rounds, both sides in turns)\n{}",
            self.version,
            self.at,
            self.rounds,
            self.machine.line()
        )
    }

    fn notes(&self) -> Vec<String> {
        let lifted: Vec<String> =
            LIFTED.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut notes = vec![format!(
            "One client that asks for everything is what the server's limits are against; they were \
             lifted for it: {}.",
            lifted.join(", ")
        )];
        for row in &self.rows {
            let failed =
                |figure: &Option<Figure>| figure.as_ref().map_or(0, |figure| figure.failed);
            let failures = failed(&row.server) + failed(&row.probe);
            if let Some(trouble) = &row.trouble {
                notes.push(format!("{} ({}): {failures} failed; {trouble}", row.name, row.case));
            }
        }
        if !self.left_out.is_empty() {
            notes.push(format!("Not begun for want of time: {}.", self.left_out.join(", ")));
        }
        notes
    }
}

fn dash() -> String {
    "–".to_owned()
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn report() -> Report {
        let figure = |value| Figure {
            value,
            range: (value, value),
            p99_ms: Some(7.25),
            cpu_us: None,
            rounds: 5,
            failed: 0,
        };
        let row = Row {
            name: "create",
            case: "64 clients".to_owned(),
            unit: Unit::PerSecond,
            server: Some(figure(600.0)),
            probe: Some(figure(1000.0)),
            goal: Some(Goal::Share(0.7)),
            trouble: None,
        };
        Report {
            version: "0.0.0",
            at: "2026-01-31T09:30:00Z".to_owned(),
            machine: Machine::read(Path::new("/")),
            rounds: 5,
            quick: false,
            rows: vec![row],
            left_out: vec!["fanout"],
        }
    }

    #[test]
    fn every_form_tells_ratio_goal_and_what_was_lifted() {
        let report = report();
        let line = "| create | 64 clients | 600 per s | 1000 per s | 0.60 | ≥ 0.7 | no | 7.2 / 7.2 | – / – |";
        assert!(report.markdown().contains(line), "{}", report.markdown());
        assert!(report.table().contains("REQUESTS_PER_SECOND=0"));
        assert!(report.table().contains("Not begun for want of time: fanout"));
        let json: serde_json::Value =
            serde_json::from_str(&report.json()).expect("as the test says");
        assert_eq!(
            (&json["rows"][0]["ratio"], &json["rows"][0]["reached"]),
            (&0.6.into(), &false.into())
        );
        assert_eq!(report.csv().lines().count(), 3);
        assert!(report.has_figures());
    }
}
